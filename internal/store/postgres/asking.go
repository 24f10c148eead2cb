package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	readClock = `SELECT (SELECT now FROM crm_access.clock) FROM crm_access.tenant WHERE name = $1`

	ask = `
INSERT INTO crm_access.request (tenant, id, subject, action, object, record_id, proposed, target_user, target_department, rows,
    fields, question, reason, channel, device, not_before, not_after)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::json, $13, $14, $15, $16, $17
WHERE (
    SELECT count(*) FROM crm_access.request
    WHERE tenant = $1 AND subject = $3 AND not_after > $16 AND used_at IS NULL
) < $18`

	selectRequests = `
SELECT r.id, r.subject, r.action, r.object, r.record_id, r.proposed, r.target_user, r.target_department, r.rows, r.fields, r.question,
    r.reason, r.channel, r.device, r.not_before, r.not_after, r.used_at, (
        SELECT coalesce(json_agg(json_build_object(
            'approver', a.approver, 'approves', a.approves::integer, 'comment', a.comment,
            'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) ORDER BY a.at, a.approver), '[]')
        FROM crm_access.answer AS a WHERE a.tenant = r.tenant AND a.request = r.id)
FROM crm_access.request AS r `

	whereNamed = `WHERE r.tenant = $1 AND r.id = ANY($2)`

	whereSubject = `WHERE r.tenant = $1 AND r.subject = $2 ORDER BY r.not_before DESC, r.id LIMIT $3`

	whereOpen = `
WHERE r.tenant = $1 AND r.not_after > (SELECT now FROM crm_access.clock) AND r.used_at IS NULL AND NOT EXISTS (
    SELECT FROM crm_access.answer AS a WHERE a.tenant = r.tenant AND a.request = r.id AND NOT a.approves)
    AND (r.not_before, r.id COLLATE "C") > ($2, $3)
ORDER BY r.not_before, r.id COLLATE "C" LIMIT $4`

	// The request's row is locked, so that of two answers at once the second sees the first.
	lockOpen = `
SELECT FROM crm_access.request
WHERE tenant = $1 AND id = $2 AND subject <> $3 AND not_after > (SELECT now FROM crm_access.clock) AND used_at IS NULL FOR UPDATE`

	addAnswer = `
INSERT INTO crm_access.answer (tenant, request, approver, approves, comment, at)
SELECT $1, $2, $3, $4, $5, date_trunc('second', (SELECT now FROM crm_access.clock))
WHERE NOT EXISTS (SELECT FROM crm_access.answer WHERE tenant = $1 AND request = $2 AND NOT approves)
ON CONFLICT DO NOTHING`

	// In the order of their ids: two that use up the same requests wait for each other in one direction. It is a statement
	// of its own, so that the next sees what those who held them have answered.
	lockRequests = `
SELECT FROM crm_access.request WHERE tenant = $1 AND id = ANY($2) AND subject = $3 AND used_at IS NULL ORDER BY id FOR UPDATE`

	useRequests = `
UPDATE crm_access.request AS r SET used_at = date_trunc('second', (SELECT now FROM crm_access.clock))
WHERE r.tenant = $1 AND r.id = ANY($2) AND r.subject = $3 AND r.used_at IS NULL AND r.not_after > (SELECT now FROM crm_access.clock)
    AND EXISTS (SELECT FROM crm_access.answer AS a WHERE a.tenant = $1 AND a.request = r.id)
    AND NOT EXISTS (SELECT FROM crm_access.answer AS a WHERE a.tenant = $1 AND a.request = r.id AND NOT a.approves)`
)

// Ask is Runtime.Ask.
func (s *db) Ask(ctx context.Context, tenant string, r store.Request) (store.Request, error) {
	r.ID, r.UsedAt, r.Answers = driver.NewID(), schedule.Forever, nil
	err := s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		var clock time.Time
		if err := tx.QueryRow(ctx, readClock, tenant).Scan(&clock); err != nil {
			return false, mapError(ctx, err)
		}
		r.Window.NotBefore = schedule.At(clock)
		if err := r.Check(r.Window.NotBefore); err != nil {
			return false, err
		}
		tag, err := tx.Exec(ctx, ask, tenant, r.ID, r.Subject, r.Action, r.Object, r.Record, r.Proposed, r.TargetUser, r.TargetDepartment,
			r.Rows, someOrNull(r.Fields), string(r.Question), r.Reason, r.Channel, r.Device, r.Window.NotBefore.Time(), r.Window.NotAfter.Time(), store.MaxOpen)
		if err == nil && tag.RowsAffected() == 0 {
			return false, fmt.Errorf("%w: the subject has %d open requests", store.ErrRefused, store.MaxOpen)
		}
		return true, mapError(ctx, err)
	})
	if err != nil {
		return store.Request{}, err
	}
	return r, nil
}

// Requests is Runtime.Requests.
func (s *db) Requests(ctx context.Context, tenant string, ids []string) ([]store.Request, error) {
	return s.requests(ctx, selectRequests+whereNamed, tenant, ids)
}

// RequestsOf is Runtime.RequestsOf.
func (s *db) RequestsOf(ctx context.Context, tenant, subject string, limit int) ([]store.Request, error) {
	return s.requests(ctx, selectRequests+whereSubject, tenant, subject, limit)
}

// OpenRequests is Runtime.OpenRequests.
func (s *db) OpenRequests(ctx context.Context, tenant string, after store.Place, limit int) ([]store.Request, error) {
	return s.requests(ctx, selectRequests+whereOpen, tenant, after.At.Time(), after.ID, limit)
}

func (s *db) requests(ctx context.Context, query string, args ...any) ([]store.Request, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, query, args...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	requests, err := pgx.CollectRows(rows, scanRequest)
	if errors.Is(err, store.ErrSchema) {
		return nil, err
	}
	return requests, mapError(ctx, err)
}

func scanRequest(row pgx.CollectableRow) (store.Request, error) {
	r := store.Request{UsedAt: schedule.Forever}
	var notBefore, notAfter time.Time
	var used pgtype.Timestamptz
	var question, answers []byte
	err := row.Scan(&r.ID, &r.Subject, &r.Action, &r.Object, &r.Record, &r.Proposed, &r.TargetUser, &r.TargetDepartment, &r.Rows, &r.Fields,
		&question, &r.Reason, &r.Channel, &r.Device, &notBefore, &notAfter, &used, &answers)
	if err != nil {
		return store.Request{}, err
	}
	r.Question = question
	r.Window = schedule.Window{NotBefore: schedule.At(notBefore), NotAfter: schedule.At(notAfter)}
	if used.Valid {
		r.UsedAt = schedule.At(used.Time)
	}
	r.Answers, err = driver.Answers(answers)
	return r, err
}

// Answer is Runtime.Answer.
func (s *db) Answer(ctx context.Context, tenant, id string, a store.Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	if err := store.CheckNames(id); err != nil {
		return err
	}
	return s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		tag, err := tx.Exec(ctx, lockOpen, tenant, id, a.Approver)
		if err != nil {
			return false, mapError(ctx, err)
		}
		if tag.RowsAffected() == 1 {
			if tag, err = tx.Exec(ctx, addAnswer, tenant, id, a.Approver, a.Approves, a.Comment); err != nil {
				return false, mapError(ctx, err)
			}
		}
		if tag.RowsAffected() == 0 {
			return false, store.ErrNotFound
		}
		return true, nil
	})
}

// Consume is Runtime.Consume. Requests come first: a reservation holds the one row that all of a user's stand in line for.
func (s *db) Consume(ctx context.Context, tenant string, c store.Consumption) (store.Consumed, error) {
	bounds, err := driver.ConsumptionBounds(c)
	if err != nil {
		return store.Consumed{}, err
	}
	var consumed store.Consumed
	err = s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		if ids := driver.Distinct(c.Requests); len(ids) > 0 {
			used, err := useUp(ctx, tx, tenant, ids, c.Subject)
			if err != nil || used != int64(len(ids)) {
				consumed = store.Consumed{Spent: true}
				return false, err
			}
		}
		if c.Reservation == nil {
			consumed = store.Consumed{OK: true}
			return true, nil
		}
		reserved, err := reserveIn(ctx, tx, tenant, *c.Reservation, bounds)
		consumed = store.Consumed{OK: reserved.OK, Reserved: reserved}
		return reserved.OK, err
	})
	if err != nil {
		return store.Consumed{}, err
	}
	return consumed, nil
}

// useUp uses up those of the requests that can be, and says how many.
func useUp(ctx context.Context, tx pgx.Tx, tenant string, ids []string, subject string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, lockRequests, tenant, ids, subject); err != nil {
		return 0, mapError(ctx, err)
	}
	tag, err := tx.Exec(ctx, useRequests, tenant, ids, subject)
	return tag.RowsAffected(), mapError(ctx, err)
}
