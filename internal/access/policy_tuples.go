package access

import (
	"cmp"
	"fmt"
	"slices"
)

// placed is a tuple's place in the order of tuples.
type placed struct{ pair, fact int32 }

// sourced is a tuple with where it comes from.
type sourced struct {
	tuple
	tupleSource
}

// indexTuples sorts the tuples by bundle and object, and makes a run of each pair.
func (b *policyBuilder) indexTuples() {
	p := b.policy
	order := b.placeTuples()
	b.numberRoles()
	b.startCells()
	p.tuples = make([]tuple, 0, len(order))
	p.sources = make([]tupleSource, 0, len(order))
	var run []sourced
	for i := 0; i < len(order); {
		pair := order[i].pair
		run = run[:0]
		for ; i < len(order) && order[i].pair == pair; i++ {
			run = append(run, b.indexTuple(pair, &b.facts.Tuples[order[i].fact]))
		}
		b.addRun(pair, run)
	}
	b.collectCompared()
}

func (b *policyBuilder) placeTuples() []placed {
	order := make([]placed, 0, len(b.facts.Tuples))
	for i := range b.facts.Tuples {
		if pair, known := b.pairOf(&b.facts.Tuples[i]); known {
			order = append(order, placed{pair, int32(i)})
		}
	}
	slices.SortFunc(order, func(x, y placed) int { return cmp.Compare(x.pair, y.pair) })
	return order
}

// pairOf is where a tuple stands among the spans; false where nobody declares its object.
func (b *policyBuilder) pairOf(t *TupleFact) (pair int32, known bool) {
	object, known := b.policy.objectIDs.find(t.Object)
	if !known {
		return none, false
	}
	return b.bundle(bundle{t.Bundle, t.RevokedBy})*int32(len(b.policy.objects)) + object, true
}

// bundle numbers a bundle.
func (b *policyBuilder) bundle(name bundle) int32 {
	id, seen := b.policy.bundles[name]
	if !seen {
		id = int32(len(b.policy.bundles))
		b.policy.bundles[name] = id
	}
	return id
}

// numberRoles numbers the bundles of roles without grants, too: they are held all the same, and their holders may approve.
func (b *policyBuilder) numberRoles() {
	for i := range b.facts.Holders {
		if h := &b.facts.Holders[i]; h.Role != "" {
			b.bundle(bundle{name: h.Bundle})
		}
	}
}

// addRun makes these the tuples of a pair, those that need a closer look last.
func (b *policyBuilder) addRun(pair int32, run []sourced) {
	p := b.policy
	slices.SortFunc(run, func(x, y sourced) int {
		return cmp.Or(x.closeness()-y.closeness(), cmp.Compare(x.digest, y.digest), cmp.Compare(x.path, y.path))
	})
	start, plain := len(p.tuples), 0
	for i := range run {
		p.tuples, p.sources = append(p.tuples, run[i].tuple), append(p.sources, run[i].tupleSource)
		if run[i].closeness() == 0 {
			plain++
		}
	}
	p.spans[pair] = span{uint32(start), uint32(len(p.tuples))}
	b.addCell(pair, p.tuples[start:start+plain], p.tuples[start+plain:])
}

// closeness is 1 of a tuple that does not select by scopes alone.
func (t *tuple) closeness() int {
	if t.condition != none || t.selection != none {
		return 1
	}
	return 0
}

// collectCompared finds out which fields the conditions of each object's tuples ask for.
func (b *policyBuilder) collectCompared() {
	p := b.policy
	asked := make([][]bool, len(p.objects)) // by object and condition
	for i := range p.objects {
		asked[i] = make([]bool, len(p.objects[i].conditions))
	}
	for pair, s := range p.spans {
		for _, t := range p.tuples[s.start:s.end] {
			if t.condition != none {
				asked[pair%len(p.objects)][t.condition] = true
			}
		}
	}
	for i := range p.objects {
		o := &p.objects[i]
		o.compared = nil
		for condition, where := range o.conditions {
			for _, w := range where {
				if asked[i][condition] {
					o.compared = append(o.compared, w.Field)
				}
			}
		}
		o.compared = inOrder(o.compared)
	}
}

// selects says whether the tuple selects records by something else than scopes.
func (t *Tuple) selects() bool {
	return len(t.IDs)+len(t.Owners)+len(t.Departments)+len(t.DepartmentTrees) > 0
}

func (b *policyBuilder) indexTuple(pair int32, source *TupleFact) sourced {
	o, fact := &b.policy.objects[int(pair)%len(b.policy.objects)], source.Tuple
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
	return sourced{t, tupleSource{source.Origin, source.Path, source.Digest}}
}

// indexConditions numbers the set of conditions among the object's; equal sets are one, and are asked once a decision.
func (b *policyBuilder) indexConditions(o *object, where []WhereFact) int32 {
	if len(where) == 0 {
		return none
	}
	key := conditionKey(o, where)
	if i, seen := b.conditions[key]; seen {
		return i
	}
	i := int32(len(o.conditions))
	b.conditions[key] = i
	o.conditions = append(o.conditions, where)
	return i
}

func conditionKey(o *object, where []WhereFact) string { return fmt.Sprintf("%q %q", o.name, where) }

func (b *policyBuilder) departmentIDs(names []string) (ids []int32) {
	for _, name := range names {
		if id, known := b.policy.departments.find(name); known {
			ids = append(ids, id)
		}
	}
	return ids
}
