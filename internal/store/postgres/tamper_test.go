package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

func TestTruncatingATableMarksEveryTenant(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	if _, err := s.Claim(t.Context(), "qingyun", owner, ""); err != nil {
		t.Fatal(err)
	}
	for i, table := range store.Tables {
		h.must(t, `TRUNCATE crm_access.`+string(table))
		for _, name := range []string{tenant, "qingyun"} {
			read, err := s.Tenant(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if read.Tampered != int64(i+1) {
				t.Errorf("%s: %s is marked %d times, want %d", table, name, read.Tampered, i+1)
			}
		}
	}
}

func TestTruncatingTheLedgerIsRefused(t *testing.T) {
	h := newHarness(t)
	oneGrant(t, h.Open(t), schedule.Unbounded)
	if err := h.Exec(t, `TRUNCATE crm_access.ledger`); err == nil {
		t.Error("the ledger was truncated")
	}
	if n := h.Query(t, `SELECT count(*) FROM crm_access.ledger`)[0][0]; n != "1" {
		t.Errorf("%s entries", n)
	}
}

// A hand that writes while the store's own transaction is under way waits for the tenant row, and must see it as it is
// then: not being written any more.
func TestAHandThatWritesDuringACommitIsMarkedAfterIt(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	h.must(t, `BEGIN; UPDATE crm_access.tenant SET writing = true WHERE name = 'huayue'`)
	conn, err := pgx.Connect(t.Context(), h.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	done := make(chan error)
	go func() {
		_, err := conn.Exec(t.Context(), `DELETE FROM crm_access.holder`)
		done <- err
	}()
	awaitLock(t, h)
	h.must(t, `UPDATE crm_access.tenant SET writing = false WHERE name = 'huayue'; COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if read, err := s.Tenant(t.Context(), tenant); err != nil || read.Tampered != 1 {
		t.Errorf("marked %d times, want once; %v", read.Tampered, err)
	}
}

func TestARoleThatMayNotTouchTheTenantRowIsMarkedAllTheSame(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	server := pgtest.Shared(t)
	server.Psql(t, h.dsn, `CREATE ROLE clerk LOGIN PASSWORD 'clerk'; GRANT USAGE ON SCHEMA crm_access TO clerk; GRANT SELECT, DELETE ON crm_access.holder TO clerk`)
	t.Cleanup(func() { server.Psql(t, h.dsn, `DROP OWNED BY clerk; DROP ROLE clerk`) })
	server.Psql(t, server.DSN("clerk", "clerk", h.hand.Config().Database), `DELETE FROM crm_access.holder`)
	if read, err := s.Tenant(t.Context(), tenant); err != nil || read.Tampered != 1 {
		t.Errorf("marked %d times, want once; %v", read.Tampered, err)
	}
}

func TestAWholeLoadShowsWhatWasWrittenPastTheTriggers(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Window{NotBefore: 1_700_000_000, NotAfter: 4_000_000_000})
	want := grants(t, 1, schedule.Window{NotBefore: 1_700_000_000, NotAfter: 4_000_000_000})
	h.must(t, `INSERT INTO crm_access.object_field VALUES ('huayue', 'ObjectType', 'customer', 'phone', 'customer', 'phone', 'confidential', '{"type": "Keep", "keepLast": 4}');
		UPDATE crm_access.tenant SET tampered = 0`)
	for _, statement := range []string{
		`UPDATE crm_access.holder SET not_after = not_after + interval '1 day'`,
		`UPDATE crm_access.holder SET not_before = NULL`,
		`UPDATE crm_access.holder SET key = 'other'`,
		`UPDATE crm_access.tuple SET scopes = '{all}'`,
		`UPDATE crm_access.tuple SET restricted = true`,
		`UPDATE crm_access.tuple SET field_rules = '[{"class": "confidential", "level": "edit"}]'`,
		`UPDATE crm_access.tuple SET field_rules = '[{"class": "confidential", "level": "masked", "more": 1}]'`,
		`UPDATE crm_access.tuple SET conditions = '[1]'`,
		`UPDATE crm_access.object_field SET mask = '{"type": "Keep", "keepLast": "4"}'`,
		`UPDATE crm_access.object_field SET mask = '{"type": "Keep", "keepLast": 4, "extra": true}'`,
		`UPDATE crm_access.crm_user SET state = 'active'`,
		`INSERT INTO crm_access.holder SELECT tenant, owner_kind, 'nobody', key, user_name, bundle FROM crm_access.holder`,
		`DELETE FROM crm_access.tuple`,
	} {
		t.Run(statement, func(t *testing.T) {
			h.must(t, `BEGIN; SET LOCAL session_replication_role = replica; `+statement+`; COMMIT`)
			content, err := s.Load(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			if content.Tenant.Tampered != 0 {
				t.Fatal("the triggers saw it: this test shows nothing")
			}
			changes := store.Diff(store.Index(content.Rows), with(want, content.Rows, "phone"))
			if len(changes) == 0 {
				t.Fatal("a load shows no difference")
			}
			committed, err := s.Commit(t.Context(), store.Commit{Expect: content.Tenant, Changes: changes, Cause: "repair"})
			if err != nil || len(committed.Refused) > 0 {
				t.Fatalf("repair: %v, refused %v", err, committed.Refused)
			}
		})
	}
}

// with adds to the desired rows the field that was put there by hand, in the spelling it ought to have.
func with(rows map[store.RowID]string, held []store.Row, key string) map[store.RowID]string {
	all := map[store.RowID]string{}
	for id, body := range rows {
		all[id] = body
	}
	for _, row := range held {
		if row.Table == store.TableField && row.Key == key {
			all[row.RowID] = `{"object":"customer","field":"phone","class":"confidential","mask":{"type":"Keep","keepLast":4}}`
		}
	}
	return all
}

func TestShapesThatNobodyCouldReadBackAreRefusedToHands(t *testing.T) {
	h := newHarness(t)
	oneGrant(t, h.Open(t), schedule.Unbounded)
	for _, statement := range []string{
		`UPDATE crm_access.holder SET not_after = 'infinity'`,
		`UPDATE crm_access.holder SET not_after = '2026-01-01T00:00:00.5Z'`,
		`UPDATE crm_access.tuple SET scopes = '{{a,b},{c,d}}'`,
		`UPDATE crm_access.tuple SET scopes = '{a,NULL}'`,
		`UPDATE crm_access.tuple SET conditions = '{}'`,
		`UPDATE crm_access.tenant SET settled_through = 'infinity'`,
	} {
		if err := h.Exec(t, statement); err == nil || !strings.Contains(fmt.Sprint(err), "23514") {
			t.Errorf("%s: got %v, want a check violation", statement, err)
		}
	}
}
