package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	logDecisions = `
INSERT INTO crm_access.decision (tenant, at, application, subject, action, object, record_id, effect, reasons, revision, request_id,
    stands_for)
SELECT t.name, d.at, d.application, d.subject, d.action, d.object, d.record_id, d.effect, d.reasons, d.revision, d.request_id, d.stands_for
FROM crm_access.tenant AS t, ROWS FROM (jsonb_to_recordset($2::jsonb) AS (
    at timestamptz, application text, subject text, action text, object text, record_id text, effect text, reasons text[],
    revision text, request_id text, stands_for bigint)) WITH ORDINALITY AS d
WHERE t.name = $1
ORDER BY d.ordinality`

	readDecisions = `
SELECT id, at, application, subject, action, object, record_id, effect, reasons, revision, request_id, stands_for
FROM crm_access.decision
WHERE tenant = $1 AND subject = $2 AND ($3 = 0 OR id < $3) ORDER BY id DESC LIMIT $4`

	forgetAnswers = `
DELETE FROM crm_access.answer AS a USING crm_access.request AS r
WHERE r.tenant = $1 AND r.not_after <= $2 AND a.tenant = r.tenant AND a.request = r.id`
	forgetRequests  = `DELETE FROM crm_access.request WHERE tenant = $1 AND not_after <= $2`
	forgetShares    = `DELETE FROM crm_access.share WHERE tenant = $1 AND not_after <= $2`
	forgetDecisions = `
DELETE FROM crm_access.decision WHERE id IN (SELECT id FROM crm_access.decision WHERE tenant = $1 AND at <= $2 LIMIT $3)`
)

// Log is Runtime.Log.
func (s *db) Log(ctx context.Context, tenant string, decisions []store.Decision) error {
	if len(decisions) == 0 {
		return nil
	}
	text, err := driver.Log(decisions)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	tag, err := s.pool.Exec(within, logDecisions, tenant, text)
	if err == nil && tag.RowsAffected() == 0 {
		return store.ErrNoTenant
	}
	return mapError(ctx, err)
}

// Logged is Runtime.Logged.
func (s *db) Logged(ctx context.Context, tenant, subject string, before int64, limit int) ([]store.Decision, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, readDecisions, tenant, subject, before, limit)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	decisions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Decision, error) {
		var d store.Decision
		var at time.Time
		err := row.Scan(&d.ID, &at, &d.Application, &d.Subject, &d.Action, &d.Object, &d.Record, &d.Effect, &d.Reasons, &d.Revision, &d.RequestID,
			&d.StandsFor)
		d.At = schedule.At(at)
		return d, err
	})
	return decisions, mapError(ctx, err)
}

// Forget is Runtime.Forget.
func (s *db) Forget(ctx context.Context, tenant string, keep store.Retention) (int64, error) {
	var forgotten int64
	err := s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		var now time.Time
		if err := tx.QueryRow(ctx, readClock, tenant).Scan(&now); err != nil {
			return false, mapError(ctx, err)
		}
		ended, logged := now.Add(-keep.Ended), now.Add(-keep.Logged)
		batch := &pgx.Batch{}
		batch.Queue(forgetAnswers, tenant, ended)
		batch.Queue(forgetRequests, tenant, ended)
		batch.Queue(forgetShares, tenant, ended)
		batch.Queue(forgetDecisions, tenant, logged, driver.ForgetAtOnce)
		results := tx.SendBatch(ctx, batch)
		defer func() { _ = results.Close() }()
		for range batch.Len() {
			tag, err := results.Exec()
			if err != nil {
				return false, mapError(ctx, err)
			}
			forgotten += tag.RowsAffected()
		}
		return true, mapError(ctx, results.Close())
	})
	if err != nil {
		return 0, err
	}
	return forgotten, nil
}
