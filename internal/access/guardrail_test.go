package access_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestAGuardrailKeepsItsRulesWhateverTheyName(t *testing.T) {
	for name, c := range map[string]struct {
		rule    GuardrailRule
		says    string
		nearest string
	}{
		"every object and action":               {GuardrailRule{Deny: &DenyRule{Target: Target{Objects: []string{Any}, Actions: []string{Any}}}}, "", ""},
		"an action that one of the objects has": {GuardrailRule{Limit: &LimitRule{Target: Target{Objects: []string{"customer", "contact"}, Actions: []string{"export"}}}}, "", ""},
		"an unknown object":                     {GuardrailRule{Deny: &DenyRule{Target: Target{Objects: []string{"custmer", "contact"}, Actions: []string{"read"}}}}, `spec.rules[0].deny.objects[0]: unknown object "custmer": it restricts nothing`, "customer"},
		"an unknown action of one":              {GuardrailRule{Limit: &LimitRule{Target: Target{Objects: []string{"customer"}, Actions: []string{"exprt"}}}}, `rules[0].limit.actions[0]: unknown action of customer "exprt"`, "export"},
		"an unknown action of all":              {GuardrailRule{Deny: &DenyRule{Target: Target{Objects: []string{Any}, Actions: []string{"read", "unmsk"}}}}, `rules[0].deny.actions[1]: unknown action "unmsk"`, "unmask"},
		"an unknown approving role":             {GuardrailRule{Approve: &ApproveRule{Target: Target{Objects: []string{Any}, Actions: []string{Any}}, By: []Approver{{Role: "role-of-an"}}}}, `rules[0].approve.by[0].role: unknown role "role-of-an": nobody may approve by it`, "role-of-ann"},
		"an unknown approving user":             {GuardrailRule{Admit: &AdmitRule{Approvals: 1, By: []Approver{{ManagerOfSubject: true}, {User: "carll"}}}}, `rules[0].admit.by[1].user: unknown user "carll"`, "carl"},
		"an unknown role to admit":              {GuardrailRule{Admit: &AdmitRule{When: AdmitWhen{Roles: []string{"role-of-an"}}}}, `rules[0].admit.when.roles[0]: unknown role "role-of-an": it restricts nothing`, "role-of-ann"},
		"an unknown class":                      {GuardrailRule{Cap: &CapRule{Objects: []string{Any}, Classes: []string{"secrt"}, Level: "masked"}}, `rules[0].cap.classes[0]: unknown class "secrt"`, "secret"},
		"an unknown field":                      {GuardrailRule{Cap: &CapRule{Objects: []string{"customer"}, Fields: []string{"name", "fone"}, Level: "masked"}}, `rules[0].cap.fields[1]: unknown field of customer "fone"`, "phone"},
		"an unknown level":                      {GuardrailRule{Cap: &CapRule{Objects: []string{Any}, Level: "maskd"}}, `rules[0].cap.level: unknown field level "maskd": want one of none, masked, read, edit`, ""},
		"an unknown duty":                       {GuardrailRule{Separate: &SeparateRule{Duties: []Duty{{"customer", "create"}, {"customer", "aprove"}}}}, `rules[0].separate.duties[1].action: unknown action of customer "aprove"`, ""},
		"no form at all":                        {GuardrailRule{}, "spec.rules[0]: a rule is exactly one of", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := guarded(holding("ann"))
			d.Guardrails = []*Guardrail{{Name: "g", Rules: []GuardrailRule{c.rule, {Deny: &DenyRule{}}}}}
			r := Resolve(d)
			if n := len(r.Facts.Guardrails); n != 2 || r.Facts.Guardrails[1].Position != "001" {
				t.Errorf("%d rules are kept: %+v", n, r.Facts.Guardrails)
			}
			var said []string
			for _, f := range r.Findings[Ref{KindGuardrail, "g"}] {
				said = append(said, f.String())
				if got := d.Nearest(f.Unknown); got != c.nearest {
					t.Errorf("nearest to %v is %q, want %q", f.Unknown, got, c.nearest)
				}
			}
			if text := strings.Join(said, "\n"); (c.says == "") != (text == "") || !strings.Contains(text, c.says) {
				t.Errorf("says %q, not %q", text, c.says)
			}
		})
	}
}

func TestLineageNamesEveryAncestor(t *testing.T) {
	d := guarded()
	inherits := func(name string, parents ...Inheritance) {
		d.Roles = append(d.Roles, &Role{Name: name, Inherits: parents, Grants: []Grant{customers(ScopeOwn, "read")}})
	}
	inherits("top")
	inherits("middle", Inheritance{Role: "top", Mute: []Mute{{Object: "customer", Actions: []string{"read"}}}})
	inherits("low", Inheritance{Role: "middle"}, Inheritance{Role: "top"}, Inheritance{Role: "round"}, Inheritance{Role: "nemo"})
	inherits("round", Inheritance{Role: "round"})
	inherits("misspelt", Inheritance{Role: "top", Mute: []Mute{{Object: "custmer"}}})
	var lines []string
	for _, l := range Resolve(d).Facts.Lineage {
		lines = append(lines, fmt.Sprintf("%s %s < %s", l.Owner, l.Role, l.Ancestor))
	}
	if want := []string{"Role/middle middle < top", "Role/low low < middle", "Role/low low < top"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

func TestNumbersOfHoldersAreReported(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	type steps = []func(*Declarations)
	roles := func(d *Declarations) {
		d.Roles = append(d.Roles, &Role{Name: "admin", Privileged: true}, &Role{Name: "chief", Inherits: []Inheritance{{Role: "admin"}}}, &Role{Name: "clerk"})
	}
	has := func(role string, users ...string) func(*Declarations) {
		return func(d *Declarations) {
			for _, user := range users {
				d.UserBindings = append(d.UserBindings, &UserBinding{Name: user + "-" + role, Subjects: []Subject{{User: user}}, Roles: []string{role}})
			}
		}
	}
	twoToThree := asks(AdmitRule{When: AdmitWhen{PrivilegedRole: true}, MinHolders: number(2), MaxHolders: number(3)})
	for name, c := range map[string]struct {
		given steps
		says  string
	}{
		"two are enough":                    {steps{roles, twoToThree, has("admin", "ann", "bob")}, ""},
		"an heir's holder counts":           {steps{roles, twoToThree, has("admin", "ann"), has("chief", "bob")}, ""},
		"nobody is too few":                 {steps{roles, twoToThree}, `Guardrail/guardrail-0: spec.rules[0].admit.minHolders: role "admin" is held by 0, fewer than 2`},
		"who has left does not count":       {steps{roles, twoToThree, has("admin", "ann", "gone")}, `role "admin" is held by 1 (ann), fewer than 2`},
		"who is revoked does not count":     {steps{roles, twoToThree, has("admin", "ann", "bob"), revoke(Ref{KindUser, "bob"})}, `is held by 1 (ann), fewer than 2`},
		"one person twice counts once":      {steps{roles, twoToThree, has("admin", "ann"), has("chief", "ann")}, `is held by 1 (ann), fewer than 2`},
		"four are too many":                 {steps{roles, twoToThree, has("admin", "ann", "bob", "carl"), has("chief", "dora")}, `maxHolders: role "admin" is held by 4 (ann, bob, carl, dora), more than 3`},
		"who waits for approval counts not": {steps{roles, twoToThree, has("admin", "ann", "bob"), asks(AdmitRule{When: AdmitWhen{Roles: []string{"admin"}}, Approvals: 1})}, `is held by 0, fewer than 2`},
		"who is approved counts":            {steps{roles, twoToThree, has("admin", "ann", "bob"), asks(AdmitRule{When: AdmitWhen{Roles: []string{"admin"}}, Approvals: 1}), yes(Ref{KindUserBinding, "ann-admin"}, "ann", "carl"), yes(Ref{KindUserBinding, "bob-admin"}, "bob", "carl")}, ""},
		"an ordinary role is not counted":   {steps{roles, twoToThree, has("admin", "ann", "bob"), has("clerk", "ann", "bob", "carl", "dora")}, ""},
		"but is where it is named":          {steps{roles, has("clerk", "ann", "bob"), asks(AdmitRule{When: AdmitWhen{Roles: []string{"clerk"}}, MaxHolders: number(1)})}, `role "clerk" is held by 2 (ann, bob), more than 1`},
	} {
		if said := strings.Join(findings(Resolve(guarded(c.given...)), ReasonHoldersOutOfRange), "\n"); (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: says %q, not %q", name, said, c.says)
		}
	}
}

func TestNumbersOfHoldersTakeNothingAwayAndKeepNothingAlive(t *testing.T) {
	given := []func(*Declarations){holding("ann", customers(ScopeOwn, "read")), holdingToo("bob", "role-of-ann"), holdingToo("dora", "role-of-ann"), revoke(Ref{KindUserBinding, "bob-too"}), func(d *Declarations) {
		d.TemporaryGrants = append(d.TemporaryGrants, &TemporaryGrant{Name: "loan", Users: []string{"carl"}, Roles: []string{"role-of-ann"}, Window: schedule.Window{NotBefore: 100, NotAfter: 200}})
	}}
	plain := Resolve(guarded(given...)).Facts
	for name, rule := range map[string]AdmitRule{
		"too few":  {When: AdmitWhen{Roles: []string{"role-of-ann"}}, MinHolders: number(5)},
		"too many": {When: AdmitWhen{Roles: []string{"role-of-ann"}}, MaxHolders: number(1)},
	} {
		r := Resolve(guarded(append(slices.Clip(given), asks(rule))...))
		if len(findings(r, ReasonHoldersOutOfRange)) != 1 || !reflect.DeepEqual(r.Facts.Holders, plain.Holders) || !reflect.DeepEqual(r.Facts.Tuples, plain.Tuples) {
			t.Errorf("%s: %v, holders %v, without the rule %v", name, findings(r, ReasonHoldersOutOfRange), r.Facts.Holders, plain.Holders)
		}
	}
}

func TestDutiesHeldTogetherAreReported(t *testing.T) {
	separate := func(d *Declarations) {
		d.Guardrails = append(d.Guardrails, &Guardrail{Name: "duties", Rules: []GuardrailRule{{Separate: &SeparateRule{Duties: []Duty{{"customer", "create"}, {"customer", "transfer"}}}}}})
	}
	both, first := customers(ScopeOwn, "create", "transfer"), customers(ScopeOwn, "create")
	for name, c := range map[string]struct {
		given []func(*Declarations)
		says  string
	}{
		"one of them":                 {[]func(*Declarations){holding("ann", first), separate}, ""},
		"both in one role":            {[]func(*Declarations){holding("ann", both), holding("bob", both), separate}, "Guardrail/duties: spec.rules[0].separate: rights to duties that are to be separate (create customer, transfer customer) are held together by ann, bob"},
		"one by a binding, one lent":  {[]func(*Declarations){holding("ann", first), lending(customers(ScopeAll, "transfer"), "ann"), separate}, "held together by ann"},
		"one by a binding, one waits": {[]func(*Declarations){holding("ann", first), lending(customers(ScopeAll, "transfer"), "ann"), separate, asks(AdmitRule{When: AdmitWhen{Temporary: true}, Approvals: 1})}, ""},
		"both, by somebody who left":  {[]func(*Declarations){holding("gone", both), separate}, ""},
		"both, by somebody revoked":   {[]func(*Declarations){holding("ann", both), separate, revoke(Ref{KindUser, "ann"})}, ""},
		"both, by a revoked binding":  {[]func(*Declarations){holding("ann", both), separate, revoke(annsBinding)}, ""},
		"both, by a revoked role":     {[]func(*Declarations){holding("ann", both), separate, revoke(Ref{KindRole, "role-of-ann"})}, ""},
		"without a rule nobody minds": {[]func(*Declarations){holding("ann", both)}, ""},
	} {
		if said := strings.Join(findings(Resolve(guarded(c.given...)), ReasonDutiesHeldTogether), "\n"); (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: says %q, not %q", name, said, c.says)
		}
	}
	d := guarded(separate)
	for i := range 25 {
		d.Users = append(d.Users, &User{Name: fmt.Sprintf("user-%02d", i), Type: UserEmployee, State: StateActive})
		holding(fmt.Sprintf("user-%02d", i), both)(&d)
	}
	if said := findings(Resolve(d), ReasonDutiesHeldTogether); len(said) != 1 || !strings.HasSuffix(said[0], "user-19 and others, 25 in all") {
		t.Errorf("says %q", said)
	}
}
