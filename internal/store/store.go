// Package store says what a permission store is: the rows that a tenant's access comes to, who owns each of them, and
// the few operations that change them. The drivers live in the folders below, and all pass the suite in storetest.
// Nothing here knows Kubernetes, and nothing outside the drivers knows SQL.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// Store keeps the access of many tenants. Its methods are safe for concurrent use. Every error is of one of the kinds
// below or a context's, and none carries a connection string, a password or a host's answer to one.
type Store interface {
	// Tenant reads the tenant row alone: one statement on one row, cheap enough for every second.
	// ErrNoTenant where nobody has claimed the name.
	Tenant(ctx context.Context, tenant string) (Tenant, error)

	// Tenants reads the rows of the tenants named, or of all where none is named, in the order of their names: one
	// statement for any number of them. A tenant that nobody has claimed is left out.
	Tenants(ctx context.Context, names ...string) ([]Tenant, error)

	// Claim takes the tenant for an owner at a leader's election: it creates the row or raises its fence by one, so
	// that whoever held the former fence can write no more. ErrOwnedElsewhere where another owner holds the tenant
	// and adopt does not name it; adopting raises the epoch and forgets the newest resourceVersion.
	Claim(ctx context.Context, tenant string, owner Owner, adopt string) (Tenant, error)

	// Load reads everything of a tenant in one consistent snapshot.
	Load(ctx context.Context, tenant string) (Content, error)

	// Commit applies changes in one transaction that locks the tenant row first: ErrFenced where owner or fence are
	// not the expected ones, ErrStale where epoch, revision or the tamper mark have moved. It writes the ledger's
	// entry in the same transaction. Objects whose rows the database refuses are left out whole and named in the
	// result; the rest is committed. Nothing is written where there is nothing to change.
	Commit(ctx context.Context, commit Commit) (Committed, error)

	// Settle removes what ended at or before the store's now, set-based, with a ledger entry; it writes nothing where
	// nothing is overdue. It checks owner and fence like Commit, and needs no knowledge of the content.
	Settle(ctx context.Context, expect Tenant) (Committed, error)

	// Ledger reads up to limit entries after the given revision of the given epoch, oldest first.
	Ledger(ctx context.Context, tenant string, after Revision, limit int) ([]Entry, error)

	// Reserve adds rows to what a user has used, if and only if every limit then still holds, in one statement: of
	// many at once, on any number of handles, no more get through than fit. It asks for no fence, changes no revision,
	// and is no part of a tenant's content. ErrRefused where the reservation is none (see Reservation.Check). After any
	// other error it is unknown whether the rows were reserved.
	Reserve(ctx context.Context, tenant string, reservation Reservation) (Reserved, error)

	// Used reads what a user has used of each limit in the last 24 hours, in the order of the limits.
	Used(ctx context.Context, tenant, user string, limits []Limit) ([]int64, error)

	// TokenKeys are the tenant's keys for subject tokens that are live by the store's clock, the newest first, which alone
	// mints. The first one is made when the tenant is claimed.
	TokenKeys(ctx context.Context, tenant string) ([]token.Key, error)

	// RotateTokenKey makes a new newest key. The former one verifies for as long as a token that it minted may last. It asks
	// for no fence and changes no revision; keys are no part of a tenant's content.
	RotateTokenKey(ctx context.Context, tenant string) error

	// RenewTokenKey is RotateTokenKey where the newest key is so old, or of an age that is not known. It removes keys that
	// verify no more.
	RenewTokenKey(ctx context.Context, tenant string, age time.Duration) error

	// What people make while the CRM runs.
	Runtime

	// Close releases the connections.
	Close() error
}

// Owner is who may write a tenant: a namespace of a cluster. Cluster is the uid of its kube-system namespace.
type Owner struct {
	Cluster   string
	Namespace string
}

// String is the form that `spec.adopt` names: cluster/namespace.
func (o Owner) String() string { return o.Cluster + "/" + o.Namespace }

// Revision orders the states of a tenant. A store that was restored or adopted raises the epoch.
type Revision struct {
	Epoch  int64
	Number int64
}

// Compare is negative, zero or positive as r is before, equal to or after o.
func (r Revision) Compare(o Revision) int {
	if r.Epoch != o.Epoch {
		return int(min(max(r.Epoch-o.Epoch, -1), 1))
	}
	return int(min(max(r.Number-o.Number, -1), 1))
}

// String is epoch.number.
func (r Revision) String() string { return fmt.Sprintf("%d.%d", r.Epoch, r.Number) }

// Tenant is the one row that every writing transaction locks first.
type Tenant struct {
	Name     string
	Owner    Owner
	Fence    int64
	Revision Revision
	// LedgerHead is the hash of the newest ledger entry, empty before the first.
	LedgerHead string
	// ResourceVersion is the newest of the API that was acted on; an absence read from an older state is not believed.
	ResourceVersion uint64
	// SettledThrough is the instant up to which ends were settled; the store's clock never reads earlier.
	SettledThrough schedule.Instant
	// Tampered counts the writes that were not made through this package. It only grows.
	Tampered int64
	// Runtime is the state of the shares: another number with each of their changes, by whichever replica.
	Runtime int64
	// Brake is the controllers' memory of absences, kept with the tenant so that a restart does not forget it.
	Brake string
	// Now is the store's clock as this row was read: its own time, or SettledThrough where that is later.
	Now time.Time
}

// Content is everything of a tenant at one revision.
type Content struct {
	Tenant Tenant
	// Rows hold the facts and the sources, in no particular order.
	Rows []Row
}

// Commit is what one pass wants changed.
type Commit struct {
	// Expect is the tenant row that the changes were computed against.
	Expect Tenant
	// Changes are sorted (see Diff) and touch each row once.
	Changes []Change
	// Cause says why in the ledger: "pass", "repair", "retire", "refused".
	Cause string
	// ResourceVersion replaces the tenant's where it is greater, or where the epoch is raised.
	ResourceVersion uint64
	// Brake replaces the tenant's. A difference alone is worth a write, but no revision.
	Brake string
	// RaiseEpoch starts a new epoch: the store was found to be older than what had been seen of it.
	RaiseEpoch bool
}

// Committed is what came of a Commit or Settle.
type Committed struct {
	Tenant  Tenant
	Changes []Change
	// Refused are the objects whose rows the database would not take, with why.
	Refused map[access.Ref]error
}

// Entry is one commit in the ledger.
type Entry struct {
	Revision Revision
	At       schedule.Instant
	Cause    string
	Previous string
	Hash     string
	// Body is the canonical JSON that Hash is over.
	Body []byte
}

// The kinds of error. Test with errors.Is.
var (
	// ErrUnavailable means that the store cannot be reached or is not ready; trying again may help.
	ErrUnavailable = errors.New("permission store unavailable")
	// ErrNotFound means that there is no share or request of that name for which this can be done.
	ErrNotFound = errors.New("not found in the permission store")
	// ErrNoTenant means that nobody has claimed the tenant.
	ErrNoTenant = errors.New("no such tenant in the permission store")
	// ErrOwnedElsewhere means that another cluster or namespace owns the tenant.
	ErrOwnedElsewhere = errors.New("the permission store's tenant is owned elsewhere")
	// ErrFenced means that a newer leader has taken over; the caller must stop writing.
	ErrFenced = errors.New("fenced off by a newer leader")
	// ErrStale means that the tenant has moved since it was read: load again and compute anew.
	ErrStale = errors.New("the tenant has changed since it was read")
	// ErrRefused means that the database would not take the rows of one object.
	ErrRefused = errors.New("refused by the database")
	// ErrSchema means that the store's schema is newer than this program, or cannot be migrated.
	ErrSchema = errors.New("unusable schema")
)
