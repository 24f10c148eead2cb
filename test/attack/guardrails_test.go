package attack

import (
	"math"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// export is zheng-ke's export of customers, which gu-yan has approved.
func export(rows, used int64, change func(*access.Context)) question {
	q := question{user: "zheng-ke", action: "export", record: "customer/cust-huaxin", context: access.Context{
		Channel: "web", Device: "managed", Rows: &rows, Used: &used, Reason: "campaign", ApprovedBy: []string{"gu-yan"},
	}}
	if change != nil {
		change(&q.context)
	}
	return q
}

func exporting(rows, used int64) *question {
	q := export(rows, used, nil)
	return &q
}

// transfer gives a customer away, to a department, as the people approved.
func transfer(user, record, department string, people ...string) question {
	return question{user: user, action: "transfer", record: record, context: access.Context{Channel: "web", TargetDepartment: department, Reason: "move", ApprovedBy: people}}
}

func transferring(user, record, department string, people ...string) *question {
	q := transfer(user, record, department, people...)
	return &q
}

func unmask(context access.Context) question {
	return question{user: "feng-ke", action: "unmask", record: "payment/pay-5503", context: context}
}

func unmasking(context access.Context) *question {
	q := unmask(context)
	return &q
}

var guardrailsAtADecision = []scenario{
	{
		attack: attack{"the rows of a request are negative", "they are five", "design §4.3: context that a rule needs and the caller left out denies"},
		asks:   export(-5, 0, nil), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"the rows are as many as overflow what was used", "they fill the limit to the brim", "design §4: deny when used + rows exceeds the limit"},
		asks:   export(500, math.MaxInt64-100, nil), fairAsks: exporting(500, 500),
	},
	{
		attack: attack{"what was used is negative, to make room", "nothing was used", "design §4: guardrail arithmetic"},
		asks:   export(500, -1000, nil), fairAsks: exporting(500, 0),
	},
	{
		attack: attack{"one row more than a request may have", "as many as it may have", "guardrail.md: limit, maxRowsPerRequest"},
		asks:   export(501, 0, nil), fairAsks: exporting(500, 0),
	},
	{
		attack: attack{"the request does not say how many rows", "it does", "guardrail.md: a request that does not say the number is denied"},
		asks:   export(5, 0, func(c *access.Context) { c.Rows = nil }), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"the request does not say what was used", "it does", "guardrail.md: a request that does not say the number is denied"},
		asks:   export(5, 0, func(c *access.Context) { c.Used = nil }), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"two grants that each allow an export exceed the limit together", "together they keep within it", "guardrail.md: for one user, summed over the rule"},
		given: commits(`
kind: TemporaryGrant
metadata: {name: more}
spec: {users: [zheng-ke], grants: [{object: customer, actions: [export], records: {owners: [zheng-ke]}}], notBefore: "2026-11-01T00:00:00+08:00", notAfter: "2026-11-30T00:00:00+08:00", reason: more}
`),
		asks: export(400, 700, nil), fairAsks: exporting(300, 700),
	},
	{
		attack: attack{"a second guardrail with a wider limit is added beside the first", "the request keeps within the first", "guardrail.md: where several limit the same, the strictest number wins"},
		given:  commits("kind: Guardrail\nmetadata: {name: a-wider-one}\nspec: {rules: [{limit: {objects: ['*'], actions: ['*'], maxRowsPerRequest: 1000000, maxRowsPerDay: 1000000}}]}"),
		asks:   export(501, 0, nil), fairAsks: exporting(500, 0),
	},
	{
		attack: attack{"the channel is one that nobody knows", "it is one that is known", "guardrail.md: what when asks and the request does not say counts as so"},
		asks:   export(5, 0, func(c *access.Context) { c.Channel = "m0bile" }), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"the denied channel is spelt otherwise", "another channel is named", "guardrail.md: they are names in lower case"},
		asks:   export(5, 0, func(c *access.Context) { c.Channel = "Mobile" }), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"the channel is not said", "it is said", "guardrail.md: what when asks and the request does not say counts as so"},
		asks:   export(5, 0, func(c *access.Context) { c.Channel = "" }), fairAsks: exporting(5, 0),
	},
	{
		attack: attack{"an unmask gives no reason", "it gives one", "sample-org §8: one record a request, with a reason"},
		asks:   unmask(access.Context{Channel: "web", Rows: number(1)}), fairAsks: unmasking(access.Context{Channel: "web", Rows: number(1), Reason: "refund"}),
	},
	{
		attack: attack{"an unmask is of two records at once", "it is of one", "sample-org §8: one record a request, with a reason"},
		asks:   unmask(access.Context{Channel: "web", Rows: number(2), Reason: "refund"}), fairAsks: unmasking(access.Context{Channel: "web", Rows: number(1), Reason: "refund"}),
	},
	{
		attack: attack{"the approver of a request is the one who makes it", "it is another", "guardrail.md: the subject never may"},
		asks:   transfer("lin-che", "customer/cust-huaxin", "sales-north", "lin-che"), fairAsks: transferring("lin-che", "customer/cust-huaxin", "sales-north", "ma-xiao"),
	},
	{
		attack: attack{"one person approves for two rules at once", "two people do", "guardrail.md: each rule that matches needs an approver of its own"},
		asks:   transfer("li-ting", "customer/cust-huaxin", "sales-east-2", "lin-che", "lin-che"), fairAsks: transferring("li-ting", "customer/cust-huaxin", "sales-east-2", "chen-mo", "lin-che"),
	},
	{
		attack: attack{"a manager who left approves a transfer", "the next one up the line does", "guardrail.md: managerOfSubject: where that one is not active, the next one up"},
		given: func(o *organisation) {
			o.user("chen-mo", func(u *access.User) { u.State = access.StateDeparted })
		},
		asks: transfer("li-ting", "customer/cust-huaxin", "sales-east-1", "chen-mo"), fairAsks: transferring("li-ting", "customer/cust-huaxin", "sales-east-1", "lin-che"),
	},
	{
		attack: attack{"a manager line whose members have all left ends at an outsider", "it ends at somebody who is there", "guardrail.md: managerOfSubject: where that one is not active, the next one up"},
		given: func(o *organisation) {
			for _, name := range []string{"chen-mo", "lin-che"} {
				o.user(name, func(u *access.User) { u.State = access.StateDeparted })
			}
		},
		asks: transfer("li-ting", "customer/cust-huaxin", "sales-east-1", "ma-xiao"), fairAsks: transferring("li-ting", "customer/cust-huaxin", "sales-east-1", "gao-yuan"),
	},
	{
		attack: attack{"a transfer does not say where to, so that it looks like staying", "it says so, and stays", "guardrail.md: what when asks and the request does not say counts as so"},
		asks:   transfer("lin-che", "customer/cust-huaxin", ""), fairAsks: transferring("lin-che", "customer/cust-huaxin", "sales-east-1"),
	},
	{
		attack: attack{"a role gives a secret field at edit", "it gives another one", "guardrail.md: nobody has a wider level than a cap"},
		given: commits(`
kind: Role
metadata: {name: finance-specialist}
spec:
  grants: [{object: payment, actions: [read, update], scopes: [all], fields: [{field: bankAccount, level: edit}, {field: amount, level: edit}]}]
`),
		asks:     question{user: "qian-sui", action: "update", record: "payment/pay-5503", fields: []string{"bankAccount"}},
		fairAsks: &question{user: "qian-sui", action: "update", record: "payment/pay-5503", fields: []string{"amount"}},
	},
	{
		attack: attack{"who created a payment approves it", "somebody else created it", "guardrail.md: separate"},
		asks:   question{user: "feng-ke", action: "approve", record: "payment/x", proposed: &access.Record{ID: "x", Owner: "feng-ke", Department: "finance", Creator: "feng-ke", Parent: &access.Record{ID: "c", Owner: "li-ting", Department: "sales-east-1"}}}, fairAsks: &question{user: "feng-ke", action: "approve", record: "payment/pay-5503"},
	},
	{
		attack: attack{"who created a payment is not said", "it is, and was somebody else", "guardrail.md: the record's creator must be known"},
		asks:   question{user: "feng-ke", action: "approve", record: "payment/x", proposed: &access.Record{ID: "x", Owner: "feng-ke", Department: "finance", Parent: &access.Record{ID: "c", Owner: "li-ting", Department: "sales-east-1"}}}, fairAsks: &question{user: "feng-ke", action: "approve", record: "payment/pay-5503"},
	},
	{
		attack: attack{"an object, or an action of one, that nobody declares is asked for", "one that is declared", "design §4.2: an unknown name is a deny, never an allow"},
		given: commits(`
kind: Role
metadata: {name: anything}
spec: {grants: [{object: customer, actions: [read, destroy], scopes: [all]}]}
---
kind: UserBinding
metadata: {name: anything}
spec: {subjects: [{user: fang-zheng}], roles: [anything]}
`),
		asks: question{user: "fang-zheng", action: "destroy", record: "customer/cust-huaxin"}, fairAsks: &question{user: "fang-zheng", action: "read", record: "customer/cust-huaxin"},
	},
}
