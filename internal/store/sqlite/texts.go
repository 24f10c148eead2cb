package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// texts is a list of texts as the tables keep it: JSON, and null where it is empty.
type texts []string

// Value implements driver.Valuer.
func (t texts) Value() (driver.Value, error) {
	if len(t) == 0 {
		return nil, nil
	}
	text, err := json.Marshal([]string(t))
	return string(text), err
}

// Scan implements sql.Scanner.
func (t *texts) Scan(value any) error {
	*t = nil
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), (*[]string)(t))
	}
	return fmt.Errorf("a list of texts is kept as %T", value)
}

// list reads all rows of a query.
func list[T any](ctx context.Context, q queryer, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, unread(ctx)
		}
		all = append(all, one)
	}
	return all, mapError(ctx, rows.Err())
}

// unread is the error of a row that is not as this program writes it.
func unread(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: a row cannot be read", store.ErrSchema)
}

// window reads the bounds of a window.
func window(notBefore, notAfter string) (w schedule.Window, err error) {
	if w.NotBefore, err = schedule.Parse(notBefore); err != nil {
		return w, err
	}
	w.NotAfter, err = schedule.Parse(notAfter)
	return w, err
}

// changed runs a statement and says how many rows it touched.
func (t *transaction) changed(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := t.tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, mapError(ctx, err)
	}
	n, err := result.RowsAffected()
	return n, mapError(ctx, err)
}
