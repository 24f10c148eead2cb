// Package storetest is the contract of the permission store as tests: every driver runs this suite against a real
// database. What only one database has (TRUNCATE, transactions that outlast a statement) is tested beside its driver.
package storetest

import (
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Harness is one fresh database, and hands on it that are not the store's.
type Harness interface {
	// Open opens another handle, as another process would; it is closed when the test ends.
	Open(t *testing.T) store.Store
	// Advance moves the store's clock forward to an instant, by raising the tenant's settled-through instant.
	Advance(t *testing.T, tenant string, to schedule.Instant)
	// Exec runs a statement by hand, past the store. A table's name is preceded by Schema.
	Exec(t *testing.T, statement string) error
	// Query reads by hand; each value is text, NULL is "".
	Query(t *testing.T, query string) [][]string
	// Schema precedes the names of tables and views: "crm_access." or "".
	Schema() string
	// State changes with every write to the database, a lock on a row included.
	State(t *testing.T) string
	// Audit begins to count the rows of content that are written, and returns what says the count and begins anew.
	Audit(t *testing.T) (rows func() int)
	// Forbid makes the database refuse a user of this name, as a rule of the database's own would.
	Forbid(t *testing.T, user string)
	// UnlockLedger takes away what keeps the ledger append-only.
	UnlockLedger(t *testing.T)
	// Backup copies the database; restore puts the copy in its place. Handles are opened anew after either.
	Backup(t *testing.T) (restore func())
}

type test struct {
	name string
	run  func(*testing.T, Harness)
}

// Run runs the suite; each test gets a harness of its own.
func Run(t *testing.T, harness func(*testing.T) Harness) {
	for _, group := range [][]test{claiming, committing, refusing, settling, reserving, minting, sharing, asking, logging, living, tampering, recording, competing, generated} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) { test.run(t, harness(t)) })
		}
	}
}
