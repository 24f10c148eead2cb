package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Conditions of grants look at a record's attributes, of which they tell finitely many classes apart. A cell is one class
// of each attribute that conditions here look at: in it each condition is true or not, and grants take records in by the
// elements of a space alone.
type cell struct {
	options []option // by axis
	// within are the elements that a record of the cell may have, full those of which it has one for certain: where a
	// condition has found that the department is among three, who has all three has everything.
	within bitset
	full   []bitset
	// where, where there are too many cells, is the one list of conditions that holds here.
	where string
}

// option is a class of the values of an attribute: missing, or by which lists of values it is met.
type option struct {
	missing bool
	met     uint64
}

// An axis is a fact of records that conditions compare: the lists of values that they compare it with.
type axis struct {
	about string
	lists map[string]uint64 // a bit for each list of values
	// truths are, by value, the lists that it is in.
	truths map[string]uint64
	// single says that a record has one value of it, and joined that it is the one that decides the access to the record.
	single, joined bool
}

const (
	axisOwner      = "\x00owner"
	axisDepartment = "\x00department"
	// maxCells bounds how many classes are told apart. Beyond, each list of conditions is a class of its own, so that
	// nothing is taken for equal that differs; what is equal in other words is then listed, too.
	maxCells = 512
	maxLists = 64
)

// axesOf are the facts that the conditions of a view look at, in order.
func axesOf(v *view) []*axis {
	byName := make(map[string]*axis)
	joined := len(v.sides[before].module(v.object).Decides())+len(v.sides[after].module(v.object).Decides()) == 0
	for s := range states {
		for _, h := range v.held[s] {
			for i := range h.Where {
				name := v.factOf(s, h.Where[i].Field)
				a := byName[name]
				if a == nil {
					isFact := name == axisOwner || name == axisDepartment
					a = &axis{about: name, lists: make(map[string]uint64), truths: make(map[string]uint64), single: isFact, joined: isFact && joined}
					byName[name] = a
				}
				a.addList(h.Where[i].Values)
			}
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(x, y *axis) int { return cmp.Compare(x.about, y.about) })
}

// factOf is what of a record a condition on the field looks at.
func (v *view) factOf(s state, field string) string {
	switch module := v.sides[s].module(v.object); field {
	case module.OwnerField():
		return axisOwner
	case module.DepartmentField():
		return axisDepartment
	}
	return field
}

func listKey(values []string) string {
	return strconv.Itoa(len(values)) + "\x00" + strings.Join(values, "\x00")
}

func (a *axis) addList(values []string) {
	key := listKey(values)
	if _, known := a.lists[key]; known || len(a.lists) == maxLists {
		return
	}
	bit := uint64(1) << len(a.lists)
	a.lists[key] = bit
	for _, value := range values {
		a.truths[value] |= bit
	}
}

// axisAbout is the axis of a fact that decides, or one without values.
func axisAbout(axes []*axis, about string) *axis {
	for _, a := range axes {
		if a.about == about && a.joined {
			return a
		}
	}
	return &axis{}
}

// options are the classes of values. An attribute may have several values, so its classes are those of sets of values.
func (a *axis) options() []option {
	met := map[uint64]bool{0: true}
	for _, truths := range a.truths {
		met[truths] = true
	}
	for grown := !a.single; grown && len(met) <= maxCells; {
		grown = false
		for _, x := range slices.Collect(maps.Keys(met)) {
			for _, y := range a.truths {
				if !met[x|y] {
					met[x|y], grown = true, true
				}
			}
		}
	}
	options := []option{{missing: true}}
	for _, m := range slices.Sorted(maps.Keys(met)) {
		options = append(options, option{met: m})
	}
	return options
}

func cellsOf(axes []*axis, size int, owners, departments []element) []cell {
	cells := []cell{{within: fullBitset(size)}}
	for _, a := range axes {
		var elements []element
		switch {
		case a.joined && a.about == axisOwner:
			elements = owners
		case a.joined && a.about == axisDepartment:
			elements = departments
		}
		options := a.options()
		if len(a.lists) == maxLists || len(cells)*len(options) > maxCells {
			return nil
		}
		next := make([]cell, 0, len(cells)*len(options))
		for i := range cells {
			for _, o := range options {
				next = append(next, cells[i].with(o, elements))
			}
		}
		cells = next
	}
	return cells
}

// with narrows the cell to a class of one more fact, which some elements are about.
func (c *cell) with(o option, elements []element) cell {
	narrowed := cell{options: append(slices.Clip(c.options), o), within: c.within, full: c.full}
	if elements == nil {
		return narrowed
	}
	possible := newBitset(len(c.within) * 64)
	narrowed.within = slices.Clone(c.within)
	for _, e := range elements {
		if !o.missing && e.truths == o.met {
			possible.add(e.index)
		} else {
			narrowed.within[e.index>>6] &^= 1 << (e.index & 63)
		}
	}
	if !o.missing && o.met != 0 && !possible.isEmpty() {
		narrowed.full = append(slices.Clip(c.full), possible)
	}
	return narrowed
}

// opaqueCells has one class for each list of conditions, and one in which none of them holds.
func opaqueCells(v *view, size int) []cell {
	all := fullBitset(size)
	cells := []cell{{within: all}}
	seen := map[string]bool{"": true}
	for s := range states {
		for _, h := range v.held[s] {
			if key := v.whereKey(s, h.Where); !seen[key] {
				seen[key] = true
				cells = append(cells, cell{within: all, where: key})
			}
		}
	}
	return cells
}

// whereKey is one for lists of conditions that ask for the same.
func (v *view) whereKey(s state, where []access.WhereFact) string {
	var keys []string
	for i := range where {
		keys = append(keys, fmt.Sprintf("%q %s %q", v.factOf(s, where[i].Field), where[i].Operator, where[i].Values))
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), " ")
}

// meets says whether the conditions hold in the cell.
func (s *space) meets(c *cell, of state, where []access.WhereFact) bool {
	if c.options == nil {
		key := s.view.whereKey(of, where)
		return key == "" || key == c.where
	}
	return !slices.ContainsFunc(where, func(w access.WhereFact) bool {
		at := slices.IndexFunc(s.axes, func(a *axis) bool { return a.about == s.view.factOf(of, w.Field) })
		o := c.options[at]
		in := o.met&s.axes[at].lists[listKey(w.Values)] != 0
		switch {
		case o.missing:
			return true
		case w.Operator == access.OperatorIn:
			return !in
		case w.Operator == access.OperatorNotIn:
			return in
		}
		return w.Operator != access.OperatorExists
	})
}
