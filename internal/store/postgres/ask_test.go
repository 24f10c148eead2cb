package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// application is a connection with the role that the page about PostgreSQL gives to the CRM.
func application(t *testing.T, h *harness) *pgx.Conn {
	t.Helper()
	server := pgtest.Shared(t)
	server.Psql(t, h.dsn, snippetOf(t, "postgresql.md", "app"))
	conn, err := pgx.Connect(t.Context(), server.DSN("crm_app", "choose a strong one", h.hand.Config().Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close(context.Background())
		for _, role := range []string{"crm_app", "crm_minter"} {
			server.Psql(t, h.dsn, `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role)
		}
	})
	return conn
}

// say sets a setting of the session.
func say(t *testing.T, conn *pgx.Conn, setting, value string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `SELECT set_config('crm_access.'||$1, $2, false)`, setting, value); err != nil {
		t.Fatal(err)
	}
}

// decide asks as the application does.
func decide(t *testing.T, conn *pgx.Conn, call string, args ...any) (decision string, levels map[string]string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `SELECT decision, levels FROM crm_access.`+call, args...).Scan(&decision, &levels); err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	return decision, levels
}

func TestTheApplicationsDecisionsAgreeWithTheEnginePastBoundariesThatNobodyWrites(t *testing.T) {
	h := newHarness(t)
	s, key, _ := claimed(t, h)
	app := application(t, h)
	random := accesstest.Random(t)
	d := accesstest.NewWorld(random, accesstest.Small)
	facts := access.Resolve(d).Facts
	policy := access.NewPolicy(facts)
	become(t, s, facts)
	s.Close() // from here on nobody writes
	now, boundaries, answers := accesstest.Start, 0, map[string]int{}
	for range 40 {
		h.Advance(t, tenant, now)
		for range 20 {
			_, q := accesstest.NewQuestion(random, d)
			q.Context.ApprovedBy = nil
			made, err := token.Mint(key, tenant, q.User, now, now+60)
			if err != nil {
				t.Fatal(err)
			}
			a := newAsked(t, policy, now, q)
			context, err := json.Marshal(a.Context)
			if err != nil {
				t.Fatal(err)
			}
			say(t, app, "token", made)
			say(t, app, "context", string(context))
			got, levels := decide(t, app, `decide($1, $2, nullif($3::jsonb, 'null'), $4)`, a.Action, a.Object, a.Record, a.Fields)
			want := policy.Explain(now, q)
			wanted, _ := explained(want)
			for i, field := range a.Fields {
				if levels[field] != wanted[i] {
					t.Fatalf("%s %+v: %s is %s, want %s", now, q, field, levels[field], wanted[i])
				}
			}
			if got != effectNames[want.Effect] {
				t.Fatalf("%s %+v record %+v: %s, want %s", now, q, q.Record, got, want.Effect)
			}
			answers[got]++
		}
		next := policy.NextBoundary(now)
		if next == schedule.Forever {
			break
		}
		now = next
		boundaries++
	}
	t.Logf("%v past %d boundaries", answers, boundaries)
	if boundaries < 2 || answers["allow"] == 0 || answers["deny"] == 0 {
		t.Errorf("%d boundaries and %v prove little", boundaries, answers)
	}
}

// office is a little organisation: li-ting reads and updates her own customers, and deletes them if her manager approves.
func office() access.Declarations {
	return access.Declarations{
		ObjectTypes: []*access.ObjectType{{
			Name: "customer", OwnerField: "owner", Actions: []string{"create", "read", "update", "delete", "export"},
			Fields: []access.Field{{Name: "owner", Class: access.ClassPublic}, {Name: "name", Class: access.ClassPublic}, {Name: "phone", Class: access.ClassConfidential}, {Name: "limit", Class: access.ClassSecret}},
		}},
		Users: []*access.User{
			{Name: "li-ting", Type: access.UserEmployee, State: access.StateActive, Manager: "chen-mo"},
			{Name: "chen-mo", Type: access.UserEmployee, State: access.StateActive},
			{Name: "wang-lei", Type: access.UserEmployee, State: access.StateActive, Manager: "chen-mo"},
		},
		Roles: []*access.Role{{Name: "rep", Grants: []access.Grant{{
			Object: "customer", Actions: []string{"read", "update", "delete"}, Records: access.Records{Scopes: access.ScopeOwn},
		}}}},
		UserBindings: []*access.UserBinding{{Name: "reps", Subjects: []access.Subject{{User: "li-ting"}}, Roles: []string{"rep"}}},
		Guardrails: []*access.Guardrail{{Name: "rules", Rules: []access.GuardrailRule{
			{Deny: &access.DenyRule{Target: access.Target{Objects: []string{"*"}, Actions: []string{"update"}}, When: access.DenyWhen{Channels: []string{"mobile"}}}},
			{Approve: &access.ApproveRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"delete"}}, By: []access.Approver{{ManagerOfSubject: true}}}},
		}}},
	}
}

const (
	hers   = `'{"id": "c-1", "owner": "li-ting"}'`
	theirs = `'{"id": "c-2", "owner": "wang-lei"}'`
)

func TestTheApplicationAsksForWhoeverTheTokenNamesAndForNobodyElse(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	other, err := s.Claim(t.Context(), "qingyun", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.TokenKeys(t.Context(), other.Name)
	if err != nil {
		t.Fatal(err)
	}
	app := application(t, h)
	mint := func(key token.Key, tenant, subject string) string {
		made, err := token.Mint(key, tenant, subject, now, now+600)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	hersToken := mint(key, tenant, "li-ting")
	for name, c := range map[string]struct {
		token, tenant, record string
		want                  string
	}{
		"li-ting and her customer":              {hersToken, "", hers, "allow"},
		"li-ting and wang-lei's":                {hersToken, "", theirs, "deny"},
		"wang-lei, who holds nothing":           {mint(key, tenant, "wang-lei"), "", theirs, "deny"},
		"nobody":                                {"", "", hers, "deny"},
		"a bare name":                           {"li-ting", "", hers, "deny"},
		"a token that somebody made up":         {mint(token.NewKey(), tenant, "li-ting"), "", hers, "deny"},
		"a token of another tenant":             {mint(keys[0], "qingyun", "li-ting"), "", hers, "deny"},
		"another tenant's key for this tenant":  {mint(keys[0], tenant, "li-ting"), "", hers, "deny"},
		"the tenant named":                      {hersToken, tenant, hers, "allow"},
		"another tenant named":                  {hersToken, "qingyun", hers, "deny"},
		"a tenant named that is not there":      {hersToken, "'; --", hers, "deny"},
		"a record of which nothing is known":    {hersToken, "", `'{}'`, "deny"},
		"a record whose owner is no text":       {hersToken, "", `'{"id": "c-1", "owner": ["li-ting"]}'`, "deny"},
		"a record that is a list":               {hersToken, "", `'[{"owner": "li-ting"}]'`, "deny"},
		"an owner in another spelling":          {hersToken, "", `'{"id": "c-1", "owner": "LI-TING"}'`, "deny"},
		"somebody who says that they are admin": {hersToken, "", `'{"id": "c-2", "owner": "wang-lei", "scopes": ["all"], "subject": "chen-mo"}'`, "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			say(t, app, "token", c.token)
			say(t, app, "tenant", c.tenant)
			if got, _ := decide(t, app, `decide('read', 'customer', `+c.record+`)`); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTheContextIsTheSettingsUnlessItIsGiven(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	for name, c := range map[string]struct{ setting, argument, want string }{
		"said by the setting":                    {`{"channel": "web"}`, `NULL`, "allow"},
		"said by the argument":                   {``, `'{"channel": "web"}'`, "allow"},
		"the argument counts before the setting": {`{"channel": "web"}`, `'{"channel": "mobile"}'`, "deny"},
		"and takes nothing from it":              {`{"channel": "web"}`, `'{}'`, "deny"},
		"not said":                               {``, `NULL`, "deny"},
		"denied":                                 {`{"channel": "mobile"}`, `NULL`, "deny"},
		"misspelt":                               {`{"channel": "Mobile"}`, `NULL`, "deny"},
		"no JSON":                                {`{"channel": "web"`, `NULL`, "deny"},
		"no object":                              {`["web"]`, `NULL`, "deny"},
		"a channel that is no text":              {`{"channel": ["web"]}`, `NULL`, "deny"},
		"a number that is none":                  {`{"channel": "web", "rows": "many"}`, `NULL`, "deny"},
		"a number below zero":                    {`{"channel": "web", "rows": -1}`, `NULL`, "deny"},
		"half a row":                             {`{"channel": "web", "rows": 0.5}`, `NULL`, "deny"},
		"a number beyond all":                    {`{"channel": "web", "rows": 1e30}`, `NULL`, "deny"},
		"a target that is none":                  {`{"channel": "web", "target": "chen-mo"}`, `NULL`, "deny"},
		"members that nobody knows":              {`{"channel": "web", "weather": {"rain": [1]}}`, `NULL`, "allow"},
		"null is not said":                       {`{"channel": null}`, `NULL`, "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			say(t, app, "context", c.setting)
			if got, _ := decide(t, app, `decide('update', 'customer', `+hers+`, '{name}', `+c.argument+`)`); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAttributesAreComparedAsTheEngineReadsThem(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	d := office()
	d.ObjectTypes[0].Fields = append(d.ObjectTypes[0].Fields, access.Field{Name: "region", Class: access.ClassPublic})
	where := func(operator access.Operator, values ...string) {
		d.Roles[0].Grants[0].Where = []access.Condition{{Field: "region", Operator: operator, Values: values}}
		become(t, s, access.Resolve(d).Facts)
	}
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	where(access.OperatorIn, "Gen\u00e8ve", "7.5", "1000", "true")
	for value, want := range map[string]string{
		`"Gen\u00e8ve"`: "allow", `"Gene\u0300ve"`: "allow", `["Bern", "Gene\u0300ve"]`: "allow", `{"id": "Gene\u0300ve", "name": "x"}`: "allow",
		`"gen\u00e8ve"`: "deny", `"Genève "`: "deny", `7.5`: "allow", `7.50`: "allow", `"7.5"`: "allow", `"7.50"`: "deny", `1e3`: "allow", `1000.0`: "allow",
		`true`: "allow", `null`: "deny", `[]`: "deny", `[true]`: "deny", `{"name": "Genève"}`: "deny", `[["Genève"]]`: "deny",
	} {
		if got, _ := decide(t, app, `decide('read', 'customer', jsonb_build_object('owner', 'li-ting', 'region', $1::jsonb))`, value); got != want {
			t.Errorf("In: %s: got %s, want %s", value, got, want)
		}
	}
	where(access.OperatorNotIn, "east")
	for value, want := range map[string]string{
		`"west"`: "allow", `"east"`: "deny", `["west", "east"]`: "deny", `null`: "deny", `[]`: "deny", `[1]`: "deny", `{"id": {}}`: "deny",
	} {
		if got, _ := decide(t, app, `decide('read', 'customer', jsonb_build_object('owner', 'li-ting', 'region', $1::jsonb))`, value); got != want {
			t.Errorf("NotIn: %s: got %s, want %s", value, got, want)
		}
	}
}

// garbage is a value of any shape, with names that mean something among its members.
func garbage(random *rand.Rand, depth int) any {
	switch n := random.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return random.IntN(2) == 0
	case n == 2:
		return random.NormFloat64() * 1e18
	case n == 3:
		return random.IntN(5) - 1
	case n < 6 || depth == 0:
		return []string{"", "li-ting", "customer", "c-1", "web", "\u2028", "';--", "\\", "{}", strings.Repeat("x", 3000)}[random.IntN(10)]
	case n < 7:
		var list []any
		for range random.IntN(4) {
			list = append(list, garbage(random, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range random.IntN(6) {
		object[[]string{
			"id", "owner", "department", "participants", "creator", "name", "phone", "channel", "device", "rows", "used", "owned", "reason", "target", "user", "approval",
		}[random.IntN(16)]] = garbage(random, depth-1)
	}
	return object
}

func TestWhateverIsSaidOfARecordOrInAContextIsAnswered(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	random := accesstest.Random(t)
	for range 1000 {
		record, err := json.Marshal(garbage(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		context, err := json.Marshal(garbage(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		var decision string
		if err := app.QueryRow(t.Context(), `SELECT decision FROM crm_access.explain($1, 'customer', $2::jsonb, $3, $4::jsonb)`,
			[]string{"read", "update", "delete", "create"}[random.IntN(4)], string(record), []string{"name"}, string(context)).Scan(&decision); err != nil {
			t.Fatalf("record %s context %s: %v", record, context, err)
		}
	}
}

func TestTheApplicationIsToldWhyAndWhichFields(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	app := application(t, h)
	for name, c := range map[string]struct{ subject, call, want string }{
		"an allow": {"li-ting", `explain('read', 'customer', ` + hers + `, '{name,phone}')`,
			`allow {"name": "edit", "phone": "masked"} {"rep:read=own by UserBinding/reps"}`},
		"a deny": {"li-ting", `explain('read', 'customer', ` + theirs + `, '{name}')`, `deny {"name": "none"} {"no grant covers read on customer"}`},
		"every no of a deny": {"li-ting", `explain('update', 'customer', ` + theirs + `, '{phone}', '{"channel": "mobile"}')`,
			`deny {"phone": "none"} {"guardrail rules (channel mobile)","no grant covers update on customer","field phone is none, not edit"}`},
		"what waits": {"li-ting", `explain('delete', 'customer', ` + hers + `)`,
			`needs-approval {} {"needs chen-mo, manager of li-ting (rep:delete=own); guardrail rules","rep:delete=own by UserBinding/reps"}`},
		"no account": {"stranger", `explain('read', 'customer', ` + hers + `)`, `deny {} {"no account \"stranger\""}`},
		"the fields of a record": {"li-ting", `field_levels('customer', ` + hers + `) AS l (levels)`,
			`{"name": "edit", "limit": "none", "owner": "read", "phone": "masked"}`},
		"the fields of a list":             {"li-ting", `field_levels('customer') AS l (levels)`, `{"name": "edit", "limit": "none", "owner": "read", "phone": "masked"}`},
		"the fields of somebody else's":    {"li-ting", `field_levels('customer', ` + theirs + `) AS l (levels)`, `{"name": "none", "limit": "none", "owner": "none", "phone": "none"}`},
		"the fields of what nobody knows":  {"li-ting", `field_levels('atlantis') AS l (levels)`, `{}`},
		"the fields of a list for nobody":  {"", `field_levels('customer') AS l (levels)`, `{}`},
		"somebody whose token is no token": {"", `explain('read', 'customer', ` + hers + `, '{name}')`, `deny {"name": "none"} {"no token that is good names who asks"}`},
	} {
		t.Run(name, func(t *testing.T) {
			made := ""
			if c.subject != "" {
				var err error
				if made, err = token.Mint(key, tenant, c.subject, now, now+600); err != nil {
					t.Fatal(err)
				}
			}
			say(t, app, "token", made)
			columns := "levels::text"
			if strings.HasPrefix(c.call, "explain") {
				columns = "decision || ' ' || levels || ' ' || reasons::text"
			}
			var got string
			if err := app.QueryRow(t.Context(), `SELECT `+columns+` FROM crm_access.`+c.call).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheApplicationMayCallNothingElse(t *testing.T) {
	h := newHarness(t)
	claimed(t, h)
	app := application(t, h)
	rows, err := app.Query(t.Context(), `
SELECT p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'crm_access' AND p.prorettype <> 'trigger'::regtype AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	callable, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"conditioned_reach_of", "decide", "expects_everything", "explain", "field_levels", "form_of", "forms_of", "integers_of", "is_plain_table",
		"is_trusted", "last_id", "levels_by", "lowered_by", "masked", "reached", "row_meets", "shown_to_asker", "subject", "subjects_of_rule", "takes_in",
		"use", "uuids_of", "visible",
	}
	if !slices.Equal(callable, want) {
		t.Errorf("it may call %v, want %v", callable, want)
	}
	// What has its owner's rights looks nothing up where others can put something.
	open := h.Query(t, `
SELECT p.proname, p.proconfig FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'crm_access' AND p.prosecdef AND p.prorettype <> 'trigger'::regtype
    AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)`)
	if len(open) > 0 {
		t.Errorf("with another search_path: %v", open)
	}
	// What anybody may call means the same whatever they have put into their search_path.
	unfixed := h.Query(t, `
SELECT p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'crm_access' AND p.prosqlbody IS NULL AND p.proconfig IS NULL AND has_function_privilege('crm_app', p.oid, 'EXECUTE')`)
	if len(unfixed) > 0 {
		t.Errorf("read with the caller's search_path: %v", unfixed)
	}
	// A trigger function with its owner's rights would run on a table of theirs, with types and casts of theirs.
	triggers := h.Query(t, `
SELECT p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'crm_access' AND p.prorettype = 'trigger'::regtype AND has_function_privilege('crm_app', p.oid, 'EXECUTE')`)
	if len(triggers) > 0 {
		t.Errorf("trigger functions that anybody may hang up: %v", triggers)
	}
}

func TestWhoAsksIsNobodyInATransactionThatKeepsToOneSnapshot(t *testing.T) {
	h := newHarness(t)
	_, key, now := claimed(t, h)
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	for isolation, want := range map[string]bool{"READ COMMITTED": true, "REPEATABLE READ": false, "SERIALIZABLE": false} {
		tx, err := app.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var known bool
		if _, err = tx.Exec(t.Context(), "SET TRANSACTION ISOLATION LEVEL "+isolation); err == nil {
			err = tx.QueryRow(t.Context(), `SELECT crm_access.subject($1) IS NOT NULL`, tenant).Scan(&known)
		}
		if err != nil || known != want {
			t.Errorf("%s: known %t, %v; want %t", isolation, known, err, want)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheDocumentedQuestionsAreAnswered(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Shared(t)
	dsn := server.DSN("crm_app", "choose a strong one", h.hand.Config().Database)
	got := server.Psql(t, dsn, strings.Replace(snippetOf(t, "postgresql.md", "ask"), ":'token'", "'"+made+"'", 1))
	for _, want := range []string{
		`allow|{"name": "edit", "phone": "masked"}`, `needs-approval|{"needs chen-mo, manager of li-ting (rep:delete=own); guardrail rules"`,
		`{"name": "edit", "limit": "none", "owner": "read", "phone": "masked"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s in it", got, want)
		}
	}
}

// An approval is of one operation, once: of everything that it could be stretched to, nothing.
func TestAnApprovalLetsThroughJustWhatWasAskedFor(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	ask := func(record, subject string) string {
		asked, err := s.Ask(t.Context(), tenant, store.Request{
			Operation: store.Operation{Subject: subject, Action: "delete", Object: "customer", Record: record, Channel: "web", Device: "managed", Reason: "moves"},
			Question:  json.RawMessage(`{}`), Window: schedule.Window{NotBefore: now, NotAfter: now + 3600}, UsedAt: schedule.Forever,
		})
		if err != nil {
			t.Fatal(err)
		}
		return asked.ID
	}
	answer := func(id, approver string, approves bool) {
		if err := s.Answer(t.Context(), tenant, id, store.Answer{Approver: approver, Approves: approves}); err != nil {
			t.Fatal(err)
		}
	}
	unanswered, approved, denied, by, another, others := ask("c-1", "li-ting"), ask("c-1", "li-ting"), ask("c-1", "li-ting"), ask("c-1", "li-ting"), ask("c-9", "li-ting"), ask("c-1", "wang-lei")
	answer(approved, "chen-mo", true)
	answer(denied, "chen-mo", false)
	answer(by, "wang-lei", true)
	answer(another, "chen-mo", true)
	answer(others, "chen-mo", true)
	const said = `, "channel": "web", "device": "managed", "reason": "moves"`
	for name, c := range map[string]struct{ id, more, want string }{
		"approved by the manager":        {approved, said, "allow"},
		"not answered":                   {unanswered, said, "needs-approval"},
		"denied by the manager":          {denied, said, "needs-approval"},
		"approved by a colleague":        {by, said, "needs-approval"},
		"of another record":              {another, said, "needs-approval"},
		"of somebody else":               {others, said, "needs-approval"},
		"of more rows than were asked":   {approved, said + `, "rows": 2`, "needs-approval"},
		"for another target":             {approved, said + `, "target": {"user": "wang-lei"}`, "needs-approval"},
		"for another reason":             {approved, `, "channel": "web", "device": "managed", "reason": "revenge"`, "needs-approval"},
		"for no reason":                  {approved, `, "channel": "web", "device": "managed"`, "needs-approval"},
		"by another channel":             {approved, `, "channel": "api", "device": "managed", "reason": "moves"`, "needs-approval"},
		"from another device":            {approved, `, "channel": "web", "device": "unmanaged", "reason": "moves"`, "needs-approval"},
		"from an unknown device":         {approved, `, "channel": "web", "reason": "moves"`, "needs-approval"},
		"an id that nobody has":          {"x' OR true; --", "", "needs-approval"},
		"no approval":                    {"", "", "needs-approval"},
		"none, but who is said to do so": {"", `, "approvedBy": ["chen-mo"], "approved_by": ["chen-mo"]`, "needs-approval"},
	} {
		t.Run(name, func(t *testing.T) {
			say(t, app, "context", fmt.Sprintf(`{"approval": %q%s}`, c.id, c.more))
			if got, _ := decide(t, app, `decide('delete', 'customer', `+hers+`)`); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if used, err := s.Consume(t.Context(), tenant, store.Consumption{Subject: "li-ting", Requests: []string{approved}}); err != nil || !used.OK {
		t.Fatal(used, err)
	}
	say(t, app, "context", fmt.Sprintf(`{"approval": %q%s}`, approved, said))
	if got, _ := decide(t, app, `decide('delete', 'customer', `+hers+`)`); got != "needs-approval" {
		t.Errorf("used up: got %s", got)
	}
}
