package witness

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	worlds            = 1000
	questionsPerWorld = 10
)

// small are worlds of which a thousand are translated in a minute.
var small = accesstest.Size{Objects: 8, Departments: 7, Users: 12, Roles: 8, GrantsPerRole: 7, Bindings: 36, Temporary: 12, InheritEvery: 2}

// witness answers a question about a record.
type witness func(now schedule.Instant, q *access.Request) (bool, []access.Level)

func TestTheWitnessesAgreeWithTheEngineOnAThousandWorlds(t *testing.T) {
	random := accesstest.Random(t)
	compiler, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	allowed, denied := 0, 0
	for world := range worlds {
		d := newWorld(random)
		policy := access.NewPolicy(access.Resolve(d).Facts)
		witnesses := call(t, compiler, d)
		for range questionsPerWorld {
			now, q := newQuestion(random, d)
			levels := make([]access.Level, len(q.Fields))
			effect := policy.Decide(now, q, levels)
			for name, says := range witnesses {
				if said, saw := says(now, q); said != (effect == access.Allow) || !slices.Equal(saw, levels) {
					t.Fatalf("world %d at %d: %+v record %+v parent %+v: the engine says %s %v, %s %v %v", world, now, q, q.Record, q.Record.Parent, effect, levels, name, said, saw)
				}
			}
			if effect == access.Allow {
				allowed++
			} else {
				denied++
			}
		}
	}
	t.Logf("%d allowed, %d denied", allowed, denied)
	if all := allowed + denied; allowed < all/4 || denied < all/4 {
		t.Errorf("the worlds are lopsided, and prove little: %d allowed, %d denied", allowed, denied)
	}
}

func call(t *testing.T, compiler *ast.Compiler, d access.Declarations) map[string]witness {
	t.Helper()
	inCedar, err := NewCedar(d)
	if err != nil {
		t.Fatal(err)
	}
	inRego, err := NewRego(t.Context(), compiler, d)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]witness{"Cedar": inCedar.Decide, "OPA": func(now schedule.Instant, q *access.Request) (bool, []access.Level) {
		allowed, levels, err := inRego.Decide(now, q)
		if err != nil {
			t.Fatal(err)
		}
		return allowed, levels
	}}
}

// newWorld has no approve rules: the witnesses have no third answer.
func newWorld(random *rand.Rand) access.Declarations {
	d := accesstest.NewWorld(random, small)
	d.Guardrails = slices.DeleteFunc(d.Guardrails, func(g *access.Guardrail) bool {
		return slices.ContainsFunc(g.Rules, func(r access.GuardrailRule) bool { return r.Approve != nil })
	})
	return d
}

// newQuestion is about a record.
func newQuestion(random *rand.Rand, d access.Declarations) (schedule.Instant, *access.Request) {
	for {
		if now, q := accesstest.NewQuestion(random, d); q.Record != nil {
			return now, q
		}
	}
}
