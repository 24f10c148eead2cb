package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	// Who changes shares holds this row until the end of the transaction, so that versions are seen in their order.
	raiseRuntime = `
INSERT INTO crm_access.runtime AS r (tenant, version) SELECT name, 1 FROM crm_access.tenant WHERE name = $1
ON CONFLICT (tenant) DO UPDATE SET version = r.version + 1
RETURNING version, (SELECT now FROM crm_access.clock)`

	countActive = `
SELECT count(DISTINCT user_name) FROM crm_access.crm_user WHERE tenant = $1 AND user_name = ANY($2) AND state = 'Active'`

	makeShare = `
INSERT INTO crm_access.share (tenant, id, maker, recipient, object, record_id, actions, level, restricted, only_fields, reason,
    not_before, not_after)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
WHERE (SELECT count(*) FROM crm_access.share WHERE tenant = $1 AND maker = $3 AND not_after > $12) < $14`

	endShare = `
UPDATE crm_access.share SET not_after = greatest(not_before, $3), ended_by = $4
WHERE tenant = $1 AND id = $2 AND not_after > $3`

	endShares = `
UPDATE crm_access.share SET not_after = greatest(not_before, $3), ended_by = CASE WHEN maker = ANY($2) THEN maker ELSE recipient END
WHERE tenant = $1 AND not_after > $3 AND (maker = ANY($2) OR recipient = ANY($2))`

	readRuntime = `
SELECT coalesce((SELECT version FROM crm_access.runtime WHERE tenant = $1), 0) FROM crm_access.tenant WHERE name = $1`

	selectShares = `
SELECT id, maker, recipient, object, record_id, actions, level, restricted, only_fields, reason, not_before, not_after, ended_by
FROM crm_access.share `

	whereLive = `WHERE tenant = $1 AND not_after > (SELECT now FROM crm_access.clock) ORDER BY id`

	whereOf = `WHERE tenant = $1 AND (maker = $2 OR recipient = $2) ORDER BY not_before DESC, id LIMIT $3`
)

// Shares is Runtime.Shares: one snapshot.
func (s *db) Shares(ctx context.Context, tenant string) (store.Shares, error) {
	var shares store.Shares
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := s.transact(ctx, options, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		batch := &pgx.Batch{}
		batch.Queue(readRuntime, tenant)
		batch.Queue(selectShares+whereLive, tenant)
		results := tx.SendBatch(ctx, batch)
		defer func() { _ = results.Close() }()
		if err := results.QueryRow().Scan(&shares.Version); err != nil {
			return false, mapError(ctx, err)
		}
		rows, err := results.Query()
		if err != nil {
			return false, mapError(ctx, err)
		}
		live, err := pgx.CollectRows(rows, scanShare)
		for _, share := range live {
			shares.List = append(shares.List, share.ShareFact)
		}
		return false, mapError(ctx, err)
	})
	if err != nil {
		return store.Shares{}, err
	}
	return shares, nil
}

// SharesOf is Runtime.SharesOf.
func (s *db) SharesOf(ctx context.Context, tenant, person string, limit int) ([]store.Share, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, selectShares+whereOf, tenant, person, limit)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	shares, err := pgx.CollectRows(rows, scanShare)
	return shares, mapError(ctx, err)
}

func scanShare(row pgx.CollectableRow) (store.Share, error) {
	var share store.Share
	var level string
	var notBefore, notAfter time.Time
	err := row.Scan(&share.ID, &share.Maker, &share.Recipient, &share.Object, &share.Record, &share.Actions, &level, &share.Restricted,
		&share.OnlyFields, &share.Reason, &notBefore, &notAfter, &share.EndedBy)
	share.Level = driver.Level(level)
	share.Window = schedule.Window{NotBefore: schedule.At(notBefore), NotAfter: schedule.At(notAfter)}
	return share, err
}

// MakeShare is Runtime.MakeShare.
func (s *db) MakeShare(ctx context.Context, tenant string, share store.Share, approvals []string) (store.Share, error) {
	share.ID, share.EndedBy = driver.NewID(), ""
	approvals = driver.Distinct(approvals)
	err := s.changeShares(ctx, tenant, func(ctx context.Context, tx pgx.Tx, now schedule.Instant) error {
		if err := share.Check(now); err != nil {
			return err
		}
		if err := inUse(ctx, tx, tenant, share.Maker, share.Recipient); err != nil {
			return err
		}
		if used, err := useUp(ctx, tx, tenant, approvals, share.Maker); err != nil || used != int64(len(approvals)) {
			return cmp.Or(err, store.ErrSpent)
		}
		share.Window.NotBefore = now
		tag, err := tx.Exec(ctx, makeShare, tenant, share.ID, share.Maker, share.Recipient, share.Object, share.Record, share.Actions,
			share.Level.String(), share.Restricted, someOrNull(share.OnlyFields), share.Reason, now.Time(), share.Window.NotAfter.Time(), store.MaxOpen)
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: the maker has %d live shares; end one first", store.ErrRefused, store.MaxOpen)
		}
		return mapError(ctx, err)
	})
	if err != nil {
		return store.Share{}, err
	}
	return share, nil
}

// inUse says whether each of these accounts is: ErrNoAccount. Who ends an account holds the run-time row as who makes a share
// does: either this sees the end, or the end sees the share.
func inUse(ctx context.Context, tx pgx.Tx, tenant string, people ...string) error {
	var active int
	if err := tx.QueryRow(ctx, countActive, tenant, people).Scan(&active); err != nil {
		return mapError(ctx, err)
	}
	if active < len(people) {
		return store.ErrNoAccount
	}
	return nil
}

// EndShare is Runtime.EndShare.
func (s *db) EndShare(ctx context.Context, tenant, id, by string) error {
	if err := store.CheckNames(id, by); err != nil {
		return err
	}
	return s.changeShares(ctx, tenant, func(ctx context.Context, tx pgx.Tx, now schedule.Instant) error {
		tag, err := tx.Exec(ctx, endShare, tenant, id, now.Time(), by)
		if err == nil && tag.RowsAffected() == 0 {
			return store.ErrNotFound
		}
		return mapError(ctx, err)
	})
}

// changeShares makes a change at the store's now and announces it.
func (s *db) changeShares(ctx context.Context, tenant string, change func(context.Context, pgx.Tx, schedule.Instant) error) error {
	return s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		var version int64
		var now time.Time
		if err := tx.QueryRow(ctx, raiseRuntime, tenant).Scan(&version, &now); err != nil {
			return false, mapError(ctx, err)
		}
		if err := change(ctx, tx, schedule.At(now)); err != nil {
			return false, err
		}
		_, err := tx.Exec(ctx, notify, runtimeNotification(tenant, version))
		return true, mapError(ctx, err)
	})
}

// runtimeNotification is the payload on the channel crm_access when shares have changed.
func runtimeNotification(tenant string, version int64) string {
	b := append([]byte(`{"tenant":`), store.AppendString(nil, tenant)...)
	b = strconv.AppendInt(append(b, `,"runtime":`...), version, 10)
	return string(append(b, '}'))
}

// someOrNull is a list as the tables keep it: an empty one is null.
func someOrNull(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// EndShares is Tx.EndShares. Who makes a share at the same time holds the run-time row; the update sees what was made before.
func (t *transaction) EndShares(ctx context.Context, tenant string, people []string, now schedule.Instant) (int64, error) {
	var version int64
	var at time.Time
	if err := t.tx.QueryRow(ctx, raiseRuntime, tenant).Scan(&version, &at); err != nil {
		return 0, mapError(ctx, err)
	}
	return version, t.exec(ctx, endShares, tenant, people, now.Time())
}
