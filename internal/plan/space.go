package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// A space is all that distinguishes the records of one object for one person, in both states. Grants take a record in by
// its owner, participants, department or id, or whatever it is: so what several grants take in together is a set of
// elements of these, and two such sets take in the same records just where they are equal. For there is always a record
// that has but one element in common with a set: another's, in no department, with another id.
//
// People and departments that no grant here tells apart are one element.
type space struct {
	view  *view
	size  int
	parts map[part]bitset
	// apart, where it is not zero, is by how much the elements of what decides in head are away: another record decides.
	apart int
	axes  []*axis
	cells []cell
}

// state is one of the two.
type state int

const (
	before state = iota
	after
	states
)

// part is what a grant may name: a set of elements.
type part struct {
	kind  partKind
	state state // of scopes and trees, which mean what they do in a state
	name  string
}

type partKind uint8

const (
	partAll partKind = iota
	partInvolved
	partOwner
	partSubordinates
	partID
	partDepartment
	partOwnDepartments
	partBelow
	partTree
)

// spaceOf builds the space in which the grants of a view differ.
func spaceOf(v *view) *space {
	b := &spaceBuilder{v: v, parts: make(map[part][]int), axes: axesOf(v)}
	b.number(part{kind: partAll})
	b.number(part{kind: partInvolved})
	owners := b.numberOwners()
	b.eachTuple(func(t *access.Tuple) {
		for _, id := range t.IDs {
			b.numberOnce(part{kind: partID, name: id})
		}
	})
	departments := b.numberDepartments()
	s := &space{view: v, size: b.size, parts: make(map[part]bitset, len(b.parts)), axes: b.axes}
	if !slices.Equal(v.sides[before].module(v.object).Decides(), v.sides[after].module(v.object).Decides()) {
		s.size, s.apart = 2*b.size, b.size
	}
	for p, elements := range b.parts {
		s.parts[p] = newBitset(s.size)
		for _, i := range elements {
			s.parts[p].add(i)
		}
	}
	if s.cells = cellsOf(b.axes, s.size, owners, departments); s.cells == nil {
		s.cells = opaqueCells(v, s.size)
	}
	return s
}

type spaceBuilder struct {
	v     *view
	axes  []*axis
	size  int
	parts map[part][]int
}

func (b *spaceBuilder) eachTuple(do func(*access.Tuple)) {
	for s := range states {
		for _, h := range b.v.held[s] {
			do(h.Tuple)
		}
	}
}

// scopes are all those of the tuples: what none of them asks for needs no element.
func (b *spaceBuilder) scopes() (all access.Scopes) {
	b.eachTuple(func(t *access.Tuple) {
		own, _ := access.ParseScopes(t.Scopes) // compiled before
		all |= own
	})
	return all
}

// number makes a new element of the parts.
func (b *spaceBuilder) number(parts ...part) int {
	i := b.size
	b.size++
	for _, p := range parts {
		b.parts[p] = append(b.parts[p], i)
	}
	return i
}

func (b *spaceBuilder) numberOnce(p part) {
	if b.parts[p] == nil {
		b.number(p)
	}
}

// element is an owner, a department, or several that nothing tells apart. Its truths are those of conditions on it.
type element struct {
	index  int
	truths uint64
}

// numberOwners makes an element of the person, of each who is named, and of the subordinates besides: one, unless there
// are others of them in the two states.
func (b *spaceBuilder) numberOwners() (elements []element) {
	axis := axisAbout(b.axes, axisOwner)
	named := map[string]bool{b.v.user: true}
	b.eachTuple(func(t *access.Tuple) {
		for _, owner := range t.Owners {
			named[owner] = true
		}
	})
	for value := range axis.truths {
		named[value] = true
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		parts := []part{{kind: partOwner, name: name}}
		for s := range states {
			if b.v.sides[s].org.Leads(b.v.user, name) {
				parts = append(parts, part{kind: partSubordinates, state: s})
			}
		}
		elements = append(elements, element{b.number(parts...), axis.truths[name]})
	}
	for _, parts := range b.otherSubordinates(named) {
		elements = append(elements, element{index: b.number(parts...)})
	}
	return elements
}

// otherSubordinates are in which parts there are subordinates whom nobody names.
func (b *spaceBuilder) otherSubordinates(named map[string]bool) (all [][]part) {
	user, base, head := b.v.user, b.v.sides[before].org, b.v.sides[after].org
	was, is := part{kind: partSubordinates, state: before}, part{kind: partSubordinates, state: after}
	other := func(list []string, unless func(string) bool) bool {
		return slices.ContainsFunc(list, func(name string) bool { return !named[name] && !unless(name) })
	}
	if other(base.Subordinates(user), func(name string) bool { return b.v.sameLine || head.Leads(user, name) }) {
		all = append(all, []part{was})
	}
	if other(head.Subordinates(user), func(name string) bool { return b.v.sameLine || base.Leads(user, name) }) {
		all = append(all, []part{is})
	}
	if other(head.Subordinates(user), func(name string) bool { return !b.v.sameLine && !base.Leads(user, name) }) {
		all = append(all, []part{was, is})
	}
	return all
}

// numberDepartments makes an element of all departments that the same scopes and names take in.
func (b *spaceBuilder) numberDepartments() (elements []element) {
	axis := axisAbout(b.axes, axisDepartment)
	in := make(map[string][]part)
	add := func(p part, names []string) {
		for _, name := range names {
			if !slices.Contains(in[name], p) {
				in[name] = append(in[name], p)
			}
		}
	}
	scopes := b.scopes()
	for s := range states {
		side := b.v.sides[s]
		for _, root := range side.departments[b.v.user] {
			if scopes.Has(access.ScopeDepartment) {
				add(part{kind: partOwnDepartments, state: s}, []string{root})
			}
			if scopes.Has(access.ScopeDepartmentAndBelow) {
				add(part{kind: partBelow, state: s}, side.below[root])
			}
		}
		b.eachTuple(func(t *access.Tuple) {
			for _, root := range t.DepartmentTrees {
				add(part{partTree, s, root}, side.below[root])
			}
		})
	}
	b.eachTuple(func(t *access.Tuple) {
		for _, name := range t.Departments {
			add(part{kind: partDepartment, name: name}, []string{name})
		}
	})
	for value := range axis.truths {
		add(part{kind: partDepartment, name: value}, []string{value})
	}
	numbered := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if key := fmt.Sprint(in[name]); !numbered[key] {
			numbered[key] = true
			elements = append(elements, element{b.number(in[name]...), axis.truths[name]})
		}
	}
	return elements
}
