package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
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

// putting is a statement as one of those who ask puts it.
type putting struct {
	conn  *pgx.Conn
	query string
	args  []any
}

// clause is what a user may list, as /v1/filter has it.
func (c *crm) clause(user string) access.Clause {
	return access.NewPolicy(c.facts).Filter(c.now, &access.Request{User: user, Action: access.ActionRead, Object: "customer"}).Clauses[0]
}

// filtered are the customers of a user as an application asks for them that puts the condition of /v1/filter into its own
// statement: under the names that the condition has, the id as text.
func (c *crm) filtered(conn *pgx.Conn, user, columns, rest string) putting {
	where, args := "(TRUE)", []any(nil)
	if clause := c.clause(user); !clause.Everything {
		where = `((("customer"."owner" = ANY($1::text[]) OR "customer"."department" = ANY($2::text[]) OR "customer"."id" = ANY($3::text[]))))`
		args = []any{clause.Owners, clause.Departments, clause.IDs}
	}
	return putting{conn, `SELECT ` + columns + ` FROM (SELECT id AS key, id::text, owner_id AS owner, dept AS department, name, region, phone_no
		FROM crm.customer WHERE org = 'huayue') AS customer WHERE ` + where + rest, args}
}

// parametrized are the same as an application asks for them that has one statement for all users, written by hand. It is planned
// for the values, as that of /v1/filter is.
func (c *crm) parametrized(t *testing.T, conn *pgx.Conn, user, columns, rest string) putting {
	t.Helper()
	query := `SELECT ` + columns + ` FROM crm.customer WHERE org = $1`
	clause := c.clause(user)
	if clause.Everything {
		return putting{conn, query + rest, []any{"huayue"}}
	}
	ids := make([]int64, len(clause.IDs))
	for i, id := range clause.IDs {
		number, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = number
	}
	return putting{conn, query + ` AND (owner_id = ANY ($2) OR dept = ANY ($3) OR id = ANY ($4))` + rest, []any{"huayue", clause.Owners, clause.Departments, ids}}
}

// TestEnforcementCosts compares what the application asks of the tables that enforce with what a CRM would ask that writes
// its own WHERE, with the values in its text or as parameters, or that puts the condition of /v1/filter there, in turns. It runs where CRMACCESS_BENCH is set
// (docs/performance.md has the command).
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
		const (
			table, view = ` FROM crm.customer WHERE true`, ` FROM crm_masked_huayue.customer WHERE true`
			all         = ` AND org = 'huayue'`
			manager     = all + ` AND (owner_id = ANY ('{user-0007,user-0101}') OR dept = 'sales-7' OR id = ANY ('{17,4711,90210}'))`
		)
		for _, m := range []struct{ name, user, columns, from, hand, rest string }{
			{"manager counts", "user-0007", `count(*)`, table, manager, ``},
			{"manager reads all", "user-0007", `id, name, region`, table, manager, ``},
			{"manager's first page", "user-0007", `id, name`, table, manager, ` ORDER BY %s LIMIT 50`},
			{"manager's first page by view", "user-0007", `id, name, phone_no`, view, manager, ` ORDER BY %s LIMIT 50`},
			{"manager reads all by view", "user-0007", `id, name, phone_no`, view, manager, ``},
			{"one record", "user-0007", `id, name`, table, manager, ` AND %s = 4711`},
			{"director counts", "user-0000", `count(*)`, table, all, ``},
			{"director reads all", "user-0000", `id, name, region`, table, all, ``},
			{"director's first page", "user-0000", `id, name`, table, all, ` ORDER BY %s LIMIT 50`},
		} {
			c.as(t, m.user, nil)
			// As where a pooled connection changes hands: a plan that is kept is the one for who asked first.
			if _, err := c.app.Exec(t.Context(), `DISCARD PLANS`); err != nil {
				t.Fatal(err)
			}
			rest, restOfFilter := strings.ReplaceAll(m.rest, "%s", "id"), strings.ReplaceAll(m.rest, "%s", "key")
			hand, rls := putting{byHand, `SELECT ` + m.columns + table + m.hand + rest, nil}, putting{c.app, `SELECT ` + m.columns + m.from + rest, nil}
			took, rows := turns(t, hand, c.parametrized(t, byHand, m.user, m.columns, rest), c.filtered(byHand, m.user, m.columns, restOfFilter), rls)
			t.Logf("%8d rows  %-30s %7d shown  by hand %8.3f ms  with parameters %8.3f  by filter %8.3f  enforced %8.3f, ratio %.2f, difference %.3f", size, m.name, rows,
				took[0], took[1], took[2], took[3], took[3]/took[0], took[3]-took[0])
			if os.Getenv("CRMACCESS_BENCH") == "plans" {
				t.Log(c.plan(t, byHand, hand.query), c.plan(t, c.app, rls.query))
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

// turns are the medians of statements in turn, in milliseconds, and how many rows each shows.
func turns(t *testing.T, asks ...putting) (medians []float64, rows int) {
	t.Helper()
	const rounds = 31
	took := make([][]time.Duration, len(asks))
	for round := range rounds {
		for i, ask := range asks {
			start, n := time.Now(), 0
			found, err := ask.conn.Query(t.Context(), ask.query, ask.args...)
			if err != nil {
				t.Fatal(err)
			}
			for found.Next() {
				n++
			}
			if err := found.Err(); err != nil {
				t.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start))
			if rows = cmp.Or(rows, n); rows != n {
				t.Fatalf("round %d: %d rows, %s: %d", round, rows, ask.query, n)
			}
		}
	}
	for _, all := range took {
		slices.Sort(all)
		medians = append(medians, all[rounds/2].Seconds()*1000)
	}
	return medians, rows
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
