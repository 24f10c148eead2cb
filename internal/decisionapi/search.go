package decisionapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	// defaultPage is how many results a page has where the question does not say, maxPage how many it may have.
	defaultPage = 100
	maxPage     = 1000
)

// Found is a page of what a search found.
type Found struct {
	Page    Page             `json:"page"`
	Results []map[string]any `json:"results"`
}

// Page says what is on a page and how to get the next; NextToken is empty on the last. Total is left out where there is too
// much to count.
type Page struct {
	NextToken string `json:"next_token"`
	Count     int    `json:"count"`
	Total     *int   `json:"total,omitempty"`
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
	return a.search(s, func(q *question, now schedule.Instant) []string {
		if s.subject.kind != subjectUser {
			return nil
		}
		return a.policy.WhoCan(now, &q.request)
	}, func(user string) map[string]any { return map[string]any{"type": subjectUser, "id": user} })
}

// searchActions finds what the user may do to the record.
func (a *asked) searchActions() (any, error) {
	s, err := a.readSearch()
	if err != nil {
		return nil, err
	}
	s.action = &action{name: anyone}
	return a.search(s, func(q *question, now schedule.Instant) []string { return a.policy.WhatCan(now, &q.request) },
		func(action string) map[string]any { return map[string]any{"name": action} })
}

// search gives a page of what is found in the place of what is searched, which find gives in order.
func (a *asked) search(s *search, find func(*question, schedule.Instant) []string, entity func(string) map[string]any) (any, error) {
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
		allowed = find(q, now)
	}
	total := len(allowed)
	found := &Found{Page: Page{Total: &total}, Results: []map[string]any{}}
	from, last := slices.BinarySearch(allowed, page.After)
	if last && page.After != "" {
		from++
	}
	for _, name := range allowed[from:min(from+page.size(s.page.limit), len(allowed))] {
		found.Results = append(found.Results, entity(name))
		page.After = name
	}
	if found.Page.Count = len(found.Results); from+found.Page.Count < len(allowed) {
		found.Page.NextToken = page.token()
	}
	return found, nil
}

// cursor is where a page begins, and what it is a page of.
type cursor struct {
	Query string `json:"q"`
	After string `json:"a"`
	// Limit is the one that was asked for with the first page, or -1.
	Limit int64 `json:"l"`
}

// cursor is where the page that is asked for begins. A token brings the limit that it was made with; another beside it is a
// fault, as a change of any other part of the question is (AuthZEN, section 8.2).
func (s *search) cursor(searched, tenant string) (cursor, error) {
	at := cursor{Query: s.digest(searched, tenant), Limit: -1}
	if s.page.limit != nil {
		at.Limit = *s.page.limit
	}
	if s.page.token == "" {
		return at, nil
	}
	given, err := parseToken(s.page.token)
	switch {
	case err != nil || given.Query != at.Query:
		return cursor{}, &fault{"page.token", "is none that this search gave: ask for the first page without one"}
	case at.Limit >= 0 && at.Limit != given.Limit:
		return cursor{}, &fault{"page.limit", "is another than with the page before: leave it out, or ask for the first page"}
	}
	return given, nil
}

// size is how many results the page has at most. Who asked for none, to learn the total, and goes on without a limit, gets
// as many as usual.
func (c *cursor) size(limit *int64) int {
	if c.Limit < 0 || (c.Limit == 0 && limit == nil) {
		return defaultPage
	}
	return int(min(c.Limit, maxPage))
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
