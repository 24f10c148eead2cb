package plan

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// clause is what grants with the same conditions take in, on the way to Records.
type clause struct {
	key   string // of the conditions
	tuple access.Tuple
}

// shorten tells a region by what takes it in, each of which says something that the others do not.
func (s *space) shorten(of state, t taking) []Records {
	clauses, whole := s.clausesOf(of, t.tuples, t.scopes), t.region
	for i := len(clauses) - 1; i >= 0; i-- { // those with conditions stand last
		without := slices.Delete(slices.Clone(clauses), i, i+1)
		if s.unionOf(of, without).equal(whole) {
			clauses = without
		}
	}
	for _, c := range clauses {
		s.dropNeedless(of, clauses, c, whole)
	}
	var records []Records
	for _, c := range clauses {
		records = append(records, s.records(of, c))
	}
	return records
}

func (s *space) clausesOf(of state, tuples []*held, scopes access.Scopes) (clauses []*clause) {
	for _, h := range tuples {
		key := s.view.whereKey(of, h.Where)
		i := slices.IndexFunc(clauses, func(c *clause) bool { return c.key == key })
		if i < 0 {
			i = len(clauses)
			clauses = append(clauses, &clause{key: key, tuple: access.Tuple{Where: sortedConditions(h.Where)}})
		}
		t := &clauses[i].tuple
		own, _ := access.ParseScopes(h.Scopes)
		both, _ := access.ParseScopes(t.Scopes)
		t.Scopes = access.Widest(both | own&scopes).Names()
		t.IDs, t.Owners = merged(t.IDs, h.IDs), merged(t.Owners, h.Owners)
		t.Departments, t.DepartmentTrees = merged(t.Departments, h.Departments), merged(t.DepartmentTrees, h.DepartmentTrees)
	}
	slices.SortFunc(clauses, func(x, y *clause) int {
		return cmp.Or(cmp.Compare(len(x.tuple.Where), len(y.tuple.Where)), cmp.Compare(x.key, y.key))
	})
	return clauses
}

func merged(x, y []string) []string {
	if len(y) == 0 {
		return x
	}
	all := slices.Concat(x, y)
	slices.Sort(all)
	return slices.Compact(all)
}

func sortedConditions(where []access.WhereFact) []access.WhereFact {
	where = slices.SortedFunc(slices.Values(where), func(x, y access.WhereFact) int {
		return cmp.Or(cmp.Compare(x.Field, y.Field), cmp.Compare(x.Operator, y.Operator), slices.Compare(x.Values, y.Values))
	})
	return slices.CompactFunc(where, func(x, y access.WhereFact) bool {
		return x.Field == y.Field && x.Operator == y.Operator && slices.Equal(x.Values, y.Values)
	})
}

func (s *space) unionOf(of state, clauses []*clause) region {
	r := s.nothing()
	for _, c := range clauses {
		scopes, _ := access.ParseScopes(c.tuple.Scopes)
		r.widen(s.taken(of, &c.tuple, scopes))
	}
	s.settle(r)
	return r
}

// dropNeedless leaves out of a clause each name that is taken in without it. Scopes stay as they are declared, also where
// there is nobody below: whole teams read alike.
func (s *space) dropNeedless(of state, clauses []*clause, c *clause, whole region) {
	for _, list := range [...]*[]string{&c.tuple.IDs, &c.tuple.Owners, &c.tuple.Departments, &c.tuple.DepartmentTrees} {
		for i := len(*list) - 1; i >= 0; i-- {
			full := *list
			*list = slices.Delete(slices.Clone(full), i, i+1)
			if !s.unionOf(of, clauses).equal(whole) {
				*list = full
			}
		}
	}
}

// records tells a clause; what a scope stands for that differs between the states is told by name.
func (s *space) records(of state, c *clause) Records {
	r := Records{
		Scopes: c.tuple.Scopes, IDs: c.tuple.IDs, Owners: c.tuple.Owners, Departments: c.tuple.Departments, DepartmentTrees: c.tuple.DepartmentTrees,
		Where: c.tuple.Where,
	}
	v := s.view
	if !v.sides[before].isActive(v.user) || !v.sides[after].isActive(v.user) {
		return r
	}
	here, there := v.sides[of], v.sides[1-of]
	for _, scope := range r.Scopes {
		switch scope {
		case access.ScopeSubordinates.String():
			if !v.sameLine {
				r.Owners = merged(r.Owners, missingFrom(here.org.Subordinates(v.user), there.org.Subordinates(v.user)))
			}
		case access.ScopeDepartment.String():
			r.Departments = merged(r.Departments, missingFrom(here.departments[v.user], there.departments[v.user]))
		case access.ScopeDepartmentAndBelow.String():
			r.Departments = merged(r.Departments, missingFrom(here.allBelow(v.user), there.allBelow(v.user)))
		}
	}
	return r
}

// allBelow are the departments of a user with all below them.
func (s *side) allBelow(user string) (all []string) {
	for _, department := range s.departments[user] {
		all = merged(all, s.below[department])
	}
	return all
}

// missingFrom are the names that are not in the other list.
func missingFrom(names, other []string) (missing []string) {
	in := make(map[string]bool, len(other))
	for _, name := range other {
		in[name] = true
	}
	for _, name := range names {
		if !in[name] {
			missing = append(missing, name)
		}
	}
	return missing
}
