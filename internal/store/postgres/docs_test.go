package postgres_test

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// snippet is the SQL that docs/store.md shows behind a mark.
func snippet(t *testing.T, mark string) string {
	t.Helper()
	return snippetOf(t, "store.md", mark)
}

func snippetOf(t *testing.T, file, mark string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- checked by the tests: "+mark+" -->\n```sql\n")
	sql, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("docs/%s has no snippet %s", file, mark)
	}
	return sql
}

func TestTheDocumentedRolesMayDoTheirWorkAndNoMore(t *testing.T) {
	server := pgtest.Shared(t)
	admin := server.Database(t)
	name := server.Psql(t, admin, `SELECT current_database()`)
	t.Cleanup(func() {
		for _, role := range []string{"crm_reader", "crm_decider", "crm_auditor", "crm_operator", "crm_owner"} {
			server.Psql(t, admin, `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role)
		}
	})
	first, second, _ := strings.Cut(snippet(t, "roles"), "-- After")
	operator, reader := server.DSN("crm_operator", "choose one", name), server.DSN("crm_reader", "choose another", name)

	server.Psql(t, admin, first)
	s, err := postgres.Open(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server.Psql(t, admin, "-- After"+second)
	now := schedule.Instant(1_700_000_000)
	oneGrant(t, s, schedule.Window{NotBefore: now, NotAfter: schedule.Forever})
	accounts(t, s, "tang-yue")
	if got := server.Psql(t, reader, `SELECT user_name, owner_name FROM crm_access.live_grants`); got != "li-ting|grant-00000" {
		t.Errorf("the reader sees %q", got)
	}
	for _, statement := range []string{
		`SELECT FROM crm_access.holder`, `SELECT FROM crm_access.tenant`, `SELECT FROM crm_access.ledger`, `SELECT FROM crm_access.token_key`,
		`SELECT crm_access.mint_token('huayue', 'li-ting', interval '1 minute')`, `DELETE FROM crm_access.live_holders`,
		`INSERT INTO crm_access.holder DEFAULT VALUES`, `CREATE TABLE crm_access.x ()`,
	} {
		if _, err := server.TryPsql(reader, statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("reader: %s: got %v", statement, err)
		}
	}
	decides(t, server, server.DSN("crm_decider", "choose one more", name))
	audits(t, server, server.DSN("crm_auditor", "choose the last", name))

	server.Psql(t, admin, snippet(t, "strict"))
	strict, err := postgres.Open(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	read, err := strict.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	// An insert, an update, a delete and a settling.
	rows := grants(t, 1, schedule.Window{NotBefore: now, NotAfter: now + 1})
	committed, err := strict.Commit(t.Context(), store.Commit{Expect: read, Changes: store.Diff(grants(t, 1, schedule.Window{NotBefore: now, NotAfter: schedule.Forever}), rows)})
	if err != nil || len(committed.Changes) != 1 {
		t.Fatal(committed.Changes, err)
	}
	if settled, err := strict.Settle(t.Context(), committed.Tenant); err != nil || len(settled.Changes) != 2 || settled.Tenant.Tampered != 0 {
		t.Fatal(settled, err)
	}
	if _, err := strict.Load(t.Context(), tenant); err != nil {
		t.Error(err)
	}
	if err := strict.RotateTokenKey(t.Context(), tenant); err != nil {
		t.Error(err)
	}
	// The functions have gone to the new owner with the tables, and still read them for whoever may not.
	made := server.Psql(t, admin, `SELECT crm_access.mint_token('huayue', 'li-ting', interval '1 minute')`)
	if got := server.Psql(t, reader, `SELECT set_config('crm_access.token', '`+made+`', false); SELECT crm_access.subject('huayue'), decision FROM crm_access.decide('read', 'customer')`); !strings.HasSuffix(got, "\nli-ting|deny") {
		t.Errorf("under the strict owner: %q", got)
	}
	if got, err := strict.Reserve(t.Context(), tenant, export(1, 100)); err != nil || !got.OK {
		t.Error(got, err)
	}
	makesRuntimeFacts(t, strict, read.Now)
	if n, err := strict.Forget(t.Context(), tenant, store.Retention{Ended: -2 * time.Hour, Logged: -2 * time.Hour}); err != nil || n == 0 {
		t.Errorf("forgot %d, %v", n, err)
	}
	for _, statement := range []string{
		`DELETE FROM crm_access.ledger`, `UPDATE crm_access.ledger SET cause = ''`, `UPDATE crm_access.decision SET effect = ''`, `TRUNCATE crm_access.ledger`, `TRUNCATE crm_access.holder`,
		`DELETE FROM crm_access.tenant`, `INSERT INTO crm_access.schema_version VALUES (2)`, `CREATE TABLE crm_access.x ()`, `SET session_replication_role = replica`,
	} {
		if _, err := server.TryPsql(operator, statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("operator: %s: got %v", statement, err)
		}
	}
	if _, err := server.TryPsql(operator, `ALTER TABLE crm_access.ledger DISABLE TRIGGER ALL`); err == nil || !strings.Contains(err.Error(), "must be owner") {
		t.Errorf("operator disables triggers: got %v", err)
	}
	server.Psql(t, admin, `DELETE FROM crm_access.schema_version`)
	if _, err := postgres.Open(t.Context(), operator); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "42501") {
		t.Errorf("a migration by the strict operator: got %v, want ErrSchema (42501)", err)
	}
}

// audits says that a role reads all content, and neither keys nor what people make while the CRM runs.
func audits(t *testing.T, server *pgtest.Server, dsn string) {
	t.Helper()
	s, err := postgres.Attach(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if tenants, err := s.Tenants(t.Context()); err != nil || len(tenants) != 1 {
		t.Errorf("the auditor sees %d tenants, %v", len(tenants), err)
	}
	if content, err := s.Load(t.Context(), tenant); err != nil || len(content.Rows) == 0 {
		t.Errorf("the auditor reads %d rows, %v", len(content.Rows), err)
	}
	for _, statement := range []string{
		`SELECT FROM crm_access.token_key`, `SELECT FROM crm_access.share`, `SELECT FROM crm_access.decision`, `DELETE FROM crm_access.holder`,
		`UPDATE crm_access.tenant SET brake = ''`, `CREATE TABLE crm_access.x ()`,
	} {
		if _, err := server.TryPsql(dsn, statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("auditor: %s: got %v", statement, err)
		}
	}
}

// accounts gives people accounts in use.
func accounts(t *testing.T, s store.Store, people ...string) {
	t.Helper()
	held, err := s.Tenant(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), store.Commit{Expect: held, Changes: store.Diff(nil, accountRows(t, people...)), Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
}

func accountRows(t *testing.T, people ...string) map[store.RowID]string {
	t.Helper()
	var facts access.Facts
	for _, person := range people {
		facts.Users = append(facts.Users, access.UserFact{
			Owner: access.Ref{Kind: access.KindUser, Name: person}, User: person, Type: access.UserEmployee, State: access.StateActive,
		})
	}
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	return store.Index(rows)
}

// decides checks that a role may load, reserve and keep what people make, and write nothing else.
func decides(t *testing.T, server *pgtest.Server, dsn string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	content, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int64{3, 4} {
		if got, err := s.Reserve(t.Context(), tenant, export(rows, 7)); err != nil || !got.OK {
			t.Fatal(got, err)
		}
	}
	if used, err := s.Used(t.Context(), tenant, "li-ting", export(1, 7).Limits); err != nil || used[0] != 7 {
		t.Errorf("used %v, %v", used, err)
	}
	makesRuntimeFacts(t, s, content.Tenant.Now)
	if _, err := s.Commit(t.Context(), store.Commit{Expect: content.Tenant, Changes: store.Diff(store.Index(content.Rows), nil)}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit: got %v, want ErrUnavailable", err)
	}
	if keys, err := s.TokenKeys(t.Context(), tenant); err != nil || len(keys) != 1 {
		t.Errorf("keys %v, %v", keys, err)
	}
	if err := s.RotateTokenKey(t.Context(), tenant); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("rotate: got %v, want ErrUnavailable", err)
	}
	for _, statement := range []string{
		`DELETE FROM crm_access.usage`, `DELETE FROM crm_access.holder`, `UPDATE crm_access.tenant SET fence = 9`, `INSERT INTO crm_access.ledger DEFAULT VALUES`,
		`DELETE FROM crm_access.share`, `UPDATE crm_access.share SET recipient = 'han-dong'`, `UPDATE crm_access.answer SET approves = true`,
		`UPDATE crm_access.request SET subject = 'han-dong'`, `DELETE FROM crm_access.request`, `DELETE FROM crm_access.answer`,
		`UPDATE crm_access.decision SET effect = 'ALLOW'`, `DELETE FROM crm_access.decision`, `TRUNCATE crm_access.decision`,
	} {
		if _, err := server.TryPsql(dsn, statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("decider: %s: got %v", statement, err)
		}
	}
}

// makesRuntimeFacts makes and uses one of each.
func makesRuntimeFacts(t *testing.T, s store.Store, now time.Time) {
	t.Helper()
	end := schedule.Window{NotAfter: schedule.At(now) + 3600}
	share, err := s.MakeShare(t.Context(), tenant, store.Share{Reason: "holiday", ShareFact: access.ShareFact{
		Maker: "li-ting", Recipient: "tang-yue", Object: "customer", Record: "c-1", Actions: []string{"read"}, Window: end}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	request, err := s.Ask(t.Context(), tenant, store.Request{Operation: store.Operation{Subject: "li-ting", Action: "transfer", Object: "customer"},
		Question: []byte(`{}`), Window: end})
	if err != nil {
		t.Fatal(err)
	}
	consumption := store.Consumption{Subject: "li-ting", Requests: []string{request.ID}}
	if err := errors.Join(
		s.EndShare(t.Context(), tenant, share.ID, "li-ting"),
		s.Answer(t.Context(), tenant, request.ID, store.Answer{Approver: "chen-mo", Approves: true}),
		s.Log(t.Context(), tenant, []store.Decision{{At: schedule.At(now), Subject: "li-ting", Effect: "DENY"}}),
	); err != nil {
		t.Fatal(err)
	}
	if used, err := s.Consume(t.Context(), tenant, consumption); err != nil || !used.OK {
		t.Fatal(used, err)
	}
}

func TestTheDocumentedStatementIsTheOneThatReserves(t *testing.T) {
	source, err := os.ReadFile("usage.go")
	if err != nil {
		t.Fatal(err)
	}
	if documented := strings.TrimSpace(snippet(t, "reserve")); !strings.Contains(string(source), "reserve = `\n"+documented+"`") {
		t.Errorf("docs/store.md shows another statement:\n%s", documented)
	}
}

func TestTheDocumentedRemovalOfWhatWasUsedLeavesWhatCounts(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	read, err := s.Tenant(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	at := (schedule.At(read.Now)/60 + 60) * 60
	h.Advance(t, tenant, at)
	if got, err := s.Reserve(t.Context(), tenant, export(1, 10)); err != nil || !got.OK {
		t.Fatal(got, err)
	}
	for _, step := range []struct {
		after schedule.Instant
		left  int
	}{{0, 1}, {86400 + 59, 1}, {86400 + 120, 0}} {
		h.Advance(t, tenant, at+step.after)
		h.must(t, snippet(t, "usage"))
		if left := h.Query(t, `SELECT user_name FROM crm_access.usage`); len(left) != step.left {
			t.Errorf("%d seconds later: %v left, want %d", step.after, left, step.left)
		}
	}
}

func TestTheDocumentedQueryFindsTheFirstBrokenLink(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	for _, granted := range []map[store.RowID]string{nil, grants(t, 2, schedule.Unbounded), nil} {
		content, err := s.Load(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		rows := accountRows(t, "li-ting", "tang-yue")
		maps.Copy(rows, granted)
		if _, err := s.Commit(t.Context(), store.Commit{Expect: content.Tenant, Changes: store.Diff(store.Index(content.Rows), rows), Cause: "pass <&> \u2028"}); err != nil {
			t.Fatal(err)
		}
		makesRuntimeFacts(t, s, content.Tenant.Now)
	}
	query := snippet(t, "verify")
	if broken := h.Query(t, query); len(broken) != 0 {
		t.Fatalf("broken at %v", broken)
	}
	h.UnlockLedger(t)
	for _, step := range []struct{ tamper, want string }{
		{`DELETE FROM crm_access.ledger WHERE revision = 4`, "[[ ]]"},
		{`UPDATE crm_access.ledger SET body = body || ' ' WHERE revision = 3`, "[[1 3]]"},
		{`DELETE FROM crm_access.ledger WHERE revision = 1`, "[[1 2]]"},
	} {
		h.must(t, step.tamper)
		if got := strings.ReplaceAll(strings.Join(flat(h.Query(t, query)), ","), "\n", ""); got != step.want {
			t.Errorf("%s: got %s, want %s", step.tamper, got, step.want)
		}
	}
}

// flat prints rows.
func flat(rows [][]string) []string {
	var lines []string
	for _, row := range rows {
		lines = append(lines, "[["+strings.Join(row, " ")+"]]")
	}
	return lines
}
