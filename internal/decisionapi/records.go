package decisionapi

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Records looks up what is stored of a tenant's records, as one state of the tenant says where. It is asked by many requests
// at the same time.
type Records interface {
	// Record is what is stored of a record, with the record that decides about it. It is nil where the object's records are not
	// stored here: then what the caller says counts. Of an id that no record has nothing is known but the id.
	Record(ctx context.Context, object, id string) (*access.Record, error)
	// Page lists up to limit records of the object after an id, in an order of ids of its own. It may leave out what the filter
	// does not take in; nil takes in everything.
	Page(ctx context.Context, object string, filter *access.Filter, after string, limit int) ([]*access.Record, error)
}

const (
	// maxCounted is how many records a search goes through for their number.
	maxCounted = 1000
	// maxWalked is how many records one request for a page goes through.
	maxWalked = 20_000
	// maxAsks is how often one request has the stores asked, for a record or for what is kept about a question.
	maxAsks = 1000
)

// recordKey names a record that was looked up.
type recordKey struct{ object, id string }

// errTooManyAsks ends a request: one line of a body must not cost a query for each item of it.
var errTooManyAsks = refuse(http.StatusBadRequest, "more than %d records or stored facts would be looked up for this: ask several smaller questions", maxAsks)

// countAsk counts a question to a store.
func (a *asked) countAsk() error {
	if a.asks++; a.asks > maxAsks {
		return errTooManyAsks
	}
	return nil
}

var errNoRecords = refuse(http.StatusServiceUnavailable, "the record cannot be looked up now, and what is said of it does not count: ask again soon")

// lookUp puts what is stored of a record, and of those that decide about it, in the place of what the caller says of them:
// else whoever asks could say that the record is their own. Where they cannot be looked up nothing is answered.
func (a *asked) lookUp(request *access.Request) error {
	if a.snapshot.Records == nil || request.Record == nil {
		return nil
	}
	if request.Action != access.ActionCreate { // whose record is not stored yet
		record, err := a.stored(request.Object, request.Record.ID)
		if err != nil {
			return err
		}
		if record != nil {
			request.Record = record
			return nil
		}
	}
	return a.lookUpParents(request.Object, request.Record)
}

// lookUpParents goes up from a record that the caller describes to the first one that is stored.
func (a *asked) lookUpParents(object string, said *access.Record) error {
	for from := a.policy.AccessFrom(object); from.Object != ""; from = a.policy.AccessFrom(from.Object) {
		ids := said.Attributes[from.Field]
		if said.Parent == nil && len(ids) != 1 {
			return nil
		}
		parent := said.Parent
		if parent == nil {
			parent = &access.Record{ID: ids[0]}
		}
		record, err := a.stored(from.Object, cmp.Or(parent.ID, only(ids)))
		if err != nil {
			return err
		}
		if record != nil {
			said.Parent = record
			return nil
		}
		if said.Parent == nil {
			return nil
		}
		said = said.Parent
	}
	return nil
}

func only(ids []string) string {
	if len(ids) != 1 {
		return ""
	}
	return ids[0]
}

// stored is what is stored of a record; nil where the object's are not. One without an id is stored nowhere, and else whoever
// leaves it out could say anything of it. A request looks a record up once.
func (a *asked) stored(object, id string) (*access.Record, error) {
	key := recordKey{object, id}
	if record, known := a.looked[key]; known {
		return record, nil
	}
	if err := a.countAsk(); err != nil {
		return nil, err
	}
	record, err := a.snapshot.Records.Record(a.http.Context(), object, id)
	if err != nil {
		return nil, errNoRecords
	}
	if a.looked == nil {
		a.looked = make(map[recordKey]*access.Record)
	}
	a.looked[key] = record
	return record, nil
}

// searchResources finds the records that the user may do the action to. It needs a source that knows records.
func (a *asked) searchResources() (any, error) {
	if a.snapshot.Records == nil {
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
	entity := func(id string) map[string]any { return map[string]any{"type": object, "id": id} }
	q, err := a.question(&s.entities)
	if err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	w := a.walk(q, now)
	if q.subjectType != subjectUser {
		w.ended = true
	}
	if err := w.next(maxCounted + 1); err != nil {
		return nil, err
	}
	if !w.ended {
		return a.pageOfMany(s, w, entity)
	}
	allowed := w.allowed
	slices.Sort(allowed)
	return a.search(s, func(*question, schedule.Instant) []string { return allowed }, entity)
}

// walk goes through an object's records and keeps those that are allowed.
type walk struct {
	*asked
	question *question
	now      schedule.Instant
	filter   *access.Filter
	levels   []access.Level

	after   string
	ended   bool
	allowed []string
}

// walk begins before the first record. What a list's filter leaves out need not be gone through; an action that no list
// has takes every record by itself.
func (a *asked) walk(q *question, now schedule.Instant) *walk {
	w := &walk{asked: a, question: q, now: now, levels: make([]access.Level, len(q.request.Fields))}
	if filter := a.policy.Filter(now, &q.request); filter.Effect == access.Allow {
		w.filter = &filter
	}
	return w
}

// next goes through up to so many records.
func (w *walk) next(count int) error {
	if w.ended {
		return nil
	}
	records, err := w.snapshot.Records.Page(w.http.Context(), w.question.request.Object, w.filter, w.after, count)
	if err != nil {
		return errNoRecords
	}
	for _, record := range records {
		request := w.question.request
		request.Record = record
		if w.policy.Decide(w.now, &request, w.levels) == access.Allow {
			w.allowed = append(w.allowed, record.ID)
		}
		w.after = record.ID
	}
	w.ended = len(records) < count
	return nil
}

// pageOfMany gives a page of more records than are counted. It may have fewer than a page has: then there is a token all the
// same, and the search goes on behind what was gone through.
func (a *asked) pageOfMany(s *search, w *walk, entity func(string) map[string]any) (any, error) {
	page, err := s.cursor(path.Base(a.http.URL.Path), a.tenant)
	if err != nil {
		return nil, err
	}
	size := page.size(s.page.limit)
	w.after, w.allowed = page.After, nil
	for walked := 0; len(w.allowed) <= size && !w.ended && walked < maxWalked; walked += maxPage + 1 {
		if err := w.next(maxPage + 1); err != nil {
			return nil, err
		}
	}
	found := &Found{Results: []map[string]any{}}
	page.After = w.after
	if len(w.allowed) > size {
		page.After = cmp.Or(lastOf(w.allowed[:size]), page.After)
		w.allowed, w.ended = w.allowed[:size], false
	}
	for _, id := range w.allowed {
		found.Results = append(found.Results, entity(id))
	}
	if found.Page.Count = len(found.Results); !w.ended {
		found.Page.NextToken = page.token()
	}
	return found, nil
}

func lastOf(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}
