package enforcement

import (
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// view shows each field by its level on the row: the value, its mask, or null. It runs as a role of its own, which may read
// the table's columns and is bound by a policy for the rows: so a query of the view is planned as one of the table, and no
// function of whoever asks sees a row before the policy has. What each tuple lets see is worked out once a query and asked
// of each row that is shown: a field's level is the widest over the tuples that take just that row in.
func (p *Plan) view() string {
	fields := make([]string, len(p.Fields))
	for i := range p.Fields {
		fields[i] = p.Fields[i].Field
	}
	return fmt.Sprintf(`CREATE VIEW %s AS
SELECT %s
FROM %s AS c
LEFT JOIN LATERAL (
    SELECT bit_or(t.levels) AS levels
    FROM unnest((SELECT crm_access.shown_by(%s, %s, %s))) AS t
    WHERE %s AND CASE WHEN t.conditions IS NULL THEN true ELSE crm_access.row_meets(t.conditions, %s) END
) AS l ON true
WHERE %s`,
		View(p.Tenant, p.Object.Object), strings.Join(p.shown(), ", "), Table(p.Storage.Table),
		literal(p.Tenant), literal(p.Object.Object), literals(fields), p.coveredBy(), p.attributes("c."), p.ours())
}

// coveredBy says that the tuple t takes the row c in, conditions aside.
func (p *Plan) coveredBy() string {
	s := &p.Storage
	ways := []string{"t.everything", "c." + quoted(s.IDColumn) + "::text = ANY (t.ids)"}
	if p.decides() {
		if s.OwnerColumn != "" {
			ways = append(ways, "c."+quoted(s.OwnerColumn)+" = ANY (t.owners)")
		}
		if s.DepartmentColumn != "" {
			ways = append(ways, "c."+quoted(s.DepartmentColumn)+" = ANY (t.departments)")
		}
		if s.ParticipantsColumn != "" {
			ways = append(ways, "c."+quoted(s.ParticipantsColumn)+" && t.participants")
		}
	}
	return "(" + strings.Join(ways, " OR ") + ")"
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
