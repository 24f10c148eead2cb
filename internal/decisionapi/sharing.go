package decisionapi

import (
	"net/http"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// listed is how many shares or requests one answer lists.
const listed = 200

// shareView is a share as it is told.
type shareView struct {
	ID         string   `json:"id"`
	Maker      string   `json:"maker"`
	Recipient  string   `json:"recipient"`
	Object     string   `json:"object"`
	Record     string   `json:"record"`
	Actions    []string `json:"actions"`
	Level      string   `json:"level"`
	OnlyFields []string `json:"onlyFields,omitempty"`
	From       string   `json:"from"`
	Until      string   `json:"until"`
	Reason     string   `json:"reason"`
	EndedBy    string   `json:"endedBy,omitempty"`
}

func viewOf(s store.Share) shareView {
	view := shareView{
		ID: s.ID, Maker: s.Maker, Recipient: s.Recipient, Object: s.Object, Record: s.Record, Actions: s.Actions, Level: s.Level.String(),
		From: s.Window.NotBefore.String(), Until: s.Window.NotAfter.String(), Reason: s.Reason, EndedBy: s.EndedBy,
	}
	if s.Restricted {
		view.OnlyFields = s.OnlyFields
	}
	return view
}

// terms are with whom a record is shared, what of it, and until when. An approval of a share is of its terms.
type terms struct {
	recipient, level string
	actions          []string
	onlyFields       []string
	restricted       bool
	until            *schedule.Instant
}

// read reads a member if it is one of them.
func (t *terms) read(r *reader, name string) bool {
	switch name {
	case "recipient":
		t.recipient = r.text()
	case "actions":
		t.actions = r.texts()
	case "level":
		t.level = r.text()
	case "onlyFields":
		t.restricted = r.kind() != 'n'
		t.onlyFields = r.texts()
	case "until":
		t.until = r.instant()
	default:
		return false
	}
	return true
}

func (r *reader) terms() *terms {
	if r.kind() == 'n' {
		r.raw()
		return nil
	}
	t := &terms{level: access.LevelRead.String()}
	for name := range r.members() {
		t.read(r, name)
	}
	return t
}

// termsView are terms as whoever approves them is shown them, and as their digest is made.
type termsView struct {
	Recipient string   `json:"recipient"`
	Actions   []string `json:"actions"`
	Level     string   `json:"level"`
	// OnlyFields are null where every field is meant.
	OnlyFields []string `json:"onlyFields"`
	Until      string   `json:"until"`
}

func (t *terms) view() *termsView {
	view := &termsView{Recipient: t.recipient, Actions: inOrder(t.actions), Level: t.level, Until: t.until.String()}
	if t.restricted {
		view.OnlyFields = inOrder(t.onlyFields)
	}
	return view
}

// inOrder are names each once, in one order; of none an empty list.
func inOrder(names []string) []string {
	return append([]string{}, slices.Compact(slices.Sorted(slices.Values(names)))...)
}

// offer is a share as somebody wants to make it.
type offer struct {
	entities
	reason string
}

func (a *asked) readOffer() (*offer, error) {
	o := &offer{}
	o.share = &terms{level: access.LevelRead.String()}
	for name := range a.body.members() {
		switch {
		case name == "reason":
			o.reason = a.body.text()
		case !o.share.read(a.body, name):
			o.read(a.body, name, &a.options)
		}
	}
	return o, a.body.end()
}

// makeShare shares a record of somebody's with somebody else, for a while: only who may share it, only what they have of it
// themselves, and with Externals only fields that are named. Approvals that let it through are used up with it.
func (a *asked) makeShare() (any, error) {
	o, err := a.readOffer()
	if err != nil {
		return nil, err
	}
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	maker, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	share, approvals, err := a.checkOffer(o, maker)
	if err != nil {
		return nil, err
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	made, err := facts.MakeShare(a.http.Context(), a.tenant, share, approvals)
	if err != nil {
		return nil, unkept(err)
	}
	a.options.Facts.Changed(a.tenant)
	a.logMade(place, requestAbout(&made.ShareFact, maker), reasonShared)
	return viewOf(made), nil
}

func (a *asked) checkOffer(o *offer, maker string) (share store.Share, approvals []string, err error) {
	o.action = &action{name: access.ActionShare}
	q, err := a.asPerson(&o.entities, maker)
	if err != nil {
		return share, nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return share, nil, err
	}
	if said := q.request.Context.Reason; said != "" && said != o.reason {
		return share, nil, &fault{"context.reason", "is another than the share's: leave it out"}
	}
	q.request.Context.Reason = o.reason
	level, err := q.settle(o.share)
	if err != nil {
		return share, nil, err
	}
	if approvals, err = a.checkMaker(o, q, now); err != nil {
		return share, nil, err
	}
	if err := a.checkTerms(o.share, q, now); err != nil {
		return share, nil, err
	}
	return store.Share{Reason: o.reason, ShareFact: access.ShareFact{
		Maker: maker, Recipient: o.share.recipient, Object: q.request.Object, Record: q.request.Record.ID, Actions: o.share.actions, Level: level,
		Restricted: o.share.restricted, OnlyFields: o.share.onlyFields, Window: schedule.Window{NotAfter: *o.share.until},
	}}, approvals, nil
}

// settle makes the question one about these terms: whom the record is shared with is the target, whatever else is said, so
// that what a rule looks at is what is done.
func (q *question) settle(t *terms) (level access.Level, err error) {
	c := &q.request.Context
	level, err = access.ParseLevel(t.level)
	switch {
	case err != nil:
		return level, &fault{"level", err.Error()}
	case q.request.Record == nil || q.request.Record.ID == "":
		return level, missing("resource.id")
	case t.recipient == "":
		return level, missing("recipient")
	case t.until == nil:
		return level, missing("until")
	case c.TargetUser != "" && c.TargetUser != t.recipient:
		return level, &fault{"context.target.user", "is another than the recipient: leave it out"}
	case c.TargetDepartment != "":
		return level, &fault{"context.target.department", "is the recipient's: leave it out"}
	}
	c.TargetUser, q.request.Fields = t.recipient, nil
	return level, nil
}

// checkMaker asks for the maker's own access, without what others share with them: shares do not chain. It returns the
// approvals that it counts on. It comes before whatever is said of the recipient: who may not share learns nothing of others.
func (a *asked) checkMaker(o *offer, q *question, now schedule.Instant) (approvals []string, err error) {
	if approvals, err = a.recall(&o.entities, &q.request, now); err != nil {
		return nil, err
	}
	if effect := a.policy.WithShares(nil).Decide(now, &q.request, nil); effect != access.Allow {
		return nil, refuse(http.StatusForbidden, "%s may not share this record: the answer to that is %s", q.request.User, effect)
	}
	return approvals, nil
}

// checkTerms checks what a share gives, and to whom, of somebody who may share the record.
func (a *asked) checkTerms(t *terms, q *question, now schedule.Instant) error {
	if err := a.checkRecipient(t, q.request.Object); err != nil {
		return err
	}
	own := a.policy.OwnActions(now, q.request.User, q.request.Object, q.request.Record)
	for _, name := range t.actions {
		if !access.MayBeShared(name) {
			return &fault{"actions", shown(name) + " cannot be shared"}
		}
		if !slices.Contains(own, name) {
			return refuse(http.StatusForbidden, "%s cannot share what they do not have: %s on this record", q.request.User, shown(name))
		}
	}
	return nil
}

func (a *asked) checkRecipient(t *terms, object string) error {
	userType, active := a.policy.AccountOf(t.recipient)
	if !active {
		return &fault{"recipient", "there is no such user with an account in use"}
	}
	if userType == access.UserExternal && !t.restricted {
		return &fault{"onlyFields", "is missing: with an External only fields that are named can be shared"}
	}
	for _, name := range t.onlyFields {
		if !a.policy.HasField(object, name) {
			return &fault{"onlyFields", "the object has no field " + shown(name)}
		}
	}
	return nil
}

// listShares are those that the person made or receives.
func (a *asked) listShares() (any, error) {
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	person, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	shares, err := facts.SharesOf(a.http.Context(), a.tenant, person, listed)
	if err != nil {
		return nil, unkept(err)
	}
	views := make([]shareView, len(shares))
	for i, s := range shares {
		views[i] = viewOf(s)
	}
	return map[string]any{"shares": views}, nil
}

// endShare ends a share of the person's: they made it, they receive it, or, where records are known here, they own the
// record. To anybody else it is as if it were not there.
func (a *asked) endShare() (any, error) {
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	person, err := a.person(facts)
	if err != nil {
		return nil, err
	}
	live, err := facts.Shares(a.http.Context(), a.tenant)
	if err != nil {
		return nil, unkept(err)
	}
	i := slices.IndexFunc(live.List, func(s access.ShareFact) bool { return s.ID == a.id })
	if i < 0 || !a.mayEnd(person, &live.List[i]) {
		return nil, errNotFound
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	if err := facts.EndShare(a.http.Context(), a.tenant, a.id, person); err != nil {
		return nil, unkept(err)
	}
	a.options.Facts.Changed(a.tenant)
	a.logMade(place, requestAbout(&live.List[i], person), reasonUnshared)
	return map[string]any{"id": a.id, "endedBy": person}, nil
}

// requestAbout is what somebody did to the record of a share.
func requestAbout(s *access.ShareFact, person string) *access.Request {
	return &access.Request{User: person, Action: access.ActionShare, Object: s.Object, Record: &access.Record{ID: s.Record}}
}

func (a *asked) mayEnd(person string, s *access.ShareFact) bool {
	if person == s.Maker || person == s.Recipient {
		return true
	}
	if a.snapshot.Records == nil {
		return false
	}
	record, err := a.snapshot.Records.Record(a.http.Context(), s.Object, s.Record)
	return err == nil && record != nil && record.Owner == person
}
