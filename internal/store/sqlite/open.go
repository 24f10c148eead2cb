package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

//go:embed statements/*.sql
var statementFiles embed.FS

var statements = driver.MustParseStatements(statementFiles)

// Memory is the file name of a store that lives as long as its handle: for tests and offline commands.
const Memory = ":memory:"

// fileMode keeps permissions from other users of the machine; SQLite gives its -wal and -shm files the same.
const fileMode = 0o600

// db is a Store. A file has one connection that writes and several that read a snapshot meanwhile (WAL); memory has
// one for both, since each connection would be a database of its own.
type db struct {
	write, read *sql.DB
}

var _ store.Store = (*db)(nil)

// Open opens the store in a file, makes it where there is none, and migrates it. ErrUnavailable where the file cannot
// be opened, ErrSchema where it is not a store or a newer one.
func Open(ctx context.Context, file string) (store.Store, error) {
	s, err := connect(file)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, file); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Attach opens a store for who only reads: it is there already, has just this program's version, and stays as it is.
// ErrUnavailable and ErrSchema as Open.
func Attach(ctx context.Context, file string) (store.Store, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, unopened(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: the database file is not a file", store.ErrUnavailable)
	}
	read, err := pool(nameOf(file), 4, url.Values{"mode": {"ro"}, "_query_only": {"true"}})
	if err != nil {
		return nil, err
	}
	s := &db{write: read, read: read}
	version, err := schemaVersion(ctx, read)
	if err == nil && version < len(migrations) {
		err = fmt.Errorf("%w: it has version %d, this program needs %d: start the operator of this program's version", store.ErrSchema, version, len(migrations))
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// nameOf is an opaque path that is escaped whole: a ? or % in a file name stays one.
func nameOf(file string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath()}).String()
}

func connect(file string) (*db, error) {
	if file == Memory {
		memory, err := pool("file::memory:", 1, url.Values{"_txlock": {"immediate"}})
		return &db{write: memory, read: memory}, err
	}
	if err := makeFile(file); err != nil {
		return nil, err
	}
	name := nameOf(file)
	write, err := pool(name, 1, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_pragma": {"cache_size(-65536)"}})
	if err != nil {
		return nil, err
	}
	read, err := pool(name, 4, url.Values{"_query_only": {"true"}})
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &db{write: write, read: read}, nil
}

// pool opens no connection yet. A commit is on the disk when it returns (synchronous FULL): a revocation that a power
// cut undoes would be one that was never made.
func pool(name string, connections int, options url.Values) (*sql.DB, error) {
	options.Set("_busy_timeout", "5000")
	options.Set("_synchronous", "FULL")
	options.Set("_dqs", "false")
	options.Set("_defensive", "true")
	p, err := sql.Open("sqlite", name+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open the database file", store.ErrUnavailable)
	}
	p.SetMaxOpenConns(connections)
	p.SetMaxIdleConns(connections)
	return p, nil
}

// makeFile makes the file where there is none, for its owner alone.
func makeFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return unopened(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return unopened(err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: the database file is not a file", store.ErrUnavailable)
	}
	return nil
}

// narrow takes from others of the machine what they may do with a file that was there before.
func narrow(file string) error {
	if err := os.Chmod(file, fileMode); err != nil {
		return unopened(err)
	}
	return nil
}

// Close closes both pools.
func (s *db) Close() error {
	err := s.read.Close()
	if s.write == s.read {
		return mapError(context.Background(), err)
	}
	if other := s.write.Close(); err == nil {
		err = other
	}
	return mapError(context.Background(), err)
}
