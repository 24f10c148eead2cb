package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// setAside makes a policy of what revocations end, which nothing but explanations ask: what would have covered the request.
// The owners of its holdings are the revocations, and no guardrail is asked.
func (b *policyBuilder) setAside(ended []held) {
	if b.policy.revoked = nil; len(ended) == 0 {
		return
	}
	aside := *b.policy
	aside.objects, aside.accounts, aside.boundaries = aside.unruled, slices.Clone(aside.accounts), nil
	aside.hold(ended)
	b.policy.revoked = &aside
}

// endedIn are the revocations that end tuples of a bundle, by its name.
func (p *Policy) endedIn(filled []bool) map[string][]string {
	ended := make(map[string][]string)
	for b, id := range p.bundles {
		if b.endedBy != "" && filled[id] {
			ended[b.name] = append(ended[b.name], b.endedBy)
		}
	}
	return ended
}

// wouldCover are the grants that would cover the request if no revocation had ended them.
func (p *Policy) wouldCover(now schedule.Instant, request *Request) []Cause {
	if p.revoked == nil {
		return nil
	}
	t := trace{}
	q := question{policy: p.revoked, now: now, request: request, levels: make([]Level, len(request.Fields))}
	q.answer(&t)
	return t.grants
}
