package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// shop is a company with a handful of customers: li-ting (user-0007, manager of department sales-7) has 7 and 27, and by
// grants 101's customers and those with id 17; the director, user-0000, sees all of them.
func shop(t *testing.T, change ...func(*access.Declarations)) *crm {
	t.Helper()
	d := salesCompany()
	for _, c := range change {
		c(&d)
	}
	c := newCRM(t, d, `
CREATE TABLE crm.customer (id bigint PRIMARY KEY, org text NOT NULL, owner_id text, dept text, name text UNIQUE, region text, phone_no text, credit_limit numeric);
INSERT INTO crm.customer VALUES
	(7, 'huayue', 'user-0007', 'sales-7', 'seven', 'east', '13800000007', 700), (27, 'huayue', 'user-0027', 'sales-7', 'twenty-seven', 'west', '13800000027', 2700),
	(101, 'huayue', 'user-0101', 'sales-1', 'one-o-one', 'east', '13800000101', 10100), (17, 'huayue', 'user-0017', 'sales-17', 'seventeen', 'east', '13800000017', 1700),
	(18, 'huayue', 'user-0018', 'sales-18', 'eighteen', 'east', '13800000018', 1800), (900, 'qingyun', 'user-0007', 'sales-7', 'theirs', 'east', '13800000900', 1)`)
	c.at(t, 1_800_000_000)
	return c
}

// ask is what the application is shown, each row as its values joined, or the SQLSTATE.
func (c *crm) ask(t *testing.T, query string, args ...any) string {
	t.Helper()
	rows, err := c.app.Query(t.Context(), query, args...)
	var lines []string
	if err == nil {
		lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			values, err := row.Values()
			line := make([]string, len(values))
			for i, v := range values {
				if line[i] = "–"; v != nil {
					line[i] = fmt.Sprint(v)
				}
			}
			return strings.Join(line, " "), err
		})
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(lines, "|")
}

// each asks one thing after another, and wants what stands beside it.
func (c *crm) each(t *testing.T, asked [][2]string) {
	t.Helper()
	for _, a := range asked {
		if got := c.ask(t, a[0]); got != a[1] {
			t.Errorf("%s: got %q, want %q", a[0], got, a[1])
		}
	}
}

func TestTheApplicationSeesWhatItsUserMaySee(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	c.each(t, [][2]string{
		{`SELECT id FROM crm.customer ORDER BY id`, "7|17|27|101"},
		{`SELECT count(*) FROM crm.customer`, "4"},
		{`SELECT id, name, phone_no, credit_limit FROM crm_masked_huayue.customer ORDER BY id`,
			"7 seven 13800000007 –|17 seventeen 138****0017 –|27 twenty-seven 13800000027 –|101 one-o-one 138****0101 –"},
		{`SELECT phone_no FROM crm.customer`, "42501"},
		{`SELECT * FROM crm.customer`, "42501"},
		{`SELECT id FROM crm.customer WHERE org = 'qingyun'`, "42501"},
	})
	c.as(t, "user-0000", nil)
	c.each(t, [][2]string{
		{`SELECT id FROM crm.customer ORDER BY id`, "7|17|18|27|101"},
		{`SELECT phone_no FROM crm_masked_huayue.customer WHERE id = 18`, "138****0018"},
	})
	c.as(t, "user-1999", nil)
	c.each(t, [][2]string{{`SELECT id FROM crm.customer`, ""}, {`SELECT id FROM crm_masked_huayue.customer`, ""}})
}

func TestAccessToRowsEndsOnTimeWithNobodyThere(t *testing.T) {
	c := shop(t, func(d *access.Declarations) {
		d.TemporaryGrants[0].Window.NotAfter = 1_800_000_100
		d.TemporaryGrants[1].Window = schedule.Window{NotBefore: 1_800_000_050, NotAfter: 1_800_000_200}
	})
	c.enforced(t)
	for now, want := range map[schedule.Instant]string{1_800_000_049: "7|27|101", 1_800_000_050: "7|17|27|101", 1_800_000_099: "7|17|27|101", 1_800_000_100: "7|17|27", 1_800_000_200: "7|27"} {
		c.at(t, now)
		c.as(t, "user-0007", nil)
		c.each(t, [][2]string{{`SELECT id FROM crm.customer ORDER BY id`, want}, {`SELECT id FROM crm_masked_huayue.customer ORDER BY id`, want}})
	}
}

func TestAccessToRowsEndsInsideATransactionAndInsideABlock(t *testing.T) {
	c := shop(t, func(d *access.Declarations) { d.TemporaryGrants[0].Window.NotAfter = 1_800_000_100 })
	c.enforced(t)
	const seen = `SELECT (SELECT count(*) FROM crm.customer) || ' ' || (SELECT count(*) FROM crm_masked_huayue.customer)`
	c.as(t, "user-0007", nil)
	if _, err := c.app.Exec(t.Context(), `BEGIN; PREPARE seen AS `+seen); err != nil {
		t.Fatal(err)
	}
	c.each(t, [][2]string{{`EXECUTE seen`, "4 4"}})
	c.at(t, 1_800_000_100)
	c.each(t, [][2]string{{`EXECUTE seen`, "3 3"}, {`COMMIT`, ""}})

	// A block is one statement to the server: its clock stands still. The application waits in it for a lock.
	c.at(t, 1_800_000_099)
	c.do(t, `SELECT pg_advisory_lock(19)`)
	done := make(chan error, 1)
	go func() {
		_, err := c.app.Exec(t.Context(), `DO $$ DECLARE before text; BEGIN
			before := (`+seen+`);
			PERFORM pg_advisory_lock(19);
			PERFORM set_config('test.seen', before || ', ' || (`+seen+`), false);
		END $$`)
		done <- err
	}()
	for waiting := false; !waiting; {
		if err := c.hand.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	c.at(t, 1_800_000_100)
	c.do(t, `SELECT pg_advisory_unlock(19)`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.each(t, [][2]string{{`SELECT current_setting('test.seen')`, "4 4, 3 3"}})
}

func TestWhoAsksIsNobodyWithoutAGoodToken(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	good, err := token.Mint(c.key, tenant, "user-0007", c.now, c.now+600)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := token.Mint(c.key, "qingyun", "user-0007", c.now, c.now+600)
	if err != nil {
		t.Fatal(err)
	}
	for name, c2 := range map[string]struct{ token, want string }{
		"none":               {"", ""},
		"a bare name":        {"user-0007", ""},
		"another name on it": {strings.Replace(good, "user-0007", "user-0000", 1), ""},
		"another tenant's":   {elsewhere, ""},
		"one of the user's":  {good, "7|17|27|101"},
	} {
		if _, err := c.app.Exec(t.Context(), `SELECT set_config('crm_access.token', $1, false)`, c2.token); err != nil {
			t.Fatal(err)
		}
		if got := c.ask(t, `SELECT id FROM crm.customer ORDER BY id`); got != c2.want {
			t.Errorf("%s: sees %q, want %q", name, got, c2.want)
		}
		if got := c.ask(t, `SELECT id FROM crm_masked_huayue.customer ORDER BY id`); got != c2.want {
			t.Errorf("%s, by the view: sees %q, want %q", name, got, c2.want)
		}
	}
	c.at(t, c.now+600)
	c.each(t, [][2]string{{`SELECT id FROM crm.customer`, ""}})
}

func TestWhoInjectsSQLFindsNoMore(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	server := pgtest.Shared(t)
	if _, err := server.TryPsql(c.dsn, fmt.Sprintf(`CREATE SCHEMA mine AUTHORIZATION %s`, c.role)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.app.Exec(t.Context(), `
CREATE TABLE mine.leaked (what text);
CREATE FUNCTION mine.leak(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN INSERT INTO mine.leaked VALUES (what); RETURN true; END $$;
CREATE FUNCTION mine.leak_id(what bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN INSERT INTO mine.leaked VALUES (what::text); RETURN true; END $$;`); err != nil {
		t.Fatal(err)
	}
	c.as(t, "user-0007", nil)
	c.each(t, [][2]string{
		// What is theirs to see, by every way there is.
		{`SELECT count(*), sum(id) FROM crm.customer`, "4 {152 0 false finite true}"},
		{`WITH c AS (SELECT id FROM crm.customer) SELECT count(*) FROM c`, "4"},
		{`SELECT count(*) FROM crm.customer a JOIN crm_masked_huayue.customer b USING (id)`, "4"},
		{`SELECT count(*) FROM crm.customer WHERE mine.leak_id(id)`, "4"},
		{`SELECT string_agg(what, ' ' ORDER BY what) FROM mine.leaked`, "101 17 27 7"},
		{`SELECT count(*) FROM crm_masked_huayue.customer WHERE mine.leak(phone_no)`, "4"},
		{`SELECT count(*) FROM mine.leaked WHERE what IN ('13800000017', '13800000101', '13800000018', '13800000900')`, "0"},
		{`SELECT count(*) FROM crm_masked_huayue.customer WHERE mine.leak(credit_limit::text) AND mine.leak(name)`, "4"},
		{`SELECT count(*) FROM mine.leaked WHERE what IN ('1700', '10100', 'eighteen', 'theirs')`, "0"},
		// A masked field is found by its mask, and a hidden one by nothing.
		{`SELECT id FROM crm_masked_huayue.customer WHERE phone_no = '13800000017'`, ""},
		{`SELECT id FROM crm_masked_huayue.customer WHERE phone_no = '138****0017'`, "17"},
		{`SELECT id FROM crm_masked_huayue.customer WHERE credit_limit > 0`, ""},
		{`SELECT max(credit_limit), min(credit_limit) FROM crm_masked_huayue.customer`, "– –"},
		{`SELECT id FROM crm_masked_huayue.customer ORDER BY credit_limit, id`, "7|17|27|101"},
		{`SELECT id FROM crm.customer ORDER BY phone_no`, "42501"},
		{`SELECT id FROM crm.customer GROUP BY id, phone_no`, "42501"},
		{`SELECT id FROM crm.customer WHERE phone_no LIKE '138%'`, "42501"},
		{`SELECT c FROM crm.customer c`, "42501"},
		{`SELECT to_jsonb(c) FROM crm.customer c`, "42501"},
		{`SELECT ctid, xmin FROM crm.customer`, "42501"},
		{`TABLE crm.customer`, "42501"},
		{`SELECT id FROM crm.customer TABLESAMPLE SYSTEM (100) ORDER BY id`, "7|17|27|101"},
		// What would lift the policy.
		{`SET row_security = off; SELECT id FROM crm.customer`, "42601"},
		{`ALTER TABLE crm.customer DISABLE ROW LEVEL SECURITY`, "42501"},
		{`ALTER TABLE crm.customer OWNER TO ` + c.role, "42501"},
		{`CREATE POLICY x ON crm.customer USING (true)`, "42501"},
		{`ALTER TABLE crm.customer DISABLE TRIGGER ALL`, "42501"},
		{`SET ROLE ` + c.viewOwner, "42501"},
		{`SET SESSION AUTHORIZATION postgres`, "42501"},
		{`SET session_replication_role = replica`, "42501"},
		{`CREATE OR REPLACE VIEW crm_masked_huayue.customer AS SELECT 1 AS id`, "42501"},
		{`DROP VIEW crm_masked_huayue.customer`, "42501"},
		{`ALTER VIEW crm_masked_huayue.customer SET (security_invoker = on)`, "42501"},
		{`TRUNCATE crm.customer`, "42501"},
		{`CREATE TRIGGER x BEFORE UPDATE ON crm.customer FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`, "42501"},
		// What the functions are made of.
		{`SELECT crm_access.live_tuples('huayue', 'user-0000', 'customer', now())`, "42501"},
		{`SELECT crm_access.require('huayue', 'customer', 'read', NULL, '{}', NULL)`, "42501"},
		{`SELECT * FROM crm_access.tuple`, "42501"},
		{`SELECT * FROM crm_access.enforcement`, "42501"},
		{`SELECT * FROM pg_stats WHERE tablename = 'customer' AND schemaname = 'crm'`, ""},
	})
	if _, err := c.app.Exec(t.Context(), `SET row_security = off`); err != nil {
		t.Fatal(err)
	}
	c.each(t, [][2]string{{`SELECT id FROM crm.customer`, "42501"}, {`SELECT count(*) FROM mine.leaked WHERE what = '18'`, "0"}})
}

func TestAPreparedStatementIsTheNextUsersAfterTheTokenChanges(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	const query = `SELECT id FROM crm.customer ORDER BY id`
	for range 8 { // past the five custom plans
		c.as(t, "user-0007", nil)
		c.each(t, [][2]string{{query, "7|17|27|101"}, {`SELECT phone_no FROM crm_masked_huayue.customer WHERE id = 17`, "138****0017"}})
		c.as(t, "user-0000", nil)
		c.each(t, [][2]string{{query, "7|17|18|27|101"}})
		c.as(t, "user-0018", nil)
		c.each(t, [][2]string{{query, "18"}, {`SELECT phone_no FROM crm_masked_huayue.customer WHERE id = 17`, ""}})
	}
}

func TestCopyShowsNoMore(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	for statement, want := range map[string]string{
		`COPY (SELECT id, phone_no FROM crm_masked_huayue.customer ORDER BY id) TO STDOUT`: "7\t13800000007\n17\t138****0017\n27\t13800000027\n101\t138****0101\n",
		`COPY crm.customer (id) TO STDOUT`:                                                 "7\n27\n101\n17\n",
		`COPY crm.customer (id, phone_no) TO STDOUT`:                                       "42501",
		`COPY crm.customer TO STDOUT`:                                                      "42501",
	} {
		var out strings.Builder
		_, err := c.app.PgConn().CopyTo(t.Context(), &out, statement)
		got := out.String()
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			got = refused.Code
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", statement, got, want)
		}
	}
	if _, err := c.app.PgConn().CopyFrom(t.Context(), strings.NewReader("1\thuayue\n"), `COPY crm.customer (id, org) FROM STDIN`); err == nil {
		t.Error("COPY FROM wrote into the table")
	}
}

func TestWritingWhatWasShownChangesNothing(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	c.each(t, [][2]string{
		{`UPDATE crm_masked_huayue.customer SET phone_no = phone_no, credit_limit = credit_limit, region = 'south' WHERE id = 27 RETURNING region`, "south"},
		{`UPDATE crm_masked_huayue.customer SET phone_no = '13911111111' WHERE id = 27`, "42501"},
		{`UPDATE crm_masked_huayue.customer SET credit_limit = 1 WHERE id = 27`, "42501"},
		{`UPDATE crm_masked_huayue.customer SET owner_id = 'user-0047' WHERE id = 27 RETURNING owner_id`, "user-0047"},
		{`UPDATE crm_masked_huayue.customer SET id = 28 WHERE id = 27`, "42501"},
		{`UPDATE crm_masked_huayue.customer SET phone_no = '138****0017' WHERE id = 17`, ""},
		{`UPDATE crm_masked_huayue.customer SET region = 'south' WHERE id = 17`, "42501"},
		{`UPDATE crm_masked_huayue.customer SET region = 'south' WHERE id = 18 RETURNING id`, ""},
		{`DELETE FROM crm_masked_huayue.customer WHERE id = 27`, "42501"},
		{`UPDATE crm.customer SET region = 'north' WHERE id = 27 RETURNING id`, "27"},
		{`UPDATE crm.customer SET region = 'north' WHERE id = 18 RETURNING id`, ""},
		{`UPDATE crm.customer SET phone_no = '1' WHERE id = 27`, "42501"},
		{`UPDATE crm.customer SET owner_id = 'user-0007' WHERE id = 27`, "42501"},
		{`UPDATE crm.customer SET org = 'qingyun' WHERE id = 27`, "42501"},
		{`DELETE FROM crm.customer`, ""},
		{`INSERT INTO crm.customer (id, org, name) VALUES (1, 'huayue', 'mine')`, "42501"},
		{`INSERT INTO crm_masked_huayue.customer (id, name) VALUES (1, 'mine')`, "42501"},
	})
	got := pgtest.Shared(t).Psql(t, c.dsn, `SELECT id, org, owner_id, region, phone_no, credit_limit FROM crm.customer WHERE id IN (17, 18, 27) ORDER BY id`)
	want := "17|huayue|user-0017|east|13800000017|1700\n18|huayue|user-0018|east|13800000018|1800\n27|huayue|user-0047|north|13800000027|2700"
	if got != want {
		t.Errorf("the table holds %q, want %q", got, want)
	}
}

func TestAConstraintRevealsExistenceAndNothingElse(t *testing.T) {
	c := shop(t, func(d *access.Declarations) {
		d.Roles[0].Grants[0].Actions = append(d.Roles[0].Grants[0].Actions, access.ActionCreate)
	})
	c.enforced(t)
	c.as(t, "user-0007", nil)
	for statement, want := range map[string]string{
		`INSERT INTO crm_masked_huayue.customer (id, owner_id, name) VALUES (1, 'user-0007', 'eighteen') RETURNING id`:                             "23505",
		`INSERT INTO crm_masked_huayue.customer (id, owner_id, name) VALUES (1, 'user-0007', 'mine') RETURNING id`:                                 "1",
		`INSERT INTO crm_masked_huayue.customer (id, owner_id, name) VALUES (2, 'user-0018', 'not mine')`:                                          "42501",
		`INSERT INTO crm.customer (id, org, owner_id, name) VALUES (18, 'huayue', 'user-0007', 'x') ON CONFLICT (id) DO UPDATE SET name = 'taken'`: "42501",
	} {
		if got := c.ask(t, statement); got != want {
			t.Errorf("%s: got %s, want %s", statement, got, want)
		}
	}
}

func TestTwoTenantsShareATableAndSeeTheirOwn(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	claimed, err := c.s.Claim(t.Context(), "qingyun", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	d := salesCompany()
	d.ObjectTypes[0].Storage.TenantValue = "qingyun"
	d.ObjectTypes[0].Fields[3].Class = access.ClassConfidential // region
	rows, err := store.Encode(access.Resolve(d).Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := c.s.(enforcer).Enforce(t.Context(), "qingyun", store.Enforcement{Roles: []string{c.role}, ViewOwner: c.viewOwner})
	if err != nil || outcomes["customer"].Reason != store.EnforcedByTable {
		t.Fatal(outcomes, err)
	}
	c.at(t, c.now)
	c.as(t, "user-0007", nil)
	c.each(t, [][2]string{
		{`SELECT id FROM crm.customer ORDER BY id`, "7|17|27|101"},
		{`SELECT region FROM crm.customer WHERE id = 7`, "42501"}, // no tenant's that hides it is to be read by way of another's
		{`SELECT region FROM crm_masked_huayue.customer WHERE id = 7`, "east"},
		{`SELECT id FROM crm_masked_qingyun.customer`, ""},
	})
	keys, err := c.s.TokenKeys(t.Context(), "qingyun")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := token.Mint(keys[0], "qingyun", "user-0007", c.now, c.now+60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.app.Exec(t.Context(), `SELECT set_config('crm_access.token', $1, false)`, theirs); err != nil {
		t.Fatal(err)
	}
	c.each(t, [][2]string{{`SELECT id FROM crm.customer`, "900"}, {`SELECT id FROM crm_masked_huayue.customer`, ""}, {`SELECT id FROM crm_masked_qingyun.customer`, "900"}})
}
