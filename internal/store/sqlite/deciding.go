package sqlite

import (
	"context"
	"database/sql"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	logDecisions = `
INSERT INTO decision (tenant, at, application, subject, action, object, record_id, effect, reasons, revision, request_id, stands_for)
SELECT t.name, d.value ->> 'at', d.value ->> 'application', d.value ->> 'subject', d.value ->> 'action', d.value ->> 'object',
    d.value ->> 'record_id', d.value ->> 'effect', d.value -> 'reasons', d.value ->> 'revision', d.value ->> 'request_id',
    d.value ->> 'stands_for'
FROM tenant AS t, json_each(?2) AS d
WHERE t.name = ?1
ORDER BY d.key`

	readDecisions = `
SELECT id, at, application, subject, action, object, record_id, effect, reasons, revision, request_id, stands_for
FROM decision WHERE tenant = ?1 AND subject = ?2 AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT ?4`

	forgetAnswers = `
DELETE FROM answer WHERE tenant = ?1 AND request IN (SELECT id FROM request WHERE tenant = ?1 AND not_after <= ?2)`
	forgetRequests  = `DELETE FROM request WHERE tenant = ?1 AND not_after <= ?2`
	forgetShares    = `DELETE FROM share WHERE tenant = ?1 AND not_after <= ?2`
	forgetDecisions = `
DELETE FROM decision WHERE id IN (SELECT id FROM decision WHERE tenant = ?1 AND at <= ?2 LIMIT ?3)`
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
	return s.transact(ctx, func(tx *transaction) (bool, error) {
		logged, err := tx.changed(ctx, logDecisions, tenant, text)
		if err == nil && logged == 0 {
			err = store.ErrNoTenant
		}
		return err == nil, err
	})
}

// Logged is Runtime.Logged.
func (s *db) Logged(ctx context.Context, tenant, subject string, before int64, limit int) ([]store.Decision, error) {
	return list(ctx, s.read, scanDecision, readDecisions, tenant, subject, before, limit)
}

func scanDecision(rows *sql.Rows) (store.Decision, error) {
	var d store.Decision
	var at string
	err := rows.Scan(&d.ID, &at, &d.Application, &d.Subject, &d.Action, &d.Object, &d.Record, &d.Effect, (*texts)(&d.Reasons), &d.Revision,
		&d.RequestID, &d.StandsFor)
	if err != nil {
		return d, err
	}
	d.At, err = schedule.Parse(at)
	return d, err
}

// Forget is Runtime.Forget.
func (s *db) Forget(ctx context.Context, tenant string, keep store.Retention) (int64, error) {
	var forgotten int64
	err := s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		ended, logged := schedule.At(held.Now.Add(-keep.Ended)).String(), schedule.At(held.Now.Add(-keep.Logged)).String()
		for _, step := range []struct {
			statement string
			args      []any
		}{
			{forgetAnswers, []any{tenant, ended}}, {forgetRequests, []any{tenant, ended}}, {forgetShares, []any{tenant, ended}},
			{forgetDecisions, []any{tenant, logged, driver.ForgetAtOnce}},
		} {
			n, err := tx.changed(ctx, step.statement, step.args...)
			if err != nil {
				return false, err
			}
			forgotten += n
		}
		return forgotten > 0, nil
	})
	if err != nil {
		return 0, err
	}
	return forgotten, nil
}
