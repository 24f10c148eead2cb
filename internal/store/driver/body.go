package driver

import (
	"strconv"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// ColumnKind is how a column stands in the body.
type ColumnKind int

// The kinds of column. All but Fragment and List are always there.
const (
	// Text is a string.
	Text ColumnKind = iota
	// Flag is true or false.
	Flag
	// Bound is an end of a window; null is without bound.
	Bound
	// List is an array of strings, and absent where it is empty.
	List
	// Fragment is any other JSON, and absent where it is empty.
	Fragment
)

// Column is a member of a table's body and the column of the same name.
type Column struct {
	Name string
	Kind ColumnKind
}

// Columns are the columns of a table's body in the order of the canonical body, which is the order in which the
// drivers' statements read them.
func Columns(table store.Table) []Column { return columns[table] }

var columns = map[store.Table][]Column{
	store.TableSource: {{"uid", Text}, {"spec", Fragment}},
	store.TableObject: {
		{"object", Text}, {"enabled", Flag}, {"owner_field", Text}, {"department_field", Text}, {"label_field", Text},
		{"parent_object", Text}, {"parent_field", Text}, {"actions", List}, {"variants", Fragment},
	},
	store.TableField: {{"object", Text}, {"field", Text}, {"class", Text}, {"mask", Fragment}},
	store.TableStorage: {
		{"object", Text}, {"table_name", Text}, {"id_column", Text}, {"owner_column", Text}, {"department_column", Text},
		{"participants_column", Text}, {"creator_column", Text}, {"tenant_column", Text}, {"tenant_value", Text},
		{"columns", Fragment},
	},
	store.TableDepartment: {{"department", Text}, {"display_name", Text}, {"parent", Text}, {"manager", Text}},
	store.TableClosure:    {{"department", Text}, {"ancestor", Text}},
	store.TableUser: {
		{"user_name", Text}, {"display_name", Text}, {"type", Text}, {"state", Text}, {"manager", Text}, {"successor", Text},
		{"revoked_by", Text}, {"logins", Fragment},
	},
	store.TableMembership: {{"user_name", Text}, {"department", Text}, {"is_primary", Flag}},
	store.TableLineage:    {{"role", Text}, {"ancestor", Text}},
	store.TableTuple: {
		{"bundle", Text}, {"path", Text}, {"revoked_by", Text}, {"digest", Text}, {"origin", Text}, {"object", Text},
		{"actions", List}, {"scopes", List}, {"ids", List}, {"owners", List}, {"departments", List}, {"department_trees", List},
		{"conditions", Fragment}, {"field_rules", Fragment}, {"restricted", Flag}, {"only_fields", List},
	},
	store.TableHolder: {
		{"user_name", Text}, {"bundle", Text}, {"role", Text}, {"revoked_by", Text}, {"not_before", Bound}, {"not_after", Bound},
	},
	store.TableGuardrail: {{"position", Text}, {"rule", Fragment}},
	store.TableApproval: {
		{"for_kind", Text}, {"for_name", Text}, {"effect", Text}, {"decision", Text}, {"approver", Text}, {"person", Text},
		{"document", Fragment},
	},
}

// Body builds the canonical body of one row after another, from columns as a driver reads them: the bytes that
// store.Encode makes, without reflection.
type Body struct{ buffer []byte }

// String ends the body, returns it, and makes ready for the next.
func (b *Body) String() string {
	b.buffer = append(b.buffer, '}')
	s := string(b.buffer)
	b.buffer = b.buffer[:0]
	return s
}

func (b *Body) name(name string) {
	if len(b.buffer) == 0 {
		b.buffer = append(b.buffer, '{')
	} else {
		b.buffer = append(b.buffer, ',')
	}
	b.buffer = append(b.buffer, '"')
	b.buffer = append(b.buffer, name...)
	b.buffer = append(b.buffer, '"', ':')
}

// Text adds a string.
func (b *Body) Text(name, value string) {
	b.name(name)
	b.buffer = store.AppendString(b.buffer, value)
}

// Flag adds true or false.
func (b *Body) Flag(name string, value bool) {
	b.name(name)
	b.buffer = strconv.AppendBool(b.buffer, value)
}

// Bound adds an end of a window: text as it stands, or null.
func (b *Body) Bound(name string, value schedule.Instant) {
	b.name(name)
	if value == schedule.Always || value == schedule.Forever {
		b.buffer = append(b.buffer, "null"...)
		return
	}
	b.buffer = append(b.buffer, '"')
	b.buffer = value.Time().AppendFormat(b.buffer, "2006-01-02T15:04:05Z07:00")
	b.buffer = append(b.buffer, '"')
}

// List adds an array of strings unless it is empty.
func (b *Body) List(name string, values []string) {
	if len(values) == 0 {
		return
	}
	b.name(name)
	separator := byte('[')
	for _, value := range values {
		b.buffer = append(b.buffer, separator)
		b.buffer = store.AppendString(b.buffer, value)
		separator = ','
	}
	b.buffer = append(b.buffer, ']')
}

// Fragment adds JSON as it is unless it is empty.
func (b *Body) Fragment(name, json string) {
	if len(json) == 0 {
		return
	}
	b.name(name)
	b.buffer = append(b.buffer, json...)
}
