package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// refusal is the error that the application gets.
func (c *crm) refusal(t *testing.T, statement string) *pgconn.PgError {
	t.Helper()
	_, err := c.app.Exec(t.Context(), statement)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		t.Fatalf("%s: %v", statement, err)
	}
	return refused
}

func TestARowThatBreaksAConstraintIsNotShown(t *testing.T) {
	c := shop(t)
	c.do(t, `ALTER TABLE crm.customer ADD CONSTRAINT known_region CHECK (region <> 'x'), ALTER name SET NOT NULL`)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	for statement, want := range map[string]pgconn.PgError{
		`UPDATE crm_masked_huayue.customer SET region = 'x' WHERE id = 27`:        {Code: "23514", ConstraintName: "known_region"},
		`UPDATE crm_masked_huayue.customer SET name = NULL WHERE id = 27`:         {Code: "23502", ColumnName: "name"},
		`UPDATE crm_masked_huayue.customer SET name = 'eighteen' WHERE id = 27`:   {Code: "23505", ConstraintName: "customer_name_key"},
		`UPDATE crm.customer SET region = 'x' WHERE id = 27`:                      {Code: "23514", ConstraintName: "known_region"},
		`UPDATE crm_masked_huayue.customer SET region = 'x' WHERE id IN (27, 17)`: {Code: "23514", ConstraintName: "known_region"},
	} {
		got := c.refusal(t, statement)
		if got.Code != want.Code || got.ConstraintName != want.ConstraintName || want.ColumnName != "" && got.ColumnName != want.ColumnName {
			t.Errorf("%s: got %s of constraint %q, column %q", statement, got.Code, got.ConstraintName, got.ColumnName)
		}
		for _, hidden := range []string{"2700", "huayue, ", "Failing row", "eighteen"} {
			if all := got.Message + got.Detail + got.Hint; strings.Contains(all, hidden) {
				t.Errorf("%s: shows %q: %s", statement, hidden, all)
			}
		}
	}
	c.each(t, [][2]string{{`UPDATE crm_masked_huayue.customer SET region = 'north' WHERE id = 27 RETURNING region`, "north"}})
}

func TestWritingAGuessTellsNothing(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	for _, guesses := range [][2]string{
		{`UPDATE crm_masked_huayue.customer SET credit_limit = 2700 WHERE id = 27`, `UPDATE crm_masked_huayue.customer SET credit_limit = 2701 WHERE id = 27`},
		{`UPDATE crm_masked_huayue.customer SET phone_no = '13800000017' WHERE id = 17`, `UPDATE crm_masked_huayue.customer SET phone_no = '13800000018' WHERE id = 17`},
	} {
		right, wrong := c.refusal(t, guesses[0]), c.refusal(t, guesses[1])
		if right.Code != "42501" || right.Message != wrong.Message || right.Detail != wrong.Detail || right.Code != wrong.Code {
			t.Errorf("%s: %v, but %v of a wrong guess", guesses[0], right, wrong)
		}
	}
	// What was shown comes back, and what may be changed is.
	c.each(t, [][2]string{
		{`UPDATE crm_masked_huayue.customer SET phone_no = '138****0017', credit_limit = NULL WHERE id = 17 RETURNING id`, "17"},
		{`UPDATE crm_masked_huayue.customer SET region = 'west' WHERE id = 27 RETURNING region`, "west"},
	})
}

func TestRowsThatAreNotShownAreNotFoundByAStatementWithoutAWhere(t *testing.T) {
	c := shop(t, func(d *access.Declarations) {
		d.Guardrails = append(d.Guardrails, &access.Guardrail{Name: "no-regions", Rules: []access.GuardrailRule{{
			Cap: &access.CapRule{Objects: []string{"customer"}, Fields: []string{"region"}, Level: "none"},
		}}})
	})
	c.enforced(t)
	c.as(t, "user-0007", nil)
	for _, statement := range []string{`UPDATE crm.customer SET region = 'zzz'`, `UPDATE crm.customer SET region = 'east'`, `DELETE FROM crm.customer`} {
		tag, err := c.app.Exec(t.Context(), statement)
		if err != nil || tag.RowsAffected() != 0 {
			t.Errorf("%s: %v, %v", statement, tag, err)
		}
	}
}

func TestFieldsAndOwnerAreNotChangedInOneStatement(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0007", nil)
	both := c.refusal(t, `UPDATE crm_masked_huayue.customer SET region = 'north', owner_id = 'user-0047' WHERE id = 27`)
	if both.Code != "42501" || !strings.Contains(both.Message, "write one, then the other") {
		t.Errorf("both at once: %v", both)
	}
	c.each(t, [][2]string{
		{`SELECT region, owner_id FROM crm_masked_huayue.customer WHERE id = 27`, "west user-0027"},
		{`UPDATE crm_masked_huayue.customer SET region = 'north', owner_id = owner_id WHERE id = 27 RETURNING region`, "north"},
		{`UPDATE crm_masked_huayue.customer SET owner_id = 'user-0047', region = region WHERE id = 27 RETURNING owner_id`, "user-0047"},
	})
}

func TestTheOperatorsTriggersRunNobodysCode(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	// Whoever may attach them to what is their own: the right to do so is one thing, what they do there another.
	c.do(t, `GRANT EXECUTE ON FUNCTION crm_access.guard_row(), crm_access.write_row() TO PUBLIC`)
	c.as(t, "user-0007", nil)
	if _, err := c.app.Exec(t.Context(), `
CREATE TYPE pg_temp.evil AS ENUM ('a', 'b');
CREATE FUNCTION pg_temp.go(pg_temp.evil) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ran as %', current_user; END $$;
CREATE CAST (pg_temp.evil AS json) WITH FUNCTION pg_temp.go(pg_temp.evil);
CREATE TEMP TABLE customer (id bigint, org text, e pg_temp.evil);
CREATE TRIGGER g BEFORE INSERT ON pg_temp.customer FOR EACH ROW EXECUTE FUNCTION crm_access.guard_row();
CREATE TEMP VIEW masked AS SELECT 17::bigint AS id, 'a'::pg_temp.evil AS e;
CREATE TRIGGER w INSTEAD OF INSERT OR UPDATE OR DELETE ON pg_temp.masked FOR EACH ROW EXECUTE FUNCTION crm_access.write_row('huayue', 'customer')`); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO pg_temp.customer VALUES (1, 'huayue', 'a')`, `INSERT INTO pg_temp.masked VALUES (1, 'a')`,
		`UPDATE pg_temp.masked SET e = 'b'`, `DELETE FROM pg_temp.masked`,
	} {
		if got := c.refusal(t, statement); got.Code != "42501" {
			t.Errorf("%s: %v", statement, got)
		}
	}
	c.each(t, [][2]string{{`UPDATE crm_masked_huayue.customer SET region = 'north' WHERE id = 27 RETURNING region`, "north"}})
}

func TestTheLastIDIsOneOfTheTenants(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	c.as(t, "user-0000", nil)
	c.each(t, [][2]string{{`SELECT crm_access.last_id('huayue', 'customer', 'read', NULL, NULL, NULL)`, "101"}})
}

func TestARowIsComparedAlikeWhateverTheSessionSets(t *testing.T) {
	h := newHarness(t)
	h.Open(t)
	const row = ` FROM (SELECT 1.4::float8 + 0.0000000001 AS score, 0.1::float4 AS part, timestamptz '2026-11-24 18:00:00+00' AS at,
		interval '1 day 2 hours' AS span, '\x00ff'::bytea AS raw, date '2026-11-24' AS day, timestamp '2026-11-24 18:00:00' AS local) AS r`
	read := func(function string) string { return h.Query(t, `SELECT `+function+`(r)::text`+row)[0][0] }
	want := read("crm_access.row_of")
	for setting, follows := range map[string]bool{
		`extra_float_digits = -15`: true, `TimeZone = 'Asia/Shanghai'`: true, `IntervalStyle = 'sql_standard'`: true, `bytea_output = 'escape'`: true,
		`DateStyle = 'German, DMY'`: false, `search_path = pg_temp`: false,
	} {
		h.must(t, `RESET ALL`)
		plain := read("to_jsonb")
		h.must(t, `SET `+setting)
		if got := read("crm_access.row_of"); got != want {
			t.Errorf("with %s: %s, want %s", setting, got, want)
		}
		if (read("to_jsonb") != plain) != follows {
			t.Errorf("what is compared with does not follow %s as expected: this shows nothing", setting)
		}
	}
}
