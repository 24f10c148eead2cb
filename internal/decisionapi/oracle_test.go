package decisionapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// questionsPerWorld are asked of each random world, in one body.
const questionsPerWorld = 400

func TestEvaluationsAgreeWithTheReferenceOnRandomWorlds(t *testing.T) {
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	effects := map[access.Effect]int{}
	for asked := 0; asked < questions; {
		d := accesstest.NewWorld(random, accesstest.Small)
		plain, handler := accesstest.Reference{Declarations: d}, serving(d)
		var body []any
		var wanted []access.Effect
		var levels []map[string]string
		for range min(questionsPerWorld, questions-asked) {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			q.Context.ApprovedBy = nil // who approved is not for the asker to say
			effect, found := plain.Decide(now, q)
			effects[effect]++
			body, wanted, levels = append(body, written(now, q)), append(wanted, effect), append(levels, named(q.Fields, found))
		}
		replies := evaluated(t, handler, body)
		for i, reply := range replies {
			waits := reply.Context != nil && len(reply.Context.Obligations) > 0
			if reply.Decision != (wanted[i] == access.Allow) || waits != (wanted[i] == access.NeedsApproval) || reply.Context == nil || !maps.Equal(reply.Context.Fields, levels[i]) {
				question, _ := json.Marshal(body[i])
				answer, _ := json.Marshal(reply)
				t.Fatalf("%s\nis answered %s, and the reference says %s %v", question, answer, wanted[i], levels[i])
			}
		}
	}
	t.Logf("decisions: %v", effects)
	if effects[access.Allow] < questions/4 || effects[access.Allow] > questions*3/4 {
		t.Errorf("the worlds are lopsided, and prove little: %v", effects)
	}
}

func TestSearchesAgreeWithTheReferenceAskedOneByOne(t *testing.T) {
	random := accesstest.Random(t)
	found, none := 0, 0
	for range accesstest.Questions(t) / questionsPerWorld {
		d := accesstest.NewWorld(random, accesstest.Small)
		plain, handler := accesstest.Reference{Declarations: d}, serving(d)
		for range 10 {
			now, q := accesstest.NewQuestion(random, d)
			q.Context.ApprovedBy = nil
			allowed := func(q access.Request) bool {
				effect, _ := plain.Decide(now, &q)
				return effect == access.Allow
			}
			var users, actions []string
			for _, u := range d.Users {
				asked := *q
				if asked.User = u.Name; allowed(asked) {
					users = append(users, u.Name)
				}
			}
			for _, action := range accesstest.Actions {
				asked := *q
				if asked.Action = action; allowed(asked) {
					actions = append(actions, action)
				}
			}
			body := written(now, q)
			compare(t, body, users, searched(t, handler, "/access/v1/search/subject", body, "id"))
			compare(t, body, actions, searched(t, handler, "/access/v1/search/action", body, "name"))
			found += len(users) + len(actions)
			none += len(d.Users) + len(accesstest.Actions) - len(users) - len(actions)
		}
	}
	t.Logf("%d found, %d not", found, none)
	if found < (found+none)/20 {
		t.Errorf("next to nothing is found, which proves little: %d found, %d not", found, none)
	}
}

func serving(d access.Declarations) http.Handler {
	policy := access.NewPolicy(access.Resolve(d).Facts)
	return New(&source{names: []string{"acme"}, policy: policy, now: noon}, Options{HonourTime: true})
}

// written is a question as a body says it. What is not known is left out.
func written(now schedule.Instant, q *access.Request) map[string]any {
	resource := map[string]any{"type": q.Object, "id": ""}
	if q.Record != nil {
		resource["id"], resource["properties"] = q.Record.ID, properties(q.Record)
	}
	context := map[string]any{"time": now.String(), "fields": q.Fields}
	c := &q.Context
	for name, text := range map[string]string{"channel": c.Channel, "device": c.Device, "reason": c.Reason} {
		if text != "" {
			context[name] = text
		}
	}
	for name, number := range map[string]*int64{"rows": c.Rows, "used": c.Used, "owned": c.Owned} {
		if number != nil {
			context[name] = *number
		}
	}
	if c.TargetUser != "" || c.TargetDepartment != "" {
		context["target"] = map[string]any{"user": c.TargetUser, "department": c.TargetDepartment}
	}
	return map[string]any{"subject": map[string]any{"type": "user", "id": q.User}, "action": map[string]any{"name": q.Action}, "resource": resource, "context": context}
}

func properties(r *access.Record) map[string]any {
	said := map[string]any{"department": r.Department, "participants": r.Participants}
	for name, fact := range map[string]string{"owner": r.Owner, "creator": r.Creator} {
		if fact != "" {
			said[name] = fact
		}
	}
	for field, values := range r.Attributes {
		said[field] = values
	}
	if r.Parent != nil {
		parent := properties(r.Parent)
		parent["id"] = r.Parent.ID
		said["field_2"] = parent
	}
	return said
}

func evaluated(t *testing.T, handler http.Handler, questions []any) []Reply {
	t.Helper()
	var reply struct {
		Evaluations []Reply `json:"evaluations"`
	}
	ask(t, handler, "/access/v1/evaluations", map[string]any{"evaluations": questions}, &reply)
	if len(reply.Evaluations) != len(questions) {
		t.Fatalf("%d questions have %d answers", len(questions), len(reply.Evaluations))
	}
	return reply.Evaluations
}

// searched are the names that a search finds, in its order.
func searched(t *testing.T, handler http.Handler, path string, body map[string]any, name string) (names []string) {
	t.Helper()
	var reply Found
	ask(t, handler, path, body, &reply)
	for _, result := range reply.Results {
		text, _ := result[name].(string)
		names = append(names, text)
	}
	return names
}

func ask(t *testing.T, handler http.Handler, path string, body, reply any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response := post(t, handler, path, string(text))
	if err := json.Unmarshal(response.Body.Bytes(), reply); err != nil || response.Code != http.StatusOK {
		t.Fatalf("%s %s answers %d %s", path, text, response.Code, response.Body)
	}
}

func compare(t *testing.T, body any, want, got []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		text, _ := json.Marshal(body)
		t.Fatalf("%s\nfinds %v, and the reference, asked one by one, allows %v", text, got, want)
	}
}

func named(fields []string, levels []access.Level) map[string]string {
	all := make(map[string]string)
	for i, field := range fields {
		all[field] = levels[i].String()
	}
	return all
}
