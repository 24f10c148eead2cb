package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// enforcer is what the controllers ask of this store.
type enforcer interface {
	Enforce(ctx context.Context, tenant string, wanted store.Enforcement) (map[string]store.Enforced, error)
}

// crm is a CRM with its tables in the store's database, and the connection that it reads them with.
type crm struct {
	*harness
	s    store.Store
	key  token.Key
	app  *pgx.Conn
	role string
	// viewOwner is the role that the masked views run as.
	viewOwner string
	facts     access.Facts
	now       schedule.Instant
}

// newCRM makes the tenant's table of an object, which an owner of its own has, and commits the declarations.
func newCRM(t *testing.T, d access.Declarations, tables string) *crm {
	t.Helper()
	h := newHarness(t)
	s, key, _ := claimed(t, h)
	number := strings.TrimPrefix(h.hand.Config().Database, "test_")
	c := &crm{harness: h, s: s, key: key, role: "crm_app_" + number, viewOwner: "crm_masked_" + number}
	server := pgtest.Shared(t)
	h.must(t, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'strong'; GRANT USAGE ON SCHEMA crm_access TO %[1]s; CREATE SCHEMA crm; GRANT USAGE ON SCHEMA crm TO %[1]s;
		CREATE ROLE %[2]s NOLOGIN; GRANT USAGE ON SCHEMA crm_access, crm TO %[2]s;`, c.role, c.viewOwner)+tables)
	t.Cleanup(func() {
		server.Psql(t, h.dsn, fmt.Sprintf(`DROP OWNED BY %s, %s CASCADE; DROP ROLE %[1]s, %[2]s`, c.role, c.viewOwner))
	})
	c.commit(t, d)
	app, err := pgx.Connect(t.Context(), server.DSN(c.role, "strong", h.hand.Config().Database))
	if err != nil {
		t.Fatal(err)
	}
	c.app = app
	t.Cleanup(func() { app.Close(context.Background()) })
	return c
}

// commit makes the store hold what the declarations come to.
func (c *crm) commit(t *testing.T, d access.Declarations) {
	t.Helper()
	c.facts = access.Resolve(d).Facts
	content, err := c.s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Encode(c.facts)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := c.s.Commit(t.Context(), store.Commit{Expect: content.Tenant, Changes: store.Diff(store.Index(content.Rows), store.Index(rows)), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
}

func (c *crm) enforce(t *testing.T, roles ...string) map[string]store.Enforced {
	t.Helper()
	outcomes, err := c.s.(enforcer).Enforce(t.Context(), tenant, store.Enforcement{Roles: roles, ViewOwner: c.viewOwner})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// enforced sets everything up.
func (c *crm) enforced(t *testing.T) {
	t.Helper()
	for object, outcome := range c.enforce(t, c.role) {
		if outcome.Reason != store.EnforcedByTable {
			t.Fatalf("%s: %s: %s", object, outcome.Reason, outcome.Message)
		}
	}
}

// do executes a statement with parameters, as the database's superuser.
func (c *crm) do(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := c.hand.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// at sets the store's clock, which stands there.
func (c *crm) at(t *testing.T, now schedule.Instant) {
	t.Helper()
	c.now = now
	c.do(t, `UPDATE crm_access.tenant SET settled_through = $1`, now.Time())
}

// as makes the application's session one of the user's, with a context.
func (c *crm) as(t *testing.T, user string, context *access.Context) {
	t.Helper()
	made, err := token.Mint(c.key, tenant, user, c.now, c.now+600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.app.Exec(t.Context(), `SELECT set_config('crm_access.token', $1, false), set_config('crm_access.context', $2, false)`, made, contextText(t, context)); err != nil {
		t.Fatal(err)
	}
}

// contextText is the context as applications set it.
func contextText(t *testing.T, c *access.Context) string {
	t.Helper()
	if c == nil {
		return ""
	}
	said := map[string]any{}
	for name, value := range map[string]string{"channel": c.Channel, "device": c.Device, "reason": c.Reason} {
		if value != "" {
			said[name] = value
		}
	}
	for name, value := range map[string]*int64{"rows": c.Rows, "used": c.Used, "owned": c.Owned} {
		if value != nil {
			said[name] = *value
		}
	}
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// worldTable is a table for an object of a random world: of its fields the owner's and the department's have names of
// their own.
const worldTable = `
CREATE TABLE crm.%[1]s (
    id %[2]s PRIMARY KEY, org text NOT NULL DEFAULT 'huayue', owner_id text, dept text, team text[], made_by text,
    field_2 text, field_3 text, field_4 text, field_5 text, field_6 text, field_7 text, field_8 text, field_9 text, field_10 text, field_11 text,
    note text);
CREATE INDEX ON crm.%[1]s (owner_id); CREATE INDEX ON crm.%[1]s (dept); CREATE INDEX ON crm.%[1]s USING gin (team);`

func worldStorage(table string) access.Storage {
	return access.Storage{Table: table, ID: "id", Owner: "owner_id", Department: "dept", Participants: "team", Creator: "made_by",
		TenantColumn: "org", TenantValue: "huayue", Columns: map[string]string{"field_0": "owner_id", "field_1": "dept"}}
}

// worldRow inserts a record.
func (c *crm) worldRow(t *testing.T, table string, r *access.Record) {
	t.Helper()
	columns, values, marks := []string{"id", "owner_id", "dept", "team", "made_by"}, []any{r.ID, null(r.Owner), null(r.Department), r.Participants, null(r.Creator)}, []string{"$1", "$2", "$3", "$4", "$5"}
	for name, list := range r.Attributes {
		values = append(values, list[0])
		columns, marks = append(columns, name), append(marks, fmt.Sprintf("$%d", len(values)))
	}
	c.do(t, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "), strings.Join(marks, ", ")), values...)
}

func null(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// worldRecords are n records, each field with a value of its own where it decides nothing.
func worldRecords(random *rand.Rand, d access.Declarations, n int) []*access.Record {
	list := make([]*access.Record, n)
	for i := range list {
		user := d.Users[random.IntN(len(d.Users))].Name
		r := accesstest.NewRecord(random, d, user)
		r.ID = accesstest.Name("record", i)
		for f := 5; f < accesstest.Fields; f++ {
			r.Attributes[fmt.Sprintf("field_%d", f)] = []string{fmt.Sprintf("value of %d in %d", f, i)}
		}
		list[i] = r
	}
	return list
}

// listed says whether a filter takes a record in.
func listed(f *access.Filter, o *access.ObjectType, record *access.Record) bool {
	return slices.ContainsFunc(f.Clauses, func(c access.Clause) bool {
		if len(c.Among) > 0 && !slices.Contains(c.Among, record.ID) {
			return false
		}
		for _, w := range c.Where {
			values := record.Attributes[w.Field]
			switch {
			case w.Field == o.OwnerField && record.Owner != "":
				values = []string{record.Owner}
			case w.Field == o.DepartmentField && record.Department != "":
				values = []string{record.Department}
			}
			in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(w.Values, v) })
			if len(values) == 0 || (w.Operator == access.OperatorIn && !in) || (w.Operator == access.OperatorNotIn && in) {
				return false
			}
		}
		return c.Everything || slices.Contains(c.IDs, record.ID) || (record.Owner != "" && slices.Contains(c.Owners, record.Owner)) ||
			slices.Contains(c.Departments, record.Department) ||
			slices.ContainsFunc(record.Participants, func(name string) bool { return slices.Contains(c.Participants, name) })
	})
}
