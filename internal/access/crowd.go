package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// WhoCan are the users whom Decide allows the request, in order. The request's own user counts for nothing.
//
// What of an answer is the record's alone is found out once: how the record stands to departments and people, and by which
// scopes a bundle's tuples take it in. Of each user is left whether one of the bundles held meets one of the scopes by which
// the user stands to the record. Only those for whom that holds are asked about in full, and these only where a guardrail
// or a field may still say no.
func (p *Policy) WhoCan(now schedule.Instant, request *Request) (users []string) {
	asked := *request
	levels := make([]Level, len(asked.Fields))
	c := p.newCrowd(now, &asked, levels)
	if c == nil {
		return nil
	}
	for _, user := range p.inOrder {
		if !p.accounts[user].active {
			continue
		}
		received := p.received.concern(user)
		if !received && !c.isGranted(user) {
			continue
		}
		asked.User = p.users.list[user]
		if (c.settled && !received) || p.Decide(now, &asked, levels) == Allow {
			users = append(users, asked.User)
		}
	}
	return users
}

// WhatCan are the actions on the object that Decide allows the user, in order. The request's own action counts for nothing.
func (p *Policy) WhatCan(now schedule.Instant, request *Request) (actions []string) {
	asked := *request
	levels := make([]Level, len(asked.Fields))
	for _, action := range p.Actions(request.Object) {
		if asked.Action = action; p.Decide(now, &asked, levels) == Allow {
			actions = append(actions, action)
		}
	}
	slices.Sort(actions)
	return actions
}

// crowd is one question about many users.
type crowd struct {
	question // of the record and the object; by somebody who does not matter
	// settled says that whoever is active and granted is allowed.
	settled bool

	owner        int32 // none where no account owns the record
	participants map[int32]bool
	below        []bool // by department, whether the record's department is in its subtree; nil where it has none
	bundles      []grantedBy
}

// grantedBy says by what a bundle grants the action on the record: by each of the scopes, or however a user stands to it.
type grantedBy uint16

const (
	grantedKnown  grantedBy = 1 << 15
	grantedAlways grantedBy = 1 << 14
)

// newCrowd is nil where the request is allowed to nobody.
func (p *Policy) newCrowd(now schedule.Instant, request *Request, levels []Level) *crowd {
	if len(p.inOrder) == 0 {
		return nil
	}
	c := &crowd{owner: none, bundles: make([]grantedBy, len(p.bundles))}
	c.question = question{policy: p, now: now, request: request, levels: levels, account: &p.accounts[0], known: true}
	if effect, _ := c.checkCatalogue(nil); effect == Deny {
		return nil
	}
	editing := request.Action == ActionUpdate || request.Action == ActionCreate
	c.settled = len(c.object.guards) == 0 && (len(request.Fields) == 0 || !editing)
	if c.scoped != nil {
		c.placeRecord()
	}
	return c
}

// placeRecord finds out who the record's people are, and which departments it is in or below.
func (c *crowd) placeRecord() {
	p, record := c.policy, c.scoped
	if owner, known := p.users.find(record.Owner); known && record.Owner != "" {
		c.owner = owner
	}
	c.participants = make(map[int32]bool, len(record.Participants))
	for _, name := range record.Participants {
		if user, known := p.users.find(name); known {
			c.participants[user] = true
		}
	}
	if c.recordDepartment == none {
		return
	}
	c.below = make([]bool, len(p.ancestors))
	for _, ancestor := range p.ancestors[c.recordDepartment] {
		c.below[ancestor] = true
	}
}

// standing are the scopes by which a user stands to the record, as question.standTo has it.
func (c *crowd) standing(user int32) Scopes {
	covered := ScopeAll
	switch {
	case c.owner == none:
	case user == c.owner:
		covered |= ScopeOwn
	case user < c.owner && c.owner < c.policy.accounts[user].last:
		covered |= ScopeSubordinates
	}
	if c.participants[user] {
		covered |= ScopeInvolved
	}
	if c.below == nil {
		return covered
	}
	for _, department := range c.policy.departmentsOf(user) {
		if department == c.recordDepartment {
			return covered | ScopeDepartment | ScopeDepartmentAndBelow
		}
		if c.below[department] {
			covered |= ScopeDepartmentAndBelow
		}
	}
	return covered
}

// isGranted says whether one of the user's own live grants covers the request.
func (c *crowd) isGranted(user int32) bool {
	p, covered := c.policy, Scopes(0)
	for _, h := range p.holdingsOf(user) {
		by := c.bundles[h.bundle]
		if by == 0 {
			by = c.grants(h.bundle)
			c.bundles[h.bundle] = by
		}
		if by == grantedKnown || !p.window(h).Active(c.now) {
			continue
		}
		if by&grantedAlways != 0 {
			return true
		}
		if covered == 0 {
			covered = c.standing(user)
		}
		if Scopes(by)&covered != 0 {
			return true
		}
	}
	return false
}

// grants finds out by what a bundle grants the action on the record.
func (c *crowd) grants(bundle int32) grantedBy {
	p, by := c.policy, grantedKnown
	s := p.spans[int(bundle)*len(p.objects)+int(c.objectID)]
	for i := s.start; i < s.end; i++ {
		t := &p.tuples[i]
		switch {
		case t.actions>>c.action&1 == 0:
		case c.request.Record == nil:
			by |= grantedAlways
		case t.condition != none && !c.meets(t.condition):
		case t.selection != none && c.selects(&p.selections[t.selection]):
			by |= grantedAlways
		default:
			by |= grantedBy(t.scopes)
		}
	}
	return by
}
