package access_test

import (
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// ruled adds a guardrail with the rules.
func ruled(rules ...GuardrailRule) func(*Declarations) {
	return func(d *Declarations) {
		d.Guardrails = append(d.Guardrails, &Guardrail{Name: "rail", Rules: rules})
	}
}

func on(object string, actions ...string) Target {
	return Target{Objects: []string{object}, Actions: actions}
}

func number(n int64) *int64 { return &n }

// TestGuardrails has for each rule a request that it stops and, a step away, one that it lets through.
func TestGuardrails(t *testing.T) {
	everything := holding("ann", with(customers(ScopeOwn|ScopeDepartment, "create", "read", "update", "export", "transfer", "unmask"), level(ClassConfidential, LevelEdit), level(ClassSecret, LevelEdit)))
	noMobile := ruled(GuardrailRule{Deny: &DenyRule{Target: on("customer", "export"), When: DenyWhen{Channels: []string{"mobile"}}}})
	noUnmanaged := ruled(GuardrailRule{Deny: &DenyRule{Target: on("customer", "export"), When: DenyWhen{Devices: []string{"unmanaged"}}}})
	frozen := ruled(GuardrailRule{Deny: &DenyRule{Target: on(Any, Any), When: DenyWhen{Windows: []Span{{Window: schedule.Window{NotBefore: 100, NotAfter: 200}}}}}})
	reasoned := ruled(GuardrailRule{Deny: &DenyRule{Target: on(Any, "unmask"), When: DenyWhen{ReasonMissing: true}}})
	request := ruled(GuardrailRule{Limit: &LimitRule{Target: on("customer", "export"), MaxRowsPerRequest: number(500)}})
	day := ruled(GuardrailRule{Limit: &LimitRule{Target: on("customer", "export"), MaxRowsPerDay: number(1000)}})
	ownership := ruled(GuardrailRule{Limit: &LimitRule{Target: on("customer", "create"), MaxRecordsOwned: number(3)}})
	duties := ruled(GuardrailRule{Separate: &SeparateRule{Duties: []Duty{{"customer", "create"}, {"customer", "transfer"}}}})
	capped := ruled(GuardrailRule{Cap: &CapRule{Objects: []string{Any}, Classes: []string{"secret"}, Level: "masked"}})
	byManager := ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), When: ApproveWhen{ScopeAtMost: "own"}, By: []Approver{{ManagerOfSubject: true}}}})
	away := ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), When: ApproveWhen{OtherDepartment: true}, By: []Approver{{User: "boss"}}}})
	many := ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "export"), When: ApproveWhen{RowsOver: number(10)}, By: []Approver{{Role: "role-of-boss"}}}})
	bossHolds := holding("boss", customers(ScopeAll, "read"))
	bobHolds := holding("bob", customers(ScopeAll, "read"))
	heir := func(d *Declarations) {
		d.Roles = append(d.Roles, &Role{Name: "heir", Inherits: []Inheritance{{Role: "role-of-boss"}}})
		d.UserBindings = append(d.UserBindings, &UserBinding{Name: "heir", Subjects: []Subject{{User: "bob"}}, Roles: []string{"heir"}})
	}
	onlyOwn := holding("ann", customers(ScopeOwn, "transfer"))
	byAnns := &Record{ID: "c1", Owner: "ann", Department: "east-1", Creator: "ann"}
	byBob := &Record{ID: "c1", Owner: "ann", Department: "east-1", Creator: "bob"}

	for name, c := range map[string]struct {
		given   []func(*Declarations)
		at      schedule.Instant
		action  string
		record  *Record
		context Context
		fields  []string
		want    Effect
		level   Level
		because string
	}{
		"a channel that is denied":                     {given: []func(*Declarations){everything, noMobile}, action: "export", context: Context{Channel: "mobile"}, want: Deny, because: "guardrail rail (channel mobile)"},
		"another channel passes":                       {given: []func(*Declarations){everything, noMobile}, action: "export", context: Context{Channel: "web"}, want: Allow},
		"a channel left out counts as the denied one":  {given: []func(*Declarations){everything, noMobile}, action: "export", want: Deny, because: "channel not said"},
		"a misspelt channel counts as the denied one":  {given: []func(*Declarations){everything, noMobile}, action: "export", context: Context{Channel: "Mobile"}, want: Deny, because: `channel "Mobile" is not known`},
		"a rule about one action leaves another alone": {given: []func(*Declarations){everything, noMobile}, action: "read", context: Context{Channel: "mobile"}, want: Allow},
		"a device that is denied":                      {given: []func(*Declarations){everything, noUnmanaged}, action: "export", context: Context{Device: "unmanaged"}, want: Deny, because: "device unmanaged"},
		"a device left out counts as the denied one":   {given: []func(*Declarations){everything, noUnmanaged}, action: "export", want: Deny, because: "device not said"},
		"another device passes":                        {given: []func(*Declarations){everything, noUnmanaged}, action: "export", context: Context{Device: "managed"}, want: Allow},

		"a temporary grant does not pass a guardrail": {given: []func(*Declarations){lending(customers(ScopeAll, "export"), "ann"), noMobile}, at: 150, action: "export", context: Context{Channel: "mobile"}, want: Deny, because: "guardrail rail (channel mobile)"},
		"but passes where others do":                  {given: []func(*Declarations){lending(customers(ScopeAll, "export"), "ann"), noMobile}, at: 150, action: "export", context: Context{Channel: "web"}, want: Allow},

		"inside a window everything is denied": {given: []func(*Declarations){everything, frozen}, at: 100, action: "read", want: Deny, because: "guardrail rail (from 1970-01-01T00:01:40Z"},
		"at its end no more":                   {given: []func(*Declarations){everything, frozen}, at: 200, action: "read", want: Allow},
		"unmask without a reason":              {given: []func(*Declarations){everything, reasoned}, action: "unmask", record: byBob, want: Deny, because: "no reason given"},
		"unmask with a reason":                 {given: []func(*Declarations){everything, reasoned}, action: "unmask", record: byBob, context: Context{Reason: "call back"}, want: Allow},

		"more rows than a request may have":     {given: []func(*Declarations){everything, request}, action: "export", context: Context{Rows: number(501)}, want: Deny, because: "guardrail rail (501 > 500 rows)"},
		"as many rows as a request may have":    {given: []func(*Declarations){everything, request}, action: "export", context: Context{Rows: number(500)}, want: Allow},
		"rows left out":                         {given: []func(*Declarations){everything, request}, action: "export", want: Deny, because: "rows not said"},
		"fewer than no rows":                    {given: []func(*Declarations){everything, request}, action: "export", context: Context{Rows: number(-5)}, want: Deny, because: "rows not said"},
		"the strictest of several numbers wins": {given: []func(*Declarations){everything, request, ruled(GuardrailRule{Limit: &LimitRule{Target: on(Any, "export"), MaxRowsPerRequest: number(100)}})}, action: "export", context: Context{Rows: number(101)}, want: Deny, because: "101 > 100 rows"},
		"rows left out of a day's limit":        {given: []func(*Declarations){everything, day}, action: "export", context: Context{Used: number(1)}, want: Deny, because: "rows not said"},
		"more than a day allows":                {given: []func(*Declarations){everything, day}, action: "export", context: Context{Rows: number(1), Used: number(1000)}, want: Deny, because: "1000 used + 1 > 1000 rows in 24 hours"},
		"just what a day allows":                {given: []func(*Declarations){everything, day}, action: "export", context: Context{Rows: number(400), Used: number(600)}, want: Allow},
		"used left out":                         {given: []func(*Declarations){everything, day}, action: "export", context: Context{Rows: number(1)}, want: Deny, because: "used not said"},
		"numbers too large to add up":           {given: []func(*Declarations){everything, day}, action: "export", context: Context{Rows: number(1 << 62), Used: number(1<<63 - 1)}, want: Deny},
		"as many records owned as allowed":      {given: []func(*Declarations){everything, ownership}, action: "create", record: byBob, context: Context{Owned: number(3)}, want: Deny, because: "owns 3 of at most 3"},
		"records owned left out":                {given: []func(*Declarations){everything, ownership}, action: "create", record: byBob, want: Deny, because: "owned"},
		"one record fewer":                      {given: []func(*Declarations){everything, ownership}, action: "create", record: byBob, context: Context{Owned: number(2)}, want: Allow},

		"the creator may not do the other duty":         {given: []func(*Declarations){everything, duties}, action: "transfer", record: byAnns, want: Deny, because: "guardrail rail (ann created the customer)"},
		"somebody else's may":                           {given: []func(*Declarations){everything, duties}, action: "transfer", record: byBob, want: Allow},
		"an unknown creator may be anybody":             {given: []func(*Declarations){everything, duties}, action: "transfer", record: annsInEast1, want: Deny, because: "who created the customer is not known"},
		"a cap is a minimum":                            {given: []func(*Declarations){everything, capped}, action: "read", record: byBob, fields: []string{"pin"}, want: Allow, level: LevelMasked, because: "guardrail rail allows no more"},
		"a cap leaves other classes alone":              {given: []func(*Declarations){everything, capped}, action: "read", record: byBob, fields: []string{"phone"}, want: Allow, level: LevelEdit},
		"a cap of one field is about that field":        {given: []func(*Declarations){everything, ruled(GuardrailRule{Cap: &CapRule{Objects: []string{"customer"}, Fields: []string{"phone"}, Level: "masked"}})}, action: "read", record: byBob, fields: []string{"phone"}, want: Allow, level: LevelMasked},
		"and about no other":                            {given: []func(*Declarations){everything, ruled(GuardrailRule{Cap: &CapRule{Objects: []string{"customer"}, Fields: []string{"phone"}, Level: "masked"}})}, action: "read", record: byBob, fields: []string{"name"}, want: Allow, level: LevelEdit},
		"a capped field cannot be updated":              {given: []func(*Declarations){everything, capped}, action: "update", record: byBob, fields: []string{"pin"}, want: Deny, because: "field pin is masked, not edit: guardrail rail"},
		"unmask, where allowed, shows what a cap masks": {given: []func(*Declarations){everything, capped}, action: "unmask", record: byBob, fields: []string{"pin"}, want: Allow, level: LevelRead},

		"by own alone a manager must agree":             {given: []func(*Declarations){onlyOwn, byManager}, action: "transfer", record: byBob, want: NeedsApproval, because: "needs boss, manager of ann (role-of-ann:transfer=own)"},
		"by a wider scope nobody need":                  {given: []func(*Declarations){everything, byManager}, action: "transfer", record: byBob, want: Allow},
		"a grant of records counts as wider":            {given: []func(*Declarations){onlyOwn, byManager, lending(Grant{Object: "customer", Actions: []string{"transfer"}, Records: Records{IDs: []string{"c1"}}}, "ann")}, at: 150, action: "transfer", record: byBob, want: Allow},
		"the manager has agreed":                        {given: []func(*Declarations){onlyOwn, byManager}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"boss"}}, want: Allow},
		"somebody else has agreed":                      {given: []func(*Declarations){onlyOwn, byManager}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"bob"}}, want: NeedsApproval},
		"nobody agrees with themselves":                 {given: []func(*Declarations){onlyOwn, ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), By: []Approver{{User: "ann"}}}})}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"ann"}}, want: NeedsApproval},
		"a manager who has left does not count":         {given: []func(*Declarations){onlyOwn, byManager, departed("boss")}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"boss"}}, want: NeedsApproval, because: "who has none"},
		"approval does not stand in for a grant":        {given: []func(*Declarations){byManager}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"boss"}}, want: Deny},
		"to the same department nobody need":            {given: []func(*Declarations){everything, away}, action: "transfer", record: byBob, context: Context{TargetDepartment: "east-1"}, want: Allow},
		"to another department somebody must":           {given: []func(*Declarations){everything, away}, action: "transfer", record: byBob, context: Context{TargetDepartment: "north"}, want: NeedsApproval},
		"to a user of another department somebody must": {given: []func(*Declarations){everything, away}, action: "transfer", record: byBob, context: Context{TargetDepartment: "east-1", TargetUser: "bob"}, want: NeedsApproval},
		"to nobody knows where somebody must":           {given: []func(*Declarations){everything, away}, action: "transfer", record: byBob, want: NeedsApproval},
		"few rows need nobody":                          {given: []func(*Declarations){everything, many}, action: "export", context: Context{Rows: number(10)}, want: Allow},
		"many rows need a holder of the role":           {given: []func(*Declarations){everything, bossHolds, many}, action: "export", context: Context{Rows: number(11), ApprovedBy: []string{"boss"}}, want: Allow},
		"an heir of the role counts as a holder":        {given: []func(*Declarations){everything, bossHolds, heir, many}, action: "export", context: Context{Rows: number(11), ApprovedBy: []string{"bob"}}, want: Allow},
		"nor an heir by way of a revoked role": {given: []func(*Declarations){everything, bossHolds, heir, many, func(d *Declarations) {
			d.Roles[len(d.Roles)-1].Inherits = []Inheritance{{Role: "middle"}}
			d.Roles = append(d.Roles, &Role{Name: "middle", Inherits: []Inheritance{{Role: "role-of-boss"}}})
		}, revoke(Ref{KindRole, "middle"})}, action: "export", context: Context{Rows: number(11), ApprovedBy: []string{"bob"}}, want: NeedsApproval},
		"a holder of another role does not":           {given: []func(*Declarations){everything, bossHolds, bobHolds, many}, action: "export", context: Context{Rows: number(11), ApprovedBy: []string{"bob"}}, want: NeedsApproval},
		"who holds a role without grants may approve": {given: []func(*Declarations){everything, holding("boss"), many}, action: "export", context: Context{Rows: number(11), ApprovedBy: []string{"boss"}}, want: Allow},
		"each rule needs an approver of its own":      {given: []func(*Declarations){onlyOwn, byManager, away}, action: "transfer", record: byBob, context: Context{ApprovedBy: []string{"boss", "boss"}}, want: NeedsApproval},
	} {
		t.Run(name, func(t *testing.T) {
			d := office()
			for _, given := range c.given {
				given(&d)
			}
			policy := NewPolicy(Resolve(d).Facts)
			request := &Request{User: "ann", Action: c.action, Object: "customer", Record: c.record, Fields: c.fields, Context: c.context}
			e := policy.Explain(c.at, request)
			if e.Effect != c.want || (len(c.fields) > 0 && e.Effect == Allow && e.Levels[0] != c.level) {
				t.Errorf("got %s %v, want %s %s: %+v", e.Effect, e.Levels, c.want, c.level, e)
			}
			if effect := policy.Decide(c.at, request, nil); effect != e.Effect {
				t.Errorf("Decide says %s, Explain %s", effect, e.Effect)
			}
			if words := spoken(e); !strings.Contains(words, c.because) {
				t.Errorf("says %q, not %q", words, c.because)
			}
		})
	}
}

func departed(user string) func(*Declarations) {
	return func(d *Declarations) {
		for _, u := range d.Users {
			if u.Name == user {
				u.State = StateDeparted
			}
		}
	}
}

func TestTheEndsOfAFreezeAreBoundaries(t *testing.T) {
	d := office()
	ruled(GuardrailRule{Deny: &DenyRule{Target: on(Any, Any), When: DenyWhen{Windows: []Span{{Window: schedule.Window{NotBefore: 100, NotAfter: 200}}}}}})(&d)
	policy := NewPolicy(Resolve(d).Facts)
	for now, want := range map[schedule.Instant]schedule.Instant{99: 100, 100: 200, 200: schedule.Forever} {
		if next := policy.NextBoundary(now); next != want {
			t.Errorf("after %d the next boundary is %d, want %d", now, next, want)
		}
	}
}
