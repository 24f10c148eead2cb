package access_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// questionsPerWorld are enough to meet a world's rules, and few enough to see many worlds.
const questionsPerWorld = 200

func TestTheEngineAgreesWithTheReferenceOnRandomWorlds(t *testing.T) {
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	effects, decided := map[Effect]int{}, coverage{}
	for asked := 0; asked < questions; {
		d := accesstest.NewWorld(random, accesstest.Small)
		policy, plain, lesser := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}, policiesWithout(d)
		for range min(questionsPerWorld, questions-asked) {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			got, want := answered(policy, now, q), plain.Judge(now, q)
			if got != inWords(want.Effect, want.Levels) {
				t.Fatalf("question %d at %d: %+v record %+v: engine says %s, reference %s %v (%s)", asked, now, q, q.Record, got, want.Effect, want.Levels, want.By)
			}
			if e := policy.Explain(now, q); inWords(e.Effect, e.Levels) != got {
				t.Fatalf("question %d at %d: %+v: Explain says %s %v, Decide %s", asked, now, q, e.Effect, e.Levels, got)
			}
			effects[want.Effect]++
			decided.count(want.By...)
			if answered(policy, now-1, q) != got || answered(policy, now+1, q) != got {
				decided.count("a boundary a second away")
			}
			for part, without := range lesser {
				if answered(without, now, q) != got {
					decided.count(part)
				}
			}
		}
	}
	t.Logf("decisions: %v", effects)
	decided.check(t, questions)
	if effects[Allow] < questions/4 || effects[Allow] > questions*3/4 {
		t.Errorf("the worlds are lopsided, and prove little: %v", effects)
	}
}

func answered(p *Policy, now schedule.Instant, q *Request) string {
	levels := make([]Level, len(q.Fields))
	return inWords(p.Decide(now, q, levels), levels)
}

func inWords(effect Effect, levels []Level) string { return fmt.Sprintf("%s %v", effect, levels) }

// coverage counts the questions that each rule decides.
type coverage map[string]int

func (c coverage) count(rules ...string) {
	slices.Sort(rules)
	for _, rule := range slices.Compact(rules) {
		c[rule]++
	}
}

// check prints the distribution, and fails where a rule decides less than one question in a hundred.
func (c coverage) check(t *testing.T, questions int) {
	t.Helper()
	for _, rule := range slices.Sorted(maps.Keys(c)) {
		t.Logf("%6.2f %% %s", 100*float64(c[rule])/float64(questions), rule)
		if c[rule] < questions/100 {
			t.Errorf("%s decides %d of %d questions: this proves little of it", rule, c[rule], questions)
		}
	}
}

// policiesWithout are those of the world without one part of what it says: where one answers otherwise, that part decides.
func policiesWithout(d Declarations) map[string]*Policy {
	policies := make(map[string]*Policy)
	for part, lose := range map[string]func(*Declarations){
		"without revocations": func(d *Declarations) { d.Revocations = nil },
		"without guardrails":  func(d *Declarations) { d.Guardrails = nil },
		"without mutes":       inEachRole(func(r *Role) { r.Inherits = slices.Clone(r.Inherits); unmute(r.Inherits) }),
		"without inheritance": inEachRole(func(r *Role) { r.Inherits = nil }),
		"with abstract roles": inEachRole(func(r *Role) { r.Abstract = false }),
		"without conditions":  inEachGrant(func(g *Grant) { g.Where = nil }),
		"without field rules": inEachGrant(func(g *Grant) { g.Fields = nil }),
		"without onlyFields":  inEachGrant(func(g *Grant) { g.OnlyFields = nil }),
		"without caps":        withoutRules(func(r GuardrailRule) bool { return r.Cap != nil }),
		"without maxDuration": withoutRules(func(r GuardrailRule) bool { return r.Admit != nil }),
		"without parent records": func(d *Declarations) {
			d.ObjectTypes = clones(d.ObjectTypes, func(o *ObjectType) { o.AccessFrom = AccessFrom{} })
		},
		"with externals as staff": func(d *Declarations) {
			d.Users = clones(d.Users, func(u *User) { u.Type = UserEmployee })
		},
	} {
		without := d
		lose(&without)
		policies[part] = NewPolicy(Resolve(without).Facts)
	}
	return policies
}

func unmute(entries []Inheritance) {
	for i := range entries {
		entries[i].Mute = nil
	}
}

func inEachRole(change func(*Role)) func(*Declarations) {
	return func(d *Declarations) { d.Roles = clones(d.Roles, change) }
}

func inEachGrant(change func(*Grant)) func(*Declarations) {
	inAll := func(grants []Grant) []Grant {
		grants = slices.Clone(grants)
		for i := range grants {
			change(&grants[i])
		}
		return grants
	}
	return func(d *Declarations) {
		d.Roles = clones(d.Roles, func(r *Role) { r.Grants = inAll(r.Grants) })
		d.TemporaryGrants = clones(d.TemporaryGrants, func(t *TemporaryGrant) { t.Grants = inAll(t.Grants) })
	}
}

func withoutRules(is func(GuardrailRule) bool) func(*Declarations) {
	return func(d *Declarations) {
		d.Guardrails = clones(d.Guardrails, func(g *Guardrail) { g.Rules = slices.DeleteFunc(slices.Clone(g.Rules), is) })
	}
}

// clones copies what a list points to and changes the copies.
func clones[T any](list []*T, change func(*T)) []*T {
	out := make([]*T, len(list))
	for i, each := range list {
		changed := *each
		change(&changed)
		out[i] = &changed
	}
	return out
}
