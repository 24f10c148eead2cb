package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Department is a node of the organisation tree.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=departments,scope=Namespaced,categories=crmaccess,shortName=cdept
// +kubebuilder:printcolumn:name="Display",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parent`
// +kubebuilder:printcolumn:name="Manager",type=string,JSONPath=`.spec.manager`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.parent) || self.spec.parent != self.metadata.name",message="a department cannot be its own parent: name another department, or leave parent away at the root"
type Department struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the department's place in the tree.
	// +required
	Spec DepartmentSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// DepartmentSpec places a department in the tree.
type DepartmentSpec struct {
	// displayName is the department's name for people.
	// +optional
	DisplayName Label `json:"displayName,omitempty"`

	// parent is the name of the Department above. Unset at the root. A cycle is reported, and what is in it counts as
	// below nothing but itself.
	// +optional
	Parent Reference `json:"parent,omitempty"`

	// manager is the name of the User who leads the department. It gives no access by itself.
	// +optional
	Manager Reference `json:"manager,omitempty"`
}

// DepartmentList is a list of departments.
//
// +kubebuilder:object:root=true
type DepartmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Department `json:"items"`
}
