package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
)

// lift is an approval of the end of a revocation or guardrail as it stands, by each of the people.
func lift(ref Ref, people ...string) func(*Declarations) {
	return func(d *Declarations) {
		var document []byte
		for _, r := range d.Revocations {
			if ref == (Ref{KindRevocation, r.Name}) {
				document = r.LiftDocument()
			}
		}
		for _, g := range d.Guardrails {
			if ref == (Ref{KindGuardrail, g.Name}) {
				document = g.RemovalDocument()
			}
		}
		for _, person := range people {
			d.Approvals = append(d.Approvals, &Approval{Name: fmt.Sprintf("lift-%d", len(d.Approvals)), For: ref, Effect: EffectDigest(document), Approver: person + "@crm"})
		}
	}
}

func TestRevocationsEndAccess(t *testing.T) {
	type steps = []func(*Declarations)
	holds := holding("ann", customers(ScopeOwn, "read"))
	lent := lending(customers(ScopeAll, "read"), "ann")
	ann, role := Ref{KindUser, "ann"}, Ref{KindRole, "role-of-ann"}
	stopAnn, stopRole := Ref{KindRevocation, "stop-ann"}, Ref{KindRevocation, "stop-role-of-ann"}
	heir := func(d *Declarations) {
		d.Roles[0].Inherits = []Inheritance{{Role: "base"}}
		d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{customers(ScopeDepartment, "export")}})
	}
	twoWays := func(d *Declarations) {
		d.Roles[0].Inherits = []Inheritance{{Role: "left"}, {Role: "right"}}
		d.Roles = append(d.Roles, &Role{Name: "left", Inherits: []Inheritance{{Role: "base"}}}, &Role{Name: "right", Inherits: []Inheritance{{Role: "base"}}},
			&Role{Name: "base", Grants: []Grant{customers(ScopeDepartment, "export")}})
	}
	lentRole := func(d *Declarations) { d.TemporaryGrants[0].Roles = []string{"role-of-ann"} }
	const both, none = "free: read all, read own", "free:"
	checkAdmissions(t, "ann", map[string]admissionCase{
		"of a user: everything":                               {steps{holds, lent, revoke(ann)}, none},
		"of another user: nothing":                            {steps{holds, lent, revoke(Ref{KindUser, "bob"})}, both},
		"of a binding: what it gives":                         {steps{holds, lent, revoke(annsBinding)}, "free: read all"},
		"of a grant: what it gives":                           {steps{holds, lent, revoke(loan)}, "free: read own"},
		"of a grant named as a binding: nothing":              {steps{holds, lent, revoke(Ref{KindTemporaryGrant, "binding-of-ann"})}, both},
		"of a role: what it gives":                            {steps{holds, lent, revoke(role)}, "free: read all"},
		"of a role: what a temporary grant gives by it":       {steps{holds, lent, lentRole, revoke(role), revoke(annsBinding)}, "free: read all"},
		"of a role: what its heirs have from it":              {steps{holds, heir, revoke(Ref{KindRole, "base"})}, "free: read own"},
		"of an heir: not what it inherits, for others":        {steps{holds, heir, holdingToo("ann", "base"), revoke(role)}, "free: export department"},
		"of a role beside another way to the same: nothing":   {steps{holds, twoWays, revoke(Ref{KindRole, "left"})}, "free: export department, read own"},
		"of both ways: what came by them":                     {steps{holds, twoWays, revoke(Ref{KindRole, "left"}), revoke(Ref{KindRole, "right"})}, "free: read own"},
		"of an admitted binding: what was approved":           {steps{holds, asksTwo(), yes(annsBinding, "ann", "carl", "dora"), revoke(annsBinding)}, "Admitted:"},
		"of a role that is held by approval":                  {steps{holds, asksTwo(), yes(annsBinding, "ann", "carl", "dora"), revoke(role)}, "Admitted:"},
		"of a role inherited by one that is held by approval": {steps{holds, heir, asksTwo(), yes(annsBinding, "ann", "carl", "dora"), revoke(Ref{KindRole, "base"})}, "Admitted: read own"},
		"lifted, it ends nothing":                             {steps{holds, lent, revoke(ann), lift(stopAnn, "carl")}, both},
		"not lifted by whom it ends":                          {steps{holds, lent, revoke(ann), lift(stopAnn, "ann")}, none},
		"not lifted by one who has left":                      {steps{holds, lent, revoke(ann), lift(stopAnn, "gone")}, none},
		"not lifted by a service":                             {steps{holds, lent, revoke(ann), lift(stopAnn, "robot")}, none},
		"not lifted by a lift of its forerunner":              {steps{holds, lent, revoke(ann), lift(stopAnn, "carl"), func(d *Declarations) { d.Revocations[0].UID = "2" }}, none},
		"not lifted by a lift of what it was":                 {steps{holds, lent, revoke(ann), lift(stopAnn, "carl"), func(d *Declarations) { d.Revocations[0].Reason = "worse" }}, none},
		"not lifted while somebody says no":                   {steps{holds, lent, revoke(ann), lift(stopAnn, "carl", "dora"), func(d *Declarations) { d.Approvals[1].Denied = true }}, none},
		"of a role, not lifted by its holder":                 {steps{holds, revoke(role), lift(stopRole, "ann")}, none},
		"of a role, not lifted by an heir's holder":           {steps{holds, heir, revoke(Ref{KindRole, "base"}), lift(Ref{KindRevocation, "stop-base"}, "ann")}, "free: read own"},
		"of a role, lifted by another":                        {steps{holds, revoke(role), lift(stopRole, "boss")}, "free: read own"},
		"of a binding, not lifted by one whom it selects":     {steps{holds, selecting("north"), revoke(annsBinding), lift(Ref{KindRevocation, "stop-binding-of-ann"}, "bob")}, none},
		"of a binding, not lifted by its subject":             {steps{holds, revoke(annsBinding), lift(Ref{KindRevocation, "stop-binding-of-ann"}, "ann")}, none},
		"of a grant, not lifted by a user of it":              {steps{lent, revoke(loan), lift(Ref{KindRevocation, "stop-loan"}, "ann")}, none},
		"two who lift each other's stay revoked":              {steps{holds, revoke(ann), revoke(Ref{KindUser, "bob"}), lift(stopAnn, "bob"), lift(Ref{KindRevocation, "stop-bob"}, "ann")}, none},
		"who was lifted first may lift the next":              {steps{holds, revoke(ann), revoke(Ref{KindUser, "bob"}), lift(stopAnn, "bob"), lift(Ref{KindRevocation, "stop-bob"}, "carl")}, "free: read own"},
		"one of two is lifted, and the other still ends it":   {steps{holds, revoke(ann), revoke(role), lift(stopAnn, "carl")}, none},
	})
}

// TestWhatIsRevokedDecidesNothing asks the engine what TestRevocationsEndAccess asks the facts.
func TestWhatIsRevokedDecidesNothing(t *testing.T) {
	given := []func(*Declarations){holding("ann", customers(ScopeOwn, "read")), lending(customers(ScopeAll, "export"), "ann"), func(d *Declarations) {
		d.Roles[0].Inherits = []Inheritance{{Role: "base"}}
		d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{customers(ScopeOwn, "update")}})
	}}
	const everything = "read update export"
	for name, c := range map[string]struct {
		target Ref
		want   string // what is left
	}{
		"nothing":        {Ref{KindUser, "bob"}, everything},
		"the user":       {Ref{KindUser, "ann"}, ""},
		"the binding":    {annsBinding, "export"},
		"the grant":      {loan, "read update"},
		"the role":       {Ref{KindRole, "role-of-ann"}, "export"},
		"the role above": {Ref{KindRole, "base"}, "read export"},
	} {
		policy := NewPolicy(Resolve(guarded(append(slices.Clip(given), revoke(c.target))...)).Facts)
		for _, action := range strings.Fields(everything) {
			request, want := &Request{User: "ann", Action: action, Object: "customer", Record: annsInEast1}, Deny
			if strings.Contains(c.want, action) {
				want = Allow
			}
			if got, explained := policy.Decide(150, request, nil), policy.Explain(150, request); got != want || explained.Effect != want {
				t.Errorf("revoked is %s: %s is %s, explained %s, want %s", name, action, got, explained.Effect, want)
			}
		}
	}
}

func holdingToo(user, role string) func(*Declarations) {
	return func(d *Declarations) {
		d.UserBindings = append(d.UserBindings, &UserBinding{Name: user + "-too", Subjects: []Subject{{User: user}}, Roles: []string{role}})
	}
}

func selecting(department string) func(*Declarations) {
	return func(d *Declarations) {
		d.UserBindings[0].Subjects = append(d.UserBindings[0].Subjects, Subject{Selector: Selector{Department: department}})
	}
}

func TestFactsNameTheFirstRevocation(t *testing.T) {
	d := guarded(holding("ann", customers(ScopeOwn, "read")), func(d *Declarations) {
		for _, r := range []Revocation{{Name: "c", Target: Ref{KindUser, "ann"}}, {Name: "b", Target: Ref{KindUser, "ann"}},
			{Name: "z", Target: annsBinding}, {Name: "y", Target: Ref{KindRole, "role-of-ann"}}} {
			d.Revocations = append(d.Revocations, &r)
		}
	})
	facts := Resolve(d).Facts
	if got := facts.Holders[0].RevokedBy + facts.Tuples[0].RevokedBy; got != "yy" {
		t.Errorf("holder and tuple are revoked by %q, want y and y", got)
	}
	for _, u := range facts.Users {
		if want := map[string]string{"ann": "b"}[u.User]; u.RevokedBy != want {
			t.Errorf("%s is revoked by %q, want %q", u.User, u.RevokedBy, want)
		}
	}
	for _, target := range []Ref{{KindUser, "ann"}, annsBinding, {KindRole, "role-of-ann"}, {KindRole, "base"}} {
		heir := func(d *Declarations) {
			d.Roles[0].Inherits = []Inheritance{{Role: "base"}}
			d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{customers(ScopeAll, "export")}})
		}
		before, after := guarded(holding("ann", customers(ScopeOwn, "read")), heir), guarded(holding("ann", customers(ScopeOwn, "read")), heir, revoke(target))
		if lost := Losers(Resolve(before).Facts, Resolve(after).Facts); !slices.Equal(lost, []string{"ann"}) {
			t.Errorf("losers by a revocation of %s: %v, want ann", target, lost)
		}
	}
	if lost := Losers(Resolve(guarded(holding("ann", customers(ScopeOwn, "read")))).Facts, facts); !slices.Equal(lost, []string{"ann"}) {
		t.Errorf("losers %v, want ann", lost)
	}
}

func TestARevocationOfNothingSaysSo(t *testing.T) {
	for target, says := range map[Ref]string{
		{KindUser, "anne"}:                 `Revocation/stop-anne: spec.user: unknown user "anne": there is nothing yet that the revocation ends`,
		{KindRole, "role-of-an"}:           `spec.role: unknown role "role-of-an"`,
		{KindUserBinding, "binding-of-an"}: `spec.binding: unknown binding "binding-of-an"`,
		{KindTemporaryGrant, "lone"}:       `spec.grant: unknown grant "lone"`,
	} {
		d := guarded(holding("ann"), lending(customers(ScopeAll, "read"), "ann"), revoke(target))
		r := Resolve(d)
		found := r.Findings[Ref{KindRevocation, "stop-" + target.Name}]
		if len(found) != 1 || !found[0].Waits() || !strings.Contains(found[0].String(), says) || d.Nearest(found[0].Unknown) == "" {
			t.Errorf("%s: %v, nearest %q", target, found, d.Nearest(found[0].Unknown))
		}
	}
}

func TestWhatIsLifted(t *testing.T) {
	guardrail := Ref{KindGuardrail, "guardrail-0"}
	for name, c := range map[string]struct {
		given []func(*Declarations)
		want  []Ref
	}{
		"nothing by itself":          {[]func(*Declarations){asksTwo(), revoke(Ref{KindUser, "ann"})}, nil},
		"a revocation":               {[]func(*Declarations){revoke(Ref{KindUser, "ann"}), lift(Ref{KindRevocation, "stop-ann"}, "bob")}, []Ref{{KindRevocation, "stop-ann"}}},
		"a guardrail":                {[]func(*Declarations){asksTwo(), lift(guardrail, "bob")}, []Ref{guardrail}},
		"not once its rules changed": {[]func(*Declarations){asksTwo(), lift(guardrail, "bob"), func(d *Declarations) { d.Guardrails[0].Rules[0].Admit = &AdmitRule{Approvals: 3} }}, nil},
		"not one made anew":          {[]func(*Declarations){asksTwo(), lift(guardrail, "bob"), func(d *Declarations) { d.Guardrails[0].UID = "2" }}, nil},
		"a former revocation":        {[]func(*Declarations){revoke(Ref{KindUser, "ann"}), lift(Ref{KindRevocation, "stop-ann"}, "bob"), func(d *Declarations) { d.Revocations[0].Name = "stop-ann@1" }}, []Ref{{KindRevocation, "stop-ann@1"}}},
		"not by who waits for it":    {[]func(*Declarations){holding("ann"), asksTwo(), revoke(Ref{KindRole, "role-of-ann"}), lift(Ref{KindRevocation, "stop-role-of-ann"}, "ann")}, nil},
		"but by another":             {[]func(*Declarations){holding("ann"), asksTwo(), revoke(Ref{KindRole, "role-of-ann"}), lift(Ref{KindRevocation, "stop-role-of-ann"}, "bob")}, []Ref{{KindRevocation, "stop-role-of-ann"}}},
		"not by one who is revoked":  {[]func(*Declarations){asksTwo(), lift(guardrail, "bob"), revoke(Ref{KindUser, "bob"})}, nil},
	} {
		lifted := Resolve(guarded(c.given...)).Lifted
		if len(lifted) != len(c.want) || (len(c.want) > 0 && !lifted[c.want[0]]) {
			t.Errorf("%s: %v, want %v", name, lifted, c.want)
		}
	}
}
