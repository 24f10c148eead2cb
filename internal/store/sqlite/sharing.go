package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	raiseRuntime = `
INSERT INTO runtime (tenant, version) VALUES (?1, 1) ON CONFLICT (tenant) DO UPDATE SET version = runtime.version + 1`

	countActive = `
SELECT count(DISTINCT user_name) FROM crm_user WHERE tenant = ?1 AND user_name IN (SELECT value FROM json_each(?2)) AND state = 'Active'`

	makeShare = `
INSERT INTO share (tenant, id, maker, recipient, object, record_id, actions, level, restricted, only_fields, reason, not_before, not_after)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
WHERE (SELECT count(*) FROM share WHERE tenant = ?1 AND maker = ?3 AND not_after > ?12) < ?14`

	endShare = `
UPDATE share SET not_after = max(not_before, ?3), ended_by = ?4 WHERE tenant = ?1 AND id = ?2 AND not_after > ?3`

	endShares = `
UPDATE share SET not_after = max(not_before, ?3), ended_by = iif(maker IN (SELECT value FROM json_each(?2)), maker, recipient)
WHERE tenant = ?1 AND not_after > ?3 AND (maker IN (SELECT value FROM json_each(?2)) OR recipient IN (SELECT value FROM json_each(?2)))`

	selectShares = `
SELECT id, maker, recipient, object, record_id, actions, level, restricted, only_fields, reason, not_before, not_after, ended_by
FROM share `

	whereLive = `WHERE tenant = ?1 AND not_after > ?2 ORDER BY id`

	whereOf = `WHERE tenant = ?1 AND (maker = ?2 OR recipient = ?2) ORDER BY not_before DESC, id LIMIT ?3`
)

// Shares is Runtime.Shares. WAL gives the transaction one snapshot.
func (s *db) Shares(ctx context.Context, tenant string) (store.Shares, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Shares{}, mapError(ctx, err)
	}
	defer func() { _ = tx.Rollback() }()
	held, err := tenantRow(ctx, tx, tenant)
	if err != nil {
		return store.Shares{}, err
	}
	live, err := list(ctx, tx, scanShare, selectShares+whereLive, tenant, schedule.At(held.Now).String())
	if err != nil {
		return store.Shares{}, err
	}
	shares := store.Shares{Version: held.Runtime}
	for _, share := range live {
		shares.List = append(shares.List, share.ShareFact)
	}
	return shares, nil
}

// SharesOf is Runtime.SharesOf.
func (s *db) SharesOf(ctx context.Context, tenant, person string, limit int) ([]store.Share, error) {
	return list(ctx, s.read, scanShare, selectShares+whereOf, tenant, person, limit)
}

func scanShare(rows *sql.Rows) (store.Share, error) {
	var share store.Share
	var level, notBefore, notAfter string
	err := rows.Scan(&share.ID, &share.Maker, &share.Recipient, &share.Object, &share.Record, (*texts)(&share.Actions), &level, &share.Restricted,
		(*texts)(&share.OnlyFields), &share.Reason, &notBefore, &notAfter, &share.EndedBy)
	if err != nil {
		return share, err
	}
	share.Level = driver.Level(level)
	share.Window, err = window(notBefore, notAfter)
	return share, err
}

// MakeShare is Runtime.MakeShare.
func (s *db) MakeShare(ctx context.Context, tenant string, share store.Share, approvals []string) (store.Share, error) {
	share.ID, share.EndedBy = driver.NewID(), ""
	approvals = driver.Distinct(approvals)
	err := s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		now := schedule.At(held.Now)
		if err := share.Check(now); err != nil {
			return false, err
		}
		if err := tx.inUse(ctx, tenant, share.Maker, share.Recipient); err != nil {
			return false, err
		}
		if used, err := tx.changed(ctx, useRequests, tenant, texts(approvals), share.Maker, now.String()); err != nil || used != int64(len(approvals)) {
			return false, cmp.Or(err, store.ErrSpent)
		}
		share.Window.NotBefore = now
		made, err := tx.changed(ctx, makeShare, tenant, share.ID, share.Maker, share.Recipient, share.Object, share.Record, texts(share.Actions),
			share.Level.String(), share.Restricted, texts(share.OnlyFields), share.Reason, now.String(), share.Window.NotAfter.String(), store.MaxOpen)
		if err != nil {
			return false, err
		}
		if made == 0 {
			return false, fmt.Errorf("%w: the maker has %d live shares; end one first", store.ErrRefused, store.MaxOpen)
		}
		return true, tx.exec(ctx, raiseRuntime, tenant)
	})
	if err != nil {
		return store.Share{}, err
	}
	return share, nil
}

// inUse says whether each of these accounts is: ErrNoAccount.
func (t *transaction) inUse(ctx context.Context, tenant string, people ...string) error {
	var active int
	if err := t.tx.QueryRowContext(ctx, countActive, tenant, texts(people)).Scan(&active); err != nil {
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
	return s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		ended, err := tx.changed(ctx, endShare, tenant, id, schedule.At(held.Now).String(), by)
		if err != nil {
			return false, err
		}
		if ended == 0 {
			return false, store.ErrNotFound
		}
		return true, tx.exec(ctx, raiseRuntime, tenant)
	})
}

// EndShares is Tx.EndShares: there is one writer at a time.
func (t *transaction) EndShares(ctx context.Context, tenant string, people []string, now schedule.Instant) (int64, error) {
	var version int64
	if err := t.tx.QueryRowContext(ctx, raiseRuntime+` RETURNING version`, tenant).Scan(&version); err != nil {
		return 0, mapError(ctx, err)
	}
	return version, t.exec(ctx, endShares, tenant, texts(people), now.String())
}
