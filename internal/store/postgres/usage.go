package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	// reserve waits for whoever reserves for the same user, and then sees what they have left: ON CONFLICT DO UPDATE
	// locks the row and works its condition out anew (READ COMMITTED). $6 are the limits, $7 is UsageMinutes.
	reserve = `
INSERT INTO crm_access.usage AS u (tenant, user_name, minutes, objects, actions, rows)
SELECT t.name, $2, ARRAY[floor(extract(epoch FROM (SELECT now FROM crm_access.clock)) / 60)::bigint],
    ARRAY[$3::text], ARRAY[$4::text], ARRAY[$5::bigint]
FROM crm_access.tenant AS t
WHERE t.name = $1 AND NOT EXISTS (SELECT FROM jsonb_to_recordset($6::jsonb) AS l (max bigint) WHERE $5::bigint > l.max)
ON CONFLICT (tenant, user_name) DO UPDATE SET (minutes, objects, actions, rows) = (
    SELECT array_agg(n.minute), array_agg(n.object), array_agg(n.action), array_agg(n.rows)
    FROM (
        SELECT e.minute, e.object, e.action, sum(e.rows)::bigint AS rows
        FROM unnest(u.minutes || excluded.minutes, u.objects || excluded.objects, u.actions || excluded.actions,
            u.rows || excluded.rows) AS e (minute, object, action, rows)
        WHERE e.minute >= excluded.minutes[1] - $7::bigint
        GROUP BY e.minute, e.object, e.action
    ) AS n)
WHERE NOT EXISTS (
    SELECT
    FROM (
        SELECT e.object, e.action, sum(e.rows) AS rows
        FROM unnest(u.minutes, u.objects, u.actions, u.rows) AS e (minute, object, action, rows)
        WHERE e.minute >= excluded.minutes[1] - $7::bigint
        GROUP BY e.object, e.action
    ) AS used
    JOIN ROWS FROM (jsonb_to_recordset($6::jsonb) AS (objects text[], actions text[], max bigint))
        WITH ORDINALITY AS l (objects, actions, max, place)
        ON l.objects && ARRAY['*', used.object] AND l.actions && ARRAY['*', used.action]
    GROUP BY l.place, l.max
    HAVING sum(used.rows) + $5::bigint > l.max)
RETURNING u.objects, u.actions, u.rows`

	readUsage = `
SELECT n.objects, n.actions, n.rows
FROM crm_access.tenant AS t
CROSS JOIN LATERAL (
    SELECT array_agg(e.object) AS objects, array_agg(e.action) AS actions, array_agg(e.rows) AS rows
    FROM crm_access.usage AS u, unnest(u.minutes, u.objects, u.actions, u.rows) AS e (minute, object, action, rows)
    WHERE u.tenant = t.name AND u.user_name = $2
        AND e.minute >= floor(extract(epoch FROM (SELECT now FROM crm_access.clock)) / 60) - $3::bigint
) AS n
WHERE t.name = $1`
)

// Reserve is Store.Reserve.
func (s *db) Reserve(ctx context.Context, tenant string, r store.Reservation) (store.Reserved, error) {
	if err := r.Check(); err != nil {
		return store.Reserved{}, err
	}
	bounds, err := driver.Bounds(r)
	if err != nil {
		return store.Reserved{}, err
	}
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	reserved, err := reserveIn(within, s.pool, tenant, r, bounds)
	if err != nil && within.Err() != nil {
		return store.Reserved{}, mapError(ctx, within.Err())
	}
	return reserved, err
}

// querier is the pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func reserveIn(ctx context.Context, q querier, tenant string, r store.Reservation, bounds string) (store.Reserved, error) {
	for {
		uses, err := usesOf(q.QueryRow(ctx, reserve, tenant, r.User, r.Object, r.Action, r.Rows, bounds, driver.UsageMinutes))
		if err == nil {
			return store.Reserved{OK: true, Used: uses.Of(r.Limits)}, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return store.Reserved{}, mapError(ctx, err)
		}
		if uses, err = usesOf(q.QueryRow(ctx, readUsage, tenant, r.User, driver.UsageMinutes)); err != nil {
			return store.Reserved{}, mapError(ctx, err)
		}
		if refused, found, err := driver.Refusal(r, uses); found {
			return refused, err
		}
		// Between the two statements something has come to the end of its 24 hours: it may fit now.
	}
}

// Used is Store.Used.
func (s *db) Used(ctx context.Context, tenant, user string, limits []store.Limit) ([]int64, error) {
	if err := store.CheckUsed(user, limits); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	uses, err := usesOf(s.pool.QueryRow(within, readUsage, tenant, user, driver.UsageMinutes))
	if err != nil {
		return nil, mapError(ctx, err)
	}
	return uses.Of(limits), nil
}

// usesOf reads three arrays that the table's constraints keep equally long.
func usesOf(row pgx.Row) (driver.Uses, error) {
	var objects, actions []string
	var rows []int64
	if err := row.Scan(&objects, &actions, &rows); err != nil {
		return nil, err
	}
	uses := make(driver.Uses, len(rows))
	for i := range uses {
		uses[i] = driver.Use{Object: objects[i], Action: actions[i], Rows: rows[i]}
	}
	return uses, nil
}
