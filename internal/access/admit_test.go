package access_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// guarded is the office with two more people, and with a username for everybody.
func guarded(steps ...func(*Declarations)) Declarations {
	d := office()
	d.Users = append(d.Users,
		&User{Name: "carl", Type: UserEmployee, State: StateActive, Departments: []string{"hq"}},
		&User{Name: "dora", Type: UserEmployee, State: StateActive, Departments: []string{"hq"}},
		&User{Name: "robot", Type: UserService, State: StateActive, Departments: []string{"hq"}})
	for _, u := range d.Users {
		u.Identities = []string{u.Name + "@crm"}
	}
	d.Users[0].Manager = "carl" // ann > boss > carl
	for _, step := range steps {
		step(&d)
	}
	return d
}

// asks is a guardrail that makes everything wait that its rule concerns.
func asks(rule AdmitRule) func(*Declarations) {
	return func(d *Declarations) {
		d.Guardrails = append(d.Guardrails, &Guardrail{Name: fmt.Sprintf("guardrail-%d", len(d.Guardrails)), Rules: []GuardrailRule{{Admit: &rule}}})
	}
}

func asksTwo() func(*Declarations) { return asks(AdmitRule{Approvals: 2}) }

// loan and annsBinding are what lending and holding make.
var (
	loan        = Ref{KindTemporaryGrant, "loan"}
	annsBinding = Ref{KindUserBinding, "binding-of-ann"}
)

// yes is an approval of what the user would get as things stand, by each of the people.
func yes(to Ref, user string, people ...string) func(*Declarations) {
	return answer(to, user, false, people...)
}

func no(to Ref, user string, people ...string) func(*Declarations) {
	return answer(to, user, true, people...)
}

func answer(to Ref, user string, denied bool, people ...string) func(*Declarations) {
	return func(d *Declarations) {
		for _, a := range Resolve(*d).Admissions[to] {
			if a.User != user {
				continue
			}
			for _, person := range people {
				d.Approvals = append(d.Approvals, &Approval{
					Name: fmt.Sprintf("approval-%d", len(d.Approvals)), For: to, Effect: a.Effect, Document: a.Document,
					Denied: denied, Approver: person + "@crm",
				})
			}
		}
	}
}

// changed replaces a user by a changed copy.
func changedUser(name string, change func(*User)) func(*Declarations) {
	return func(d *Declarations) {
		i := slices.IndexFunc(d.Users, func(u *User) bool { return u.Name == name })
		u := *d.Users[i]
		change(&u)
		d.Users[i] = &u
	}
}

func changedLoan(change func(*TemporaryGrant)) func(*Declarations) {
	return func(d *Declarations) {
		g := *d.TemporaryGrants[0]
		g.Grants = slices.Clone(g.Grants)
		change(&g)
		d.TemporaryGrants[0] = &g
	}
}

// standing says how it stands with what waits for approval, and what the user has at an instant.
func standing(d Declarations, user string, at schedule.Instant) string {
	r := Resolve(d)
	said := "free"
	for _, admissions := range r.Admissions {
		for _, a := range admissions {
			if a.User == user {
				if said = string(a.State); a.Review {
					said = "in review, " + said
				}
			}
		}
	}
	var rights []string
	for _, e := range r.Facts.Entitlements(user, at) {
		rights = append(rights, fmt.Sprintf("%s %s", strings.Join(e.Actions, "+"), strings.Join(slices.Concat(e.Scopes, e.IDs, e.Owners, e.Departments, e.DepartmentTrees), "|")))
	}
	return strings.TrimSpace(said + ": " + strings.Join(rights, ", "))
}

// customersOf are customers selected as a temporary grant does.
func customersOf(records Records, actions ...string) Grant {
	return Grant{Object: "customer", Actions: actions, Records: records}
}

type admissionCase struct {
	given []func(*Declarations)
	want  string
}

func checkAdmissions(t *testing.T, user string, cases map[string]admissionCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := standing(guarded(c.given...), user, 150); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhoApproves(t *testing.T) {
	type steps = []func(*Declarations)
	lent := lending(customers(ScopeAll, "read"), "ann")
	const all, none = "Admitted: read all", "Awaiting:"
	by := func(approvers ...Approver) func(*Declarations) { return asks(AdmitRule{Approvals: 1, By: approvers}) }
	manager := by(Approver{ManagerOfSubject: true})
	from := func(user string) func(*Declarations) {
		return changedLoan(func(g *TemporaryGrant) { g.RequestedBy = user })
	}
	checkAdmissions(t, "ann", map[string]admissionCase{
		"without a guardrail nothing waits":                  {steps{lent}, "free: read all"},
		"without an approval nothing counts":                 {steps{lent, asksTwo()}, none},
		"two people approve, and it counts":                  {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora")}, all},
		"one of two is not enough":                           {steps{lent, asksTwo(), yes(loan, "ann", "carl")}, none},
		"one person twice is one person":                     {steps{lent, asksTwo(), yes(loan, "ann", "carl", "carl")}, none},
		"one person under two usernames is one person":       {steps{lent, asksTwo(), changedUser("carl", func(u *User) { u.Identities = append(u.Identities, "carl-admin@crm") }), yes(loan, "ann", "carl", "carl-admin")}, none},
		"a username of two users is nobody's":                {steps{lent, asksTwo(), changedUser("bob", func(u *User) { u.Identities = []string{"dora@crm"} }), yes(loan, "ann", "carl", "dora")}, none},
		"a username that one user has twice is that user's":  {steps{lent, asksTwo(), changedUser("dora", func(u *User) { u.Identities = []string{"dora@crm", "dora@crm"} }), yes(loan, "ann", "carl", "dora")}, all},
		"a username that nobody has is nobody's":             {steps{lent, asksTwo(), yes(loan, "ann", "carl", "nemo")}, none},
		"the subject does not approve":                       {steps{lent, asksTwo(), yes(loan, "ann", "carl", "ann")}, none},
		"who asks for it does not approve":                   {steps{lent, from("dora"), asksTwo(), yes(loan, "ann", "carl", "dora")}, none},
		"who asks under a username does not approve":         {steps{lent, from("dora@crm"), asksTwo(), yes(loan, "ann", "carl", "dora")}, none},
		"who asked when it was approved does not approve":    {steps{lent, from("dora"), asksTwo(), yes(loan, "ann", "carl", "dora"), from("bob")}, none},
		"that somebody else asks now changes nothing":        {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), from("bob")}, all},
		"a service does not approve":                         {steps{lent, asksTwo(), yes(loan, "ann", "carl", "robot")}, none},
		"an external does not approve":                       {steps{lent, asksTwo(), yes(loan, "ann", "carl", "agency")}, none},
		"who has left does not approve":                      {steps{lent, asksTwo(), yes(loan, "ann", "carl", "gone")}, none},
		"who leaves takes the approval along":                {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), changedUser("dora", func(u *User) { u.State = StateSuspended })}, none},
		"who is revoked takes the approval along":            {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), revoke(Ref{KindUser, "dora"})}, none},
		"a username that moved is nobody's":                  {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), seenOf("dora"), changedUser("dora", func(u *User) { u.Identities = nil }), changedUser("bob", func(u *User) { u.Identities = []string{"dora@crm"} })}, none},
		"a username that stayed is its user's":               {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), seenOf("dora")}, all},
		"an approval for another grant does not count":       {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), retarget(Ref{KindTemporaryGrant, "other"})}, none},
		"the manager of the subject approves":                {steps{lent, manager, yes(loan, "ann", "boss")}, all},
		"the manager's manager does not":                     {steps{lent, manager, yes(loan, "ann", "carl")}, none},
		"but does when the manager has left":                 {steps{lent, manager, changedUser("boss", func(u *User) { u.State = StateDeparted }), yes(loan, "ann", "carl")}, all},
		"and when the manager is revoked":                    {steps{lent, manager, revoke(Ref{KindUser, "boss"}), yes(loan, "ann", "carl")}, all},
		"and when the manager is no employee":                {steps{lent, manager, changedUser("boss", func(u *User) { u.Type = UserExternal }), yes(loan, "ann", "carl")}, all},
		"managers in a circle approve nothing":               {steps{lent, manager, changedUser("boss", func(u *User) { u.Manager, u.State = "ann", StateSuspended }), yes(loan, "ann", "carl", "ann")}, none},
		"nobody above has no manager":                        {steps{lent, manager, changedUser("ann", func(u *User) { u.Manager = "" }), yes(loan, "ann", "boss", "carl")}, none},
		"a named user approves":                              {steps{lent, by(Approver{User: "dora"}), yes(loan, "ann", "dora")}, all},
		"another than the named one does not":                {steps{lent, by(Approver{User: "dora"}), yes(loan, "ann", "carl")}, none},
		"any of several may":                                 {steps{lent, by(Approver{User: "dora"}, Approver{ManagerOfSubject: true}), yes(loan, "ann", "boss")}, all},
		"two rules both ask":                                 {steps{lent, by(Approver{User: "dora"}), manager, yes(loan, "ann", "dora")}, none},
		"two rules are both satisfied":                       {steps{lent, by(Approver{User: "dora"}), manager, yes(loan, "ann", "dora", "boss")}, all},
		"a no to just this refuses it":                       {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), no(loan, "ann", "bob")}, "Refused:"},
		"a no to what it was before refuses nothing":         {steps{lent, asksTwo(), no(loan, "ann", "bob"), changedLoan(func(g *TemporaryGrant) { g.Reason = "another" }), yes(loan, "ann", "carl", "dora")}, all},
		"a no to what it was before is no yes":               {steps{lent, asks(AdmitRule{Approvals: 1}), no(loan, "ann", "bob"), changedLoan(func(g *TemporaryGrant) { g.Window.NotAfter = 190 })}, none},
		"an emergency that no guardrail asks about":          {steps{lent, changedLoan(func(g *TemporaryGrant) { g.Emergency = true })}, "in review, Awaiting: read all"},
		"an emergency waits for nobody":                      {steps{lent, asksTwo(), changedLoan(func(g *TemporaryGrant) { g.Emergency = true })}, "in review, Awaiting: read all"},
		"an emergency is reviewed by as many":                {steps{lent, asksTwo(), changedLoan(func(g *TemporaryGrant) { g.Emergency = true }), yes(loan, "ann", "carl", "dora")}, "in review, Admitted: read all"},
		"who had the emergency does not review it":           {steps{lent, asksTwo(), changedLoan(func(g *TemporaryGrant) { g.Emergency = true }), yes(loan, "ann", "ann", "dora")}, "in review, Awaiting: read all"},
		"an approval without its document counts for now":    {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), forgetDocuments}, all},
		"and for nothing once something changes":             {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), forgetDocuments, changedLoan(func(g *TemporaryGrant) { g.Window.NotAfter = 190 })}, none},
		"a document that is not the approved one is nothing": {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), forgeDocuments, changedLoan(func(g *TemporaryGrant) { g.Window.NotAfter = 190 })}, none},
		"nor is one that would be wider":                     {steps{lent, asksTwo(), yes(loan, "ann", "carl", "dora"), widenDocuments, changedLoan(func(g *TemporaryGrant) { g.Window.NotAfter = 300 })}, none},
	})
}

// seenOf notes who the approver was.
func seenOf(user string) func(*Declarations) {
	return func(d *Declarations) {
		for _, a := range d.Approvals {
			if a.Approver == user+"@crm" {
				a.Person = user
			}
		}
	}
}

func retarget(to Ref) func(*Declarations) {
	return func(d *Declarations) {
		for _, a := range d.Approvals {
			a.For = to
		}
	}
}

func forgetDocuments(d *Declarations) {
	for _, a := range d.Approvals {
		a.Document = nil
	}
}

func forgeDocuments(d *Declarations) {
	for _, a := range d.Approvals {
		a.Document = bytes.Replace(a.Document, []byte(`"notAfter"`), []byte(`"notAftre"`), 1)
	}
}

func widenDocuments(d *Declarations) {
	for _, a := range d.Approvals {
		a.Document = bytes.Replace(a.Document, []byte(`"notAfter":"1970-01-01T00:03:20Z"`), []byte(`"notAfter":"1970-01-01T00:05:00Z"`), 1)
	}
}

func revoke(target Ref) func(*Declarations) {
	return func(d *Declarations) {
		d.Revocations = append(d.Revocations, &Revocation{Name: "stop-" + target.Name, UID: "1", Target: target, Reason: "lost phone"})
	}
}

func TestWhatWasApprovedIsWhatCounts(t *testing.T) {
	type steps = []func(*Declarations)
	grant := with(customersOf(Records{IDs: []string{"a", "b"}}, "read", "update"), level(ClassConfidential, LevelRead))
	approved := func(after ...func(*Declarations)) []func(*Declarations) {
		return append(steps{lending(grant, "ann"), asksTwo(), yes(loan, "ann", "carl", "dora")}, after...)
	}
	edit := func(change func(*Grant)) func(*Declarations) {
		return changedLoan(func(g *TemporaryGrant) { change(&g.Grants[0]) })
	}
	window := func(from, until schedule.Instant) func(*Declarations) {
		return changedLoan(func(g *TemporaryGrant) { g.Window = schedule.Window{NotBefore: from, NotAfter: until} })
	}
	const whole, part = "Admitted: read+update a|b", "AdmittedInPart: read+update a|b"
	checkAdmissions(t, "ann", map[string]admissionCase{
		"all of it":                                {approved(), whole},
		"fewer actions need nobody":                {approved(edit(func(g *Grant) { g.Actions = []string{"read"} })), "Admitted: read a|b"},
		"fewer records need nobody":                {approved(edit(func(g *Grant) { g.Records.IDs = []string{"b"} })), "Admitted: read+update b"},
		"a lower level needs nobody":               {approved(edit(func(g *Grant) { g.Fields = nil })), whole},
		"a condition more needs nobody":            {approved(edit(func(g *Grant) { g.Where = []Condition{{Field: "region", Operator: OperatorExists}} })), whole},
		"a list of fields needs nobody":            {approved(edit(func(g *Grant) { g.OnlyFields = []string{"name"} })), whole},
		"an earlier end needs nobody":              {approved(window(100, 160)), whole},
		"a later start needs nobody":               {approved(window(120, 200)), whole},
		"another reason needs nobody":              {approved(changedLoan(func(g *TemporaryGrant) { g.Reason = "else" })), whole},
		"made anew under its name it needs nobody": {approved(func(d *Declarations) { g := *d.TemporaryGrants[0]; d.TemporaryGrants = []*TemporaryGrant{&g} }), whole},
		"another action waits":                     {approved(edit(func(g *Grant) { g.Actions = append(g.Actions, "export") })), part},
		"another record waits":                     {approved(edit(func(g *Grant) { g.Records.IDs = []string{"a", "b", "c"} })), part},
		"a higher level waits":                     {approved(edit(func(g *Grant) { g.Fields = []FieldRule{level(ClassConfidential, LevelEdit)} })), part},
		"a later end waits":                        {approved(window(100, 300)), part},
		"another way of selecting waits":           {approved(edit(func(g *Grant) { g.Records = Records{Owners: []string{"bob"}} })), "Awaiting:"},
		"a grant more waits":                       {approved(changedLoan(func(g *TemporaryGrant) { g.Grants = append(g.Grants, customers(ScopeAll, "export")) })), part},
		"a role more waits": {approved(func(d *Declarations) { d.Roles = append(d.Roles, &Role{Name: "rep"}) },
			changedLoan(func(g *TemporaryGrant) { g.Roles = []string{"rep"} })), part},
		"a condition less waits": {steps{lending(Grant{Object: "customer", Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "region", Operator: OperatorExists}}}, "ann"),
			asksTwo(), yes(loan, "ann", "carl", "dora"), edit(func(g *Grant) { g.Where = nil })}, "AdmittedInPart: read all"},
		"what is all was approved with what is own":     {steps{lending(customers(ScopeAll, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"), edit(func(g *Grant) { g.Records.Scopes = ScopeOwn })}, "Admitted: read own"},
		"what is own was not approved with what is all": {steps{lending(customers(ScopeOwn, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"), edit(func(g *Grant) { g.Records.Scopes = ScopeAll })}, "AdmittedInPart: read own"},
		"another object waits":                          {approved(edit(func(g *Grant) { g.Object = "contact" })), "Awaiting:"},
		"another department waits": {steps{lending(customersOf(Records{Departments: []string{"north"}}, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"),
			edit(func(g *Grant) { g.Records.Departments = []string{"north", "hq"} })}, "AdmittedInPart: read north"},
		"another department tree waits": {steps{lending(customersOf(Records{DepartmentTrees: []string{"north"}}, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"),
			edit(func(g *Grant) { g.Records.DepartmentTrees = []string{"north", "east"} })}, "AdmittedInPart: read north"},
		"two grants cut to the same count once": {steps{lending(customers(ScopeOwn, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"),
			changedLoan(func(g *TemporaryGrant) {
				g.Grants = []Grant{customers(ScopeOwn, "read", "update"), customers(ScopeOwn, "read", "export")}
			})}, "AdmittedInPart: read own, read own"},
		"two grants of a role cut to the same count once": {steps{lendingRole(&Role{Name: "rep", Grants: []Grant{customers(ScopeOwn, "read")}}), asksTwo(), yes(loan, "ann", "carl", "dora"),
			func(d *Declarations) {
				d.Roles[0] = &Role{Name: "rep", Grants: []Grant{customers(ScopeOwn, "read", "update"), customers(ScopeOwn, "read", "export")}}
			}}, "AdmittedInPart: read own"},
		"two who approved different things agree on what both say": {steps{lending(customers(ScopeAll, "read", "update"), "ann"), asksTwo(), yes(loan, "ann", "carl"),
			edit(func(g *Grant) { g.Actions = []string{"read", "export"} }), yes(loan, "ann", "dora")}, "AdmittedInPart: read all"},
		"one who approved two things is still one": {steps{lending(customers(ScopeAll, "read", "update"), "ann"), asksTwo(), yes(loan, "ann", "carl"),
			edit(func(g *Grant) { g.Actions = []string{"read"} }), yes(loan, "ann", "carl")}, "Awaiting:"},
		"what another user was approved for is not this one's": {steps{lending(customers(ScopeAll, "read"), "ann", "bob"), asksTwo(), yes(loan, "bob", "carl", "dora")}, "Awaiting:"},
	})
}

func TestALowerLevelIsWhatCountsUntilTheHigherIsApproved(t *testing.T) {
	d := guarded(lending(with(customers(ScopeAll, "read", "update"), level(ClassConfidential, LevelRead), FieldRule{Field: "limit", Level: LevelRead}), "ann"),
		asksTwo(), yes(loan, "ann", "carl", "dora"),
		changedLoan(func(g *TemporaryGrant) {
			g.Grants[0].Fields = []FieldRule{{Field: "phone", Level: LevelEdit}, level(ClassRestricted, LevelEdit), level(ClassSecret, LevelEdit)}
		}))
	q := &Request{User: "ann", Action: "read", Object: "customer", Record: bobsInNorth, Fields: []string{"phone", "limit", "pin", "name"}}
	levels := make([]Level, 4)
	NewPolicy(Resolve(d).Facts).Decide(150, q, levels)
	if want := []Level{LevelRead, LevelRead, LevelNone, LevelEdit}; !slices.Equal(levels, want) {
		t.Errorf("levels %v, want %v", levels, want)
	}
}

func TestWhichRulesConcernWhom(t *testing.T) {
	type steps = []func(*Declarations)
	when := func(w AdmitWhen) func(*Declarations) { return asks(AdmitRule{When: w, Approvals: 1}) }
	other := when(AdmitWhen{Temporary: true, OtherDepartment: true})
	privileged := when(AdmitWhen{PrivilegedRole: true})
	bound := func(role *Role, more ...*Role) func(*Declarations) {
		return func(d *Declarations) {
			d.Roles = append(append(d.Roles, role), more...)
			d.UserBindings = append(d.UserBindings, &UserBinding{Name: "binding-of-ann", Subjects: []Subject{{User: "ann"}}, Roles: []string{role.Name}})
		}
	}
	lent := func(records Records) func(*Declarations) { return lending(customersOf(records, "read"), "ann") }
	grants := []Grant{customers(ScopeOwn, "read")}
	heir := &Role{Name: "heir", Grants: grants, Inherits: []Inheritance{{Role: "middle"}}}
	middle := &Role{Name: "middle", Inherits: []Inheritance{{Role: "top", Mute: []Mute{{Object: "customer", Actions: []string{"read"}}}}}}
	top, plainTop := &Role{Name: "top", Privileged: true}, &Role{Name: "top"}
	const waits, free = "Awaiting:", "free: "
	checkAdmissions(t, "ann", map[string]admissionCase{
		"a privileged role waits":                         {steps{bound(&Role{Name: "admin", Privileged: true, Grants: grants}), privileged}, waits},
		"an ordinary one does not":                        {steps{bound(&Role{Name: "rep", Grants: grants}), privileged}, free + "read own"},
		"who inherits from a privileged one waits":        {steps{bound(heir, middle, top), privileged}, waits},
		"who inherits from an ordinary one does not":      {steps{bound(heir, middle, plainTop), privileged}, free + "read own"},
		"a named role waits":                              {steps{bound(&Role{Name: "rep", Grants: grants}), when(AdmitWhen{Roles: []string{"rep"}})}, waits},
		"its heir waits":                                  {steps{bound(heir, middle, plainTop), when(AdmitWhen{Roles: []string{"top"}})}, waits},
		"its ancestor does not":                           {steps{bound(&Role{Name: "top", Grants: grants}, heir, middle), when(AdmitWhen{Roles: []string{"heir"}})}, free + "read own"},
		"a binding is not temporary":                      {steps{bound(&Role{Name: "rep", Grants: grants}), when(AdmitWhen{Temporary: true})}, free + "read own"},
		"a temporary grant is":                            {steps{lent(Records{Scopes: ScopeOwn}), when(AdmitWhen{Temporary: true})}, waits},
		"an employee is not external":                     {steps{lent(Records{Scopes: ScopeOwn}), when(AdmitWhen{External: true})}, free + "read own"},
		"all that is named must hold":                     {steps{lent(Records{Scopes: ScopeOwn}), when(AdmitWhen{Temporary: true, PrivilegedRole: true})}, free + "read own"},
		"own stays at home":                               {steps{lent(Records{Scopes: ScopeOwn | ScopeDepartmentAndBelow}), other}, free + "read own|departmentAndBelow"},
		"all does not":                                    {steps{lent(Records{Scopes: ScopeAll}), other}, waits},
		"ids may lie anywhere":                            {steps{lent(Records{IDs: []string{"c1"}}), other}, waits},
		"the own department is at home":                   {steps{lent(Records{Departments: []string{"east-1"}}), other}, free + "read east-1"},
		"another is not":                                  {steps{lent(Records{Departments: []string{"east-1", "north"}}), other}, waits},
		"an own tree without branches is at home":         {steps{lent(Records{DepartmentTrees: []string{"east-1"}}), other}, free + "read east-1"},
		"a tree with branches elsewhere is not":           {steps{changedUser("ann", func(u *User) { u.Departments = []string{"east"} }), lent(Records{DepartmentTrees: []string{"east"}}), other}, waits},
		"a tree all of whose branches are own is at home": {steps{changedUser("ann", func(u *User) { u.Departments = []string{"east", "east-1"} }), lent(Records{DepartmentTrees: []string{"east"}}), other}, free + "read east"},
		"a tree that nobody knows is not":                 {steps{lent(Records{DepartmentTrees: []string{"east-1", "atlantis"}}), other}, waits},
		"an owner of the own department is at home":       {steps{lent(Records{Owners: []string{"gone"}}), other}, free + "read gone"},
		"an owner of another is not":                      {steps{lent(Records{Owners: []string{"gone", "bob"}}), other}, waits},
		"an owner nobody knows is not":                    {steps{lent(Records{Owners: []string{"gone", "nemo"}}), other}, waits},
		"an owner without department is not":              {steps{lent(Records{Owners: []string{"agency"}}), other}, waits},
		"a subject without department is nowhere at home": {steps{changedUser("ann", func(u *User) { u.Departments = nil }), lent(Records{Scopes: ScopeOwn}), other}, waits},
		"a role lent for a while is judged by its grants": {steps{lendingRole(&Role{Name: "rep", Grants: []Grant{customers(ScopeAll, "read")}}), other}, waits},
		"a role lent whose grants stay at home":           {steps{lendingRole(&Role{Name: "rep", Grants: grants}), other}, free + "read own"},
	})
	agency := guarded(lending(Grant{Object: "customer", Actions: []string{"read"}, Records: Records{IDs: []string{"c1"}}, OnlyFields: []string{"name"}}, "agency"), when(AdmitWhen{External: true}))
	if got := standing(agency, "agency", 150); got != waits {
		t.Errorf("what an external gets: %s", got)
	}
}

func lendingRole(role *Role) func(*Declarations) {
	return func(d *Declarations) {
		d.Roles = append(d.Roles, role)
		d.TemporaryGrants = append(d.TemporaryGrants, &TemporaryGrant{Name: "loan", Users: []string{"ann"}, Roles: []string{role.Name}, Window: schedule.Window{NotBefore: 100, NotAfter: 200}})
	}
}

func TestWhoeverApprovesByARoleMustHoldIt(t *testing.T) {
	type steps = []func(*Declarations)
	lent := lending(customers(ScopeAll, "read"), "ann")
	byRole := asks(AdmitRule{When: AdmitWhen{Temporary: true}, Approvals: 1, By: []Approver{{Role: "manager"}}})
	roles := func(d *Declarations) {
		d.Roles = append(d.Roles, &Role{Name: "manager"}, &Role{Name: "middle", Inherits: []Inheritance{{Role: "manager"}}}, &Role{Name: "director", Inherits: []Inheritance{{Role: "middle"}}})
	}
	has := func(user, role string) func(*Declarations) {
		return func(d *Declarations) {
			d.UserBindings = append(d.UserBindings, &UserBinding{Name: user + "-is-" + role, Subjects: []Subject{{User: user}}, Roles: []string{role}})
		}
	}
	until := func(end schedule.Instant, user, role string) func(*Declarations) {
		return func(d *Declarations) {
			d.TemporaryGrants = append(d.TemporaryGrants, &TemporaryGrant{Name: user + "-acts", Users: []string{user}, Roles: []string{role}, Window: schedule.Window{NotBefore: 100, NotAfter: end}, Emergency: true})
		}
	}
	privileged := asks(AdmitRule{When: AdmitWhen{Roles: []string{"manager"}}, Approvals: 1, By: []Approver{{User: "boss"}}})
	doras := Ref{KindUserBinding, "dora-is-manager"}
	const all, none = "Admitted: read all", "Awaiting:"
	approve := yes(loan, "ann", "dora")
	checkAdmissions(t, "ann", map[string]admissionCase{
		"a holder approves":                                {steps{lent, roles, has("dora", "manager"), byRole, approve}, all},
		"an heir's holder approves":                        {steps{lent, roles, has("dora", "director"), byRole, approve}, all},
		"nobody else does":                                 {steps{lent, roles, byRole, approve}, none},
		"a holder whose binding is revoked does not":       {steps{lent, roles, has("dora", "manager"), byRole, approve, revoke(doras)}, none},
		"nobody does while the role is revoked":            {steps{lent, roles, has("dora", "director"), byRole, approve, revoke(Ref{KindRole, "manager"})}, none},
		"nor by way of a revoked role":                     {steps{lent, roles, has("dora", "director"), byRole, approve, revoke(Ref{KindRole, "middle"})}, none},
		"who holds it for a while approves for that while": {steps{lent, roles, until(180, "dora", "manager"), byRole, approve}, "AdmittedInPart: read all"},
		"who held it before that does not":                 {steps{lent, roles, until(140, "dora", "manager"), byRole, approve}, "AdmittedInPart:"},
		"who is to hold it once approved does not yet":     {steps{lent, roles, has("dora", "manager"), byRole, privileged, approve}, none},
		"but once that is approved":                        {steps{lent, roles, has("dora", "manager"), byRole, privileged, approve, yes(doras, "dora", "boss")}, all},
		"two who need each other hold nothing":             {steps{lent, roles, has("dora", "manager"), has("carl", "manager"), byRole, asks(AdmitRule{When: AdmitWhen{Roles: []string{"manager"}}, Approvals: 1, By: []Approver{{Role: "manager"}}}), approve, yes(doras, "dora", "carl"), yes(Ref{KindUserBinding, "carl-is-manager"}, "carl", "dora")}, none},
		"approved for a role, one does not hold another": {steps{lent, roles, func(d *Declarations) {
			d.Roles = append(d.Roles, &Role{Name: "clerk", Privileged: true})
			d.Roles[0].Privileged = true
		}, has("dora", "clerk"), byRole, asks(AdmitRule{When: AdmitWhen{PrivilegedRole: true}, Approvals: 1}), approve, yes(Ref{KindUserBinding, "dora-is-clerk"}, "dora", "boss"), func(d *Declarations) { d.UserBindings[0].Roles = []string{"manager"} }}, none},
		"who holds it by a revoked binding, though approved, does not": {steps{lent, roles, has("dora", "manager"), byRole, privileged, approve, yes(doras, "dora", "boss"), revoke(doras)}, none},
		"of two, both must hold it at the time":                        {steps{lent, roles, has("dora", "manager"), until(140, "carl", "manager"), asks(AdmitRule{When: AdmitWhen{Temporary: true}, Approvals: 2, By: []Approver{{Role: "manager"}}}), yes(loan, "ann", "dora", "carl")}, "AdmittedInPart:"},
		"and while both do it counts":                                  {steps{lent, roles, has("dora", "manager"), until(180, "carl", "manager"), asks(AdmitRule{When: AdmitWhen{Temporary: true}, Approvals: 2, By: []Approver{{Role: "manager"}}}), yes(loan, "ann", "dora", "carl")}, "AdmittedInPart: read all"},
		"a chain of approvals is followed to its end":                  {steps{lent, roles, has("dora", "manager"), has("carl", "middle"), byRole, asks(AdmitRule{When: AdmitWhen{Roles: []string{"middle"}}, Approvals: 1, By: []Approver{{User: "boss"}}}), asks(AdmitRule{When: AdmitWhen{Roles: []string{"manager"}}, Approvals: 1, By: []Approver{{Role: "middle"}, {User: "boss"}}}), approve, yes(doras, "dora", "carl"), yes(Ref{KindUserBinding, "carl-is-middle"}, "carl", "boss")}, all},
	})
}

func TestASelectorGivesNothingThatNeedsApproval(t *testing.T) {
	d := guarded(holding("ann", customers(ScopeOwn, "read")), func(d *Declarations) {
		d.UserBindings[0].Subjects = []Subject{{Selector: Selector{Department: "north"}}, {Selector: Selector{DepartmentTree: "east"}}, {User: "ann"}}
	}, asks(AdmitRule{When: AdmitWhen{Roles: []string{"role-of-ann"}}, Approvals: 1}), yes(annsBinding, "ann", "carl"))
	for user, want := range map[string]string{"ann": "Admitted: read own", "bob": "Admitted:", "boss": "Admitted:"} {
		if _, rights, _ := strings.Cut(standing(d, user, 0), ":"); rights != strings.TrimPrefix(want, "Admitted:") {
			t.Errorf("%s has %q, want %q", user, rights, want)
		}
	}
	said := findings(Resolve(d), ReasonNeedsNamedUsers)
	if len(said) != 2 || !strings.Contains(said[0], "spec.subjects[0].selector: Guardrail/guardrail-0 asks for approvals") || !strings.Contains(said[1], "subjects[1]") {
		t.Errorf("says %q", said)
	}
}

func findings(r Resolution, reason Reason) (said []string) {
	for _, list := range r.Findings {
		for _, f := range list {
			if f.Reason == reason {
				said = append(said, f.String())
			}
		}
	}
	slices.Sort(said)
	return said
}

func TestWhatLastsTooLongConfersNothing(t *testing.T) {
	type steps = []func(*Declarations)
	lent := lending(customers(ScopeAll, "read"), "ann")
	month := asks(AdmitRule{When: AdmitWhen{Temporary: true}, MaxDuration: 744 * time.Hour})
	lasting := func(from, until schedule.Instant, emergency bool) func(*Declarations) {
		return changedLoan(func(g *TemporaryGrant) {
			g.Window, g.Emergency = schedule.Window{NotBefore: from, NotAfter: until}, emergency
		})
	}
	const hour = 3600
	for name, c := range map[string]struct {
		given  steps
		reason Reason
		says   string
		want   string
	}{
		"as long as the guardrail allows":  {steps{lent, month, lasting(100, 100+744*hour, false)}, ReasonTooLong, "", "free: read all"},
		"a second longer":                  {steps{lent, month, lasting(100, 101+744*hour, false)}, ReasonTooLong, "spec.notAfter: the grant lasts 744h0m1s, and Guardrail/guardrail-0 allows 744h0m0s: it confers nothing to ann", "free:"},
		"without a start":                  {steps{lent, month, lasting(schedule.Always, 200, false)}, ReasonTooLong, "set notBefore", "free:"},
		"four hours of an emergency":       {steps{lent, asksTwo(), lasting(100, 100+4*hour, true)}, ReasonEmergencyTooLong, "", "in review, Awaiting: read all"},
		"more than four":                   {steps{lent, asksTwo(), lasting(100, 101+4*hour, true)}, ReasonEmergencyTooLong, "lasts at most 4h0m0s; this one lasts 4h0m1s: it confers nothing", "free:"},
		"an emergency without a start":     {steps{lent, lasting(schedule.Always, 200, true)}, ReasonEmergencyTooLong, "set notBefore", "free:"},
		"an emergency beyond a guardrail":  {steps{lent, asks(AdmitRule{When: AdmitWhen{Temporary: true}, MaxDuration: time.Hour}), lasting(100, 100+2*hour, true)}, ReasonTooLong, "lasts 2h", "free:"},
		"a rule that concerns others only": {steps{lent, asks(AdmitRule{When: AdmitWhen{External: true}, MaxDuration: time.Second})}, ReasonTooLong, "", "free: read all"},
	} {
		t.Run(name, func(t *testing.T) {
			d := guarded(c.given...)
			if got := standing(d, "ann", 150); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			said := strings.Join(findings(Resolve(d), c.reason), "\n")
			if (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
				t.Errorf("says %q, not %q", said, c.says)
			}
		})
	}
}

func TestFieldsThatWereNotApprovedStayHidden(t *testing.T) {
	narrow := customers(ScopeAll, "read")
	narrow.OnlyFields = []string{"name"}
	d := guarded(lending(narrow, "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"), changedLoan(func(g *TemporaryGrant) { g.Grants[0].OnlyFields = nil }))
	levels := make([]Level, 2)
	NewPolicy(Resolve(d).Facts).Decide(150, &Request{User: "ann", Action: "read", Object: "customer", Record: bobsInNorth, Fields: []string{"name", "region"}}, levels)
	if want := []Level{LevelRead, LevelNone}; !slices.Equal(levels, want) {
		t.Errorf("levels %v, want %v", levels, want)
	}
}

func TestFactsTellWhoApprovedWhat(t *testing.T) {
	d := guarded(lending(customers(ScopeAll, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "nemo"), no(loan, "ann", "dora"), forgetDocuments, seenOf("dora"),
		changedUser("dora", func(u *User) { u.Identities = nil }), changedUser("bob", func(u *User) { u.Identities = []string{"dora@crm"} }))
	r := Resolve(d)
	var said []string
	for _, a := range r.Facts.Approvals {
		said = append(said, fmt.Sprintf("%s %s: %s by %s, who is %s", a.Owner, a.ForName, a.Decision, a.Approver, a.Person))
		if a.ForKind != KindTemporaryGrant || a.Effect != r.Admissions[loan][0].Effect || EffectDigest(a.Document) != a.Effect {
			t.Errorf("%+v has not the document of %s", a, a.Effect)
		}
	}
	if want := []string{"Approval/approval-0 loan: Approve by carl@crm, who is carl", "Approval/approval-2 loan: Deny by dora@crm, who is dora"}; !slices.Equal(said, want) {
		t.Errorf("%q\nwant %q", said, want)
	}
	for name, document := range map[string]string{
		"with its keys in another order": `{"kind":"Access",` + strings.Replace(string(r.Admissions[loan][0].Document)[1:], `"kind":"Access",`, "", 1),
		"with letters escaped":           strings.Replace(string(r.Admissions[loan][0].Document), "ann", `\u0061nn`, 1),
	} {
		kept := guarded(lending(customers(ScopeAll, "read"), "ann"), asksTwo(), yes(loan, "ann", "carl", "dora"), changedLoan(func(g *TemporaryGrant) { g.Window.NotAfter = 190 }))
		for _, a := range kept.Approvals {
			a.Document = []byte(document)
		}
		if got := standing(kept, "ann", 150); got != "Admitted: read all" {
			t.Errorf("kept %s: %s", name, got)
		}
	}
}

func TestAnAdmissionTellsWhatIsMissing(t *testing.T) {
	rule := AdmitRule{Approvals: 2, By: []Approver{{ManagerOfSubject: true}, {Role: "auditor"}, {User: "dora"}, {User: "ann"}, {Role: "manager"}}}
	d := guarded(lending(customers(ScopeAll, "read"), "ann"), func(d *Declarations) { d.Roles = append(d.Roles, &Role{Name: "auditor"}, &Role{Name: "manager"}) },
		asks(AdmitRule{Approvals: 1}), asks(rule), yes(loan, "ann", "dora"))
	a := Resolve(d).Admissions[loan][0]
	if a.State != Awaiting || a.Needed != 2 || a.Have != 1 || a.Rule != "guardrail-1" || strings.Join(a.From, ", ") != "boss, an auditor, a manager" {
		t.Errorf("%s: %d of %d by %s, from %q", a.State, a.Have, a.Needed, a.Rule, a.From)
	}
}

func TestWhatEndedOfAnAdmittedBindingIsLeftOut(t *testing.T) {
	d := guarded(holding("ann", customers(ScopeOwn, "read")), func(d *Declarations) {
		d.TemporaryGrants = append(d.TemporaryGrants, &TemporaryGrant{Name: "acting", Users: []string{"dora"}, Roles: []string{"deputy"}, Window: schedule.Window{NotBefore: 100, NotAfter: 180}})
		d.Roles = append(d.Roles, &Role{Name: "deputy"})
	}, asks(AdmitRule{When: AdmitWhen{Roles: []string{"role-of-ann"}}, Approvals: 1, By: []Approver{{Role: "deputy"}}}), yes(annsBinding, "ann", "dora"))
	owned := func(now schedule.Instant) (holders, tuples int) {
		f := Resolve(d).Facts.WithoutEnded(now)
		for _, h := range f.Holders {
			if h.Owner == annsBinding {
				holders++
			}
		}
		for _, t := range f.Tuples {
			if t.Owner == annsBinding {
				tuples++
			}
		}
		return holders, tuples
	}
	if holders, tuples := owned(150); holders != 1 || tuples != 1 {
		t.Errorf("while the approver may: %d holders, %d tuples", holders, tuples)
	}
	if holders, tuples := owned(180); holders != 0 || tuples != 0 {
		t.Errorf("afterwards: %d holders, %d tuples", holders, tuples)
	}
}
