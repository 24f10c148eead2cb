package access_test

import (
	"math/rand/v2"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Properties of the guardrails that decisions ask, on random worlds. Those of what needs approval stand in admit_test.go.

func TestAddingAGuardrailNeverAdds(t *testing.T) {
	const worlds, questions = 60, 300
	narrowed := 0
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 11))
		d := accesstest.NewOrganisation(random, accesstest.Small)
		all := accesstest.NewGuardrails(random, d)
		some := random.IntN(len(all))
		d.Guardrails = all[:some]
		fewer := NewPolicy(Resolve(d).Facts)
		d.Guardrails = all
		more := NewPolicy(Resolve(d).Facts)
		for range questions {
			q := accesstest.NewRequest(random, d)
			now := accesstest.Start + schedule.Instant(random.IntN(2*accesstest.Span))
			before, after := make([]Level, len(q.Fields)), make([]Level, len(q.Fields))
			was, is := fewer.Decide(now, q, before), more.Decide(now, q, after)
			if is > was {
				t.Fatalf("world %d at %d: %+v: %s with %d guardrails, %s with %d", seed, now, q, was, some, is, len(all))
			}
			for i := range after {
				if after[i] > before[i] {
					t.Fatalf("world %d at %d: %+v: field %s is %s with %d guardrails, %s with %d", seed, now, q, q.Fields[i], before[i], some, after[i], len(all))
				}
			}
			if is < was {
				narrowed++
			}
		}
	}
	if narrowed < worlds*questions/50 {
		t.Errorf("%d of %d answers were narrowed: this proves little", narrowed, worlds*questions)
	}
}

func TestTheOrderOfGuardrailsAndOfApproversDoesNotMatter(t *testing.T) {
	const worlds, questions = 30, 300
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 13))
		d := accesstest.NewOrganisation(random, accesstest.Small)
		d.Guardrails = accesstest.NewGuardrails(random, d)
		one := NewPolicy(Resolve(d).Facts)
		shuffled := d
		shuffled.Guardrails = append([]*Guardrail(nil), d.Guardrails...)
		random.Shuffle(len(shuffled.Guardrails), func(i, j int) {
			shuffled.Guardrails[i], shuffled.Guardrails[j] = shuffled.Guardrails[j], shuffled.Guardrails[i]
		})
		other := NewPolicy(Resolve(shuffled).Facts)
		for range questions {
			q := accesstest.NewRequest(random, d)
			now := accesstest.Start + schedule.Instant(random.IntN(2*accesstest.Span))
			first := one.Explain(now, q)
			random.Shuffle(len(q.Context.ApprovedBy), func(i, j int) {
				q.Context.ApprovedBy[i], q.Context.ApprovedBy[j] = q.Context.ApprovedBy[j], q.Context.ApprovedBy[i]
			})
			if again := other.Explain(now, q); spoken(again) != spoken(first) || again.Effect != first.Effect {
				t.Fatalf("world %d at %d: %+v: %s (%s), and in another order %s (%s)", seed, now, q, first.Effect, spoken(first), again.Effect, spoken(again))
			}
		}
	}
}
