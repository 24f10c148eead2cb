// Package follow keeps a policy ready of each tenant that a permission store holds, for those who decide.
//
//	store ──look, every second or when announced──► revision moved? ──what was committed, or all──► answer ──► decisionapi
//
// What is answered from is replaced whole, and read without a lock. It counts while the store was seen to hold it within an
// age limit, at the store's time, which is told by an offset that is measured with each look. Where either is in doubt
// nothing is answered. Nothing here writes, and nothing here knows a driver.
package follow

import (
	"context"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Store is what is followed: the part of a permission store that reads.
type Store interface {
	Tenants(ctx context.Context, names ...string) ([]store.Tenant, error)
	Load(ctx context.Context, tenant string) (store.Content, error)
	Ledger(ctx context.Context, tenant string, after store.Revision, limit int) ([]store.Entry, error)
	Shares(ctx context.Context, tenant string) (store.Shares, error)
}

// Announcer is a Store that says what was committed sooner than a look would find out. It calls heard with the tenant, or
// with "" where any may have changed, and returns an error when it can hear no more.
type Announcer interface {
	Listen(ctx context.Context, heard func(tenant string)) error
}
