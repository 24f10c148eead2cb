package attack

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

func approvedCover() func(*organisation) {
	return all(commits(cover), coverApprovedBy(login("gao-yuan")))
}

func approvedAdmin() func(*organisation) {
	return all(commits(admin), adminApprovedBy(login("gao-yuan"), login("zhou-lan")))
}

// again approves what the cover has come to.
func again(change func(*organisation)) func(*organisation) {
	return all(change, coverApprovedBy(login("gao-yuan")))
}

// changedCover edits the grant.
func changedCover(change func(*access.TemporaryGrant)) func(*organisation) {
	return func(o *organisation) {
		for _, g := range o.TemporaryGrants {
			if g.Name == "cover" {
				changed := *g
				changed.Grants, changed.Users = slices.Clone(g.Grants), slices.Clone(g.Users)
				change(&changed)
				o.TemporaryGrants = put(o.TemporaryGrants, []*access.TemporaryGrant{&changed}, func(x *access.TemporaryGrant) string { return x.Name })
				return
			}
		}
	}
}

var (
	alsoAssign  = changedCover(func(g *access.TemporaryGrant) { g.Grants[0].Actions = []string{"read", "assign"} })
	alsoWuFan   = changedCover(func(g *access.TemporaryGrant) { g.Users = append(g.Users, "wu-fan") })
	aDayLonger  = changedCover(func(g *access.TemporaryGrant) { g.Window.NotAfter += 86400 })
	aWeekBefore = changedCover(func(g *access.TemporaryGrant) { g.Window.NotBefore -= 7 * 86400; g.Window.NotAfter -= 14 * 86400 })
	wuFanReads  = question{user: "wu-fan", action: "read", record: "customer/cust-beichen"}
	inDecember  = "2026-12-03T12:00:00+08:00"
	inOctober   = "2026-10-28T12:00:00+08:00"
)

var widerRole = commits(`
kind: Role
metadata: {name: crm-admin}
spec:
  displayName: 系统管理员
  privileged: true
  grants: [{object: customer, actions: [read, update], scopes: [all]}]
`)

var alsoPermissionAdmin = commits(`
kind: Role
metadata: {name: crm-admin}
spec:
  displayName: 系统管理员
  privileged: true
  inherits: [{role: permission-admin}]
  grants: [{object: customer, actions: [read], scopes: [all]}]
`)

var renamedDepartment = func(o *organisation) {
	o.Departments = slices.DeleteFunc(slices.Clone(o.Departments), func(d *access.Department) bool { return d.Name == "sales-north" })
	o.commit("kind: Department\nmetadata: {name: sales-nord}\nspec: {displayName: Nord, parent: sales}")
	changedCover(func(g *access.TemporaryGrant) {
		g.Grants[0].Records = access.Records{Departments: []string{"sales-nord"}}
	})(o)
}

var whatWasApproved = []scenario{
	{
		attack: attack{"the approval of a narrower effect is used for a wider one: one action more", "the wider one is approved", "approval.md: the present effect is a subset of an approved one"},
		given:  approvedCover(), foul: alsoAssign, fair: again(alsoAssign),
		asks: question{user: "sun-jie", action: "assign", record: "customer/cust-beichen"},
	},
	{
		attack: attack{"a condition is dropped after approval", "what meets the condition stays", "approval.md: narrowing needs nobody, whatever gives more waits"},
		given: all(commits(cover), changedCover(func(g *access.TemporaryGrant) {
			g.Grants[0].Where = []access.Condition{{Field: "region", Operator: access.OperatorIn, Values: []string{"south"}}}
		}), coverApprovedBy(login("gao-yuan")), changedCover(func(g *access.TemporaryGrant) { g.Grants[0].Where = nil })),
		asks:     sunJieReads,
		fairAsks: &question{user: "sun-jie", action: "read", record: "customer/x", proposed: &access.Record{ID: "x", Owner: "he-miao", Department: "sales-north", Attributes: map[string][]string{"region": {"south"}}}},
	},
	{
		attack: attack{"a field is raised from masked to read after approval", "it is approved again", "design §9: the same declared tuples or fewer"},
		given:  approvedCover(), foul: clearText, fair: again(clearText),
		asks: question{user: "sun-jie", action: "read", record: "customer/cust-beichen", field: "phone", level: access.LevelRead},
	},
	{
		attack: attack{"an external gets one field more after approval", "the fields that were approved stay", "approval.md: the same grants or fewer"},
		foul: func(o *organisation) {
			o.commit(`
kind: TemporaryGrant
metadata: {name: q4-campaign}
spec:
  users: [bai-he]
  grants: [{object: customer, actions: [read], records: {ids: [cust-huaxin, cust-beichen]}, onlyFields: [name, industry, region, level, phone]}]
  notBefore: "2026-11-15T00:00:00+08:00"
  notAfter: "2026-12-16T00:00:00+08:00"
  reason: campaign workspace with the agency 蓝天; ends with the project
  requestedBy: zhou-lan
`)
		},
		asks:     question{user: "bai-he", action: "read", record: "customer/cust-huaxin", field: "phone", level: access.LevelMasked},
		fairAsks: &question{user: "bai-he", action: "read", record: "customer/cust-huaxin", field: "name", level: access.LevelRead},
	},
	{
		attack: attack{"an old approval is replayed for the grant's new window", "it holds in the window that was approved", "design §9: the window inside"},
		given:  approvedCover(), foul: aWeekBefore,
		asks: question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: inOctober}, fairAsks: &sunJieReads,
	},
	{
		attack: attack{"the window is widened after approval", "until the approved end it holds", "approval.md: in a window inside the approved one"},
		given:  all(approvedCover(), aDayLonger),
		asks:   question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: "2026-12-01T12:00:00+08:00"}, fairAsks: &sunJieReads,
	},
	{
		attack: attack{"an approval is given another document than the one whose digest it names", "it has its own document", "approval.md: an approval to which another document is attached is Invalid"},
		given:  approvedCover(),
		foul: all(alsoAssign, func(o *organisation) {
			for _, a := range access.Resolve(o.Declarations).Admissions[access.Ref{Kind: grant, Name: "cover"}] {
				forged := *o.Approvals[len(o.Approvals)-1]
				forged.Document = a.Document
				o.Approvals[len(o.Approvals)-1] = &forged
			}
		}),
		fair: again(alsoAssign),
		asks: question{user: "sun-jie", action: "assign", record: "customer/cust-beichen"},
	},
	{
		attack: attack{"the approval for one user is used by another user of the same grant", "the other user is approved, too", "approval.md: the effect says what one person gets"},
		given:  all(commits(cover), alsoWuFan, coverApprovedBy(login("gao-yuan"))), asks: wuFanReads,
		fair: func(o *organisation) { o.approve(grant, "cover", "wu-fan", login("gao-yuan")) },
	},
	{
		attack: attack{"a user is added after approval", "the user who was there keeps what was approved", "approval.md: whatever gives more waits for a new approval"},
		given:  all(approvedCover(), alsoWuFan), asks: wuFanReads, fairAsks: &sunJieReads,
	},
	{
		attack: attack{"a role is widened after its holders were approved", "two people approve the wider one", "design §9: the tuples as declared after inheritance"},
		given:  approvedAdmin(), foul: widerRole, fair: all(widerRole, adminApprovedBy(login("gao-yuan"), login("zhou-lan"))),
		asks: question{user: "fang-zheng", action: "update", record: "customer/cust-beichen"},
	},
	{
		attack: attack{"a parent is put under a role after its holders were approved", "what was approved stays", "design §9: the tuples as declared after inheritance"},
		given: all(approvedAdmin(), commits(`
kind: Role
metadata: {name: crm-admin}
spec:
  displayName: 系统管理员
  privileged: true
  inherits: [{role: finance-manager}]
  grants: [{object: customer, actions: [read], scopes: [all]}]
`)),
		asks: question{user: "fang-zheng", action: "read", record: "payment/pay-5503"}, fairAsks: &fangZhengReads,
	},
	{
		attack: attack{"a role without grants, whose holders approve, is put under an approved role", "two people approve it again", "design §9: a role is more than its tuples"},
		given:  all(approvedAdmin(), alsoPermissionAdmin), fair: adminApprovedBy(login("gao-yuan"), login("zhou-lan")),
		asks: export(5, 0, func(c *access.Context) { c.ApprovedBy = []string{"fang-zheng"} }),
	},
	{
		attack: attack{"a department is renamed, and the approved grant with it", "the grant is approved under the new name", "design §9: the digest names the declared tuples"},
		given:  approvedCover(), foul: renamedDepartment, fair: again(renamedDepartment),
		asks: question{user: "sun-jie", action: "read", record: "customer/x", proposed: &access.Record{ID: "x", Owner: "he-miao", Department: "sales-nord"}},
	},
	{
		attack: attack{"a grant is deleted and made anew under its name, with more in it", "it is made anew as it was", "approval.md: creating the object anew needs nobody, whatever gives more waits"},
		given:  approvedCover(),
		foul:   all(withoutCover, commits(coverOfLinChe), changedCover(func(g *access.TemporaryGrant) { g.Users = []string{"sun-jie", "wu-fan"} })),
		fair:   all(withoutCover, commits(cover)),
		asks:   wuFanReads, fairAsks: &sunJieReads,
	},
	{
		attack: attack{"a copy of an approved grant under another name outlasts it", "the copy is approved itself", "approval.md: for names the object"},
		given: all(approvedCover(), func(o *organisation) {
			g := *o.TemporaryGrants[len(o.TemporaryGrants)-1]
			g.Name = "cover-2"
			o.TemporaryGrants = append(slices.Clone(o.TemporaryGrants), &g)
			o.commit("kind: Revocation\nmetadata: {name: enough}\nspec: {grant: cover, reason: misused}")
		}),
		fair: func(o *organisation) { o.approve(grant, "cover-2", "sun-jie", login("gao-yuan")) }, asks: sunJieReads,
	},
	{
		attack: attack{"the answer for a grant is filed for a binding of that name", "it is filed for what it answers", "approval.md: for has a kind and a name"},
		given:  all(approvedCover(), func(o *organisation) { o.Approvals[len(o.Approvals)-1] = elsewhere(o, binding) }),
		fair:   func(o *organisation) { o.Approvals[len(o.Approvals)-1] = elsewhere(o, grant) }, asks: sunJieReads,
	},
	{
		attack: attack{"a grant is split in two, back to back, to pass the 31 days", "the second half is approved itself", "guardrail.md: maxDuration; each grant needs an admission of its own"},
		given: all(approvedCover(), commits(`
kind: TemporaryGrant
metadata: {name: cover-on}
spec:
  users: [sun-jie]
  grants: [{object: customer, actions: [read], records: {departments: [sales-north]}}]
  notBefore: "2026-12-01T00:00:00+08:00"
  notAfter: "2026-12-31T00:00:00+08:00"
  reason: cover
  requestedBy: ma-xiao
`)),
		fair: func(o *organisation) { o.approve(grant, "cover-on", "sun-jie", login("gao-yuan")) },
		asks: question{user: "sun-jie", action: "read", record: "customer/cust-beichen", at: inDecember},
	},
	{
		attack: attack{"a grant lasts one second more than 31 days, approved or not", "it lasts 31 days", "guardrail.md: what is longer than maxDuration confers nothing"},
		given:  commits(cover),
		foul: all(coverApprovedBy(login("gao-yuan")), changedCover(func(g *access.TemporaryGrant) {
			g.Window.NotAfter = g.Window.NotBefore + 31*86400 + 1
		})),
		fair: all(changedCover(func(g *access.TemporaryGrant) { g.Window.NotAfter = g.Window.NotBefore + 31*86400 }), coverApprovedBy(login("gao-yuan"))),
		asks: sunJieReads,
	},
}

var clearText = changedCover(func(g *access.TemporaryGrant) {
	g.Grants[0].Fields = []access.FieldRule{{Field: "phone", Level: access.LevelRead}}
})

func withoutCover(o *organisation) {
	o.TemporaryGrants = slices.DeleteFunc(slices.Clone(o.TemporaryGrants), func(g *access.TemporaryGrant) bool { return g.Name == "cover" })
}

// elsewhere is the last approval, for an object of the kind.
func elsewhere(o *organisation, kind access.Kind) *access.Approval {
	a := *o.Approvals[len(o.Approvals)-1]
	a.For.Kind = kind
	return &a
}
