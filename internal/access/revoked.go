package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// setRevokedAside takes what revocations end out of the facts that decide, and makes a policy of it that nothing but
// explanations ask: what would have covered the request. Its holders' owners are the revocations.
func (b *policyBuilder) setRevokedAside() {
	all := b.facts
	aside := Facts{Objects: all.Objects, Fields: all.Fields, Departments: all.Departments, Closure: all.Closure, Users: all.Users, Memberships: all.Memberships}
	endedIn := make(map[string][]string) // by bundle, the revocations that end tuples of it
	for _, t := range all.Tuples {
		if t.RevokedBy != "" && !slices.Contains(endedIn[t.Bundle], t.RevokedBy) {
			endedIn[t.Bundle] = append(endedIn[t.Bundle], t.RevokedBy)
		}
	}
	ended := make(map[string]bool) // bundles of which a holder is revoked
	for _, h := range all.Holders {
		if h.RevokedBy != "" {
			ended[h.Bundle] = true
			aside.Holders = append(aside.Holders, h.endedBy(h.RevokedBy, h.Bundle))
		} else {
			for _, revocation := range endedIn[h.Bundle] {
				aside.Holders = append(aside.Holders, h.endedBy(revocation, revokedBundle(h.Bundle, revocation)))
			}
		}
	}
	if len(endedIn)+len(ended) == 0 {
		return
	}
	for _, t := range all.Tuples {
		if ended[t.Bundle] {
			aside.Tuples = append(aside.Tuples, t.in(t.Bundle))
		}
		if t.RevokedBy != "" {
			aside.Tuples = append(aside.Tuples, t.in(revokedBundle(t.Bundle, t.RevokedBy)))
		}
	}
	b.facts.Holders = slices.DeleteFunc(slices.Clone(all.Holders), func(h HolderFact) bool { return h.RevokedBy != "" })
	b.facts.Tuples = slices.DeleteFunc(slices.Clone(all.Tuples), func(t TupleFact) bool { return t.RevokedBy != "" })
	b.policy.revoked = NewPolicy(aside)
}

func revokedBundle(bundle, revocation string) string { return bundle + " without " + revocation }

func (h HolderFact) endedBy(revocation, bundle string) HolderFact {
	h.Owner, h.Bundle, h.RevokedBy = Ref{KindRevocation, revocation}, bundle, ""
	return h
}

func (t TupleFact) in(bundle string) TupleFact {
	t.Bundle, t.RevokedBy = bundle, ""
	return t
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
