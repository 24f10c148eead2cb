package plan_test

import (
	"math/rand/v2"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// planned is an organisation in which everything can be asked.
var planned = accesstest.Size{Objects: 4, Departments: 13, Users: 50, Roles: 12, GrantsPerRole: 6, Bindings: 70, Temporary: 40, InheritEvery: 2}

// worldEdit changes something of declarations, whose lists are its own and whose elements are not.
type worldEdit func(*rand.Rand, *access.Declarations)

// edits are what a pull request may do, by what it is called.
var edits = map[string]worldEdit{
	"a user moves to another department": inOneUser(func(random *rand.Rand, _ *access.Declarations, u *access.User) {
		u.Departments = []string{accesstest.Pick(random, "dept", planned.Departments)}
	}),
	"a user joins a second department": inOneUser(func(random *rand.Rand, _ *access.Declarations, u *access.User) {
		u.Departments = append(slices.Clip(u.Departments), accesstest.Pick(random, "dept", planned.Departments))
	}),
	"a user reports to another": func(random *rand.Rand, d *access.Declarations) {
		i := 1 + random.IntN(planned.Users-1) // managers come first: nobody reports to themselves
		change(d.Users, i, func(u *access.User) { u.Manager = accesstest.Pick(random, "user", i) })
	},
	"a department moves": func(random *rand.Rand, d *access.Declarations) {
		i := 1 + random.IntN(planned.Departments-1)
		change(d.Departments, i, func(dep *access.Department) { dep.Parent = accesstest.Pick(random, "dept", i) })
	},
	"a role's grant is another": inOneRole(func(random *rand.Rand, r *access.Role) {
		g := accesstest.NewGrant(random, planned)
		g.Records.Scopes = 1 << random.IntN(6)
		r.Grants[random.IntN(len(r.Grants))] = g
	}),
	"a role's grant is wider or narrower": inOneRole(func(random *rand.Rand, r *access.Role) {
		r.Grants[random.IntN(len(r.Grants))].Records.Scopes = access.Scopes(1 + random.IntN(63))
	}),
	"a role's grant has another field rule": inOneRole(func(random *rand.Rand, r *access.Role) {
		r.Grants[random.IntN(len(r.Grants))].Fields = []access.FieldRule{{Class: access.Class(1 + random.IntN(5)), Level: access.Level(random.IntN(4))}}
	}),
	"a role's grant has other conditions": inOneRole(func(random *rand.Rand, r *access.Role) {
		r.Grants[random.IntN(len(r.Grants))].Where = []access.Condition{{
			Field: oneOf(random, []string{"field_0", "field_1", "field_3", "field_4"}), Operator: oneOf(random, []access.Operator{access.OperatorIn, access.OperatorNotIn, access.OperatorExists}),
			Values: []string{oneOf(random, []string{"east", "west", "open"}), accesstest.Pick(random, "dept", planned.Departments), accesstest.Pick(random, "user", planned.Users)},
		}}
	}),
	"a role inherits another, or less of it": inOneRole(func(random *rand.Rand, r *access.Role) {
		mute := access.Mute{Object: accesstest.Pick(random, "object", planned.Objects), Actions: accesstest.Actions[:1+random.IntN(5)]}
		r.Inherits = []access.Inheritance{{Role: accesstest.Pick(random, "role", planned.Roles), Mute: []access.Mute{mute}}}
	}),
	"a role is abstract": inOneRole(func(_ *rand.Rand, r *access.Role) { r.Abstract = !r.Abstract }),
	"a binding is new": func(random *rand.Rand, d *access.Declarations) {
		b := &access.UserBinding{Name: "binding-new-" + accesstest.Pick(random, "n", 1000), Roles: []string{accesstest.Pick(random, "role", planned.Roles)}}
		b.Subjects = []access.Subject{{User: accesstest.Pick(random, "user", planned.Users)}, {Selector: access.Selector{Department: accesstest.Pick(random, "dept", planned.Departments)}}}
		d.UserBindings = append(d.UserBindings, b)
	},
	"a binding is gone": func(random *rand.Rand, d *access.Declarations) { d.UserBindings = without(random, d.UserBindings) },
	"a binding is of another role": func(random *rand.Rand, d *access.Declarations) {
		change(d.UserBindings, random.IntN(len(d.UserBindings)), func(b *access.UserBinding) { b.Roles = []string{accesstest.Pick(random, "role", planned.Roles)} })
	},
	"a temporary grant is gone": func(random *rand.Rand, d *access.Declarations) {
		d.TemporaryGrants = without(random, d.TemporaryGrants)
	},
	"a temporary grant is later": inOneGrant(func(random *rand.Rand, g *access.TemporaryGrant) {
		by := schedule.Instant(random.IntN(300))
		g.Window = schedule.Window{NotBefore: g.Window.NotBefore + by, NotAfter: g.Window.NotAfter + by}
	}),
	"a temporary grant is longer": inOneGrant(func(random *rand.Rand, g *access.TemporaryGrant) {
		g.Window.NotAfter += schedule.Instant(random.IntN(300))
	}),
	"a temporary grant is of other records": inOneGrant(func(random *rand.Rand, g *access.TemporaryGrant) {
		g.Grants = slices.Clone(g.Grants)
		g.Grants[0].Records = access.Records{Owners: []string{accesstest.Pick(random, "user", planned.Users), accesstest.Pick(random, "user", planned.Users)}}
		if random.IntN(2) == 0 {
			g.Grants[0].Records = access.Records{DepartmentTrees: []string{accesstest.Pick(random, "dept", planned.Departments)}}
		}
	}),
	"a temporary grant is new": func(random *rand.Rand, d *access.Declarations) {
		g := *oneOf(random, d.TemporaryGrants)
		g.Name, g.Users = "grant-new-"+accesstest.Pick(random, "n", 1000), []string{accesstest.Pick(random, "user", planned.Users), accesstest.Pick(random, "user", planned.Users)}
		d.TemporaryGrants = append(d.TemporaryGrants, &g)
	},
	"a user leaves":            inOneUser(func(_ *rand.Rand, _ *access.Declarations, u *access.User) { u.State = access.StateDeparted }),
	"a user is external":       inOneUser(func(_ *rand.Rand, _ *access.Declarations, u *access.User) { u.Type = access.UserExternal }),
	"a user is gone":           func(random *rand.Rand, d *access.Declarations) { d.Users = without(random, d.Users) },
	"a user is there or again": inOneUser(func(_ *rand.Rand, _ *access.Declarations, u *access.User) { u.State = access.StateActive }),
	"a revocation is new": func(random *rand.Rand, d *access.Declarations) {
		d.Revocations = append(d.Revocations, accesstest.NewRevocation(random, *d, 4+random.IntN(4)))
	},
	"a field is of another class": inOneObject(func(random *rand.Rand, o *access.ObjectType) {
		o.Fields[random.IntN(len(o.Fields))].Class = access.Class(1 + random.IntN(5))
	}),
	"a field is new": inOneObject(func(random *rand.Rand, o *access.ObjectType) {
		o.Fields = append(o.Fields, access.Field{Name: "field_new", Class: access.Class(1 + random.IntN(5))})
	}),
	"an action is gone": inOneObject(func(_ *rand.Rand, o *access.ObjectType) { o.Actions = o.Actions[:len(o.Actions)-1] }),
	"another field holds the department": inOneObject(func(random *rand.Rand, o *access.ObjectType) {
		o.DepartmentField = oneOf(random, []string{"", "field_1", "field_4"})
	}),
	"an object is disabled": inOneObject(func(random *rand.Rand, o *access.ObjectType) { o.Disabled = random.IntN(4) == 0 }),
}

func inOneUser(do func(*rand.Rand, *access.Declarations, *access.User)) worldEdit {
	return func(random *rand.Rand, d *access.Declarations) {
		change(d.Users, random.IntN(len(d.Users)), func(u *access.User) { do(random, d, u) })
	}
}

func inOneRole(do func(*rand.Rand, *access.Role)) worldEdit {
	return func(random *rand.Rand, d *access.Declarations) {
		change(d.Roles, random.IntN(len(d.Roles)), func(r *access.Role) {
			r.Grants = slices.Clone(r.Grants)
			do(random, r)
		})
	}
}

func inOneGrant(do func(*rand.Rand, *access.TemporaryGrant)) worldEdit {
	return func(random *rand.Rand, d *access.Declarations) {
		change(d.TemporaryGrants, random.IntN(len(d.TemporaryGrants)), func(g *access.TemporaryGrant) { do(random, g) })
	}
}

func inOneObject(do func(*rand.Rand, *access.ObjectType)) worldEdit {
	return func(random *rand.Rand, d *access.Declarations) {
		change(d.ObjectTypes, random.IntN(len(d.ObjectTypes)), func(o *access.ObjectType) {
			o.Fields = slices.Clone(o.Fields)
			do(random, o)
		})
	}
}

// change puts a changed copy of an element in its place.
func change[T any](list []*T, i int, do func(*T)) {
	changed := *list[i]
	do(&changed)
	list[i] = &changed
}

func without[T any](random *rand.Rand, list []*T) []*T {
	i := random.IntN(len(list))
	return slices.Delete(list, i, i+1)
}

func oneOf[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// edited is a copy of declarations with edits made to it, and what these are called.
func edited(random *rand.Rand, d access.Declarations, names []string, count int) (access.Declarations, []string) {
	d = ownLists(d)
	var made []string
	for range count {
		name := oneOf(random, names)
		edits[name](random, &d)
		made = append(made, name)
	}
	return d, made
}

func ownLists(d access.Declarations) access.Declarations {
	d.ObjectTypes, d.Departments, d.Users, d.Roles = slices.Clone(d.ObjectTypes), slices.Clone(d.Departments), slices.Clone(d.Users), slices.Clone(d.Roles)
	d.UserBindings, d.TemporaryGrants = slices.Clone(d.UserBindings), slices.Clone(d.TemporaryGrants)
	d.Guardrails, d.Approvals, d.Revocations = slices.Clone(d.Guardrails), slices.Clone(d.Approvals), slices.Clone(d.Revocations)
	return d
}
