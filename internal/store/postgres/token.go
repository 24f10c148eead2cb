package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

const (
	// A tenant without keys has one row without a block, which is not a tenant that is not there.
	readKeys = `
SELECT k.inner_block, k.not_after
FROM crm_access.tenant AS t
LEFT JOIN crm_access.token_key AS k
    ON k.tenant = t.name AND (k.not_after IS NULL OR k.not_after > (SELECT now FROM crm_access.clock))
WHERE t.name = $1 ORDER BY k.number DESC`

	removeKeys = `DELETE FROM crm_access.token_key WHERE tenant = $1 AND not_after <= $2`

	endKey = `UPDATE crm_access.token_key SET not_after = $2 WHERE tenant = $1 AND not_after IS NULL`

	keyMade = `SELECT max(made) FROM crm_access.token_key WHERE tenant = $1 AND not_after IS NULL`

	addKey = `
INSERT INTO crm_access.token_key (tenant, number, inner_block, outer_block, made)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4 FROM crm_access.token_key WHERE tenant = $1
HAVING coalesce(bool_and(not_after IS NOT NULL), true)`
)

// TokenKeys is Store.TokenKeys.
func (s *db) TokenKeys(ctx context.Context, tenant string) ([]token.Key, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, readKeys, tenant)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer rows.Close()
	found := false
	var keys []token.Key
	for rows.Next() {
		found = true
		var block []byte
		var end pgtype.Timestamptz
		if err := rows.Scan(&block, &end); err != nil {
			return nil, mapError(ctx, err)
		}
		if block == nil {
			continue
		}
		notAfter := schedule.Forever
		if end.Valid {
			notAfter = schedule.At(end.Time)
		}
		key, err := token.KeyOfBlock(block, notAfter)
		if err != nil {
			return nil, fmt.Errorf("%w: tenant %s: %w", store.ErrSchema, tenant, err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return nil, mapError(ctx, err)
	}
	if !found {
		return nil, store.ErrNoTenant
	}
	return keys, nil
}

// RotateTokenKey is Store.RotateTokenKey.
func (s *db) RotateTokenKey(ctx context.Context, tenant string) error {
	return s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return true, driver.RotateTokenKey(ctx, &transaction{tx}, tenant)
	})
}

// RenewTokenKey is Store.RenewTokenKey.
func (s *db) RenewTokenKey(ctx context.Context, tenant string, age time.Duration) error {
	return s.transact(ctx, writing, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return true, driver.RenewTokenKey(ctx, &transaction{tx}, tenant, age)
	})
}

// RemoveTokenKeys is Tx.RemoveTokenKeys.
func (t *transaction) RemoveTokenKeys(ctx context.Context, tenant string, now schedule.Instant) error {
	return t.exec(ctx, removeKeys, tenant, now.Time())
}

// EndTokenKey is Tx.EndTokenKey.
func (t *transaction) EndTokenKey(ctx context.Context, tenant string, end schedule.Instant) error {
	return t.exec(ctx, endKey, tenant, end.Time())
}

// TokenKeyMade is Tx.TokenKeyMade.
func (t *transaction) TokenKeyMade(ctx context.Context, tenant string) (schedule.Instant, error) {
	var made pgtype.Timestamptz
	if err := t.tx.QueryRow(ctx, keyMade, tenant).Scan(&made); err != nil {
		return 0, mapError(ctx, err)
	}
	if !made.Valid {
		return schedule.Always, nil
	}
	return schedule.At(made.Time), nil
}

// AddTokenKey is Tx.AddTokenKey.
func (t *transaction) AddTokenKey(ctx context.Context, tenant string, key token.Key, made schedule.Instant) error {
	inner, outer := key.Blocks()
	return t.exec(ctx, addKey, tenant, inner, outer, made.Time())
}
