package plan

import (
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Plan is what changes between two states of a tree, tenant by tenant, in the order of their namespaces. Tenants in which
// nothing changes are left out.
type Plan struct {
	// Base and Head name the two states as whoever asked named them: a revision, a folder, a cluster.
	Base, Head string
	// At is the instant from which on access is compared; what ended before it is nobody's.
	At      schedule.Instant
	Tenants []*Tenant
	// Rules are those that the changes were judged by, for reports that explain them.
	Rules []Rule
}

// State is one side of a comparison: what is declared, and where each declaration stands.
type State struct {
	Declarations access.Declarations
	Sources      map[access.Ref]manifest.Source
	// Locate finds the line of a field of a declaration, such as spec.grants[2].scopes. It may be nil: causes then name
	// the line of the object.
	Locate func(object manifest.Source, field string) manifest.Source
	// Stored, where not nil, is what a permission store holds, in place of what the declarations come to. Strays are the
	// declarations of which it holds something else than follows from them, since somebody wrote to it.
	Stored *access.Facts
	Strays []access.Ref
}

// Tenant is what changes in one tenant. Every list is in its final order.
type Tenant struct {
	Namespace string
	// Changes are rows of effective access, the riskiest first.
	Changes []*Change
	// Rules are guardrails that are added, removed, tightened or weakened.
	Rules []*RuleChange
	// People join, move, leave, or change their state.
	People []*PersonChange
	// Approvals are what head waits for, and does not confer before it is given.
	Approvals []*Approval
	// Upcoming is what changes by itself in head within Options.Horizon, the earliest first.
	Upcoming []*Upcoming
	// Findings are what of head does not compile or wants a second look, and base had not.
	Findings []*Finding
}

// Sign says in which direction a change goes.
type Sign string

// The signs, as a table prints them.
const (
	Gain Sign = "+"
	Loss Sign = "-"
	// Shift is a change that gives on some records or at some time and takes on others: another department, another window.
	Shift Sign = "~"
)

// Change is one row: during Window, each of People may do Actions to, and has Fields on, the records After in place of the
// records Before. Any of the lists may be empty; actions and fields stand in one row where all else is the same.
type Change struct {
	Sign    Sign
	Risk    Risk
	Object  string
	Actions []string
	// Fields are levels that are reached: the records are those on which the level of the field is at least this one.
	Fields []FieldLevel
	// Wider are actions that need no approval where they are held by a wider scope than a guardrail asks about: the records
	// are those that are so held.
	Wider []Reach
	// Before and After are unions: a record counts that any of them takes in. Empty is no record at all. Scopes in Before
	// mean what they do in base, those in After what they do in head; where that is not the same, because people or
	// departments have moved, the owners and departments that only one of them takes in are named beside the scope.
	Before, After []Records
	// Window is when. What is so from Options.At on has no beginning.
	Window schedule.Window
	// Was, where access has moved in time alone, is the window that it had, and Window the one that it has. In either, the
	// records are After, and at all other times Before. It is a Gain where the window grows, a Loss where it shrinks.
	Was *schedule.Window
	// People are all whom the row is about, in the order of their names.
	People []Person
	Causes []Cause
}

// FieldLevel is a field at a level, and at each level between From and it: a row that takes a field from masked to edit is
// about read and edit, and says nothing about where it is masked.
type FieldLevel struct {
	Field string
	Class access.Class
	From  access.Level
	Level access.Level
	// Proposed is about records that are to be created: whether the field may be filled in, which is edit.
	Proposed bool
}

// Reach is an action that is held by a wider scope than Beyond.
type Reach struct {
	Action string
	Beyond string
}

// Records takes records in as a grant does, in the person's own terms: by scope (own, department, all, …), and by what a
// grant names. A record is taken in where every condition of Where holds and one of the other lists takes it in.
type Records struct {
	// Scopes are in the order of access.Scopes.Names, the narrowest first.
	Scopes          []string
	IDs             []string
	Owners          []string
	Participants    []string
	Departments     []string
	DepartmentTrees []string
	Where           []access.WhereFact
}

// Person is one of those whom a change is about, with the ways by which the access comes, or came where it is lost.
type Person struct {
	User        string
	DisplayName string
	Paths       []Path
}

// Path leads from a binding or temporary grant over the roles to the grant whose text says it.
type Path struct {
	Owner access.Ref
	// Roles leads from the role held to the one whose text says it: "sales-director > regional-manager"; of a temporary
	// grant it is empty.
	Roles string
	// Grant is the access in short: sales-rep:read=own.
	Grant string
	// Until is when this way ends, or schedule.Forever.
	Until  schedule.Instant
	Source manifest.Source
}

// Cause is a declaration whose text differs between the two states, and which the change comes from.
type Cause struct {
	Ref access.Ref
	// Verb is what happened to the declaration: added, removed, changed, strayed.
	Verb Verb
	// Field is the first place in it that differs, such as spec.grants[2].scopes; empty where it was added or removed.
	Field string
	// Source is the place in head; of a removed declaration the one in base.
	Source manifest.Source
}

// Verb is what happened to a declaration.
type Verb string

// The verbs.
const (
	Added   Verb = "added"
	Removed Verb = "removed"
	Changed Verb = "changed"
	// Strayed is a declaration of which a store holds something else than follows from it.
	Strayed Verb = "strayed"
)

// Risk is what the rules say of a change.
type Risk struct {
	Severity Severity
	// Rules are the names of the rules that apply, the most severe first.
	Rules []string
	// Forbidden says that one of the rules forbids the change.
	Forbidden bool
}

// RuleChange is a guardrail's rule that is there before or after only, or differs.
type RuleChange struct {
	// Sign is Gain where people may do more by it, Loss where less, Shift where both.
	Sign      Sign
	Risk      Risk
	Guardrail string
	// Held says that the guardrail is gone from head: a cluster keeps its rules in force all the same, until its removal is
	// approved or released.
	Held bool
	// Before and After are the rule in words; empty where there is none. Was and Is are the rule itself.
	Before, After string
	Was, Is       *access.GuardrailRule
	// Object and Actions are what it is about; People are those whose answers differ for it.
	Object  string
	Actions []string
	Fields  []FieldLevel
	People  []Person
	Causes  []Cause
}

// PersonChange is somebody who joins, moves, leaves, or whose state or line changes.
type PersonChange struct {
	User        string
	DisplayName string
	// What happens to the account: one of the constants below.
	What string
	// From and To are the departments, state, manager or logins before and after.
	From, To string
	Risk     Risk
	Causes   []Cause
}

// Approval is what one person is to get and what waits until somebody has approved it.
type Approval struct {
	Ref  access.Ref
	User string
	// Effect is the digest that an Approval names: valid if this change is merged alone.
	Effect       string
	Rule         string
	Needed, Have int
	From         []string
	// Document is the effect as canonical JSON.
	Document []byte
	Source   manifest.Source
}

// Upcoming is something that changes by itself.
type Upcoming struct {
	At   schedule.Instant
	Sign Sign
	Ref  access.Ref
	// People are whom it concerns; Grant is the access in short.
	People []Person
	Grant  string
	// Rule is the rule of a guardrail that begins or ends to deny; nil where it is a grant.
	Rule   *access.GuardrailRule
	Source manifest.Source
}

// Finding is a fault or a remark about head.
type Finding struct {
	Ref     access.Ref
	Field   string
	Message string
	// Format and Args are the message in parts, for who tells it in another language.
	Format string
	Args   []string
	// Advice says that it changes nobody's access.
	Advice bool
	Source manifest.Source
}
