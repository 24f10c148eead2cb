package attack

import "github.com/crmaccess/crm-access-operator/internal/access"

// cover lets sun-jie, who is of sales-east-2, read the customers of sales-north: it waits for her manager lin-che or for a
// regional manager.
const cover = `
kind: TemporaryGrant
metadata: {name: cover}
spec:
  users: [sun-jie]
  grants: [{object: customer, actions: [read], records: {departments: [sales-north]}}]
  notBefore: "2026-11-01T00:00:00+08:00"
  notAfter: "2026-12-01T00:00:00+08:00"
  reason: cover
  requestedBy: ma-xiao
`

// coverOfLinChe is the same for lin-che, who is a regional manager himself.
const coverOfLinChe = `
kind: TemporaryGrant
metadata: {name: cover}
spec:
  users: [lin-che]
  grants: [{object: customer, actions: [read], records: {departments: [sales-north]}}]
  notBefore: "2026-11-01T00:00:00+08:00"
  notAfter: "2026-12-01T00:00:00+08:00"
  reason: cover
`

// admin makes fang-zheng, who sees no customers, a crm-admin, who sees them all: it waits for two people.
const admin = `
kind: UserBinding
metadata: {name: more-admins}
spec: {subjects: [{user: fang-zheng}], roles: [crm-admin], justification: one more}
`

const (
	grant   = access.KindTemporaryGrant
	binding = access.KindUserBinding
)

var (
	sunJieReads    = question{user: "sun-jie", action: "read", record: "customer/cust-beichen"}
	linCheReads    = question{user: "lin-che", action: "read", record: "customer/cust-beichen"}
	fangZhengReads = question{user: "fang-zheng", action: "read", record: "customer/cust-beichen"}
)

func commits(text string) func(*organisation) {
	return func(o *organisation) { o.commit(text) }
}

// all does one thing after the other.
func all(steps ...func(*organisation)) func(*organisation) {
	return func(o *organisation) {
		for _, step := range steps {
			step(o)
		}
	}
}

func coverApprovedBy(usernames ...string) func(*organisation) {
	return func(o *organisation) { o.approve(grant, "cover", "sun-jie", usernames...) }
}

func adminApprovedBy(usernames ...string) func(*organisation) {
	return func(o *organisation) { o.approve(binding, "more-admins", "fang-zheng", usernames...) }
}

var whoApproves = []scenario{
	{
		attack: attack{"a regional manager approves his own grant", "another regional manager approves it", "guardrail.md: none of the approvers is the subject"},
		given:  commits(coverOfLinChe),
		foul:   func(o *organisation) { o.approve(grant, "cover", "lin-che", login("lin-che")) },
		fair:   func(o *organisation) { o.approve(grant, "cover", "lin-che", login("gao-yuan")) },
		asks:   linCheReads,
	},
	{
		attack: attack{"he approves it under a second identity of his", "the other one does, under a second identity of hers", "design §9: distinct people, by User.spec.identities"},
		given: all(commits(coverOfLinChe), func(o *organisation) {
			o.alias("lin-che", "lin.che@partner.example")
			o.alias("gao-yuan", "gao.yuan@partner.example")
		}),
		foul: func(o *organisation) { o.approve(grant, "cover", "lin-che", "lin.che@partner.example") },
		fair: func(o *organisation) { o.approve(grant, "cover", "lin-che", "gao.yuan@partner.example") },
		asks: linCheReads,
	},
	{
		attack: attack{"the one who asks for a grant approves it", "one who did not ask for it approves it", "guardrail.md: none of the approvers is the requester"},
		given:  commits(cover),
		foul:   coverApprovedBy(login("ma-xiao")), fair: coverApprovedBy(login("gao-yuan")), asks: sunJieReads,
	},
	{
		attack: attack{"the one who asks for it approves it under another identity", "somebody else approves it under another identity", "design §9: none of them the requester, by User.spec.identities"},
		given: all(commits(cover), func(o *organisation) {
			o.alias("ma-xiao", "mx@partner.example")
			o.alias("gao-yuan", "gy@partner.example")
		}),
		foul: coverApprovedBy("mx@partner.example"), fair: coverApprovedBy("gy@partner.example"), asks: sunJieReads,
	},
	{
		attack: attack{"the approver of a grant becomes the one who asks for it, after approving", "the grant stays as it was asked for", "design §9: checked again whenever the declarations change"},
		given:  all(commits(cover), coverApprovedBy(login("gao-yuan"))),
		foul: func(o *organisation) {
			g := *o.TemporaryGrants[len(o.TemporaryGrants)-1]
			g.RequestedBy = "gao-yuan"
			o.TemporaryGrants = put(o.TemporaryGrants, []*access.TemporaryGrant{&g}, func(x *access.TemporaryGrant) string { return x.Name })
		},
		asks: sunJieReads,
	},
	{
		attack: attack{"one person approves a privileged role twice, by two identities of one User", "two people approve it", "design §9: enough distinct people (by User.spec.identities)"},
		given:  all(commits(admin), func(o *organisation) { o.alias("gao-yuan", "gy@partner.example") }),
		foul:   adminApprovedBy(login("gao-yuan"), "gy@partner.example"), fair: adminApprovedBy(login("gao-yuan"), login("zhou-lan")), asks: fangZhengReads,
	},
	{
		attack: attack{"one person approves twice, by two Approvals under one name", "two people approve once each", "guardrail.md: so many different people"},
		given:  commits(admin),
		foul:   adminApprovedBy(login("gao-yuan"), login("gao-yuan"), login("gao-yuan")), fair: adminApprovedBy(login("gao-yuan"), login("zhou-lan")), asks: fangZhengReads,
	},
	{
		attack: attack{"an approver is suspended between approval and start", "the approver stays", "design §9: checked again when people change: approver still allowed"},
		given:  all(commits(cover), coverApprovedBy(login("gao-yuan"))),
		foul:   func(o *organisation) { o.suspend("gao-yuan") }, asks: sunJieReads,
	},
	{
		attack: attack{"an approver is revoked after approving", "somebody else is revoked", "revocation.md: user ends all that the user has, the right to approve among it"},
		given:  all(commits(cover), coverApprovedBy(login("gao-yuan"))),
		foul:   commits("kind: Revocation\nmetadata: {name: stop}\nspec: {user: gao-yuan, reason: stolen}"),
		fair:   commits("kind: Revocation\nmetadata: {name: stop}\nspec: {user: ma-xiao, reason: stolen}"),
		asks:   sunJieReads,
	},
	{
		attack: attack{"an approving identity is moved to another user after it approved", "it stays with its owner", "design §9: who the approver was when the approval was first seen"},
		given: all(commits(cover), coverApprovedBy(login("gao-yuan")), func(o *organisation) {
			o.Approvals[len(o.Approvals)-1].Person = "gao-yuan"
		}),
		foul: func(o *organisation) {
			o.user("gao-yuan", func(u *access.User) { u.Identities = nil })
			o.alias("lin-che", login("gao-yuan"))
		},
		asks: sunJieReads,
	},
	{
		attack: attack{"an identity that two users claim approves", "it is one user's", "approval.md: ApproverUnknown: the identity of no User, or of more than one"},
		given:  all(commits(cover), coverApprovedBy(login("gao-yuan"))),
		foul:   func(o *organisation) { o.alias("lin-che", login("gao-yuan")) },
		fair:   func(o *organisation) { o.alias("lin-che", "lin.che@partner.example") },
		asks:   sunJieReads,
	},
	{
		attack: attack{"a username in another spelling approves", "the username itself does", "approval.md: compared byte for byte"},
		given:  commits(cover),
		foul:   coverApprovedBy("Gao-Yuan@huayue.example", "gao-yuan@huayue.example ", "gao-yuan@huayue.exаmple"),
		fair:   coverApprovedBy(login("gao-yuan")), asks: sunJieReads,
	},
	{
		attack: attack{"an approver held the approving role for a while only, and it has ended", "it has not ended yet", "design §9: checked whenever roles change: approver still allowed"},
		given: all(commits(cover+`
---
kind: TemporaryGrant
metadata: {name: stand-in}
spec: {users: [chen-mo], roles: [regional-manager], notBefore: "2026-11-01T00:00:00+08:00", notAfter: "2026-11-10T00:00:00+08:00", reason: stand-in}
`), coverApprovedBy(login("chen-mo"))),
		asks:     sunJieReads,
		fairAsks: &question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: "2026-11-09T23:59:59+08:00"},
	},
	{
		attack: attack{"two people approve each other's approving role", "a third approves the first of them", "guardrail.md: by; nobody approves by a role that still waits"},
		given: commits(`
kind: Guardrail
metadata: {name: managers}
spec: {rules: [{admit: {when: {roles: [regional-manager]}, approvals: 1, by: [{role: regional-manager}, {user: zhou-lan}]}}]}
---
kind: UserBinding
metadata: {name: first}
spec: {subjects: [{user: wu-fan}], roles: [regional-manager]}
---
kind: UserBinding
metadata: {name: second}
spec: {subjects: [{user: tang-yue}], roles: [regional-manager]}
`),
		foul: func(o *organisation) {
			o.approve(binding, "first", "wu-fan", login("tang-yue"))
			o.approve(binding, "second", "tang-yue", login("wu-fan"))
		},
		fair: func(o *organisation) {
			o.approve(binding, "first", "wu-fan", login("zhou-lan"))
			o.approve(binding, "second", "tang-yue", login("wu-fan"))
		},
		asks: question{user: "tang-yue", action: "delete", record: "lead/lead-of-east-2", proposed: &access.Record{ID: "lead-of-east-2", Owner: "sun-jie", Department: "sales-east-2"}},
	},
	{
		attack: attack{"a service approves", "a person approves", "design §9: made by a human identity"},
		given: all(commits(cover+`
---
kind: UserBinding
metadata: {name: bots}
spec: {subjects: [{user: gao-yuan}], roles: [regional-manager]}
`), coverApprovedBy(login("gao-yuan"))),
		foul: func(o *organisation) {
			o.user("gao-yuan", func(u *access.User) { u.Type = access.UserService })
		},
		asks: sunJieReads,
	},
	{
		attack: attack{"somebody whom `by` does not name approves", "somebody whom it names approves", "guardrail.md: by narrows who may; RBAC alone does not do"},
		given:  commits(cover),
		foul:   coverApprovedBy(login("zhou-lan"), login("gu-yan"), login("deng-ning")), fair: coverApprovedBy(login("lin-che")), asks: sunJieReads,
	},
	{
		attack: attack{"two say yes and a third says no, and the no is passed over", "nobody says no", "approval.md: Deny: an approver said no to just this effect"},
		given:  all(commits(admin), adminApprovedBy(login("gao-yuan"), login("zhou-lan"))),
		foul:   func(o *organisation) { o.answer(binding, "more-admins", "fang-zheng", true, login("luo-qi")) },
		asks:   fangZhengReads,
	},
}
