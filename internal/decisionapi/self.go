package decisionapi

import (
	"strconv"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// selfPage is how many decisions one page of a person's log has.
const selfPage = 100

// selfView is what somebody may see of themselves: what they may do, what was decided about them, what waits for them.
type selfView struct {
	Subject string        `json:"subject"`
	Rights  []rightView   `json:"rights"`
	Fields  []sightView   `json:"fields"`
	Shares  []shareView   `json:"shares"`
	Waiting []requestView `json:"waiting"`
	// WaitingNext is the page of requests after those, where there may be more.
	WaitingNext string         `json:"waitingNext,omitempty"`
	Decisions   []decisionView `json:"decisions"`
	// Next is the token of the page of older decisions, where there are any.
	Next string `json:"next,omitempty"`
	// ReadsSampled is one in how many allowed reads the log keeps: of all else it keeps everything.
	ReadsSampled int `json:"readsSampled"`
}

type rightView struct {
	Object string   `json:"object"`
	Action string   `json:"action"`
	Scopes []string `json:"scopes"`
	Until  string   `json:"until,omitempty"`
}

// sightView is how much of an object's fields somebody sees: the highest level that there is on any record, and the
// one that holds on all of a list.
type sightView struct {
	Object  string            `json:"object"`
	Most    map[string]string `json:"most"`
	OnLists map[string]string `json:"onLists"`
}

type decisionView struct {
	At          string   `json:"at"`
	Application string   `json:"application,omitempty"`
	Action      string   `json:"action"`
	Object      string   `json:"object"`
	Record      string   `json:"record,omitempty"`
	Effect      string   `json:"effect"`
	Reasons     []string `json:"reasons,omitempty"`
	Revision    string   `json:"revision,omitempty"`
	RequestID   string   `json:"requestId,omitempty"`
	StandsFor   int64    `json:"standsFor,omitempty"`
}

// self is what the person may see of themselves. ?page= asks for older decisions.
func (a *asked) self() (any, error) {
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
	view := &selfView{Subject: person, Rights: []rightView{}, Fields: a.sights(person, now), Shares: []shareView{}, Waiting: []requestView{}, Decisions: []decisionView{}, ReadsSampled: a.options.Log.sampledReads()}
	for _, right := range a.policy.Rights(now, person) {
		r := rightView{Object: right.Object, Action: right.Action, Scopes: right.Scopes}
		if right.Until != schedule.Forever {
			r.Until = right.Until.String()
		}
		view.Rights = append(view.Rights, r)
	}
	shares, err := facts.SharesOf(a.http.Context(), a.tenant, person, listed)
	if err != nil {
		return nil, unkept(err)
	}
	for _, s := range shares {
		if s.Window.Active(now) {
			view.Shares = append(view.Shares, viewOf(s))
		}
	}
	waiting, next, err := a.waitingFor(facts, person, store.Place{})
	if err != nil {
		return nil, err
	}
	for i := range waiting {
		view.Waiting = append(view.Waiting, requestViewOf(&waiting[i], now))
	}
	view.WaitingNext = next
	return view, a.readOwnLog(facts, view)
}

func (a *asked) sights(person string, now schedule.Instant) []sightView {
	views := []sightView{}
	for _, sight := range a.policy.Sights(now, person) {
		view := sightView{Object: sight.Object, Most: make(map[string]string), OnLists: make(map[string]string)}
		for _, field := range sight.Fields {
			view.Most[field.Name], view.OnLists[field.Name] = field.Most.String(), field.OnLists.String()
		}
		views = append(views, view)
	}
	return views
}

func (a *asked) readOwnLog(facts Facts, view *selfView) error {
	before := int64(0)
	if page := a.http.URL.Query().Get("page"); page != "" {
		var err error
		if before, err = strconv.ParseInt(page, 10, 64); err != nil || before < 1 {
			return &fault{"page", "it is none that this API gave"}
		}
	}
	decisions, err := facts.Logged(a.http.Context(), a.tenant, view.Subject, before, selfPage)
	if err != nil {
		return unkept(err)
	}
	for _, d := range decisions {
		view.Decisions = append(view.Decisions, viewOfDecision(d))
	}
	if len(decisions) == selfPage {
		view.Next = strconv.FormatInt(decisions[selfPage-1].ID, 10)
	}
	return nil
}

func viewOfDecision(d store.Decision) decisionView {
	view := decisionView{
		At: d.At.String(), Application: d.Application, Action: d.Action, Object: d.Object, Record: d.Record, Effect: d.Effect, Reasons: d.Reasons,
		Revision: d.Revision, RequestID: d.RequestID,
	}
	if d.StandsFor > 1 {
		view.StandsFor = d.StandsFor
	}
	return view
}
