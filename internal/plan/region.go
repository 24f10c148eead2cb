package plan

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// region is a set of records: by cell of a space, the elements by which they are taken in. Settled, two regions of one
// space are the same records just where they are equal.
type region []bitset

func (s *space) nothing() region {
	r := make(region, len(s.cells))
	for i := range r {
		r[i] = newBitset(s.size)
	}
	return r
}

// taken is what a tuple takes in by these of its scopes, and by what it names.
func (s *space) taken(of state, t *access.Tuple, scopes access.Scopes) region {
	by := newBitset(s.size)
	for _, scope := range [...]struct {
		scope access.Scopes
		part  part
	}{
		{access.ScopeAll, part{kind: partAll}},
		{access.ScopeOwn, part{kind: partOwner, name: s.view.user}},
		{access.ScopeInvolved, part{kind: partInvolved}},
		{access.ScopeSubordinates, part{kind: partSubordinates, state: of}},
		{access.ScopeDepartment, part{kind: partOwnDepartments, state: of}},
		{access.ScopeDepartmentAndBelow, part{kind: partBelow, state: of}},
	} {
		if scopes.Has(scope.scope) {
			by.addAll(s.parts[scope.part])
		}
	}
	add := func(kind partKind, names []string) {
		for _, name := range names {
			p := part{kind: kind, name: name}
			if kind == partTree {
				p.state = of
			}
			by.addAll(s.parts[p])
		}
	}
	add(partID, t.IDs)
	add(partOwner, t.Owners)
	add(partDepartment, t.Departments)
	add(partTree, t.DepartmentTrees)
	by = s.movedApart(of, by)
	r := make(region, len(s.cells))
	none := newBitset(s.size)
	for i := range s.cells {
		r[i] = none
		if s.meets(&s.cells[i], of, t.Where) {
			r[i] = by
		}
	}
	return r
}

// movedApart moves what is about the record that decides, where that is another one in head.
func (s *space) movedApart(of state, by bitset) bitset {
	if s.apart == 0 || of == before {
		return by
	}
	moved := newBitset(s.size)
	for i := range s.apart {
		switch {
		case !by.has(i):
		case i == elementAll || s.isID(i):
			moved.add(i)
		default:
			moved.add(i + s.apart)
		}
	}
	return moved
}

func (s *space) isID(i int) bool {
	for p, elements := range s.parts {
		if p.kind == partID && elements.has(i) {
			return true
		}
	}
	return false
}

// widen adds a region to one that is the caller's own.
func (r region) widen(other region) {
	for i := range r {
		r[i].addAll(other[i])
	}
}

// settle leaves of a region what says which records they are.
func (s *space) settle(r region) {
	for i := range r {
		c := &s.cells[i]
		r[i].keep(c.within)
		if r[i].has(elementAll) || slices.ContainsFunc(c.full, r[i].holds) {
			clear(r[i])
			r[i].add(elementAll)
		}
	}
}

// elementAll is the element of everything in every space.
const elementAll = 0

func (r region) equal(other region) bool {
	return slices.EqualFunc(r, other, func(x, y bitset) bool { return slices.Equal(x, y) })
}

// within says whether the other settled region has all of these records.
func (r region) within(other region) bool {
	for i := range r {
		if !other[i].has(elementAll) && !other[i].holds(r[i]) {
			return false
		}
	}
	return true
}
