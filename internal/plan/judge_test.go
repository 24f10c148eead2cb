package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// edit makes base and head out of two equal small organisations.
type edit func(base, head *access.Declarations)

// planOf compares what an edit makes of the small organisation. Files are named after what stands in them, and a line is
// told by the field that was looked for.
func planOf(t *testing.T, change edit) *Tenant {
	t.Helper()
	base, head := smallOrganisation(), smallOrganisation()
	change(&base, &head)
	state := func(d access.Declarations) State {
		s := State{Declarations: d, Sources: map[access.Ref]manifest.Source{}, Locate: func(object manifest.Source, field string) manifest.Source {
			return manifest.Source{File: object.File + "#" + field}
		}}
		note := func(kind access.Kind, name string) {
			s.Sources[access.Ref{Kind: kind, Name: name}] = manifest.Source{File: name}
		}
		for _, o := range d.ObjectTypes {
			note(access.KindObjectType, o.Name)
		}
		for _, o := range d.Departments {
			note(access.KindDepartment, o.Name)
		}
		for _, o := range d.Users {
			note(access.KindUser, o.Name)
		}
		for _, o := range d.Roles {
			note(access.KindRole, o.Name)
		}
		for _, o := range d.UserBindings {
			note(access.KindUserBinding, o.Name)
		}
		for _, o := range d.TemporaryGrants {
			note(access.KindTemporaryGrant, o.Name)
		}
		for _, o := range d.Guardrails {
			note(access.KindGuardrail, o.Name)
		}
		return s
	}
	tenant := Compare(state(base), state(head), Options{At: now})
	if tenant == nil {
		return &Tenant{}
	}
	return tenant
}

func sameLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func userOf(d *access.Declarations, name string) *access.User {
	i := slices.IndexFunc(d.Users, func(u *access.User) bool { return u.Name == name })
	return d.Users[i]
}

func grantOf(users ...string) *access.TemporaryGrant {
	return &access.TemporaryGrant{
		Name: "holiday", Users: users, Reason: "holiday", Window: schedule.Window{NotBefore: now + day, NotAfter: now + 10*day},
		Grants: []access.Grant{{Object: "customer", Actions: []string{"export"}, Records: access.Records{Departments: []string{"west"}}}},
	}
}

const day = schedule.Instant(24 * 3600)

func TestTheCauseOfARowIs(t *testing.T) {
	for name, c := range map[string]struct {
		edit edit
		want string
	}{
		"the place in the role that differs about the object": {func(_, head *access.Declarations) {
			head.Roles[0].Grants[0].Records = in(access.ScopeAll)
		}, "changed Role/rep at rep#spec.grants[0].scopes"},
		"the grant that is new in the role": {func(_, head *access.Declarations) {
			head.Roles[0].Grants = append(head.Roles[0].Grants, access.Grant{Object: "customer", Actions: []string{"export"}, Records: in(access.ScopeOwn)})
		}, "changed Role/rep at rep#spec.grants[1]"},
		"the list out of which a grant was taken": {func(base, _ *access.Declarations) {
			base.Roles[0].Grants = append(base.Roles[0].Grants, access.Grant{Object: "customer", Actions: []string{"export"}, Records: in(access.ScopeOwn)})
		}, "changed Role/rep at rep#spec.grants"},
		"the place in the binding": {func(_, head *access.Declarations) {
			head.UserBindings[0].Subjects = append(head.UserBindings[0].Subjects, access.Subject{User: "chen-mo"})
		}, "changed UserBinding/reps at reps#spec.subjects[2]"},
		"the binding that is gone, where it stood": {func(_, head *access.Declarations) {
			head.UserBindings = nil
		}, "removed UserBinding/reps at reps"},
		"the temporary grant that is new": {func(_, head *access.Declarations) {
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting"))
		}, "added TemporaryGrant/holiday at holiday"},
		"the department of the user": {func(_, head *access.Declarations) {
			userOf(head, "li-ting").Departments = []string{"west"}
		}, "changed User/li-ting at li-ting#spec.department"},
		"the new parent of a department, of a binding that selects what lies below": {func(base, head *access.Declarations) {
			for _, d := range []*access.Declarations{base, head} {
				d.Departments = append(d.Departments, &access.Department{Name: "staff"})
				d.UserBindings = []*access.UserBinding{{Name: "all", Subjects: []access.Subject{{Selector: access.Selector{DepartmentTree: "sales"}}}, Roles: []string{"rep"}}}
			}
			head.Departments[1].Parent = "staff"
		}, "changed Department/east at east#spec.parent"},
		"the department that was moved below, of a scope that reaches below": {func(base, head *access.Declarations) {
			for _, d := range []*access.Declarations{base, head} {
				d.Roles[0].Grants[0].Records = in(access.ScopeDepartmentAndBelow)
			}
			head.Departments[2].Parent = "east"
		}, "changed Department/west at west#spec.parent"},
		"the report who has another manager, of a scope that follows the reporting line": {func(base, head *access.Declarations) {
			for _, d := range []*access.Declarations{base, head} {
				d.Roles[0].Grants[0].Records = in(access.ScopeSubordinates)
			}
			userOf(head, "tang-yue").Manager = "li-ting"
		}, "changed User/tang-yue at tang-yue#spec.manager"},
		"the class of the field": {func(_, head *access.Declarations) {
			head.ObjectTypes[0].Fields[1].Class = access.ClassPublic
		}, "changed ObjectType/customer at customer#spec.fields[1].class"},
		"the revocation of the role": {func(_, head *access.Declarations) {
			head.Revocations = []*access.Revocation{{Name: "stop", Target: access.Ref{Kind: access.KindRole, Name: "rep"}}}
		}, "added Revocation/stop at "},
		"the guardrail that makes a binding wait": {func(_, head *access.Declarations) {
			head.Guardrails = []*access.Guardrail{{Name: "ask", Rules: []access.GuardrailRule{{Admit: &access.AdmitRule{When: access.AdmitWhen{Roles: []string{"rep"}}, Approvals: 1}}}}}
		}, "added Guardrail/ask at ask"},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := planOf(t, c.edit)
			if len(tenant.Changes) == 0 {
				t.Fatal("there is no row")
			}
			for _, row := range tenant.Changes {
				var causes []string
				for _, cause := range row.Causes {
					causes = append(causes, fmt.Sprintf("%s %s at %s", cause.Verb, cause.Ref, cause.Source))
				}
				sameLines(t, causes, []string{c.want})
			}
		})
	}
}

func TestOfAPersonIsTold(t *testing.T) {
	login := func(name string) access.Login { return access.Login{Issuer: "sso", Subject: name} }
	for name, c := range map[string]struct {
		edit edit
		want []string
	}{
		"that somebody joins": {func(_, head *access.Declarations) {
			head.Users = append(head.Users, &access.User{Name: "bai-he", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east", "west"}})
		}, []string{"bai-he joins:  -> east, west (added User/bai-he bai-he)"}},
		"that somebody is gone": {func(_, head *access.Declarations) {
			head.Users = head.Users[:2]
		}, []string{"tang-yue leaves: east ->  (removed User/tang-yue tang-yue)"}},
		"that somebody has left": {func(_, head *access.Declarations) {
			userOf(head, "tang-yue").State = access.StateDeparted
		}, []string{"tang-yue leaves: Active -> Departed (changed User/tang-yue tang-yue#spec.state)"}},
		"that somebody is suspended": {func(_, head *access.Declarations) {
			userOf(head, "tang-yue").State = access.StateSuspended
		}, []string{"tang-yue suspended: Active -> Suspended (changed User/tang-yue tang-yue#spec.state)"}},
		"that somebody returns, as the riskier": {func(base, head *access.Declarations) {
			userOf(base, "tang-yue").State = access.StateDeparted
			userOf(head, "li-ting").Manager = "tang-yue"
		}, []string{"tang-yue returns: Departed -> Active (changed User/tang-yue tang-yue#spec.state) medium account-returns",
			"li-ting reports: chen-mo -> tang-yue (changed User/li-ting li-ting#spec.manager)"}},
		"a move, another manager and a successor, each by itself": {func(_, head *access.Declarations) {
			u := userOf(head, "li-ting")
			u.Departments, u.Manager, u.Successor = []string{"west"}, "", "tang-yue"
		}, []string{"li-ting moves: east -> west (changed User/li-ting li-ting#spec.department)",
			"li-ting reports: chen-mo ->  (changed User/li-ting li-ting#spec.manager)",
			"li-ting successor:  -> tang-yue (changed User/li-ting li-ting#spec.successor)"}},
		"another type of account": {func(_, head *access.Declarations) {
			userOf(head, "li-ting").Type = access.UserExternal
		}, []string{"li-ting type: Employee -> External (changed User/li-ting li-ting#spec.type)"}},
		"another login": {func(base, head *access.Declarations) {
			userOf(base, "li-ting").Logins = []access.Login{login("lt")}
			userOf(head, "li-ting").Logins = []access.Login{login("lt2")}
		}, []string{"li-ting logins: sso lt -> sso lt2 (changed User/li-ting li-ting#spec.identities) high login-changed"}},
		"a login that was somebody else's, before all": {func(base, head *access.Declarations) {
			userOf(base, "chen-mo").Identities = []string{"chen-mo@huayue.example"}
			userOf(head, "li-ting").Identities = []string{"chen-mo@huayue.example"}
		}, []string{"li-ting takes login: chen-mo -> chen-mo@huayue.example (changed User/li-ting li-ting#spec.identities) critical login-taken",
			"chen-mo logins: chen-mo@huayue.example ->  (changed User/chen-mo chen-mo#spec.identities) high login-changed",
			"li-ting logins:  -> chen-mo@huayue.example (changed User/li-ting li-ting#spec.identities) high login-changed"}},
		"a revocation": {func(_, head *access.Declarations) {
			head.Revocations = []*access.Revocation{{Name: "stop", Target: access.Ref{Kind: access.KindUser, Name: "li-ting"}}}
		}, []string{"li-ting revoked:  -> stop (added Revocation/stop )"}},
		"nothing where only the name on the screen differs": {func(_, head *access.Declarations) {
			userOf(head, "li-ting").DisplayName = "李婷"
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range planOf(t, c.edit).People {
				text := fmt.Sprintf("%s %s: %s -> %s", p.User, p.What, p.From, p.To)
				for _, cause := range p.Causes {
					text += fmt.Sprintf(" (%s %s %s)", cause.Verb, cause.Ref, cause.Source)
				}
				if len(p.Risk.Rules) > 0 {
					text += fmt.Sprintf(" %s %s", p.Risk.Severity, strings.Join(p.Risk.Rules, ","))
				}
				got = append(got, text)
			}
			sameLines(t, got, c.want)
		})
	}
}

func TestApprovalsAreListedThat(t *testing.T) {
	asking := func(d *access.Declarations) {
		d.Guardrails = []*access.Guardrail{{Name: "ask", Rules: []access.GuardrailRule{{Admit: &access.AdmitRule{
			When: access.AdmitWhen{Temporary: true}, Approvals: 1, By: []access.Approver{{ManagerOfSubject: true}},
		}}}}}
	}
	for name, c := range map[string]struct {
		edit edit
		want []string
	}{
		"a new grant waits for, of each person": {func(base, head *access.Declarations) {
			asking(base)
			asking(head)
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting", "tang-yue"))
		}, []string{"TemporaryGrant/holiday li-ting 0 of 1 from chen-mo by ask", "TemporaryGrant/holiday tang-yue 0 of 1 from chen-mo by ask"}},
		"base has not waited for already": {func(base, head *access.Declarations) {
			asking(base)
			asking(head)
			base.TemporaryGrants = append(base.TemporaryGrants, grantOf("li-ting"))
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting", "tang-yue"))
		}, []string{"TemporaryGrant/holiday tang-yue 0 of 1 from chen-mo by ask"}},
		"are not of a grant that has ended": {func(base, head *access.Declarations) {
			asking(base)
			asking(head)
			g := grantOf("li-ting")
			g.Window = schedule.Window{NotBefore: now - 2*day, NotAfter: now - day}
			head.TemporaryGrants = append(head.TemporaryGrants, g)
		}, nil},
		"the end of a guardrail waits for": {func(base, _ *access.Declarations) {
			asking(base)
		}, []string{"Guardrail/ask  0 of 1 from an active employee whom the cluster lets approve it by "}},
		"the end of a revocation waits for": {func(base, _ *access.Declarations) {
			base.Revocations = []*access.Revocation{{Name: "stop", Target: access.Ref{Kind: access.KindUser, Name: "li-ting"}}}
		}, []string{"Revocation/stop li-ting 0 of 1 from an active employee whom the cluster lets approve it, and whom the revocation does not strike by "}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range planOf(t, c.edit).Approvals {
				got = append(got, fmt.Sprintf("%s %s %d of %d from %s by %s", a.Ref, a.User, a.Have, a.Needed, strings.Join(a.From, " or "), a.Rule))
				if access.EffectDigest(a.Document) != a.Effect {
					t.Errorf("%s has not the digest of its document", a.Ref)
				}
			}
			sameLines(t, got, c.want)
		})
	}
}

func TestAnApprovalOfTheDigestIsWhatHeadWaitsFor(t *testing.T) {
	asking := []*access.Guardrail{{Name: "ask", Rules: []access.GuardrailRule{{Admit: &access.AdmitRule{When: access.AdmitWhen{Temporary: true}, Approvals: 1}}}}}
	change := func(approvals ...*access.Approval) edit {
		return func(base, head *access.Declarations) {
			base.Guardrails, head.Guardrails = asking, asking
			userOf(base, "chen-mo").Identities, userOf(head, "chen-mo").Identities = []string{"cm"}, []string{"cm"}
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting"))
			head.Approvals = approvals
		}
	}
	waiting := planOf(t, change())
	if len(waiting.Approvals) != 1 || len(waiting.Changes) != 0 {
		t.Fatalf("%d approvals and %d rows of access", len(waiting.Approvals), len(waiting.Changes))
	}
	given := planOf(t, change(&access.Approval{
		Name: "yes", For: waiting.Approvals[0].Ref, Effect: waiting.Approvals[0].Effect, Document: waiting.Approvals[0].Document, Approver: "cm",
	}))
	if len(given.Approvals) != 0 || len(given.Changes) != 1 {
		t.Errorf("%d approvals and %d rows of access", len(given.Approvals), len(given.Changes))
	}
}

func TestUpcomingIs(t *testing.T) {
	for name, c := range map[string]struct {
		edit edit
		want []string
	}{
		"what starts and ends within 30 days, for all of its people": {func(_, head *access.Declarations) {
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("tang-yue", "li-ting"))
		}, []string{"+1 TemporaryGrant/holiday holiday:export=departments li-ting,tang-yue at holiday#spec.notBefore",
			"-10 TemporaryGrant/holiday holiday:export=departments li-ting,tang-yue at holiday#spec.notAfter"}},
		"what is later than that not": {func(_, head *access.Declarations) {
			g := grantOf("li-ting")
			g.Window = schedule.Window{NotBefore: now - day, NotAfter: now + 31*day}
			head.TemporaryGrants = append(head.TemporaryGrants, g)
		}, nil},
		"what the person has by something else as well not": {func(_, head *access.Declarations) {
			g := grantOf("li-ting")
			g.Roles, g.Grants = []string{"rep"}, nil
			head.TemporaryGrants = append(head.TemporaryGrants, g)
		}, nil},
		"what somebody who is suspended would have not": {func(_, head *access.Declarations) {
			userOf(head, "li-ting").State = access.StateSuspended
			head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting"))
		}, nil},
		"the window of a guardrail, for those whom it keeps from something": {func(base, head *access.Declarations) {
			freeze := []*access.Guardrail{{Name: "freeze", Rules: []access.GuardrailRule{{Deny: &access.DenyRule{
				Target: access.Target{Objects: []string{access.Any}, Actions: []string{"update"}},
				When:   access.DenyWhen{Windows: []access.Span{{Window: schedule.Window{NotBefore: now + 2*day, NotAfter: now + 3*day}}}},
			}}}}}
			base.Guardrails, head.Guardrails = freeze, freeze
		}, []string{"-2 Guardrail/freeze denies update on every object while it is from 2027-01-17T08:00:00Z, until 2027-01-18T08:00:00Z li-ting,tang-yue at freeze",
			"+3 Guardrail/freeze denies update on every object while it is from 2027-01-17T08:00:00Z, until 2027-01-18T08:00:00Z li-ting,tang-yue at freeze"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, u := range planOf(t, c.edit).Upcoming {
				var people []string
				for _, p := range u.People {
					people = append(people, p.User)
				}
				got = append(got, fmt.Sprintf("%s%d %s %s %s at %s", u.Sign, (u.At-now)/day, u.Ref, u.Grant, strings.Join(people, ","), u.Source))
			}
			sameLines(t, got, c.want)
		})
	}
}

func TestFindingsAreTold(t *testing.T) {
	following := func(head *access.Declarations, gap schedule.Instant) {
		head.Guardrails = []*access.Guardrail{{Name: "short", Rules: []access.GuardrailRule{{Admit: &access.AdmitRule{When: access.AdmitWhen{Temporary: true}, MaxDuration: 240 * time.Hour}}}}}
		next := grantOf("li-ting")
		next.Name, next.Window = "again", schedule.Window{NotBefore: now + 10*day + gap, NotAfter: now + 20*day + gap}
		head.TemporaryGrants = append(head.TemporaryGrants, grantOf("li-ting"), next)
	}
	for name, c := range map[string]struct {
		edit edit
		want []string
	}{
		"of a name that nobody declares": {func(_, head *access.Declarations) {
			head.UserBindings[0].Roles = append(head.UserBindings[0].Roles, "reps")
		}, []string{`UserBinding/reps spec.roles[1]: unknown role "reps": it confers nothing`}},
		"not where base had them, wherever they stood": {func(base, head *access.Declarations) {
			base.UserBindings[0].Roles = []string{"nobody", "rep"}
			head.UserBindings[0].Roles = []string{"rep", "nobody"}
		}, nil},
		"of a field that has a less sensitive class": {func(_, head *access.Declarations) {
			head.ObjectTypes[0].Fields[1].Class = access.ClassInternal
		}, []string{`ObjectType/customer spec.fields[1].class: field "phone" is internal and was confidential: grants, and approvals given before, of internal fields now reach it (advice)`}},
		"not of a field that has a more sensitive one": {func(_, head *access.Declarations) {
			head.ObjectTypes[0].Fields[1].Class = access.ClassSecret
		}, nil},
		"of grants that follow one another beyond what one of them may last": {func(_, head *access.Declarations) {
			following(head, 0)
		}, []string{
			"TemporaryGrant/again spec.notAfter: li-ting has the same by grants that follow one another (holiday, again) from 2027-01-16T08:00:00Z until 2027-02-04T08:00:00Z; Guardrail/short allows one of them 240h (advice)",
			"TemporaryGrant/holiday spec.notAfter: li-ting has the same by grants that follow one another (holiday, again) from 2027-01-16T08:00:00Z until 2027-02-04T08:00:00Z; Guardrail/short allows one of them 240h (advice)"}},
		"not of grants with a pause between them": {func(_, head *access.Declarations) {
			following(head, 2*day)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range planOf(t, c.edit).Findings {
				text := fmt.Sprintf("%s %s: %s", f.Ref, f.Field, f.Message)
				if f.Advice {
					text += " (advice)"
				}
				got = append(got, text)
			}
			sameLines(t, got, c.want)
		})
	}
}
