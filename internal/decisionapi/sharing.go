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

// offer is a share as somebody wants to make it.
type offer struct {
	entities
	recipient, level string
	actions          []string
	onlyFields       []string
	restricted       bool
	until            *schedule.Instant
	reason           string
}

func (a *asked) readOffer() (*offer, error) {
	o := &offer{level: access.LevelRead.String()}
	for name := range a.body.members() {
		switch name {
		case "recipient":
			o.recipient = a.body.text()
		case "actions":
			o.actions = a.body.texts()
		case "level":
			o.level = a.body.text()
		case "onlyFields":
			o.restricted = a.body.kind() != 'n'
			o.onlyFields = a.body.texts()
		case "until":
			o.until = a.body.instant()
		case "reason":
			o.reason = a.body.text()
		default:
			o.read(a.body, name, &a.options)
		}
	}
	return o, a.body.end()
}

// makeShare shares a record of somebody's with somebody else, for a while: only who may share it, only what they have of it
// themselves, and with Externals only fields that are named.
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
	share, err := a.checkOffer(o, maker)
	if err != nil {
		return nil, err
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	made, err := facts.MakeShare(a.http.Context(), a.tenant, share)
	if err != nil {
		return nil, unkept(err)
	}
	a.options.Facts.Changed(a.tenant)
	a.logMade(place, requestAbout(&made.ShareFact, maker), reasonShared)
	return viewOf(made), nil
}

func (a *asked) checkOffer(o *offer, maker string) (share store.Share, err error) {
	o.action = &action{name: access.ActionShare}
	q, err := a.asPerson(&o.entities, maker)
	if err != nil {
		return share, err
	}
	now, err := a.instant(q)
	if err != nil {
		return share, err
	}
	level, err := access.ParseLevel(o.level)
	switch {
	case err != nil:
		return share, &fault{"level", err.Error()}
	case q.request.Record == nil || q.request.Record.ID == "":
		return share, missing("resource.id")
	case o.until == nil:
		return share, missing("until")
	}
	if err := a.checkRecipient(o, q.request.Object); err != nil {
		return share, err
	}
	if err := a.checkMaker(o, q, now); err != nil {
		return share, err
	}
	return store.Share{Reason: o.reason, ShareFact: access.ShareFact{
		Maker: maker, Recipient: o.recipient, Object: q.request.Object, Record: q.request.Record.ID, Actions: o.actions, Level: level,
		Restricted: o.restricted, OnlyFields: o.onlyFields, Window: schedule.Window{NotAfter: *o.until},
	}}, nil
}

func (a *asked) checkRecipient(o *offer, object string) error {
	userType, active := a.policy.AccountOf(o.recipient)
	if !active {
		return &fault{"recipient", "there is no such user with an account in use"}
	}
	if userType == access.UserExternal && !o.restricted {
		return &fault{"onlyFields", "is missing: with an External only fields that are named can be shared"}
	}
	for _, name := range o.onlyFields {
		if !a.policy.HasField(object, name) {
			return &fault{"onlyFields", "the object has no field " + shown(name)}
		}
	}
	return nil
}

// checkMaker asks for the maker's own access, without what others share with them: shares do not chain.
func (a *asked) checkMaker(o *offer, q *question, now schedule.Instant) error {
	if _, err := a.recall(&o.entities, &q.request, now); err != nil {
		return err
	}
	q.request.Fields = nil
	if effect := a.policy.WithShares(nil).Decide(now, &q.request, nil); effect != access.Allow {
		return refuse(http.StatusForbidden, "%s may not share this record: the answer to that is %s", q.request.User, effect)
	}
	own := a.policy.OwnActions(now, q.request.User, q.request.Object, q.request.Record)
	for _, name := range o.actions {
		if !access.MayBeShared(name) {
			return &fault{"actions", shown(name) + " cannot be shared"}
		}
		if !slices.Contains(own, name) {
			return refuse(http.StatusForbidden, "%s cannot share what they do not have: %s on this record", q.request.User, shown(name))
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
