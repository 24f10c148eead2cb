package postgres_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// What the table itself shows and lets write is what the engine allows to who may read all of the open fields by one tuple.
// Where a rule wants approval of lists that are covered narrowly it is less, and never more.
func TestTheTableItselfAndTheEngineAgree(t *testing.T) {
	const worlds, most = 4, 16
	random := accesstest.Random(t)
	var sum tally
	for i := 0; i < worlds || i < most && (sum.shown < sum.asked/50 || sum.updated == 0 || sum.deleted == 0); i++ {
		got := openInWorld(t, random, accesstest.Questions(t)/worlds)
		sum = tally{sum.asked + got.asked, sum.shown + got.shown, sum.updated + got.updated, sum.deleted + got.deleted}
	}
	t.Logf("%+v", sum)
	if sum.shown == 0 || sum.shown == sum.asked || sum.updated == 0 || sum.deleted == 0 {
		t.Error("the worlds ask too little")
	}
}

// tally is how many rows were asked about, and what became of them.
type tally struct{ asked, shown, updated, deleted int }

func openInWorld(t *testing.T, random *rand.Rand, questions int) (sum tally) {
	t.Helper()
	const records = 100
	d := accesstest.NewWorld(random, accesstest.Small)
	object := d.ObjectTypes[0]
	object.Storage = worldStorage("crm.object_0")
	c := newCRM(t, d, fmt.Sprintf(worldTable, "object_0", "text"))
	rows := worldRecords(random, d, records)
	for _, r := range rows {
		c.worldRow(t, "crm.object_0", r)
	}
	c.do(t, `INSERT INTO crm.object_0 (id, org, owner_id) SELECT 'record-' || g, 'qingyun', $1 FROM generate_series(1000, 1002) AS g`, d.Users[0].Name)
	c.enforced(t)
	policy, open := access.NewPolicy(c.facts), access.NewPolicy(openFacts(c.facts, object))
	for range questions / records {
		now, request := accesstest.NewQuestion(random, d)
		if request.Context.ApprovedBy = nil; random.IntN(2) == 0 {
			request.Context = access.Context{Channel: "web", Device: "managed", Reason: "because", Rows: new(int64), Used: new(int64), Owned: new(int64)}
		}
		c.at(t, now)
		shown := c.sameAsOpen(t, open, object, rows, request.User, &request.Context)
		sum.asked += records
		sum.shown += len(shown)
		if t.Failed() {
			t.Fatalf("at %s, user %s", now, request.User)
		}
		for range 3 {
			record := rows[random.IntN(records)]
			updated, deleted := c.writesOpen(t, policy, object, record, request, shown[record.ID])
			sum.updated, sum.deleted = sum.updated+updated, sum.deleted+deleted
		}
	}
	return sum
}

// openFields are the fields that the table itself lets read.
func openFields(object *access.ObjectType) (fields []string) {
	for i := range object.Fields {
		if f := &object.Fields[i]; f.Class == access.ClassPublic || f.Class == access.ClassInternal {
			fields = append(fields, f.Name)
		}
	}
	return fields
}

// openFacts are the facts without the tuples whose own rules hide an open field.
func openFacts(facts access.Facts, object *access.ObjectType) access.Facts {
	names := openFields(object)
	facts.Tuples = slices.DeleteFunc(slices.Clone(facts.Tuples), func(t access.TupleFact) bool {
		return t.Restricted || slices.ContainsFunc(t.Fields, func(r access.RuleFact) bool {
			concerns := slices.Contains(names, r.Field) || r.Field == "" && (r.Class == access.ClassPublic.String() || r.Class == access.ClassInternal.String())
			return concerns && r.Level != "read" && r.Level != "edit"
		})
	})
	return facts
}

// sameAsOpen compares the rows that the table shows with what the engine says, and returns them.
func (c *crm) sameAsOpen(t *testing.T, open *access.Policy, object *access.ObjectType, rows []*access.Record, user string, context *access.Context) map[string]bool {
	t.Helper()
	c.as(t, user, context)
	shown := map[string]bool{}
	for id := range c.seen(t, "SELECT id, id FROM crm.object_0") {
		shown[id] = true
	}
	question := access.Request{User: user, Action: access.ActionRead, Object: object.Name, Fields: openFields(object), Context: *context}
	narrowly, found := c.asksNarrowly(object.Name), 0
	filter := open.Filter(c.now, &question)
	for _, r := range rows {
		question.Record = r
		levels := make([]access.Level, len(question.Fields))
		want := open.Decide(c.now, &question, levels) == access.Allow && listed(&filter, object, r) &&
			!slices.ContainsFunc(levels, func(l access.Level) bool { return l < access.LevelRead })
		if shown[r.ID] {
			found++
		}
		if shown[r.ID] != want && (shown[r.ID] || !narrowly) {
			t.Errorf("%s: shown %t, want %t", r.ID, shown[r.ID], want)
		}
	}
	if found != len(shown) {
		t.Errorf("%d rows of another tenant are shown", len(shown)-found)
	}
	return shown
}

// writesOpen updates an open field of a record in the table itself, and deletes it, and takes both back. It returns how often
// a row was written.
func (c *crm) writesOpen(t *testing.T, policy *access.Policy, object *access.ObjectType, record *access.Record, asked *access.Request, shown bool) (updated, deleted int) {
	t.Helper()
	ask := func(action string, r *access.Record, fields ...string) bool {
		question := access.Request{User: asked.User, Action: action, Object: object.Name, Record: r, Fields: fields, Context: asked.Context}
		return policy.Decide(c.now, &question, nil) == access.Allow
	}
	field := slices.IndexFunc(openFields(object), func(name string) bool { return name > "field_1" })
	if field >= 0 {
		name := openFields(object)[field]
		after := *record
		after.Attributes = maps.Clone(record.Attributes)
		after.Attributes[name] = []string{"changed"}
		want := shown && ask(access.ActionUpdate, record, name) && ask(access.ActionUpdate, &after)
		updated = c.writes(t, fmt.Sprintf("UPDATE crm.object_0 SET %s = 'changed' WHERE id = $1", name), record, asked, want)
	}
	return updated, c.writes(t, "DELETE FROM crm.object_0 WHERE id = $1", record, asked, shown && ask("delete", record))
}

// writes says whether a statement writes the record's row, as wanted: 1, or 0.
func (c *crm) writes(t *testing.T, statement string, record *access.Record, asked *access.Request, want bool) int {
	t.Helper()
	if got := c.attempted(t, &attempt{statement: statement, args: []any{record.ID}}); got != want {
		t.Fatalf("at %s, user %s, %s of %s: written %t, want %t", c.now, asked.User, statement, record.ID, got, want)
	}
	if want {
		return 1
	}
	return 0
}
