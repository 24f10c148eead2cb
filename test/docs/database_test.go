package docs

import (
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
// application, with a token of li-ting's as :token.
func database(t *testing.T) func(t *testing.T, script string) string {
	t.Helper()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	made := commitSample(t, dsn)
	server.Psql(t, dsn, "CREATE ROLE crm_app LOGIN PASSWORD 'strong'; GRANT USAGE ON SCHEMA crm_access TO crm_app")
	t.Cleanup(func() { server.Psql(t, dsn, "DROP OWNED BY crm_app CASCADE; DROP ROLE crm_app") })
	name := dsn[strings.LastIndex(dsn, "/")+1 : strings.LastIndex(dsn, "?")]
	return func(t *testing.T, script string) string {
		t.Helper()
		return server.Psql(t, server.DSN("crm_app", "strong", name), "\\set token '"+made+"'\n"+script)
	}
}

// commitSample writes the sample organisation into the store as the operator does, and mints li-ting's token.
func commitSample(t *testing.T, dsn string) string {
	t.Helper()
	tree, err := manifest.Load(filepath.Join(root, "config", "samples", "huayue"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Encode(access.Resolve(tree.Tenants[tenant].Declarations).Facts)
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
	keys, err := s.TokenKeys(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	now := schedule.At(claimed.Now)
	made, err := token.Mint(keys[0], tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
