package access_test

import (
	"reflect"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestEachLimitOfADayHasASumOfItsOwn(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeAll, "read", "export"))(&d)
	both := LimitRule{Target: Target{Objects: []string{"customer"}, Actions: []string{"read", "export"}}, MaxRowsPerDay: number(1000)}
	ruled(GuardrailRule{Limit: &LimitRule{Target: on("customer", "export"), MaxRowsPerRequest: number(500)}}, GuardrailRule{Limit: &both},
		GuardrailRule{Limit: &LimitRule{Target: on("customer", "export"), MaxRowsPerDay: number(100)}})(&d)
	policy := NewPolicy(Resolve(d).Facts)
	var most []int64
	for _, limit := range policy.DayLimits("customer", "export") {
		most = append(most, *limit.MaxRowsPerDay)
	}
	if !reflect.DeepEqual(most, []int64{1000, 100}) || policy.DayLimits("customer", "transfer") != nil || policy.DayLimits("atlantis", "export") != nil {
		t.Errorf("limits %v", most)
	}
	for name, c := range map[string]struct {
		usedOf []int64
		used   *int64
		want   Effect
	}{
		"both fit":                                {[]int64{900, 90}, nil, Allow},
		"the first is exceeded":                   {[]int64{991, 90}, nil, Deny},
		"the second is exceeded":                  {[]int64{900, 91}, nil, Deny},
		"one sum for both, which fits":            {nil, number(90), Allow},
		"one sum for both, too much for one":      {nil, number(900), Deny},
		"the second is not said":                  {[]int64{900}, nil, Deny},
		"what is said of each counts, not of all": {[]int64{900, 90}, number(900), Allow},
	} {
		q := &Request{User: "ann", Action: "export", Object: "customer", Context: Context{Rows: number(10), Used: c.used, UsedOf: c.usedOf}}
		if got := policy.Decide(0, q, nil); got != c.want || policy.Explain(0, q).Effect != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRightsAreWhatIsHeldAtThatInstant(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeOwn, "read", "update"), customers(ScopeDepartment, "read"))(&d)
	lending(customersOf(Records{IDs: []string{"c9"}}, "read"), "ann")(&d)
	policy := NewPolicy(Resolve(d).Facts)
	before := []Right{{"customer", "read", []string{"own", "department"}, schedule.Forever}, {"customer", "update", []string{"own"}, schedule.Forever}}
	during := []Right{{"customer", "read", []string{"own", "department", "selected"}, schedule.Forever}, {"customer", "update", []string{"own"}, schedule.Forever}}
	for now, want := range map[schedule.Instant][]Right{99: before, 100: during, 199: during, 200: before} {
		if got := policy.Rights(now, "ann"); !reflect.DeepEqual(got, want) {
			t.Errorf("at %d: %+v, want %+v", now, got, want)
		}
	}
	for _, user := range []string{"gone", "stranger"} {
		if got := policy.Rights(0, user); len(got) != 0 {
			t.Errorf("%s has %+v", user, got)
		}
	}
}

func TestSightsAreTheLevelsOfWhatIsRead(t *testing.T) {
	d := office()
	holding("ann", with(customers(ScopeOwn, "read", "update"), level(ClassConfidential, LevelEdit), level(ClassSecret, LevelRead)), customers(ScopeDepartment, "read"))(&d)
	holding("bob", customers(ScopeOwn, "update"))(&d) // updates what is not listed
	lending(with(customersOf(Records{IDs: []string{"c9"}}, "read"), level(ClassRestricted, LevelRead)), "ann")(&d)
	ruled(GuardrailRule{Cap: &CapRule{Objects: []string{Any}, Classes: []string{"secret"}, Level: "masked"}})(&d)
	policy := NewPolicy(Resolve(d).Facts)
	during := []Sight{{"customer", []FieldSight{
		{"limit", LevelRead, LevelNone}, {"name", LevelEdit, LevelRead}, {"owner", LevelRead, LevelRead}, {"ownerDept", LevelRead, LevelRead},
		{"phone", LevelEdit, LevelMasked}, {"pin", LevelMasked, LevelNone}, {"region", LevelEdit, LevelRead},
	}}}
	if got := policy.Sights(100, "ann"); !reflect.DeepEqual(got, during) {
		t.Errorf("%+v, want %+v", got, during)
	}
	if after := policy.Sights(200, "ann"); len(after) != 1 || after[0].Fields[0] != (FieldSight{"limit", LevelNone, LevelNone}) {
		t.Errorf("once the grant has ended: %+v", after)
	}
	for _, user := range []string{"bob", "gone", "stranger"} {
		if got := policy.Sights(100, user); len(got) != 0 {
			t.Errorf("%s sees %+v", user, got)
		}
	}
}

func TestSightsAgreeWithTheReference(t *testing.T) {
	random, seen := accesstest.Random(t), 0
	for range accesstest.Questions(t) / questionsPerWorld {
		d := accesstest.NewOrganisation(random, accesstest.Small)
		policy, plain := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}
		for range questionsPerWorld {
			now, q := accesstest.NewQuestion(random, d)
			q.Action = ActionRead
			var most, onLists []Level
			for _, s := range policy.Sights(now, q.User) {
				if s.Object != q.Object {
					continue
				}
				q.Fields = nil
				for _, f := range s.Fields {
					q.Fields, most, onLists = append(q.Fields, f.Name), append(most, f.Most), append(onLists, f.OnLists)
				}
			}
			_, levels := plain.Decide(now, q)
			for i := range most {
				seen++
				if levels[i] > most[i] {
					t.Fatalf("at %d: %+v has %s of %s, and at most %s were said", now, q, levels[i], q.Fields[i], most[i])
				}
			}
			q.Record = nil
			effect, levels := plain.Decide(now, q)
			if effect != Allow && len(most) > 0 || effect == Allow && len(most) > 0 && !slices.Equal(levels, onLists) {
				t.Fatalf("at %d: a list of %+v is answered %s %v, and the sight says %v", now, q, effect, levels, onLists)
			}
		}
	}
	if seen < accesstest.Questions(t) {
		t.Errorf("next to nothing is seen, which proves little: %d levels", seen)
	}
}

func TestADecisionNamesTheStageThatMadeIt(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeOwn, "read", "update", "transfer"))(&d)
	ruled(GuardrailRule{Deny: &DenyRule{Target: on("customer", "read"), When: DenyWhen{Channels: []string{"mobile"}}}},
		GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), By: []Approver{{User: "boss"}}}})(&d)
	d.Revocations = []*Revocation{{Name: "stop", Target: Ref{KindUser, "bob"}}}
	policy := NewPolicy(Resolve(d).Facts)
	for want, q := range map[string]Request{
		"revocation": {User: "bob", Action: "read"}, "account": {User: "gone", Action: "read"}, "catalogue": {User: "ann", Action: "burn"},
		"guardrails": {User: "ann", Action: "read", Context: Context{Channel: "mobile"}}, "grants": {User: "boss", Action: "update"},
		"approval": {User: "ann", Action: "transfer"}, "fields": {User: "ann", Action: "update", Fields: []string{"pin"}}, "allowed": {User: "ann", Action: "update"},
	} {
		q.Object, q.Record = "customer", annsInEast1
		if q.Context.Channel == "" {
			q.Context.Channel = "web"
		}
		if _, stage := policy.Judge(0, &q, make([]Level, len(q.Fields))); stage.String() != want {
			t.Errorf("%+v: decided by %s, want %s", q, stage, want)
		}
	}
}

func TestWhoMightApproveIsWhoeverMayAndNobodyElseWithoutAPart(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeOwn, "read", "transfer"))(&d)
	ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), By: []Approver{{User: "boss"}}}})(&d)
	policy := NewPolicy(Resolve(d).Facts)
	transfer := Request{User: "ann", Action: "transfer", Object: "customer", Record: annsInEast1, Context: Context{Channel: "web"}}
	if !policy.MayApprove(0, &transfer, "boss") {
		t.Fatal("boss may not approve what the rule names them for")
	}
	for person, might := range map[string]bool{"boss": true, "ann": false, "bob": false, "gone": false, "nobody": false, "": false} {
		bare := transfer
		bare.Record = nil
		if got := policy.MightApprove(0, &bare, person); got != might {
			t.Errorf("%q might approve: %t", person, got)
		}
	}
	for _, other := range []Request{{User: "ann", Action: "read", Object: "customer"}, {User: "ann", Action: "burn", Object: "customer"}, {User: "ann", Action: "read", Object: "none"}, {User: "nobody", Action: "transfer", Object: "customer"}} {
		if policy.MightApprove(0, &other, "boss") {
			t.Errorf("boss might approve %+v", other)
		}
	}
}
