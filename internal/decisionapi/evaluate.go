package decisionapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// evaluation answers one question.
func (a *asked) evaluation() (any, error) {
	var e entities
	for name := range a.body.members() {
		e.read(a.body, name, &a.options)
	}
	if err := a.body.end(); err != nil {
		return nil, err
	}
	return a.evaluate(&e)
}

func (a *asked) evaluate(e *entities) (*Reply, error) {
	q, err := a.question(e)
	if err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	if _, err := a.recall(e, &q.request, now); err != nil {
		return nil, err
	}
	reply := q.answer(a.policy, now)
	return reply, a.logDecision(q, reply, now)
}

// question maps the entities to a request about the record as it is stored, where it is. The question is there until the next
// one is read.
func (a *asked) question(e *entities) (*question, error) {
	q := &a.work.question
	if err := e.question(q, a.policy); err != nil {
		return nil, err
	}
	if err := e.resource.namesRecord(q.request.Action); err != nil {
		return nil, err
	}
	if err := a.lookUp(&q.request); err != nil {
		return nil, err
	}
	return q, nil
}

// instant is the one that the question brings, where that is honoured, or the store's time.
func (a *asked) instant(q *question) (schedule.Instant, error) {
	if q.at == nil {
		return a.now()
	}
	a.instantKnown, a.instantNow, a.instantFault = true, *q.at, nil
	return *q.at, nil
}

// The semantics of several questions: whether one answer makes the rest needless.
const (
	executeAll          = "execute_all"
	denyOnFirstDeny     = "deny_on_first_deny"
	permitOnFirstPermit = "permit_on_first_permit"
)

// Replies are the answers to several questions, in their order; those that the semantics make needless are left out.
type Replies struct {
	Evaluations []*Reply `json:"evaluations"`
}

// item is one of several questions. What it leaves out is the defaults'.
type item struct {
	entities
	malformed error
}

// evaluations answers several questions, each with the defaults that stand beside the list. Without a list it is one
// question. A faulty item is a deny in its place and says what is wrong with it: the others are answered all the same.
func (a *asked) evaluations() (any, error) {
	var defaults entities
	var semantic string
	var items []item
	for name := range a.body.members() {
		switch name {
		case "evaluations":
			items = a.items()
		case "options":
			semantic = a.body.semantic()
		default:
			defaults.read(a.body, name, &a.options)
		}
	}
	if err := a.body.end(); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return a.evaluate(&defaults)
	}
	if _, err := a.now(); err != nil && !a.options.HonourTime {
		return nil, err
	}
	replies := &Replies{Evaluations: make([]*Reply, 0, len(items))}
	for i := range items {
		reply, err := a.evaluateItem(&items[i], &defaults)
		if err != nil {
			return nil, err
		}
		replies.Evaluations = append(replies.Evaluations, reply)
		if (semantic == denyOnFirstDeny && !reply.Decision) || (semantic == permitOnFirstPermit && reply.Decision) {
			break
		}
	}
	return replies, nil
}

func (a *asked) items() []item {
	r, items := a.body, a.work.items[:0]
	if kind := r.kind(); kind != '[' && kind != 'n' {
		r.refuse("want a list of questions")
		return nil
	}
	for i := range r.elements() {
		items = append(items, item{})
		one := &items[i]
		if r.kind() != '{' {
			one.malformed = r.apart(func() { r.refuse("want an object") })
			continue
		}
		r.within = len("/evaluations/") + len(strconv.Itoa(i))
		for name := range r.members() {
			one.read(r, name, &a.options)
		}
		r.within = 0
	}
	a.work.items = items
	return items
}

// semantic reads the options for one that there is.
func (r *reader) semantic() (semantic string) {
	for name := range r.members() {
		if name != "evaluations_semantic" {
			continue
		}
		switch semantic = r.text(); semantic {
		case "", executeAll, denyOnFirstDeny, permitOnFirstPermit:
		default:
			r.failf("%s is none of %s, %s, %s", shown(semantic), executeAll, denyOnFirstDeny, permitOnFirstPermit)
		}
	}
	return semantic
}

// evaluateItem answers one item: what it names replaces the default whole, what it leaves out is the default's. What keeps
// the store from being asked, or told, is a fault of no item.
func (a *asked) evaluateItem(one *item, defaults *entities) (*Reply, error) {
	if one.malformed != nil {
		return faulty(one.malformed), nil
	}
	one.or(defaults)
	reply, err := a.evaluate(&one.entities)
	switch {
	case errors.Is(err, errUnlogged), errors.Is(err, errNoFacts), errors.Is(err, errNoRecords), errors.Is(err, errTooManyAsks):
		return nil, err
	case err != nil:
		return faulty(err), nil
	}
	return reply, nil
}

// faulty is the answer to a question that cannot be read.
func faulty(err error) *Reply {
	return &Reply{Context: &ReplyContext{Error: &ReplyError{Status: http.StatusBadRequest, Message: err.Error()}}}
}

// answer decides, and tells as much as was asked.
func (q *question) answer(policy *access.Policy, now schedule.Instant) *Reply {
	if q.subjectType != subjectUser {
		return q.answerNobody()
	}
	if q.explain {
		return q.answerWithReasons(policy, now)
	}
	levels := make([]access.Level, len(q.request.Fields))
	switch effect := policy.Decide(now, &q.request, levels); {
	case effect == access.NeedsApproval:
		return q.reply(effect, levels, policy.Explain(now, &q.request).Obligations)
	case len(levels) > 0:
		return q.reply(effect, levels, nil)
	case effect == access.Allow:
		return allowed
	}
	return denied
}

// answerNobody answers for a subject that is no user: it has no access.
func (q *question) answerNobody() *Reply {
	reply := q.reply(access.Deny, make([]access.Level, len(q.request.Fields)), nil)
	if q.explain {
		reason := fmt.Sprintf("unknown subject type %s; it has user", shown(q.subjectType))
		reply.Context.Reasons, reply.Context.Causes = []string{reason}, []Cause{{Text: reason}}
	}
	return reply
}

func (q *question) answerWithReasons(policy *access.Policy, now schedule.Instant) *Reply {
	e := policy.Explain(now, &q.request)
	reply := q.reply(e.Effect, e.Levels, e.Obligations)
	reply.Context.explain(policy, now, &q.request, e)
	return reply
}

func (q *question) reply(effect access.Effect, levels []access.Level, obligations []access.Obligation) *Reply {
	context := &ReplyContext{}
	for _, o := range obligations {
		context.Obligations = append(context.Obligations, Obligation{Type: ObligationApproval, Approvers: o.Approvers, Guardrail: o.Guardrail})
	}
	if len(levels) > 0 {
		context.Fields = make(map[string]string, len(levels))
		for i, name := range q.request.Fields {
			context.Fields[name] = levels[i].String()
		}
	}
	reply := &Reply{Decision: effect == access.Allow}
	if q.explain || len(levels) > 0 || len(obligations) > 0 {
		reply.Context = context
	}
	return reply
}

func (c *ReplyContext) explain(policy *access.Policy, now schedule.Instant, request *access.Request, e access.Explanation) {
	c.Causes = CausesOf(e)
	c.Reasons = make([]string, len(c.Causes))
	for i, cause := range c.Causes {
		c.Reasons[i] = cause.Text
	}
	if e.Effect == access.Deny {
		c.NearMisses = policy.NearMisses(now, request)
		c.NearestMiss = NearestMiss(e, c.NearMisses)
	}
}

// NearestMiss is the explanation's, or the first of the near misses where it has none.
func NearestMiss(e access.Explanation, near []string) string {
	if e.NearestMiss == "" && len(near) > 0 {
		return near[0]
	}
	return e.NearestMiss
}
