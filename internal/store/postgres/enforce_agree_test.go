package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// worldFields are the fields of a random world's objects, and their columns.
func worldFields() (fields, columns []string) {
	for f := range accesstest.Fields {
		fields, columns = append(fields, fmt.Sprintf("field_%d", f)), append(columns, fmt.Sprintf("field_%d", f))
	}
	columns[0], columns[1] = "owner_id", "dept"
	return fields, columns
}

func TestTheMaskedViewAndTheEngineAgree(t *testing.T) {
	// In some worlds a guardrail denies every list of the object: these prove little, and more are asked.
	const worlds, most = 4, 16
	random := accesstest.Random(t)
	shown, shared, asked := 0, 0, 0
	for i := 0; i < worlds || i < most && (shown < asked/50 || shared == 0); i++ {
		all, byShares := seenInWorld(t, random, accesstest.Questions(t)/worlds)
		shown, shared, asked = shown+all, shared+byShares, asked+accesstest.Questions(t)/worlds
	}
	t.Logf("%d rows shown of %d, %d by shares alone", shown, asked, shared)
	if shared == 0 {
		t.Error("nothing is shown by a share alone: the worlds ask too little")
	}
	if part := 100 * shown / asked; part < 1 || part > 98 {
		t.Errorf("%d %% of the rows were shown: the worlds ask too little", part)
	}
}

// seenInWorld asks about rows of a random world, by way of the view, and returns how many were shown, and how many of these
// by shares alone.
func seenInWorld(t *testing.T, random *rand.Rand, questions int) (shown, byShares int) {
	t.Helper()
	const records, sharesPerWorld = 100, 200
	d := accesstest.NewWorld(random, accesstest.Small)
	object := d.ObjectTypes[0]
	object.Storage = worldStorage("crm.object_0")
	for i := range object.Fields {
		object.Fields[i].Mask = []access.Mask{{}, {Type: access.MaskKeep, KeepFirst: 2, KeepLast: 3}, {Type: access.MaskListed}}[i%3]
	}
	c := newCRM(t, d, fmt.Sprintf(worldTable, "object_0", "text"))
	rows := worldRecords(random, d, records)
	for _, r := range rows {
		c.worldRow(t, "crm.object_0", r)
	}
	c.do(t, `INSERT INTO crm.object_0 (id, org, owner_id) SELECT 'record-' || g, 'qingyun', $1 FROM generate_series(1000, 1002) AS g`, d.Users[0].Name)
	c.enforced(t)
	shares := accesstest.NewShares(random, d, sharesPerWorld)
	for i := range shares { // of a record that the maker is likely to have something on
		if own := slices.IndexFunc(rows, func(r *access.Record) bool { return r.Owner == shares[i].Maker }); own >= 0 {
			shares[i].Object, shares[i].Record, shares[i].Actions = object.Name, rows[own].ID, []string{access.ActionRead}
		}
	}
	share(t, c.hand, shares)
	unshared := access.NewPolicy(c.facts)
	policy := unshared.WithShares(shares)
	for i := range questions / records {
		now, request := accesstest.NewQuestion(random, d)
		if i%2 == 0 {
			now, request = accesstest.NewQuestionOfShares(random, d, shares)
		}
		if request.Context.ApprovedBy = nil; random.IntN(2) == 0 {
			request.Context = access.Context{Channel: "web", Device: "managed", Reason: "because"}
		}
		c.at(t, now)
		here := c.sameAsEngine(t, policy, object, rows, request.User, &request.Context)
		shown += here
		if here > 0 {
			byShares += max(0, here-allowed(unshared, now, object, rows, request))
		}
		if t.Failed() {
			t.Fatalf("at %s, user %s", now, request.User)
		}
	}
	return shown, byShares
}

// allowed is how many of the rows the policy lets a user list.
func allowed(policy *access.Policy, now schedule.Instant, object *access.ObjectType, rows []*access.Record, asked *access.Request) (n int) {
	question := access.Request{User: asked.User, Action: access.ActionRead, Object: object.Name, Context: asked.Context}
	filter := policy.Filter(now, &question)
	for _, r := range rows {
		question.Record = r
		if policy.Decide(now, &question, nil) == access.Allow && listed(&filter, object, r) {
			n++
		}
	}
	return n
}

// sameAsEngine compares all that the view shows a user with what the engine says of each record, and returns how many rows
// were shown.
func (c *crm) sameAsEngine(t *testing.T, policy *access.Policy, object *access.ObjectType, rows []*access.Record, user string, context *access.Context) int {
	t.Helper()
	c.as(t, user, context)
	fields, columns := worldFields()
	seen := c.seen(t, "SELECT id, "+strings.Join(columns, ", ")+" FROM crm_masked_huayue."+strings.ReplaceAll(object.Name, "-", "_"))
	question := access.Request{User: user, Action: access.ActionRead, Object: object.Name, Fields: fields, Context: *context}
	shown, narrowly := len(seen), c.asksNarrowly(object.Name)
	filter := policy.Filter(c.now, &question)
	for _, r := range rows {
		question.Record = r
		levels := make([]access.Level, len(fields))
		effect := policy.Decide(c.now, &question, levels)
		row, isSeen := seen[r.ID]
		if want := effect == access.Allow && listed(&filter, object, r); isSeen != want {
			if want && narrowly {
				continue
			}
			t.Errorf("%s: shown %t, want %t", r.ID, isSeen, want)
			continue
		}
		for i := range fields {
			if want := visibleValue(r, object, i, levels[i]); isSeen && row[i] != want {
				t.Errorf("%s.%s at %s: shown %q, want %q", r.ID, fields[i], levels[i], row[i], want)
			}
		}
		delete(seen, r.ID)
	}
	for id := range seen {
		if !slices.ContainsFunc(rows, func(r *access.Record) bool { return r.ID == id }) {
			t.Errorf("%s is shown, which is another tenant's", id)
		}
	}
	return shown
}

// asksNarrowly says whether a rule wants approval of lists of the object that are covered narrowly: then the view shows no row
// where a filter may show those that are covered widely (docs/postgresql.md).
func (c *crm) asksNarrowly(object string) bool {
	return slices.ContainsFunc(c.facts.Guardrails, func(g access.GuardrailFact) bool {
		rule := g.Rule.Approve
		return rule != nil && rule.When.ScopeAtMost != "" &&
			(slices.Contains(rule.Objects, object) || slices.Contains(rule.Objects, access.Any)) &&
			(slices.Contains(rule.Actions, access.ActionRead) || slices.Contains(rule.Actions, access.Any))
	})
}

// nothing is a null.
const nothing = "\x00"

// visibleValue is what of a record's field may be seen.
func visibleValue(r *access.Record, object *access.ObjectType, field int, level access.Level) string {
	var value []string
	switch field {
	case 0:
		value = []string{r.Owner}
	case 1:
		value = []string{r.Department}
	default:
		value = r.Attributes[object.Fields[field].Name]
	}
	if len(value) == 0 || value[0] == "" || level == access.LevelNone {
		return nothing
	}
	if level > access.LevelMasked {
		return value[0]
	}
	if shown, something := object.Fields[field].Mask.Show(value[0]); something {
		return shown
	}
	return nothing
}

// seen is what a query shows the application, by its first column.
func (c *crm) seen(t *testing.T, query string) map[string][]string {
	t.Helper()
	found, err := c.app.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string][]string{}
	list, err := pgx.CollectRows(found, func(row pgx.CollectableRow) ([]*string, error) {
		values := make([]*string, len(row.FieldDescriptions()))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		return values, row.Scan(into...)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range list {
		row := make([]string, len(values)-1)
		for i, v := range values[1:] {
			if row[i] = nothing; v != nil {
				row[i] = *v
			}
		}
		seen[*values[0]] = row
	}
	return seen
}
