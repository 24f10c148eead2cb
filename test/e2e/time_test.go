package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the store as any SQLite client would

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

const liveLoans = "select count(*) from %slive_grants where owner_kind = 'TemporaryGrant'"

func TestAccessEndsThoughTheOperatorIsDead(t *testing.T) {
	start(t)
	t.Run("SQLite", func(t *testing.T) {
		dir := t.TempDir()
		namespace := env.Namespace(t)
		end := lendAndKill(t, namespace, "sqlite", dir)
		live := func() int {
			db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "crm.db")+"?mode=ro")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var rows int
			if err := db.QueryRowContext(context.Background(), fmt.Sprintf(liveLoans, "")).Scan(&rows); err != nil {
				t.Fatal(err)
			}
			return rows
		}
		watchItEnd(t, end, live)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := pgtest.Shared(t)
		dsn := server.Database(t)
		namespace := env.Namespace(t)
		secretFor(t, namespace, dsn)
		end := lendAndKill(t, namespace, "postgres", t.TempDir())
		query := fmt.Sprintf(liveLoans, "crm_access.")
		long := make(chan string, 2)
		wait := time.Until(end).Seconds() + 0.2
		if wait < 0.5 {
			t.Fatal("the machine is too slow for this test: the grant has all but ended")
		}
		go func() { // inside one long transaction
			long <- server.Psql(t, dsn, fmt.Sprintf("begin isolation level repeatable read;\n%s;\nselect pg_sleep(%f);\n%s;\ncommit;", query, wait, query))
		}()
		go func() { // inside one DO block, where statement_timestamp() stands still
			long <- server.Psql(t, dsn, fmt.Sprintf(`create temp table seen (step int, live bigint);
				do $$ begin insert into seen select 1, (%s); perform pg_sleep(%f); insert into seen select 2, (%s); end $$;
				select live from seen where step = 1; select ''; select live from seen where step = 2;`, query, wait, query))
		}()
		live := func() int {
			var rows int
			if _, err := fmt.Sscan(server.Psql(t, dsn, query+";"), &rows); err != nil {
				t.Fatal(err)
			}
			return rows
		}
		watchItEnd(t, end, live)
		for range 2 {
			if got := strings.Fields(<-long); len(got) != 2 || got[0] != "1" || got[1] != "0" {
				t.Errorf("inside a transaction or DO block that outlasts the grant: live before and after the end %q, want 1 and 0", got)
			}
		}
	})
}

// lendAndKill lends ann the customers for some seconds, and kills the operator while the loan is live.
func lendAndKill(t *testing.T, namespace, driver, dataDir string) time.Time {
	t.Helper()
	apply(t, namespace, store(driver)+"---"+organisation)
	o := startOperator(t, dataDir)
	waitFor(t, namespace, "Ready", "permissionstore/default", "users.crmaccess.io/ann", "objecttype/customer")
	end := time.Now().Add(6 * time.Second).Truncate(time.Second)
	apply(t, namespace, loan("loan", end))
	waitFor(t, namespace, "Active", "temporarygrant/loan")
	o.kill()
	return end
}

// watchItEnd asks before and after the end.
func watchItEnd(t *testing.T, end time.Time, live func() int) {
	t.Helper()
	if rows := live(); rows != 1 && time.Now().Before(end) {
		t.Fatalf("%d rows are live before the end, want 1", rows)
	}
	pause(time.Until(end))
	if rows := live(); rows != 0 {
		t.Fatalf("%d rows are live at the end", rows)
	}
}
