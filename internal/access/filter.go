package access

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Filter says which records of an object a user may list or export, as a predicate that whoever holds the records can
// evaluate: a record is taken in where one of the clauses takes it in.
type Filter struct {
	// Effect is the answer to the question without a record. Unless it is Allow there are no clauses.
	Effect Effect
	// Decides is the object whose record's owner, participants and department the clauses are about: the object itself,
	// or the one that it takes its access from.
	Decides string
	Clauses []Clause
}

// Clause takes a record in where everything in Where holds, its id is among Among where that names any, and one of the
// others does. Its lists are sorted and without repetition.
type Clause struct {
	// Everything says that nothing but Where is asked.
	Everything bool
	// Owners, Participants and Departments are about the record that decides, IDs and Where about the record itself.
	Owners       []string
	Participants []string
	Departments  []string
	IDs          []string
	Where        []WhereFact
	// Among are the records that somebody shares: the other lists are the maker's.
	Among []string
}

// Filter answers a question without a record by the records that it could be about. What a rule asks of a single record
// (that somebody else created it) denies the whole list, and records that would need approval for being covered narrowly
// are left out: a filter is never wider than the answers about its records.
func (p *Policy) Filter(now schedule.Instant, request *Request) Filter {
	asked := *request
	asked.Record = nil
	q := question{policy: p, now: now, request: &asked, levels: make([]Level, len(asked.Fields))}
	f := Filter{Effect: q.answer(nil)}
	if f.Effect != Allow {
		return f
	}
	f.Decides = q.object.name
	for o := q.object; o.parent != none; o = &p.objects[o.parent] {
		f.Decides = p.objects[o.parent].name
	}
	free := q.scopesWithoutApproval()
	f.Clauses = withoutNeedless(append(q.clauses(free), q.clausesOfShares(free)...))
	slices.SortStableFunc(f.Clauses, func(a, b Clause) int {
		return cmp.Compare(fmt.Sprintf("%q %q", a.Where, a.Among), fmt.Sprintf("%q %q", b.Where, b.Among))
	})
	return f
}

// clauses are what the user's own tuples take in by these scopes, or by selection, one for each set of conditions.
func (q *question) clauses(free Scopes) (clauses []Clause) {
	p, byWhere := q.policy, make(map[string]*Clause)
	for _, h := range p.holdingsOf(q.user) {
		if !p.window(h).Active(q.now) {
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			if t := &p.tuples[j]; t.actions>>q.action&1 != 0 {
				q.widen(byWhere, t, t.scopes&free)
			}
		}
	}
	for _, c := range byWhere {
		clauses = append(clauses, c.settled())
	}
	return clauses
}

// scopesWithoutApproval are the scopes that no approve rule asks about: a record that is covered by one of them, or by a
// selection, is covered more widely than each scopeAtMost.
func (q *question) scopesWithoutApproval() Scopes {
	if q.object.guards == nil {
		return allScopes
	}
	var asking []*guard
	asked := reachNothing
	for i := range q.object.guards[q.action].approve {
		g := &q.object.guards[q.action].approve[i]
		when := g.approve.When
		if when.ScopeAtMost = ""; !q.needsApproval(&when) {
			continue
		}
		asking = append(asking, g)
		if scope := g.approve.When.ScopeAtMost; scope != "" {
			asked = max(asked, reachOf(scope))
		}
	}
	if len(asking) <= maxApprovals && q.approved(asking) {
		return allScopes
	}
	return allScopes &^ (1<<asked - 1)
}

// widen adds what a tuple takes in by these of its scopes, or by selection, to the clause of its conditions.
func (q *question) widen(byWhere map[string]*Clause, t *tuple, scopes Scopes) {
	var where []WhereFact
	if t.condition != none {
		where = q.object.conditions[t.condition]
	}
	key := fmt.Sprintf("%q", where)
	c := byWhere[key]
	if c == nil {
		c = &Clause{Where: where}
		byWhere[key] = c
	}
	p, user := q.policy, q.request.User
	if scopes.Has(ScopeAll) {
		c.Everything = true
	}
	if scopes.Has(ScopeOwn) {
		c.Owners = append(c.Owners, user)
	}
	if scopes.Has(ScopeInvolved) {
		c.Participants = append(c.Participants, user)
	}
	if scopes.Has(ScopeSubordinates) {
		c.Owners = append(c.Owners, p.users.list[q.user+1:q.account.last]...)
	}
	if scopes.Has(ScopeDepartment) {
		c.Departments = append(c.Departments, p.departmentNames(p.departmentsOf(q.user))...)
	}
	if scopes.Has(ScopeDepartmentAndBelow) {
		c.Departments = append(c.Departments, p.below(p.departmentsOf(q.user))...)
	}
	if t.selection != none {
		s := &p.selections[t.selection]
		c.IDs = append(c.IDs, s.ids...)
		c.Owners = append(c.Owners, s.owners...)
		c.Departments = append(c.Departments, p.departmentNames(s.departments)...)
		c.Departments = append(c.Departments, p.below(s.trees)...)
	}
}

func (p *Policy) departmentNames(ids []int32) (list []string) {
	for _, id := range ids {
		list = append(list, p.departments.list[id])
	}
	return list
}

// below are the departments in the subtrees.
func (p *Policy) below(roots []int32) (list []string) {
	for id, ancestors := range p.ancestors {
		if slices.ContainsFunc(ancestors, func(a int32) bool { return slices.Contains(roots, a) }) {
			list = append(list, p.departments.list[id])
		}
	}
	return list
}

func (c *Clause) settled() Clause {
	if c.Everything {
		return Clause{Everything: true, Where: c.Where}
	}
	return Clause{Owners: sorted(c.Owners), Participants: sorted(c.Participants), Departments: sorted(c.Departments), IDs: sorted(c.IDs), Where: c.Where}
}

// isNothing says whether the clause takes nothing in: a scope in departments, of somebody who is in none.
func (c *Clause) isNothing() bool {
	return !c.Everything && len(c.Owners)+len(c.Participants)+len(c.Departments)+len(c.IDs) == 0
}

// withoutNeedless leaves out clauses that take nothing in, and all others where one takes everything in.
func withoutNeedless(clauses []Clause) []Clause {
	for _, c := range clauses {
		if c.Everything && len(c.Where)+len(c.Among) == 0 {
			return []Clause{c}
		}
	}
	return slices.DeleteFunc(clauses, func(c Clause) bool { return c.isNothing() })
}
