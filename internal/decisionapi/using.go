package decisionapi

import (
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// usageReply is a decision of which what it needed is used up where it is yes.
type usageReply struct {
	Decision bool          `json:"decision"`
	Context  *ReplyContext `json:"context,omitempty"`
	// Used are how many rows count now for each limit a day that concerns the operation, and Limits the most that may.
	Used   []int64 `json:"used,omitempty"`
	Limits []int64 `json:"limits,omitempty"`
	// Spent are the approvals that were used up.
	Spent []string `json:"spent,omitempty"`
}

func usageOf(reply *Reply) *usageReply {
	return &usageReply{Decision: reply.Decision, Context: reply.Context}
}

// use decides about an operation of the person's that is about to be done, and uses up what it needs: rows of the limits,
// and approvals, each once. Either all of it is used up and the decision is yes, or nothing is.
func (a *asked) use() (any, error) {
	var e entities
	for name := range a.body.members() {
		e.read(a.body, name, &a.options)
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
	q.request.Context.Used = nil // what was used is what the store says
	fitting, err := a.recall(&e, &q.request, now)
	if err != nil {
		return nil, err
	}
	reply := q.answer(a.policy, now)
	if !reply.Decision {
		return usageOf(reply), a.logDecision(q, reply, now)
	}
	return a.consume(facts, q, reply, fitting)
}

func (a *asked) consume(facts Facts, q *question, reply *Reply, approvals []string) (any, error) {
	limits := storeLimits(a.policy.DayLimits(q.request.Object, q.request.Action))
	c := store.Consumption{Subject: q.request.User, Requests: approvals}
	if rows := q.request.Context.Rows; rows != nil && *rows > 0 {
		c.Reservation = &store.Reservation{User: q.request.User, Object: q.request.Object, Action: q.request.Action, Rows: *rows, Limits: limits}
	}
	place, err := a.placeInLog()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	if c.Reservation == nil && len(approvals) == 0 {
		a.logMade(place, &q.request, reasonUsed) // there is nothing to use up
		return usageOf(reply), nil
	}
	consumed, err := facts.Consume(a.http.Context(), a.tenant, c)
	if err != nil {
		return nil, unkept(err)
	}
	if !consumed.OK {
		// Another has used up the same meanwhile: what is left does not allow it.
		refused := usageOf(q.reply(access.Deny, make([]access.Level, len(q.request.Fields)), nil))
		refused.Used = consumed.Reserved.Used
		a.logRefusedUse(place, q)
		return refused, nil
	}
	used := usageOf(reply)
	used.Used, used.Spent = consumed.Reserved.Used, approvals
	for _, limit := range limits {
		if used.Used != nil {
			used.Limits = append(used.Limits, limit.Max)
		}
	}
	a.logMade(place, &q.request, reasonUsed)
	return used, nil
}
