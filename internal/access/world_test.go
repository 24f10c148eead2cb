package access_test

import (
	"fmt"
	"math/rand/v2"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// size says how large a generated world is.
type size struct {
	objects, departments, users, roles, grantsPerRole, bindings, temporary, inheritEvery int
}

var worldActions = []string{"create", "read", "update", "delete", "export", "transfer", "assign", "share", "unmask"}

const (
	worldStart = schedule.Instant(1_800_000_000)
	worldSpan  = 1000
	worldField = 12
)

// newWorld makes an organisation in which every reference resolves. The same seed gives the same world.
func newWorld(random *rand.Rand, n size) Declarations {
	var d Declarations
	for i := range n.objects {
		d.ObjectTypes = append(d.ObjectTypes, newObject(i))
	}
	for i := range n.departments {
		dep := &Department{Name: name("dept", i)}
		if i > 0 {
			dep.Parent = name("dept", (i-1)/3)
		}
		d.Departments = append(d.Departments, dep)
	}
	for i := range n.users {
		d.Users = append(d.Users, newUser(random, n, i))
	}
	for i := range n.roles {
		d.Roles = append(d.Roles, newRole(random, n, i))
	}
	for i := range n.bindings {
		b := &UserBinding{Name: name("binding", i), Roles: []string{pick(random, "role", n.roles)}}
		b.Subjects = []Subject{{User: name("user", i%n.users)}}
		switch random.IntN(40) {
		case 0:
			b.Subjects = append(b.Subjects, Subject{Selector: Selector{Department: pick(random, "dept", n.departments), Title: pick(random, "title", 200)}})
		case 1:
			b.Subjects = append(b.Subjects, Subject{Selector: Selector{DepartmentTree: pick(random, "dept", n.departments), Title: pick(random, "title", 200)}})
		}
		d.UserBindings = append(d.UserBindings, b)
	}
	for i := range n.temporary {
		d.TemporaryGrants = append(d.TemporaryGrants, newTemporary(random, n, i))
	}
	return d
}

func newObject(i int) *ObjectType {
	o := &ObjectType{Name: name("object", i), Actions: worldActions, OwnerField: "field-0", DepartmentField: "field-1", Disabled: i == 7}
	for f := range worldField {
		o.Fields = append(o.Fields, Field{Name: name("field", f), Class: Class(1 + f%5)})
	}
	if i%4 == 3 {
		o.AccessFrom = AccessFrom{Object: name("object", i-1), Field: "field-2"}
	}
	return o
}

func newUser(random *rand.Rand, n size, i int) *User {
	u := &User{Name: name("user", i), Title: pick(random, "title", 200), Type: UserEmployee, State: StateActive, Departments: []string{pick(random, "dept", n.departments)}}
	if i > 0 {
		u.Manager = name("user", (i-1)/4)
	}
	switch random.IntN(20) {
	case 0:
		u.State = StateSuspended
	case 1:
		u.Type = UserExternal
	case 2, 3:
		u.Departments = append(u.Departments, pick(random, "dept", n.departments))
	}
	return u
}

func newRole(random *rand.Rand, n size, i int) *Role {
	role := &Role{Name: name("role", i), Abstract: random.IntN(20) == 0}
	for range n.grantsPerRole {
		g := newGrant(random, n)
		g.Records.Scopes = 1 << random.IntN(6)
		if random.IntN(4) == 0 {
			g.Records.Scopes |= 1 << random.IntN(5)
		}
		role.Grants = append(role.Grants, g)
	}
	if n.inheritEvery > 0 && i >= n.inheritEvery && i%n.inheritEvery == 0 {
		entry := Inheritance{Role: pick(random, "role", i/2)}
		if random.IntN(2) == 0 {
			entry.Mute = []Mute{{Object: pick(random, "object", n.objects), Actions: worldActions[:3]}}
		}
		role.Inherits = append(role.Inherits, entry)
	}
	return role
}

func newGrant(random *rand.Rand, n size) Grant {
	g := Grant{Object: pick(random, "object", n.objects)}
	for _, action := range worldActions {
		if random.IntN(3) == 0 {
			g.Actions = append(g.Actions, action)
		}
	}
	if len(g.Actions) == 0 || random.IntN(3) > 0 {
		g.Actions = append(g.Actions, "read")
	}
	switch random.IntN(20) {
	case 0:
		g.Where = []Condition{{Field: "field-3", Operator: OperatorIn, Values: []string{"east", "west"}}}
	case 1:
		g.Where = []Condition{{Field: "field-3", Operator: OperatorNotIn, Values: []string{"east"}}}
	}
	if random.IntN(2) == 0 {
		g.Fields = append(g.Fields, FieldRule{Class: Class(3 + random.IntN(3)), Level: Level(random.IntN(4))})
	}
	if random.IntN(2) == 0 {
		g.Fields = append(g.Fields, FieldRule{Field: pick(random, "field", worldField), Level: Level(random.IntN(4))})
	}
	return g
}

func newTemporary(random *rand.Rand, n size, i int) *TemporaryGrant {
	start := worldStart + schedule.Instant(random.IntN(worldSpan))
	t := &TemporaryGrant{Name: name("grant", i), Users: []string{pick(random, "user", n.users)}, Window: schedule.Window{NotBefore: start, NotAfter: start + 1 + schedule.Instant(random.IntN(worldSpan))}}
	g := newGrant(random, n)
	switch random.IntN(6) {
	case 0:
		g.Records.IDs = []string{pick(random, "record", 20), pick(random, "record", 20)}
	case 1:
		g.Records.Owners = []string{pick(random, "user", n.users)}
	case 2:
		g.Records.Departments = []string{pick(random, "dept", n.departments)}
	case 3:
		g.Records.DepartmentTrees = []string{pick(random, "dept", n.departments)}
	default:
		g.Records.Scopes = ScopeAll
	}
	if random.IntN(2) == 0 {
		g.OnlyFields = []string{"field-0", "field-2", "field-3", "field-4"}
	}
	t.Grants = []Grant{g}
	if random.IntN(3) == 0 {
		t.Roles = []string{pick(random, "role", n.roles)}
	}
	return t
}

// newRequest asks something of the world; the record is drawn so that about half of the scopes hold.
func newRequest(random *rand.Rand, n size) *Request {
	user := random.IntN(n.users)
	q := &Request{User: name("user", user), Action: worldActions[random.IntN(len(worldActions))], Object: pick(random, "object", n.objects)}
	if random.IntN(3) > 0 {
		q.Action = ActionRead
	}
	if random.IntN(10) > 0 {
		q.Record = newRecord(random, n, user)
		q.Record.Parent = newRecord(random, n, user)
	}
	for _, f := range random.Perm(worldField)[:3] {
		q.Fields = append(q.Fields, name("field", f))
	}
	return q
}

func newRecord(random *rand.Rand, n size, user int) *Record {
	r := &Record{ID: pick(random, "record", 20), Department: pick(random, "dept", n.departments)}
	switch random.IntN(4) {
	case 0:
		r.Owner = name("user", user)
	case 1: // a pool
	default:
		r.Owner = pick(random, "user", n.users)
	}
	if random.IntN(3) == 0 {
		r.Participants = []string{pick(random, "user", n.users), name("user", user)}
	}
	if random.IntN(3) > 0 {
		r.Attributes = map[string][]string{"field-3": {[]string{"east", "west", "north"}[random.IntN(3)]}}
	}
	return r
}

func name(prefix string, i int) string { return fmt.Sprintf("%s-%d", prefix, i) }

func pick(random *rand.Rand, prefix string, n int) string { return name(prefix, random.IntN(n)) }
