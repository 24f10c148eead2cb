package enforcement

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// commands are those that have a policy each.
var commands = []string{"select", "insert", "update", "delete", "view"}

// policies show the rows that are covered. Whether a row may be written, with all that rules ask of it, is the trigger's
// to decide: a policy cannot say why not.
func (p *Plan) policies() []string {
	table := Table(p.Storage.Table)
	var statements []string
	for _, command := range commands {
		statements = append(statements, fmt.Sprintf("DROP POLICY IF EXISTS %s ON %s", p.policy(command), table))
	}
	create := func(command, clause string) {
		statements = append(statements, fmt.Sprintf("CREATE POLICY %s ON %s FOR %s TO %s %s", p.policy(command), table, strings.ToUpper(command), p.roles(), clause))
	}
	statements = append(statements, fmt.Sprintf("CREATE POLICY %s ON %s FOR SELECT TO %s USING (%s)", p.policy("view"), table, quoted(p.ViewOwner), p.covered(access.ActionRead, "NULL")))
	create("select", "USING ("+p.covered(access.ActionRead, p.directly())+")")
	create("insert", "WITH CHECK ("+p.ours()+")")
	// PostgreSQL asks the policy for SELECT only of a statement that reads: one without WHERE would tell of rows that are not shown.
	shown := " AND (" + p.covered(access.ActionRead, p.directly()) + ")"
	create("update", "USING (("+p.covered(access.ActionUpdate, "NULL")+")"+shown+") WITH CHECK ("+p.ours()+")")
	create("delete", "USING (("+p.covered("delete", "NULL")+")"+shown+")")
	return statements
}

// ours says that the row is the tenant's.
func (p *Plan) ours() string {
	if p.Storage.TenantColumn == "" {
		return "true"
	}
	return quoted(p.Storage.TenantColumn) + " = " + literal(p.Storage.TenantValue)
}

// covered says that one of the subject's tuples with the action takes the row in.
func (p *Plan) covered(action, directly string) string {
	arms := p.arms(action, "NULL", directly)
	known := "[]"
	if len(p.Conditions) > 0 {
		known = jsonText(p.Conditions)
	}
	for _, where := range p.Conditions {
		set := p.arms(action, literal(jsonText(where))+"::jsonb", directly)
		arms = append(arms, "("+p.met(where)+") AND ("+strings.Join(set, " OR ")+")")
	}
	arms = append(arms, p.expectation(action, directly))
	if p.MoreConditions {
		arms = append(arms, p.conditioned(action, directly, known))
	}
	return p.ours() + " AND (" + strings.Join(arms, " OR ") + ")"
}

// expectation is an arm that takes no row in, and is for the planner alone: it works out what a stable function says, and
// expects almost all rows of who sees all, for so it does of a list that it does not know. When the query runs, the subselect
// is true and nobody is asked. It is one comparison that an index can look up, as the other arms are: else the planner would
// have all of them asked again of each row that was found.
func (p *Plan) expectation(action, directly string) string {
	return fmt.Sprintf("%s >= ANY (CASE WHEN (SELECT true) OR NOT crm_access.expects_everything(%s, %s, %s, %s) THEN NULL ELSE ARRAY[%s] END)",
		quoted(p.Storage.IDColumn), literal(p.Tenant), literal(p.Object.Object), literal(action), directly, p.ids().least)
}

// conditioned says that a tuple with a set of conditions that the policy does not know takes the row in.
func (p *Plan) conditioned(action, directly, known string) string {
	conditioned := fmt.Sprintf("crm_access.conditioned_reach_of(%s, %s, %s, %s::jsonb, %s)", literal(p.Tenant), literal(p.Object.Object), literal(action), literal(known), directly)
	ids := p.ids()
	least, greatest := ids.least, "(SELECT coalesce("+p.last(action, "NULL", directly, literal(known)+"::jsonb")+", ''))"
	if ids.most != "" {
		least, greatest = fmt.Sprintf("(SELECT CASE WHEN %s IS NULL THEN %s ELSE %s END)", conditioned, ids.most, ids.least), ids.most
	}
	// Where there are none the range holds one id at most, and is not null: null AND what follows would ask that of each row.
	return fmt.Sprintf("%s BETWEEN %s AND %s AND %s", quoted(p.Storage.IDColumn), least, greatest, p.takenIn("(SELECT "+conditioned+")"))
}

// attributes are a row's columns as conditions ask for them. A function takes a hundred arguments, two for each.
func (p *Plan) attributes(of string) string {
	var parts []string
	for chunk := range slices.Chunk(p.Columns(), 50) {
		var pairs []string
		for _, column := range chunk {
			pairs = append(pairs, literal(column)+", "+of+quoted(column))
		}
		parts = append(parts, "jsonb_build_object("+strings.Join(pairs, ", ")+")")
	}
	return strings.Join(parts, " || ")
}

func jsonText(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "[]" // strings encode
	}
	return strings.TrimSpace(text.String())
}

// arms are the ways in which a row can be taken in, each one that an index can look up.
func (p *Plan) arms(action, conditions, directly string) []string {
	reached := func(part string) string {
		return fmt.Sprintf("crm_access.reached(%s, %s, %s, %s, %s, %s)", literal(p.Tenant), literal(p.Object.Object), literal(action), conditions, directly, literal(part))
	}
	ids, s := p.ids(), &p.Storage
	least, greatest := "(SELECT CASE WHEN "+reached("everything")+" IS NOT NULL THEN "+ids.least+" END)", ids.most
	if greatest == "" { // the last that there is
		least, greatest = "(SELECT "+ids.least+")", "(SELECT "+p.last(action, conditions, directly, "NULL")+")"
	}
	arms := []string{quoted(s.IDColumn) + " BETWEEN " + least + " AND " + greatest}
	if p.decides() && s.OwnerColumn != "" {
		arms = append(arms, quoted(s.OwnerColumn)+" = ANY ((SELECT "+reached("owners")+")::text[])")
	}
	if p.decides() && s.DepartmentColumn != "" {
		// The planner expects ten elements of a list that it does not know: of a few departments that is most of the table.
		// The second comparison is always true, and lets it expect a third of that.
		column := quoted(s.DepartmentColumn)
		arms = append(arms, column+" = ANY ((SELECT "+reached("departments")+")::text[]) AND "+column+" >= (SELECT ''::text)")
	}
	if p.decides() && s.ParticipantsColumn != "" {
		arms = append(arms, quoted(s.ParticipantsColumn)+" && (SELECT "+reached("participants")+")")
	}
	return append(arms, quoted(s.IDColumn)+" = ANY ((SELECT "+ids.among(reached("ids"))+")::"+ids.kind+"[])")
}

// decides says whether the record itself says whose it is: not where it takes its access from another.
func (p *Plan) decides() bool { return p.Object.ParentObject == "" }

// takenIn says that one of several tuples takes the row in, conditions and all.
func (p *Plan) takenIn(tuples string) string {
	return fmt.Sprintf("crm_access.takes_in(%s, %s)", tuples, p.record(""))
}

// record is a row as functions ask for it: id, owner, department, participants, and what conditions may be about.
func (p *Plan) record(of string) string {
	column := func(name, kind string) string {
		if name == "" || !p.decides() {
			return "NULL::" + kind
		}
		return of + quoted(name) + "::" + kind
	}
	s := &p.Storage
	return strings.Join([]string{of + quoted(s.IDColumn) + "::text", column(s.OwnerColumn, "text"), column(s.DepartmentColumn, "text"),
		column(s.ParticipantsColumn, "text[]"), p.attributes(of)}, ", ")
}

// met are conditions as a row's own columns meet them.
func (p *Plan) met(where []access.WhereFact) string {
	var all []string
	for _, c := range where {
		column := quoted(p.conditionColumn(c.Field))
		switch c.Operator {
		case access.OperatorIn:
			all = append(all, column+" = ANY ("+literals(c.Values)+")")
		case access.OperatorNotIn:
			all = append(all, column+" <> ALL ("+literals(c.Values)+")")
		case access.OperatorExists:
			all = append(all, column+" IS NOT NULL")
		}
		if p.isFact(c.Field) {
			all = append(all, column+" <> ''")
		}
	}
	return strings.Join(all, " AND ")
}

func (p *Plan) isFact(field string) bool {
	return field == p.Object.OwnerField || field == p.Object.DepartmentField
}

func (p *Plan) conditionColumn(field string) string {
	switch field {
	case p.Object.OwnerField:
		return p.Storage.OwnerColumn
	case p.Object.DepartmentField:
		return p.Storage.DepartmentColumn
	}
	return p.Storage.Column(field)
}

// KnowsConditions says whether policies can know a set of conditions by themselves: all of it is about columns of text.
func (p *Plan) KnowsConditions(where []access.WhereFact) bool {
	return !slices.ContainsFunc(where, func(c access.WhereFact) bool {
		known := c.Operator == access.OperatorIn || c.Operator == access.OperatorNotIn || c.Operator == access.OperatorExists
		return !known || !isText(p.Types[p.conditionColumn(c.Field)])
	})
}

func isText(kind string) bool { return kind == "text" || kind == "varchar" }

// ids are how the id's type writes what is asked of it.
type ids struct {
	least    string
	most     string // empty where it cannot be written down
	elements string // a function of the list
	kind     string // of which it makes a list
}

var integers = map[string][2]string{
	"int2": {"-32768", "32767"}, "int4": {"-2147483648", "2147483647"}, "int8": {"-9223372036854775808", "9223372036854775807"},
}

// KnowsID says whether the type can be an id's.
func KnowsID(kind string) bool { return kind == "uuid" || isText(kind) || integers[kind][0] != "" }

func (p *Plan) ids() ids {
	kind := p.Types[p.Storage.IDColumn]
	switch bounds, isInteger := integers[kind]; {
	case isInteger:
		return ids{least: "'" + bounds[0] + "'::" + kind, most: "'" + bounds[1] + "'::" + kind,
			kind: "bigint", elements: "crm_access.integers_of(%s, '" + bounds[0] + "', '" + bounds[1] + "')"}
	case kind == "uuid":
		return ids{least: "'00000000-0000-0000-0000-000000000000'::uuid", most: "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid", kind: "uuid", elements: "crm_access.uuids_of(%s)"}
	}
	return ids{least: "''::text", kind: "text", elements: "%s"}
}

func (p *Plan) last(action, conditions, directly, known string) string {
	return fmt.Sprintf("crm_access.last_id(%s, %s, %s, %s, %s, %s)", literal(p.Tenant), literal(p.Object.Object), literal(action), conditions, directly, known)
}

func (i ids) among(list string) string { return fmt.Sprintf(i.elements, list) }
