package access_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// newGuardedWorld is a world with admit rules and approvals, some of them of what was declared before.
func newGuardedWorld(random *rand.Rand, n accesstest.Size) Declarations {
	d := accesstest.NewOrganisation(random, n)
	for i, u := range d.Users {
		u.Identities = []string{u.Name + "@crm"}
		if random.IntN(12) == 0 {
			u.Identities = append(u.Identities, d.Users[random.IntN(i+1)].Identities[0])
		}
	}
	for _, role := range d.Roles {
		role.Privileged = random.IntN(5) == 0
	}
	for i := range 1 + random.IntN(4) {
		d.Guardrails = append(d.Guardrails, newAdmitGuardrail(random, n, i))
	}
	for range 3 {
		approveSome(random, &d)
		for i, g := range d.TemporaryGrants {
			if random.IntN(3) == 0 {
				d.TemporaryGrants[i] = alteredGrant(random, n, g)
			}
		}
	}
	return d
}

func newAdmitGuardrail(random *rand.Rand, n accesstest.Size, i int) *Guardrail {
	rule := AdmitRule{Approvals: 1 + random.IntN(2)}
	switch random.IntN(5) {
	case 0:
		rule.When.PrivilegedRole = true
	case 1:
		rule.When.Roles = []string{accesstest.Pick(random, "role", n.Roles)}
	case 2:
		rule.When.Temporary, rule.When.OtherDepartment = true, true
	case 3:
		rule.When.Temporary = true
	}
	if random.IntN(2) == 0 {
		rule.By = append(rule.By, Approver{Role: accesstest.Pick(random, "role", n.Roles)}, Approver{Role: accesstest.Pick(random, "role", n.Roles)})
	}
	if random.IntN(3) == 0 {
		rule.By = append(rule.By, Approver{User: accesstest.Pick(random, "user", n.Users)})
	}
	return &Guardrail{Name: accesstest.Name("guardrail", i), Rules: []GuardrailRule{{Admit: &rule}}}
}

// approveSome lets random people answer what waits.
func approveSome(random *rand.Rand, d *Declarations) {
	admissions := Resolve(*d).Admissions
	for _, b := range d.UserBindings {
		answerSome(random, d, Ref{KindUserBinding, b.Name}, admissions)
	}
	for _, g := range d.TemporaryGrants {
		answerSome(random, d, Ref{KindTemporaryGrant, g.Name}, admissions)
	}
}

func answerSome(random *rand.Rand, d *Declarations, to Ref, admissions map[Ref][]Admission) {
	for _, a := range admissions[to] {
		for range random.IntN(6) {
			approval := &Approval{
				Name: accesstest.Name("approval", len(d.Approvals)), For: to, Effect: a.Effect, Denied: random.IntN(40) == 0,
				Approver: accesstest.Pick(random, "user", len(d.Users)) + "@crm",
			}
			if random.IntN(8) > 0 {
				approval.Document = a.Document
			}
			d.Approvals = append(d.Approvals, approval)
		}
	}
}

// alteredGrant is the grant made wider here and narrower there.
func alteredGrant(random *rand.Rand, n accesstest.Size, g *TemporaryGrant) *TemporaryGrant {
	altered := *g
	altered.Grants = slices.Clone(g.Grants)
	switch entry := &altered.Grants[0]; random.IntN(5) {
	case 0:
		entry.Actions = []string{"read", accesstest.Actions[random.IntN(len(accesstest.Actions))]}
	case 1:
		altered.Window.NotAfter += schedule.Instant(random.IntN(400) - 100)
	case 2:
		entry.Fields = accesstest.NewGrant(random, n).Fields
	case 3:
		entry.OnlyFields = []string{"field_2", accesstest.Pick(random, "field", accesstest.Fields)}
	default:
		altered.Grants = append(altered.Grants, Grant{Object: accesstest.Pick(random, "object", n.Objects), Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}})
	}
	if altered.Window.Empty() {
		return g
	}
	return &altered
}

// unrevoked are the facts without what revocations end.
func unrevoked(f Facts) Facts {
	f.Users = slices.Clone(f.Users)
	for i := range f.Users {
		if f.Users[i].RevokedBy != "" {
			f.Users[i].State, f.Users[i].RevokedBy = StateSuspended, ""
		}
	}
	f.Tuples = slices.DeleteFunc(slices.Clone(f.Tuples), func(t TupleFact) bool { return t.RevokedBy != "" })
	f.Holders = slices.DeleteFunc(slices.Clone(f.Holders), func(h HolderFact) bool { return h.RevokedBy != "" })
	return f
}

// checkNoMore asks both worlds at random, and fails where the one that should have less has more.
func checkNoMore(t *testing.T, seed uint64, random *rand.Rand, less, more Declarations) {
	t.Helper()
	lesser, greater := NewPolicy(unrevoked(Resolve(less).Facts)), NewPolicy(unrevoked(Resolve(more).Facts))
	for range 400 {
		q := accesstest.NewRequest(random, less)
		if q.Record == nil {
			continue // a list's level is the narrowest of its grants, and more grants show more records
		}
		now := accesstest.Start + schedule.Instant(random.IntN(accesstest.Span))
		low, high := make([]Level, len(q.Fields)), make([]Level, len(q.Fields))
		was, is := lesser.Decide(now, q, low), greater.Decide(now, q, high)
		if is < was {
			t.Fatalf("seed %d: %+v is %s with less and %s with more", seed, q, was, is)
		}
		for i := range low {
			if high[i] < low[i] {
				t.Fatalf("seed %d: %+v: field %s is %s with less and %s with more", seed, q, q.Fields[i], low[i], high[i])
			}
		}
	}
}

func TestAmongGuardrails(t *testing.T) {
	const seeds = 12
	for name, change := range map[string]func(*rand.Rand, Declarations) (less, more Declarations){
		"a binding never takes access away": func(_ *rand.Rand, d Declarations) (Declarations, Declarations) {
			less := d
			less.UserBindings, less.TemporaryGrants = d.UserBindings[:len(d.UserBindings)/2], d.TemporaryGrants[:len(d.TemporaryGrants)/2]
			return less, d
		},
		"an admit rule never gives access": func(random *rand.Rand, d Declarations) (Declarations, Declarations) {
			less := d
			less.Guardrails = append(slices.Clip(d.Guardrails), newAdmitGuardrail(random, accesstest.Small, len(d.Guardrails)))
			return less, d
		},
		"without any rule there is no less": func(_ *rand.Rand, d Declarations) (Declarations, Declarations) {
			more := d
			more.Guardrails = nil
			return d, more
		},
		"an approval more never takes access away": func(_ *rand.Rand, d Declarations) (Declarations, Declarations) {
			d.Approvals = slices.DeleteFunc(slices.Clone(d.Approvals), func(a *Approval) bool { return a.Denied })
			less := d
			less.Approvals = d.Approvals[:len(d.Approvals)/2]
			return less, d
		},
		"a revocation never gives access": func(random *rand.Rand, d Declarations) (Declarations, Declarations) {
			less := d
			for range 3 {
				less.Revocations = append(less.Revocations, accesstest.NewRevocation(random, d, len(less.Revocations)))
			}
			return less, d
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				random := rand.New(rand.NewPCG(seed, 11))
				less, more := change(random, newGuardedWorld(random, accesstest.Small))
				checkNoMore(t, seed, random, less, more)
			}
		})
	}
}

func TestTheOrderOfApprovalsChangesNothing(t *testing.T) {
	states := map[AdmissionState]int{}
	for seed := range uint64(15) {
		random := rand.New(rand.NewPCG(seed, 12))
		d := newGuardedWorld(random, accesstest.Small)
		for i := range 4 {
			d.Revocations = append(d.Revocations, accesstest.NewRevocation(random, d, i))
			document := d.Revocations[i].LiftDocument()
			d.Approvals = append(d.Approvals, &Approval{Name: accesstest.Name("lift", i), For: Ref{KindRevocation, d.Revocations[i].Name}, Effect: EffectDigest(document), Approver: accesstest.Pick(random, "user", accesstest.Small.Users) + "@crm"})
		}
		before := Resolve(d)
		shuffle(random, d.Users)
		shuffle(random, d.Roles)
		shuffle(random, d.UserBindings)
		shuffle(random, d.TemporaryGrants)
		shuffle(random, d.Guardrails)
		shuffle(random, d.Approvals)
		shuffle(random, d.Revocations)
		after := Resolve(d)
		if !slices.Equal(sortedFacts(before), sortedFacts(after)) {
			t.Fatalf("seed %d: the facts differ by order", seed)
		}
		if !reflect.DeepEqual(before.Admissions, after.Admissions) || !reflect.DeepEqual(before.Lifted, after.Lifted) {
			t.Fatalf("seed %d: the admissions differ by order", seed)
		}
		for _, list := range before.Admissions {
			for _, a := range list {
				states[a.State]++
			}
		}
	}
	t.Logf("admissions: %v", states)
	for _, state := range []AdmissionState{Admitted, AdmittedInPart, Awaiting, Refused} {
		if states[state] < 20 {
			t.Errorf("the worlds prove little: %v", states)
		}
	}
}

func TestNarrowingNeedsNobody(t *testing.T) {
	narrowed := 0
	for seed := range uint64(24) {
		random := rand.New(rand.NewPCG(seed, 13))
		d := newGuardedWorld(random, accesstest.Small)
		before := Resolve(d).Admissions
		for i, g := range d.TemporaryGrants {
			// One at a time: a role that ends with another grant may be what its approver approves by.
			ref, less := Ref{KindTemporaryGrant, g.Name}, d
			if !hasDocuments(d, ref) || !slices.ContainsFunc(before[ref], func(b Admission) bool { return b.State == Admitted }) {
				continue
			}
			less.TemporaryGrants = slices.Clone(d.TemporaryGrants)
			less.TemporaryGrants[i] = narrowerGrant(random, g)
			for _, a := range Resolve(less).Admissions[ref] {
				was := slices.IndexFunc(before[ref], func(b Admission) bool { return b.User == a.User && b.State == Admitted })
				if was < 0 || a.State == Refused {
					continue
				}
				narrowed++
				if a.State != Admitted {
					t.Fatalf("seed %d: %s of %s is %s once it is narrower:\n%s\n%s", seed, ref, a.User, a.State, before[ref][was].Document, a.Document)
				}
			}
		}
	}
	if narrowed < 30 {
		t.Errorf("only %d were narrowed", narrowed)
	}
}

// hasDocuments says whether every approval of it is remembered with what it was about.
func hasDocuments(d Declarations, ref Ref) bool {
	return !slices.ContainsFunc(d.Approvals, func(a *Approval) bool { return a.For == ref && a.Document == nil })
}

// narrowerGrant is less of the grant, in a way drawn at random.
func narrowerGrant(random *rand.Rand, g *TemporaryGrant) *TemporaryGrant {
	narrower := *g
	narrower.Grants = slices.Clone(g.Grants)
	entry := &narrower.Grants[random.IntN(len(g.Grants))]
	switch random.IntN(7) {
	case 0:
		entry.Actions = entry.Actions[:1]
	case 1:
		narrower.Window.NotAfter = (g.Window.NotBefore + g.Window.NotAfter + 1) / 2
	case 2:
		narrower.Window.NotBefore = (g.Window.NotBefore + g.Window.NotAfter) / 2
	case 3:
		entry.Where = append(slices.Clip(entry.Where), Condition{Field: "field_5", Operator: OperatorExists})
	case 4:
		entry.Fields = slices.Clone(entry.Fields)
		for i := range entry.Fields {
			entry.Fields[i].Level = LevelNone
		}
	case 5:
		entry.OnlyFields = []string{}
	default:
		narrower.Roles = nil
	}
	if narrower.Window.Empty() {
		return g
	}
	return &narrower
}

func BenchmarkAdmit(b *testing.B) {
	d := newGuardedWorld(rand.New(rand.NewPCG(1, 1)), accesstest.Size{Objects: 20, Departments: 100, Users: 2000, Roles: 300, GrantsPerRole: 50, Bindings: 4000, Temporary: 4000})
	b.ReportAllocs()
	for b.Loop() {
		Resolve(d)
	}
	b.ReportMetric(float64(len(d.Approvals)), "approvals")
}
