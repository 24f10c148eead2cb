package access

import (
	"cmp"
	"fmt"
	"slices"
)

// placed is a tuple's place in the order of tuples.
type placed struct {
	bundle, object int32
	special        bool
	fact           int32
}

// indexTuples sorts the tuples by bundle and object, those that need a closer look last, and makes a cell of each pair.
func (b *policyBuilder) indexTuples() {
	p := b.policy
	order := b.placeTuples()
	p.spans = make([]span, len(p.bundles)*len(p.objects))
	b.startCells()
	p.tuples = make([]tuple, 0, len(order))
	p.sources = make([]tupleSource, 0, len(order))
	for i := 0; i < len(order); {
		first := order[i]
		o := &p.objects[first.object]
		start := uint32(len(p.tuples))
		plain := 0
		for ; i < len(order) && order[i].bundle == first.bundle && order[i].object == first.object; i++ {
			t := &b.facts.Tuples[order[i].fact]
			p.tuples = append(p.tuples, b.indexTuple(o, t.Tuple))
			p.sources = append(p.sources, tupleSource{origin: t.Origin, path: t.Path})
			if !order[i].special {
				plain++
			}
		}
		all := p.tuples[start:]
		pair := int(first.bundle)*len(p.objects) + int(first.object)
		p.spans[pair] = span{start, uint32(len(p.tuples))}
		b.addCell(pair, o, all[:plain], all[plain:])
	}
	b.finishCells()
}

func (b *policyBuilder) placeTuples() []placed {
	p := b.policy
	order := make([]placed, 0, len(b.facts.Tuples))
	for i := range b.facts.Tuples {
		t := &b.facts.Tuples[i]
		objectID, known := p.objectIDs.find(t.Object)
		if !known {
			continue
		}
		order = append(order, placed{b.bundle(t.Bundle), objectID, len(t.Where) > 0 || t.selects(), int32(i)})
	}
	for i := range b.facts.Holders { // a role without grants is held all the same: its holders may approve
		if h := &b.facts.Holders[i]; h.Role != "" {
			b.bundle(h.Bundle)
		}
	}
	special := func(x placed) int {
		if x.special {
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(x, y placed) int {
		return cmp.Or(cmp.Compare(x.bundle, y.bundle), cmp.Compare(x.object, y.object), special(x)-special(y),
			cmp.Compare(b.facts.Tuples[x.fact].Digest, b.facts.Tuples[y.fact].Digest))
	})
	return order
}

// bundle numbers a bundle.
func (b *policyBuilder) bundle(name string) int32 {
	id, seen := b.bundles[name]
	if !seen {
		id = int32(len(b.policy.bundles))
		b.bundles[name] = id
		b.policy.bundles = append(b.policy.bundles, name)
	}
	return id
}

// selects says whether the tuple selects records by something else than scopes.
func (t *Tuple) selects() bool {
	return len(t.IDs)+len(t.Owners)+len(t.Departments)+len(t.DepartmentTrees) > 0
}

func (b *policyBuilder) indexTuple(o *object, fact *Tuple) tuple {
	t := tuple{selection: none, condition: b.indexConditions(o, fact.Where)}
	for _, action := range fact.Actions {
		t.actions |= o.bit(action)
	}
	for i, name := range scopeNames {
		if slices.Contains(fact.Scopes, name) {
			t.scopes |= 1 << i
		}
	}
	t.gains = b.pack(o, t.actions, fact)
	if fact.selects() {
		t.selection = int32(len(b.policy.selections))
		b.policy.selections = append(b.policy.selections, selection{
			ids: fact.IDs, owners: fact.Owners,
			departments: b.departmentIDs(fact.Departments), trees: b.departmentIDs(fact.DepartmentTrees),
		})
	}
	return t
}

// indexConditions numbers the set of conditions among the object's; equal sets are one, and are asked once a decision.
func (b *policyBuilder) indexConditions(o *object, where []WhereFact) int32 {
	if len(where) == 0 {
		return none
	}
	key := fmt.Sprintf("%q %q", o.name, where)
	if i, seen := b.conditions[key]; seen {
		return i
	}
	i := int32(len(o.conditions))
	b.conditions[key] = i
	o.conditions = append(o.conditions, where)
	for _, w := range where {
		if !slices.Contains(o.compared, w.Field) {
			o.compared = append(o.compared, w.Field)
		}
	}
	return i
}

func (b *policyBuilder) departmentIDs(names []string) (ids []int32) {
	for _, name := range names {
		if id, known := b.policy.departments.find(name); known {
			ids = append(ids, id)
		}
	}
	return ids
}
