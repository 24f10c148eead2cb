package attack

import "github.com/crmaccess/crm-access-operator/internal/access"

func revoke(what string) func(*organisation) {
	return commits("kind: Revocation\nmetadata: {name: stop}\nspec: {" + what + ", reason: stolen}")
}

func lifted(usernames ...string) func(*organisation) {
	return func(o *organisation) { o.lift("stop", usernames...) }
}

var (
	// liTingReads is by her role alone.
	liTingReads   = question{user: "li-ting", action: "read", record: "customer/cust-huaxin"}
	chenMoDeletes = question{user: "chen-mo", action: "delete", record: "lead/lead-318"}
)

var revocations = []scenario{
	{
		attack: attack{"a revoked user reads by a role and owns the record", "the revocation is lifted by another", "design §4.0: no revocation in force covers the user"},
		given:  revoke("user: li-ting"), fair: lifted(login("gao-yuan")), asks: liTingReads,
	},
	{
		attack: attack{"a revoked role is reached through an heir", "the heir's own grants stay", "revocation.md: role: also what its heirs have from it"},
		given:  revoke("role: sales-rep"),
		asks:   question{user: "chen-mo", action: "create", record: "customer/x", proposed: &access.Record{ID: "x", Owner: "chen-mo", Department: "sales-east-1"}}, fairAsks: &chenMoDeletes,
	},
	{
		attack: attack{"a revoked role is reached through a temporary grant", "the lift is approved by somebody whom it does not concern", "design §4: a revocation of a role reaches what comes from it"},
		given: all(commits(`
kind: TemporaryGrant
metadata: {name: helping}
spec: {users: [li-ting], roles: [sales-rep], notBefore: "2026-11-01T00:00:00+08:00", notAfter: "2026-11-30T00:00:00+08:00", reason: helping}
`), revoke("role: sales-rep")),
		fair: lifted(login("zhou-lan")), asks: liTingReads,
	},
	{
		attack: attack{"who has an heir of a revoked role approves as its holder", "who may for another reason approves", "design §9: approver still allowed"},
		given:  all(commits(cover), revoke("role: regional-manager")),
		foul:   coverApprovedBy(login("gao-yuan")), fair: coverApprovedBy(login("lin-che")), asks: sunJieReads,
	},
	{
		attack: attack{"who has an heir of a revoked role approves a request as its holder", "nothing is revoked", "design §4: a revocation of a role reaches what its heirs have from it"},
		foul:   revoke("role: permission-admin"),
		given:  all(commits("kind: Role\nmetadata: {name: chief}\nspec: {inherits: [{role: permission-admin}]}\n---\nkind: UserBinding\nmetadata: {name: chiefs}\nspec: {subjects: [{user: luo-qi}], roles: [chief]}"), func(o *organisation) { o.approve(binding, "chiefs", "luo-qi", login("gao-yuan"), login("zhou-lan")) }),
		asks:   export(5, 0, func(c *access.Context) { c.ApprovedBy = []string{"luo-qi"} }),
	},
	{
		attack: attack{"a revoked binding's subject reads by it", "another binding gives the same", "revocation.md: binding ends what this UserBinding gives"},
		given:  revoke("binding: sales-reps"),
		fair:   commits("kind: UserBinding\nmetadata: {name: one-more}\nspec: {subjects: [{user: li-ting}], roles: [sales-rep]}"), asks: liTingReads,
	},
	{
		attack: attack{"the revoked person lifts the revocation", "another person does", "revocation.md: ends by an approved lift; not by those whom it strikes"},
		given:  revoke("user: li-ting"), foul: lifted(login("li-ting")), fair: lifted(login("chen-mo")), asks: liTingReads,
	},
	{
		attack: attack{"the revoked person lifts it under a second identity", "another person does", "revocation.md: ends by an approved lift; not by those whom it strikes"},
		given:  all(revoke("user: li-ting"), func(o *organisation) { o.alias("li-ting", "lt@partner.example") }),
		foul:   lifted("lt@partner.example"), fair: lifted(login("chen-mo")), asks: liTingReads,
	},
	{
		attack: attack{"a subject of the revoked binding lifts it", "somebody who is none does", "revocation.md: ends by an approved lift; not by those whom it strikes"},
		given:  revoke("binding: sales-reps"), foul: lifted(login("li-ting"), login("wang-lei")), fair: lifted(login("zhou-lan")), asks: liTingReads,
	},
	{
		attack: attack{"a holder of an heir of the revoked role lifts it", "somebody who holds none does", "revocation.md: ends by an approved lift; not by those whom it strikes"},
		given:  revoke("role: sales-rep"), foul: lifted(login("gao-yuan"), login("chen-mo")), fair: lifted(login("zhou-lan")), asks: liTingReads,
	},
	{
		attack: attack{"two revoked people lift each other", "a third lifts one of them", "design §6: an approved lift; the lifts of those who are revoked wait"},
		given:  commits("kind: Revocation\nmetadata: {name: stop}\nspec: {user: li-ting, reason: stolen}\n---\nkind: Revocation\nmetadata: {name: stop-too}\nspec: {user: chen-mo, reason: stolen}"),
		foul:   func(o *organisation) { o.lift("stop", login("chen-mo")); o.lift("stop-too", login("li-ting")) },
		fair:   lifted(login("zhou-lan")), asks: liTingReads,
	},
	{
		attack: attack{"the lift of an older revocation is replayed for a new one of its name", "the new one is lifted", "effect.md: a lift has the uid of the revocation"},
		given:  all(revoke("user: li-ting"), ofUID("first"), lifted(login("gao-yuan")), ofUID("second")),
		fair:   lifted(login("gao-yuan")), asks: liTingReads,
	},
	{
		attack: attack{"a revocation is made anew for somebody else under its name", "the former is lifted as well", "revocation.md: deleting a Revocation ends nothing"},
		given: func(o *organisation) {
			// What the operator keeps of the former one.
			o.Revocations = append(o.Revocations,
				&access.Revocation{Name: "stop" + access.FormerSeparator + "first", UID: "first", Target: access.Ref{Kind: access.KindUser, Name: "li-ting"}, Reason: "stolen"},
				&access.Revocation{Name: "stop", UID: "second", Target: access.Ref{Kind: access.KindUser, Name: "wang-lei"}, Reason: "stolen"})
		},
		foul: lifted(login("gao-yuan")),
		fair: func(o *organisation) {
			document := o.Revocations[len(o.Revocations)-2].LiftDocument()
			o.Approvals = append(o.Approvals, &access.Approval{
				Name: "of-the-former", For: access.Ref{Kind: access.KindRevocation, Name: "stop"},
				Effect: access.EffectDigest(document), Document: document, Approver: login("gao-yuan"),
			})
		},
		asks: liTingReads,
	},
	{
		attack: attack{"the lift is approved, and a no of somebody who may stands against it", "nobody says no", "approval.md: decision is Approve or Deny"},
		given:  all(revoke("user: li-ting"), lifted(login("gao-yuan"))),
		foul: func(o *organisation) {
			no := *o.Approvals[len(o.Approvals)-1]
			no.Name, no.Approver, no.Denied = "no", login("zhou-lan"), true
			o.Approvals = append(o.Approvals, &no)
		},
		asks: liTingReads,
	},
}

// ofUID gives the revocation another object's uid.
func ofUID(uid string) func(*organisation) {
	return func(o *organisation) {
		r := *o.Revocations[len(o.Revocations)-1]
		r.UID = uid
		o.Revocations = put(o.Revocations, []*access.Revocation{&r}, func(x *access.Revocation) string { return x.Name })
	}
}
