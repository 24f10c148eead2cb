package driver

import (
	"context"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// Tx is one writing transaction of a driver; the driver begins and ends it. Every error is of one of the store's
// kinds; ErrRefused is one that a savepoint undoes.
type Tx interface {
	// Create makes the tenant row where there is none, with fence 0 and epoch 1. Where the tenant has a ledger all the
	// same, the row was taken away by a hand: its epoch is one after the ledger's newest, its head the ledger's, and the
	// hand is counted.
	Create(ctx context.Context, tenant string, owner store.Owner) error
	// Lock locks the tenant row until the transaction ends and reads it, and then the clock. ErrNoTenant.
	Lock(ctx context.Context, tenant string) (store.Tenant, error)
	// Announce tells the triggers on the content tables that this transaction is the store's own; Update ends that.
	Announce(ctx context.Context, tenant string) error

	// Savepoint begins a part that can be undone by itself; Rollback undoes it, Release keeps it. They do not nest.
	Savepoint(ctx context.Context) error
	Rollback(ctx context.Context) error
	Release(ctx context.Context) error
	// Write writes one batch and says how many rows it touched.
	Write(ctx context.Context, tenant string, batch Batch) (int64, error)

	// RemoveEnded deletes the holders that ended at or before now, and the tuples of temporary grants that nobody
	// holds any more because of it. It returns the deletions in any order.
	RemoveEnded(ctx context.Context, tenant string, now schedule.Instant) ([]store.Change, error)

	// EndShares ends, at now, the live shares that one of these people made or receives. No share that is made at the same
	// time is left out: it waits for this transaction, or this one for it. It returns the shares' version.
	EndShares(ctx context.Context, tenant string, people []string, now schedule.Instant) (int64, error)

	// RemoveTokenKeys removes the tenant's keys that ended at or before now.
	RemoveTokenKeys(ctx context.Context, tenant string, now schedule.Instant) error
	// TokenKeyMade is when the newest was made; schedule.Always where there is none, or that is not known.
	TokenKeyMade(ctx context.Context, tenant string) (schedule.Instant, error)
	// EndTokenKey lets the newest end at an instant.
	EndTokenKey(ctx context.Context, tenant string, end schedule.Instant) error
	// AddTokenKey makes the key the tenant's newest, unless it has one.
	AddTokenKey(ctx context.Context, tenant string, key token.Key, made schedule.Instant) error

	// Append adds an entry to the ledger and, where the database can, notifies those who follow the tenant.
	Append(ctx context.Context, tenant string, entry store.Entry) error
	// Update writes the tenant row.
	Update(ctx context.Context, tenant store.Tenant) error
}
