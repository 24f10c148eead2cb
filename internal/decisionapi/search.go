package decisionapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

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

// search is the question of a search, in which what is searched needs no name.
type search struct {
	entities
	page page
	// text is each entity as it was written.
	written map[string]string
}

// page is what a search's page member asks for.
type page struct {
	token string
	limit *int64
}

// readSearch reads a search for the entity of that name.
func (a *asked) readSearch() (*search, error) {
	s := &search{written: make(map[string]string)}
	for name := range a.body.members() {
		switch name {
		case "page":
			s.page = a.body.page()
		default:
			from := a.body.tokens.InputOffset()
			s.read(a.body, name, &a.options)
			s.written[name] = a.body.body[from:a.body.tokens.InputOffset()]
		}
	}
	return s, a.body.end()
}

func (r *reader) page() (p page) {
	for name := range r.members() {
		switch name {
		case "token":
			p.token = r.text()
		case "limit":
			p.limit = r.amount()
		}
	}
	return p
}

// anyone stands where what is searched has no name: nobody has it.
const anyone = "\x00"

// searchSubjects finds the users who may do the action to the record. The subject's id counts for nothing.
func (a *asked) searchSubjects() (any, error) {
	s, err := a.readSearch()
	if err != nil {
		return nil, err
	}
	if s.subject != nil {
		s.subject.id = anyone
	}
	return a.search(s, func(*question) []string {
		if s.subject.kind != subjectUser {
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
	s, err := a.readSearch()
	if err != nil {
		return nil, err
	}
	s.action = &action{name: anyone}
	return a.search(s, func(q *question) []string { return a.policy.Actions(q.request.Object) },
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
	s, err := a.readSearch()
	if err != nil {
		return nil, err
	}
	if s.resource != nil {
		s.resource.id, s.resource.named = "", true
	}
	object := s.resource.objectName()
	records := source.Records(a.tenant, object)
	return a.search(s, func(*question) []string { return slices.Collect(maps.Keys(records)) },
		func(q *question, id string) *access.Request {
			request := q.request
			request.Record = records[id]
			return &request
		}, func(id string) map[string]any { return map[string]any{"type": object, "id": id} })
}

// search asks the question for every candidate in the place of what is searched, and gives a page of those that are
// allowed, in order.
func (a *asked) search(s *search, candidates func(*question) []string, with func(*question, string) *access.Request, entity func(string) map[string]any) (any, error) {
	q, err := a.question(&s.entities)
	if err != nil {
		return nil, err
	}
	page, err := s.cursor(path.Base(a.http.URL.Path), a.tenant)
	if err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	var allowed []string
	if q.subjectType == subjectUser {
		allowed = slices.DeleteFunc(slices.Clone(candidates(q)), func(name string) bool {
			request := with(q, name)
			return a.policy.Decide(now, request, make([]access.Level, len(request.Fields))) != access.Allow
		})
	}
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
		page.Limit = cmp.Or(page.Limit, defaultPage) // who asked for none, to learn the total, goes on as usual
		found.Page.NextToken = page.token()
	}
	return found, nil
}

// cursor is where a page begins, and what it is a page of.
type cursor struct {
	Query string `json:"q"`
	After string `json:"a"`
	Limit int    `json:"l"`
}

// cursor is where the page that is asked for begins. A token brings the limit that it was made with, where none is given.
func (s *search) cursor(searched, tenant string) (cursor, error) {
	at := cursor{Query: s.digest(searched, tenant), Limit: defaultPage}
	if s.page.token != "" {
		given, err := parseToken(s.page.token)
		if err != nil || given.Query != at.Query {
			return cursor{}, &fault{"page.token", "is none that this search gave: ask for the first page without one"}
		}
		at = given
	}
	if s.page.limit != nil {
		at.Limit = int(min(*s.page.limit, maxPage))
	}
	at.Limit = max(0, min(at.Limit, maxPage))
	return at, nil
}

// digest tells this search from every other, so that a token of one is not taken for one of another.
func (s *search) digest(searched, tenant string) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q %q", searched, tenant)
	for _, name := range []string{"subject", "action", "resource", "context"} {
		text := jsontext.Value(strings.TrimLeft(s.written[name], ": \t\r\n"))
		if text.Canonicalize() != nil {
			text = nil // not given
		}
		_, _ = fmt.Fprintf(sum, "%q", text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
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
