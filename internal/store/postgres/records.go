package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// recordTimeout is for one record, or one page of them, that somebody waits for.
const recordTimeout = 2 * time.Second

// beforeLookup keeps code of the table's owner from running: operators and casts are PostgreSQL's own, a policy that would
// bind us is an error, and the planner looks at no constraint.
const beforeLookup = `
SELECT set_config('search_path', 'pg_catalog, pg_temp', true), set_config('row_security', 'off', true), set_config('constraint_exclusion', 'off', true)`

const formsOf = `SELECT crm_access.forms_of($1, $2)`

// Record reads one record from the CRM's own table; nil where no record has the id.
func (s *db) Record(ctx context.Context, place store.RecordPlace, id string) (*access.Record, error) {
	records, err := s.records(ctx, &place, func(q *recordQuery) bool {
		// The column's own type: else no index would find it.
		q.where("t.%s = %s", column(place.IDColumn), q.parameter(id))
		return true
	})
	switch {
	case errors.Is(err, store.ErrRefused):
		return nil, nil // no id of this table is written so
	case err != nil:
		return nil, err
	case len(records) != 1 || records[0].ID != id:
		return nil, nil // 007 is not 7, and what stands there twice is no record
	}
	return records[0], nil
}

// Page reads up to limit records after an id, in the order of their ids. Of the filter only what reaches records counts: its
// conditions may leave further ones out.
func (s *db) Page(ctx context.Context, place store.RecordPlace, filter *access.Filter, after string, limit int) ([]*access.Record, error) {
	return s.records(ctx, &place, func(q *recordQuery) bool {
		if after != "" {
			q.where("t.%s > %s", column(place.IDColumn), q.parameter(after))
		}
		if !q.reach(&place, filter) {
			return false
		}
		q.end = fmt.Sprintf(" ORDER BY t.%s LIMIT %s", column(place.IDColumn), q.parameter(limit))
		return true
	})
}

// records reads those that ask selects, and none where it says that there are none.
func (s *db) records(ctx context.Context, place *store.RecordPlace, ask func(*recordQuery) bool) ([]*access.Record, error) {
	within, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	tx, err := s.pool.BeginTx(within, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, mapError(ctx, err)
	}
	// Nothing is left behind for the next one who has this connection.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	forms, err := readForms(within, tx, place)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	if forms == nil || forms[place.IDColumn] != plain || place.TenantColumn != "" && forms[place.TenantColumn] != plain {
		return nil, fmt.Errorf("%w: reading records of %s from %s: it is no table, lacks the column of the id or tenant, or could run code of "+
			"its owner's; see docs/postgresql.md, what is trusted of a table's owner", store.ErrSchema, place.Object, place.Table)
	}
	q := selectRecords(place, forms)
	if !ask(q) {
		return nil, nil
	}
	rows, err := tx.Query(within, q.String(), q.parameters...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer rows.Close()
	var all []*access.Record
	for rows.Next() {
		record, err := readRecord(rows, place.Fields)
		if err != nil {
			return nil, mapError(ctx, err)
		}
		all = append(all, record)
	}
	return all, mapError(ctx, rows.Err())
}

// How a column is read, as crm_access.forms_of says it.
const (
	plain = "plain"
	// enum is a type of the CRM's, of which nothing is called but PostgreSQL's own output.
	enum = "enum"
)

// readForms makes the transaction one that looks records up, and says how the columns of a place are read; nil where nothing
// may be.
func readForms(ctx context.Context, tx pgx.Tx, place *store.RecordPlace) (map[string]string, error) {
	columns := []string{place.IDColumn, place.OwnerColumn, place.DepartmentColumn, place.CreatorColumn, place.ParticipantsColumn, place.TenantColumn}
	for _, field := range place.Fields {
		columns = append(columns, place.Column(field))
	}
	var list []string
	batch := &pgx.Batch{}
	batch.Queue(beforeLookup)
	batch.Queue(formsOf, table(place.Table), columns).QueryRow(func(row pgx.Row) error { return row.Scan(&list) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil || list == nil {
		return nil, err
	}
	forms := make(map[string]string, len(columns))
	for i, name := range columns {
		forms[name] = list[i]
	}
	return forms, nil
}

// recordQuery is a statement that selects records. Names are quoted, and values are parameters.
type recordQuery struct {
	columns, conditions []string
	forms               map[string]string
	table, end          string
	parameters          []any
}

// selectRecords selects what readRecord reads, of the tenant's records.
func selectRecords(place *store.RecordPlace, forms map[string]string) *recordQuery {
	q := &recordQuery{table: table(place.Table), forms: forms}
	for _, name := range []string{place.IDColumn, place.OwnerColumn, place.DepartmentColumn, place.CreatorColumn} {
		q.columns = append(q.columns, q.text(name))
	}
	q.columns = append(q.columns, q.json(place.ParticipantsColumn))
	for _, field := range place.Fields {
		q.columns = append(q.columns, q.json(place.Column(field)))
	}
	if place.TenantColumn != "" {
		q.where("t.%s::text = %s", column(place.TenantColumn), q.parameter(place.TenantValue))
	}
	return q
}

// text is a column as text, just as crm_access.as_text has it.
func (q *recordQuery) text(name string) string {
	switch q.forms[name] {
	case plain:
		return fmt.Sprintf("t.%s::text", column(name))
	case enum:
		return fmt.Sprintf("CASE WHEN t.%[1]s IS NOT NULL THEN format('%%s', t.%[1]s) END", column(name))
	}
	return "NULL::text" // the object or the table has none
}

// json is a column as JSON, just as crm_access.as_json has it.
func (q *recordQuery) json(name string) string {
	if q.forms[name] == plain {
		return fmt.Sprintf("to_jsonb(t.%s)", column(name))
	}
	return "to_jsonb(" + q.text(name) + ")"
}

func column(name string) string { return pgx.Identifier{name}.Sanitize() }

// table is a table as declared; without a schema it is the one in public.
func table(name string) string {
	schema, relation, qualified := strings.Cut(name, ".")
	if !qualified {
		schema, relation = "public", name
	}
	return pgx.Identifier{schema, relation}.Sanitize()
}

func (q *recordQuery) parameter(value any) string {
	q.parameters = append(q.parameters, value)
	return fmt.Sprintf("$%d", len(q.parameters))
}

func (q *recordQuery) where(form string, args ...any) {
	q.conditions = append(q.conditions, fmt.Sprintf(form, args...))
}

// reach adds what the filter takes in, its conditions aside; false where that is nothing.
func (q *recordQuery) reach(place *store.RecordPlace, filter *access.Filter) bool {
	if filter == nil || filter.Decides != place.Object {
		return true // by another object's records: whoever asks decides about each
	}
	var owners, participants, departments, ids []string
	for i := range filter.Clauses {
		c := &filter.Clauses[i]
		if c.Everything {
			return true
		}
		owners, participants = append(owners, c.Owners...), append(participants, c.Participants...)
		departments, ids = append(departments, c.Departments...), append(ids, c.IDs...)
	}
	var ways []string
	for _, way := range []struct {
		shown, form string
		values      []string
	}{
		{q.text(place.OwnerColumn), "(%s) = ANY (%s::text[])", owners},
		{q.text(place.DepartmentColumn), "(%s) = ANY (%s::text[])", departments},
		{q.json(place.ParticipantsColumn), "(%s) ?| %s::text[]", participants},
		{q.text(place.IDColumn), "(%s) = ANY (%s::text[])", ids},
	} {
		if len(way.values) > 0 {
			ways = append(ways, fmt.Sprintf(way.form, way.shown, q.parameter(way.values)))
		}
	}
	q.where("(%s)", strings.Join(ways, " OR "))
	return len(ways) > 0
}

// String is the statement.
func (q *recordQuery) String() string {
	text := "SELECT " + strings.Join(q.columns, ", ") + " FROM " + q.table + " AS t"
	if len(q.conditions) > 0 {
		text += " WHERE " + strings.Join(q.conditions, " AND ")
	}
	return text + q.end
}

func readRecord(rows pgx.Rows, fields []string) (*access.Record, error) {
	var id, owner, department, creator *string
	var participants []byte
	values := make([][]byte, len(fields))
	destinations := []any{&id, &owner, &department, &creator, &participants}
	for i := range values {
		destinations = append(destinations, &values[i])
	}
	if err := rows.Scan(destinations...); err != nil {
		return nil, err
	}
	// The id is as it is spelt; all else is compared, in NFC as the engine's texts are.
	record := &access.Record{ID: textOf(id), Owner: norm.NFC.String(textOf(owner)), Department: norm.NFC.String(textOf(department)), Creator: norm.NFC.String(textOf(creator))}
	record.Participants, _ = textsOf(participants)
	for i, field := range fields {
		if list := attributeOf(values[i]); len(list) > 0 {
			if record.Attributes == nil {
				record.Attributes = make(map[string][]string)
			}
			record.Attributes[field] = list
		}
	}
	return record, nil
}

func textOf(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

// textsOf are the texts of a list, and whether it holds nothing else.
func textsOf(value []byte) (texts []string, pure bool) {
	var list []any
	if json.Unmarshal(value, &list) != nil {
		return nil, false
	}
	for _, element := range list {
		if text, ok := element.(string); ok {
			texts = append(texts, norm.NFC.String(text))
		}
	}
	return texts, len(texts) == len(list)
}

// attributeOf is a value as the engine compares it, just as crm_access.attribute_values has it.
func attributeOf(value []byte) []string {
	text := string(value)
	switch {
	case text == "" || text == "null":
		return nil
	case text[0] == '[':
		if texts, pure := textsOf(value); pure {
			return texts
		}
		return nil
	case text[0] == '"':
		var single string
		if json.Unmarshal(value, &single) != nil {
			return nil
		}
		return []string{norm.NFC.String(single)}
	case text[0] == '{':
		var reference struct {
			ID json.RawMessage `json:"id"`
		}
		if json.Unmarshal(value, &reference) != nil || strings.HasPrefix(string(reference.ID), "{") {
			return nil
		}
		return attributeOf(reference.ID)
	case strings.Contains(text, "."):
		return []string{strings.TrimSuffix(strings.TrimRight(text, "0"), ".")}
	}
	return []string{text}
}
