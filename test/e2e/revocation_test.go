package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

// staff are three people who may read all customers.
const staff = `
apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: bob}
spec: {displayName: Bob}
---
apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: cid}
spec: {displayName: Cid}
---
apiVersion: crmaccess.io/v1alpha1
kind: Role
metadata: {name: reader}
spec: {grants: [{object: customer, actions: [read], scopes: [all]}]}
---
apiVersion: crmaccess.io/v1alpha1
kind: UserBinding
metadata: {name: readers}
spec: {subjects: [{user: ann}, {user: bob}], roles: [reader]}
`

const (
	annHasLeft = `
apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: ann}
spec: {displayName: Ann, state: Departed, successor: bob}
`
	stopBob = `
apiVersion: crmaccess.io/v1alpha1
kind: Revocation
metadata: {name: stop-bob}
spec: {user: bob, reason: laptop stolen}
`
	cidReads = `
apiVersion: crmaccess.io/v1alpha1
kind: UserBinding
metadata: {name: later}
spec: {subjects: [{user: bob}, {user: cid}], roles: [reader]}
`
	// atOnce is how soon access must have ended in the store.
	atOnce = 5 * time.Second
)

// A leaver loses access by a change of text; in a hurry, by a Revocation. What that ends stays ended, whatever becomes of
// the object.
func TestALeaverAndARevokedUserLoseAccessAtOnceAndForGood(t *testing.T) {
	start(t)
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	namespace := env.Namespace(t)
	secretFor(t, namespace, dsn)
	dataDir := t.TempDir()
	o := startOperator(t, dataDir)
	apply(t, namespace, store("postgres")+"---"+organisation+"---"+staff)
	waitFor(t, namespace, "Ready", "permissionstore/default", "userbinding/readers", "users.crmaccess.io/bob")

	// As the CRM asks: by SQL.
	live := func(user string, want int) error {
		rows := strings.TrimSpace(server.Psql(t, dsn, fmt.Sprintf("select count(*) from crm_access.live_grants where tenant = '%s' and user_name = '%s';", namespace, user)))
		if rows != fmt.Sprint(want) {
			return fmt.Errorf("%s has %s live rows, want %d", user, rows, want)
		}
		return nil
	}
	holds := func(user string, want int) {
		t.Helper()
		if err := live(user, want); err != nil {
			t.Error(err)
		}
	}
	holds("ann", 1)
	holds("bob", 1)

	apply(t, namespace, annHasLeft)
	eventually(t, atOnce, func() error { return live("ann", 0) })
	holds("bob", 1)

	apply(t, namespace, stopBob)
	eventually(t, atOnce, func() error { return live("bob", 0) })
	waitFor(t, namespace, "Revoked", "users.crmaccess.io/bob")

	kubectl(t, "delete", "revocation", "stop-bob", "-n", namespace)
	apply(t, namespace, cidReads) // a pass that comes after the deletion
	eventually(t, atOnce, func() error { return live("cid", 1) })
	holds("bob", 0)

	o.kill()
	holds("bob", 0)
	startOperator(t, dataDir)
	kubectl(t, "delete", "userbinding", "readers", "-n", namespace)
	apply(t, namespace, strings.ReplaceAll(cidReads, "later", "latest"))
	eventually(t, 40*time.Second, func() error { return live("cid", 2) })
	for _, user := range []string{"ann", "bob"} {
		holds(user, 0)
	}
	waitFor(t, namespace, "Revoked", "users.crmaccess.io/bob")
}
