package plan_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
)

func TestWhatIsRenamedMovedOrReorderedChangesNobodysAccess(t *testing.T) {
	random := accesstest.Random(t)
	base := accesstest.NewWorld(random, planned)
	base.Revocations = nil // they name what is renamed here
	head := shuffled(random, base)
	for i := range head.UserBindings {
		change(head.UserBindings, i, func(b *access.UserBinding) { b.Name = "renamed-" + b.Name })
	}
	for i := range head.TemporaryGrants {
		change(head.TemporaryGrants, i, func(g *access.TemporaryGrant) { g.Name = "renamed-" + g.Name })
	}
	for i := range head.Roles {
		change(head.Roles, i, func(r *access.Role) {
			r.Grants = slices.Clone(r.Grants)
			slices.Reverse(r.Grants)
			for j := range r.Grants {
				r.Grants[j].Where = slices.Clone(r.Grants[j].Where)
				slices.Reverse(r.Grants[j].Where)
				r.Grants[j].Actions = slices.Clone(r.Grants[j].Actions)
				slices.Reverse(r.Grants[j].Actions)
			}
		})
	}
	sources := make(map[access.Ref]manifest.Source)
	for _, u := range base.Users {
		sources[access.Ref{Kind: access.KindUser, Name: u.Name}] = manifest.Source{File: "elsewhere.yaml", Line: 7}
	}
	tenant := Compare(State{Declarations: base}, State{Declarations: head, Sources: sources}, Options{At: accesstest.Start})
	if tenant != nil && len(tenant.Changes) > 0 {
		t.Errorf("%d rows, the first: %s", len(tenant.Changes), line(tenant.Changes[0]))
	}
}

func TestTheOrderOfDeclarationsAndTheNumberOfProcessorsChangeNoByte(t *testing.T) {
	random := accesstest.Random(t)
	base := accesstest.NewWorld(random, planned)
	head, _ := edited(random, base, slices.Sorted(maps.Keys(edits)), 8)
	text := func(base, head access.Declarations) string {
		out, err := json.Marshal(compare(base, head, accesstest.Start))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := text(base, head)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(processors)
		if got := text(shuffled(random, base), shuffled(random, head)); got != want {
			t.Fatalf("with %d processors and in another order the plan is another:\n%s\nand not\n%s", processors, got, want)
		}
	}
}

// shuffled are the declarations in another order.
func shuffled(random *rand.Rand, d access.Declarations) access.Declarations {
	d = ownLists(d)
	for _, list := range []struct {
		count int
		swap  func(i, j int)
	}{
		{len(d.ObjectTypes), func(i, j int) { d.ObjectTypes[i], d.ObjectTypes[j] = d.ObjectTypes[j], d.ObjectTypes[i] }},
		{len(d.Departments), func(i, j int) { d.Departments[i], d.Departments[j] = d.Departments[j], d.Departments[i] }},
		{len(d.Users), func(i, j int) { d.Users[i], d.Users[j] = d.Users[j], d.Users[i] }},
		{len(d.Roles), func(i, j int) { d.Roles[i], d.Roles[j] = d.Roles[j], d.Roles[i] }},
		{len(d.UserBindings), func(i, j int) { d.UserBindings[i], d.UserBindings[j] = d.UserBindings[j], d.UserBindings[i] }},
		{len(d.TemporaryGrants), func(i, j int) {
			d.TemporaryGrants[i], d.TemporaryGrants[j] = d.TemporaryGrants[j], d.TemporaryGrants[i]
		}},
		{len(d.Guardrails), func(i, j int) { d.Guardrails[i], d.Guardrails[j] = d.Guardrails[j], d.Guardrails[i] }},
	} {
		random.Shuffle(list.count, list.swap)
	}
	return d
}
