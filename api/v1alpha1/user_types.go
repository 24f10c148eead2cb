package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// User is one account: one person, one external or one service. Accounts are never shared.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=users,scope=Namespaced,categories=crmaccess,shortName=cuser
// +kubebuilder:printcolumn:name="Display",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Department",type=string,JSONPath=`.spec.department`
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="Type",type=string,priority=1,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Manager",type=string,priority=1,JSONPath=`.spec.manager`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.manager) || self.spec.manager != self.metadata.name",message="nobody is their own manager: name another user, or leave manager away at the top"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.successor) || self.spec.successor != self.metadata.name",message="nobody is their own successor: name another user, or leave successor away"
type User struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who the user is and where they stand in the organisation.
	// +required
	Spec UserSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// UserSpec describes one account.
type UserSpec struct {
	// displayName is the user's name for people.
	// +optional
	DisplayName Label `json:"displayName,omitempty"`

	// type is what stands behind the account: Employee, External (holds no role, has only temporary grants with
	// onlyFields) or Service.
	// +kubebuilder:validation:Enum=Employee;External;Service
	// +kubebuilder:default=Employee
	// +optional
	Type string `json:"type,omitempty"`

	// employeeNumber is the number that the personnel system knows the user by.
	// +optional
	EmployeeNumber Label `json:"employeeNumber,omitempty"`

	// email is the user's address.
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$`
	// +optional
	Email string `json:"email,omitempty"`

	// title is the user's job title. Selectors compare it exactly, after Unicode normalisation (NFC).
	// +optional
	Title Label `json:"title,omitempty"`

	// identities are the accounts by which identity providers know the same person, at most 20.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Identities []Identity `json:"identities,omitempty"`

	// department is the name of the Department that the user belongs to.
	// +optional
	Department Reference `json:"department,omitempty"`

	// otherDepartments are further departments that count as the user's own, at most 50.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	OtherDepartments []Reference `json:"otherDepartments,omitempty"`

	// manager is the name of the User whom this one reports to. Unset at the top.
	// +optional
	Manager Reference `json:"manager,omitempty"`

	// state is Active, Suspended (no access for now) or Departed (left; no access). Only Active has access.
	// +kubebuilder:validation:Enum=Active;Suspended;Departed
	// +kubebuilder:default=Active
	// +optional
	State string `json:"state,omitempty"`

	// successor is the name of the User who takes over when this one leaves. It gives no access by itself.
	// +optional
	Successor Reference `json:"successor,omitempty"`
}

// Identity is how one identity provider knows the user.
type Identity struct {
	// issuer is the identity provider, as its tokens name it (iss).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[^\s\p{Cc}]+$`
	// +required
	Issuer string `json:"issuer"`

	// subject is the user, as the issuer's tokens name them (sub).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]+$`
	// +required
	Subject string `json:"subject"`

	// username is the name that Kubernetes makes of the identity (request.userInfo.username).
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]*$`
	// +optional
	Username string `json:"username,omitempty"`
}

// UserList is a list of users.
//
// +kubebuilder:object:root=true
type UserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []User `json:"items"`
}
