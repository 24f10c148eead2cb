package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness { return newHarness(t) })
}

func TestUpgrade(t *testing.T) {
	first, err := os.ReadFile("migrations/0001_permissions.sql")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{dsn: pgtest.Shared(t).Database(t)}
	h.connect(t)
	t.Cleanup(func() { h.hand.Close(context.Background()) })
	h.must(t, `CREATE SCHEMA crm_access;
		CREATE TABLE crm_access.schema_version (version integer NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
		INSERT INTO crm_access.schema_version (version) VALUES (1);`+string(first))
	storetest.Upgrade(t, h)
}

// harness is a database, with one connection of its own.
type harness struct {
	dsn    string
	hand   *pgx.Conn
	opened []store.Store
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{dsn: pgtest.Shared(t).Database(t)}
	h.Open(t)
	h.connect(t)
	t.Cleanup(func() { h.hand.Close(context.Background()) })
	return h
}

func (h *harness) connect(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.dsn)
	if err != nil {
		t.Fatal(err)
	}
	h.hand = conn
}

func (h *harness) Open(t *testing.T) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), h.dsn)
	if err != nil {
		t.Fatal(err)
	}
	h.opened = append(h.opened, s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func (h *harness) Schema() string { return "crm_access." }

func (h *harness) Advance(t *testing.T, tenant string, to schedule.Instant) {
	t.Helper()
	_, err := h.hand.Exec(t.Context(), `UPDATE crm_access.tenant SET settled_through = greatest(settled_through, $1) WHERE name = $2`, to.Time(), tenant)
	if err != nil {
		t.Fatal(err)
	}
}

func (h *harness) Exec(t *testing.T, statement string) error {
	t.Helper()
	// Without arguments several statements go at once.
	_, err := h.hand.PgConn().Exec(t.Context(), statement).ReadAll()
	return err
}

func (h *harness) must(t *testing.T, statement string) {
	t.Helper()
	if err := h.Exec(t, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (h *harness) Query(t *testing.T, query string) [][]string {
	t.Helper()
	results, err := h.hand.PgConn().Exec(t.Context(), query).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var all [][]string
	for _, row := range results[len(results)-1].Rows {
		var texts []string
		for _, value := range row {
			texts = append(texts, string(value))
		}
		all = append(all, texts)
	}
	return all
}

// State is the version and the place of every row there is.
func (h *harness) State(t *testing.T) string {
	t.Helper()
	var state strings.Builder
	for _, table := range append([]store.Table{"tenant", "ledger", "usage", "token_key", "share", "request", "answer", "decision", "runtime"}, store.Tables...) {
		rows := h.Query(t, fmt.Sprintf(`SELECT count(*), md5(string_agg(ctid::text || xmin::text, ' ' ORDER BY ctid)) FROM crm_access.%s`, table))
		fmt.Fprintln(&state, table, rows)
	}
	return state.String()
}

func (h *harness) Audit(t *testing.T) func() int {
	t.Helper()
	h.must(t, `CREATE TABLE audit (n integer);
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES (1); RETURN NULL; END $$`)
	for _, table := range store.Tables {
		h.must(t, fmt.Sprintf(`CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON crm_access.%s FOR EACH ROW EXECUTE FUNCTION audit()`, table))
	}
	return func() int {
		n := 0
		if err := h.hand.QueryRow(t.Context(), `SELECT count(*) FROM audit`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		h.must(t, `DELETE FROM audit`)
		return n
	}
}

func (h *harness) Forbid(t *testing.T, user string) {
	t.Helper()
	h.must(t, fmt.Sprintf(`ALTER TABLE crm_access.crm_user ADD CONSTRAINT forbidden CHECK (user_name <> '%s')`, user))
}

func (h *harness) UnlockLedger(t *testing.T) {
	t.Helper()
	h.must(t, `ALTER TABLE crm_access.ledger DISABLE TRIGGER ALL`)
}

func (h *harness) Backup(t *testing.T) func() {
	t.Helper()
	server, name := pgtest.Shared(t), h.hand.Config().Database
	admin := server.DSN(pgtest.Superuser, "", "postgres")
	// A template must have no connections.
	alone := func(statements string) {
		h.hand.Close(t.Context())
		server.Psql(t, admin, fmt.Sprintf(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '%s'`, name))
		server.Psql(t, admin, statements)
		h.connect(t)
	}
	alone(fmt.Sprintf(`CREATE DATABASE %s_copy TEMPLATE %s`, name, name))
	return func() {
		for _, s := range h.opened {
			s.Close()
		}
		alone(fmt.Sprintf("DROP DATABASE %[1]s WITH (FORCE);\nALTER DATABASE %[1]s_copy RENAME TO %[1]s", name))
	}
}
