package access

import "slices"

// reach orders how widely a tuple takes records in: the scopes in their order, then a selection of records.
type reach uint8

const (
	reachNothing   reach = 0
	reachSelection reach = 8
)

func reachOf(scope string) reach { return reach(slices.Index(scopeNames[:], scope) + 1) }

// widestReach is the widest way in which the subject's live tuples, or those of shares, cover the record with the action.
func (q *question) widestReach() reach { return max(q.widestOwn(), q.widestShared()) }

func (q *question) widestOwn() reach {
	p, widestSoFar := q.policy, reachNothing
	for _, h := range p.holdingsOf(q.user) {
		if !p.window(h).Active(q.now) {
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			if t := &p.tuples[j]; t.actions>>q.action&1 != 0 && q.covers(t) {
				widestSoFar = max(widestSoFar, q.reachOf(t))
			}
		}
	}
	return widestSoFar
}

func (q *question) reachOf(t *tuple) reach {
	scopes := t.scopes
	if q.request.Record != nil {
		scopes &= q.covered
	}
	if scopes == 0 || (t.selection != none && (q.request.Record == nil || q.selects(&q.policy.selections[t.selection]))) {
		return reachSelection
	}
	widestScope := reachNothing
	for i := range scopeNames {
		if scopes.Has(1 << i) {
			widestScope = reach(i + 1)
		}
	}
	return widestScope
}
