package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Agree asks as many questions of random organisations that went through the store: what is decided from what comes back
// is what the plain reference says of what was declared.
func Agree(t *testing.T, h Harness, questions int) {
	t.Helper()
	const most = 2000 // of one organisation
	random, effects := accesstest.Random(t), map[access.Effect]int{}
	for asked, world := 0, 0; asked < questions; world++ {
		d := accesstest.NewWorld(random, accesstest.Small)
		l := lead(t, h, fmt.Sprint("tenant-", world))
		l.commit(t, rowsOf(t, access.Resolve(d).Facts))
		policy, plain := l.policy(t), accesstest.Reference{Declarations: d}
		for range min(most, questions-asked) {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			levels := make([]access.Level, len(q.Fields))
			effect := policy.Decide(now, q, levels)
			if want, wantLevels := plain.Decide(now, q); effect != want || !slices.Equal(levels, wantLevels) {
				t.Fatalf("question %d at %d: %+v record %+v: what the store holds says %s %v, the reference %s %v", asked, now, q, q.Record, effect, levels, want, wantLevels)
			}
			effects[effect]++
		}
	}
	t.Logf("decisions: %v", effects)
	if effects[access.Allow] < questions/5 || effects[access.Deny] < questions/5 {
		t.Errorf("the worlds are lopsided, and prove little: %v", effects)
	}
}

// policy is what decisions are made from, of just what the store holds.
func (l *leader) policy(t testing.TB) *access.Policy {
	t.Helper()
	content, err := l.Load(t.Context(), l.tenant.Name)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	facts, _, err := store.Decode(content.Rows)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return access.NewPolicy(facts)
}
