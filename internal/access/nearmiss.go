package access

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// MaxNearMisses is how many near misses are told; a user may hold thousands of tuples.
const MaxNearMisses = 20

// NearMisses says, of a request that is denied, what came near to covering it, the nearest first: a grant that covers it
// but for the account or a field, one outside its window, one on other records, other actions; for a name that nobody
// declares, the declared name that it may mean. Explain's NearestMiss is one of them.
func (p *Policy) NearMisses(now schedule.Instant, request *Request) []string {
	q := question{policy: p, now: now, request: request, levels: make([]Level, len(request.Fields))}
	q.checkRevocation(nil)
	if _, done := q.checkAccount(nil); done {
		return meant("user", request.User, Nearest(request.User, slices.Values(p.users.list)))
	}
	if _, done := q.checkCatalogue(nil); done {
		return q.meantInCatalogue()
	}
	misses := q.missesOfGrants()
	slices.SortStableFunc(misses, func(a, b miss) int { return cmp.Compare(b.rank, a.rank) })
	var texts []string
	for _, m := range misses {
		if !slices.Contains(texts, m.text) && len(texts) < MaxNearMisses {
			texts = append(texts, m.text)
		}
	}
	return texts
}

// missCovered ranks before every other miss: the grant covers the request, something else denies it.
const missCovered = missWindow + 1

func (q *question) missesOfGrants() []miss {
	p, holdsAction := q.policy, false
	var misses []miss
	for i, h := range p.holdingsOf(q.user) {
		live := p.window(h).Active(q.now)
		if !live {
			var t trace
			if t.dormant(q, i); t.nearest.rank > 0 {
				misses = append(misses, t.nearest)
			}
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			candidate := &p.tuples[j]
			if candidate.actions>>q.action&1 == 0 {
				continue
			}
			holdsAction = true
			if !q.covers(candidate) {
				var t trace
				t.missed(q, i, j)
				misses = append(misses, t.nearest)
				continue
			}
			misses = append(misses, miss{missCovered, fmt.Sprintf("%s:%s=%s by %s covers it, and alone is not enough",
				p.sources[j].origin, q.request.Action, q.reach(candidate), p.ownersOf(q.user)[i])})
		}
	}
	if !holdsAction {
		misses = append(misses, miss{missOtherAction, q.otherActions()})
	}
	return misses
}

// meantInCatalogue is about a name that the catalogue does not have.
func (q *question) meantInCatalogue() []string {
	r := q.request
	if q.object == nil {
		return meant("object", r.Object, Nearest(r.Object, slices.Values(q.policy.objectIDs.list)))
	}
	if _, known := q.object.actions.find(r.Action); !known {
		return meant("action", r.Action, Nearest(r.Action, slices.Values(q.object.actions.list)))
	}
	for _, field := range r.Fields {
		if _, known := q.object.fields.find(field); !known {
			return meant("field", field, Nearest(field, slices.Values(q.object.fields.list)))
		}
	}
	return nil
}

func meant(what, unknown, nearest string) []string {
	if nearest == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s %q is not declared; did you mean %s?", what, unknown, nearest)}
}
