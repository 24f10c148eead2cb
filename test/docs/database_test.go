package docs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const tenant = "huayue"

// database is a database with the sample organisation in its permission store. The function runs a script there as the
// application, with a token of li-ting's as :token, and one of the analyst wang-yi's as :analyst_token.
func database(t *testing.T) func(t *testing.T, script string) string {
	t.Helper()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	server.Psql(t, dsn, `CREATE ROLE crm_app LOGIN PASSWORD 'strong'; CREATE ROLE crm_masked;
CREATE SCHEMA crm; CREATE SCHEMA crm_masked_huayue; GRANT USAGE ON SCHEMA crm TO crm_app, crm_masked;
CREATE TABLE crm.customer (id text PRIMARY KEY, name text, industry text, level text, region text, owner text, "ownerDept" text, "dealStatus" text, source text,
	website text, address text, "creditCode" text, "lastFollowUpAt" text, remark text, phone text, email text, "creditLimit" numeric, "annualRevenueBand" text);
INSERT INTO crm.customer (id, name, owner, "ownerDept", phone, "creditLimit") VALUES
	('cust-huaxin', '华芯电子', 'li-ting', 'sales-east-1', '13800001111', 500000),
	('cust-ruifeng', '瑞丰机械', 'wang-lei', 'sales-east-1', '13900002222', 80000);`)
	t.Cleanup(func() {
		server.Psql(t, dsn, "DROP OWNED BY crm_app, crm_masked CASCADE; DROP ROLE crm_app, crm_masked")
	})
	mint := commitSample(t, dsn)
	name := dsn[strings.LastIndex(dsn, "/")+1 : strings.LastIndex(dsn, "?")]
	return func(t *testing.T, script string) string {
		t.Helper()
		return server.Psql(t, server.DSN("crm_app", "strong", name), "\\set token '"+mint("li-ting")+"'\n\\set analyst_token '"+mint("wang-yi")+"'\n"+script)
	}
}

// commitSample writes the sample organisation into the store as the operator does, and returns what mints tokens.
func commitSample(t *testing.T, dsn string) func(user string) string {
	t.Helper()
	tree, err := manifest.Load(filepath.Join(root, "config", "samples", "huayue"))
	if err != nil {
		t.Fatal(err)
	}
	declared := tree.Tenants[tenant].Declarations
	for _, object := range declared.ObjectTypes {
		if object.Name == "customer" {
			object.Storage = access.Storage{Table: "crm.customer", ID: "id", Owner: "owner", Department: "ownerDept"}
		}
	}
	rows, err := store.Encode(access.Resolve(declared).Facts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	claimed, err := s.Claim(t.Context(), tenant, store.Owner{Cluster: "docs", Namespace: tenant}, "")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
	enforce(t, s, dsn)
	keys, err := s.TokenKeys(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	now := schedule.At(claimed.Now)
	return func(user string) string {
		made, err := token.Mint(keys[0], tenant, user, now, now+600)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
}

// enforce makes the table enforce, as the operator does after a commit.
func enforce(t *testing.T, s store.Store, dsn string) {
	t.Helper()
	pgtest.Shared(t).Psql(t, dsn, "GRANT USAGE ON SCHEMA crm_access TO crm_app, crm_masked")
	enforcer, canEnforce := s.(interface {
		Enforce(ctx context.Context, tenant string, wanted store.Enforcement) (map[string]store.Enforced, error)
	})
	if !canEnforce {
		t.Fatal("the store does not enforce")
	}
	outcome, err := enforcer.Enforce(t.Context(), tenant, store.Enforcement{Roles: []string{"crm_app"}, ViewOwner: "crm_masked"})
	if err != nil || outcome["customer"].Reason != store.EnforcedByTable {
		t.Fatal(err, outcome)
	}
}
