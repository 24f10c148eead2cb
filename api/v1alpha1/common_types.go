package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Reference is the name of another object of the same namespace: at most 63 characters, lower case.
// That it exists is not checked on apply, so order never matters: it takes effect when the other object arrives.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
type Reference string

// Identifier is the name of a field or an action of a CRM object: a letter, then letters, digits and underscores, 63
// characters at most. Upper and lower case are different.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-zA-Z][A-Za-z0-9_]{0,62}$`
type Identifier string

// Label is one line of text for people, in any language, 128 characters at most.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`!self.matches('[\\p{Cc}\\p{Zl}\\p{Zp}]')`,message="must be one line of text: take out tabs, line breaks and other control characters"
type Label string

// Sentence is one line of text for people, in any language, 1024 characters at most.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`!self.matches('[\\p{Cc}\\p{Zl}\\p{Zp}]')`,message="must be one line of text: take out tabs, line breaks and other control characters"
type Sentence string

// Value is a value of a record's field as text, compared exactly after Unicode normalisation (NFC); 128 characters at
// most, no control characters.
//
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]*$`
type Value string

// RecordID is the identifier of one record in the CRM, 63 characters at most, no control characters.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]*$`
type RecordID string

// SensitivityClass says how sensitive a field is, least sensitive first.
//
// +kubebuilder:validation:Enum=public;internal;confidential;restricted;secret
type SensitivityClass string

// FieldLevel says what may be done with a field, narrowest first: none hides it, masked shows its mask, read shows
// its value, edit also changes it.
//
// +kubebuilder:validation:Enum=none;masked;read;edit
type FieldLevel string

// Scope says which records: own (the user owns the record), involved (the user is a participant), subordinates (the
// owner reports to the user, directly or not), department (the record's department is one of the user's),
// departmentAndBelow (it is in the subtree of one of them), all (the namespace).
//
// +kubebuilder:validation:Enum=own;involved;subordinates;department;departmentAndBelow;all
type Scope string

// Instant is an absolute point in time: RFC 3339 in whole seconds with an offset, such as 2026-12-31T09:00:00+08:00
// or 2026-12-31T01:00:00Z. It is kept as written.
//
// It is text rather than metav1.Time because that type rewrites every offset to UTC, and the object in the cluster
// would differ for ever from the one in Git.
//
// +kubebuilder:validation:MinLength=20
// +kubebuilder:validation:MaxLength=25
// +kubebuilder:validation:XValidation:rule=`self.matches('^([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')`,message="must be an instant in whole seconds with an offset (RFC 3339), such as 2026-12-31T09:00:00+08:00 or 2026-12-31T01:00:00Z"
type Instant string

// Condition compares a field of the record with values. All conditions of a grant must hold.
//
// +kubebuilder:validation:XValidation:rule="self.operator == 'Exists' || (has(self.values) && size(self.values) > 0)",message="operators In and NotIn compare with values: name at least one"
// +kubebuilder:validation:XValidation:rule="self.operator != 'Exists' || !has(self.values) || size(self.values) == 0",message="operator Exists compares with nothing: leave values away, or use In or NotIn"
type Condition struct {
	// field is the record's attribute that is compared. Where the record has no such attribute, the condition is
	// false, whatever its operator.
	// +required
	Field Identifier `json:"field"`

	// operator is In (the attribute is one of values), NotIn (it is none of them) or Exists (the record has it).
	// +kubebuilder:validation:Enum=In;NotIn;Exists
	// +required
	Operator string `json:"operator"`

	// values are what In and NotIn compare with, at most 32. Exists takes none.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Values []Value `json:"values,omitempty"`
}

// FieldRule sets the level of one field, or of every field of a class.
//
// +kubebuilder:validation:XValidation:rule="has(self.field) != has(self.class)",message="a field rule is for exactly one of field and class: write two rules where both are meant"
type FieldRule struct {
	// field is the field whose level is set. It beats a rule for the field's class.
	// +optional
	Field Identifier `json:"field,omitempty"`

	// class is the sensitivity class whose fields' level is set. It beats the default of the class: edit for public
	// and internal, masked for confidential, none for restricted and secret.
	// +optional
	Class SensitivityClass `json:"class,omitempty"`

	// level is none, masked, read or edit. A level is never wider than the grant's actions: edit needs update (or
	// create, on a proposed record), read needs read or update.
	// +required
	Level FieldLevel `json:"level"`
}

// The values of the API's enumerations that more than one package needs. Those of the engine's vocabulary (scopes,
// levels, classes, operators, account types and states) stand in package access, spelled the same.
const (
	StateEnabled  = "Enabled"
	StateDisabled = "Disabled"
	StateRetired  = "Retired"

	MaskKeep   = "Keep"
	MaskEmail  = "Email"
	MaskYear   = "Year"
	MaskFull   = "Full"
	MaskListed = "Listed"

	DriverPostgres = "postgres"
	DriverSQLite   = "sqlite"

	DriftObserve = "Observe"
	DriftEnforce = "Enforce"

	DecisionApprove = "Approve"
	DecisionDeny    = "Deny"

	// ReasonGivenMissing is deny.when.reason of a request that gives no reason.
	ReasonGivenMissing = "Missing"
	// TargetDepartmentOther is approve.when.targetDepartment of a record that leaves its department.
	TargetDepartmentOther = "Other"
)

// Status is what the operator reports of an object.
type Status struct {
	// observedGeneration is the metadata.generation that the conditions are about.
	// +kubebuilder:validation:Minimum=0
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the latest findings: Ready on every object; Reconciling and Stalled only while they are true;
	// Active on a TemporaryGrant; Approved and Revoked where they apply.
	// +kubebuilder:default={{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}
