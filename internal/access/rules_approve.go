package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// checkApproval: every rule that matches has an approver of its own.
func (q *question) checkApproval(t *trace) Effect {
	if q.object.guards == nil {
		return Allow
	}
	var matching [maxApprovals]*guard
	n := 0
	for i := range q.object.guards[q.action].approve {
		g := &q.object.guards[q.action].approve[i]
		if !q.needsApproval(&g.approve.When) {
			continue
		}
		if n == len(matching) {
			t.tell(q, causeTooManyApprovals, 0)
			return Deny // nobody is asked in vain
		}
		matching[n] = g
		n++
	}
	if n == 0 || q.approved(matching[:n]) {
		return Allow
	}
	t.awaits(q, matching[:n])
	return NeedsApproval
}

// maxApprovals is how many approve rules one request can match.
const maxApprovals = 16

// needsApproval asks when the rule asks for approval. What it needs to know and the context does not say, counts as so.
func (q *question) needsApproval(when *ApproveWhen) bool {
	if when.RowsOver != nil {
		if rows, said := count(q.request.Context.Rows); said && rows <= *when.RowsOver {
			return false
		}
	}
	if when.OtherDepartment && !q.leavesDepartment() {
		return false
	}
	if when.ScopeAtMost != "" {
		return q.widestReach() <= reachOf(when.ScopeAtMost)
	}
	return true
}

// leavesDepartment says whether the target is, for all that was said, in another department than the record.
func (q *question) leavesDepartment() bool {
	c := &q.request.Context
	if q.scoped == nil || q.recordDepartment == none || (c.TargetDepartment == "" && c.TargetUser == "") {
		return true
	}
	if c.TargetDepartment != "" && c.TargetDepartment != q.scoped.Department {
		return true
	}
	if c.TargetUser == "" {
		return false
	}
	target, known := q.policy.find(c.TargetUser)
	return !known || !slices.Contains(q.policy.departmentsOf(target), q.recordDepartment)
}

// approved says whether the people who approved the request can be shared out among the rules, so that each has one of
// its own.
func (q *question) approved(rules []*guard) bool {
	people := q.request.Context.ApprovedBy
	if len(people) < len(rules) {
		return false
	}
	rules, parties := slices.Clone(rules), q.parties() // the caller's live on the stack, what a closure holds does not
	m := matching{people: len(people), fits: func(rule, i int) bool {
		return !slices.Contains(people[:i], people[i]) && q.mayApprove(people[i], rules[rule].approve.By, parties)
	}}
	return m.all(len(rules))
}

// parties are those for whom an approval is: the user and the makers of the shares without which the answer would be less,
// who would else have others do with the record what they may not do unapproved.
func (q *question) parties() []int32 {
	if !q.policy.received.concern(q.user) {
		return []int32{q.user}
	}
	return append([]int32{q.user}, q.makers()...)
}

// mayApprove says whether somebody is one of those who may approve what is asked: never a party to it.
func (q *question) mayApprove(person string, by []Approver, parties []int32) bool {
	id, known := q.policy.find(person)
	if !known || slices.Contains(parties, id) || !q.policy.approving(id) {
		return false
	}
	return slices.ContainsFunc(by, func(a Approver) bool {
		switch {
		case a.ManagerOfSubject:
			return q.policy.managerOf(parties) == id
		case a.Role != "":
			return q.policy.holds(id, a.Role, q.now)
		}
		return a.User == person
	})
}

// approving says whether an account is one that may approve at all: an active person of the company.
func (p *Policy) approving(user int32) bool {
	return p.accounts[user].active && p.people[user].userType == UserEmployee
}

// managerOf is the one who is the manager of each party: the next one up its reporting line who may approve and is no
// party. It is none where they have none in common.
func (p *Policy) managerOf(parties []int32) int32 {
	manager := p.managerAbove(parties[0], parties)
	for _, party := range parties[1:] {
		if p.managerAbove(party, parties) != manager {
			return none
		}
	}
	return manager
}

func (p *Policy) managerAbove(user int32, parties []int32) int32 {
	// A line that facts have tampered with into a cycle ends after as many steps as there are accounts.
	for range p.people {
		if user = p.people[user].manager; user == none || (p.approving(user) && !slices.Contains(parties, user)) {
			return user
		}
	}
	return none
}

// holds says whether a user holds a role or an heir of it.
func (p *Policy) holds(user int32, role string, now schedule.Instant) bool {
	for i, h := range p.holdingsOf(user) {
		if held := p.roles[int(p.accounts[user].holdings)+i]; held != "" && p.window(h).Active(now) && (held == role || contains(p.lineage[held], role)) {
			return true
		}
	}
	return false
}
