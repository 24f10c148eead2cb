package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

const (
	// A tenant without keys has one row without a secret, which is not a tenant that is not there.
	readKeys = `
SELECT k.secret, k.not_after
FROM tenant AS t
LEFT JOIN token_key AS k ON k.tenant = t.name AND (k.not_after IS NULL OR k.not_after > (SELECT now FROM clock))
WHERE t.name = ?1 ORDER BY k.number DESC`

	removeKeys = `DELETE FROM token_key WHERE tenant = ?1 AND not_after <= ?2`

	endKey = `UPDATE token_key SET not_after = ?2 WHERE tenant = ?1 AND not_after IS NULL`

	keyMade = `SELECT max(made) FROM token_key WHERE tenant = ?1 AND not_after IS NULL`

	addKey = `
INSERT INTO token_key (tenant, number, secret, made)
SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM token_key WHERE tenant = ?1
HAVING coalesce(min(not_after IS NOT NULL), 1)`
)

// TokenKeys is Store.TokenKeys.
func (s *db) TokenKeys(ctx context.Context, tenant string) ([]token.Key, error) {
	rows, err := s.read.QueryContext(ctx, readKeys, tenant)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	found := false
	var keys []token.Key
	for rows.Next() {
		found = true
		var secret []byte
		var end sql.NullString
		if err := rows.Scan(&secret, &end); err != nil {
			return nil, mapError(ctx, err)
		}
		if secret == nil {
			continue
		}
		notAfter := schedule.Forever
		if end.Valid {
			if notAfter, err = schedule.Parse(end.String); err != nil {
				return nil, fmt.Errorf("%w: a key for tokens of tenant %s has no end that can be read", store.ErrSchema, tenant)
			}
		}
		key, err := token.KeyOf(secret, notAfter)
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
	return s.transact(ctx, func(tx *transaction) (bool, error) {
		return true, driver.RotateTokenKey(ctx, tx, tenant)
	})
}

// RenewTokenKey is Store.RenewTokenKey.
func (s *db) RenewTokenKey(ctx context.Context, tenant string, age time.Duration) error {
	return s.transact(ctx, func(tx *transaction) (bool, error) {
		return true, driver.RenewTokenKey(ctx, tx, tenant, age)
	})
}

// RemoveTokenKeys is Tx.RemoveTokenKeys.
func (t *transaction) RemoveTokenKeys(ctx context.Context, tenant string, now schedule.Instant) error {
	return t.exec(ctx, removeKeys, tenant, now.String())
}

// EndTokenKey is Tx.EndTokenKey.
func (t *transaction) EndTokenKey(ctx context.Context, tenant string, end schedule.Instant) error {
	return t.exec(ctx, endKey, tenant, end.String())
}

// TokenKeyMade is Tx.TokenKeyMade.
func (t *transaction) TokenKeyMade(ctx context.Context, tenant string) (schedule.Instant, error) {
	var made sql.NullString
	if err := t.tx.QueryRowContext(ctx, keyMade, tenant).Scan(&made); err != nil {
		return 0, mapError(ctx, err)
	}
	if !made.Valid {
		return schedule.Always, nil
	}
	return schedule.Parse(made.String)
}

// AddTokenKey is Tx.AddTokenKey.
func (t *transaction) AddTokenKey(ctx context.Context, tenant string, key token.Key, made schedule.Instant) error {
	return t.exec(ctx, addKey, tenant, key.Secret(), made.String())
}
