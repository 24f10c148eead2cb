package rivals

import (
	"math/rand/v2"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// size is how large an organisation is.
type size struct {
	users, roles, objects, departments int
}

const (
	rolesPerUser  = 2
	grantsPerRole = 12
	recordsAsked  = 1000
)

var actions = []string{access.ActionRead, access.ActionUpdate, access.ActionExport}

// scopes are those that every rival can express.
var scopes = []access.Scopes{access.ScopeOwn, access.ScopeDepartment, access.ScopeDepartmentAndBelow, access.ScopeAll}

// newOrganisation is what all rivals can express: people in a tree of departments, roles without inheritance, and grants of
// actions on the records of an object, by scope. Fields, windows, conditions and guardrails, which some of them cannot,
// are left out, to the advantage of the others.
func newOrganisation(random *rand.Rand, n size) access.Declarations {
	var d access.Declarations
	for i := range n.objects {
		d.ObjectTypes = append(d.ObjectTypes, &access.ObjectType{Name: accesstest.Name("object", i), Actions: actions})
	}
	for i := range n.departments {
		department := &access.Department{Name: accesstest.Name("dept", i)}
		if i > 0 {
			department.Parent = accesstest.Name("dept", (i-1)/3)
		}
		d.Departments = append(d.Departments, department)
	}
	for i := range n.roles {
		d.Roles = append(d.Roles, newRole(random, n, i))
	}
	for i := range n.users {
		u := &access.User{Name: accesstest.Name("user", i), Type: access.UserEmployee, State: access.StateActive, Departments: []string{accesstest.Pick(random, "dept", n.departments)}}
		d.Users = append(d.Users, u)
		b := &access.UserBinding{Name: accesstest.Name("binding", i), Subjects: []access.Subject{{User: u.Name}}}
		for range rolesPerUser {
			b.Roles = append(b.Roles, accesstest.Pick(random, "role", n.roles))
		}
		d.UserBindings = append(d.UserBindings, b)
	}
	return d
}

func newRole(random *rand.Rand, n size, i int) *access.Role {
	role := &access.Role{Name: accesstest.Name("role", i)}
	for range grantsPerRole {
		g := access.Grant{Object: accesstest.Pick(random, "object", n.objects), Actions: []string{access.ActionRead}}
		if random.IntN(2) == 0 {
			g.Actions = append(g.Actions, actions[1+random.IntN(2)])
		}
		g.Records.Scopes = scopes[random.IntN(len(scopes))]
		role.Grants = append(role.Grants, g)
	}
	return role
}

// newRequests ask about records; every third is the user's own.
func newRequests(random *rand.Rand, n size, count int) []*access.Request {
	requests := make([]*access.Request, count)
	for i := range requests {
		q := &access.Request{User: accesstest.Pick(random, "user", n.users), Action: actions[random.IntN(len(actions))], Object: accesstest.Pick(random, "object", n.objects)}
		q.Record = &access.Record{ID: accesstest.Pick(random, "record", recordsAsked), Owner: accesstest.Pick(random, "user", n.users), Department: accesstest.Pick(random, "dept", n.departments)}
		if random.IntN(3) == 0 {
			q.Record.Owner = q.User
		}
		requests[i] = q
	}
	return requests
}

// now is the instant of all questions: nothing here begins or ends.
const now = schedule.Instant(1_800_000_000)
