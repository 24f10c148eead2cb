package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	// A row that a hand took away begins anew after what its ledger has, goes on with the ledger's chain, and counts the
	// hand: without the row, nobody counted what else was written.
	createTenant = `
INSERT INTO tenant (name, cluster_uid, namespace_uid, fence, epoch, revision, ledger_head, settled_through, tampered)
SELECT ?1, ?2, ?3, 0, coalesce(max(l.epoch), 0) + 1, 0,
    coalesce((SELECT hash FROM ledger WHERE tenant = ?1 ORDER BY epoch DESC, revision DESC LIMIT 1), ''),
    strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), max(l.epoch) IS NOT NULL
FROM ledger AS l WHERE l.tenant = ?1
ON CONFLICT DO NOTHING`

	announceWriting = `UPDATE tenant SET writing = 1 WHERE name = ?1`

	updateTenant = `
UPDATE tenant SET cluster_uid = ?2, namespace_uid = ?3, fence = ?4, epoch = ?5, revision = ?6, ledger_head = ?7,
    resource_version = ?8, settled_through = max(settled_through, ?9), brake = ?10, writing = 0
WHERE name = ?1`

	appendLedger = `
INSERT INTO ledger (tenant, epoch, revision, at, cause, previous, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`

	anyEnded = `SELECT EXISTS (SELECT 1 FROM holder WHERE tenant = ?1 AND not_after <= (SELECT now FROM clock))`

	// Reading what goes and then deleting it is faster here than DELETE … RETURNING, and as good: nobody else writes
	// meanwhile.
	readEndedHolders = `
SELECT owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
FROM holder WHERE tenant = ?1 AND not_after <= ?2`

	removeEndedHolders = `DELETE FROM holder WHERE tenant = ?1 AND not_after <= ?2`

	readUnheldTuples = `
SELECT owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners, departments,
    department_trees, conditions, field_rules, restricted, only_fields, rowid
FROM tuple
WHERE tenant = ?1 AND owner_kind = 'TemporaryGrant' AND bundle IN (SELECT value FROM json_each(?2))
    AND NOT EXISTS (SELECT 1 FROM holder AS h WHERE h.tenant = ?1 AND h.bundle = tuple.bundle)`

	removeTuples = `DELETE FROM tuple WHERE rowid IN (SELECT value FROM json_each(?1))`
)

// Claim is Store.Claim.
func (s *db) Claim(ctx context.Context, tenant string, owner store.Owner, adopt string) (store.Tenant, error) {
	var claimed store.Tenant
	err := s.transact(ctx, func(tx *transaction) (bool, error) {
		var err error
		claimed, err = driver.Claim(ctx, tx, tenant, owner, adopt)
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
	return s.committed(ctx, func(tx *transaction) (store.Committed, bool, error) { return driver.Commit(ctx, tx, commit) })
}

// Settle is Store.Settle. Whether anything ended is read without a lock first: at rest nothing is written.
func (s *db) Settle(ctx context.Context, expect store.Tenant) (store.Committed, error) {
	var overdue bool
	if err := s.read.QueryRowContext(ctx, anyEnded, expect.Name).Scan(&overdue); err != nil {
		return store.Committed{}, mapError(ctx, err)
	}
	if !overdue {
		held, err := s.Tenant(ctx, expect.Name)
		if err != nil {
			return store.Committed{}, err
		}
		return store.Committed{Tenant: held}, driver.CheckHolder(held, expect)
	}
	return s.committed(ctx, func(tx *transaction) (store.Committed, bool, error) { return driver.Settle(ctx, tx, expect) })
}

func (s *db) committed(ctx context.Context, write func(*transaction) (store.Committed, bool, error)) (store.Committed, error) {
	var committed store.Committed
	err := s.transact(ctx, func(tx *transaction) (bool, error) {
		var wrote bool
		var err error
		committed, wrote, err = write(tx)
		return wrote, err
	})
	if err != nil {
		return store.Committed{}, err
	}
	return committed, nil
}

// transact runs write in a transaction that holds the database's one write lock from its start (BEGIN IMMEDIATE), and
// commits where it says so.
func (s *db) transact(ctx context.Context, write func(*transaction) (bool, error)) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return mapError(ctx, err)
	}
	defer func() { _ = tx.Rollback() }()
	keep, err := write(&transaction{tx})
	if err != nil || !keep {
		return err
	}
	return mapError(ctx, tx.Commit())
}

// transaction is a driver.Tx.
type transaction struct{ tx *sql.Tx }

var _ driver.Tx = (*transaction)(nil)

func (t *transaction) exec(ctx context.Context, statement string, args ...any) error {
	_, err := t.tx.ExecContext(ctx, statement, args...)
	return mapError(ctx, err)
}

// Create is Tx.Create.
func (t *transaction) Create(ctx context.Context, tenant string, owner store.Owner) error {
	return t.exec(ctx, createTenant, tenant, owner.Cluster, owner.Namespace)
}

// Lock is Tx.Lock. The transaction holds the lock since it began.
func (t *transaction) Lock(ctx context.Context, tenant string) (store.Tenant, error) {
	return tenantRow(ctx, t.tx, tenant)
}

// Announce is Tx.Announce.
func (t *transaction) Announce(ctx context.Context, tenant string) error {
	return t.exec(ctx, announceWriting, tenant)
}

// Savepoint is Tx.Savepoint.
func (t *transaction) Savepoint(ctx context.Context) error { return t.exec(ctx, `SAVEPOINT part`) }

// Rollback is Tx.Rollback. ROLLBACK TO leaves the savepoint in place.
func (t *transaction) Rollback(ctx context.Context) error {
	return t.exec(ctx, `ROLLBACK TO part; RELEASE part`)
}

// Release is Tx.Release.
func (t *transaction) Release(ctx context.Context) error { return t.exec(ctx, `RELEASE part`) }

// Write is Tx.Write.
func (t *transaction) Write(ctx context.Context, _ string, batch driver.Batch) (int64, error) {
	rows := string(batch.Rows)
	if hasNUL(rows) {
		// SQLite would keep such text and cut it short when it reads it; PostgreSQL refuses it.
		return 0, fmt.Errorf("%w: text must not contain the character U+0000", store.ErrRefused)
	}
	result, err := t.tx.ExecContext(ctx, statements[batch.Table][string(batch.Op)], rows)
	if err != nil {
		return 0, mapError(ctx, err)
	}
	touched, err := result.RowsAffected()
	return touched, mapError(ctx, err)
}

// hasNUL looks for the escape \u0000 in JSON: an odd number of backslashes before u0000.
func hasNUL(json string) bool {
	for {
		i := strings.Index(json, `\u0000`)
		if i < 0 {
			return false
		}
		before := strings.TrimRight(json[:i+1], `\`)
		if (i+1-len(before))%2 == 1 {
			return true
		}
		json = json[i+1:]
	}
}

// RemoveEnded is Tx.RemoveEnded.
func (t *transaction) RemoveEnded(ctx context.Context, tenant string, now schedule.Instant) ([]store.Change, error) {
	var bundles, tuples array
	var row int64
	overdue, err := t.tx.QueryContext(ctx, readEndedHolders, tenant, now.String())
	if err != nil {
		return nil, mapError(ctx, err)
	}
	ended, err := readRows(ctx, nil, store.TableHolder, overdue, func(s *scanner) { bundles.addText(s.text("bundle")) })
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	if err := t.exec(ctx, removeEndedHolders, tenant, now.String()); err != nil {
		return nil, err
	}
	unheld, err := t.tx.QueryContext(ctx, readUnheldTuples, tenant, bundles.String())
	if err != nil {
		return nil, mapError(ctx, err)
	}
	removed, err := readRows(ctx, nil, store.TableTuple, unheld, func(*scanner) { tuples.addNumber(row) }, &row)
	if err != nil {
		return nil, err
	}
	if err := t.exec(ctx, removeTuples, tuples.String()); err != nil {
		return nil, err
	}
	return deletions(removed, ended), nil
}

// deletions puts tuples before holders, as the ledger's order has them: rows come mostly in the order in which they were
// written, so that there is little left to sort.
func deletions(tuples, holders []store.Row) []store.Change {
	changes := make([]store.Change, 0, len(tuples)+len(holders))
	for _, rows := range [][]store.Row{tuples, holders} {
		for _, row := range rows {
			changes = append(changes, store.Change{RowID: row.RowID, Before: row.Body})
		}
	}
	return changes
}

// array is a JSON array under construction.
type array struct{ buffer []byte }

func (a *array) next() {
	if len(a.buffer) == 0 {
		a.buffer = append(a.buffer, '[')
	} else {
		a.buffer = append(a.buffer, ',')
	}
}

func (a *array) addText(s string) {
	a.next()
	a.buffer = store.AppendString(a.buffer, s)
}

func (a *array) addNumber(n int64) {
	a.next()
	a.buffer = strconv.AppendInt(a.buffer, n, 10)
}

func (a *array) String() string {
	if len(a.buffer) == 0 {
		return "[]"
	}
	return string(a.buffer) + "]"
}

// Append is Tx.Append. Nobody listens to a file: who follows the tenant polls.
func (t *transaction) Append(ctx context.Context, tenant string, e store.Entry) error {
	return t.exec(ctx, appendLedger, tenant, e.Revision.Epoch, e.Revision.Number, e.At.String(), e.Cause, e.Previous, e.Hash, string(e.Body))
}

// Update is Tx.Update.
func (t *transaction) Update(ctx context.Context, n store.Tenant) error {
	return t.exec(ctx, updateTenant, n.Name, n.Owner.Cluster, n.Owner.Namespace, n.Fence, n.Revision.Epoch, n.Revision.Number,
		n.LedgerHead, strconv.FormatUint(n.ResourceVersion, 10), n.SettledThrough.String(), n.Brake)
}
