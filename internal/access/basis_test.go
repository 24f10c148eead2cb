package access_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

func TestOnABasisDeclarationsComeToTheSame(t *testing.T) {
	random := accesstest.Random(t)
	for range 60 {
		base := newGuardedWorld(random, accesstest.Small)
		base.Revocations = accesstest.NewWorld(random, accesstest.Small).Revocations
		base.Users[0].Manager, base.Users[1].Departments = "nobody", []string{"nowhere"}
		if random.IntN(2) == 0 {
			base.Guardrails = nil // only then are bindings taken
		}
		want := Resolve(base)
		came, basis := ResolveBasis(base)
		if !reflect.DeepEqual(came, want) {
			t.Fatalf("the basis itself comes to something else:\n%s", cmp.Diff(want, came))
		}
		for range 4 {
			head := otherwise(random, base)
			if want, got := Resolve(head), basis.Resolve(head); !reflect.DeepEqual(got, want) {
				t.Fatalf("on the basis of another state it comes to something else:\n%s", cmp.Diff(want, got))
			}
		}
		if !reflect.DeepEqual(came, want) {
			t.Fatalf("the facts of the basis have changed:\n%s", cmp.Diff(want, came))
		}
	}
}

// otherwise declares some of it otherwise and in another order; mostly not what bindings refer to.
func otherwise(random *rand.Rand, base Declarations) Declarations {
	head := accesstest.Thinned(random, accesstest.Redraw(random, base, accesstest.Small))
	if random.IntN(4) > 0 {
		head.Users = base.Users
	}
	switch random.IntN(4) {
	case 0:
		head.Guardrails = append(slices.Clip(base.Guardrails), newAdmitGuardrail(random, accesstest.Small, 100))
	case 1:
		head.Guardrails = base.Guardrails
	default:
		head.Guardrails = nil
	}
	if random.IntN(2) == 0 {
		head.Revocations = nil
	}
	for i, role := range head.Roles {
		if random.IntN(10) == 0 {
			other := *role
			other.Abstract = !role.Abstract
			head.Roles[i] = &other
		}
	}
	if len(head.TemporaryGrants) > 0 {
		copied := *head.TemporaryGrants[0] // its entries are the very same
		copied.Name = "another"
		head.TemporaryGrants = append(slices.Clip(head.TemporaryGrants), &copied)
	}
	if random.IntN(2) == 0 {
		head.UserBindings = slices.Clone(head.UserBindings)
		random.Shuffle(len(head.UserBindings), func(i, j int) {
			head.UserBindings[i], head.UserBindings[j] = head.UserBindings[j], head.UserBindings[i]
		})
	}
	return head
}

func TestTuplesSayTheSameWhoeverSaysItAndNothingElse(t *testing.T) {
	full := func() *Tuple {
		return &Tuple{
			Digest: "d", Origin: "o", Object: "customer", Actions: []string{"read"}, Scopes: []string{"own"}, IDs: []string{"1"}, Owners: []string{"li"},
			Departments: []string{"east"}, DepartmentTrees: []string{"west"}, Where: []WhereFact{{Field: "f", Operator: OperatorIn, Values: []string{"v"}}},
			Fields: []RuleFact{{Field: "f", Level: "read"}}, Restricted: true, OnlyFields: []string{"f"},
		}
	}
	if !full().SaysTheSame(full()) {
		t.Fatal("a tuple does not say the same as itself")
	}
	of := reflect.TypeFor[Tuple]()
	for i := range of.NumField() {
		other := full()
		reflect.ValueOf(other).Elem().Field(i).SetZero()
		name := of.Field(i).Name
		if same := full().SaysTheSame(other); same != (name == "Digest" || name == "Origin") {
			t.Errorf("with another %s: says the same: %t", name, same)
		}
	}
	other := full()
	other.Where[0].Values = []string{"w"}
	if full().SaysTheSame(other) {
		t.Error("conditions with other values say the same")
	}
}
