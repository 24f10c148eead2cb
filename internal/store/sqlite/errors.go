package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// coded is what the driver's errors have; their text is not passed on.
type coded interface{ Code() int }

// mapError makes an error of SQLite one of the store's kinds. Its text can hold rows and file names, so it is replaced by a
// sentence of our own and the result code. An error after the context's end is the context's.
func mapError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNoTenant
	}
	var withCode coded
	if !errors.As(err, &withCode) {
		return fmt.Errorf("%w: the database is closed or not answering", store.ErrUnavailable)
	}
	code := withCode.Code()
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		// A row that we have not read holds the place: it was written past the triggers.
		return fmt.Errorf("%w: a row is there already (%s)", store.ErrStale, name(code))
	}
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
		return fmt.Errorf("%w: %s", store.ErrRefused, name(code))
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_ERROR:
		// SQLITE_ERROR is what a statement about a table or column that is not there comes to.
		return fmt.Errorf("%w: %s", store.ErrSchema, name(code))
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, name(code))
}

// name is SQLite's own sentence for a result code.
func name(code int) string {
	if s, ok := sqlite.ErrorCodeString[code]; ok {
		return s
	}
	return fmt.Sprintf("%s, %d", sqlite.ErrorCodeString[code&0xff], code)
}

// unopened is an error of the file system, without the file's name.
func unopened(err error) error {
	why := "cannot open the database file"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "the database file's folder does not exist"
	case errors.Is(err, fs.ErrPermission):
		why = "no permission to open the database file"
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, why)
}
