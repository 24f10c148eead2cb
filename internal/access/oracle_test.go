package access_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// questionsPerWorld are enough to meet a world's rules, and few enough to see many worlds.
const questionsPerWorld = 400

func TestTheEngineAgreesWithTheReferenceOnRandomWorlds(t *testing.T) {
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	counts, by := map[Effect]int{}, map[string]int{}
	for asked := 0; asked < questions; {
		d := accesstest.NewWorld(random, accesstest.Small)
		policy, plain := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}
		for range min(questionsPerWorld, questions-asked) {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			levels := make([]Level, len(q.Fields))
			effect, want := policy.Decide(now, q, levels), plain.Judge(now, q)
			if effect != want.Effect || !slices.Equal(levels, want.Levels) {
				t.Fatalf("question %d at %d: %+v record %+v: engine says %s %v, reference %s %v (%s)", asked, now, q, q.Record, effect, levels, want.Effect, want.Levels, want.By)
			}
			if e := policy.Explain(now, q); e.Effect != effect || !slices.Equal(e.Levels, levels) {
				t.Fatalf("question %d at %d: %+v: Explain says %s %v, Decide %s %v", asked, now, q, e.Effect, e.Levels, effect, levels)
			}
			counts[effect]++
			slices.Sort(want.By)
			for _, rule := range slices.Compact(want.By) {
				by[rule]++
			}
			if levels = levels[:len(q.Fields)]; policy.Decide(now-1, q, levels) != effect || policy.Decide(now+1, q, levels) != effect {
				by["within a second of a boundary"]++
			}
		}
	}
	t.Logf("decisions: %v", counts)
	for _, rule := range slices.Sorted(maps.Keys(by)) {
		t.Logf("%6.2f %% %s", 100*float64(by[rule])/float64(questions), rule)
		if by[rule] < questions/100 {
			t.Errorf("%q decides %d of %d: this proves little of it", rule, by[rule], questions)
		}
	}
	if counts[Allow] < questions/4 || counts[Allow] > questions*3/4 {
		t.Errorf("the worlds are lopsided, and prove little: %v", counts)
	}
}
