package driver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// Claim is Store.Claim within a transaction.
func Claim(ctx context.Context, tx Tx, tenant string, owner store.Owner, adopt string) (store.Tenant, error) {
	if err := tx.Create(ctx, tenant, owner); err != nil {
		return store.Tenant{}, err
	}
	held, err := tx.Lock(ctx, tenant)
	if err != nil {
		return store.Tenant{}, err
	}
	next := held
	if held.Owner != owner {
		if adopt != held.Owner.String() {
			return store.Tenant{}, fmt.Errorf("%w: %s belongs to %s; to take it over, adopt that name", store.ErrOwnedElsewhere, tenant, held.Owner)
		}
		next.Owner = owner
		next.Revision = store.Revision{Epoch: held.Revision.Epoch + 1}
		next.ResourceVersion = 0
	}
	if err := tx.AddTokenKey(ctx, tenant, token.NewKey(), schedule.At(held.Now)); err != nil {
		return store.Tenant{}, err
	}
	next.Fence++
	next.SettledThrough = schedule.At(held.Now)
	return next, tx.Update(ctx, next)
}

// RotateTokenKey is Store.RotateTokenKey within a transaction. The tenant row's lock keeps two from rotating at once.
func RotateTokenKey(ctx context.Context, tx Tx, tenant string) error {
	held, err := tx.Lock(ctx, tenant)
	if err != nil {
		return err
	}
	return replaceTokenKey(ctx, tx, tenant, schedule.At(held.Now))
}

// RenewTokenKey is Store.RenewTokenKey within a transaction.
func RenewTokenKey(ctx context.Context, tx Tx, tenant string, age time.Duration) error {
	held, err := tx.Lock(ctx, tenant)
	if err != nil {
		return err
	}
	now := schedule.At(held.Now)
	made, err := tx.TokenKeyMade(ctx, tenant)
	if err != nil {
		return err
	}
	if made > now-schedule.Instant(age/time.Second) {
		return tx.RemoveTokenKeys(ctx, tenant, now)
	}
	return replaceTokenKey(ctx, tx, tenant, now)
}

func replaceTokenKey(ctx context.Context, tx Tx, tenant string, now schedule.Instant) error {
	if err := tx.RemoveTokenKeys(ctx, tenant, now); err != nil {
		return err
	}
	// One second more: it may mint until this commits, in the second that has begun by then.
	if err := tx.EndTokenKey(ctx, tenant, now+token.MaxLifetime+1); err != nil {
		return err
	}
	return tx.AddTokenKey(ctx, tenant, token.NewKey(), now)
}

// Commit is Store.Commit within a transaction. Where it says false nothing was worth a write, and the transaction is
// to be rolled back.
func Commit(ctx context.Context, tx Tx, c store.Commit) (store.Committed, bool, error) {
	held, err := tx.Lock(ctx, c.Expect.Name)
	if err != nil {
		return store.Committed{}, false, err
	}
	if err := CheckCurrent(held, c.Expect); err != nil {
		return store.Committed{}, false, err
	}
	made, refused, err := apply(ctx, tx, c.Expect.Name, sorted(c.Changes))
	if err != nil {
		return store.Committed{}, false, err
	}
	next := held
	if people := departed(made); len(people) > 0 {
		if next.Runtime, err = tx.EndShares(ctx, held.Name, people, schedule.At(held.Now)); err != nil {
			return store.Committed{}, false, err
		}
	}
	next.Brake = c.Brake
	next.ResourceVersion = max(held.ResourceVersion, c.ResourceVersion)
	next.SettledThrough = schedule.At(held.Now)
	switch {
	case c.RaiseEpoch:
		next.Revision = store.Revision{Epoch: held.Revision.Epoch + 1, Number: 1}
		// What was acted on before is another history: an API that is followed again counts from where it stands.
		next.ResourceVersion = c.ResourceVersion
	case len(made) > 0:
		next.Revision.Number++
	case c.Brake == held.Brake:
		return store.Committed{Tenant: held, Refused: refused}, false, nil
	default:
		return store.Committed{Tenant: next, Refused: refused}, true, tx.Update(ctx, next)
	}
	next, err = record(ctx, tx, next, c.Cause, made)
	return store.Committed{Tenant: next, Changes: made, Refused: refused}, true, err
}

// Quiet says whether a commit changes no rows: it may still have a brake to write down, which needs no transaction to
// find out.
func Quiet(c store.Commit) bool { return len(c.Changes) == 0 && !c.RaiseEpoch }

// Settle is Store.Settle within a transaction; see Commit for the second result.
func Settle(ctx context.Context, tx Tx, expect store.Tenant) (store.Committed, bool, error) {
	held, err := tx.Lock(ctx, expect.Name)
	if err != nil {
		return store.Committed{}, false, err
	}
	if err := CheckHolder(held, expect); err != nil {
		return store.Committed{}, false, err
	}
	if err := tx.Announce(ctx, expect.Name); err != nil {
		return store.Committed{}, false, err
	}
	removed, err := tx.RemoveEnded(ctx, expect.Name, schedule.At(held.Now))
	if err != nil || len(removed) == 0 {
		return store.Committed{Tenant: held}, false, err
	}
	slices.SortFunc(removed, compareChanges)
	next := held
	next.Revision.Number++
	next.SettledThrough = schedule.At(held.Now)
	next, err = record(ctx, tx, next, "settle", removed)
	return store.Committed{Tenant: next, Changes: removed}, true, err
}

// record writes the ledger's entry and the tenant row of a new revision.
func record(ctx context.Context, tx Tx, next store.Tenant, cause string, made []store.Change) (store.Tenant, error) {
	entry := ledger.Seal(ledger.Commit{
		Tenant: next.Name, Revision: next.Revision, At: next.SettledThrough, Cause: cause, Previous: next.LedgerHead, Changes: made,
	})
	next.LedgerHead = entry.Hash
	if err := tx.Append(ctx, next.Name, entry); err != nil {
		return store.Tenant{}, err
	}
	return next, tx.Update(ctx, next)
}

// CheckHolder says whether the caller still holds the tenant: same owner, same fence.
func CheckHolder(held, expect store.Tenant) error {
	switch {
	case held.Owner != expect.Owner:
		return fmt.Errorf("%w: %s now belongs to %s", store.ErrFenced, held.Name, held.Owner)
	case held.Fence != expect.Fence:
		return fmt.Errorf("%w: fence of %s is %d, ours %d", store.ErrFenced, held.Name, held.Fence, expect.Fence)
	}
	return nil
}

// CheckCurrent says whether, besides, the tenant is as the caller read it. The ledger's head tells a restored copy that
// has come to the same revision again.
func CheckCurrent(held, expect store.Tenant) error {
	if err := CheckHolder(held, expect); err != nil {
		return err
	}
	switch {
	case held.Revision != expect.Revision:
		return fmt.Errorf("%w: %s is at revision %s, expected %s", store.ErrStale, held.Name, held.Revision, expect.Revision)
	case held.LedgerHead != expect.LedgerHead:
		return fmt.Errorf("%w: revision %s of %s is not the one that was read", store.ErrStale, held.Revision, held.Name)
	case held.Tampered != expect.Tampered:
		return fmt.Errorf("%w: rows of %s were written by others", store.ErrStale, held.Name)
	}
	return nil
}

func compareChanges(a, b store.Change) int { return a.Compare(b.RowID) }

func sorted(changes []store.Change) []store.Change {
	if slices.IsSortedFunc(changes, compareChanges) {
		return changes
	}
	return slices.SortedFunc(slices.Values(changes), compareChanges)
}
