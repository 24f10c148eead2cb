package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	permissionstore "github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// annsOwn is what the tests ask about; nothing is stored of it.
const annsOwn = `{"type":"customer","id":"c1","properties":{"owner":"ann"}}`

// sharers makes a tenant in which ann may read and share her own customers, and cleo nothing. It returns a token of ann's.
func sharers(t *testing.T, dsn string) string {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	held, err := s.Claim(t.Context(), "crm", permissionstore.Owner{Cluster: "c", Namespace: "n"}, "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := permissionstore.Encode(access.Resolve(access.Declarations{
		ObjectTypes:  []*access.ObjectType{{Name: "customer", Actions: []string{"read", "share"}}},
		Users:        []*access.User{{Name: "ann", Type: access.UserEmployee, State: access.StateActive}, {Name: "cleo", Type: access.UserEmployee, State: access.StateActive}},
		Roles:        []*access.Role{{Name: "rep", Grants: []access.Grant{{Object: "customer", Actions: []string{"read", "share"}, Records: access.Records{Scopes: access.ScopeOwn}}}}},
		UserBindings: []*access.UserBinding{{Name: "reps", Subjects: []access.Subject{{User: "ann"}}, Roles: []string{"rep"}}},
	}).Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), permissionstore.Commit{Expect: held, Changes: permissionstore.Diff(nil, permissionstore.Index(rows)), Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
	keys, err := s.TokenKeys(t.Context(), "crm")
	if err != nil {
		t.Fatal(err)
	}
	now := schedule.At(time.Now())
	minted, err := token.Mint(keys[0], "crm", "ann", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// asPerson asks at a path of the tenant's, with a person's token where one is given.
func (d *decider) asPerson(bearer, path, body string) string {
	request, err := http.NewRequest(http.MethodPost, "http://"+d.decide+"/crm"+path, strings.NewReader(body))
	if err == nil && bearer != "" {
		request.Header.Set(decisionapi.HeaderSubject, bearer)
	}
	return fetch(request, err)
}

func TestAShareMadeAtOneDeciderCountsAtAnotherAndInSQLAndEndsWithNobodyRunning(t *testing.T) {
	if err := setUp(); err != nil {
		t.Fatal(err)
	}
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	ann := sharers(t, dsn)
	server.Psql(t, dsn, `CREATE ROLE crm_sharer LOGIN PASSWORD 'swordfish'; GRANT USAGE ON SCHEMA crm_access TO crm_sharer; GRANT SELECT ON ALL TABLES IN SCHEMA crm_access TO crm_sharer;
GRANT INSERT, UPDATE ON crm_access.usage, crm_access.runtime TO crm_sharer; GRANT INSERT ON crm_access.share, crm_access.request, crm_access.answer, crm_access.decision TO crm_sharer;
GRANT UPDATE (not_after, ended_by) ON crm_access.share TO crm_sharer; GRANT UPDATE (used_at) ON crm_access.request TO crm_sharer`)
	t.Cleanup(func() { server.Psql(t, dsn, `DROP OWNED BY crm_sharer; DROP ROLE crm_sharer`) })
	name := dsn[strings.LastIndex(dsn, "/")+1 : strings.LastIndex(dsn, "?")]
	dsnFile := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsnFile, []byte(server.DSN("crm_sharer", "swordfish", name)), 0o600); err != nil {
		t.Fatal(err)
	}
	deciders := []*decider{startDecider(t, dsnFile), startDecider(t, dsnFile)}
	over := func(d *decider, user string) func() string {
		return func() string {
			return d.asPerson("", "/access/v1/evaluation", fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":"read"},"resource":%s}`, user, annsOwn))
		}
	}
	inSQL := func() string {
		return server.Psql(t, dsn, `SELECT decision FROM crm_access.decide_as('crm', 'cleo', 'read', 'customer', '{"id":"c1","owner":"ann"}', '{}', '{}', (SELECT now FROM crm_access.clock))`)
	}
	for _, d := range deciders {
		until(t, allows, over(d, "ann"))
		until(t, denies, over(d, "cleo"))
	}
	if got := inSQL(); got != "deny" {
		t.Errorf("before the share SQL answers %s", got)
	}

	end := time.Now().Add(12 * time.Second).Truncate(time.Second)
	made := deciders[0].asPerson(ann, "/v1/shares", fmt.Sprintf(`{"resource":%s,"recipient":"cleo","actions":["read"],"reason":"holiday","until":%q}`, annsOwn, end.UTC().Format(time.RFC3339)))
	var share struct {
		ID string `json:"id"`
	}
	if _, body, _ := strings.Cut(made, " "); json.Unmarshal([]byte(body), &share) != nil || share.ID == "" {
		t.Fatalf("making the share: %s", made)
	}
	if got := inSQL(); got != "allow" {
		t.Errorf("SQL answers %s as soon as the share is made", got)
	}
	for _, d := range deciders {
		until(t, allows, over(d, "cleo"))
	}

	for _, d := range deciders {
		_ = d.command.Process.Kill()
		<-d.done
	}
	until(t, "deny", inSQL)
	if time.Now().Before(end) {
		t.Errorf("the share ended before %s", end)
	}
	until(t, denies, over(startDecider(t, dsnFile), "cleo"))
}
