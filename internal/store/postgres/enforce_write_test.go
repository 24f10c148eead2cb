package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// attempt is a write through the masked view, and the questions that all must be answered with yes.
type attempt struct {
	statement string
	args      []any
	asked     []access.Request
	// found says that the row must be shown to be written.
	found bool
}

// What is written is just what the engine allows, of rows that the view shows. Where a rule wants approval of lists that are
// covered narrowly, the view shows nothing: writes of such rows are fewer, and never more.
func TestWritesAndTheEngineAgree(t *testing.T) {
	const most = 16
	random := accesstest.Random(t)
	done, asked := 0, 0
	for i := 0; i < most && done < 10; i++ {
		written := writtenInWorld(t, random, accesstest.Questions(t)/40)
		done, asked = done+written, asked+accesstest.Questions(t)/40
	}
	t.Logf("%d written of %d", done, asked)
	if done == 0 || done == asked {
		t.Error("the worlds ask too little")
	}
}

func writtenInWorld(t *testing.T, random *rand.Rand, questions int) (done int) {
	t.Helper()
	const records = 60
	d := accesstest.NewWorld(random, accesstest.Small)
	object := d.ObjectTypes[0]
	object.Storage = worldStorage("crm.object_0")
	c := newCRM(t, d, fmt.Sprintf(worldTable, "object_0", "text"))
	rows := worldRecords(random, d, records)
	for _, r := range rows {
		c.worldRow(t, "crm.object_0", r)
	}
	c.enforced(t)
	policy := access.NewPolicy(c.facts)
	narrowly := c.asksNarrowly(object.Name)
	for range questions {
		now, request := accesstest.NewQuestion(random, d)
		if request.Context.ApprovedBy = nil; random.IntN(2) == 0 {
			request.Context = access.Context{Channel: "web", Device: "managed", Reason: "because", Rows: new(int64), Used: new(int64), Owned: new(int64)}
		}
		c.at(t, now)
		c.as(t, request.User, &request.Context)
		record := rows[random.IntN(len(rows))]
		a := newAttempt(random, d, request.User, &request.Context, record)
		want := true
		for i := range a.asked {
			want = want && policy.Decide(c.now, &a.asked[i], nil) == access.Allow
		}
		if a.found {
			list := access.Request{User: request.User, Action: access.ActionRead, Object: object.Name, Context: request.Context}
			filter := policy.Filter(c.now, &list)
			want = want && listed(&filter, object, record)
		}
		got := c.attempted(t, &a)
		if got != want && (got || !a.found || !narrowly) {
			t.Fatalf("at %s, user %s, %s %v: written %t, want %t", now, request.User, a.statement, a.args, got, want)
		}
		if got {
			done++
		}
	}
	return done
}

func newAttempt(random *rand.Rand, d access.Declarations, user string, context *access.Context, record *access.Record) attempt {
	ask := func(action string, r *access.Record, fields ...string) access.Request {
		return access.Request{User: user, Action: action, Object: "object-0", Record: r, Fields: fields, Context: *context}
	}
	switch random.IntN(5) {
	case 0:
		field := fmt.Sprintf("field_%d", 2+random.IntN(accesstest.Fields-2))
		after := *record
		after.Attributes = maps.Clone(record.Attributes)
		after.Attributes[field] = []string{"changed"}
		return attempt{fmt.Sprintf(`UPDATE crm_masked_huayue.object_0 SET %s = 'changed' WHERE id = $1`, field), []any{record.ID},
			[]access.Request{ask(access.ActionUpdate, record, field), ask(access.ActionUpdate, &after)}, true}
	case 1:
		return attempt{`DELETE FROM crm_masked_huayue.object_0 WHERE id = $1`, []any{record.ID}, []access.Request{ask("delete", record)}, true}
	case 2:
		target := d.Users[random.IntN(len(d.Users))].Name
		if target == record.Owner {
			target = "nobody"
		}
		move := ask("transfer", record)
		if record.Owner == "" {
			move.Action = "assign"
		}
		move.Context.TargetUser, move.Context.TargetDepartment = target, record.Department
		return attempt{`UPDATE crm_masked_huayue.object_0 SET owner_id = $2 WHERE id = $1`, []any{record.ID, target}, []access.Request{move}, true}
	case 3:
		proposed := &access.Record{ID: "new", Owner: user, Department: record.Department, Creator: user, Attributes: map[string][]string{"field_3": {"east"}}}
		return attempt{`INSERT INTO crm_masked_huayue.object_0 (id, owner_id, dept, field_3) VALUES ('new', $1, $2, 'east')`, []any{user, record.Department},
			[]access.Request{ask(access.ActionCreate, proposed, "field_0", "field_1", "field_3")}, false}
	}
	return attempt{`UPDATE crm_masked_huayue.object_0 SET field_2 = field_2 WHERE id = $1`, []any{record.ID}, nil, true}
}

// attempted tries a write, and takes it back. It says whether a row was written.
func (c *crm) attempted(t *testing.T, a *attempt) bool {
	t.Helper()
	tx, err := c.app.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	tag, err := tx.Exec(t.Context(), a.statement, a.args...)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v", a.statement, err)
	}
	return tag.RowsAffected() > 0
}
