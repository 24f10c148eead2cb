package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// records are what a decider looks up.
type records interface {
	Record(ctx context.Context, place store.RecordPlace, id string) (*access.Record, error)
}

// ownedByPlainRole makes a role that is no superuser the owner of the schema, and is a connection as it, and its store.
func ownedByPlainRole(t *testing.T, h *harness) (*pgx.Conn, records) {
	t.Helper()
	server := pgtest.Shared(t)
	server.Psql(t, h.dsn, `CREATE ROLE plain_owner LOGIN PASSWORD 'p'; ALTER SCHEMA crm_access OWNER TO plain_owner;
GRANT ALL ON ALL TABLES IN SCHEMA crm_access TO plain_owner;
DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'crm_access'::regnamespace LOOP
		EXECUTE format('ALTER FUNCTION %s OWNER TO plain_owner', f);
	END LOOP;
END $$`)
	dsn := server.DSN("plain_owner", "p", h.hand.Config().Database)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Attach(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		conn.Close(context.Background())
		server.Psql(t, h.dsn, `REASSIGN OWNED BY plain_owner TO CURRENT_USER; DROP OWNED BY plain_owner; DROP ROLE plain_owner`)
	})
	return conn, s.(records)
}

// crmByItself is a CRM whose application owns its tables. Its function takes note of anybody else who runs it.
const crmByItself = `
DROP SCHEMA IF EXISTS crm CASCADE;
CREATE SCHEMA crm;
GRANT USAGE ON SCHEMA crm TO PUBLIC;
CREATE TABLE crm.loot (who text);
GRANT ALL ON crm.loot TO PUBLIC;
CREATE FUNCTION crm.take() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF current_user <> 'crm_app' THEN INSERT INTO crm.loot VALUES (current_user); END IF;
	RETURN true;
END $$;
CREATE FUNCTION crm.lying(said text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM crm.take(); RETURN said; END $$;
CREATE TYPE crm.stage AS ENUM ('won');
CREATE DOMAIN crm.phone AS text CHECK (VALUE <> '');
CREATE TABLE crm.customer (id text PRIMARY KEY, owner_id text);
INSERT INTO crm.customer VALUES ('c-1', 'li-ting');
GRANT SELECT ON crm.customer TO PUBLIC;
`

func TestALookupRunsNothingOfWhoOwnsTheTable(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	d := office()
	d.ObjectTypes[0].Storage = access.Storage{Table: "crm.customer", ID: "id", Owner: "owner_id"}
	become(t, s, access.Resolve(d).Facts)
	server := pgtest.Shared(t)
	app := application(t, h)
	plain, deciders := ownedByPlainRole(t, h)
	server.Psql(t, h.dsn, `GRANT CREATE ON DATABASE `+pgx.Identifier{h.hand.Config().Database}.Sanitize()+` TO crm_app`)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	place := store.RecordPlace{StorageFact: access.StorageFact{Object: "customer", Table: "crm.customer", IDColumn: "id", OwnerColumn: "owner_id"}, Fields: []string{"name"}}
	for _, c := range []struct {
		name, make string
		attack     bool // runs code of the owner's where somebody reads the row whole
		known      bool
	}{
		{"a plain table", ``, false, true},
		{"an index on a built-in function", `CREATE INDEX ON crm.customer (lower(id)) WHERE owner_id <> ''`, false, true},
		{"a list of its own", `ALTER TABLE crm.customer ADD COLUMN name crm.stage DEFAULT 'won'`, false, true},
		{"a domain", `ALTER TABLE crm.customer ADD COLUMN name crm.phone DEFAULT '1'`, false, true},
		{"a cast of a column that is no field", castOfStage + `ALTER TABLE crm.customer ADD COLUMN x crm.stage DEFAULT 'won'`, true, true},
		{"a cast of a field", castOfStage + `ALTER TABLE crm.customer ADD COLUMN name crm.stage DEFAULT 'won'`, true, true},
		{"a cast in a list of a field", castOfStage + `ALTER TABLE crm.customer ADD COLUMN name crm.stage[] DEFAULT '{won}'`, true, false},
		{"a cast in a row in a field", castOfStage + `CREATE TYPE crm.pair AS (a crm.stage); ALTER TABLE crm.customer ADD COLUMN name crm.pair DEFAULT '(won)'`, true, false},
		{"a policy", `CREATE POLICY p ON crm.customer USING (crm.take()); ALTER TABLE crm.customer ENABLE ROW LEVEL SECURITY`, true, false},
		{"an index on what is constant", `CREATE INDEX ON crm.customer ((crm.lying('x')))`, true, false},
		{"an index of what is constant", `CREATE INDEX ON crm.customer (id) WHERE crm.lying('x') = 'x'`, true, false},
		{"statistics on what is constant", `CREATE STATISTICS crm.s ON (crm.lying('x')), id FROM crm.customer`, true, false},
		{"a view", `ALTER TABLE crm.customer RENAME TO c; CREATE VIEW crm.customer AS SELECT * FROM crm.c WHERE crm.take(); GRANT SELECT ON crm.customer TO PUBLIC`, true, false},
		{"an inheriting table's index", `CREATE TABLE crm.child () INHERITS (crm.customer); CREATE INDEX ON crm.child ((crm.lying('x')))`, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, statement := range []string{`DROP SCHEMA IF EXISTS crm CASCADE`, crmByItself, c.make} {
				if _, err := app.PgConn().Exec(t.Context(), statement).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			_, err := plain.PgConn().Exec(t.Context(), `SELECT to_jsonb(r) FROM crm.customer AS r WHERE id = 'c-1'`).ReadAll()
			if taken := server.Psql(t, h.dsn, `SELECT count(*) > 0 FROM crm.loot`) == "t"; taken != c.attack || err != nil {
				t.Fatalf("reading the row runs code of its owner's: %t, %v", taken, err)
			}
			server.Psql(t, h.dsn, `TRUNCATE crm.loot`)
			var decision string
			// A policy is an error.
			if err := app.QueryRow(t.Context(), `SELECT decision FROM crm_access.decide('read', 'customer', '{"id": "c-1"}')`).Scan(&decision); c.known && err != nil {
				t.Error(err)
			}
			record, err := deciders.Record(t.Context(), place, "c-1")
			if (decision == "allow") != c.known || (record != nil && record.Owner == "li-ting") != c.known || c.known && err != nil {
				t.Errorf("SQL says %q, the store %+v, %v", decision, record, err)
			}
			if who := server.Psql(t, h.dsn, `SELECT string_agg(who, ' ') FROM crm.loot`); who != "" {
				t.Errorf("ran as %s", who)
			}
		})
	}
}

// castOfStage runs the owner's function where the type becomes JSON.
const castOfStage = `
CREATE FUNCTION crm.told(crm.stage) RETURNS json LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM crm.take(); RETURN '1'; END $$;
CREATE CAST (crm.stage AS json) WITH FUNCTION crm.told(crm.stage);
CREATE FUNCTION crm.said(crm.stage) RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM crm.take(); RETURN '1'; END $$;
CREATE CAST (crm.stage AS text) WITH FUNCTION crm.said(crm.stage);
`
