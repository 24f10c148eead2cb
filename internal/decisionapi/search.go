package decisionapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

const (
	// defaultPage is how many results a page has where the question does not say, maxPage how many it may have.
	defaultPage = 100
	maxPage     = 1000
)

// RecordSource is a Source that knows records: then resources can be searched, and a record's facts are looked up.
type RecordSource interface {
	// Records are the records of an object, by id.
	Records(tenant, object string) map[string]*access.Record
}

// Found is a page of what a search found.
type Found struct {
	Page    Page             `json:"page"`
	Results []map[string]any `json:"results"`
}

// Page says what is on a page and how to get the next; NextToken is empty on the last.
type Page struct {
	NextToken string `json:"next_token"`
	Count     int    `json:"count"`
	Total     int    `json:"total"`
}

// searchSubjects finds the users who may do the action to the record. The subject's id counts for nothing.
func (a *asked) searchSubjects() (any, error) {
	return a.search("subject", func(q *question) (names []string) {
		if q.subjectType != subjectUser {
			return nil
		}
		return a.policy.Users()
	}, func(q *question, user string) *access.Request {
		request := q.request
		request.User = user
		return &request
	}, func(user string) map[string]any { return map[string]any{"type": subjectUser, "id": user} })
}

// searchActions finds what the user may do to the record.
func (a *asked) searchActions() (any, error) {
	return a.search("action", func(q *question) []string { return a.policy.Actions(q.request.Object) },
		func(q *question, action string) *access.Request {
			request := q.request
			request.Action = action
			return &request
		}, func(action string) map[string]any { return map[string]any{"name": action} })
}

// searchResources finds the records that the user may do the action to. It needs a source that knows records.
func (a *asked) searchResources() (any, error) {
	source, knows := a.source.(RecordSource)
	if !knows {
		return nil, refuse(http.StatusNotFound, "resources cannot be searched here: this decision point knows no records")
	}
	resource, _ := a.body["resource"].(map[string]any)
	object, _ := resource["type"].(string)
	records := source.Records(a.tenant, object)
	return a.search("resource", func(*question) []string { return slices.Collect(maps.Keys(records)) },
		func(q *question, id string) *access.Request {
			request := q.request
			request.Record = records[id]
			return &request
		}, func(id string) map[string]any { return map[string]any{"type": object, "id": id} })
}

// search asks the question for every candidate in the place of what is searched, and gives a page of those that are
// allowed, in order.
func (a *asked) search(what string, candidates func(*question) []string, with func(*question, string) *access.Request, entity func(string) map[string]any) (any, error) {
	q, err := a.searchQuestion(what)
	if err != nil {
		return nil, err
	}
	page, err := a.page()
	if err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	allowed := slices.DeleteFunc(slices.Clone(candidates(q)), func(name string) bool {
		request := with(q, name)
		return q.subjectType != subjectUser || a.policy.Decide(now, request, make([]access.Level, len(request.Fields))) != access.Allow
	})
	slices.Sort(allowed)
	found := &Found{Page: Page{Total: len(allowed)}, Results: []map[string]any{}}
	from, _ := slices.BinarySearch(allowed, page.After)
	for from < len(allowed) && page.After != "" && allowed[from] <= page.After {
		from++
	}
	for _, name := range allowed[from:min(from+page.Limit, len(allowed))] {
		found.Results = append(found.Results, entity(name))
		page.After = name
	}
	if found.Page.Count = len(found.Results); from+found.Page.Count < len(allowed) {
		found.Page.NextToken = page.token()
	}
	return found, nil
}

// searchQuestion reads the question, in which what is searched needs no name: one stands in that nobody has.
func (a *asked) searchQuestion(what string) (*question, error) {
	const anyone = "\x00"
	body := maps.Clone(a.body)
	entity, _ := body[what].(map[string]any)
	switch entity = maps.Clone(entity); what {
	case "subject":
		if entity != nil {
			entity["id"] = anyone
		}
	case "action":
		entity = map[string]any{"name": anyone}
	}
	if entity != nil {
		body[what] = entity
	}
	return a.question(body)
}

// cursor is where a page begins, and what it is a page of.
type cursor struct {
	Query string `json:"q"`
	After string `json:"a"`
	Limit int    `json:"l"`
}

// page reads page.token and page.limit. A token brings the limit that it was made with, where none is given.
func (a *asked) page() (cursor, error) {
	r := &reader{policy: a.policy}
	root := members{r, "", a.body}
	page := root.object("page")
	token, limit := page.text("token"), page.count("limit")
	at := cursor{Query: a.digest(), Limit: defaultPage}
	if token != "" {
		given, err := parseToken(token)
		if err != nil || given.Query != at.Query {
			r.failf("page.token", "is none that this search gave: ask for the first page without one")
		} else {
			at = given
		}
	}
	if limit != nil {
		at.Limit = int(min(*limit, maxPage))
	}
	if at.Limit = min(at.Limit, maxPage); at.Limit < 1 {
		r.failf("page.limit", "want 1 to %d", maxPage)
	}
	if r.fault != nil {
		return cursor{}, r.fault
	}
	return at, nil
}

// digest tells this search from every other, so that a token of one is not taken for one of another.
func (a *asked) digest() string {
	query := maps.Clone(a.body)
	delete(query, "page")
	text, err := json.Marshal([]any{a.tenant, query})
	if err != nil {
		return "" // what was decoded from JSON encodes
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

func (c cursor) token() string {
	text, _ := json.Marshal(c) // two texts and a number encode
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseToken(token string) (c cursor, err error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&c)
	}
	return c, err
}
