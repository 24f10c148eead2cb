package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

var migrations = driver.MustParseMigrations(migrationFiles)

// migrationLock is held by whoever migrates: the ASCII codes of "crmacces".
const migrationLock = 0x63726d6163636573

const (
	// From the catalogue's tables: to_regclass may answer from a cache that is older than the lock.
	findSchema  = `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'crm_access')`
	findVersion = `
SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'crm_access' AND c.relname = 'schema_version')`
	lockSchema   = `SELECT pg_advisory_xact_lock($1)`
	readEncoding = `SELECT current_setting('server_encoding')`
	makeSchema   = `CREATE SCHEMA crm_access`
	makeVersion  = `
CREATE TABLE crm_access.schema_version (version integer NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
	readVersion  = `SELECT coalesce(max(version), 0) FROM crm_access.schema_version`
	writeVersion = `INSERT INTO crm_access.schema_version (version) VALUES ($1)`
)

// migrate brings the schema to this program's version. One that has it already costs two reads and needs no right to
// change it.
func (s *db) migrate(ctx context.Context) error {
	return s.transact(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		version, err := schemaVersion(ctx, tx)
		if err != nil || version == len(migrations) {
			return false, err
		}
		if _, err := tx.Exec(ctx, lockSchema, int64(migrationLock)); err != nil {
			return false, mapError(ctx, err)
		}
		// Another may have migrated while we waited.
		if version, err = schemaVersion(ctx, tx); err != nil || version == len(migrations) {
			return false, err
		}
		return true, apply(ctx, tx, version)
	})
}

// checkVersion changes nothing: it says whether the operator has brought the schema to this program's version.
func (s *db) checkVersion(ctx context.Context) error {
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}
	return s.transact(ctx, options, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		version, err := schemaVersion(ctx, tx)
		if err == nil && version < len(migrations) {
			err = fmt.Errorf("%w: it has version %d, this program needs %d: start the operator of this program's version", store.ErrSchema, version, len(migrations))
		}
		return false, err
	})
}

// schemaVersion is 0 where nothing is there yet.
func schemaVersion(ctx context.Context, tx pgx.Tx) (int, error) {
	var found bool
	if err := tx.QueryRow(ctx, findVersion).Scan(&found); err != nil || !found {
		return 0, mapError(ctx, err)
	}
	var version int
	if err := tx.QueryRow(ctx, readVersion).Scan(&version); err != nil {
		return 0, mapError(ctx, err)
	}
	if version > len(migrations) {
		return 0, fmt.Errorf("%w: it has version %d, this program knows up to %d", store.ErrSchema, version, len(migrations))
	}
	return version, nil
}

func apply(ctx context.Context, tx pgx.Tx, version int) error {
	if version == 0 {
		if err := begin(ctx, tx); err != nil {
			return err
		}
	}
	for _, migration := range migrations[version:] {
		version++
		// Without arguments a file goes as it is, all of its statements in one.
		if _, err := tx.Conn().PgConn().Exec(ctx, migration).ReadAll(); err != nil {
			return unmigrated(ctx, version, err)
		}
		if _, err := tx.Exec(ctx, writeVersion, version); err != nil {
			return unmigrated(ctx, version, err)
		}
	}
	return nil
}

// begin makes the schema, unless an administrator has, and the table of versions.
func begin(ctx context.Context, tx pgx.Tx) error {
	var encoding string
	if err := tx.QueryRow(ctx, readEncoding).Scan(&encoding); err != nil {
		return mapError(ctx, err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("%w: the database's encoding is %s, want UTF8", store.ErrSchema, encoding)
	}
	var found bool
	if err := tx.QueryRow(ctx, findSchema).Scan(&found); err != nil {
		return mapError(ctx, err)
	}
	if !found {
		if _, err := tx.Exec(ctx, makeSchema); err != nil {
			return unmigrated(ctx, 0, err)
		}
	}
	if _, err := tx.Exec(ctx, makeVersion); err != nil {
		return unmigrated(ctx, 0, err)
	}
	return nil
}
