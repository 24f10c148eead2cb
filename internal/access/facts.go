package access

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Facts are what the declarations of a tenant come to: normalised, resolved, each owned by the declaration that asks
// for it. They are what the permission store keeps and what a Policy decides from, so the store, the offline commands
// and the decision API cannot see different worlds. Expansion stops at role → tuples and user → role: nothing is
// materialised per user and permission.
type Facts struct {
	Objects     []ObjectFact
	Fields      []FieldFact
	Storages    []StorageFact
	Departments []DepartmentFact
	Closure     []ClosureFact
	Users       []UserFact
	Memberships []MembershipFact
	Lineage     []LineageFact
	Tuples      []TupleFact
	Holders     []HolderFact
	Guardrails  []GuardrailFact
	Approvals   []ApprovalFact
}

// ObjectFact is an object that exists, and its actions: exactly these exist.
type ObjectFact struct {
	Owner           Ref      `json:"-"`
	Object          string   `json:"object"`
	Enabled         bool     `json:"enabled"`
	OwnerField      string   `json:"owner_field"`
	DepartmentField string   `json:"department_field"`
	LabelField      string   `json:"label_field"`
	ParentObject    string   `json:"parent_object"`
	ParentField     string   `json:"parent_field"`
	Actions         []string `json:"actions,omitempty"`
	// Variants stand in the order in which they are tried.
	Variants []Variant `json:"variants,omitempty"`
}

// FieldFact is a field of an object.
type FieldFact struct {
	Owner  Ref    `json:"-"`
	Object string `json:"object"`
	Field  string `json:"field"`
	Class  string `json:"class"`
	Mask   Mask   `json:"mask"`
}

// StorageFact says which table holds the records of an object. What its row says of a record counts, and nothing that
// whoever asks says of it.
type StorageFact struct {
	Owner  Ref    `json:"-"`
	Object string `json:"object"`
	// Table is the table, or schema.table.
	Table              string `json:"table_name"`
	IDColumn           string `json:"id_column"`
	OwnerColumn        string `json:"owner_column"`
	DepartmentColumn   string `json:"department_column"`
	ParticipantsColumn string `json:"participants_column"`
	CreatorColumn      string `json:"creator_column"`
	TenantColumn       string `json:"tenant_column"`
	TenantValue        string `json:"tenant_value"`
	// Columns are the columns of fields whose column has another name.
	Columns map[string]string `json:"columns,omitempty"`
}

// Column is the column of a field.
func (f *StorageFact) Column(field string) string {
	if column := f.Columns[field]; column != "" {
		return column
	}
	return field
}

// DepartmentFact is a department that exists.
type DepartmentFact struct {
	Owner       Ref    `json:"-"`
	Department  string `json:"department"`
	DisplayName string `json:"display_name"`
	Parent      string `json:"parent"`
	Manager     string `json:"manager"`
}

// ClosureFact says that a department lies in the subtree of an ancestor; each lies in its own.
type ClosureFact struct {
	Owner      Ref    `json:"-"`
	Department string `json:"department"`
	Ancestor   string `json:"ancestor"`
}

// UserFact is an account that exists.
type UserFact struct {
	Owner       Ref       `json:"-"`
	User        string    `json:"user_name"`
	DisplayName string    `json:"display_name"`
	Type        UserType  `json:"type"`
	State       UserState `json:"state"`
	Manager     string    `json:"manager"`
	Successor   string    `json:"successor"`
	// RevokedBy is the Revocation in force that ends everything the user has; empty where there is none.
	RevokedBy string  `json:"revoked_by"`
	Logins    []Login `json:"logins,omitempty"`
}

// MembershipFact puts a user into a department. Primary is the user's own, the others are further ones.
type MembershipFact struct {
	Owner      Ref    `json:"-"`
	User       string `json:"user_name"`
	Department string `json:"department"`
	Primary    bool   `json:"is_primary"`
}

// TupleFact is one undivided tuple of a bundle: of a role, flattened over what it inherits, or of one entry of a
// temporary grant. Tuples that are inherited unchanged share their content.
type TupleFact struct {
	Owner  Ref    `json:"-"`
	Bundle string `json:"bundle"`
	// Path leads from the bundle's role to the tuple's origin: "sales-director > regional-manager".
	Path string `json:"path"`
	// RevokedBy is the Revocation in force of a role on the path; empty where there is none.
	RevokedBy string `json:"revoked_by"`
	*Tuple
}

// Tuple is what a tuple says. Lists are sorted and without repetition.
type Tuple struct {
	// Digest identifies origin and content; two inheritance paths that bring the same tuple are one fact.
	Digest string `json:"digest"`
	// Origin is the role or temporary grant whose text says it.
	Origin          string      `json:"origin"`
	Object          string      `json:"object"`
	Actions         []string    `json:"actions,omitempty"`
	Scopes          []string    `json:"scopes,omitempty"`
	IDs             []string    `json:"ids,omitempty"`
	Owners          []string    `json:"owners,omitempty"`
	Departments     []string    `json:"departments,omitempty"`
	DepartmentTrees []string    `json:"department_trees,omitempty"`
	Where           []WhereFact `json:"conditions,omitempty"`
	Fields          []RuleFact  `json:"field_rules,omitempty"`
	// Restricted makes every field but OnlyFields none.
	Restricted bool     `json:"restricted"`
	OnlyFields []string `json:"only_fields,omitempty"`
}

// SaysTheSame says whether two tuples give the same, whoever's text they are.
func (t *Tuple) SaysTheSame(other *Tuple) bool {
	return t == other || t.Object == other.Object && t.Restricted == other.Restricted &&
		slices.Equal(t.Actions, other.Actions) && slices.Equal(t.Scopes, other.Scopes) && slices.Equal(t.IDs, other.IDs) &&
		slices.Equal(t.Owners, other.Owners) && slices.Equal(t.Departments, other.Departments) &&
		slices.Equal(t.DepartmentTrees, other.DepartmentTrees) && slices.Equal(t.OnlyFields, other.OnlyFields) &&
		slices.Equal(t.Fields, other.Fields) && slices.EqualFunc(t.Where, other.Where, WhereFact.saysTheSame)
}

// WhereFact is a condition on an attribute of the record.
type WhereFact struct {
	Field    string   `json:"field"`
	Operator Operator `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

func (w WhereFact) saysTheSame(other WhereFact) bool {
	return w.Field == other.Field && w.Operator == other.Operator && slices.Equal(w.Values, other.Values)
}

// RuleFact is a field rule of a tuple; exactly one of Field and Class is set.
type RuleFact struct {
	Field string `json:"field,omitempty"`
	Class string `json:"class,omitempty"`
	Level string `json:"level"`
}

// HolderFact gives a user a bundle for a window, because its owner says so. Equal access that two declarations ask
// for is two facts: ending one does not end the other.
type HolderFact struct {
	Owner  Ref    `json:"-"`
	User   string `json:"user_name"`
	Bundle string `json:"bundle"`
	// Role is the role that the user holds by it, with all that the role gives; empty where it is less than that.
	Role   string          `json:"role"`
	Window schedule.Window `json:"-"`
	// RevokedBy is the Revocation in force of the owner or the role; empty where there is none.
	RevokedBy string `json:"revoked_by"`
}

// LineageFact says that a role inherits from an ancestor, over any number of steps: who holds the role counts as a
// holder of the ancestor.
type LineageFact struct {
	Owner    Ref    `json:"-"`
	Role     string `json:"role"`
	Ancestor string `json:"ancestor"`
}

// GuardrailFact is one rule of a guardrail.
type GuardrailFact struct {
	Owner Ref `json:"-"`
	// Position is the rule's place among the guardrail's, as three digits.
	Position string        `json:"position"`
	Rule     GuardrailRule `json:"rule"`
}

// ApprovalFact is one person's yes or no that was seen to be made as admission asks, and what it was about.
type ApprovalFact struct {
	Owner    Ref    `json:"-"`
	ForKind  Kind   `json:"for_kind"`
	ForName  string `json:"for_name"`
	Effect   string `json:"effect"`
	Decision string `json:"decision"`
	Approver string `json:"approver"`
	// Person is the user whom the approver was when the approval was first seen.
	Person string `json:"person"`
	// Document is the effect document, as JSON; absent where nobody has shown it.
	Document json.RawMessage `json:"document,omitempty"`
}

// RoleBundle names the bundle of a role.
func RoleBundle(role string) string { return string(KindRole) + "/" + role }

// isRoleBundle says whether the bundle is a role's own, and not what a binding or a temporary grant makes.
func isRoleBundle(bundle string) bool { return strings.HasPrefix(bundle, string(KindRole)+"/") }

// grantBundle names the bundle of one entry of a temporary grant.
func grantBundle(grant, digest string) string {
	return string(KindTemporaryGrant) + "/" + grant + "/" + digest
}

// WithoutEnded leaves out what ended at or before now: the holders, and the tuples that are no role's and that nobody
// holds any more. An expired grant stays where Git put it and costs nothing.
func (f Facts) WithoutEnded(now schedule.Instant) Facts {
	f.Holders, f.Tuples = slices.Clone(f.Holders), slices.Clone(f.Tuples)
	f.DropEnded(now)
	return f
}

// DropEnded is WithoutEnded in the lists themselves, for a caller to whom they belong.
func (f *Facts) DropEnded(now schedule.Instant) {
	f.Holders = slices.DeleteFunc(f.Holders, func(h HolderFact) bool { return h.Window.Ended(now) })
	held := make(map[string]bool)
	for i := range f.Holders {
		if bundle := f.Holders[i].Bundle; !isRoleBundle(bundle) {
			held[bundle] = true
		}
	}
	f.Tuples = slices.DeleteFunc(f.Tuples, func(t TupleFact) bool { return t.Owner.Kind != KindRole && !held[t.Bundle] })
}
