package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// salesCompany is a sales organisation of 2,000 people in 20 departments, of which one is li-ting, a manager of hers with two
// temporary grants, and another the director, who sees all.
func salesCompany() access.Declarations {
	d := access.Declarations{
		ObjectTypes: []*access.ObjectType{{
			Name: "customer", OwnerField: "owner", DepartmentField: "ownerDept", LabelField: "name",
			Actions: []string{"create", "read", "update", "delete", "export", "transfer", "assign"},
			Fields: []access.Field{
				{Name: "name", Class: access.ClassPublic}, {Name: "owner", Class: access.ClassPublic}, {Name: "ownerDept", Class: access.ClassPublic},
				{Name: "region", Class: access.ClassInternal}, {Name: "phone", Class: access.ClassConfidential, Mask: access.Mask{Type: access.MaskKeep, KeepFirst: 3, KeepLast: 4}},
				{Name: "creditLimit", Class: access.ClassRestricted},
			},
			Storage: access.Storage{Table: "crm.customer", ID: "id", Owner: "owner_id", Department: "dept", TenantColumn: "org", TenantValue: "huayue",
				Columns: map[string]string{"owner": "owner_id", "ownerDept": "dept", "phone": "phone_no", "creditLimit": "credit_limit"}},
		}},
		Departments: []*access.Department{{Name: "sales"}},
		Roles: []*access.Role{
			{Name: "sales-rep", Grants: []access.Grant{{Object: "customer", Actions: []string{"read", "update"}, Records: access.Records{Scopes: access.ScopeOwn}}}},
			{Name: "sales-manager", Inherits: []access.Inheritance{{Role: "sales-rep"}}, Grants: []access.Grant{{Object: "customer", Actions: []string{"read", "update", "transfer"},
				Records: access.Records{Scopes: access.ScopeDepartment}, Fields: []access.FieldRule{{Class: access.ClassConfidential, Level: access.LevelRead}}}}},
			{Name: "sales-director", Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeAll}}}},
		},
		UserBindings: []*access.UserBinding{
			{Name: "managers", Subjects: []access.Subject{{User: "user-0007"}}, Roles: []string{"sales-manager"}},
			{Name: "director", Subjects: []access.Subject{{User: "user-0000"}}, Roles: []string{"sales-director"}},
			{Name: "reps", Roles: []string{"sales-rep"}},
		},
		Guardrails: []*access.Guardrail{
			{Name: "no-bulk-export", Rules: []access.GuardrailRule{{Limit: &access.LimitRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}, MaxRowsPerRequest: new(int64)}}}},
			{Name: "secrets", Rules: []access.GuardrailRule{{Cap: &access.CapRule{Objects: []string{access.Any}, Classes: []string{"secret"}, Level: "masked"}}}},
		},
	}
	for i := range 20 {
		d.Departments = append(d.Departments, &access.Department{Name: fmt.Sprintf("sales-%d", i), Parent: "sales"})
	}
	for i := range 2000 {
		name := fmt.Sprintf("user-%04d", i)
		d.Users = append(d.Users, &access.User{Name: name, Type: access.UserEmployee, State: access.StateActive, Departments: []string{fmt.Sprintf("sales-%d", i%20)}})
		d.UserBindings[2].Subjects = append(d.UserBindings[2].Subjects, access.Subject{User: name})
	}
	window := schedule.Window{NotBefore: 1_700_000_000, NotAfter: 4_000_000_000}
	for i, records := range []access.Records{{Owners: []string{"user-0101"}}, {IDs: []string{"17", "4711", "90210"}}} {
		d.TemporaryGrants = append(d.TemporaryGrants, &access.TemporaryGrant{Name: fmt.Sprintf("grant-%d", i), Users: []string{"user-0007"}, Window: window,
			Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: records}}})
	}
	return d
}

const salesTable = `
CREATE TABLE crm.customer (id bigint PRIMARY KEY, org text NOT NULL, owner_id text, dept text, name text, region text, phone_no text, credit_limit numeric);
INSERT INTO crm.customer SELECT g, 'huayue', 'user-' || lpad((g::bigint * 7919 %% 2000)::text, 4, '0'), 'sales-' || (g::bigint * 7919 %% 2000 %% 20), 'customer ' || g,
    (ARRAY['east', 'west', 'north'])[1 + g %% 3], '138' || lpad(g::text, 8, '0'), g FROM generate_series(1, %d) AS g;
CREATE INDEX ON crm.customer (owner_id); CREATE INDEX ON crm.customer (dept);
VACUUM ANALYZE crm.customer;`

// TestEnforcementCosts compares what the application asks of the tables that enforce with what a CRM would ask that writes
// its own WHERE, in interleaved pairs. It runs where CRMACCESS_BENCH is set (docs/performance.md has the command).
func TestEnforcementCosts(t *testing.T) {
	if os.Getenv("CRMACCESS_BENCH") == "" {
		t.Skip("measures time: set CRMACCESS_BENCH")
	}
	for _, size := range []int{200_000, 1_000_000} {
		c := newCRM(t, salesCompany(), "")
		for _, statement := range splitStatements(fmt.Sprintf(salesTable, size)) {
			c.do(t, statement)
		}
		c.enforced(t)
		c.do(t, `ANALYZE`)
		byHand, err := pgx.Connect(t.Context(), c.dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { byHand.Close(context.Background()) })
		c.now = schedule.At(time.Now())
		manager := `org = 'huayue' AND (owner_id = ANY ('{user-0007,user-0101}') OR dept = 'sales-7' OR id = ANY ('{17,4711,90210}'))`
		for _, m := range []struct{ name, user, hand, rls string }{
			{"manager counts", "user-0007", `SELECT count(*) FROM crm.customer WHERE ` + manager, `SELECT count(*) FROM crm.customer`},
			{"manager reads all", "user-0007", `SELECT id, name, region FROM crm.customer WHERE ` + manager, `SELECT id, name, region FROM crm.customer`},
			{"manager's first page", "user-0007", `SELECT id, name FROM crm.customer WHERE ` + manager + ` ORDER BY id LIMIT 50`, `SELECT id, name FROM crm.customer ORDER BY id LIMIT 50`},
			{"manager's first page by view", "user-0007", `SELECT id, name, phone_no FROM crm.customer WHERE ` + manager + ` ORDER BY id LIMIT 50`, `SELECT id, name, phone_no FROM crm_masked_huayue.customer ORDER BY id LIMIT 50`},
			{"manager reads all by view", "user-0007", `SELECT id, name, phone_no FROM crm.customer WHERE ` + manager, `SELECT id, name, phone_no FROM crm_masked_huayue.customer`},
			{"one record", "user-0007", `SELECT id, name FROM crm.customer WHERE id = 4711 AND ` + manager, `SELECT id, name FROM crm.customer WHERE id = 4711`},
			{"director counts", "user-0000", `SELECT count(*) FROM crm.customer WHERE org = 'huayue'`, `SELECT count(*) FROM crm.customer`},
			{"director reads all", "user-0000", `SELECT id, name, region FROM crm.customer WHERE org = 'huayue'`, `SELECT id, name, region FROM crm.customer`},
			{"director's first page", "user-0000", `SELECT id, name FROM crm.customer WHERE org = 'huayue' ORDER BY id LIMIT 50`, `SELECT id, name FROM crm.customer ORDER BY id LIMIT 50`},
		} {
			c.as(t, m.user, nil)
			// As where a pooled connection changes hands: a plan that is kept is the one for who asked first.
			if _, err := c.app.Exec(t.Context(), `DISCARD PLANS`); err != nil {
				t.Fatal(err)
			}
			hand, rls, rows := pairs(t, byHand, m.hand, c.app, m.rls)
			t.Logf("%8d rows  %-30s %7d shown  by hand %8.3f ms  enforced %8.3f ms  ratio %.2f  difference %.3f ms", size, m.name, rows,
				hand.Seconds()*1000, rls.Seconds()*1000, rls.Seconds()/hand.Seconds(), (rls-hand).Seconds()*1000)
			if os.Getenv("CRMACCESS_BENCH") == "plans" {
				t.Log(c.plan(t, byHand, m.hand), c.plan(t, c.app, m.rls))
			}
		}
	}
}

func (c *crm) plan(t *testing.T, conn *pgx.Conn, query string) (text string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN ANALYZE "+query)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		text += line + "\n"
	}
	return text
}

// pairs are the medians of two queries in turn, and how many rows both show.
func pairs(t *testing.T, a *pgx.Conn, first string, b *pgx.Conn, second string) (x, y time.Duration, rows int) {
	t.Helper()
	const rounds = 31
	var xs, ys []time.Duration
	measure := func(conn *pgx.Conn, query string) (time.Duration, int) {
		start, n := time.Now(), 0
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return time.Since(start), n
	}
	for range rounds {
		d, n := measure(a, first)
		e, m := measure(b, second)
		if n != m {
			t.Fatalf("%s: %d rows, %s: %d", first, n, second, m)
		}
		xs, ys, rows = append(xs, d), append(ys, e), n
	}
	slices.Sort(xs)
	slices.Sort(ys)
	return xs[rounds/2], ys[rounds/2], rows
}

func splitStatements(text string) (list []string) {
	start := 0
	for i, r := range text {
		if r == ';' {
			list, start = append(list, text[start:i]), i+1
		}
	}
	return list
}
