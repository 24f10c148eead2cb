package plan_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestARowIsRiskyByItsRule(t *testing.T) {
	give := func(scope access.Scopes, fields []access.FieldRule, actions ...string) edit {
		return func(_, head *access.Declarations) {
			head.Roles[0].Grants = append(head.Roles[0].Grants, access.Grant{Object: "customer", Actions: actions, Records: in(scope), Fields: fields})
		}
	}
	temporarily := func(change func(*access.TemporaryGrant)) edit {
		return func(_, head *access.Declarations) {
			g := grantOf("li-ting")
			g.Grants[0].Actions = []string{"transfer"}
			change(g)
			head.TemporaryGrants = append(head.TemporaryGrants, g)
		}
	}
	classed := func(class access.Class, change edit) edit {
		return func(base, head *access.Declarations) {
			base.ObjectTypes[0].Fields[1].Class, head.ObjectTypes[0].Fields[1].Class = class, class
			change(base, head)
		}
	}
	phone := func(level access.Level) []access.FieldRule { return []access.FieldRule{{Field: "phone", Level: level}} }
	for name, c := range map[string]struct {
		edit edit
		want string // of the riskiest row
	}{
		"export": {give(access.ScopeOwn, nil, "export"), "high export"},
		"delete": {give(access.ScopeOwn, nil, "delete"), "high delete"},
		"unmask": {func(base, head *access.Declarations) {
			unmasked(base, head)
			give(access.ScopeOwn, nil, "unmask")(base, head)
		}, "high unmask"},
		"all records":                       {give(access.ScopeAll, nil, "transfer"), "medium all-records"},
		"two rules, the most severe first":  {give(access.ScopeAll, nil, "export"), "high export,all-records"},
		"nothing of the kind":               {give(access.ScopeOwn, nil, "transfer"), "low "},
		"a restricted field that is read":   {classed(access.ClassRestricted, give(access.ScopeOwn, phone(access.LevelRead), "read")), "high restricted-fields"},
		"a restricted field that is masked": {classed(access.ClassRestricted, give(access.ScopeOwn, phone(access.LevelMasked), "read")), "low "},
		"a secret field that is read":       {classed(access.ClassSecret, give(access.ScopeOwn, phone(access.LevelRead), "read")), "critical secret-fields"},
		"a field of a less sensitive class": {func(_, head *access.Declarations) { head.ObjectTypes[0].Fields[1].Class = access.ClassPublic }, "high reclassified-field"},
		"a loss":                            {func(_, head *access.Declarations) { head.UserBindings = nil }, "low "},
		"a grant of a few days":             {temporarily(func(*access.TemporaryGrant) {}), "low "},
		"a grant that is long":              {temporarily(func(g *access.TemporaryGrant) { g.Window.NotAfter = g.Window.NotBefore + 31*day }), "medium long-grant"},
		"a grant without a start, for days": {temporarily(func(g *access.TemporaryGrant) { g.Window.NotBefore = schedule.Always }), "low "},
		"a grant without a start, for weeks": {temporarily(func(g *access.TemporaryGrant) {
			g.Window = schedule.Window{NotBefore: schedule.Always, NotAfter: now + 31*day}
		}), "medium long-grant"},
		"a grant without a reason": {temporarily(func(g *access.TemporaryGrant) { g.Reason = " " }), "medium unexplained"},
		"an emergency": {temporarily(func(g *access.TemporaryGrant) {
			g.Emergency, g.Window = true, schedule.Window{NotBefore: now, NotAfter: now + day/8}
		}), "high emergency"},
		"emergencies that follow one another": {func(base, head *access.Declarations) {
			for i := range 2 {
				temporarily(func(g *access.TemporaryGrant) {
					g.Name, g.Emergency = fmt.Sprint("urgent-", i), true
					g.Window = schedule.Window{NotBefore: now + schedule.Instant(i)*day/8, NotAfter: now + schedule.Instant(i+1)*day/8}
				})(base, head)
			}
		}, "high emergency,consecutive-grants"},
		"an external": {func(base, head *access.Declarations) {
			userOf(base, "li-ting").Type, userOf(head, "li-ting").Type = access.UserExternal, access.UserExternal
			temporarily(func(g *access.TemporaryGrant) { g.Grants[0].OnlyFields = []string{"name"} })(base, head)
		}, "high external"},
		"a privileged role": {func(base, head *access.Declarations) {
			for _, d := range []*access.Declarations{base, head} {
				d.Roles = append(d.Roles, &access.Role{Name: "admin", Privileged: true, Grants: []access.Grant{{Object: "customer", Actions: []string{"transfer"}, Records: in(access.ScopeOwn)}}},
					&access.Role{Name: "head-admin", Inherits: []access.Inheritance{{Role: "admin"}}})
			}
			head.UserBindings = append(head.UserBindings, &access.UserBinding{Name: "admins", Justification: "CHG-1", Roles: []string{"head-admin"}, Subjects: []access.Subject{{User: "chen-mo"}}})
		}, "critical privileged-role"},
		"many people": {func(base, head *access.Declarations) {
			for i := range 51 {
				for _, d := range []*access.Declarations{base, head} {
					name := fmt.Sprint("person-", i)
					d.Users = append(d.Users, &access.User{Name: name, Type: access.UserEmployee, State: access.StateActive})
					d.UserBindings[0].Subjects = append(d.UserBindings[0].Subjects, access.Subject{User: name})
				}
			}
			give(access.ScopeOwn, nil, "transfer")(base, head)
		}, "medium many-people"},
		"a guardrail that is weaker": {func(base, _ *access.Declarations) {
			base.Guardrails = rule(deny(access.DenyWhen{}, "read"))
		}, "critical weaker-guardrail"},
		"a guardrail that is tighter": {func(_, head *access.Declarations) {
			head.Guardrails = rule(deny(access.DenyWhen{ReasonMissing: true}, "read"))
		}, "low "},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := planOf(t, c.edit)
			var risks []Risk
			for _, row := range tenant.Changes {
				risks = append(risks, row.Risk)
			}
			for _, row := range tenant.Rules {
				risks = append(risks, row.Risk)
			}
			if len(risks) == 0 {
				t.Fatal("there is no row")
			}
			if got := fmt.Sprintf("%s %s", risks[0].Severity, strings.Join(risks[0].Rules, ",")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func unmasked(base, head *access.Declarations) {
	for _, d := range []*access.Declarations{base, head} {
		d.ObjectTypes[0].Actions = append(d.ObjectTypes[0].Actions, "unmask")
	}
}

func TestARuleOfTheFileForbids(t *testing.T) {
	base, head := smallOrganisation(), smallOrganisation()
	head.UserBindings[0].Subjects = head.UserBindings[0].Subjects[:1]
	rules, err := ParseRules(strings.NewReader(`rules: [{name: lost, severity: high, forbid: true, when: {signs: ["-"], objects: [customer], actions: [read]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Tenants: []*Tenant{Compare(State{Declarations: base}, State{Declarations: head}, Options{At: now, Rules: rules})}}
	if !p.Forbidden() || !p.Matches("lost") || !p.Matches("high") || !p.Matches("medium") || p.Matches("critical") || p.Matches("export") || p.Empty() {
		t.Errorf("forbidden %v, empty %v", p.Forbidden(), p.Empty())
	}
	if n := p.Counts(); n.Losses == 0 || n.Gains != 0 || n.Users != 1 || n.Severities[High] == 0 {
		t.Errorf("counts %+v", n)
	}
}

func TestWhatChangesByItselfAndFindingsAreNoChangeOfAccess(t *testing.T) {
	tenant := planOf(t, func(base, head *access.Declarations) {
		base.TemporaryGrants, head.TemporaryGrants = []*access.TemporaryGrant{grantOf("li-ting")}, []*access.TemporaryGrant{grantOf("li-ting")}
		head.UserBindings[0].Roles = append(head.UserBindings[0].Roles, "nobody")
	})
	p := &Plan{Tenants: []*Tenant{tenant}}
	if len(tenant.Upcoming) == 0 || len(tenant.Findings) == 0 || !p.Empty() || p.Matches("low") {
		t.Errorf("upcoming %d, findings %d, empty %v", len(tenant.Upcoming), len(tenant.Findings), p.Empty())
	}
}

func TestTheDocumentationListsTheDefaultRules(t *testing.T) {
	page, err := os.ReadFile("../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, rule := range DefaultRules() {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", rule.Name, rule.Severity, rule.Why))
	}
	_, rest, _ := strings.Cut(string(page), "| rule | severity |")
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		got = append(got, line)
	}
	sameLines(t, got, want)
}

func TestTheSampleOrganisationsRulesAreRead(t *testing.T) {
	file, err := os.Open("../../config/samples/huayue/" + RulesFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read from
	rules, err := ParseRules(file)
	if err != nil || slices.ContainsFunc(rules, named("many-people")) || !slices.ContainsFunc(rules, named("payments-leave")) {
		t.Errorf("rules %v, error %v", rules, err)
	}
}

func TestOneRuleAboutAllRowsForbidsAnyGain(t *testing.T) {
	base, head := smallOrganisation(), smallOrganisation()
	head.Users[0].State = access.StateSuspended
	head.Roles[0].Grants[0].Records = in(access.ScopeAll)
	tenant := Compare(State{Declarations: base}, State{Declarations: head}, Options{At: now, Rules: []Rule{{Name: "frozen", Severity: Critical, Forbid: true}}})
	for _, row := range tenant.Changes {
		if row.Risk.Forbidden != (row.Sign != Loss) {
			t.Errorf("a row %s is forbidden: %v", row.Sign, row.Risk.Forbidden)
		}
	}
	for _, person := range tenant.People {
		if person.Risk.Forbidden {
			t.Error("a rule about access is asked about an account")
		}
	}
}
