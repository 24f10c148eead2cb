package postgres

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

//go:embed statements/*.sql
var statementFiles embed.FS

var statements = driver.MustParseStatements(statementFiles)

// How long the store waits. A server that is down refuses at once; these are for one that does not answer.
const (
	connectTimeout = 3 * time.Second
	// pollTimeout is for one row, which somebody reads every second.
	pollTimeout = 5 * time.Second
	// workTimeout is for a whole tenant.
	workTimeout = 2 * time.Minute
	// silence is how long a connection that listens may say nothing before it is asked whether it lives: a network that
	// drops what is idle tells nobody.
	silence = time.Minute
)

// sessionSettings are what a session begins with where the connection string does not say otherwise. The server ends what
// we have given up on, so that a lost connection does not keep a tenant locked.
var sessionSettings = map[string]string{
	"application_name":                    "crm-access-operator",
	"statement_timeout":                   "60s",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "60s",
	// A statement alone is a transaction too: one that waits for a row is to see what it has become.
	"default_transaction_isolation": "read committed",
}

// db is a Store. Its durations are fields so that a test need not wait as long.
type db struct {
	pool                 *pgxpool.Pool
	workTimeout, silence time.Duration
}

var _ store.Store = (*db)(nil)

// Open connects to the database that a connection string names (a URL or keywords and values, as for psql) and migrates
// it. ErrUnavailable where it cannot be reached, ErrSchema where its schema is newer or cannot be made.
func Open(ctx context.Context, dsn string) (store.Store, error) {
	return open(ctx, dsn, (*db).migrate)
}

// Attach connects like Open, for who reads and reserves: the operator migrates. ErrSchema where the schema is not just this
// program's.
func Attach(ctx context.Context, dsn string) (store.Store, error) {
	return open(ctx, dsn, (*db).checkVersion)
}

func open(ctx context.Context, dsn string, prepare func(*db, context.Context) error) (store.Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The error holds the connection string.
		return nil, fmt.Errorf("%w: the connection string is not one: want postgres://user:password@host:5432/database or keywords and values",
			store.ErrUnavailable)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.ValidateConnect == nil {
		// A standby lags behind by nobody knows how much, and says that it is up to date.
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	config.PingTimeout = connectTimeout
	for name, value := range sessionSettings {
		if _, ok := config.ConnConfig.RuntimeParams[name]; !ok {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w: the connection string's settings do not go together", store.ErrUnavailable)
	}
	s := &db{pool: pool, workTimeout: workTimeout, silence: silence}
	if err := prepare(s, ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the pool; calls that are under way end first.
func (s *db) Close() error {
	s.pool.Close()
	return nil
}

// transact runs work in a transaction and commits where it says so.
func (s *db) transact(ctx context.Context, options pgx.TxOptions, work func(context.Context, pgx.Tx) (bool, error)) error {
	within, cancel := context.WithTimeout(ctx, s.workTimeout)
	defer cancel()
	tx, err := s.pool.BeginTx(within, options)
	if err != nil {
		return mapError(ctx, err)
	}
	// After a commit this does nothing. It must get through though the context has ended.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	keep, err := work(within, tx)
	switch {
	case err != nil && within.Err() != nil:
		// The end of our own patience is the store's fault; the end of the caller's is the caller's.
		return mapError(ctx, within.Err())
	case err != nil || !keep:
		return err
	}
	return mapError(ctx, tx.Commit(within))
}
