package access

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Right is what somebody may do to an object at an instant, over all that they hold: what guardrails take away, and which
// records it is, a decision says.
type Right struct {
	Object, Action string
	// Scopes are those by which records are taken in, the narrowest first; "selected" stands for records that a grant names.
	Scopes []string
	// Until is when the last of it ends, or Forever.
	Until schedule.Instant
}

// scopeSelected is how Rights names a selection.
const scopeSelected = "selected"

// Rights are what somebody may do by bindings and temporary grants, in the order of objects and actions. Nobody unknown or
// away may do anything, nor anybody to an object that is disabled.
func (p *Policy) Rights(now schedule.Instant, user string) []Right {
	id, known := p.find(user)
	if !known || !p.accounts[id].active {
		return nil
	}
	type key struct {
		object int
		action int
	}
	rights, scopes := make(map[key]*Right), make(map[key]Scopes)
	selected := make(map[key]bool)
	for _, h := range p.holdingsOf(id) {
		if !p.window(h).Active(now) {
			continue
		}
		for object := range p.objects {
			o, s := &p.objects[object], p.spans[int(h.bundle)*len(p.objects)+object]
			for j := s.start; o.enabled && j < s.end; j++ {
				for action, name := range o.actions.list {
					t, k := &p.tuples[j], key{object, action}
					if t.actions>>action&1 == 0 {
						continue
					}
					if rights[k] == nil {
						rights[k] = &Right{Object: o.name, Action: name, Until: schedule.Always}
					}
					rights[k].Until = max(rights[k].Until, p.window(h).NotAfter)
					scopes[k] |= t.scopes
					selected[k] = selected[k] || t.selection != none
				}
			}
		}
	}
	list := make([]Right, 0, len(rights))
	for k, right := range rights {
		right.Scopes = slices.Clone(scopes[k].Names())
		if selected[k] {
			right.Scopes = append(right.Scopes, scopeSelected)
		}
		list = append(list, *right)
	}
	slices.SortFunc(list, func(a, b Right) int { return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Action, b.Action)) })
	return list
}

// Sight is how much of an object's fields somebody sees.
type Sight struct {
	Object string
	Fields []FieldSight
}

// FieldSight is the level of one field: the highest that there is on any record, and what holds on all of a list.
type FieldSight struct {
	Name          string
	Most, OnLists Level
}

// Sights are the levels of the fields of what somebody may read by bindings and temporary grants, after caps, in the order of
// objects and as their fields are declared.
func (p *Policy) Sights(now schedule.Instant, user string) (list []Sight) {
	id, known := p.find(user)
	if !known || !p.accounts[id].active {
		return nil
	}
	for object := range p.objects {
		if s, reads := p.sightOf(now, id, object); reads {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Sight) int { return cmp.Compare(a.Object, b.Object) })
	return list
}

// sightOf goes through the user's live tuples on an object: on a record counts what any of them gives, on a list what each of
// those gives that read.
func (p *Policy) sightOf(now schedule.Instant, user int32, object int) (s Sight, reads bool) {
	o := &p.objects[object]
	most, onLists := gains{}, widest
	for _, h := range p.holdingsOf(user) {
		if !o.enabled || !p.window(h).Active(now) {
			continue
		}
		span := p.spans[int(h.bundle)*len(p.objects)+object]
		for i := span.start; i < span.end; i++ {
			t := &p.tuples[i]
			given := p.gainsOf(o, t.gains[stored])
			most.widen(given)
			if t.actions&o.read != 0 {
				onLists.narrow(given)
				reads = true
			}
		}
	}
	if o.ceiling != nil {
		most.narrow(o.ceiling)
		onLists.narrow(o.ceiling)
	}
	s.Object = o.name
	for field, name := range o.fields.list {
		s.Fields = append(s.Fields, FieldSight{Name: name, Most: o.level(&most, int32(field)), OnLists: o.level(&onLists, int32(field))})
	}
	return s, reads
}

// MightApprove says whether MayApprove could be true of the request, whatever its record and context are: it looks at neither.
func (p *Policy) MightApprove(now schedule.Instant, request *Request, person string) bool {
	approver, known := p.find(person)
	user, named := p.find(request.User)
	object, catalogued := p.objectIDs.find(request.Object)
	if !known || !named || !catalogued || approver == user || !p.approving(approver) || p.objects[object].guards == nil {
		return false
	}
	action, known := p.objects[object].actions.find(request.Action)
	return known && slices.ContainsFunc(p.objects[object].guards[action].approve, func(g guard) bool {
		return slices.ContainsFunc(g.approve.By, func(a Approver) bool {
			switch {
			case a.ManagerOfSubject:
				return p.managerAbove(user, nil) == approver || p.managesMakerFor(user, approver)
			case a.Role != "":
				return p.holds(approver, a.Role, now)
			}
			return a.User == person
		})
	})
}

// managesMakerFor says whether somebody manages one who shares with the user. Who manages all parties manages the highest of
// them, even where a party comes between.
func (p *Policy) managesMakerFor(user, manager int32) bool {
	return p.received != nil && slices.ContainsFunc(p.received.shares[user], func(r receipt) bool { return p.managerAbove(r.maker, nil) == manager })
}

// MayApprove says whether a request waits for an approval that somebody may give, whoever has approved it already.
func (p *Policy) MayApprove(now schedule.Instant, request *Request, person string) bool {
	asked := *request
	asked.Context.ApprovedBy = nil
	q := question{policy: p, now: now, request: &asked, levels: make([]Level, len(asked.Fields))}
	if q.answer(nil) != NeedsApproval {
		return false
	}
	parties := q.parties()
	return slices.ContainsFunc(q.object.guards[q.action].approve, func(g guard) bool {
		return q.needsApproval(&g.approve.When) && q.mayApprove(person, g.approve.By, parties)
	})
}

// DayLimits are the rules that bound how many rows somebody may use in 24 hours by this action on this object: each sums
// over all of its own objects and actions.
func (p *Policy) DayLimits(object, action string) (limits []*LimitRule) {
	id, known := p.objectIDs.find(object)
	if !known || p.objects[id].guards == nil {
		return nil
	}
	bit, known := p.objects[id].actions.find(action)
	if !known {
		return nil
	}
	for _, g := range p.objects[id].guards[bit].forbid {
		if g.limit != nil && g.limit.MaxRowsPerDay != nil {
			limits = append(limits, g.limit)
		}
	}
	return limits
}

// AccountOf is the type of an account, and whether it is there and has access.
func (p *Policy) AccountOf(user string) (userType UserType, active bool) {
	id, known := p.find(user)
	if !known {
		return "", false
	}
	return p.people[id].userType, p.accounts[id].active
}
