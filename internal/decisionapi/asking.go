package decisionapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const (
	// requestLasts is how long a request can be answered and used where the subject does not say, in seconds.
	requestLasts = 24 * 60 * 60
	// considered is how many open requests a page is looked for in: whoever may answer few of many gets several pages of few.
	considered = 2000
)

// requestView is a request as it is told. To whoever may answer it, it says what they answer for.
type requestView struct {
	ID      string       `json:"id"`
	Subject entityView   `json:"subject"`
	Action  actionView   `json:"action"`
	Object  resourceView `json:"resource"`
	Rows    *int64       `json:"rows,omitempty"`
	Fields  []string     `json:"fields,omitempty"`
	Target  *targetView  `json:"target,omitempty"`
	Share   *termsView   `json:"share,omitempty"`
	Channel string       `json:"channel,omitempty"`
	Device  string       `json:"device,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	From    string       `json:"from"`
	Until   string       `json:"until"`
	State   string       `json:"state"`
	UsedAt  string       `json:"usedAt,omitempty"`
	Answers []answerView `json:"answers"`
	// Obligations are who may still approve, where it was just asked.
	Obligations []Obligation `json:"obligations,omitempty"`
}

type entityView struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

// resourceView has properties where a record is proposed: all that was said of it, which the approval binds.
type resourceView struct {
	Type       string         `json:"type"`
	ID         string         `json:"id,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
}

type actionView struct {
	Name string `json:"name"`
}

type targetView struct {
	User       string `json:"user,omitempty"`
	Department string `json:"department,omitempty"`
}

type answerView struct {
	Approver string `json:"approver"`
	Decision bool   `json:"decision"`
	Comment  string `json:"comment,omitempty"`
	At       string `json:"at"`
}

// The states of a request.
const (
	stateOpen    = "open"
	stateRefused = "refused"
	stateUsed    = "used"
	stateEnded   = "ended"
)

func stateOf(r *store.Request, now schedule.Instant) string {
	switch {
	case r.UsedAt != schedule.Forever:
		return stateUsed
	case len(r.Answers) > 0 && r.Approvers() == nil:
		return stateRefused
	case r.Window.Ended(now):
		return stateEnded
	}
	return stateOpen
}

func requestViewOf(r *store.Request, now schedule.Instant) requestView {
	view := requestView{
		ID: r.ID, Subject: entityView{subjectUser, r.Subject}, Action: actionView{r.Action}, Object: resourceView{Type: r.Object, ID: r.Record},
		Rows: r.Rows, Fields: r.Fields, Channel: r.Channel, Device: r.Device, Reason: r.Reason,
		From: r.Window.NotBefore.String(), Until: r.Window.NotAfter.String(), State: stateOf(r, now), Answers: make([]answerView, len(r.Answers)),
	}
	if r.TargetUser != "" || r.TargetDepartment != "" {
		view.Target = &targetView{r.TargetUser, r.TargetDepartment}
	}
	var q keptQuestion
	if r.Proposed != "" && json.Unmarshal(r.Question, &q) == nil {
		view.Share, view.Object.Properties = q.Share, q.Proposed
	}
	if r.UsedAt != schedule.Forever {
		view.UsedAt = r.UsedAt.String()
	}
	for i, answer := range r.Answers {
		view.Answers[i] = answerView{answer.Approver, answer.Approves, answer.Comment, answer.At.String()}
	}
	return view
}

// ask asks for the approval of an operation that needs one, and of nothing else.
func (a *asked) ask() (any, error) {
	var e entities
	var until *schedule.Instant
	for name := range a.body.members() {
		switch name {
		case "until":
			until = a.body.instant()
		case "share":
			e.share = a.body.terms()
		default:
			e.read(a.body, name, &a.options)
		}
	}
	if err := a.body.end(); err != nil {
		return nil, err
	}
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	person, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	q, err := a.asPerson(&e, person)
	if err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	if err := q.settleShare(&e); err != nil {
		return nil, err
	}
	if _, err := a.recall(&e, &q.request, now); err != nil {
		return nil, err
	}
	explanation := a.policy.Explain(now, &q.request)
	switch explanation.Effect {
	case access.Allow:
		return nil, refuse(http.StatusConflict, "this needs nobody's approval: it is allowed")
	case access.Deny:
		return nil, refuse(http.StatusForbidden, "no approval would allow this: ask for an evaluation with explain to see why")
	}
	if e.share != nil {
		if err := a.checkTerms(e.share, q, now); err != nil {
			return nil, err
		}
	}
	request, err := requestFor(q, &e, now, until)
	if err != nil {
		return nil, err
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	kept, err := facts.Ask(a.http.Context(), a.tenant, request)
	if err != nil {
		return nil, unkept(err)
	}
	view := requestViewOf(&kept, now)
	view.Obligations = q.reply(explanation.Effect, nil, explanation.Obligations).Context.Obligations
	a.logMade(place, &q.request, reasonAsked)
	return view, nil
}

// settleShare makes a question about sharing one about the terms, which it must say; to any other they are nothing.
func (q *question) settleShare(e *entities) error {
	if q.request.Action != access.ActionShare {
		e.share = nil
		return nil
	}
	if e.share == nil {
		return missing("share")
	}
	_, err := q.settle(e.share)
	return err
}

// keptQuestion is a question as a request keeps it: beside what the engine reads, what whoever answers has to see.
type keptQuestion struct {
	access.Request
	Share *termsView `json:"share,omitempty"`
	// Proposed are the properties of a record that is proposed.
	Proposed map[string]any `json:"proposed,omitempty"`
}

// shownProperties are properties as they were said. One that cannot be read is a fault, also where no rule asks for it:
// nobody could see what they approve.
func shownProperties(properties []property) (map[string]any, error) {
	shown := make(map[string]any, len(properties))
	for i := range properties {
		p := &properties[i]
		if err := p.malformed(); err != nil {
			return nil, err
		}
		switch p.form {
		case formNull:
			shown[p.name] = nil
		case formText:
			shown[p.name] = p.text
		case formScalar:
			shown[p.name] = json.RawMessage(p.text)
		case formList:
			shown[p.name] = append([]string{}, p.texts()...)
		case formReference:
			of, err := shownProperties(p.more.record)
			if err != nil {
				return nil, err
			}
			shown[p.name] = of
		}
	}
	return shown, nil
}

// requestFor keeps the question with the facts of the record: whoever may answer is named from them.
func requestFor(q *question, e *entities, now schedule.Instant, until *schedule.Instant) (store.Request, error) {
	kept := keptQuestion{Request: q.request}
	if e.share != nil {
		kept.Share = e.share.view()
	} else if proposes(&q.request) {
		var err error
		if kept.Proposed, err = shownProperties(e.resource.properties); err != nil {
			return store.Request{}, err
		}
	}
	text, err := json.Marshal(&kept)
	if err != nil {
		return store.Request{}, err
	}
	request := store.Request{Operation: operationOf(&q.request, e), Question: text}
	if request.Window.NotAfter = now + requestLasts; until != nil {
		request.Window.NotAfter = *until
	}
	return request, nil
}

// mayAnswer says whether the engine names somebody, now, as one who may approve what a request asks. Where records are
// known here, theirs are the facts of now.
func (a *asked) mayAnswer(person string, r *store.Request, now schedule.Instant) bool {
	var request access.Request
	if person == r.Subject || !r.Open(now) || json.Unmarshal(r.Question, &request) != nil || request.User != r.Subject {
		return false
	}
	// Most people may approve nothing of most: no record is looked up for them.
	if !a.policy.MightApprove(now, &request, person) || a.lookUp(&request) != nil {
		return false
	}
	answered := slices.ContainsFunc(r.Answers, func(answer store.Answer) bool { return answer.Approver == person })
	return !answered && a.policy.MayApprove(now, &request, person)
}

// The roles in which somebody looks at requests.
const (
	roleSubject  = "subject"
	roleApprover = "approver"
)

// requestsView are requests, and where the next page begins if there may be one.
type requestsView struct {
	Requests []requestView `json:"requests"`
	Next     string        `json:"next,omitempty"`
}

// listRequests are a person's own, or those that they may answer now. ?page= asks for more of these.
func (a *asked) listRequests() (any, error) {
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	person, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	var requests []store.Request
	var next string
	switch role := a.http.URL.Query().Get("role"); role {
	case roleSubject:
		requests, err = facts.RequestsOf(a.http.Context(), a.tenant, person, listed)
		err = unkeptOrNil(err)
	case roleApprover:
		requests, next, err = a.waitingPage(facts, person)
	default:
		return nil, &fault{"role", shown(role) + " is none of " + roleSubject + ", " + roleApprover}
	}
	if err != nil {
		return nil, err
	}
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	view := requestsView{Requests: make([]requestView, len(requests)), Next: next}
	for i := range requests {
		view.Requests[i] = requestViewOf(&requests[i], now)
	}
	return view, nil
}

// waitingPage is the page of them that is asked for.
func (a *asked) waitingPage(facts Facts, person string) (waiting []store.Request, next string, err error) {
	after, err := parsePlace(a.http.URL.Query().Get("page"))
	if err != nil {
		return nil, "", err
	}
	return a.waitingFor(facts, person, after)
}

// waitingFor are requests from after a place that somebody may answer now, and the page after them where there may be one.
func (a *asked) waitingFor(facts Facts, person string, after store.Place) (waiting []store.Request, next string, err error) {
	now, err := a.now()
	if err != nil {
		return nil, "", err
	}
	all, err := facts.OpenRequests(a.http.Context(), a.tenant, after, considered)
	if err != nil {
		return nil, "", unkept(err)
	}
	for i := range all {
		if a.mayAnswer(person, &all[i], now) {
			waiting = append(waiting, all[i])
		}
		if len(waiting) == listed || i == considered-1 {
			return waiting, placeText(all[i].Place()), nil
		}
	}
	return waiting, "", nil
}

// placeText is the page from after a place.
func placeText(p store.Place) string { return p.At.String() + "." + p.ID }

func parsePlace(text string) (p store.Place, err error) {
	if text == "" {
		return p, nil
	}
	at, id, found := strings.Cut(text, ".")
	if p.At, err = schedule.Parse(at); err != nil || !found || store.CheckNames(id) != nil {
		return p, &fault{"page", "it is none that this API gave"}
	}
	p.ID = id
	return p, nil
}

func unkeptOrNil(err error) error {
	if err == nil {
		return nil
	}
	return unkept(err)
}

// answerRequest is somebody's yes or no. A request that they may not answer is as one that is not there.
func (a *asked) answerRequest() (any, error) {
	var decision *bool
	var comment string
	for name := range a.body.members() {
		switch name {
		case "decision":
			if kind := a.body.kind(); kind == 't' || kind == 'f' {
				said := a.body.truth()
				decision = &said
			} else {
				a.body.refuse("want true or false")
			}
		case "comment":
			comment = a.body.text()
		}
	}
	if err := a.body.end(); err != nil {
		return nil, err
	}
	if decision == nil {
		return nil, missing("decision")
	}
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	person, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	found, err := facts.Requests(a.http.Context(), a.tenant, []string{a.id})
	if err != nil {
		return nil, unkept(err)
	}
	if len(found) != 1 || !a.mayAnswer(person, &found[0], now) {
		return nil, errNotFound
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	if err := facts.Answer(a.http.Context(), a.tenant, a.id, store.Answer{Approver: person, Approves: *decision, Comment: comment}); err != nil {
		return nil, unkept(err)
	}
	about := &access.Request{User: person, Action: found[0].Action, Object: found[0].Object, Record: &access.Record{ID: found[0].Record}}
	reason := reasonRefused
	if *decision {
		reason = reasonApproved
	}
	a.logMade(place, about, reason)
	return map[string]any{"id": a.id, "approver": person, "decision": *decision}, nil
}
