package accesstest

import (
	"math/rand/v2"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// records is how many records of an object are asked about and selected: record-0, record-1, …
const records = 20

// NewQuestion asks something of the world at an instant: mostly about somebody who was granted something, near the grant's
// bounds; now and then about what nobody has heard of.
func NewQuestion(random *rand.Rand, d access.Declarations) (schedule.Instant, *access.Request) {
	now, q := NewInstant(random, d), NewRequest(random, d)
	switch random.IntN(8) {
	case 0, 1, 2, 3:
		g := oneOf(random, d.TemporaryGrants)
		now = beside(random, g.Window)
		aim(random, d, q, oneOf(random, g.Users), oneOf(random, g.Grants))
	case 4, 5, 6:
		b := oneOf(random, d.UserBindings)
		role := (Reference{Declarations: d}).role(b.Roles[0])
		if len(role.Inherits) > 0 && random.IntN(2) == 0 {
			role = (Reference{Declarations: d}).role(role.Inherits[0].Role)
		}
		aim(random, d, q, b.Subjects[0].User, oneOf(random, role.Grants))
	}
	misname(random, d, q)
	return now, q
}

// NewInstant falls on a boundary of the world, a second beside one, or anywhere.
func NewInstant(random *rand.Rand, d access.Declarations) schedule.Instant {
	if random.IntN(2) == 0 || len(d.TemporaryGrants) == 0 {
		return Start + schedule.Instant(random.IntN(2*Span))
	}
	return beside(random, oneOf(random, d.TemporaryGrants).Window)
}

// beside is an instant at, just before or just after a bound of the window, or within it.
func beside(random *rand.Rand, w schedule.Window) schedule.Instant {
	switch random.IntN(3) {
	case 0:
		return w.NotBefore - 1 + schedule.Instant(random.IntN(3))
	case 1:
		return w.NotAfter - 1 + schedule.Instant(random.IntN(3))
	}
	return (w.NotBefore + w.NotAfter) / 2
}

// NewRequest asks something of the world; the record is drawn so that about half of the scopes hold.
func NewRequest(random *rand.Rand, d access.Declarations) *access.Request {
	q := &access.Request{User: oneOf(random, d.Users).Name, Action: oneOf(random, Actions), Object: someObject(random, d)}
	if random.IntN(3) > 0 {
		q.Action = access.ActionRead
	}
	if q.Action != access.ActionRead && q.Action != access.ActionExport || random.IntN(8) > 0 {
		q.Record = NewRecord(random, d, q.User)
		q.Record.Parent = NewRecord(random, d, q.User)
	}
	for _, f := range random.Perm(Fields)[:3] {
		q.Fields = append(q.Fields, fieldName(f))
	}
	q.Context = NewContext(random, d)
	return q
}

// someObject is mostly one that is enabled.
func someObject(random *rand.Rand, d access.Declarations) string {
	o := oneOf(random, d.ObjectTypes)
	if o.Disabled && random.IntN(2) == 0 {
		o = d.ObjectTypes[0]
	}
	return o.Name
}

// aim asks for what the grant gives to the user, mostly about a record that it selects.
func aim(random *rand.Rand, d access.Declarations, q *access.Request, user string, g access.Grant) {
	q.User = user
	if !(Reference{Declarations: d}).object(g.Object).Disabled {
		q.Object = g.Object
	}
	if len(g.Actions) > 0 {
		q.Action = oneOf(random, g.Actions)
	}
	switch {
	case q.Record == nil && q.Action != access.ActionExport:
		q.Action = access.ActionRead
	case q.Record != nil && random.IntN(6) > 0:
		decides := q.Record
		if (Reference{Declarations: d}).object(q.Object).AccessFrom.Object != "" {
			decides = q.Record.Parent
		}
		aimRecord(random, d, decides, user, g.Records)
		if len(g.Records.IDs) > 0 {
			q.Record.ID = oneOf(random, g.Records.IDs)
		}
	}
}

// aimRecord moves a record into one that is selected.
func aimRecord(random *rand.Rand, d access.Declarations, record *access.Record, user string, selected access.Records) {
	switch scopes := selected.Scopes; {
	case scopes.Has(access.ScopeOwn):
		record.Owner = user
	case scopes.Has(access.ScopeInvolved):
		record.Participants = []string{user}
	case scopes.Has(access.ScopeSubordinates):
		for _, u := range d.Users {
			if u.Manager == user {
				record.Owner = u.Name
			}
		}
	case scopes.Has(access.ScopeDepartment | access.ScopeDepartmentAndBelow):
		record.Department = oneOf(random, (Reference{Declarations: d}).user(user).Departments)
	case len(selected.Owners) > 0:
		record.Owner = oneOf(random, selected.Owners)
	case len(selected.Departments) > 0:
		record.Department = oneOf(random, selected.Departments)
	case len(selected.DepartmentTrees) > 0:
		record.Department = oneOf(random, selected.DepartmentTrees)
	}
}

// misname asks, once in a while, about what is not there, or is off.
func misname(random *rand.Rand, d access.Declarations, q *access.Request) {
	switch random.IntN(60) {
	case 0:
		q.User = "stranger"
	case 1:
		q.Object = "atlantis"
	case 2:
		q.Action = "burn"
	case 3:
		q.Fields[random.IntN(len(q.Fields))] = "shoe_size"
	case 4:
		q.Action, q.Record = access.ActionUpdate, nil
	case 5:
		for _, o := range d.ObjectTypes {
			if o.Disabled {
				q.Object = o.Name
			}
		}
	}
}

// NewRecord is a record with all facts most of the time; every second one is the user's own or a pool's.
func NewRecord(random *rand.Rand, d access.Declarations, user string) *access.Record {
	r := &access.Record{ID: Pick(random, "record", records), Department: oneOf(random, d.Departments).Name, Attributes: make(map[string][]string)}
	switch random.IntN(4) {
	case 0:
		r.Owner = user
	case 1: // a pool
	default:
		r.Owner = oneOf(random, d.Users).Name
	}
	switch random.IntN(8) {
	case 0: // unknown
	case 1:
		r.Creator = user
	default:
		r.Creator = oneOf(random, d.Users).Name
	}
	if random.IntN(3) == 0 {
		r.Participants = []string{oneOf(random, d.Users).Name, user}
	}
	if random.IntN(3) > 0 {
		r.Attributes[regionField] = []string{oneOf(random, regions)}
	}
	if random.IntN(3) > 0 {
		r.Attributes[stageField] = []string{oneOf(random, stages)}
	}
	return r
}

// NewContext says something of everything most of the time.
func NewContext(random *rand.Rand, d access.Declarations) (c access.Context) {
	if random.IntN(8) > 0 {
		c.Channel = append(channels, "web", "web", "web", "fax")[random.IntN(9)]
	}
	if random.IntN(8) > 0 {
		c.Device = append(devices, "managed", "managed", "toaster")[random.IntN(5)]
	}
	if random.IntN(8) > 0 {
		c.Rows, c.Used = number(random, 0, 60), number(random, 0, 60)
	}
	if random.IntN(8) > 0 {
		c.Owned = number(random, 0, 60)
	}
	if random.IntN(3) > 0 {
		c.Reason = "because"
	}
	switch random.IntN(3) {
	case 0:
		c.TargetUser = oneOf(random, d.Users).Name
	case 1:
		c.TargetDepartment = oneOf(random, d.Departments).Name
	}
	for range random.IntN(8) {
		c.ApprovedBy = append(c.ApprovedBy, oneOf(random, d.Users).Name)
	}
	return c
}
