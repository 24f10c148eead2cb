package access

import "slices"

// truth is whether something is so, as far as it was said.
type truth uint8

const (
	untrue truth = iota
	unsaid
	isTrue
)

// and asks two things, both of which must be so.
func (t truth) and(other truth) truth { return min(t, other) }

// amongKnown compares what the context says with what a rule names. Nothing named asks nothing; what is not said or not
// known may be any of them.
func amongKnown(named []string, said string, known []string) truth {
	switch {
	case len(named) == 0:
		return isTrue
	case !contains(known, said):
		return unsaid
	}
	if slices.Contains(named, said) {
		return isTrue
	}
	return untrue
}

// count is a number of the context that was said; a negative one is not.
func count(n *int64) (int64, bool) {
	if n == nil || *n < 0 {
		return 0, false
	}
	return *n, true
}

// checkGuardrails: no rule denies the request or finds it beyond a limit.
func (q *question) checkGuardrails(t *trace) Effect {
	if q.object.guards == nil {
		return Allow
	}
	effect := Allow
	for i := range q.object.guards[q.action].forbid {
		g := &q.object.guards[q.action].forbid[i]
		if !q.forbids(g) {
			continue
		}
		effect = Deny
		if t == nil {
			return effect
		}
		t.forbidden(q, g)
	}
	return effect
}

func (q *question) forbids(g *guard) bool {
	switch {
	case g.deny != nil:
		return q.denies(&g.deny.When) != untrue
	case g.limit != nil:
		return q.exceedsRequest(g.limit) || q.exceedsDay(g) || q.exceedsOwned(g.limit)
	case g.separate:
		return q.request.Record == nil || q.request.Record.Creator == "" || q.request.Record.Creator == q.request.User
	}
	return true
}

func (q *question) denies(when *DenyWhen) truth {
	c, p := &q.request.Context, q.policy
	if when.ReasonMissing && c.Reason != "" {
		return untrue
	}
	if len(when.Windows) > 0 && !slices.ContainsFunc(when.Windows, func(s Span) bool { return s.Active(q.now) }) {
		return untrue
	}
	return amongKnown(when.Channels, c.Channel, p.channels).and(amongKnown(when.Devices, c.Device, p.devices))
}

func (q *question) exceedsRequest(limit *LimitRule) bool {
	if limit.MaxRowsPerRequest == nil {
		return false
	}
	rows, said := count(q.request.Context.Rows)
	return !said || rows > *limit.MaxRowsPerRequest
}

func (q *question) exceedsDay(g *guard) bool {
	limit := g.limit
	if limit.MaxRowsPerDay == nil {
		return false
	}
	rows, said := count(q.request.Context.Rows)
	used, saidToo := q.used(g)
	return !said || !saidToo || used > *limit.MaxRowsPerDay || rows > *limit.MaxRowsPerDay-used
}

// used is how many rows count for a limit, if that was said.
func (q *question) used(g *guard) (int64, bool) {
	if c := &q.request.Context; g.day < len(c.UsedOf) {
		return count(&c.UsedOf[g.day])
	}
	return count(q.request.Context.Used)
}

func (q *question) exceedsOwned(limit *LimitRule) bool {
	if limit.MaxRecordsOwned == nil {
		return false
	}
	owned, said := count(q.request.Context.Owned)
	return !said || owned >= *limit.MaxRecordsOwned
}
