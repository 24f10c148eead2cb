package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

const tenant = "huayue"

var owner = store.Owner{Cluster: "cluster", Namespace: "namespace"}

// oneGrant is a tenant in which li-ting may read customers in a window.
func oneGrant(t testing.TB, s store.Store, window schedule.Window) store.Tenant {
	t.Helper()
	claimed, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, grants(t, 1, window)), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
	return committed.Tenant
}

// grants are n temporary grants, each with a tuple of its own, all of li-ting's.
func grants(t testing.TB, n int, window schedule.Window) map[store.RowID]string {
	t.Helper()
	facts := access.Facts{
		Objects: []access.ObjectFact{{Owner: access.Ref{Kind: access.KindObjectType, Name: "customer"}, Object: "customer", Enabled: true, Actions: []string{"read"}}},
		Users:   []access.UserFact{{Owner: access.Ref{Kind: access.KindUser, Name: "li-ting"}, User: "li-ting", Type: access.UserEmployee, State: access.StateActive}},
	}
	for i := range n {
		owner := access.Ref{Kind: access.KindTemporaryGrant, Name: fmt.Sprintf("grant-%05d", i)}
		bundle := owner.String() + "/0a1b2c3d4e5f"
		facts.Tuples = append(facts.Tuples, access.TupleFact{Owner: owner, Bundle: bundle, Path: owner.Name, Tuple: &access.Tuple{
			Digest: "0a1b2c3d4e5f", Origin: owner.Name, Object: "customer", Actions: []string{"read"}, Owners: []string{"wang-lei"},
			Fields: []access.RuleFact{{Class: "confidential", Level: "masked"}},
		}})
		facts.Holders = append(facts.Holders, access.HolderFact{Owner: owner, User: "li-ting", Bundle: bundle, Window: window})
	}
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	return store.Index(rows)
}

func TestAccessEndsOnTimeInsideWhatTakesLonger(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	claimed, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	// Real time has to pass here: statement_timestamp() and now() are told from clock_timestamp() by nothing else.
	end := schedule.At(claimed.Now) + 2
	oneGrant(t, s, schedule.Window{NotBefore: schedule.Always, NotAfter: end})

	keys, err := s.TokenKeys(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	made, err := token.Mint(keys[0], tenant, "li-ting", end-2, end+600)
	if err != nil {
		t.Fatal(err)
	}
	const view = `SELECT count(*) FROM crm_access.live_grants`
	const decision = `SELECT count(*) FROM crm_access.decide('read', 'customer', '{"id": "c-1", "owner": "wang-lei"}') AS d WHERE d.decision = 'allow'`
	var all sync.WaitGroup
	for what, count := range map[string]string{"the view": view, "a decision": decision} {
		for where, run := range takingLonger(t, end, count) {
			if count == decision && where == "a REPEATABLE READ transaction" {
				continue // there a token is nobody's: TestWhoAsksIsNobodyInATransactionThatKeepsToOneSnapshot
			}
			all.Go(func() {
				conn, err := pgx.Connect(t.Context(), h.dsn)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(t.Context())
				if _, err := conn.Exec(t.Context(), `SELECT set_config('crm_access.token', $1, false)`, made); err != nil {
					t.Error(err)
				}
				if before, after, err := run(conn); err != nil || before != 1 || after != 0 {
					t.Errorf("%s in %s: %d live before the end and %d after, want 1 and 0; %v", what, where, before, after, err)
				}
			})
		}
	}
	all.Wait()
}

// takingLonger are ways to count before and after an instant in one go.
func takingLonger(t *testing.T, end schedule.Instant, count string) map[string]func(*pgx.Conn) (int, int, error) {
	wait := fmt.Sprintf(`SELECT pg_sleep_until('%s')`, end)
	inTransaction := func(level pgx.TxIsoLevel) func(*pgx.Conn) (int, int, error) {
		return func(conn *pgx.Conn) (before, after int, err error) {
			tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			if err != nil {
				return 0, 0, err
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			if err = tx.QueryRow(t.Context(), count).Scan(&before); err != nil {
				return 0, 0, err
			}
			if _, err = tx.Exec(t.Context(), wait); err != nil {
				return 0, 0, err
			}
			return before, after, tx.QueryRow(t.Context(), count).Scan(&after)
		}
	}
	inBlock := func(conn *pgx.Conn) (before, after int, err error) {
		block := strings.NewReplacer("COUNT", count, "WAIT", strings.Replace(wait, "SELECT", "PERFORM", 1)).Replace(`
DO $$
DECLARE n_before integer; n_after integer;
BEGIN
	n_before := (COUNT);
	WAIT;
	n_after := (COUNT);
	CREATE TEMPORARY TABLE counted AS SELECT n_before, n_after;
END $$`)
		if _, err = conn.Exec(t.Context(), block); err != nil {
			return 0, 0, err
		}
		return before, after, conn.QueryRow(t.Context(), `SELECT * FROM counted`).Scan(&before, &after)
	}
	return map[string]func(*pgx.Conn) (int, int, error){
		"a READ COMMITTED transaction": inTransaction(pgx.ReadCommitted), "a REPEATABLE READ transaction": inTransaction(pgx.RepeatableRead),
		"a DO block": inBlock,
	}
}

func TestRevokedAccessIsNotFoundByPsql(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	held := oneGrant(t, s, schedule.Unbounded)
	psql := func() string {
		return pgtest.Shared(t).Psql(t, h.dsn, `SELECT user_name, owner_name FROM crm_access.live_grants UNION ALL SELECT user_name, owner_name FROM crm_access.live_holders`)
	}
	if got := psql(); got != "li-ting|grant-00000\nli-ting|grant-00000" {
		t.Fatalf("before: %q", got)
	}
	rows := grants(t, 1, schedule.Unbounded)
	var changes []store.Change
	for id, body := range rows {
		if id.Table == store.TableUser {
			changes = append(changes, store.Change{RowID: id, Before: body, After: strings.Replace(body, `"revoked_by":""`, `"revoked_by":"lost-laptop"`, 1)})
		}
	}
	if _, err := s.Commit(t.Context(), store.Commit{Expect: held, Changes: changes, Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
	if got := psql(); got != "" {
		t.Errorf("after the revocation: %q", got)
	}
}

func TestTheClockIsReadOnceInAQuery(t *testing.T) {
	h := newHarness(t)
	for _, query := range []string{
		`SELECT * FROM crm_access.live_grants`,
		`SELECT * FROM crm_access.live_grants WHERE tenant = 'huayue' AND user_name = 'li-ting' AND object = 'customer'`,
		`SELECT * FROM crm_access.live_holders WHERE tenant = 'huayue'`,
	} {
		plan := h.Query(t, `EXPLAIN (VERBOSE, COSTS OFF) `+query)
		found := 0
		for i := range plan {
			if strings.Contains(plan[i][0], "clock_timestamp()") {
				found++
				if !underInitPlan(plan, i) {
					t.Errorf("%s: the clock is read for each row:\n%v", query, plan)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: the plan does not read the clock:\n%v", query, plan)
		}
	}
}

// underInitPlan says whether a line of a plan belongs to an InitPlan: it or a line that it is indented under.
func underInitPlan(plan [][]string, line int) bool {
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	for level := indent(plan[line][0]); line >= 0; line-- {
		if at := indent(plan[line][0]); at < level {
			level = at
			if strings.Contains(plan[line][0], "InitPlan") {
				return true
			}
		}
	}
	return false
}
