package authzen

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const certification = "certification"

func TestCertification(t *testing.T) {
	p := serve(t, certification)
	exchanges := readExchanges(t, certification)
	if len(exchanges) < 80 {
		t.Fatalf("only %d requests: are they found?", len(exchanges))
	}
	for _, e := range exchanges {
		t.Run(e.Section+" "+string(e.Ask), func(t *testing.T) {
			got := p.ask(t, e.To, string(e.Ask))
			if got.status != e.Status {
				t.Fatalf("answers %d %s, want %d", got.status, got.text, e.Status)
			}
			e.compare(t, got)
			for range 2 {
				if again := p.ask(t, e.To, string(e.Ask)); again.text != got.text {
					t.Errorf("an equal request gets another body: %s, then %s", got.text, again.text)
				}
			}
		})
	}
}

func (e *exchange) compare(t *testing.T, got answer) {
	t.Helper()
	if e.Decision != nil {
		if is := body[struct{ Decision *bool }](t, got).Decision; is == nil || *is != *e.Decision {
			t.Errorf("answers %s, want decision %t", got.text, *e.Decision)
		}
		if strings.Contains(got.text, "evaluations") {
			t.Errorf("a single answer has evaluations: %s", got.text)
		}
	}
	if e.Decisions != nil {
		whole := body[struct {
			Decision    *bool
			Evaluations []struct{ Decision *bool }
		}](t, got)
		var decisions []bool
		for _, one := range whole.Evaluations {
			decisions = append(decisions, one.Decision != nil && *one.Decision)
		}
		if !slices.Equal(decisions, e.Decisions) || whole.Decision != nil {
			t.Errorf("answers %s, want decisions %v", got.text, e.Decisions)
		}
	}
	if e.Results != nil {
		e.compareResults(t, got)
	}
}

func (e *exchange) compareResults(t *testing.T, got answer) {
	t.Helper()
	results := body[found](t, got).Results
	if results == nil || (len(e.Results) == 0 && len(results) > 0) {
		t.Errorf("finds %s, want %v", got.text, e.Results)
	}
	for _, want := range e.Results {
		if !slices.ContainsFunc(results, func(r map[string]any) bool { return reflect.DeepEqual(r, want) }) {
			t.Errorf("finds %s, without %v", got.text, want)
		}
	}
	if !strings.HasPrefix(got.text, `{"page":`) {
		t.Errorf("page is not the first member of %s", got.text)
	}
}

// The same transport binding holds for all endpoints.
func TestTransport(t *testing.T) {
	p := serve(t, certification)
	const question = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`
	for _, to := range []string{"evaluation", "evaluations", "search/subject", "search/resource", "search/action"} {
		path := "/access/v1/" + to
		for name, c := range map[string]struct {
			method, contentType, body string
			want                      int
		}{
			"a content type with a charset": {http.MethodPost, "application/json; charset=utf-8", question, 200},
			"text":                          {http.MethodPost, "text/plain", question, 400},
			"no content type":               {http.MethodPost, "", question, 400},
			"GET":                           {http.MethodGet, "application/json", "", 405},
			"PUT":                           {http.MethodPut, "application/json", question, 405},
			"an empty body":                 {http.MethodPost, "application/json", "", 400},
			"broken JSON":                   {http.MethodPost, "application/json", `{"subject":{"type":"user","id":"alice"} , broken`, 400},
			"a list":                        {http.MethodPost, "application/json", "[" + question + "]", 400},
		} {
			if got := p.send(t, c.method, path, c.contentType, c.body); got.status != c.want {
				t.Errorf("%s, %s: answers %d %s, want %d", to, name, got.status, got.text, c.want)
			}
		}
	}
}

func TestPagesHoldTogetherWhatOneWouldHold(t *testing.T) {
	p := serve(t, certification)
	const question = `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"page":`
	var names []string
	for page := `{"limit":1}`; ; {
		got := p.ask(t, "search/subject", question+page+"}")
		one := body[found](t, got)
		if got.status != http.StatusOK || one.Page == nil || one.Page.NextToken == nil || len(one.Results) > 1 {
			t.Fatalf("page %s answers %d %s", page, got.status, got.text)
		}
		for _, r := range one.Results {
			names = append(names, r["id"].(string))
		}
		if *one.Page.NextToken == "" {
			break
		}
		page = `{"token":"` + *one.Page.NextToken + `"}`
	}
	if want := []string{"alice", "bob"}; !slices.Equal(names, want) {
		t.Errorf("the pages hold %v, want %v", names, want)
	}
}

func TestDiscovery(t *testing.T) {
	p := serve(t, certification)
	for suffix, base := range map[string]string{"": p.base, "/authzen": p.base + "/authzen"} {
		got := p.send(t, http.MethodGet, "/.well-known/authzen-configuration"+suffix, "", "")
		if got.status != http.StatusOK {
			t.Fatalf("answers %d %s", got.status, got.text)
		}
		want := map[string]any{
			"policy_decision_point":       base,
			"access_evaluation_endpoint":  base + "/access/v1/evaluation",
			"access_evaluations_endpoint": base + "/access/v1/evaluations",
			"search_subject_endpoint":     base + "/access/v1/search/subject",
			"search_resource_endpoint":    base + "/access/v1/search/resource",
			"search_action_endpoint":      base + "/access/v1/search/action",
		}
		says := body[map[string]any](t, got)
		for member, url := range want {
			if says[member] != url {
				t.Errorf("%s is %v, want %v", member, says[member], url)
			}
		}
	}
}
