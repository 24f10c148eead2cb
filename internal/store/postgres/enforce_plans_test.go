package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// planNode is what EXPLAIN says of a step of a plan.
type planNode struct {
	Kind     string     `json:"Node Type"`
	Part     string     `json:"Parent Relationship"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Filter   string     `json:"Filter"`
	Plans    []planNode `json:"Plans"`
}

// each visits the steps of a plan.
func (n *planNode) each(visit func(*planNode)) {
	visit(n)
	for i := range n.Plans {
		n.Plans[i].each(visit)
	}
}

// tracked is a shop of 20,000 customers, and an application whose calls of functions are counted.
func tracked(t *testing.T) *crm {
	t.Helper()
	c := newCRM(t, salesCompany(), "")
	for _, statement := range splitStatements(fmt.Sprintf(salesTable, 20_000)) {
		c.do(t, statement)
	}
	c.at(t, 1_800_000_000)
	c.enforced(t)
	c.do(t, `ANALYZE`)
	c.do(t, fmt.Sprintf(`ALTER ROLE %s SET track_functions = 'all'`, c.role))
	config := c.app.Config().Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // each statement is planned by itself
	app, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close(context.Background()) })
	c.app = app
	return c
}

// explained is the plan of a statement.
func (c *crm) explained(t *testing.T, statement string) planNode {
	t.Helper()
	var text []byte
	if err := c.app.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+statement).Scan(&text); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		t.Fatal(err, string(text))
	}
	return plans[0].Plan
}

// calls are how often a statement calls each function of the schema, planning it included.
func (c *crm) calls(t *testing.T, statement string) map[string]int {
	t.Helper()
	tx, err := c.app.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	called := map[string]int{}
	count := func(sign int) {
		// What former transactions called is counted until it has been reported.
		rows, err := tx.Query(t.Context(), `SELECT funcname, calls FROM pg_stat_xact_user_functions WHERE schemaname = 'crm_access'`) //nolint:rowserrcheck // ForEachRow returns it
		if err != nil {
			t.Fatal(err)
		}
		var name string
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { called[name] += sign * n; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	count(-1)
	if _, err := tx.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	count(1)
	return called
}

func TestTheTablesThatEnforceArePlannedAsAHandWrittenConditionIs(t *testing.T) {
	c := tracked(t)
	for name, asked := range map[string]struct {
		user, statement string
		// scan is how the table is read, and index by what; whole says that the rows found are looked at by no arm again.
		scan, index string
		whole       bool
		// initPlans is how many there are at most, and reached how many parts are asked for.
		initPlans, reached int
	}{
		"a manager counts":                   {"user-0007", `SELECT count(*) FROM crm.customer`, "Bitmap Heap Scan", "", true, 6, 4},
		"a manager reads all":                {"user-0007", `SELECT id, name, region FROM crm.customer`, "Bitmap Heap Scan", "", true, 6, 4},
		"a manager's first page":             {"user-0007", `SELECT id, name FROM crm.customer ORDER BY id LIMIT 50`, "Index Scan", "customer_pkey", false, 6, 4},
		"a manager asks for one record":      {"user-0007", `SELECT id, name FROM crm.customer WHERE id = 4711`, "Index Scan", "customer_pkey", false, 6, 4},
		"a manager counts, by view":          {"user-0007", `SELECT count(*) FROM crm_masked_huayue.customer`, "Bitmap Heap Scan", "", true, 7, 4},
		"a manager reads all, by view":       {"user-0007", `SELECT id, name, phone_no FROM crm_masked_huayue.customer`, "Bitmap Heap Scan", "", true, 7, 4},
		"a manager's first page, by view":    {"user-0007", `SELECT id, name, phone_no FROM crm_masked_huayue.customer ORDER BY id LIMIT 50`, "Index Scan", "customer_pkey", false, 7, 4},
		"one who sees all counts":            {"user-0000", `SELECT count(*) FROM crm.customer`, "Seq Scan", "", false, 6, 1},
		"one who sees all, the first page":   {"user-0000", `SELECT id, name FROM crm.customer ORDER BY id LIMIT 50`, "Index Scan", "customer_pkey", false, 6, 1},
		"one who sees all, one page by view": {"user-0000", `SELECT * FROM crm_masked_huayue.customer ORDER BY id LIMIT 50`, "Index Scan", "customer_pkey", false, 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.as(t, asked.user, nil)
			plan := c.explained(t, asked.statement)
			initPlans, scans := 0, 0
			plan.each(func(n *planNode) {
				switch {
				case n.Part == "InitPlan":
					initPlans++
				case n.Relation == "customer":
					scans++
					if n.Kind != asked.scan || n.Index != asked.index {
						t.Errorf("the table is read by %s %s, want %s %s", n.Kind, n.Index, asked.scan, asked.index)
					}
					if asked.whole && n.Filter != "(org = 'huayue'::text)" {
						t.Errorf("each row is filtered by %s", n.Filter)
					}
				case strings.HasPrefix(n.Kind, "Gather"):
					t.Error("the plan is parallel: starting its workers takes longer than the query")
				}
			})
			if scans != 1 || initPlans > asked.initPlans {
				t.Errorf("the table is read %d times with %d init-plans, want once and at most %d", scans, initPlans, asked.initPlans)
			}
			called := c.calls(t, asked.statement)
			if called["reached"] != asked.reached || called["expects_everything"] > 1 || called["shown_to_asker"] > 1 {
				t.Errorf("calls: %v, want reached %d times", called, asked.reached)
			}
			for function, n := range called {
				if n > 30 {
					t.Errorf("%s is called %d times: once a row", function, n)
				}
			}
		})
	}
	c.as(t, "user-0007", nil)
	if called := c.calls(t, `SELECT count(*) FROM crm_masked_huayue.customer`); called["shown_to_asker"] != 0 {
		t.Errorf("to count rows it was worked out what they show: %v", called)
	}
}
