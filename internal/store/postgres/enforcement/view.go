package enforcement

import (
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// view shows each field by its level on the row: the value, its mask, or null. It runs as a role of its own, which may read
// the table's columns and is bound by a policy for the rows: so a query of the view is planned as one of the table, and no
// function of whoever asks sees a row before the policy has. What tuples let see is worked out once a query and asked of each
// row that is shown: a field's level is the widest over the tuples that take just that row in.
//
// The aggregates over one row, and HAVING, say that there is just one: where a query asks for no field's value, the planner
// leaves both joins away.
func (p *Plan) view() string {
	fields := make([]string, len(p.Fields))
	for i := range p.Fields {
		fields[i] = p.Fields[i].Field
	}
	return fmt.Sprintf(`CREATE VIEW %s AS
SELECT %s
FROM %s AS c
LEFT JOIN (SELECT %s FROM crm_access.shown_to_asker(%s, %s, %s) AS f) AS s ON true
LEFT JOIN LATERAL (SELECT %s AS levels HAVING true) AS l ON true
WHERE %s`,
		View(p.Tenant, p.Object.Object), strings.Join(p.shown(), ", "), Table(p.Storage.Table), worked,
		literal(p.Tenant), literal(p.Object.Object), literals(fields), p.levels(), p.ours())
}

// worked is a crm_access.shown, as an aggregate of one.
const worked = `bit_or(f.nothing) AS nothing,
    bool_or(f.everything_1) AS everything_1, max(f.owners_1) AS owners_1, max(f.participants_1) AS participants_1, max(f.departments_1) AS departments_1,
    max(f.ids_1) AS ids_1, bit_or(f.levels_1) AS levels_1,
    bool_or(f.everything_2) AS everything_2, max(f.owners_2) AS owners_2, max(f.participants_2) AS participants_2, max(f.departments_2) AS departments_2,
    max(f.ids_2) AS ids_2, bit_or(f.levels_2) AS levels_2,
    max(f.more) AS more`

// levels are those of the row c's fields: what each of the tuples in s gives that takes it in.
func (p *Plan) levels() string {
	var parts []string
	for _, slot := range []string{"_1", "_2"} {
		parts = append(parts, fmt.Sprintf("CASE WHEN %s THEN s.levels%s ELSE s.nothing END", p.coveredBy(slot), slot))
	}
	return strings.Join(parts, " | ") + fmt.Sprintf(" | CASE WHEN s.more IS NULL THEN s.nothing ELSE crm_access.levels_by(s.more, s.nothing, %s) END", p.record("c."))
}

// coveredBy says that the tuples in a slot take the row c in.
func (p *Plan) coveredBy(slot string) string {
	s := &p.Storage
	ways := []string{"s.everything" + slot}
	among := func(column, list string) {
		if column != "" && p.decides() {
			ways = append(ways, "c."+quoted(column)+" = ANY (s."+list+slot+")")
		}
	}
	among(s.OwnerColumn, "owners")
	among(s.DepartmentColumn, "departments")
	if p.decides() && s.ParticipantsColumn != "" {
		ways = append(ways, "c."+quoted(s.ParticipantsColumn)+" && s.participants"+slot)
	}
	return "(" + strings.Join(append(ways, "c."+quoted(s.IDColumn)+"::text = ANY (s.ids"+slot+")"), " OR ") + ")"
}

// shown are the view's columns: the id, and of each field what its level lets see. Facts that are no field are hidden.
func (p *Plan) shown() []string {
	var columns []string
	idIsField := false
	for i := range p.Fields {
		f := &p.Fields[i]
		column := p.Storage.Column(f.Field)
		if column == p.Storage.IDColumn {
			idIsField = true
			columns = append(columns, "c."+quoted(column))
			continue
		}
		columns = append(columns, fmt.Sprintf("CASE WHEN get_bit(l.levels, %d) = 1 THEN c.%s WHEN get_bit(l.levels, %d) = 1 THEN %s END AS %[2]s",
			2*i+1, quoted(column), 2*i, p.mask(f)))
	}
	if !idIsField {
		columns = append([]string{"c." + quoted(p.Storage.IDColumn)}, columns...)
	}
	return columns
}

// mask is the column's value as somebody with level masked sees it, of the column's own type: a mask that is text cannot
// stand where a number does.
func (p *Plan) mask(f *access.FieldFact) string {
	name := p.Storage.Column(f.Field)
	column, kind := "c."+quoted(name), p.Types[name]
	switch {
	case isText(kind):
		return fmt.Sprintf("crm_access.masked(%s::text, %s, %d, %d)", column, literal(f.Mask.Type), f.Mask.KeepFirst, f.Mask.KeepLast)
	case f.Mask.Type == "Year" && kind == "date":
		return "date_trunc('year', " + column + "::timestamp)::date"
	case f.Mask.Type == "Year" && kind == "timestamp":
		return "date_trunc('year', " + column + ")"
	case f.Mask.Type == "Year" && kind == "timestamptz": // not in the session's time zone, whose choice would tell the instant
		return "date_trunc('year', " + column + ", 'UTC')"
	}
	return "NULL"
}
