package sqlite

import (
	"context"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	// ?6 is the minute, ?7 are the limits, ?8 is UsageMinutes.
	reserve = `
INSERT INTO usage (tenant, user_name, minute, object, action, rows)
SELECT ?1, ?2, ?6, ?3, ?4, ?5
WHERE NOT EXISTS (
    SELECT 1
    FROM json_each(?7) AS l
    LEFT JOIN (
        SELECT object, action, sum(rows) AS rows FROM usage
        WHERE tenant = ?1 AND user_name = ?2 AND minute >= ?6 - ?8 GROUP BY object, action
    ) AS used
        ON EXISTS (SELECT 1 FROM json_each(l.value, '$.objects') AS o WHERE o.value IN ('*', used.object))
        AND EXISTS (SELECT 1 FROM json_each(l.value, '$.actions') AS a WHERE a.value IN ('*', used.action))
    GROUP BY l.key
    HAVING coalesce(sum(used.rows), 0) + ?5 > max(l.value ->> 'max'))
ON CONFLICT (tenant, user_name, minute, object, action) DO UPDATE SET rows = usage.rows + excluded.rows`

	forgetUsage = `DELETE FROM usage WHERE tenant = ?1 AND user_name = ?2 AND minute < ?3 - ?4`

	readUsage = `
SELECT object, action, sum(rows) FROM usage
WHERE tenant = ?1 AND user_name = ?2 AND minute >= ?3 - ?4 GROUP BY object, action`
)

// Reserve is Store.Reserve. The transaction holds the database's one write lock while it asks, so what it reads is what
// the statement went by.
func (s *db) Reserve(ctx context.Context, tenant string, r store.Reservation) (store.Reserved, error) {
	if err := r.Check(); err != nil {
		return store.Reserved{}, err
	}
	bounds, err := driver.Bounds(r)
	if err != nil {
		return store.Reserved{}, err
	}
	var reserved store.Reserved
	err = s.transact(ctx, func(tx *transaction) (bool, error) {
		held, err := tenantRow(ctx, tx.tx, tenant)
		if err != nil {
			return false, err
		}
		reserved, err = tx.reserve(ctx, held, r, bounds)
		return reserved.OK, err
	})
	if err != nil {
		return store.Reserved{}, err
	}
	return reserved, nil
}

func (t *transaction) reserve(ctx context.Context, held store.Tenant, r store.Reservation, bounds string) (store.Reserved, error) {
	minute := driver.Minute(held.Now)
	written, err := t.changed(ctx, reserve, held.Name, r.User, r.Object, r.Action, r.Rows, minute, bounds, driver.UsageMinutes)
	if err != nil {
		return store.Reserved{}, err
	}
	uses, err := uses(ctx, t.tx, held.Name, r.User, minute)
	if err != nil {
		return store.Reserved{}, err
	}
	if written == 0 {
		refused, _, err := driver.Refusal(r, uses)
		return refused, err
	}
	return store.Reserved{OK: true, Used: uses.Of(r.Limits)}, t.exec(ctx, forgetUsage, held.Name, r.User, minute, driver.UsageMinutes)
}

// Used is Store.Used.
func (s *db) Used(ctx context.Context, tenant, user string, limits []store.Limit) ([]int64, error) {
	if err := store.CheckUsed(user, limits); err != nil {
		return nil, err
	}
	held, err := s.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	uses, err := uses(ctx, s.read, tenant, user, driver.Minute(held.Now))
	if err != nil {
		return nil, err
	}
	return uses.Of(limits), nil
}

func uses(ctx context.Context, q queryer, tenant, user string, minute int64) (driver.Uses, error) {
	rows, err := q.QueryContext(ctx, readUsage, tenant, user, minute, driver.UsageMinutes)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	var uses driver.Uses
	for rows.Next() {
		var use driver.Use
		if err := rows.Scan(&use.Object, &use.Action, &use.Rows); err != nil {
			return nil, mapError(ctx, err)
		}
		uses = append(uses, use)
	}
	return uses, mapError(ctx, rows.Err())
}
