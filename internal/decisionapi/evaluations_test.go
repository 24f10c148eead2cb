package decisionapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

func TestEvaluations(t *testing.T) {
	const (
		lina   = `"subject":{"type":"user","id":"lina"}`
		read   = `"action":{"name":"read"}`
		hers   = `"resource":{"type":"customer","id":"c1","properties":{"owner":"lina"}}`
		others = `"resource":{"type":"customer","id":"c2","properties":{"owner":"boris"}}`
		yes    = `{"decision":true}`
		no     = `{"decision":false}`
	)
	semantic := func(name string) string { return `"options":{"evaluations_semantic":"` + name + `"}` }
	for name, c := range map[string]struct{ body, want string }{
		"each item fills in what the defaults leave out": {
			`{` + lina + `,` + read + `,"evaluations":[{` + hers + `},{` + others + `}]}`, yes + "," + no},
		"an empty item is the defaults": {
			`{` + lina + `,` + read + `,` + hers + `,"evaluations":[{},{` + others + `}]}`, yes + "," + no},
		"an item's entity replaces the default whole": {
			`{` + lina + `,` + read + `,` + hers + `,"evaluations":[{"resource":{"type":"customer","id":"c1"}}]}`, no},
		"an incomplete default is no fault where items complete it": {
			`{"subject":{"type":"user"},` + read + `,` + hers + `,"evaluations":[{` + lina + `}]}`, yes},
		"a faulty item is a deny in its place": {
			`{` + lina + `,` + read + `,"evaluations":[{` + hers + `},{},{"resource":7},9,{` + hers + `}]}`,
			yes + `,{"decision":false,"context":{"error":{"status":400,"message":"resource: is missing"}}}` +
				`,{"decision":false,"context":{"error":{"status":400,"message":"resource: want an object"}}}` +
				`,{"decision":false,"context":{"error":{"status":400,"message":"evaluations.3: want an object"}}},` + yes},
		"all are answered unless told otherwise": {
			`{` + lina + `,` + read + `,` + semantic("execute_all") + `,"evaluations":[{` + others + `},{` + hers + `}]}`, no + "," + yes},
		"deny_on_first_deny ends with the first deny": {
			`{` + lina + `,` + read + `,` + semantic("deny_on_first_deny") + `,"evaluations":[{` + hers + `},{` + others + `},{` + hers + `}]}`, yes + "," + no},
		"permit_on_first_permit ends with the first permit": {
			`{` + lina + `,` + read + `,` + semantic("permit_on_first_permit") + `,"evaluations":[{` + others + `},{` + hers + `},{` + others + `}]}`, no + "," + yes},
		"an item's context replaces the default": {
			`{` + lina + `,` + read + `,` + hers + `,"context":{"fields":["phone"]},"evaluations":[{},{"context":{}}]}`,
			`{"decision":true,"context":{"fields":{"phone":"masked"}}},` + yes},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, New(oneTenant(), fixedID), "/access/v1/evaluations", c.body)
			if want := `{"evaluations":[` + c.want + "]}\n"; response.Code != http.StatusOK || response.Body.String() != want {
				t.Errorf("answers %d %s, want %s", response.Code, response.Body, want)
			}
		})
	}
	for name, c := range map[string]struct {
		body, want string
		code       int
	}{
		"without a list it is one question":    {`{` + lina + `,` + read + `,` + hers + `}`, yes, http.StatusOK},
		"an empty list is one question":        {`{` + lina + `,` + read + `,` + hers + `,"evaluations":[]}`, yes, http.StatusOK},
		"a list that is none is refused":       {`{` + lina + `,` + read + `,` + hers + `,"evaluations":{}}`, `{"error":"evaluations: want a list of questions"}`, http.StatusBadRequest},
		"semantics that do not exist are, too": {`{` + lina + `,` + semantic("guess") + `,"evaluations":[{}]}`, `{"error":"options.evaluations_semantic: guess is none of execute_all, deny_on_first_deny, permit_on_first_permit"}`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, New(oneTenant(), fixedID), "/access/v1/evaluations", c.body)
			if response.Code != c.code || response.Body.String() != c.want+"\n" {
				t.Errorf("answers %d %s, want %d %s", response.Code, response.Body, c.code, c.want)
			}
		})
	}
}

// archive is a source that knows records: so many customers of lina's and boris's, in turns.
type archive struct {
	*source
	customers int
	fails     error
}

func (a archive) Snapshot(tenant string) (Snapshot, bool) {
	snapshot, ok := a.source.Snapshot(tenant)
	snapshot.Records = a
	return snapshot, ok
}

func (a archive) record(i int) *access.Record {
	return &access.Record{ID: fmt.Sprintf("c%d", i), Owner: []string{"lina", "boris"}[i%2], Department: "east"}
}

func (a archive) Record(_ context.Context, object, id string) (*access.Record, error) {
	for i := range a.customers {
		if record := a.record(i); object == "customer" && record.ID == id {
			return record, a.fails
		}
	}
	return nil, a.fails
}

func (a archive) Page(_ context.Context, object string, _ *access.Filter, after string, limit int) (page []*access.Record, err error) {
	begun := after == ""
	for i := range a.customers {
		record := a.record(i)
		if begun && object == "customer" && len(page) < limit {
			page = append(page, record)
		}
		begun = begun || record.ID == after
	}
	return page, a.fails
}

func TestSearch(t *testing.T) {
	const customer = `"resource":{"type":"customer","id":"new","properties":{"owner":"lina","department":"west"}}`
	for name, c := range map[string]struct{ what, body, want string }{
		"who may read a record": {"subject", `{"subject":{"type":"user"},"action":{"name":"read"},` + customer + `}`,
			`"count":2,"total":2},"results":[{"id":"cleo","type":"user"},{"id":"lina","type":"user"}]`},
		"an id of the subject counts for nothing": {"subject", `{"subject":{"type":"user","id":"boris"},"action":{"name":"update"},` + customer + `}`,
			`"count":1,"total":1},"results":[{"id":"lina","type":"user"}]`},
		"nobody of another type": {"subject", `{"subject":{"type":"robot"},"action":{"name":"read"},` + customer + `}`, `"count":0,"total":0},"results":[]`},
		"what somebody may do to a record": {"action", `{"subject":{"type":"user","id":"lina"},` + customer + `}`,
			`"count":3,"total":3},"results":[{"name":"create"},{"name":"read"},{"name":"update"}]`},
		"an unknown user may do nothing":            {"action", `{"subject":{"type":"user","id":"nobody"},` + customer + `}`, `"count":0,"total":0},"results":[]`},
		"of an unknown object there is nothing":     {"action", `{"subject":{"type":"user","id":"lina"},"resource":{"type":"rocket","id":"r1"}}`, `"count":0,"total":0},"results":[]`},
		"which records somebody may read":           {"resource", `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer"}}`, `"count":3,"total":3},"results":[{"id":"c0","type":"customer"},{"id":"c2","type":"customer"},{"id":"c4","type":"customer"}]`},
		"of an unknown object there are no records": {"resource", `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"rocket"}}`, `"count":0,"total":0},"results":[]`},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, New(archive{source: oneTenant(), customers: 5}, fixedID), "/access/v1/search/"+c.what, c.body)
			if want := `{"page":{"next_token":"",` + c.want + "}\n"; response.Code != http.StatusOK || response.Body.String() != want {
				t.Errorf("answers %d %s, want %s", response.Code, response.Body, want)
			}
		})
	}
}

func TestWhatTheSourceKnowsOfARecordCounts(t *testing.T) {
	question := func(id string) string {
		return `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"` + id + `","properties":{"owner":"lina"}}}`
	}
	for id, want := range map[string]string{"c0": `{"decision":true}`, "c1": `{"decision":false}`, "unknown to it": `{"decision":true}`} {
		if response := post(t, New(archive{source: oneTenant(), customers: 5}, fixedID), "/access/v1/evaluation", question(id)); response.Body.String() != want+"\n" {
			t.Errorf("record %s answers %s, want %s", id, response.Body, want)
		}
	}
}

func TestSearchPages(t *testing.T) {
	handler := New(archive{source: oneTenant(), customers: 5}, fixedID)
	ask := func(page string) (found Found, code int) {
		response := post(t, handler, "/acme/access/v1/search/resource", `{"subject":{"type":"user","id":"cleo"},"action":{"name":"read"},"resource":{"type":"customer"},"page":`+page+`}`)
		if err := json.Unmarshal(response.Body.Bytes(), &found); err != nil {
			t.Fatal(err)
		}
		return found, response.Code
	}
	var ids []string
	page := `{"limit":2}`
	for range 3 {
		found, _ := ask(page)
		if found.Page.Total == nil || *found.Page.Total != 5 || found.Page.Count != len(found.Results) {
			t.Errorf("the page says %+v of %d results", found.Page, len(found.Results))
		}
		for _, result := range found.Results {
			ids = append(ids, result["id"].(string))
		}
		page = `{"token":"` + found.Page.NextToken + `"}` // without its limit
	}
	if got := strings.Join(ids, " "); got != "c0 c1 c2 c3 c4" || page != `{"token":""}` {
		t.Errorf("the pages hold %s, and then %s", got, page)
	}
	none, _ := ask(`{"limit":0}`)
	if none.Page.Total == nil || *none.Page.Total != 5 || len(none.Results) != 0 {
		t.Errorf("a page of none says %+v of %d results", none.Page, len(none.Results))
	}
	if all, _ := ask(`{"token":"` + none.Page.NextToken + `"}`); len(all.Results) != 5 || all.Page.NextToken != "" {
		t.Errorf("behind it are %d results and %q", len(all.Results), all.Page.NextToken)
	}
	first, _ := ask(`{"limit":2}`)
	if second, _ := ask(`{"limit":2,"token":"` + first.Page.NextToken + `"}`); len(second.Results) != 2 || second.Results[0]["id"] != "c2" {
		t.Errorf("with the same limit beside the token the second page holds %v", second.Results)
	}
	if _, code := ask(`{"limit":3,"token":"` + first.Page.NextToken + `"}`); code != http.StatusBadRequest {
		t.Errorf("another limit beside the token is answered with %d", code)
	}
	if _, code := ask(`{"token":"bm9uZQ"}`); code != http.StatusBadRequest {
		t.Errorf("a token that nobody gave is answered with %d", code)
	}
	response := post(t, handler, "/acme/access/v1/search/action", `{"subject":{"type":"user","id":"cleo"},"resource":{"type":"customer","id":"c1"},"page":{"token":"`+first.Page.NextToken+`"}}`)
	if response.Code != http.StatusBadRequest {
		t.Errorf("the token of another search is answered with %d %s", response.Code, response.Body)
	}
}

func TestWithoutRecordsResourcesCannotBeSearched(t *testing.T) {
	handler := New(oneTenant(), Options{BaseURL: "https://decide.example/"})
	if response := post(t, handler, "/access/v1/search/resource", `{}`); response.Code != http.StatusNotFound {
		t.Errorf("answers %d %s", response.Code, response.Body)
	}
	if m := metadata(t, handler, "/.well-known/authzen-configuration", "evil.example"); m.SearchResource != "" || m.Evaluations != "https://decide.example/access/v1/evaluations" {
		t.Errorf("the metadata says %+v", m)
	}
}

func TestMetadata(t *testing.T) {
	two := oneTenant()
	two.names = []string{"acme", "umbrella"}
	handler := New(archive{source: two, customers: 5}, Options{BaseURL: "https://decide.example"})
	m := metadata(t, handler, "/.well-known/authzen-configuration/umbrella", "evil.example")
	if m.DecisionPoint != "https://decide.example/umbrella" || m.SearchResource != "https://decide.example/umbrella/access/v1/search/resource" {
		t.Errorf("the metadata says %+v", m)
	}
	for path, want := range map[string]int{
		"/.well-known/authzen-configuration": http.StatusNotFound, "/.well-known/authzen-configuration/": http.StatusNotFound,
		"/.well-known/authzen-configuration/nobody": http.StatusNotFound, "/.well-known/authzen-configurations": http.StatusNotFound,
	} {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, path, nil))
		if response.Code != want {
			t.Errorf("%s answers %d, want %d", path, response.Code, want)
		}
	}
	if response := post(t, handler, "/.well-known/authzen-configuration/acme", `{}`); response.Code != http.StatusMethodNotAllowed || response.Header().Get("Allow") != http.MethodGet {
		t.Errorf("POST answers %d, allowing %q", response.Code, response.Header().Get("Allow"))
	}
}

func metadata(t *testing.T, handler http.Handler, path, host string) (m Metadata) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Host = host
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	if err := json.Unmarshal(response.Body.Bytes(), &m); err != nil || response.Code != http.StatusOK || strings.Contains(response.Body.String(), host) {
		t.Fatalf("answers %d %s: %v", response.Code, response.Body, err)
	}
	return m
}

func TestItemsOfRequestsThatFollowOneAnotherDoNotMix(t *testing.T) {
	handler := New(oneTenant(), fixedID)
	for _, items := range []int{1, 3, 700, 40, 1} {
		var questions, answers []string
		for i := range items {
			owner := "lina"
			if (i+items)%3 == 0 {
				owner = "boris"
			}
			questions = append(questions, fmt.Sprintf(`{"resource":{"type":"customer","id":"c%d","properties":{"a":1,"b":2,"c":3,"d":4,"owner":%q}}}`, i, owner))
			answers = append(answers, fmt.Sprintf(`{"decision":%t}`, owner == "lina"))
		}
		body := `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"evaluations":[` + strings.Join(questions, ",") + `]}`
		response := post(t, handler, "/access/v1/evaluations", body)
		if want := `{"evaluations":[` + strings.Join(answers, ",") + "]}\n"; response.Body.String() != want {
			t.Errorf("%d items: answers %d %s, want %s", items, response.Code, response.Body, want)
		}
	}
}
