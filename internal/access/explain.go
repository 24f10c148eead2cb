package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Effect Effect
	// Levels are those of the fields asked for, in their order.
	Levels []Level
	// Causes are what decided: for an allow every grant that covers, for a deny every no, in the order of the stages.
	Causes []Cause
	// Obligations are the approvals that the request needs and does not have.
	Obligations []Obligation
	// NearestMiss says, of a request that no grant covers, what came closest.
	NearestMiss string
}

// Obligation is an approval that a request needs.
type Obligation struct {
	// Guardrail asks for it.
	Guardrail string
	// Approvers are the users who may give it, in order; at most MaxApprovers.
	Approvers []string
}

// Cause is one reason of a decision.
type Cause struct {
	// Text is the cause as a person reads it.
	Text string
	// Grant is the access in short, where the cause is a grant: sales-rep:read=own.
	Grant string
	// Owner is the declaration that the access comes from, where the cause is a grant.
	Owner Ref
	// Path leads from the role held to the role whose text says it.
	Path string
	// Until is when the grant ends, or Forever.
	Until schedule.Instant
}

// Explain answers like Decide and says why.
func (p *Policy) Explain(now schedule.Instant, request *Request) Explanation {
	t := trace{}
	q := question{policy: p, now: now, request: request, levels: make([]Level, len(request.Fields))}
	effect := q.answer(&t)
	e := Explanation{Effect: effect, Levels: q.levels}
	switch effect {
	case Deny:
		e.Causes, e.NearestMiss = slices.Concat(t.revocations, t.denials), t.nearest.text
	case NeedsApproval:
		e.Causes, e.Obligations = slices.Concat(t.needs, t.grants), t.obligations
	case Allow:
		e.Causes = append(t.grants, q.caps()...)
	}
	return e
}

// trace collects causes. A nil trace collects nothing and costs nothing.
type trace struct {
	revocations []Cause
	denials     []Cause
	needs       []Cause
	grants      []Cause
	obligations []Obligation
	nearest     miss
	// widest is the grant that covers most widely, in short.
	widest      string
	widestReach reach
}

// cause is a reason that comes from no grant.
func cause(format string, args ...any) Cause {
	return Cause{Text: fmt.Sprintf(format, args...), Until: schedule.Forever}
}

// miss is something that would nearly have covered; the higher the rank, the nearer.
type miss struct {
	rank int
	text string
}

const (
	_ = iota // nothing came near
	missOtherAction
	missScope
	missWindow
)

type causeCode uint8

const (
	causeRevoked causeCode = iota
	causeNoAccount
	causeAccountState
	causeUnknownObject
	causeDisabledObject
	causeUnknownAction
	causeUnknownField
	causeNoRecord
	causeNothingCovers
	causeFieldLevel
	causeTooManyApprovals
)

// tell records a no. i is the index of the field it is about.
func (t *trace) tell(q *question, code causeCode, i int) {
	if t == nil {
		return
	}
	t.denials = append(t.denials, cause("%s", q.sentence(code, i)))
	if code == causeNothingCovers {
		t.consider(missOtherAction, q.otherActions())
		for _, c := range q.policy.wouldCover(q.now, q.request) {
			t.revocations = append(t.revocations, cause("revocation %s ended %s", c.Owner.Name, c.Grant))
		}
	}
}

// otherActions says what the user may do to the object instead, on whichever records.
func (q *question) otherActions() string {
	p, held := q.policy, uint64(0)
	for _, h := range p.holdingsOf(q.user) {
		if p.window(h).Active(q.now) {
			s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
			for j := s.start; j < s.end; j++ {
				held |= p.tuples[j].actions
			}
		}
	}
	var names []string
	for i, name := range q.object.actions.list {
		if held&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "holds nothing on " + q.object.name
	}
	return fmt.Sprintf("holds %s on %s, not %s", strings.Join(names, ", "), q.object.name, q.request.Action)
}

func (q *question) sentence(code causeCode, i int) string {
	r := q.request
	switch code {
	case causeRevoked:
		return fmt.Sprintf("revocation %s of user %s", q.policy.people[q.user].revokedBy, r.User)
	case causeNoAccount:
		return fmt.Sprintf("no account %q", r.User)
	case causeAccountState:
		return fmt.Sprintf("account state %s", q.policy.people[q.user].state)
	case causeUnknownObject:
		return fmt.Sprintf("unknown object %q", r.Object)
	case causeDisabledObject:
		return fmt.Sprintf("object %s is disabled", r.Object)
	case causeUnknownAction:
		return fmt.Sprintf("object %s has no action %q; it has %s", r.Object, r.Action, strings.Join(q.object.actions.list, ", "))
	case causeUnknownField:
		return fmt.Sprintf("object %s has no field %q", r.Object, r.Fields[i])
	case causeNoRecord:
		if r.Action == ActionCreate {
			return "create needs the proposed record"
		}
		return fmt.Sprintf("%s needs a record; only read and export can be asked of a list", r.Action)
	case causeNothingCovers:
		return "no grant covers " + r.Action + " on " + r.Object
	case causeFieldLevel:
		return fmt.Sprintf("field %s is %s, not edit%s", r.Fields[i], q.levels[i], q.capped(i))
	case causeTooManyApprovals:
		return fmt.Sprintf("more than %d rules of guardrails ask for an approval each", maxApprovals)
	}
	return "denied"
}

// covered records a grant that covers the request.
func (t *trace) covered(q *question, held int, index uint32) {
	if t == nil {
		return
	}
	source, owner, window := q.policy.sources[index], q.policy.ownersOf(q.user)[held], q.policy.window(q.policy.holdingsOf(q.user)[held])
	grant := fmt.Sprintf("%s:%s=%s", source.origin, q.request.Action, q.reach(&q.policy.tuples[index]))
	if r := q.reachOf(&q.policy.tuples[index]); r > t.widestReach {
		t.widest, t.widestReach = grant, r
	}
	text := grant + " by " + owner.String()
	if source.path != source.origin {
		text += " (" + source.path + ")"
	}
	if window.NotAfter != schedule.Forever {
		text += ", until " + window.NotAfter.String()
	}
	t.grants = append(t.grants, Cause{Text: text, Grant: grant, Owner: owner, Path: source.path, Until: window.NotAfter})
}

// reach names by what a tuple takes the record in: the scopes that do, or its selection.
func (q *question) reach(t *tuple) string {
	if q.request.Record == nil {
		return q.span(t, t.scopes)
	}
	return q.span(t, t.scopes&q.covered)
}

// span names scopes, or where there are none by what the tuple selects.
func (q *question) span(t *tuple, scopes Scopes) string {
	if scopes != 0 {
		return scopes.String()
	}
	if t.selection != none {
		s := &q.policy.selections[t.selection]
		switch {
		case len(s.ids) > 0:
			return "ids"
		case len(s.owners) > 0:
			return "owners"
		case len(s.departments) > 0:
			return "departments"
		case len(s.trees) > 0:
			return "departmentTrees"
		}
	}
	return t.scopes.String()
}

// missed considers a tuple that grants the action and does not cover the record as the nearest miss.
func (t *trace) missed(q *question, held int, index uint32) {
	if t == nil || q.policy.tuples[index].actions>>q.action&1 == 0 {
		return
	}
	source := q.policy.sources[index]
	t.consider(missScope, fmt.Sprintf("holds %s on %s (%s by %s); %s", q.request.Action, q.span(&q.policy.tuples[index], q.policy.tuples[index].scopes), source.origin, q.policy.ownersOf(q.user)[held], q.whyNot(index)))
}

// whyNot says what about the record keeps the tuple from covering it.
func (q *question) whyNot(index uint32) string {
	t := &q.policy.tuples[index]
	if q.scoped == nil {
		return fmt.Sprintf("the %s record that decides is not known", q.unknownParent())
	}
	if t.condition != none && !q.meets(t.condition) {
		where := q.object.conditions[t.condition]
		i := slices.IndexFunc(where, func(c WhereFact) bool { return !q.request.Record.meets(q.object, &c) })
		return fmt.Sprintf("the record does not meet %s %s %v", where[i].Field, where[i].Operator, where[i].Values)
	}
	if t.selection != none && t.scopes == 0 {
		return "the record is not among them"
	}
	if t.scopes.Has(ScopeDepartment) || t.scopes.Has(ScopeDepartmentAndBelow) {
		if q.scoped.Department == "" {
			return "the record is in no department"
		}
		return "the record is in department " + q.scoped.Department
	}
	if q.scoped.Owner == "" {
		return "the record belongs to nobody"
	}
	return "the record belongs to " + q.scoped.Owner
}

// unknownParent names the object of the first record on the way up that is not known.
func (q *question) unknownParent() string {
	o := q.object
	for record := q.request.Record; record != nil && o.parent != none; record = record.Parent {
		o = &q.policy.objects[o.parent]
		if record.Parent == nil {
			break
		}
	}
	return o.name
}

// dormant considers a holding outside its window as the nearest miss.
func (t *trace) dormant(q *question, held int) {
	if t == nil {
		return
	}
	h, owner := q.policy.holdingsOf(q.user)[held], q.policy.ownersOf(q.user)[held]
	window := q.policy.window(h)
	s := q.policy.spans[int(h.bundle)*len(q.policy.objects)+int(q.objectID)]
	for j := s.start; j < s.end; j++ {
		candidate := &q.policy.tuples[j]
		if candidate.actions>>q.action&1 == 0 || !q.covers(candidate) {
			continue
		}
		if q.now < window.NotBefore {
			t.consider(missWindow, fmt.Sprintf("%s would cover it from %s", owner, window.NotBefore))
		} else {
			t.consider(missWindow, fmt.Sprintf("%s covered it and ended at %s", owner, window.NotAfter))
		}
		return
	}
}

func (t *trace) consider(rank int, text string) {
	if rank > t.nearest.rank {
		t.nearest = miss{rank, text}
	}
}
