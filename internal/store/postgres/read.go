package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	tenantRows = `
SELECT name, cluster_uid, namespace_uid, fence, epoch, revision, ledger_head, resource_version::text, settled_through,
    tampered, coalesce((SELECT version FROM crm_access.runtime WHERE tenant = name), 0), brake, (SELECT now FROM crm_access.clock)
FROM crm_access.tenant`
	readTenant     = tenantRows + ` WHERE name = $1`
	readTenants    = tenantRows + ` WHERE name = ANY($1) ORDER BY name COLLATE "C"`
	readAllTenants = tenantRows + ` ORDER BY name COLLATE "C"`

	readLedger = `
SELECT epoch, revision, at, cause, previous, hash, body FROM crm_access.ledger
WHERE tenant = $1 AND (epoch, revision) > ($2, $3) ORDER BY epoch, revision LIMIT $4`
)

// Tenant is Store.Tenant.
func (s *db) Tenant(ctx context.Context, tenant string) (store.Tenant, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return tenantRow(ctx, s.pool.QueryRow(within, readTenant, tenant))
}

// Tenants is Store.Tenants.
func (s *db) Tenants(ctx context.Context, names ...string) ([]store.Tenant, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	query, args := readAllTenants, []any{}
	if len(names) > 0 {
		query, args = readTenants, []any{names}
	}
	rows, err := s.pool.Query(within, query, args...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer rows.Close()
	var all []store.Tenant
	for rows.Next() {
		t, err := tenantRow(ctx, rows)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, mapError(ctx, rows.Err())
}

func tenantRow(ctx context.Context, row pgx.Row) (store.Tenant, error) {
	var t store.Tenant
	var version string
	var settled time.Time
	err := row.Scan(&t.Name, &t.Owner.Cluster, &t.Owner.Namespace, &t.Fence, &t.Revision.Epoch, &t.Revision.Number, &t.LedgerHead,
		&version, &settled, &t.Tampered, &t.Runtime, &t.Brake, &t.Now)
	if err != nil {
		return store.Tenant{}, mapError(ctx, err)
	}
	if t.ResourceVersion, err = strconv.ParseUint(version, 10, 64); err != nil {
		return store.Tenant{}, fmt.Errorf("%w: tenant %s has no resource version", store.ErrSchema, t.Name)
	}
	t.SettledThrough = schedule.At(settled)
	t.Now = t.Now.UTC()
	return t, nil
}

// Load is Store.Load: one snapshot, one round trip.
func (s *db) Load(ctx context.Context, tenant string) (store.Content, error) {
	var content store.Content
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := s.transact(ctx, options, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		batch := &pgx.Batch{}
		batch.Queue(readTenant, tenant)
		for _, table := range store.Tables {
			batch.Queue(statements[table]["load"], tenant)
		}
		results := tx.SendBatch(ctx, batch)
		defer func() { _ = results.Close() }()
		var err error
		if content.Tenant, err = tenantRow(ctx, results.QueryRow()); err != nil {
			return false, err
		}
		fragments := make(canonicalFragments)
		for _, table := range store.Tables {
			rows, err := results.Query()
			if err != nil {
				return false, mapError(ctx, err)
			}
			if content.Rows, err = readRows(ctx, content.Rows, table, fragments, rows); err != nil {
				return false, err
			}
		}
		return false, nil
	})
	if err != nil {
		return store.Content{}, err
	}
	return content, nil
}

// readRows appends what a load or a DELETE … RETURNING gives: the identity, then the table's columns.
func readRows(ctx context.Context, all []store.Row, table store.Table, fragments canonicalFragments, rows pgx.Rows) ([]store.Row, error) {
	defer rows.Close()
	columns := driver.Columns(table)
	scan := newScanner(columns)
	for rows.Next() {
		if err := rows.Scan(scan.destinations...); err != nil {
			return nil, mapError(ctx, err)
		}
		all = append(all, store.Row{
			RowID: store.RowID{Table: table, Owner: access.Ref{Kind: access.Kind(scan.kind), Name: scan.name}, Key: scan.key},
			Body:  scan.body(columns, fragments),
		})
	}
	return all, mapError(ctx, rows.Err())
}

// scanner holds one row's columns, each where its kind says.
type scanner struct {
	destinations    []any
	kind, name, key string
	cells           []cell
	builder         driver.Body
}

type cell struct {
	text     string
	flag     bool
	list     []string
	fragment []byte
	bound    pgtype.Timestamptz
}

func newScanner(columns []driver.Column) *scanner {
	s := &scanner{cells: make([]cell, len(columns))}
	s.destinations = append(s.destinations, &s.kind, &s.name, &s.key)
	for i, column := range columns {
		c := &s.cells[i]
		var destination any
		switch column.Kind {
		case driver.Text:
			destination = &c.text
		case driver.Flag:
			destination = &c.flag
		case driver.List:
			destination = &c.list
		case driver.Fragment:
			destination = &c.fragment
		case driver.Bound:
			destination = &c.bound
		}
		s.destinations = append(s.destinations, destination)
	}
	return s
}

func (s *scanner) body(columns []driver.Column, fragments canonicalFragments) string {
	for i, column := range columns {
		c := &s.cells[i]
		switch column.Kind {
		case driver.Text:
			s.builder.Text(column.Name, c.text)
		case driver.Flag:
			s.builder.Flag(column.Name, c.flag)
		case driver.List:
			s.builder.List(column.Name, c.list)
		case driver.Fragment:
			s.builder.Fragment(column.Name, fragments.of(column.Name, c.fragment))
		case driver.Bound:
			bound := schedule.Forever
			if c.bound.Valid {
				bound = schedule.At(c.bound.Time)
			}
			s.builder.Bound(column.Name, bound)
		}
	}
	return s.builder.String()
}

// Ledger is Store.Ledger.
func (s *db) Ledger(ctx context.Context, tenant string, after store.Revision, limit int) ([]store.Entry, error) {
	within, cancel := context.WithTimeout(ctx, s.workTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, readLedger, tenant, after.Epoch, after.Number, limit)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer rows.Close()
	var entries []store.Entry
	for rows.Next() {
		var e store.Entry
		var at time.Time
		if err := rows.Scan(&e.Revision.Epoch, &e.Revision.Number, &at, &e.Cause, &e.Previous, &e.Hash, &e.Body); err != nil {
			return nil, mapError(ctx, err)
		}
		e.At = schedule.At(at)
		entries = append(entries, e)
	}
	return entries, mapError(ctx, rows.Err())
}
