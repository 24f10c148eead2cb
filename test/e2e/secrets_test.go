package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

// canary is a password that must be seen nowhere.
const canary = "c4n4ry-in-a-coal-mine"

func TestNoSecretIsSeenAnywhere(t *testing.T) {
	start(t)
	server := pgtest.Shared(t)
	database := server.Database(t)
	name := database[strings.LastIndex(database, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	server.Psql(t, database, fmt.Sprintf("create role canary login password '%s' createdb; grant all on database %s to canary; grant create on schema public to canary;", canary, name))
	t.Cleanup(func() { server.Psql(t, database, "drop owned by canary cascade; drop role canary;") })

	namespace, wrong, broken := env.Namespace(t), env.Namespace(t), env.Namespace(t)
	secretFor(t, namespace, server.DSN("canary", canary, name))
	secretFor(t, wrong, strings.Replace(server.DSN("canary", canary, name), name, "no_such_"+canary, 1))
	secretFor(t, broken, "postgres://canary:"+canary+"@127.0.0.1:notaport/"+canary+"?sslmode="+canary)
	for _, ns := range []string{namespace, wrong, broken} {
		apply(t, ns, store("postgres")+"---"+organisation)
	}
	o := startOperator(t, t.TempDir())
	waitFor(t, namespace, "Ready", "permissionstore/default", "users.crmaccess.io/ann")
	apply(t, namespace, loan("loan", time.Now().Add(time.Hour)))
	waitFor(t, namespace, "Active", "temporarygrant/loan")
	waitFor(t, wrong, "Ready=false", "permissionstore/default")
	waitFor(t, broken, "Ready=false", "permissionstore/default")
	server.Stop(t)
	waitFor(t, namespace, "Ready=false", "permissionstore/default")
	server.Start(t)
	waitFor(t, namespace, "Ready", "permissionstore/default")

	for what, text := range map[string]string{
		"logs":    o.log.String(),
		"events":  kubectl(t, "get", "events.events.k8s.io", "-A", "-o", "yaml"),
		"objects": kubectl(t, "get", "crmaccess", "-A", "-o", "yaml", "--show-managed-fields"),
		"metrics": get(t, "http://"+o.metrics+"/metrics"),
		"ledger":  server.Psql(t, database, "select * from crm_access.ledger;"),
	} {
		if text == "" {
			t.Errorf("there are no %s to look at", what)
		}
		if strings.Contains(text, canary) {
			t.Errorf("the canary is in the %s", what)
		}
	}
	message := kubectl(t, "get", "permissionstore", "default", "-n", broken, "-o", "jsonpath={.status.conditions}")
	if !strings.Contains(message, "StoreUnavailable") && !strings.Contains(message, "StoreRefused") && !strings.Contains(message, "SecretUnavailable") {
		t.Errorf("a malformed connection string is reported as %s", message)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url) //nolint:noctx // a loopback address that this test has chosen
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
