// Package enforcement writes the statements that make a table of the CRM enforce what its object's users may do: policies,
// the masked view, triggers, and rights. It is text alone: the driver looks at the table first, and executes them.
//
// The forms are those of design §6. Every list that a row is compared with comes from a subselect of its own, which the
// planner makes an init-plan, so that each arm of an OR can be looked up in an index; whoever reaches everything has a
// range of ids that is all of them, and is empty for others, so that their plan stays the same.
package enforcement

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Plan is all that the statements are made from.
type Plan struct {
	Tenant  string
	Storage access.StorageFact
	// Object says which fields are the owner's and the department's.
	Object access.ObjectFact
	// Fields are the object's, in the order of its text.
	Fields []access.FieldFact
	// Types are the types of the table's columns, as pg_catalog names them.
	Types map[string]string
	// Roles are the CRM's own, that everything is for.
	Roles []string
	// ViewOwner is the role that the masked views run as. Policies bind it, and nobody logs in as it.
	ViewOwner string
	// Conditions are sets of conditions that policies know by themselves, for speed; MoreConditions says that there are
	// others, which are met a row at a time.
	Conditions     [][]access.WhereFact
	MoreConditions bool
}

// suffix tells apart what tenants make in one table.
func (p *Plan) suffix() string {
	sum := sha256.Sum256([]byte(p.Tenant + "/" + p.Object.Object))
	return hex.EncodeToString(sum[:6])
}

// PolicyNames are the names of the policies.
func (p *Plan) PolicyNames() []string {
	names := make([]string, len(commands))
	for i, command := range commands {
		names[i] = "crm_access_" + p.suffix() + "_" + command
	}
	return names
}

func (p *Plan) policy(command string) string {
	return quoted("crm_access_" + p.suffix() + "_" + command)
}

// Table is the table, quoted. Without a schema it is the one in public: a search path must not decide.
func Table(name string) string {
	schema, table, has := strings.Cut(name, ".")
	if !has {
		schema, table = "public", name
	}
	return pgx.Identifier{schema, table}.Sanitize()
}

// Schema is the schema of a tenant's masked views. Names of namespaces hold no underscores, so that no two are one.
func Schema(tenant string) string {
	const prefix, longest = "crm_masked_", 63
	name := prefix + strings.ReplaceAll(tenant, "-", "_")
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(tenant))
	return name[:longest-13] + "_" + hex.EncodeToString(sum[:6])
}

// View is the masked view of an object, quoted.
func View(tenant, object string) string {
	return pgx.Identifier{Schema(tenant), strings.ReplaceAll(object, "-", "_")}.Sanitize()
}

// guard is the name of the trigger on the table. It fires before the CRM's own: what they change is the CRM's doing.
const guard = "0_crm_access_guard"

// guardAfter looks at rows that were updated.
const guardAfter = guard + "_after"

// Guards are the triggers on the table.
var Guards = []string{guard, guardAfter}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal is a text as SQL writes it, with standard_conforming_strings.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func literals(texts []string) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = literal(text)
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]::text[]"
}

func (p *Plan) roles() string {
	list := make([]string, len(p.Roles))
	for i, role := range p.Roles {
		list[i] = quoted(role)
	}
	return strings.Join(list, ", ")
}

// direct says whether the field's column may be read from the table itself: one whose class nobody's default hides. The
// table's policy shows the rows of those alone who may read all of these.
func direct(f *access.FieldFact) bool {
	return f.Class == access.ClassPublic.String() || f.Class == access.ClassInternal.String()
}

// directly is what of rules would hide one of the direct fields.
func (p *Plan) directly() string {
	names := []string{"class public", "class internal"}
	for i := range p.Fields {
		if f := &p.Fields[i]; direct(f) {
			names = append(names, "field "+f.Field)
		}
	}
	return literals(names)
}

// Direct are the columns that may be read from the table itself: the id, and those of direct fields.
func (p *Plan) Direct() []string {
	columns := []string{p.Storage.IDColumn}
	for i := range p.Fields {
		if f := &p.Fields[i]; direct(f) {
			columns = append(columns, p.Storage.Column(f.Field))
		}
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// Writable are the columns that may be updated in the table itself: those of direct fields that are not facts.
func (p *Plan) Writable() []string {
	columns := []string{}
	for i := range p.Fields {
		column := p.Storage.Column(p.Fields[i].Field)
		if direct(&p.Fields[i]) && column != p.Storage.IDColumn && !slices.Contains(p.facts(), column) {
			columns = append(columns, column)
		}
	}
	return columns
}

// facts are the columns that decide about a record besides its attributes.
func (p *Plan) facts() []string {
	s := &p.Storage
	return slices.DeleteFunc([]string{s.OwnerColumn, s.DepartmentColumn, s.ParticipantsColumn, s.CreatorColumn, s.TenantColumn}, func(c string) bool { return c == "" })
}

// Columns are all that the object is about.
func (p *Plan) Columns() []string {
	columns := append(p.facts(), p.Storage.IDColumn)
	for i := range p.Fields {
		columns = append(columns, p.Storage.Column(p.Fields[i].Field))
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// Digest is of everything that the statements are made from.
func (p *Plan) Digest() string {
	text, err := json.Marshal([]any{p.Statements(nil)})
	if err != nil {
		return "" // strings marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Statements make what the plan asks for, and take away what a former plan of the object made instead. Of readable, the
// columns that other tenants' plans let read of the table, only those are granted that are in both.
func (p *Plan) Statements(readable []string) []string {
	table, view := Table(p.Storage.Table), View(p.Tenant, p.Object.Object)
	statements := []string{
		fmt.Sprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", table),
		fmt.Sprintf("REVOKE ALL ON TABLE %s FROM %s", table, p.roles()),
	}
	statements = append(statements, p.policies()...)
	statements = append(statements,
		fmt.Sprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW WHEN (row_security_active(%s::regclass)) EXECUTE FUNCTION crm_access.guard_row()",
			quoted(guard), table, literal(table)),
		fmt.Sprintf("CREATE OR REPLACE TRIGGER %s AFTER UPDATE ON %s FOR EACH ROW WHEN (row_security_active(%s::regclass)) EXECUTE FUNCTION crm_access.guard_row()",
			quoted(guardAfter), table, literal(table)),
		fmt.Sprintf("DROP VIEW IF EXISTS %s", view),
		p.view(),
		fmt.Sprintf("GRANT SELECT (%s) ON TABLE %s TO %s", columnList(p.Columns()), table, quoted(p.ViewOwner)),
		fmt.Sprintf("COMMENT ON VIEW %s IS %s", view, literal("crm-access-operator: what each user may see of "+p.Object.Object)),
		fmt.Sprintf("CREATE TRIGGER crm_access_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION crm_access.write_row(%s, %s)",
			view, literal(p.Tenant), literal(p.Object.Object)),
	)
	statements = append(statements, p.grants(readable)...)
	return append(statements,
		fmt.Sprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s", quoted(Schema(p.Tenant)), quoted(p.ViewOwner)),
		fmt.Sprintf("ALTER VIEW %s OWNER TO %s", view, quoted(p.ViewOwner)))
}

func (p *Plan) grants(readable []string) []string {
	table, view := Table(p.Storage.Table), View(p.Tenant, p.Object.Object)
	read := p.Direct()
	if readable != nil {
		read = slices.DeleteFunc(read, func(c string) bool { return !slices.Contains(readable, c) })
	}
	write := p.Writable()
	statements := []string{
		fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quoted(Schema(p.Tenant)), p.roles()),
		fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s", view, p.roles()),
		fmt.Sprintf("GRANT INSERT (%s), DELETE ON TABLE %s TO %s", columnList(p.Columns()), table, p.roles()),
	}
	if len(read) > 0 {
		statements = append(statements, fmt.Sprintf("GRANT SELECT (%s) ON TABLE %s TO %s", columnList(read), table, p.roles()))
	}
	if len(write) > 0 {
		statements = append(statements, fmt.Sprintf("GRANT UPDATE (%s) ON TABLE %s TO %s", columnList(write), table, p.roles()))
	}
	return statements
}

func columnList(columns []string) string {
	list := make([]string, len(columns))
	for i, column := range columns {
		list[i] = quoted(column)
	}
	return strings.Join(list, ", ")
}

// What was made of an object is taken down in three parts. Row-level security stays enabled: without policies it shows the
// CRM's roles nothing, and they have no right to the table any more either.

// RemovalOfView drops the masked view, and with it what writes through it.
func RemovalOfView(tenant, object string) []string {
	return []string{fmt.Sprintf("DROP VIEW IF EXISTS %s", View(tenant, object))}
}

// RemovalOfPolicies drops the policies on a table.
func RemovalOfPolicies(tenant, object, table string) (statements []string) {
	p := Plan{Tenant: tenant, Object: access.ObjectFact{Object: object}}
	for _, command := range commands {
		statements = append(statements, fmt.Sprintf("DROP POLICY IF EXISTS %s ON %s", p.policy(command), Table(table)))
	}
	return statements
}

// RemovalOfRights takes away what is left where no other tenant has the table: the roles' rights, and the trigger.
func RemovalOfRights(table string, roles []string) []string {
	var statements []string
	for _, name := range Guards {
		statements = append(statements, fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", quoted(name), Table(table)))
	}
	if len(roles) > 0 {
		p := Plan{Roles: roles}
		statements = append(statements, fmt.Sprintf("REVOKE ALL ON TABLE %s FROM %s", Table(table), p.roles()))
	}
	return statements
}
