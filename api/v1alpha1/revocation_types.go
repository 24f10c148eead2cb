package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Revocation ends access at once, whatever gives it. It is made in an emergency and not kept in Git. Deleting it ends
// nothing: it stays in force until its lift is approved.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=revocations,scope=Namespaced,categories=crmaccess,shortName=crevoke
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Binding",type=string,JSONPath=`.spec.binding`
// +kubebuilder:printcolumn:name="Grant",type=string,JSONPath=`.spec.grant`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type Revocation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is revoked, and why. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Revocation cannot be changed: make a new one"
	// +required
	Spec RevocationSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// RevocationSpec names exactly one thing that ceases to give access.
//
// +kubebuilder:validation:XValidation:rule="[has(self.user), has(self.binding), has(self.grant), has(self.role)].filter(set, set).size() == 1",message="a revocation is of exactly one of user, binding, grant and role: make one for each"
type RevocationSpec struct {
	// user is the name of a User, who loses all access.
	// +optional
	User Reference `json:"user,omitempty"`

	// binding is the name of a UserBinding, which confers nothing any more.
	// +optional
	Binding Reference `json:"binding,omitempty"`

	// grant is the name of a TemporaryGrant, which confers nothing any more.
	// +optional
	Grant Reference `json:"grant,omitempty"`

	// role is the name of a Role, which confers nothing any more. It reaches what its heirs have from it.
	// +optional
	Role Reference `json:"role,omitempty"`

	// reason says why the access ends.
	// +required
	Reason Sentence `json:"reason"`
}

// RevocationList is a list of revocations.
//
// +kubebuilder:object:root=true
type RevocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Revocation `json:"items"`
}
