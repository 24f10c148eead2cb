package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

const (
	tenantRows = `
SELECT name, cluster_uid, namespace_uid, fence, epoch, revision, ledger_head, resource_version, settled_through, tampered,
    coalesce((SELECT version FROM runtime WHERE tenant = name), 0), brake,
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), (SELECT max(settled_through) FROM tenant)
FROM tenant`
	readTenant     = tenantRows + ` WHERE name = ?1`
	readTenants    = tenantRows + ` WHERE name IN (SELECT value FROM json_each(?1)) ORDER BY name`
	readAllTenants = tenantRows + ` ORDER BY name`

	readLedger = `
SELECT epoch, revision, at, cause, previous, hash, body FROM ledger
WHERE tenant = ?1 AND (epoch, revision) > (?2, ?3) ORDER BY epoch, revision LIMIT ?4`
)

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tenant is Store.Tenant.
func (s *db) Tenant(ctx context.Context, tenant string) (store.Tenant, error) {
	return tenantRow(ctx, s.read, tenant)
}

// Tenants is Store.Tenants.
func (s *db) Tenants(ctx context.Context, names ...string) ([]store.Tenant, error) {
	query, args := readAllTenants, []any{}
	if len(names) > 0 {
		list, err := json.Marshal(names)
		if err != nil {
			return nil, fmt.Errorf("%w: the tenants' names cannot be asked for", store.ErrRefused)
		}
		query, args = readTenants, []any{string(list)}
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	var all []store.Tenant
	for rows.Next() {
		t, err := scanTenant(ctx, rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, mapError(ctx, rows.Err())
}

func tenantRow(ctx context.Context, q queryer, tenant string) (store.Tenant, error) {
	return scanTenant(ctx, q.QueryRowContext(ctx, readTenant, tenant).Scan)
}

// scanTenant reads one row of tenantRows.
func scanTenant(ctx context.Context, scan func(...any) error) (store.Tenant, error) {
	var t store.Tenant
	var version, settled, now, floor string
	err := scan(
		&t.Name, &t.Owner.Cluster, &t.Owner.Namespace, &t.Fence, &t.Revision.Epoch, &t.Revision.Number, &t.LedgerHead,
		&version, &settled, &t.Tampered, &t.Runtime, &t.Brake, &now, &floor)
	if err != nil {
		return store.Tenant{}, mapError(ctx, err)
	}
	if t.ResourceVersion, err = strconv.ParseUint(version, 10, 64); err != nil {
		return store.Tenant{}, fmt.Errorf("%w: tenant %s has no resource version", store.ErrSchema, t.Name)
	}
	if t.SettledThrough, err = schedule.Parse(settled); err != nil {
		return store.Tenant{}, fmt.Errorf("%w: tenant %s has no settled-through instant", store.ErrSchema, t.Name)
	}
	t.Now, err = later(now, floor)
	return t, err
}

// later compares as times: as text, a fraction would sort before its own second.
func later(now, floor string) (time.Time, error) {
	n, err := time.Parse(time.RFC3339Nano, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: the clock cannot be read", store.ErrSchema)
	}
	f, err := time.Parse(time.RFC3339, floor)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: the clock cannot be read", store.ErrSchema)
	}
	if f.After(n) {
		return f, nil
	}
	return n, nil
}

// Load is Store.Load. WAL gives the transaction one snapshot.
func (s *db) Load(ctx context.Context, tenant string) (store.Content, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Content{}, mapError(ctx, err)
	}
	defer func() { _ = tx.Rollback() }()
	var content store.Content
	if content.Tenant, err = tenantRow(ctx, tx, tenant); err != nil {
		return store.Content{}, err
	}
	for _, table := range store.Tables {
		rows, err := tx.QueryContext(ctx, statements[table]["load"], tenant)
		if err != nil {
			return store.Content{}, mapError(ctx, err)
		}
		if content.Rows, err = readRows(ctx, content.Rows, table, rows, nil); err != nil {
			return store.Content{}, err
		}
	}
	return content, nil
}

// readRows appends what a query gives: the identity, the table's columns and then, for note, what more it selects.
func readRows(ctx context.Context, all []store.Row, table store.Table, rows *sql.Rows, note func(*scanner), more ...any) ([]store.Row, error) {
	defer func() { _ = rows.Close() }()
	scan := newScanner(driver.Columns(table), more)
	for rows.Next() {
		if err := rows.Scan(scan.destinations...); err != nil {
			return nil, mapError(ctx, err)
		}
		all = append(all, store.Row{
			RowID: store.RowID{Table: table, Owner: access.Ref{Kind: access.Kind(scan.kind), Name: scan.name}, Key: scan.key},
			Body:  scan.body(),
		})
		if note != nil {
			note(scan)
		}
	}
	return all, mapError(ctx, rows.Err())
}

// scanner holds one row's columns: text, nil, or a number for a flag. Lists and fragments are kept in the very spelling
// in which they came, so a hand's other spelling shows as a difference.
type scanner struct {
	columns         []driver.Column
	destinations    []any
	kind, name, key string
	cells           []any
	builder         driver.Body
}

func newScanner(columns []driver.Column, more []any) *scanner {
	s := &scanner{columns: columns, cells: make([]any, len(columns))}
	s.destinations = append(s.destinations, &s.kind, &s.name, &s.key)
	for i := range s.cells {
		s.destinations = append(s.destinations, &s.cells[i])
	}
	s.destinations = append(s.destinations, more...)
	return s
}

// text is the named column of the row that was scanned last.
func (s *scanner) text(name string) string {
	for i, column := range s.columns {
		if column.Name == name {
			text, _ := s.cells[i].(string)
			return text
		}
	}
	return ""
}

func (s *scanner) body() string {
	for i, column := range s.columns {
		text, valid := s.cells[i].(string)
		switch {
		case column.Kind == driver.Flag:
			s.builder.Flag(column.Name, s.cells[i] != int64(0))
		case column.Kind == driver.List || column.Kind == driver.Fragment:
			s.builder.Fragment(column.Name, text)
		case column.Kind == driver.Bound && !valid:
			s.builder.Fragment(column.Name, "null")
		default:
			s.builder.Text(column.Name, text)
		}
	}
	return s.builder.String()
}

// Ledger is Store.Ledger.
func (s *db) Ledger(ctx context.Context, tenant string, after store.Revision, limit int) ([]store.Entry, error) {
	rows, err := s.read.QueryContext(ctx, readLedger, tenant, after.Epoch, after.Number, limit)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	var entries []store.Entry
	for rows.Next() {
		var e store.Entry
		var at string
		if err := rows.Scan(&e.Revision.Epoch, &e.Revision.Number, &at, &e.Cause, &e.Previous, &e.Hash, &e.Body); err != nil {
			return nil, mapError(ctx, err)
		}
		if e.At, err = schedule.Parse(at); err != nil {
			return nil, fmt.Errorf("%w: ledger entry %s has no instant", store.ErrSchema, e.Revision)
		}
		entries = append(entries, e)
	}
	return entries, mapError(ctx, rows.Err())
}
