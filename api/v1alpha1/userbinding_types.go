package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UserBinding gives roles to users, named or selected, for as long as it exists.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=userbindings,scope=Namespaced,categories=crmaccess,shortName=cbind
// +kubebuilder:printcolumn:name="Subjects",type=string,JSONPath=`.spec.subjects`
// +kubebuilder:printcolumn:name="Roles",type=string,JSONPath=`.spec.roles`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Justification",type=string,priority=1,JSONPath=`.spec.justification`
// +kubebuilder:printcolumn:name="Requested By",type=string,priority=1,JSONPath=`.spec.requestedBy`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type UserBinding struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says who holds which roles.
	// +required
	Spec UserBindingSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// UserBindingSpec gives every one of its roles to every one of its subjects.
//
// The rule bounds the object's size as compact JSON: a character of free text counts six bytes, the worst that JSON
// can make of one, and every other character one.
//
// +kubebuilder:validation:XValidation:rule="self.roles.map(s, 3 + size(s)).sum() + self.subjects.map(s, has(s.user) ? 12 + size(s.user) : 48 + (has(s.selector) && has(s.selector.department) ? size(s.selector.department) : 0) + (has(s.selector) && has(s.selector.departmentTree) ? size(s.selector.departmentTree) : 0) + (has(s.selector) && has(s.selector.title) ? 6 * size(s.selector.title) : 0)).sum() <= 190000",message="the binding is too large: an object must stay below 200 KiB; move some of its subjects to a second binding"
type UserBindingSpec struct {
	// subjects are who gets the roles, at least 1 and at most 500. Each names one user or selects users.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +required
	Subjects []Subject `json:"subjects"`

	// roles are the names of the roles that all subjects get, at least 1 and at most 100. A role that does not exist,
	// or is abstract, is reported and confers nothing; the others do.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +required
	Roles []Reference `json:"roles"`

	// justification says why, such as the number of the change request. It changes no decision.
	// +optional
	Justification Sentence `json:"justification,omitempty"`

	// requestedBy is the name of the User who asked for it, and who may not approve it.
	// +optional
	RequestedBy Reference `json:"requestedBy,omitempty"`
}

// Subject is one user by name, or every user that a selector matches.
//
// +kubebuilder:validation:XValidation:rule="has(self.user) != has(self.selector)",message="a subject is exactly one of user and selector: write two subjects where both are meant"
type Subject struct {
	// user is the name of the User.
	// +optional
	User Reference `json:"user,omitempty"`

	// selector matches users by department and title.
	// +optional
	Selector *UserSelector `json:"selector,omitempty"`
}

// UserSelector matches users exactly: all criteria that it names must hold. Who joins the department gets the roles,
// who leaves it loses them.
//
// +kubebuilder:validation:XValidation:rule="has(self.department) != has(self.departmentTree)",message="a selector needs exactly one of department and departmentTree"
type UserSelector struct {
	// department matches users of exactly this department; it is their own or one of their other departments.
	// +optional
	Department Reference `json:"department,omitempty"`

	// departmentTree matches users of this department and of every department below it.
	// +optional
	DepartmentTree Reference `json:"departmentTree,omitempty"`

	// title matches users with exactly this title, compared after Unicode normalisation (NFC). Unset matches any.
	// +optional
	Title Label `json:"title,omitempty"`
}

// UserBindingList is a list of bindings.
//
// +kubebuilder:object:root=true
type UserBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []UserBinding `json:"items"`
}
