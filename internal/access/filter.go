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

// Clause takes a record in where everything in Where holds and one of the others does. Its lists are sorted and without
// repetition.
type Clause struct {
	// Everything says that nothing but Where is asked.
	Everything bool
	// Owners, Participants and Departments are about the record that decides, IDs and Where about the record itself.
	Owners       []string
	Participants []string
	Departments  []string
	IDs          []string
	Where        []WhereFact
}

// Filter answers a question without a record by the records that it could be about. What a rule asks of a single record
// (that somebody else created it) denies the whole list: a filter is never wider than the answers about its records.
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
	byWhere := make(map[string]*Clause)
	for _, h := range p.holdingsOf(q.user) {
		if !p.window(h).Active(now) {
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			if t := &p.tuples[j]; t.actions>>q.action&1 != 0 {
				q.widen(byWhere, t)
			}
		}
	}
	for _, c := range byWhere {
		f.Clauses = append(f.Clauses, c.settled())
	}
	f.Clauses = withoutNeedless(f.Clauses)
	slices.SortFunc(f.Clauses, func(a, b Clause) int { return cmp.Compare(fmt.Sprintf("%q", a.Where), fmt.Sprintf("%q", b.Where)) })
	return f
}

// widen adds what a tuple takes in to the clause of its conditions.
func (q *question) widen(byWhere map[string]*Clause, t *tuple) {
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
	if t.scopes.Has(ScopeAll) {
		c.Everything = true
	}
	if t.scopes.Has(ScopeOwn) {
		c.Owners = append(c.Owners, user)
	}
	if t.scopes.Has(ScopeInvolved) {
		c.Participants = append(c.Participants, user)
	}
	if t.scopes.Has(ScopeSubordinates) {
		c.Owners = append(c.Owners, p.users.list[q.user+1:q.account.last]...)
	}
	if t.scopes.Has(ScopeDepartment) {
		c.Departments = append(c.Departments, p.departmentNames(p.departmentsOf(q.user))...)
	}
	if t.scopes.Has(ScopeDepartmentAndBelow) {
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
		if c.Everything && len(c.Where) == 0 {
			return []Clause{c}
		}
	}
	return slices.DeleteFunc(clauses, func(c Clause) bool { return c.isNothing() })
}
