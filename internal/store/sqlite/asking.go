package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	ask = `
INSERT INTO request (tenant, id, subject, action, object, record_id, proposed, target_user, target_department, rows, fields, question, reason,
    channel, device, not_before, not_after)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
WHERE (SELECT count(*) FROM request WHERE tenant = ?1 AND subject = ?3 AND not_after > ?16 AND used_at IS NULL) < ?18`

	selectRequests = `
SELECT r.id, r.subject, r.action, r.object, r.record_id, r.proposed, r.target_user, r.target_department, r.rows, r.fields, r.question,
    r.reason, r.channel, r.device, r.not_before, r.not_after, r.used_at, (
        SELECT json_group_array(json_object('approver', a.approver, 'approves', a.approves, 'comment', a.comment, 'at', a.at))
        FROM (SELECT * FROM answer WHERE tenant = r.tenant AND request = r.id ORDER BY at, approver) AS a)
FROM request AS r `

	whereNamed = `WHERE r.tenant = ?1 AND r.id IN (SELECT value FROM json_each(?2))`

	whereSubject = `WHERE r.tenant = ?1 AND r.subject = ?2 ORDER BY r.not_before DESC, r.id LIMIT ?3`

	whereOpen = `
WHERE r.tenant = ?1 AND r.not_after > (SELECT now FROM clock) AND r.used_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM answer AS a WHERE a.tenant = r.tenant AND a.request = r.id AND NOT a.approves)
    AND (r.not_before, r.id) > (?2, ?3)
ORDER BY r.not_before, r.id LIMIT ?4`

	addAnswer = `
INSERT INTO answer (tenant, request, approver, approves, comment, at)
SELECT r.tenant, r.id, ?3, ?4, ?5, ?6 FROM request AS r
WHERE r.tenant = ?1 AND r.id = ?2 AND r.subject <> ?3 AND r.not_after > ?6 AND r.used_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM answer AS a WHERE a.tenant = ?1 AND a.request = ?2 AND (NOT a.approves OR a.approver = ?3))`

	useRequests = `
UPDATE request SET used_at = ?4
WHERE tenant = ?1 AND id IN (SELECT value FROM json_each(?2)) AND subject = ?3 AND used_at IS NULL AND not_after > ?4
    AND EXISTS (SELECT 1 FROM answer AS a WHERE a.tenant = ?1 AND a.request = request.id)
    AND NOT EXISTS (SELECT 1 FROM answer AS a WHERE a.tenant = ?1 AND a.request = request.id AND NOT a.approves)`
)

// Ask is Runtime.Ask.
func (s *db) Ask(ctx context.Context, tenant string, r store.Request) (store.Request, error) {
	r.ID, r.UsedAt, r.Answers = driver.NewID(), schedule.Forever, nil
	err := s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		r.Window.NotBefore = schedule.At(held.Now)
		if err := r.Check(r.Window.NotBefore); err != nil {
			return false, err
		}
		made, err := tx.changed(ctx, ask, tenant, r.ID, r.Subject, r.Action, r.Object, r.Record, r.Proposed, r.TargetUser, r.TargetDepartment,
			r.Rows, texts(r.Fields), string(r.Question), r.Reason, r.Channel, r.Device, r.Window.NotBefore.String(), r.Window.NotAfter.String(), store.MaxOpen)
		if err == nil && made == 0 {
			err = fmt.Errorf("%w: the subject has %d open requests", store.ErrRefused, store.MaxOpen)
		}
		return err == nil, err
	})
	if err != nil {
		return store.Request{}, err
	}
	return r, nil
}

// Requests is Runtime.Requests.
func (s *db) Requests(ctx context.Context, tenant string, ids []string) ([]store.Request, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return list(ctx, s.read, scanRequest, selectRequests+whereNamed, tenant, texts(ids))
}

// RequestsOf is Runtime.RequestsOf.
func (s *db) RequestsOf(ctx context.Context, tenant, subject string, limit int) ([]store.Request, error) {
	return list(ctx, s.read, scanRequest, selectRequests+whereSubject, tenant, subject, limit)
}

// OpenRequests is Runtime.OpenRequests.
func (s *db) OpenRequests(ctx context.Context, tenant string, after store.Place, limit int) ([]store.Request, error) {
	return list(ctx, s.read, scanRequest, selectRequests+whereOpen, tenant, after.At.String(), after.ID, limit)
}

func scanRequest(rows *sql.Rows) (store.Request, error) {
	r := store.Request{UsedAt: schedule.Forever}
	var notBefore, notAfter, question, answers string
	var used sql.NullString
	err := rows.Scan(&r.ID, &r.Subject, &r.Action, &r.Object, &r.Record, &r.Proposed, &r.TargetUser, &r.TargetDepartment, &r.Rows,
		(*texts)(&r.Fields), &question, &r.Reason, &r.Channel, &r.Device, &notBefore, &notAfter, &used, &answers)
	if err != nil {
		return r, err
	}
	r.Question = []byte(question)
	if r.Window, err = window(notBefore, notAfter); err != nil {
		return r, err
	}
	if used.Valid {
		if r.UsedAt, err = schedule.Parse(used.String); err != nil {
			return r, err
		}
	}
	r.Answers, err = driver.Answers([]byte(answers))
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
	return s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		made, err := tx.changed(ctx, addAnswer, tenant, id, a.Approver, a.Approves, a.Comment, schedule.At(held.Now).String())
		if err == nil && made == 0 {
			err = store.ErrNotFound
		}
		return err == nil, err
	})
}

// Consume is Runtime.Consume.
func (s *db) Consume(ctx context.Context, tenant string, c store.Consumption) (store.Consumed, error) {
	bounds, err := driver.ConsumptionBounds(c)
	if err != nil {
		return store.Consumed{}, err
	}
	var consumed store.Consumed
	err = s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		if ids := driver.Distinct(c.Requests); len(ids) > 0 {
			used, err := tx.changed(ctx, useRequests, tenant, texts(ids), c.Subject, schedule.At(held.Now).String())
			if err != nil || used != int64(len(ids)) {
				consumed = store.Consumed{Spent: true}
				return false, err
			}
		}
		if c.Reservation == nil {
			consumed = store.Consumed{OK: true}
			return true, nil
		}
		reserved, err := tx.reserve(ctx, held, *c.Reservation, bounds)
		consumed = store.Consumed{OK: reserved.OK, Reserved: reserved}
		return reserved.OK, err
	})
	if err != nil {
		return store.Consumed{}, err
	}
	return consumed, nil
}
