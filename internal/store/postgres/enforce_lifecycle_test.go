package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// outcome is how it stands with customers' table.
func (c *crm) outcome(t *testing.T) store.Enforced {
	t.Helper()
	return c.enforce(t, c.role)["customer"]
}

func TestATableThatCannotEnforceSaysWhyAndIsLeftAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		prepare string
		change  func(*access.Declarations)
		want    store.EnforcedReason
		mend    string
	}{
		"a table that is not there":            {"ALTER TABLE crm.customer RENAME TO customers", nil, store.EnforcedNoTable, "ALTER TABLE crm.customers RENAME TO customer"},
		"a column that is not there":           {"ALTER TABLE crm.customer RENAME phone_no TO phone", nil, store.EnforcedNoTable, "ALTER TABLE crm.customer RENAME phone TO phone_no"},
		"an owner that is a number":            {"ALTER TABLE crm.customer ALTER owner_id TYPE int USING 1", nil, store.EnforcedUnsuited, "ALTER TABLE crm.customer ALTER owner_id TYPE text"},
		"a tenant column that is a number":     {"ALTER TABLE crm.customer ALTER org TYPE int USING 1", nil, store.EnforcedUnsuited, "ALTER TABLE crm.customer ALTER org TYPE text USING 'huayue'"},
		"a tenant column that pads its values": {"ALTER TABLE crm.customer ALTER org TYPE char(8)", nil, store.EnforcedUnsuited, "ALTER TABLE crm.customer ALTER org TYPE text"},
		"a field that is a float":              {"ALTER TABLE crm.customer ALTER credit_limit TYPE float8", nil, store.EnforcedUnsuited, "ALTER TABLE crm.customer ALTER credit_limit TYPE numeric"},
		"a field in the session's time zone":   {"ALTER TABLE crm.customer ALTER region TYPE timestamptz USING now()", nil, store.EnforcedUnsuited, "ALTER TABLE crm.customer ALTER region TYPE timestamp"},
		"a table with a child":                 {"CREATE TABLE crm.kid () INHERITS (crm.customer)", nil, store.EnforcedShared, "ALTER TABLE crm.kid NO INHERIT crm.customer"},
		"a table with a parent":                {"CREATE TABLE crm.all_of_them (region text); ALTER TABLE crm.customer INHERIT crm.all_of_them", nil, store.EnforcedShared, "ALTER TABLE crm.customer NO INHERIT crm.all_of_them"},
		"a table that is partitioned": {"ALTER TABLE crm.customer RENAME TO customers; CREATE TABLE crm.customer (LIKE crm.customers) PARTITION BY LIST (org)", nil,
			store.EnforcedShared, "DROP TABLE crm.customer; ALTER TABLE crm.customers RENAME TO customer"},
		"a table that is a partition": {"CREATE TABLE crm.all_of_them (LIKE crm.customer) PARTITION BY LIST (org); ALTER TABLE crm.all_of_them ATTACH PARTITION crm.customer DEFAULT", nil,
			store.EnforcedShared, "ALTER TABLE crm.all_of_them DETACH PARTITION crm.customer"},
		"a permissive policy of somebody else's": {"CREATE POLICY legacy ON crm.customer USING (true)", nil, store.EnforcedForeign, "DROP POLICY legacy ON crm.customer"},
		"a right that comes by PUBLIC":           {"GRANT SELECT ON crm.customer TO PUBLIC", nil, store.EnforcedRight, "REVOKE SELECT ON crm.customer FROM PUBLIC"},
		"TRUNCATE that comes by PUBLIC":          {"GRANT TRUNCATE ON crm.customer TO PUBLIC", nil, store.EnforcedRight, "REVOKE TRUNCATE ON crm.customer FROM PUBLIC"},
		"REFERENCES that comes by PUBLIC":        {"GRANT REFERENCES (name) ON crm.customer TO PUBLIC", nil, store.EnforcedRight, "REVOKE REFERENCES (name) ON crm.customer FROM PUBLIC"},
		"TRIGGER that comes by PUBLIC":           {"GRANT TRIGGER ON crm.customer TO PUBLIC", nil, store.EnforcedRight, "REVOKE TRIGGER ON crm.customer FROM PUBLIC"},
		"a right of a role that it may become": {"CREATE ROLE %s_reports; GRANT SELECT ON crm.customer TO %s_reports; GRANT %s_reports TO %s; ALTER ROLE %s NOINHERIT", nil,
			store.EnforcedRight, "REVOKE SELECT ON crm.customer FROM %s_reports"},
		"a role that may become one passed by": {"CREATE ROLE %s_reports BYPASSRLS; GRANT %s_reports TO %s; ALTER ROLE %s NOINHERIT", nil,
			store.EnforcedRole, "ALTER ROLE %s_reports NOBYPASSRLS"},
		"a role that may become a superuser": {"CREATE ROLE %s_reports SUPERUSER; GRANT %s_reports TO %s; ALTER ROLE %s NOINHERIT", nil,
			store.EnforcedRole, "ALTER ROLE %s_reports NOSUPERUSER"},
		"a role that row-level security passes by": {"ALTER ROLE %s BYPASSRLS", nil, store.EnforcedRole, "ALTER ROLE %s NOBYPASSRLS"},
		"a role that is a superuser":               {"ALTER ROLE %s SUPERUSER", nil, store.EnforcedRole, "ALTER ROLE %s NOSUPERUSER"},
		"another object's records in the same rows": {"", func(d *access.Declarations) {
			d.ObjectTypes = append(d.ObjectTypes, leadsInTheSameTable(d.ObjectTypes[0]))
		}, store.EnforcedShared, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := shop(t, func(d *access.Declarations) {
				if c.change != nil {
					c.change(d)
				}
			})
			of := func(statement string) string { return strings.ReplaceAll(statement, "%s", c2.role) }
			c2.must(t, of(c.prepare))
			got := c2.outcome(t)
			if got.Reason != c.want || got.Message == "" {
				t.Errorf("got %+v, want %s", got, c.want)
			}
			if on := pgtest.Shared(t).Psql(t, c2.dsn, `SELECT count(*) FROM pg_class WHERE relname IN ('customer', 'customers') AND relrowsecurity`); on != "0" {
				t.Errorf("%s tables were changed", on)
			}
			if c.mend == "" {
				return
			}
			c2.must(t, of(c.mend))
			if got := c2.outcome(t); got.Reason != store.EnforcedByTable {
				t.Errorf("mended, got %+v", got)
			}
		})
	}
}

// leadsInTheSameTable is an object whose storage is another's.
func leadsInTheSameTable(customer *access.ObjectType) *access.ObjectType {
	lead := *customer
	lead.Name = "lead"
	return &lead
}

func TestAtRestNothingIsChangedAndByHandIsPutRight(t *testing.T) {
	c := shop(t)
	c.enforced(t)
	server := pgtest.Shared(t)
	const catalogue = `SELECT string_agg(c.oid || ' ' || c.xmin, ' ' ORDER BY c.oid) FROM pg_class c WHERE c.relname = 'customer'`
	const policies = `SELECT string_agg(p.oid::text, ' ' ORDER BY p.oid) FROM pg_policy p`
	before, made := server.Psql(t, c.dsn, catalogue), server.Psql(t, c.dsn, policies)
	c.enforced(t)
	if after := server.Psql(t, c.dsn, catalogue); after != before {
		t.Errorf("at rest: the catalogue was %s, and is %s", before, after)
	}
	for name, by := range map[string]string{
		"row-level security disabled": `ALTER TABLE crm.customer DISABLE ROW LEVEL SECURITY`,
		"a policy dropped":            `DO $$ BEGIN EXECUTE (SELECT format('DROP POLICY %I ON crm.customer', polname) FROM pg_policy WHERE polname LIKE '%_select'); END $$`,
		"a policy opened":             `DO $$ BEGIN EXECUTE (SELECT format('ALTER POLICY %I ON crm.customer USING (true)', polname) FROM pg_policy WHERE polname LIKE '%_select'); END $$`,
		"the trigger disabled":        `ALTER TABLE crm.customer DISABLE TRIGGER "0_crm_access_guard"`,
		"the view rewritten":          `DROP VIEW crm_masked_huayue.customer; CREATE VIEW crm_masked_huayue.customer AS SELECT * FROM crm.customer; GRANT SELECT ON crm_masked_huayue.customer TO PUBLIC`,
		"a column granted":            fmt.Sprintf(`GRANT SELECT (phone_no) ON crm.customer TO %s`, c.role),
		"the view dropped":            `DROP VIEW crm_masked_huayue.customer`,
	} {
		c.must(t, by)
		c.enforced(t)
		if after := server.Psql(t, c.dsn, policies); after == made {
			t.Errorf("%s: it was not seen", name)
		}
		made = server.Psql(t, c.dsn, policies)
		c.as(t, "user-0007", nil)
		c.each(t, [][2]string{
			{`SELECT id FROM crm.customer ORDER BY id`, "7|17|27|101"},
			{`SELECT phone_no FROM crm.customer`, "42501"},
			{`SELECT phone_no FROM crm_masked_huayue.customer WHERE id = 17`, "138****0017"},
			{`UPDATE crm.customer SET region = 'x' WHERE id = 17 RETURNING id`, ""},
		})
	}
}

func TestWhatWasMadeIsTakenDownAndTheTableStaysClosed(t *testing.T) {
	for name, takeDown := range map[string]func(t *testing.T, c *crm){
		"the application roles are gone": func(t *testing.T, c *crm) { c.enforce(t) },
		"the storage is gone": func(t *testing.T, c *crm) {
			d := salesCompany()
			d.ObjectTypes[0].Storage = access.Storage{}
			c.commit(t, d)
			c.enforce(t, c.role)
		},
		"the object is gone": func(t *testing.T, c *crm) {
			c.commit(t, access.Declarations{})
			c.enforce(t, c.role)
		},
		"the storage does not compile": func(t *testing.T, c *crm) {
			d := salesCompany()
			d.ObjectTypes[0].Storage.Columns["fax"] = "fax_no"
			c.commit(t, d)
			c.enforce(t, c.role)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t)
			c.must(t, `CREATE POLICY strict ON crm.customer AS RESTRICTIVE USING (id <> 101); CREATE VIEW crm.mine AS SELECT id FROM crm.customer`)
			c.enforced(t)
			c.as(t, "user-0007", nil)
			c.each(t, [][2]string{{`SELECT id FROM crm.customer ORDER BY id`, "7|17|27"}}) // the CRM's own restriction holds
			takeDown(t, c)
			got := pgtest.Shared(t).Psql(t, c.dsn, `
SELECT (SELECT relrowsecurity FROM pg_class WHERE oid = 'crm.customer'::regclass), (SELECT string_agg(polname, ' ') FROM pg_policy),
	to_regclass('crm_masked_huayue.customer') IS NULL, (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'crm.customer'::regclass AND NOT tgisinternal),
	(SELECT count(*) FROM crm_access.enforcement), to_regclass('crm.mine') IS NOT NULL`)
			if want := "t|strict|t|0|0|t"; got != want {
				t.Errorf("left %s, want %s", got, want)
			}
			c.each(t, [][2]string{{`SELECT id FROM crm.customer`, "42501"}, {`SELECT id FROM crm_masked_huayue.customer`, "42P01"}})
		})
	}
}

func TestATableThatSomebodyHoldsWaitsAndHoldsUpNoOther(t *testing.T) {
	c := shop(t, func(d *access.Declarations) {
		lead := leadsInTheSameTable(d.ObjectTypes[0])
		lead.Storage.Table = "crm.lead"
		d.ObjectTypes = append(d.ObjectTypes, lead)
	})
	c.must(t, `CREATE TABLE crm.lead (LIKE crm.customer INCLUDING ALL)`)
	holder := newHarnessOn(t, c.dsn)
	holder.must(t, `BEGIN; LOCK TABLE crm.customer IN ACCESS SHARE MODE`)
	outcomes := c.enforce(t, c.role)
	if outcomes["customer"].Reason != store.EnforcedWaiting || outcomes["lead"].Reason != store.EnforcedByTable {
		t.Errorf("got %+v", outcomes)
	}
	holder.must(t, `COMMIT`)
	c.enforced(t)
}

// newHarnessOn is another connection to a database.
func newHarnessOn(t *testing.T, dsn string) *harness {
	t.Helper()
	h := &harness{dsn: dsn}
	h.connect(t)
	t.Cleanup(func() { _ = h.hand.Close(t.Context()) })
	return h
}

func TestAnOperatorWithoutRightsSaysWhichItNeeds(t *testing.T) {
	server := pgtest.Shared(t)
	c := shop(t)
	name := c.hand.Config().Database
	operator := "crm_op_" + name
	c.must(t, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD 'strong'; GRANT USAGE ON SCHEMA crm_access TO %[1]s; GRANT ALL ON ALL TABLES IN SCHEMA crm_access TO %[1]s;
		GRANT EXECUTE ON FUNCTION crm_access.guard_row(), crm_access.write_row() TO %[1]s;
		GRANT USAGE ON SCHEMA crm TO %[1]s; CREATE ROLE %[1]s_tables; ALTER TABLE crm.customer OWNER TO %[1]s_tables; GRANT USAGE, CREATE ON SCHEMA crm TO %[1]s_tables`, operator))
	t.Cleanup(func() {
		server.Psql(t, c.dsn, fmt.Sprintf(`REASSIGN OWNED BY %[1]s, %[1]s_tables TO postgres; DROP OWNED BY %[1]s, %[1]s_tables; DROP ROLE %[1]s, %[1]s_tables`, operator))
	})
	s, err := postgres.Open(t.Context(), server.DSN(operator, "strong", name))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c.s = s
	if got := c.outcome(t); got.Reason != store.EnforcedNotPermitted {
		t.Errorf("got %+v", got)
	}
	c.must(t, fmt.Sprintf(`GRANT %[1]s_tables, %[2]s TO %[1]s; CREATE SCHEMA crm_masked_huayue AUTHORIZATION %[1]s`, operator, c.viewOwner))
	c.enforced(t)
	c.as(t, "user-0007", nil)
	c.each(t, [][2]string{
		{`SELECT id, phone_no FROM crm_masked_huayue.customer WHERE id = 17`, "17 138****0017"},
		{`UPDATE crm_masked_huayue.customer SET region = 'x' WHERE id = 27 RETURNING id`, "27"},
	})
}

func TestSQLMasksWhatGoDoes(t *testing.T) {
	c := newHarness(t)
	claimed(t, c)
	for _, mask := range []access.Mask{{}, {Type: "Full"}, {Type: "Keep", KeepFirst: 3, KeepLast: 4}, {Type: "Keep"}, {Type: "Keep", KeepLast: 2}, {Type: "Email"}, {Type: "Year"}, {Type: "Listed"}, {Type: "Blur"}} {
		for _, value := range []string{"", "a", "ab", "13812345678", "1381234", "王小明", "li@x", "lit@x", "li-ting@huayue.example", "@x", "a@", "a@b@c", "1984-05-06", "1984", "19a4-01", "é́é", "日本@例え", "x\ny@z", "😀😀😀@z"} {
			var got *string
			if err := c.hand.QueryRow(t.Context(), `SELECT crm_access.masked($1, $2, $3, $4)`, value, mask.Type, mask.KeepFirst, mask.KeepLast).Scan(&got); err != nil {
				t.Fatal(err)
			}
			want, something := mask.Show(value)
			if (got != nil) != something || (something && *got != want) {
				t.Errorf("%+v of %q: SQL shows %v, Go %q, %t", mask, value, got, want, something)
			}
		}
	}
}

func TestTheDocumentedRolesEnforce(t *testing.T) {
	server := pgtest.Shared(t)
	admin := server.Database(t)
	name := server.Psql(t, admin, `SELECT current_database()`)
	t.Cleanup(func() {
		for _, role := range []string{"crm_masked", "crm_minter", "crm_app", "crm_reader", "crm_decider", "crm_operator", "crm_tables"} {
			server.Psql(t, admin, `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role)
		}
	})
	first, second, _ := strings.Cut(snippet(t, "roles"), "-- After")
	server.Psql(t, admin, first)
	s, err := postgres.Open(t.Context(), server.DSN("crm_operator", "choose one", name))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server.Psql(t, admin, "-- After"+second+snippetOf(t, "postgresql.md", "app")+`
CREATE ROLE crm_tables NOLOGIN; CREATE SCHEMA crm AUTHORIZATION crm_tables; SET ROLE crm_tables;
CREATE TABLE crm.customer (id bigint PRIMARY KEY, org text NOT NULL, owner_id text, dept text, name text, region text, phone_no text, credit_limit numeric);
INSERT INTO crm.customer VALUES (7, 'huayue', 'user-0007', 'sales-7', 'seven', 'east', '13800000007', 700), (8, 'huayue', 'user-0008', 'sales-8', 'eight', 'east', '13800000008', 700);
RESET ROLE;`+snippetOf(t, "postgresql.md", "tables"))
	claimed, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Encode(access.Resolve(salesCompany()).Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := s.(enforcer).Enforce(t.Context(), tenant, store.Enforcement{Roles: []string{"crm_app"}, ViewOwner: "crm_masked"})
	if err != nil || outcomes["customer"].Reason != store.EnforcedByTable {
		t.Fatal(outcomes, err)
	}
	minted := server.Psql(t, server.DSN("crm_minter", "choose another strong one", name), `SELECT crm_access.mint_token('huayue', 'user-0007', interval '1 minute')`)
	got := server.Psql(t, server.DSN("crm_app", "choose a strong one", name), fmt.Sprintf(`SET crm_access.token = '%s';
SELECT id, phone_no FROM crm_masked_huayue.customer; UPDATE crm_masked_huayue.customer SET name = 'VII' WHERE id = 7 RETURNING name; SELECT id FROM crm.customer`, minted))
	if want := "7|13800000007\nVII\n7"; got != want {
		t.Errorf("the application got %q, want %q", got, want)
	}
}

func TestAContextIsReadAsJSONOrDenies(t *testing.T) {
	h := newHarness(t)
	claimed(t, h)
	for _, text := range []string{
		`{}`, `[]`, `"a"`, `1`, `-0.5e10`, `null`, ` { "a" : [ 1 , true , { "b" : null } ] , "c" : "x\"y\\z\u00e9" } `, `{"渠道": "手机"}`, `{"a": ["s", "v", "[", "}"]}`,
		``, `{`, `}`, `{"a"}`, `{a: 1}`, `{"a": 1,}`, `[1,]`, `01`, `1.`, `.5`, `+1`, `1e`, `1e1000`, `truefalse`, `true1`, `1true`, `"a`, `"\x"`, `"\u12"`, `"\u0000"`, `"\ud800"`,
		"\"a\nb\"", "\"tab\t\"", `{"a": s}`, `{"a": v}`, `s`, `v`, `{"a" 1}`, `{"a": 1 "b": 2}`, `nul`, `NaN`, `{"a": "b"}}`, `1 2`, `"a" "b"`, `[1 2]`, `- 1`, `1 .5`, `tr ue`,
	} {
		var said bool
		if err := h.hand.QueryRow(t.Context(), `SELECT crm_access.is_json($1)`, text).Scan(&said); err != nil {
			t.Fatal(err)
		}
		_, err := h.hand.Exec(t.Context(), `SELECT $1::text::jsonb`, text)
		if said != (err == nil) && text != `1e1000` {
			t.Errorf("%q: said to be JSON %t, and the cast %v", text, said, err)
		}
	}
}
