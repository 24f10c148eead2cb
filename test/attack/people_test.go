package attack

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

func bindAdmin(subject string) func(*organisation) {
	return commits("kind: UserBinding\nmetadata: {name: more-admins}\nspec: {subjects: [" + subject + "], roles: [crm-admin]}")
}

func emergency(notBefore, notAfter string) func(*organisation) {
	window := "notAfter: \"" + notAfter + "\""
	if notBefore != "" {
		window = "notBefore: \"" + notBefore + "\"\n  " + window
	}
	return commits(`
kind: TemporaryGrant
metadata: {name: fire}
spec:
  users: [sun-jie]
  grants: [{object: customer, actions: [read], records: {departments: [sales-north]}}]
  ` + window + `
  reason: the house is on fire
  emergency: true
`)
}

// renamedRole calls crm-admin otherwise, in the role and in who holds it.
func renamedRole(o *organisation) {
	o.Roles, o.UserBindings = slices.Clone(o.Roles), slices.Clone(o.UserBindings)
	for i, r := range o.Roles {
		if r.Name == "crm-admin" {
			renamed := *r
			renamed.Name = "crm-operator"
			o.Roles[i] = &renamed
		}
	}
	for i, b := range o.UserBindings {
		if b.Name == "crm-admins" {
			renamed := *b
			renamed.Roles = []string{"crm-operator"}
			o.UserBindings[i] = &renamed
		}
	}
}

const helper = `
kind: Role
metadata: {name: crm-helper}
spec: {inherits: [{role: crm-admin}]}
---
kind: UserBinding
metadata: {name: helpers}
spec: {subjects: [{user: fang-zheng}], roles: [crm-helper]}
`

var rolesAndPeople = []scenario{
	{
		attack: attack{"an heir of a privileged role that is not itself marked is bound without approval", "two people approve it", "guardrail.md: privilegedRole: is privileged, or inherits from a privileged one"},
		given:  commits(helper), asks: fangZhengReads,
		fair: func(o *organisation) {
			o.approve(binding, "helpers", "fang-zheng", login("gao-yuan"), login("zhou-lan"))
		},
	},
	{
		attack: attack{"a privileged role is reached by a temporary grant instead of a binding", "two people approve that, too", "guardrail.md: a role is given that is privileged"},
		given: commits(`
kind: TemporaryGrant
metadata: {name: helping}
spec: {users: [fang-zheng], roles: [crm-admin], notBefore: "2026-11-01T00:00:00+08:00", notAfter: "2026-11-30T00:00:00+08:00", reason: helping}
`),
		asks: fangZhengReads,
		fair: func(o *organisation) {
			// It reaches all departments, so the guardrail about temporary access asks for its own, too.
			o.approve(grant, "helping", "fang-zheng", login("gao-yuan"), login("zhou-lan"))
		},
	},
	{
		attack: attack{"a role loses its privileged mark in the commit that binds it, though a guardrail names it", "two people approve it", "guardrail.md: roles: one of these roles is given, or one that inherits it"},
		given: commits(admin + `
---
kind: Guardrail
metadata: {name: named-roles}
spec: {rules: [{admit: {when: {roles: [crm-admin]}, approvals: 2}}]}
---
kind: Role
metadata: {name: crm-admin}
spec: {grants: [{object: customer, actions: [read], scopes: [all]}]}
`),
		asks: fangZhengReads, fair: adminApprovedBy(login("gao-yuan"), login("zhou-lan")),
	},
	{
		attack: attack{"a privileged role is renamed, with its approved binding", "it keeps its name", "design §9: an effect says the roles held, too"},
		foul:   renamedRole,
		asks:   question{user: "deng-ning", action: "read", record: "customer/cust-beichen"},
	},
	{
		attack: attack{"a user is edited so that a selector reaches a privileged role", "the user is named, and approved by two", "guardrail.md: what needs approval names users"},
		foul: all(bindAdmin("{selector: {department: legal, title: 系统管理员}}"), func(o *organisation) {
			o.user("fang-zheng", func(u *access.User) { u.Title = "系统管理员" })
		}),
		fair: all(bindAdmin("{user: fang-zheng}"), adminApprovedBy(login("gao-yuan"), login("zhou-lan"))),
		asks: fangZhengReads,
	},
	{
		attack: attack{"a user moves into the department where a selector gives a privileged role to an approved binding's others", "whoever is named there keeps it", "guardrail.md: a subject that a selector matches gets nothing from it"},
		given: all(bindAdmin("{user: fang-zheng}, {selector: {department: it}}"), adminApprovedBy(login("gao-yuan"), login("zhou-lan")), func(o *organisation) {
			o.user("zhao-xiaoyu", func(u *access.User) { u.Departments = append(slices.Clone(u.Departments), "it") })
		}),
		asks: question{user: "zhao-xiaoyu", action: "read", record: "customer/cust-beichen"}, fairAsks: &fangZhengReads,
	},
	{
		attack: attack{"an external user is bound to a role", "the external has a grant of listed fields", "design §4: externals hold no role"},
		given:  commits("kind: UserBinding\nmetadata: {name: agency}\nspec: {subjects: [{user: bai-he}], roles: [service-agent]}"),
		asks:   question{user: "bai-he", action: "read", record: "customer/cust-bolan"}, fairAsks: &question{user: "bai-he", action: "read", record: "customer/cust-huaxin"},
	},
	{
		attack: attack{"an external user is given a grant without onlyFields", "the grant lists the fields", "design §4: their grants need onlyFields and an end"},
		foul:   all(campaign(""), func(o *organisation) { tryApprove(o, grant, "agency", "bai-he", login("gao-yuan")) }),
		fair:   all(campaign(", onlyFields: [name]"), func(o *organisation) { o.approve(grant, "agency", "bai-he", login("gao-yuan")) }),
		asks:   question{user: "bai-he", action: "read", record: "customer/cust-bolan"},
	},
	{
		attack: attack{"an emergency lasts longer than four hours", "it lasts four hours", "approval.md: an emergency lasts at most four hours"},
		foul:   emergency("2026-11-20T11:00:00+08:00", "2026-11-20T15:00:01+08:00"), fair: emergency("2026-11-20T11:00:00+08:00", "2026-11-20T15:00:00+08:00"), asks: sunJieReads,
	},
	{
		attack: attack{"an emergency has no start, so nobody can tell how long it lasts", "it has one", "approval.md: an emergency lasts at most four hours"},
		foul:   emergency("", "2026-11-20T15:00:00+08:00"), fair: emergency("2026-11-20T11:00:00+08:00", "2026-11-20T15:00:00+08:00"), asks: sunJieReads,
	},
	{
		attack: attack{"an emergency raises what a guardrail caps or denies", "it gives what no guardrail denies", "design §4: a temporary grant does not pass guardrails"},
		given: all(emergency("2026-11-20T11:00:00+08:00", "2026-11-20T15:00:00+08:00"), commits(`
kind: Guardrail
metadata: {name: freeze}
spec: {rules: [{deny: {objects: [customer], actions: [assign]}}]}
`), func(o *organisation) {
			i := slices.IndexFunc(o.TemporaryGrants, func(g *access.TemporaryGrant) bool { return g.Name == "fire" })
			o.TemporaryGrants[i].Grants[0].Actions = []string{"read", "assign"}
		}),
		asks: question{user: "sun-jie", action: "assign", record: "customer/cust-beichen"}, fairAsks: &sunJieReads,
	},
	{
		attack: attack{"a user who left keeps what they owned", "the one who took over their department's customers reads it", "design §4.1: the user exists and is Active"},
		asks:   question{user: "han-dong", action: "read", record: "customer/cust-old"}, fairAsks: &question{user: "chen-mo", action: "read", record: "customer/cust-old"},
	},
	{
		attack: attack{"a grant is read a second after its end", "it is read a second before", "design §4: live in [notBefore, notAfter)"},
		given:  approvedCover(),
		asks:   question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: "2026-12-01T00:00:00+08:00"}, fairAsks: &question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: "2026-11-30T23:59:59+08:00"},
	},
	{
		attack: attack{"roles that inherit from one another give what each has", "without the cycle they do", "design §4: cycles confer nothing"},
		given: commits(`
kind: Role
metadata: {name: ring-1}
spec: {inherits: [{role: ring-2}]}
---
kind: UserBinding
metadata: {name: ring}
spec: {subjects: [{user: fang-zheng}], roles: [ring-1]}
`),
		foul: commits("kind: Role\nmetadata: {name: ring-2}\nspec: {inherits: [{role: ring-1}], grants: [{object: customer, actions: [read], scopes: [all]}]}"),
		fair: commits("kind: Role\nmetadata: {name: ring-2}\nspec: {grants: [{object: customer, actions: [read], scopes: [all]}]}"),
		asks: fangZhengReads,
	},
	{
		attack: attack{"a mute is misspelt, so that it takes nothing away", "it names an action of the object", "design §4: mute subtracts; a misspelt one inherits nothing"},
		given:  commits("kind: UserBinding\nmetadata: {name: ring}\nspec: {subjects: [{user: fang-zheng}], roles: [quiet]}\n"),
		foul:   commits("kind: Role\nmetadata: {name: quiet}\nspec: {inherits: [{role: service-agent, mute: [{object: customer, actions: [raed]}]}]}"),
		fair:   commits("kind: Role\nmetadata: {name: quiet}\nspec: {inherits: [{role: service-agent, mute: [{object: ticket, actions: [read]}]}]}"),
		asks:   fangZhengReads,
	},
}

func campaign(fields string) func(*organisation) {
	return commits(`
kind: TemporaryGrant
metadata: {name: agency}
spec:
  users: [bai-he]
  grants: [{object: customer, actions: [read], records: {ids: [cust-bolan]}` + fields + `}]
  notBefore: "2026-11-15T00:00:00+08:00"
  notAfter: "2026-12-01T00:00:00+08:00"
  reason: campaign
`)
}

// tryApprove approves where there is something to approve.
func tryApprove(o *organisation, kind access.Kind, name, subject string, usernames ...string) {
	if len(access.Resolve(o.Declarations).Admissions[access.Ref{Kind: kind, Name: name}]) > 0 {
		o.approve(kind, name, subject, usernames...)
	}
}
