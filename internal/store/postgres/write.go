package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	// A row that a hand took away begins anew after what its ledger has, goes on with the ledger's chain, and counts the
	// hand: without the row, nobody counted what else was written.
	createTenant = `
INSERT INTO crm_access.tenant (name, cluster_uid, namespace_uid, fence, epoch, revision, ledger_head, settled_through, tampered)
SELECT $1, $2, $3, 0, coalesce(max(l.epoch), 0) + 1, 0,
    coalesce((SELECT hash FROM crm_access.ledger WHERE tenant = $1 ORDER BY epoch DESC, revision DESC LIMIT 1), ''),
    date_trunc('second', clock_timestamp()), (max(l.epoch) IS NOT NULL)::integer
FROM crm_access.ledger AS l WHERE l.tenant = $1
ON CONFLICT DO NOTHING`

	lockTenant = `SELECT FROM crm_access.tenant WHERE name = $1 FOR UPDATE`

	announceWriting = `UPDATE crm_access.tenant SET writing = true WHERE name = $1`

	updateTenant = `
UPDATE crm_access.tenant SET cluster_uid = $2, namespace_uid = $3, fence = $4, epoch = $5, revision = $6, ledger_head = $7,
    resource_version = $8::text::numeric, settled_through = greatest(settled_through, $9), brake = $10, writing = false
WHERE name = $1`

	appendLedger = `
INSERT INTO crm_access.ledger (tenant, epoch, revision, at, cause, previous, hash, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

	notify = `SELECT pg_notify('crm_access', $1)`

	anyEnded = `
SELECT EXISTS (SELECT FROM crm_access.holder WHERE tenant = $1 AND not_after <= (SELECT now FROM crm_access.clock))`

	// Before the holders go: a bundle of which every holder ended.
	removeUnheldTuples = `
DELETE FROM crm_access.tuple AS t
WHERE t.tenant = $1 AND t.owner_kind = 'TemporaryGrant'
    AND t.bundle IN (SELECT h.bundle FROM crm_access.holder AS h WHERE h.tenant = $1 AND h.not_after <= $2)
    AND NOT EXISTS (
        SELECT FROM crm_access.holder AS h
        WHERE h.tenant = $1 AND h.bundle = t.bundle AND (h.not_after IS NULL OR h.not_after > $2))
RETURNING owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields`

	removeEndedHolders = `
DELETE FROM crm_access.holder WHERE tenant = $1 AND not_after <= $2
RETURNING owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after`
)

// writing is READ COMMITTED: each statement after the lock sees what the one who held it before has committed.
var writing = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// Claim is Store.Claim.
func (s *db) Claim(ctx context.Context, tenant string, owner store.Owner, adopt string) (store.Tenant, error) {
	var claimed store.Tenant
	err := s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		var err error
		claimed, err = driver.Claim(ctx, &transaction{tx}, tenant, owner, adopt)
		return true, err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return claimed, nil
}

// Commit is Store.Commit.
func (s *db) Commit(ctx context.Context, commit store.Commit) (store.Committed, error) {
	if driver.Quiet(commit) {
		held, err := s.Tenant(ctx, commit.Expect.Name)
		if err != nil {
			return store.Committed{}, err
		}
		if err := driver.CheckCurrent(held, commit.Expect); err != nil {
			return store.Committed{}, err
		}
		if held.Brake == commit.Brake {
			return store.Committed{Tenant: held}, nil
		}
	}
	return s.committed(ctx, func(ctx context.Context, tx *transaction) (store.Committed, bool, error) {
		return driver.Commit(ctx, tx, commit)
	})
}

// Settle is Store.Settle. Whether anything ended is read without a lock first: at rest nothing is written.
func (s *db) Settle(ctx context.Context, expect store.Tenant) (store.Committed, error) {
	overdue, err := s.overdue(ctx, expect.Name)
	if err != nil {
		return store.Committed{}, err
	}
	if !overdue {
		held, err := s.Tenant(ctx, expect.Name)
		if err != nil {
			return store.Committed{}, err
		}
		return store.Committed{Tenant: held}, driver.CheckHolder(held, expect)
	}
	return s.committed(ctx, func(ctx context.Context, tx *transaction) (store.Committed, bool, error) {
		return driver.Settle(ctx, tx, expect)
	})
}

func (s *db) overdue(ctx context.Context, tenant string) (bool, error) {
	within, cancel := context.WithTimeout(ctx, s.workTimeout)
	defer cancel()
	var overdue bool
	err := s.pool.QueryRow(within, anyEnded, tenant).Scan(&overdue)
	return overdue, mapError(ctx, err)
}

func (s *db) committed(ctx context.Context, write func(context.Context, *transaction) (store.Committed, bool, error)) (store.Committed, error) {
	var committed store.Committed
	err := s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		var wrote bool
		var err error
		committed, wrote, err = write(ctx, &transaction{tx})
		return wrote, err
	})
	if err != nil {
		return store.Committed{}, err
	}
	return committed, nil
}

// transaction is a driver.Tx.
type transaction struct{ tx pgx.Tx }

var _ driver.Tx = (*transaction)(nil)

func (t *transaction) exec(ctx context.Context, statement string, args ...any) error {
	_, err := t.tx.Exec(ctx, statement, args...)
	return mapError(ctx, err)
}

// Create is Tx.Create.
func (t *transaction) Create(ctx context.Context, tenant string, owner store.Owner) error {
	return t.exec(ctx, createTenant, tenant, owner.Cluster, owner.Namespace)
}

// Lock is Tx.Lock. The row and the clock are read by a statement of their own, which begins when the lock is ours.
func (t *transaction) Lock(ctx context.Context, tenant string) (store.Tenant, error) {
	batch := &pgx.Batch{}
	batch.Queue(lockTenant, tenant)
	batch.Queue(readTenant, tenant)
	results := t.tx.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return store.Tenant{}, mapError(ctx, err)
	}
	return tenantRow(ctx, results.QueryRow())
}

// Announce is Tx.Announce.
func (t *transaction) Announce(ctx context.Context, tenant string) error {
	return t.exec(ctx, announceWriting, tenant)
}

// Savepoint is Tx.Savepoint.
func (t *transaction) Savepoint(ctx context.Context) error { return t.exec(ctx, `SAVEPOINT part`) }

// Rollback is Tx.Rollback. ROLLBACK TO leaves the savepoint in place.
func (t *transaction) Rollback(ctx context.Context) error {
	if err := t.exec(ctx, `ROLLBACK TO SAVEPOINT part`); err != nil {
		return err
	}
	return t.Release(ctx)
}

// Release is Tx.Release.
func (t *transaction) Release(ctx context.Context) error {
	return t.exec(ctx, `RELEASE SAVEPOINT part`)
}

// Write is Tx.Write.
func (t *transaction) Write(ctx context.Context, tenant string, batch driver.Batch) (int64, error) {
	tag, err := t.tx.Exec(ctx, statements[batch.Table][string(batch.Op)], tenant, batch.Rows)
	return tag.RowsAffected(), mapError(ctx, err)
}

// RemoveEnded is Tx.RemoveEnded.
func (t *transaction) RemoveEnded(ctx context.Context, tenant string, now schedule.Instant) ([]store.Change, error) {
	batch := &pgx.Batch{}
	batch.Queue(removeUnheldTuples, tenant, now.Time())
	batch.Queue(removeEndedHolders, tenant, now.Time())
	results := t.tx.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }()
	var removed []store.Row
	fragments := make(canonicalFragments)
	for _, table := range []store.Table{store.TableTuple, store.TableHolder} {
		rows, err := results.Query()
		if err != nil {
			return nil, mapError(ctx, err)
		}
		if removed, err = readRows(ctx, removed, table, fragments, rows); err != nil {
			return nil, err
		}
	}
	changes := make([]store.Change, len(removed))
	for i, row := range removed {
		changes[i] = store.Change{RowID: row.RowID, Before: row.Body}
	}
	return changes, nil
}

// Append is Tx.Append. The notification goes out when the transaction commits, and not if it does not.
func (t *transaction) Append(ctx context.Context, tenant string, e store.Entry) error {
	batch := &pgx.Batch{}
	batch.Queue(appendLedger, tenant, e.Revision.Epoch, e.Revision.Number, e.At.Time(), e.Cause, e.Previous, e.Hash, e.Body)
	batch.Queue(notify, notification(tenant, e.Revision))
	return mapError(ctx, t.tx.SendBatch(ctx, batch).Close())
}

// notification is the payload on the channel crm_access.
func notification(tenant string, revision store.Revision) string {
	b := append([]byte(`{"tenant":`), store.AppendString(nil, tenant)...)
	b = strconv.AppendInt(append(b, `,"epoch":`...), revision.Epoch, 10)
	b = strconv.AppendInt(append(b, `,"revision":`...), revision.Number, 10)
	return string(append(b, '}'))
}

// Update is Tx.Update.
func (t *transaction) Update(ctx context.Context, n store.Tenant) error {
	return t.exec(ctx, updateTenant, n.Name, n.Owner.Cluster, n.Owner.Namespace, n.Fence, n.Revision.Epoch, n.Revision.Number,
		n.LedgerHead, strconv.FormatUint(n.ResourceVersion, 10), n.SettledThrough.Time(), n.Brake)
}
