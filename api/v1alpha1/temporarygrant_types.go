package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TemporaryGrant gives named users extra access between two instants. It ends by itself, also while the operator is
// down; the object stays where it is and confers nothing any more.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=temporarygrants,scope=Namespaced,categories=crmaccess,shortName=cgrant
// +kubebuilder:printcolumn:name="Users",type=string,JSONPath=`.spec.users`
// +kubebuilder:printcolumn:name="Roles",type=string,JSONPath=`.spec.roles`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`
// +kubebuilder:printcolumn:name="From",type=string,priority=1,JSONPath=`.spec.notBefore`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.spec.notAfter`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Ticket",type=string,priority=1,JSONPath=`.spec.ticket`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type TemporaryGrant struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says who gets what, from when until when, and why.
	// +required
	Spec TemporaryGrantSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// TemporaryGrantSpec gives its roles and grants to its users in [notBefore, notAfter).
//
// The users of grants are looked up in a map, for a list would cost 500 comparisons each. A user listed twice makes the
// first way of building the map an error, and CEL then takes the second, which is slow and leaves repetitions out.
//
// The last rule bounds the object's size as compact JSON: a character of free text counts six bytes, the worst that
// JSON can make of one, every other character one, and a user of a grant 66 bytes whatever the length.
//
// +kubebuilder:validation:XValidation:rule="(has(self.roles) && size(self.roles) > 0) || (has(self.grants) && size(self.grants) > 0)",message="a temporary grant needs roles, grants or both: name what the users get"
// +kubebuilder:validation:XValidation:rule="!has(self.notBefore) || timestamp(self.notBefore) < timestamp(self.notAfter)",message="notBefore must be earlier than notAfter: the access starts at notBefore and ends at notAfter"
// +kubebuilder:validation:XValidation:rule="!has(self.grants) || self.grants.map(g, has(g.users) ? size(g.users) : 0).sum() <= 500",message="the grants name more than 500 users together: split the temporary grant"
// +kubebuilder:validation:XValidation:rule="!has(self.grants) || [self.users.transformMapEntry(i, u, {u: true})].all(known, self.grants.all(g, !has(g.users) || g.users.all(u, u in known))) || [self.users.transformMapEntry(i, u, self.users.indexOf(u) == i, {u: true})].all(known, self.grants.all(g, !has(g.users) || g.users.all(u, u in known)))",message="the users of a grant must be among spec.users: it narrows the grant to some of them"
// +kubebuilder:validation:XValidation:rule="self.users.map(s, 3 + size(s)).sum() + (has(self.roles) ? self.roles.map(s, 3 + size(s)).sum() : 0) + (has(self.grants) ? self.grants.map(g, 72 + size(g.object) + g.actions.map(s, 3 + size(s)).sum() + (has(g.users) ? 11 + 66 * size(g.users) : 0) + (has(g.records.ids) ? g.records.ids.map(s, 3 + 6 * size(s)).sum() : has(g.records.owners) ? g.records.owners.map(s, 3 + size(s)).sum() : has(g.records.departments) ? g.records.departments.map(s, 3 + size(s)).sum() : has(g.records.departmentTrees) ? g.records.departmentTrees.map(s, 3 + size(s)).sum() : has(g.records.scopes) ? 21 * size(g.records.scopes) : 0) + (has(g.where) ? 11 + g.where.map(c, 48 + size(c.field) + (has(c.values) ? c.values.map(s, 3 + 6 * size(s)).sum() : 0)).sum() : 0) + (has(g.fields) ? 12 + g.fields.map(f, has(f.field) ? 30 + size(f.field) : 44).sum() : 0) + (has(g.onlyFields) ? 16 + g.onlyFields.map(s, 3 + size(s)).sum() : 0)).sum() : 0) <= 185000",message="the temporary grant is too large: an object must stay below 200 KiB; split it in two with the same notAfter"
type TemporaryGrantSpec struct {
	// users are the names of the Users who get the access, at least 1 and at most 500. Users are named, never selected.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +required
	Users []Reference `json:"users"`

	// roles are the names of roles that all users hold for the time, at most 100. External users hold no role.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Roles []Reference `json:"roles,omitempty"`

	// grants are single grants for the time, at most 500.
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Grants []TemporaryGrantEntry `json:"grants,omitempty"`

	// notBefore is the instant from which the access is held, RFC 3339 in whole seconds with an offset. Unset: from
	// when the object exists.
	// +optional
	NotBefore Instant `json:"notBefore,omitempty"`

	// notAfter is the instant from which the access is no longer held, RFC 3339 in whole seconds with an offset.
	// Access ends then, whether or not the operator runs.
	// +required
	NotAfter Instant `json:"notAfter"`

	// reason says why the users need the access.
	// +required
	Reason Sentence `json:"reason"`

	// requestedBy is the name of the User who asked for it, and who may not approve it.
	// +optional
	RequestedBy Reference `json:"requestedBy,omitempty"`

	// ticket is the number of the request in another system.
	// +optional
	Ticket Label `json:"ticket,omitempty"`

	// emergency asks for the access without waiting for approval. Such grants are short, loud, and are reviewed
	// afterwards. Defaults to false.
	// +optional
	Emergency bool `json:"emergency,omitempty"`
}

// TemporaryGrantEntry is one undivided tuple: an object, actions, which records, and the level of their fields.
type TemporaryGrantEntry struct {
	// object is the name of the ObjectType that the grant is about.
	// +required
	Object Reference `json:"object"`

	// actions are what may be done, at least 1 and at most 50. An action that the ObjectType does not declare is
	// reported and gives nothing.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +required
	Actions []Identifier `json:"actions"`

	// records say which records, in exactly one of five ways.
	// +required
	Records RecordSelector `json:"records"`

	// where narrows the grant to records for which all these conditions hold, at most 8.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Where []Condition `json:"where,omitempty"`

	// fields set the level of single fields or of classes where the class defaults do not fit, at most 100. Two rules
	// for the same field or class make the object invalid.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Fields []FieldRule `json:"fields,omitempty"`

	// onlyFields make every field that is not named here none, at most 100. It never raises a field. Grants for
	// external users need it.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	OnlyFields []Identifier `json:"onlyFields,omitempty"`

	// users narrow this grant to some of spec.users. Unset means all of them. All grants together name at most 500.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Users []Reference `json:"users,omitempty"`
}

// RecordSelector says which records a grant covers.
//
// +kubebuilder:validation:XValidation:rule="[has(self.ids), has(self.owners), has(self.departments), has(self.departmentTrees), has(self.scopes)].filter(set, set).size() == 1",message="records needs exactly one of ids, owners, departments, departmentTrees and scopes: write one grant for each"
type RecordSelector struct {
	// ids are the records themselves, at most 500.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	IDs []RecordID `json:"ids,omitempty"`

	// owners cover every record that one of these users owns, at most 500.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Owners []Reference `json:"owners,omitempty"`

	// departments cover every record of exactly one of these departments, at most 500.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Departments []Reference `json:"departments,omitempty"`

	// departmentTrees cover every record of one of these departments or of one below it, at most 500.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	DepartmentTrees []Reference `json:"departmentTrees,omitempty"`

	// scopes cover records by their relation to the user, as in a role.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	// +listType=atomic
	// +optional
	Scopes []Scope `json:"scopes,omitempty"`
}

// TemporaryGrantList is a list of temporary grants.
//
// +kubebuilder:object:root=true
type TemporaryGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TemporaryGrant `json:"items"`
}
