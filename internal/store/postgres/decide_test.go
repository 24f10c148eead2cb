package postgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// sharesPerWorld are enough for some of them to give something.
const sharesPerWorld = 40

// questionsPerWorld are enough to meet a world's rules, and few enough to see many worlds.
const questionsPerWorld = 400

// become makes the tenant what the facts say, as a pass of the operator does.
func become(t testing.TB, s store.Store, facts access.Facts) {
	t.Helper()
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	content, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Commit(t.Context(), store.Commit{Expect: content.Tenant, Changes: store.Diff(store.Index(content.Rows), store.Index(rows)), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
}

// share makes these the shares that there are.
func share(t testing.TB, conn *pgx.Conn, shares []access.ShareFact) {
	t.Helper()
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM crm_access.share`)
	for _, s := range shares {
		if s.Maker == s.Recipient || s.Window.Empty() {
			continue // the table refuses what nobody can make
		}
		batch.Queue(`
INSERT INTO crm_access.share (tenant, id, maker, recipient, object, record_id, actions, level, restricted, only_fields, reason, not_before, not_after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'because', $11, $12)`, tenant, s.ID, s.Maker, s.Recipient, s.Object, s.Record,
			append([]string{}, s.Actions...), s.Level.String(), s.Restricted, s.OnlyFields, s.Window.NotBefore.Time(), s.Window.NotAfter.Time())
	}
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

// asked is a question as JSON, for a statement that asks many.
type asked struct {
	Subject  string          `json:"subject"`
	Action   string          `json:"action"`
	Object   string          `json:"object"`
	Record   json.RawMessage `json:"record"`
	Fields   []string        `json:"fields"`
	Context  map[string]any  `json:"context"`
	Approved []string        `json:"approved"`
	At       string          `json:"at"`
}

func newAsked(t testing.TB, policy *access.Policy, now schedule.Instant, q *access.Request) asked {
	t.Helper()
	a := asked{
		Subject: q.User, Action: q.Action, Object: q.Object, Fields: q.Fields, Context: contextJSON(q.Context),
		Approved: q.Context.ApprovedBy, At: now.String(), Record: json.RawMessage(`null`),
	}
	if q.Record != nil {
		record, err := json.Marshal(recordJSON(policy, q.Object, q.Record))
		if err != nil {
			t.Fatal(err)
		}
		a.Record = record
	}
	return a
}

// contextJSON leaves out what was not said.
func contextJSON(c access.Context) map[string]any {
	said := map[string]any{"target": map[string]string{"user": c.TargetUser, "department": c.TargetDepartment}}
	for name, text := range map[string]string{"channel": c.Channel, "device": c.Device, "reason": c.Reason} {
		if text != "" {
			said[name] = text
		}
	}
	for name, number := range map[string]*int64{"rows": c.Rows, "used": c.Used, "owned": c.Owned} {
		if number != nil {
			said[name] = *number
		}
	}
	return said
}

// recordJSON is a record as the decision API takes it: its facts, its attributes by field, and the parent under the field
// that names it.
func recordJSON(policy *access.Policy, object string, r *access.Record) map[string]any {
	said := map[string]any{"id": r.ID, "owner": r.Owner, "department": r.Department, "creator": r.Creator, "participants": r.Participants}
	for name, values := range r.Attributes {
		said[name] = values
	}
	if from := policy.AccessFrom(object); from.Object != "" && r.Parent != nil {
		said[from.Field] = recordJSON(policy, from.Object, r.Parent)
	}
	return said
}

// verdict is what SQL answers.
type verdict struct {
	decision        string
	levels, reasons []string
	approvals       []approval
}

// approval is what a question needs.
type approval struct {
	Guardrail string
	Approvers []string
}

// judge asks all in one statement.
func judge(t testing.TB, conn *pgx.Conn, questions []asked) []verdict {
	t.Helper()
	text, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `
SELECT j.decision, j.levels, j.reasons, crm_access.approvals_of($1, q.subject, q.at, j.needs)
FROM ROWS FROM (jsonb_to_recordset($2) AS (subject text, action text, object text, record jsonb, fields text[], context jsonb, approved text[], at timestamptz))
    WITH ORDINALITY AS q
CROSS JOIN LATERAL crm_access.judge($1, q.subject, q.action, q.object, q.record, q.fields, q.context, q.approved, q.at) AS j
ORDER BY q.ordinality`, tenant, text)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v verdict, err error) {
		return v, row.Scan(&v.decision, &v.levels, &v.reasons, &v.approvals)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(verdicts), len(questions))
	}
	return verdicts
}

// effectNames are the decisions as SQL says them.
var effectNames = map[access.Effect]string{access.Deny: "deny", access.NeedsApproval: "needs-approval", access.Allow: "allow"}

// explained are the engine's levels and causes, as SQL tells them: what a revocation ended is not among them, and what a
// guardrail says twice is told once.
func explained(e access.Explanation) (levels, reasons []string) {
	levels, reasons = []string{}, []string{}
	for _, level := range e.Levels {
		levels = append(levels, level.String())
	}
	for _, cause := range e.Causes {
		ended := strings.HasPrefix(cause.Text, "revocation ") && !strings.Contains(cause.Text, " of user ")
		twice := strings.HasPrefix(cause.Text, "guardrail ") && slices.Contains(reasons, cause.Text)
		if !ended && !twice {
			reasons = append(reasons, cause.Text)
		}
	}
	return levels, reasons
}

// approvals are the engine's obligations.
func approvals(e access.Explanation) []approval {
	all := []approval{}
	for _, o := range e.Obligations {
		all = append(all, approval{o.Guardrail, o.Approvers})
	}
	return all
}

func TestSQLDecisionsAgreeWithTheEngineAndTheReferenceOnRandomWorlds(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	if _, err := s.Claim(t.Context(), tenant, owner, ""); err != nil {
		t.Fatal(err)
	}
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	counts, shared := map[access.Effect]int{}, 0
	for done := 0; done < questions; done += questionsPerWorld {
		d := accesstest.NewWorld(random, accesstest.Small)
		facts, shares := access.Resolve(d).Facts, accesstest.NewShares(random, d, sharesPerWorld)
		policy, plain := access.NewPolicy(facts).WithShares(shares), accesstest.Reference{Declarations: d, Shares: shares}
		become(t, s, facts)
		share(t, h.hand, shares)
		var batch []asked
		var requests []*access.Request
		var instants []schedule.Instant
		for range questionsPerWorld {
			now, q := accesstest.NewQuestion(random, d)
			if random.IntN(8) == 0 {
				now, q = accesstest.NewQuestionOfShares(random, d, shares)
			}
			requests, instants, batch = append(requests, q), append(instants, now), append(batch, newAsked(t, policy, now, q))
		}
		for i, got := range judge(t, h.hand, batch) {
			now, q := instants[i], requests[i]
			e := policy.Explain(now, q)
			levels, reasons := explained(e)
			if effect, _ := plain.Decide(now, q); effect != e.Effect {
				t.Fatalf("the engine says %s, the reference %s", e.Effect, effect)
			}
			if got.decision != effectNames[e.Effect] || !slices.Equal(got.levels, levels) || !slices.Equal(got.reasons, reasons) {
				text, _ := json.Marshal(batch[i])
				t.Fatalf("question %d %s:\nSQL says    %s %v %q\nthe engine %s %v %q", done+i, text, got.decision, got.levels, got.reasons, e.Effect, levels, reasons)
			}
			if fmt.Sprint(got.approvals) != fmt.Sprint(approvals(e)) {
				t.Fatalf("question %d at %s %+v: SQL says %v may approve, the engine %v", done+i, now, q, got.approvals, approvals(e))
			}
			counts[e.Effect]++
			if len(reasons) > 0 && strings.HasPrefix(reasons[0], "shared by ") {
				shared++
			}
		}
	}
	t.Logf("decisions: %v; %d allowed by shares alone", counts, shared)
	if shared < questions/400 || counts[access.Allow] < questions/4 || counts[access.Allow] > questions*3/4 {
		t.Errorf("the worlds are lopsided, and prove little: %v", counts)
	}
}
