package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ObjectType declares a CRM object such as customer or contract: which fields and actions exist and how sensitive the
// fields are. What it does not declare is denied.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=objecttypes,scope=Namespaced,categories=crmaccess,shortName=cobj
// +kubebuilder:printcolumn:name="Display",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Access From",type=string,priority=1,JSONPath=`.spec.accessFrom.object`
// +kubebuilder:printcolumn:name="Actions",type=string,priority=1,JSONPath=`.spec.actions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type ObjectType struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the CRM calls this object and what it consists of.
	// +required
	Spec ObjectTypeSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// ObjectTypeSpec declares one CRM object.
type ObjectTypeSpec struct {
	// displayName is the object's name for people.
	// +optional
	DisplayName Label `json:"displayName,omitempty"`

	// state is Enabled, or Disabled: the module is off, and every action on it is denied to everyone.
	// +kubebuilder:validation:Enum=Enabled;Disabled
	// +kubebuilder:default=Enabled
	// +optional
	State string `json:"state,omitempty"`

	// labelField is the field whose value names a record to people.
	// +optional
	LabelField Identifier `json:"labelField,omitempty"`

	// ownerField is the field that holds the record's owner. On a stored record it is never edited: transfer and
	// assign change it.
	// +optional
	OwnerField Identifier `json:"ownerField,omitempty"`

	// departmentField is the field that holds the record's department. On a stored record it is never edited: transfer
	// and assign change it.
	// +optional
	DepartmentField Identifier `json:"departmentField,omitempty"`

	// fields are all fields that exist, at most 500. A field that is not declared is hidden, and asking for it is
	// reported. A field declared twice makes the object invalid.
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	// +optional
	Fields []Field `json:"fields,omitempty"`

	// actions are exactly the actions that exist, at least 1 and at most 100: create, read, update, delete, export,
	// transfer, assign, share, followUp, convert, approve, unmask, or the object's own.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +required
	Actions []Identifier `json:"actions"`

	// variants give a name of its own to an action that a question tells apart by a property, such as the soft delete of
	// a CRM with a recycle bin; at most 32. The first that fits counts.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Variants []Variant `json:"variants,omitempty"`

	// accessFrom makes the scopes of this object's grants look at the parent record instead of at its own owner and
	// department, as for the contact of a customer.
	// +optional
	AccessFrom *AccessFrom `json:"accessFrom,omitempty"`

	// storage says where the records live, so that a store inside the same database can enforce access on the table
	// itself. Unset: the CRM asks the decision API.
	// +optional
	Storage *Storage `json:"storage,omitempty"`
}

// Variant says that a question about the action of with the property at this value is one about action.
//
// +kubebuilder:validation:XValidation:rule="self.action != self.of",message="a variant is another action than the one it is told apart from: give it a name of its own"
type Variant struct {
	// action is the action that the question is about, one of the object's actions. Who may do it is a matter of its own
	// grants and guardrails: those of the other action do not count.
	// +required
	Action Identifier `json:"action"`

	// of is the action that the question names, one of the object's actions.
	// +required
	Of Identifier `json:"of"`

	// property is the property of the action in the question.
	// +required
	Property Identifier `json:"property"`

	// value is what the property must be, as text: true, false, a number, or the text itself.
	// +required
	Value Value `json:"value"`
}

// Field is one field of the object.
type Field struct {
	// name is the field's name.
	// +required
	Name Identifier `json:"name"`

	// class is how sensitive the field is: public, internal, confidential (people), restricted (money) or secret. It
	// decides the level where no field rule does: edit for public and internal, masked for confidential, none for
	// restricted and secret.
	// +required
	Class SensitivityClass `json:"class"`

	// mask says what somebody with level masked sees. Unset hides the value whole (Full).
	// +optional
	Mask *Mask `json:"mask,omitempty"`
}

// Mask says how a masked value is shown.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'Keep' || (!has(self.keepFirst) && !has(self.keepLast))",message="keepFirst and keepLast belong to type Keep: leave them away, or use Keep"
type Mask struct {
	// type is Keep (the first and last characters stay), Email (two characters and the domain stay), Year (only the
	// year of a date stays), Full (nothing stays) or Listed (that there is something is shown, not its content).
	// +kubebuilder:validation:Enum=Keep;Email;Year;Full;Listed
	// +required
	Type string `json:"type"`

	// keepFirst is how many characters stay at the beginning, at most 32. Defaults to 0. Only for Keep.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	// +optional
	KeepFirst int32 `json:"keepFirst,omitempty"`

	// keepLast is how many characters stay at the end, at most 32. Defaults to 0. Only for Keep.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	// +optional
	KeepLast int32 `json:"keepLast,omitempty"`
}

// AccessFrom names the parent whose record decides.
type AccessFrom struct {
	// object is the name of the parent's ObjectType.
	// +required
	Object Reference `json:"object"`

	// field is the field of this object that holds the id of the parent record.
	// +required
	Field Identifier `json:"field"`
}

// Storage says which table of the CRM's database holds the records.
type Storage struct {
	// table is the table, or schema.table.
	// +kubebuilder:validation:MaxLength=127
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$`
	// +required
	Table string `json:"table"`

	// id is the column with the record's identifier.
	// +required
	ID Column `json:"id"`

	// owner is the column with the owner's user name.
	// +optional
	Owner Column `json:"owner,omitempty"`

	// department is the column with the record's department.
	// +optional
	Department Column `json:"department,omitempty"`

	// participants is the column, an array of text, with the names of the users who take part.
	// +optional
	Participants Column `json:"participants,omitempty"`

	// creator is the column with the name of the user who created the record.
	// +optional
	Creator Column `json:"creator,omitempty"`

	// tenant says which rows belong to this namespace where several tenants share the table.
	// +optional
	Tenant *TenantColumn `json:"tenant,omitempty"`

	// columns are the columns of fields whose column has another name, at most 500.
	// +kubebuilder:validation:MaxProperties=500
	// +kubebuilder:validation:XValidation:rule="self.all(field, field.matches('^[a-zA-Z][A-Za-z0-9_]{0,62}$'))",message="columns maps a field's name to its column: a field's name is a letter, then letters, digits and underscores, 63 characters at most"
	// +mapType=atomic
	// +optional
	Columns map[string]Column `json:"columns,omitempty"`
}

// TenantColumn marks the rows of one tenant.
type TenantColumn struct {
	// column is the column that holds the tenant.
	// +required
	Column Column `json:"column"`

	// value is what the column holds in this namespace's rows.
	// +required
	Value Value `json:"value"`
}

// Column is the name of a column: a letter or underscore, then letters, digits and underscores, 63 characters at most.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]{0,62}$`
type Column string

// ObjectTypeList is a list of object types.
//
// +kubebuilder:object:root=true
type ObjectTypeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ObjectType `json:"items"`
}
