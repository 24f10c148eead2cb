package access

import "github.com/crmaccess/crm-access-operator/internal/schedule"

// Kind is the kind of a declaration, spelled as in the API.
type Kind string

// The kinds that declare access.
const (
	KindRole           Kind = "Role"
	KindUserBinding    Kind = "UserBinding"
	KindTemporaryGrant Kind = "TemporaryGrant"
	KindUser           Kind = "User"
	KindDepartment     Kind = "Department"
	KindObjectType     Kind = "ObjectType"
	KindGuardrail      Kind = "Guardrail"
	KindApproval       Kind = "Approval"
	KindRevocation     Kind = "Revocation"
)

// KindShare names shares where a cause tells what access comes from. No manifest declares one.
const KindShare Kind = "Share"

// Ref names one declaration of a tenant. It owns what its text asks for.
type Ref struct {
	Kind Kind
	Name string
}

// String is Kind/name, as messages and the store write it.
func (r Ref) String() string { return string(r.Kind) + "/" + r.Name }

// Declarations are all the declarations of one tenant, in any order. The slices' elements are never changed by
// this package, so callers may share them.
type Declarations struct {
	ObjectTypes     []*ObjectType
	Departments     []*Department
	Users           []*User
	Roles           []*Role
	UserBindings    []*UserBinding
	TemporaryGrants []*TemporaryGrant
	Guardrails      []*Guardrail
	Approvals       []*Approval
	Revocations     []*Revocation
}

// ObjectType declares a CRM object: which fields and actions exist.
type ObjectType struct {
	Name            string
	DisplayName     string
	Disabled        bool
	LabelField      string
	OwnerField      string
	DepartmentField string
	Fields          []Field
	Actions         []string
	Variants        []Variant
	// AccessFrom, where Object is set, takes the scope of a record from its parent record.
	AccessFrom AccessFrom
	// Storage, where Table is set, says which table holds the records.
	Storage Storage
}

// AccessFrom says whose record decides: the one that Field of the child names.
type AccessFrom struct {
	Object string
	Field  string
}

// Storage says which table of the CRM's database holds the records of an object, and which of its columns hold the facts
// that decisions are made from. A column that is empty is not there: that fact is unknown of every record.
type Storage struct {
	Table        string
	ID           string
	Owner        string
	Department   string
	Participants string
	Creator      string
	// TenantColumn, where set, holds TenantValue in the rows of this tenant: the table is shared.
	TenantColumn, TenantValue string
	// Columns are the columns of fields whose column has another name.
	Columns map[string]string
}

// Variant says that a question about the action Of with the property at Value is one about Action.
type Variant struct {
	Action   string `json:"action"`
	Of       string `json:"of"`
	Property string `json:"property"`
	Value    string `json:"value"`
}

// Field is a field of an object with its sensitivity.
type Field struct {
	Name  string
	Class Class
	Mask  Mask
}

// Mask says how a masked value is shown. An empty Type shows nothing (Full).
type Mask struct {
	Type      string `json:"type,omitempty"`
	KeepFirst int    `json:"keepFirst,omitempty"`
	KeepLast  int    `json:"keepLast,omitempty"`
}

// Department is a node of the organisation tree. Parent is empty at the root.
type Department struct {
	Name        string
	DisplayName string
	Parent      string
	Manager     string
}

// User is one account.
type User struct {
	Name        string
	DisplayName string
	Title       string
	Type        UserType
	State       UserState
	Manager     string
	Successor   string
	// Departments are the user's own department first, then the others.
	Departments []string
	// Identities are the usernames under which the person logs in to the cluster.
	Identities []string
	// Logins are how identity providers know the person, for questions that name a login instead of the user.
	Logins []Login
}

// Login is an account at an identity provider. Subject and Username are two names of it; either may be empty.
type Login struct {
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"`
	Username string `json:"username"`
}

// Role bundles grants, its own and those of the roles it inherits.
type Role struct {
	Name        string
	DisplayName string
	Abstract    bool
	Privileged  bool
	Inherits    []Inheritance
	Grants      []Grant
}

// Inheritance copies the grants of a role, minus what it mutes.
type Inheritance struct {
	Role string
	Mute []Mute
}

// Mute takes actions on an object out of what one inheritance entry gives.
type Mute struct {
	Object  string
	Actions []string
}

// Grant is one undivided tuple as declared.
type Grant struct {
	Object  string
	Actions []string
	// Records says which records; a role's grant uses its Scopes only.
	Records Records
	Where   []Condition
	Fields  []FieldRule
	// OnlyFields, where not nil, makes every other field none. It raises nothing.
	OnlyFields []string
	// Users narrows a temporary grant's entry to some of its users; empty means all of them.
	Users []string
}

// Records selects records. In a role only Scopes is used; in a temporary grant exactly one of the lists is.
type Records struct {
	Scopes          Scopes
	IDs             []string
	Owners          []string
	Departments     []string
	DepartmentTrees []string
}

// Condition compares an attribute of the record. A missing attribute makes every condition false.
type Condition struct {
	Field    string
	Operator Operator
	Values   []string
}

// FieldRule sets the level of a field, or of all fields of a class.
type FieldRule struct {
	Field string
	Class Class
	Level Level
}

// UserBinding gives roles to users, named or selected.
type UserBinding struct {
	Name          string
	Subjects      []Subject
	Roles         []string
	Justification string
	// RequestedBy is the user who asked for it, who may not approve it.
	RequestedBy string
}

// Subject is a user by name, or everybody whom the selector matches.
type Subject struct {
	User     string
	Selector Selector
}

// Selector matches users exactly; its set criteria must all hold.
type Selector struct {
	Department     string
	DepartmentTree string
	Title          string
}

// TemporaryGrant gives roles, grants or both to named users between two instants.
type TemporaryGrant struct {
	Name        string
	Users       []string
	Roles       []string
	Grants      []Grant
	Window      schedule.Window
	Reason      string
	RequestedBy string
	Ticket      string
	Emergency   bool
}
