package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	permissionstore "github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// decider is a running decision API.
type decider struct {
	command        *exec.Cmd
	decide, health string
	metrics        string
	log            *logBuffer
	done           chan struct{}
}

// startDecider starts one on the store that a file names, and waits until it listens.
func startDecider(t *testing.T, dsnFile string, flags ...string) *decider {
	t.Helper()
	d := &decider{decide: freeAddress(t), health: freeAddress(t), metrics: freeAddress(t), log: &logBuffer{}, done: make(chan struct{})}
	d.command = exec.Command(filepath.Join(programs, "decider"), append([]string{"--dsn-file", dsnFile, "--decision-bind-address", d.decide,
		"--health-probe-bind-address", d.health, "--metrics-bind-address", d.metrics}, flags...)...)
	d.command.Stderr = d.log
	d.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(d.done); _ = d.command.Wait() }()
	t.Cleanup(func() {
		_ = d.command.Process.Kill()
		<-d.done
		if t.Failed() {
			t.Logf("decider:\n%s", d.log)
		}
	})
	return d
}

// says asks whether a user may read a customer: the status, and the body.
func (d *decider) says(user string) string {
	body := fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":"read"},"resource":{"type":"customer","id":"c1"}}`, user)
	return fetch(http.NewRequest(http.MethodPost, "http://"+d.decide+"/crm/access/v1/evaluation", strings.NewReader(body)))
}

func (d *decider) get(url string) string {
	return fetch(http.NewRequest(http.MethodGet, "http://"+url, nil))
}

func fetch(request *http.Request, err error) string {
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, text))
}

// until waits until what is asked is answered so.
func until(t *testing.T, want string, ask func() string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if got := ask(); !strings.HasPrefix(got, want) {
			return fmt.Errorf("got %s, want %s", got, want)
		}
		return nil
	})
}

// writer is the operator's part: it makes a tenant's readers just these.
func writer(t *testing.T, dsn string) func(readers ...string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Claim(t.Context(), "crm", permissionstore.Owner{Cluster: "c", Namespace: "n"}, ""); err != nil {
		t.Fatal(err)
	}
	return func(readers ...string) {
		t.Helper()
		content, err := s.Load(t.Context(), "crm")
		if err != nil {
			t.Fatal(err)
		}
		role := access.Ref{Kind: access.KindRole, Name: "reader"}
		facts := access.Facts{
			Objects: []access.ObjectFact{{Owner: access.Ref{Kind: access.KindObjectType, Name: "customer"}, Object: "customer", Enabled: true, Actions: []string{"read"}}},
			Tuples: []access.TupleFact{{Owner: role, Bundle: role.String(), Path: "reader", Tuple: &access.Tuple{
				Digest: "0a1b2c3d4e5f", Origin: "reader", Object: "customer", Actions: []string{"read"}, Scopes: []string{"all"}}}},
		}
		for _, user := range readers {
			facts.Users = append(facts.Users, access.UserFact{Owner: access.Ref{Kind: access.KindUser, Name: user}, User: user, Type: access.UserEmployee, State: access.StateActive})
			facts.Holders = append(facts.Holders, access.HolderFact{Owner: access.Ref{Kind: access.KindUserBinding, Name: "readers"}, User: user, Bundle: role.String(), Role: "reader", Window: schedule.Unbounded})
		}
		rows, err := permissionstore.Encode(facts)
		if err != nil {
			t.Fatal(err)
		}
		changes := permissionstore.Diff(permissionstore.Index(content.Rows), permissionstore.Index(rows))
		if _, err := s.Commit(t.Context(), permissionstore.Commit{Expect: content.Tenant, Changes: changes, Cause: "pass"}); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	allows = `200 {"decision":true}`
	denies = `200 {"decision":false}`
)

func TestDecidersFollowTheStoreOutlastItsOutageAndEndGracefully(t *testing.T) {
	if err := setUp(); err != nil {
		t.Fatal(err)
	}
	server, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	admin := server.DSN(pgtest.Superuser, "", "postgres")
	server.Psql(t, admin, `CREATE ROLE crm_decider LOGIN PASSWORD 'swordfish'`)
	dsnFile := filepath.Join(t.TempDir(), "dsn")
	name := func(password string) {
		if err := os.WriteFile(dsnFile, []byte(server.DSN("crm_decider", password, "postgres")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name("swordfish")

	early := startDecider(t, dsnFile, "--decision-max-age=3s", "--drain=2s")
	until(t, "200 ok", func() string { return early.get(early.health + "/healthz") })
	until(t, "503 the store has not been seen yet", func() string { return early.get(early.health + "/readyz") })

	readers := writer(t, admin) // which makes the schema
	server.Psql(t, admin, `GRANT USAGE ON SCHEMA crm_access TO crm_decider; GRANT SELECT ON ALL TABLES IN SCHEMA crm_access TO crm_decider;
GRANT INSERT ON crm_access.decision TO crm_decider`)
	readers("ann")
	late := startDecider(t, dsnFile, "--decision-max-age=3s", "--drain=0s", "--tenants=crm")
	for _, d := range []*decider{early, late} {
		until(t, "200 ok", func() string { return d.get(d.health + "/readyz") })
		until(t, allows, func() string { return d.says("ann") })
		until(t, denies, func() string { return d.says("bob") })
	}
	readers("bob")
	for _, d := range []*decider{early, late} {
		until(t, denies, func() string { return d.says("ann") })
		until(t, allows, func() string { return d.says("bob") })
	}

	// The password is changed, and then its file.
	server.Psql(t, admin, `ALTER ROLE crm_decider PASSWORD 'sesame'`)
	name("sesame")
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(early.log.String(), "The connection string has changed") {
			return errors.New("the file's change was not seen")
		}
		return nil
	})
	until(t, allows, func() string { return early.says("bob") })

	server.Stop(t)
	if got := early.says("bob"); got != allows {
		t.Errorf("just after the store went, bob gets %s", got)
	}
	until(t, "503 ", func() string { return early.says("bob") })
	until(t, "503 ", func() string { return early.get(early.health + "/readyz") })
	server.Start(t)
	until(t, allows, func() string { return early.says("bob") })
	until(t, "200 ok", func() string { return early.get(early.health + "/readyz") })
	if got := early.get(early.metrics + "/metrics"); !strings.Contains(got, `crmaccess_snapshot_revision{namespace="crm"} 2`) {
		t.Errorf("the metrics do not tell the revision:\n%s", got)
	}

	if err := early.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "503 this replica is about to end", func() string { return early.get(early.health + "/readyz") })
	if got := early.says("bob"); got != allows {
		t.Errorf("while callers are sent elsewhere, bob gets %s", got)
	}
	<-early.done
	if code := early.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if last := server.Psql(t, admin, `SELECT subject, action, object, record_id, effect FROM crm_access.decision WHERE effect = 'DENY' ORDER BY id DESC LIMIT 1`); last != "ann|read|customer|c1|DENY" {
		t.Errorf("the last deny in the log is %q", last)
	}
	for _, d := range []*decider{early, late} {
		for _, secret := range []string{"swordfish", "sesame", "postgres://"} {
			if strings.Contains(d.log.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	}
}
