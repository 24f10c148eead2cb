package access

import (
	"maps"
	"slices"
)

// Revise is the policy of facts that are, in catalogue and departments, those that p was made from, and differ from them in
// these tuples. Of the facts that it is given it reads users, memberships, lineage, holders and guardrails, which are all
// there are. It equals what NewPolicy makes of all facts. It is false where these tuples do not fit what p has, and where
// so much of p would be left behind that it is time to make one anew.
//
// A decision is made from few large tables, and a tuple is a small part of them: what changes is appended, what is gone is
// left where it is. p is not changed, and shares with the revision what both have.
func (p *Policy) Revise(f Facts, gone, come []TupleFact) (*Policy, bool) {
	next := *p
	next.received = nil
	b := &policyBuilder{facts: f, policy: &next, conditions: make(map[string]int32)}
	b.own()
	if !b.replaceTuples(gone, come) {
		return nil, false
	}
	b.indexPeople()
	return &next, next.left <= len(next.tuples)/2+maxLeft
}

// maxLeft is how many tuples are always worth leaving behind.
const maxLeft = 1000

// own makes sure that nothing that p has is written to: what is appended to is copied then, what is written into now.
func (b *policyBuilder) own() {
	p := b.policy
	p.bundles, p.spans, p.cells = maps.Clone(p.bundles), slices.Clone(p.spans), slices.Clone(p.cells)
	p.tuples, p.sources, p.gains = slices.Clip(p.tuples), slices.Clip(p.sources), slices.Clip(p.gains)
	p.selections, p.special = slices.Clip(p.selections), slices.Clip(p.special)
	for state := range p.rows {
		for scope, rows := range p.rows[state] {
			p.rows[state][scope] = slices.Clip(rows)
		}
	}
	p.objects = slices.Clone(p.unruled)
	for i := range p.objects {
		p.objects[i].conditions = slices.Clip(p.objects[i].conditions)
	}
}

// recallConditions finds the numbers that sets of conditions have.
func (b *policyBuilder) recallConditions() {
	for i := range b.policy.objects {
		for j, where := range b.policy.objects[i].conditions {
			b.conditions[conditionKey(&b.policy.objects[i], where)] = int32(j)
		}
	}
}

func (b *policyBuilder) replaceTuples(gone, come []TupleFact) bool {
	p := b.policy
	b.numberRoles()
	runs := make(map[int32][]sourced)
	for i := range gone {
		pair, known := b.pairOf(&gone[i])
		if !known {
			continue
		}
		run := b.runOf(runs, pair)
		at := slices.IndexFunc(run, func(s sourced) bool { return s.digest == gone[i].Digest && s.path == gone[i].Path })
		if at < 0 {
			return false
		}
		runs[pair] = slices.Delete(run, at, at+1)
	}
	if len(come) > 0 {
		b.recallConditions()
	}
	for i := range come {
		if pair, known := b.pairOf(&come[i]); known {
			runs[pair] = append(b.runOf(runs, pair), b.indexTuple(pair, &come[i]))
		}
	}
	b.makeRoom()
	for _, pair := range slices.Sorted(maps.Keys(runs)) {
		p.left += int(p.spans[pair].end - p.spans[pair].start)
		b.addRun(pair, runs[pair])
	}
	if len(runs) > 0 {
		b.collectCompared()
	}
	p.unruled = p.objects
	return true
}

// runOf is what a pair has, changed so far.
func (b *policyBuilder) runOf(runs map[int32][]sourced, pair int32) []sourced {
	run, begun := runs[pair]
	if begun || int(pair) >= len(b.policy.spans) {
		return run
	}
	for at, s := b.policy.spans[pair].start, b.policy.spans[pair]; at < s.end; at++ {
		run = append(run, sourced{b.policy.tuples[at], b.policy.sources[at]})
	}
	return run
}
