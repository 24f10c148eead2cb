package accesstest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Size says how large a generated organisation is.
type Size struct {
	Objects, Departments, Users, Roles, GrantsPerRole, Bindings, Temporary int
	// InheritEvery says which roles inherit from an earlier one: every second, third, …; zero none.
	InheritEvery int
}

// Small is large enough for every rule to decide something, and small enough to make thousands.
var Small = Size{Objects: 9, Departments: 13, Users: 25, Roles: 14, GrantsPerRole: 12, Bindings: 60, Temporary: 25, InheritEvery: 2}

// Actions are those that every object has.
var Actions = []string{"create", "read", "update", "delete", "export", "transfer", "assign", "share", "unmask"}

// Windows of temporary grants and guardrails begin within Span seconds of Start.
const (
	Start = schedule.Instant(1_800_000_000)
	Span  = 1000
)

// Fields is how many fields every object has: field_0 is its owner's, field_1 its department's, and field_2 names the
// parent record where the object takes its access from one.
const Fields = 12

const (
	ownerField      = "field_0"
	departmentField = "field_1"
	parentField     = "field_2"
	regionField     = "field_3"
	stageField      = "field_4"
)

var (
	regions = []string{"east", "north", "west"}
	stages  = []string{"lost", "open", "won"}
)

// NewWorld makes an organisation with guardrails of every form and some revocations, in which every reference resolves.
// The same draws give the same world.
func NewWorld(random *rand.Rand, n Size) access.Declarations {
	d := NewOrganisation(random, n)
	d.Guardrails = append(NewGuardrails(random, d), newLongest())
	for i := range 4 {
		d.Revocations = append(d.Revocations, NewRevocation(random, d, i))
	}
	return d
}

// NewOrganisation makes objects, people and what they are granted, without anything that takes away.
func NewOrganisation(random *rand.Rand, n Size) access.Declarations {
	var d access.Declarations
	for i := range n.Objects {
		d.ObjectTypes = append(d.ObjectTypes, newObject(i))
	}
	for i := range n.Departments {
		department := &access.Department{Name: Name("dept", i)}
		if i > 0 {
			department.Parent = Name("dept", (i-1)/3)
		}
		d.Departments = append(d.Departments, department)
	}
	for i := range n.Users {
		d.Users = append(d.Users, newUser(random, n, i))
	}
	for i := range n.Roles {
		d.Roles = append(d.Roles, newRole(random, n, i))
	}
	for i := range n.Bindings {
		d.UserBindings = append(d.UserBindings, newBinding(random, n, i))
	}
	for i := range n.Temporary {
		d.TemporaryGrants = append(d.TemporaryGrants, newTemporary(random, n, i))
	}
	return d
}

func newObject(i int) *access.ObjectType {
	o := &access.ObjectType{Name: Name("object", i), Actions: Actions, OwnerField: ownerField, DepartmentField: departmentField, Disabled: i == 7}
	for f := range Fields {
		o.Fields = append(o.Fields, access.Field{Name: fieldName(f), Class: access.Class(1 + f%5)})
	}
	if i%3 == 2 {
		o.AccessFrom = access.AccessFrom{Object: Name("object", i-1), Field: parentField}
	}
	return o
}

func newUser(random *rand.Rand, n Size, i int) *access.User {
	u := &access.User{Name: Name("user", i), Title: Pick(random, "title", 200), Type: access.UserEmployee, State: access.StateActive, Departments: []string{Pick(random, "dept", n.Departments)}}
	if i > 0 {
		u.Manager = Name("user", (i-1)/2)
	}
	switch random.IntN(40) {
	case 0:
		u.State = access.StateSuspended
	case 1:
		u.State = access.StateDeparted
	case 2, 3, 4:
		u.Type = access.UserExternal
	case 5, 6:
		u.Type = access.UserService
	case 7, 8, 9, 10, 11:
		u.Departments = append(u.Departments, Pick(random, "dept", n.Departments))
	}
	return u
}

func newRole(random *rand.Rand, n Size, i int) *access.Role {
	role := &access.Role{Name: Name("role", i), Abstract: random.IntN(12) == 0}
	for range n.GrantsPerRole {
		g := NewGrant(random, n)
		g.Records.Scopes = 1 << random.IntN(6)
		if random.IntN(4) == 0 {
			g.Records.Scopes |= 1 << random.IntN(5)
		}
		role.Grants = append(role.Grants, g)
	}
	if n.InheritEvery > 0 && i >= n.InheritEvery && i%n.InheritEvery == 0 {
		entry := access.Inheritance{Role: Pick(random, "role", i/2)}
		for range 2 + random.IntN(8) {
			entry.Mute = append(entry.Mute, access.Mute{Object: Pick(random, "object", n.Objects), Actions: Actions[:6]})
		}
		role.Inherits = append(role.Inherits, entry)
	}
	return role
}

func newBinding(random *rand.Rand, n Size, i int) *access.UserBinding {
	b := &access.UserBinding{Name: Name("binding", i), Roles: []string{Pick(random, "role", n.Roles)}}
	b.Subjects = []access.Subject{{User: Name("user", i%n.Users)}}
	switch random.IntN(40) {
	case 0:
		b.Subjects = append(b.Subjects, access.Subject{Selector: access.Selector{Department: Pick(random, "dept", n.Departments), Title: Pick(random, "title", 200)}})
	case 1:
		b.Subjects = append(b.Subjects, access.Subject{Selector: access.Selector{DepartmentTree: Pick(random, "dept", n.Departments), Title: Pick(random, "title", 200)}})
	}
	return b
}

// NewGrant makes a grant of everything but which records.
func NewGrant(random *rand.Rand, n Size) access.Grant {
	g := access.Grant{Object: Pick(random, "object", n.Objects)}
	for _, action := range Actions {
		if random.IntN(3) == 0 {
			g.Actions = append(g.Actions, action)
		}
	}
	if len(g.Actions) == 0 || (random.IntN(3) > 0 && !slices.Contains(g.Actions, access.ActionRead)) {
		g.Actions = append(g.Actions, access.ActionRead)
	}
	switch random.IntN(20) {
	case 0:
		g.Where = []access.Condition{{Field: regionField, Operator: access.OperatorIn, Values: []string{"east", "west"}}}
	case 1:
		g.Where = []access.Condition{{Field: regionField, Operator: access.OperatorNotIn, Values: []string{"east"}}}
	case 2:
		g.Where = []access.Condition{{Field: regionField, Operator: access.OperatorExists}, {Field: stageField, Operator: access.OperatorIn, Values: []string{"open"}}}
	case 3:
		g.Where = []access.Condition{{Field: departmentField, Operator: access.OperatorNotIn, Values: []string{Pick(random, "dept", n.Departments)}}}
	}
	if random.IntN(2) == 0 {
		g.Fields = append(g.Fields, access.FieldRule{Class: access.Class(3 + random.IntN(3)), Level: access.Level(random.IntN(4))})
	}
	if random.IntN(2) == 0 {
		g.Fields = append(g.Fields, access.FieldRule{Field: fieldName(random.IntN(Fields)), Level: access.Level(random.IntN(4))})
	}
	return g
}

// newTemporary makes a temporary grant; externals and others get it alike.
func newTemporary(random *rand.Rand, n Size, i int) *access.TemporaryGrant {
	start := Start + schedule.Instant(random.IntN(Span))
	t := &access.TemporaryGrant{
		Name: Name("grant", i), Users: []string{Pick(random, "user", n.Users)},
		Window: schedule.Window{NotBefore: start, NotAfter: start + 1 + schedule.Instant(random.IntN(Span))},
	}
	g := NewGrant(random, n)
	switch random.IntN(10) {
	case 0, 1:
		g.Records.IDs = []string{Pick(random, "record", records), Pick(random, "record", records)}
	case 2, 3:
		g.Records.Owners = []string{Pick(random, "user", n.Users)}
	case 4, 5:
		g.Records.Departments = []string{Pick(random, "dept", n.Departments)}
	case 6, 7:
		g.Records.DepartmentTrees = []string{Pick(random, "dept", n.Departments)}
	case 8:
		g.Records.Scopes = 1 << random.IntN(5)
	default:
		g.Records.Scopes = access.ScopeAll
	}
	if random.IntN(2) == 0 {
		g.OnlyFields = []string{ownerField, parentField, regionField, stageField}
	}
	t.Grants = []access.Grant{g}
	if random.IntN(3) == 0 {
		t.Roles = []string{Pick(random, "role", n.Roles)}
	}
	return t
}

// NewRevocation ends something of the world: a user, a role, a binding or a grant, in turn.
func NewRevocation(random *rand.Rand, d access.Declarations, i int) *access.Revocation {
	target := []access.Ref{
		{Kind: access.KindUser, Name: oneOf(random, d.Users).Name}, {Kind: access.KindRole, Name: oneOf(random, d.Roles).Name},
		{Kind: access.KindUserBinding, Name: oneOf(random, d.UserBindings).Name}, {Kind: access.KindTemporaryGrant, Name: oneOf(random, d.TemporaryGrants).Name},
	}[i%4]
	return &access.Revocation{Name: Name("revocation", i), Target: target}
}

// Name is the i-th of its kind: a valid name of a Kubernetes object.
func Name(prefix string, i int) string { return fmt.Sprintf("%s-%d", prefix, i) }

// fieldName is a valid identifier, so that fields can be columns.
func fieldName(i int) string { return fmt.Sprintf("field_%d", i) }

// Pick is one of n names of its kind.
func Pick(random *rand.Rand, prefix string, n int) string { return Name(prefix, random.IntN(n)) }

func oneOf[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }
