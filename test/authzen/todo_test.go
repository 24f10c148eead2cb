package authzen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const todo = "todo"

// pids are the people of the scenario by the subject of their token.
var pids = map[string]string{
	"rick":   "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
	"morty":  "CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
	"summer": "CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
	"beth":   "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
	"jerry":  "CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
}

var mails = map[string]string{
	"rick": "rick@the-citadel.com", "morty": "morty@the-citadel.com", "summer": "summer@the-smiths.com",
	"beth": "beth@the-smiths.com", "jerry": "jerry@the-smiths.com",
}

func todoOf(owner string) string {
	return fmt.Sprintf(`{"type":"todo","id":"7240d0db-8ff0-41ec-98b2-34a096273b92","properties":{"ownerID":"%s"}}`, mails[owner])
}

func TestTodoScenario(t *testing.T) {
	p := serve(t, todo)
	decides := func(kind, user, action, resource string) bool {
		t.Helper()
		got := p.ask(t, "evaluation", fmt.Sprintf(`{"subject":{"type":"%s","id":"%s"},"action":{"name":"%s"},"resource":%s,"context":{}}`, kind, pids[user], action, resource))
		return body[struct{ Decision bool }](t, got).Decision
	}
	for user := range pids {
		for _, c := range []struct {
			kind, action, resource, may string
		}{
			{"user", "can_read_user", `{"type":"user","id":"` + mails["beth"] + `"}`, "rick morty summer beth jerry"},
			{"user", "can_read_user", `{"type":"user","id":"` + mails[user] + `"}`, "rick morty summer beth jerry"},
			{"user", "can_read_todos", `{"type":"todo","id":"todo-1"}`, "rick morty summer beth jerry"},
			{"user", "can_create_todo", `{"type":"todo","id":"todo-1"}`, "rick morty summer"},
			{"user", "can_update_todo", todoOf("rick"), "rick"},
			{"user", "can_update_todo", todoOf("morty"), "rick morty"},
			{"user", "can_update_todo", todoOf(user), "rick morty summer"},
			{"user", "can_delete_todo", todoOf("rick"), "rick"},
			{"user", "can_delete_todo", todoOf("morty"), "rick morty"},
			{"user", "can_delete_todo", todoOf(user), "rick morty summer"},
			{"identity", "GET", `{"type":"route","id":"/users/{userId}"}`, "rick morty summer beth jerry"},
			{"identity", "GET", `{"type":"route","id":"/todos"}`, "rick morty summer beth jerry"},
			{"identity", "POST", `{"type":"route","id":"/todos"}`, "rick morty summer"},
			{"identity", "PUT", `{"type":"route","id":"/todos/{todoId}"}`, "rick morty summer"},
			{"identity", "DELETE", `{"type":"route","id":"/todos/{todoId}"}`, "rick morty summer"},
		} {
			if got, want := decides(c.kind, user, c.action, c.resource), slices.Contains(strings.Fields(c.may), user); got != want {
				t.Errorf("%s %s %s: %t", user, c.action, c.resource, got)
			}
		}
	}
}

func TestTodoScenarioInBatches(t *testing.T) {
	p := serve(t, todo)
	for user, c := range map[string]struct {
		owners []string
		want   []bool
	}{
		"rick":  {[]string{"rick", "jerry"}, []bool{true, true}},
		"morty": {[]string{"rick", "morty"}, []bool{false, true}},
		"jerry": {[]string{"rick", "jerry"}, []bool{false, false}},
	} {
		var items []string
		for _, owner := range c.owners {
			items = append(items, `{"resource":`+todoOf(owner)+`}`)
		}
		e := exchange{Decisions: c.want}
		e.compare(t, p.ask(t, "evaluations", fmt.Sprintf(`{"subject":{"type":"user","id":"%s"},"action":{"name":"can_update_todo"},"evaluations":[%s]}`, pids[user], strings.Join(items, ","))))
	}
}
