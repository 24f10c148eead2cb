package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

var migrations = driver.MustParseMigrations(migrationFiles)

const (
	findVersion  = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'`
	makeVersion  = `CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT`
	readVersion  = `SELECT coalesce(max(version), 0) FROM schema_version`
	writeVersion = `INSERT INTO schema_version (version) VALUES (?1)`
	countTables  = `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`
)

// migrate brings the schema to this program's version, in one transaction that other openers wait for. It looks first
// without writing: the first connection that writes makes the file a WAL database, which another program's is not to be.
func (s *db) migrate(ctx context.Context, file string) error {
	version, err := schemaVersion(ctx, s.read)
	if err != nil {
		return err
	}
	if file != Memory {
		if err := narrow(file); err != nil {
			return err
		}
	}
	if version == len(migrations) {
		return nil
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return mapError(ctx, err)
	}
	defer func() { _ = tx.Rollback() }()
	if version, err = schemaVersion(ctx, tx); err != nil {
		return err
	}
	if version == 0 {
		if _, err := tx.ExecContext(ctx, makeVersion); err != nil {
			return unmigrated(ctx, version, err)
		}
	}
	for _, migration := range migrations[version:] {
		version++
		if _, err := tx.ExecContext(ctx, migration); err != nil {
			return unmigrated(ctx, version, err)
		}
		if _, err := tx.ExecContext(ctx, writeVersion, version); err != nil {
			return unmigrated(ctx, version, err)
		}
	}
	return mapError(ctx, tx.Commit())
}

// schemaVersion is 0 for an empty database. One that holds something else is nobody's to change.
func schemaVersion(ctx context.Context, q queryer) (int, error) {
	var found, version int
	if err := q.QueryRowContext(ctx, findVersion).Scan(&found); err != nil {
		return 0, mapError(ctx, err)
	}
	if found == 0 {
		if err := q.QueryRowContext(ctx, countTables).Scan(&found); err != nil {
			return 0, mapError(ctx, err)
		}
		if found > 0 {
			return 0, fmt.Errorf("%w: the file is another program's database", store.ErrSchema)
		}
		return 0, nil
	}
	if err := q.QueryRowContext(ctx, readVersion).Scan(&version); err != nil {
		return 0, mapError(ctx, err)
	}
	if version > len(migrations) {
		return 0, fmt.Errorf("%w: it has version %d, this program knows up to %d", store.ErrSchema, version, len(migrations))
	}
	return version, nil
}

func unmigrated(ctx context.Context, version int, err error) error {
	mapped := mapError(ctx, err)
	if errors.Is(mapped, store.ErrRefused) {
		return fmt.Errorf("%w: migration %d failed", store.ErrSchema, version)
	}
	return mapped
}
