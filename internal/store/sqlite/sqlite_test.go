package sqlite_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness { return newHarness(t) })
}

func TestUpgrade(t *testing.T) {
	first, err := os.ReadFile("migrations/0001_permissions.sql")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{file: filepath.Join(t.TempDir(), "permissions.db")}
	h.connect(t)
	t.Cleanup(func() { h.hand.Close() })
	h.must(t, `CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT; INSERT INTO schema_version VALUES (1);`+string(first))
	storetest.Upgrade(t, h)
}

// harness is a file, with one connection of its own.
type harness struct {
	file   string
	hand   *sql.DB
	opened []store.Store
}

func newHarness(t *testing.T) *harness {
	h := &harness{file: filepath.Join(t.TempDir(), "permissions.db")}
	h.Open(t)
	h.connect(t)
	t.Cleanup(func() { h.hand.Close() })
	return h
}

func (h *harness) connect(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(h.file)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	// One connection: data_version is about the changes of others.
	db.SetMaxOpenConns(1)
	h.hand = db
}

func (h *harness) Open(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), h.file)
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

func (h *harness) Schema() string { return "" }

func (h *harness) Advance(t *testing.T, tenant string, to schedule.Instant) {
	t.Helper()
	if _, err := h.hand.Exec(`UPDATE tenant SET settled_through = max(settled_through, ?) WHERE name = ?`, to.String(), tenant); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) Exec(t *testing.T, statement string) error {
	t.Helper()
	_, err := h.hand.Exec(statement)
	return err
}

func (h *harness) Query(t *testing.T, query string) [][]string {
	t.Helper()
	rows, err := h.hand.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		destinations := make([]any, len(columns))
		for i := range values {
			destinations[i] = &values[i]
		}
		if err := rows.Scan(destinations...); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, v := range values {
			texts = append(texts, v.String)
		}
		all = append(all, texts)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (h *harness) State(t *testing.T) string {
	t.Helper()
	return h.Query(t, `PRAGMA data_version`)[0][0]
}

func (h *harness) Audit(t *testing.T) func() int {
	t.Helper()
	h.must(t, `CREATE TABLE audit (n INTEGER)`)
	for _, table := range store.Tables {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			h.must(t, fmt.Sprintf(`CREATE TRIGGER audit_%s_%s AFTER %s ON %s BEGIN INSERT INTO audit VALUES (1); END`, table, event, event, table))
		}
	}
	return func() int {
		n := 0
		if err := h.hand.QueryRow(`SELECT count(*) FROM audit`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		h.must(t, `DELETE FROM audit`)
		return n
	}
}

func (h *harness) Forbid(t *testing.T, user string) {
	t.Helper()
	h.must(t, fmt.Sprintf(`CREATE TRIGGER forbidden BEFORE INSERT ON crm_user WHEN NEW.user_name = '%s' BEGIN SELECT raise(ABORT, 'forbidden'); END`, user))
}

func (h *harness) UnlockLedger(t *testing.T) {
	t.Helper()
	h.must(t, `DROP TRIGGER ledger_updated; DROP TRIGGER ledger_deleted`)
}

func (h *harness) Backup(t *testing.T) func() {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	h.must(t, fmt.Sprintf(`VACUUM INTO '%s'`, copied))
	return func() {
		for _, s := range h.opened {
			s.Close()
		}
		h.opened = nil
		h.hand.Close()
		for _, file := range []string{h.file, h.file + "-wal", h.file + "-shm"} {
			if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if err := os.Rename(copied, h.file); err != nil {
			t.Fatal(err)
		}
		h.connect(t)
	}
}

func (h *harness) must(t *testing.T, statement string) {
	t.Helper()
	if err := h.Exec(t, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
