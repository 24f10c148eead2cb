package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// recordTimeout is for one record, or one page of them, that somebody waits for.
const recordTimeout = 2 * time.Second

// Record reads one record from the CRM's own table; nil where no record has the id.
func (s *db) Record(ctx context.Context, place store.RecordPlace, id string) (*access.Record, error) {
	q := selectRecords(&place)
	// The column's own type: else no index would find it.
	q.where("t.%s = %s", column(place.IDColumn), q.parameter(id))
	records, err := s.records(ctx, &place, q)
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
	q := selectRecords(&place)
	if after != "" {
		q.where("t.%s > %s", column(place.IDColumn), q.parameter(after))
	}
	if !q.reach(&place, filter) {
		return nil, nil
	}
	q.end = fmt.Sprintf(" ORDER BY t.%s LIMIT %s", column(place.IDColumn), q.parameter(limit))
	return s.records(ctx, &place, q)
}

func (s *db) records(ctx context.Context, place *store.RecordPlace, q *recordQuery) ([]*access.Record, error) {
	within, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	rows, err := s.pool.Query(within, q.String(), q.parameters...)
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

// recordQuery is a statement that selects records. Names are quoted, and values are parameters.
type recordQuery struct {
	columns, conditions []string
	table, end          string
	parameters          []any
}

// selectRecords selects what readRecord reads, of the tenant's records.
func selectRecords(place *store.RecordPlace) *recordQuery {
	q := &recordQuery{table: table(place.Table)}
	for _, name := range []string{place.IDColumn, place.OwnerColumn, place.DepartmentColumn, place.CreatorColumn} {
		q.columns = append(q.columns, expression(name, "t.%s::text"))
	}
	q.columns = append(q.columns, expression(place.ParticipantsColumn, "to_jsonb(t.%s)"))
	for _, field := range place.Fields {
		q.columns = append(q.columns, expression(place.Column(field), "to_jsonb(t.%s)"))
	}
	if place.TenantColumn != "" {
		q.where("t.%s = %s", column(place.TenantColumn), q.parameter(place.TenantValue))
	}
	return q
}

// expression is a column in a form, or null where the object has none for it.
func expression(name, form string) string {
	if name == "" {
		return "NULL"
	}
	return fmt.Sprintf(form, column(name))
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
		name, form string
		values     []string
	}{
		{place.OwnerColumn, "t.%s::text = ANY (%s::text[])", owners},
		{place.DepartmentColumn, "t.%s::text = ANY (%s::text[])", departments},
		{place.ParticipantsColumn, "to_jsonb(t.%s) ?| %s::text[]", participants},
		{place.IDColumn, "t.%s::text = ANY (%s::text[])", ids},
	} {
		if way.name != "" && len(way.values) > 0 {
			ways = append(ways, fmt.Sprintf(way.form, column(way.name), q.parameter(way.values)))
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
	record := &access.Record{ID: textOf(id), Owner: textOf(owner), Department: textOf(department), Creator: textOf(creator)}
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
			texts = append(texts, text)
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
		return []string{single}
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
