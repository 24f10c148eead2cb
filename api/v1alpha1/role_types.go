package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Role is a bundle of permissions for a job: its own grants and those of the roles it inherits. A UserBinding or a
// TemporaryGrant gives it to users.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=roles,scope=Namespaced,categories=crmaccess,shortName=crole
// +kubebuilder:printcolumn:name="Display",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Privileged",type=boolean,JSONPath=`.spec.privileged`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.inherits) || self.spec.inherits.all(i, i.role != self.metadata.name)",message="a role cannot inherit itself: take its own name out of spec.inherits"
type Role struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the role gives to whoever holds it.
	// +required
	Spec RoleSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// RoleSpec declares the difference of a role to the roles it inherits.
//
// The last rule bounds the object's size as compact JSON: a character of free text counts six bytes, the worst that
// JSON can make of one, and every other character one.
//
// +kubebuilder:validation:XValidation:rule="(has(self.inherits) ? self.inherits.map(i, 24 + size(i.role) + (has(i.mute) ? i.mute.map(m, 28 + size(m.object) + m.actions.map(s, 3 + size(s)).sum()).sum() : 0)).sum() : 0) + (has(self.grants) ? self.grants.map(g, 40 + size(g.object) + g.actions.map(s, 3 + size(s)).sum() + 21 * size(g.scopes) + (has(g.where) ? 11 + g.where.map(c, 48 + size(c.field) + (has(c.values) ? c.values.map(s, 3 + 6 * size(s)).sum() : 0)).sum() : 0) + (has(g.fields) ? 12 + g.fields.map(f, has(f.field) ? 30 + size(f.field) : 44).sum() : 0)).sum() : 0) <= 195000",message="the role is too large: an object must stay below 200 KiB; move some of its grants to a role that this one inherits"
type RoleSpec struct {
	// displayName is the role's name for people.
	// +optional
	DisplayName Label `json:"displayName,omitempty"`

	// abstract marks a template: other roles may inherit it, users cannot be given it. Defaults to false.
	// +optional
	Abstract bool `json:"abstract,omitempty"`

	// privileged marks a role that deserves special care, such as an administrator's. Defaults to false.
	// +optional
	Privileged bool `json:"privileged,omitempty"`

	// inherits are the roles whose grants this role also gives, unchanged, at most 50. A cycle, or more than ten steps,
	// makes the role confer nothing; a role that does not exist adds nothing.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Inherits []Inheritance `json:"inherits,omitempty"`

	// grants are the role's own grants, at most 500. Grants are never merged: each gives its actions on the records of
	// its own scopes with its own field rules.
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Grants []RoleGrant `json:"grants,omitempty"`
}

// Inheritance takes over the grants of another role.
type Inheritance struct {
	// role is the name of the inherited role.
	// +required
	Role Reference `json:"role"`

	// mute takes actions out of what this entry inherits, at most 50 entries. It takes nothing from what another
	// entry, another role or another binding gives.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Mute []Mute `json:"mute,omitempty"`
}

// Mute takes actions on one object away.
type Mute struct {
	// object is the name of the ObjectType.
	// +required
	Object Reference `json:"object"`

	// actions are what is not inherited, at least 1 and at most 50.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +required
	Actions []Identifier `json:"actions"`
}

// RoleGrant is one undivided tuple: an object, actions, which records, and the level of their fields.
type RoleGrant struct {
	// object is the name of the ObjectType that the grant is about.
	// +required
	Object Reference `json:"object"`

	// actions are what may be done, at least 1 and at most 50, such as read or update. The ObjectType declares which
	// exist; an unknown one is reported and gives nothing.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +required
	Actions []Identifier `json:"actions"`

	// scopes say which records: a record that one of them covers is covered. own, involved, subordinates, department,
	// departmentAndBelow or all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	// +listType=atomic
	// +required
	Scopes []Scope `json:"scopes"`

	// where narrows the grant to records for which all these conditions hold, at most 8.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Where []Condition `json:"where,omitempty"`

	// fields set the level of single fields or of classes where the class defaults do not fit, at most 100. Two rules
	// for the same field or class make the role invalid.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Fields []FieldRule `json:"fields,omitempty"`
}

// RoleList is a list of roles.
//
// +kubebuilder:object:root=true
type RoleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Role `json:"items"`
}
