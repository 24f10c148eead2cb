package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Decide answers a request at an instant and fills levels with the level of each field asked for; of a denied request
// all are none. Where levels is as long as the request's fields, Decide does not allocate.
func (p *Policy) Decide(now schedule.Instant, request *Request, levels []Level) Effect {
	if len(levels) != len(request.Fields) {
		levels = make([]Level, len(request.Fields)) // a field below edit denies an update whether or not the level is wanted
	}
	effect, _ := p.Judge(now, request, levels)
	return effect
}

// Judge is Decide with the stage that decided. levels must be as long as the request's fields.
func (p *Policy) Judge(now schedule.Instant, request *Request, levels []Level) (Effect, Stage) {
	var q question
	q.policy, q.now, q.request, q.levels = p, now, request, levels
	return q.answer(nil), Stage{q.decidedBy}
}

// Stage is a stage of a decision (design §4).
type Stage struct{ step }

// String is the stage as the log of decisions names it; of an allow it is "allowed".
func (s Stage) String() string {
	return nameOf([]string{"revocation", "account", "catalogue", "guardrails", "grants", "approval", "fields", "allowed"}, int(s.step))
}

// question is one evaluation under way.
type question struct {
	policy  *Policy
	now     schedule.Instant
	request *Request
	levels  []Level

	account *account
	user    int32
	known   bool // whether the user is
	object  *object
	// objectID indexes the spans of bundles.
	objectID int32
	action   uint8 // its bit
	state    recordState
	gained   gains    // of the tuples so far
	fields   [8]int32 // of the first fields asked for; further ones are looked up again

	// Equal sets of conditions are asked once: which of the first 64 were asked, and which of these hold.
	conditionsKnown, conditionsHold uint64

	// covered holds the scopes by which the user stands to the record.
	covered          Scopes
	decidedBy        step // steps where nothing says no
	recordDepartment int32
	scoped           *Record // whose owner and department decide: the record's own, or its parent's
}

// step is one stage of a decision, in the order of design §4.
type step uint8

const (
	stepRevocation step = iota
	stepAccount
	stepCatalogue
	stepGuardrails
	stepGrants
	stepApproval
	stepFields
	steps
)

// answer goes through the stages in order. Without a trace the first deny ends it; with one, every stage that can still
// speak does, so that all causes are told. The answer is the same.
func (q *question) answer(t *trace) Effect {
	effect := Allow
	q.decidedBy = steps
	for s := range steps {
		e, done := q.take(s, t)
		if e < effect {
			effect, q.decidedBy = e, s
		}
		if done || (effect == Deny && t == nil) {
			break
		}
	}
	if effect != Allow {
		clear(q.levels)
	}
	return effect
}

// take is the order of a decision. done means that no later stage can be asked.
func (q *question) take(s step, t *trace) (effect Effect, done bool) {
	switch s {
	case stepRevocation:
		return q.checkRevocation(t), false
	case stepAccount:
		return q.checkAccount(t)
	case stepCatalogue:
		return q.checkCatalogue(t)
	case stepGuardrails:
		return q.checkGuardrails(t), false
	case stepGrants:
		return q.checkGrants(t), false
	case stepApproval:
		return q.checkApproval(t), false
	case stepFields:
		return q.checkFields(t), false
	}
	return Deny, true
}

// checkRevocation: no revocation covers the user. What revocations end of the user's grants is set aside already.
func (q *question) checkRevocation(t *trace) Effect {
	if q.user, q.known = q.policy.find(q.request.User); !q.known {
		return Allow // no account: the next stage says so
	}
	q.account = &q.policy.accounts[q.user]
	if q.account.active || q.policy.people[q.user].revokedBy == "" {
		return Allow
	}
	t.tell(q, causeRevoked, 0)
	return Deny
}

// checkAccount: the user exists and is Active.
func (q *question) checkAccount(t *trace) (Effect, bool) {
	if !q.known {
		t.tell(q, causeNoAccount, 0)
		return Deny, true
	}
	if !q.account.active && q.policy.people[q.user].state != StateActive {
		t.tell(q, causeAccountState, 0)
		return Deny, false
	}
	return Allow, false
}

// checkCatalogue: object, action and fields are declared, and the question is one that can be asked.
func (q *question) checkCatalogue(t *trace) (Effect, bool) {
	id, known := q.policy.objectIDs.find(q.request.Object)
	if !known {
		t.tell(q, causeUnknownObject, 0)
		return Deny, true
	}
	q.objectID, q.object = id, &q.policy.objects[id]
	effect := Allow
	if !q.object.enabled {
		t.tell(q, causeDisabledObject, 0)
		effect = Deny
	}
	bit, known := q.object.actions.find(q.request.Action)
	if !known {
		t.tell(q, causeUnknownAction, 0)
		return Deny, true
	}
	q.action = uint8(bit)
	for i, name := range q.request.Fields {
		field, known := q.object.fields.find(name)
		if !known {
			t.tell(q, causeUnknownField, i)
			return Deny, true
		}
		if i < len(q.fields) {
			q.fields[i] = field
		}
	}
	if e, done := q.checkRecord(t); e == Deny {
		return e, done
	}
	return effect, false
}

// checkRecord: only read (to list) and export can be asked without a record.
func (q *question) checkRecord(t *trace) (Effect, bool) {
	action := q.request.Action
	if action == ActionCreate {
		q.state = proposed
	}
	if q.request.Record == nil {
		if action == ActionRead || action == ActionExport {
			return Allow, false
		}
		t.tell(q, causeNoRecord, 0)
		return Deny, true
	}
	q.standTo(q.request.Record)
	return Allow, false
}

// standTo finds by which scopes the user stands to the record: once a question, not once a tuple.
func (q *question) standTo(record *Record) {
	q.covered, q.recordDepartment, q.scoped = ScopeAll, none, record
	for o := q.object; o.parent != none; o = &q.policy.objects[o.parent] {
		if q.scoped = q.scoped.Parent; q.scoped == nil {
			return // the parent's facts are unknown: nothing but all covers the child
		}
	}
	record = q.scoped
	switch {
	case record.Owner != "" && record.Owner == q.request.User:
		q.covered |= ScopeOwn
	case q.leads(record.Owner):
		q.covered |= ScopeSubordinates
	}
	if slices.Contains(record.Participants, q.request.User) {
		q.covered |= ScopeInvolved
	}
	department, known := q.policy.departments.find(record.Department)
	if !known {
		return
	}
	q.recordDepartment = department
	departments := q.policy.departmentsOf(q.user)
	if slices.Contains(departments, department) {
		q.covered |= ScopeDepartment | ScopeDepartmentAndBelow
		return
	}
	for _, ancestor := range q.policy.ancestors[department] {
		if slices.Contains(departments, ancestor) {
			q.covered |= ScopeDepartmentAndBelow
			return
		}
	}
}

// leads says whether the reporting line of the user of that name contains the one who asks. Most have nobody below
// them, and of these there is nothing to look up.
func (q *question) leads(name string) bool {
	if q.account.last == q.user+1 {
		return false
	}
	user, known := q.policy.users.find(name)
	return known && q.user < user && user < q.account.last
}

// checkGrants: at least one live grant covers action and record. On the way it takes the level of every field asked
// for: on a record, the widest over the tuples that cover it, whatever their action; without one, the narrowest over
// those that answer, which is what holds on every record of the list.
func (q *question) checkGrants(t *trace) Effect {
	var effect Effect
	if t == nil && q.request.Record != nil {
		effect = q.sumGrants()
	} else {
		effect = q.walkGrants(t)
	}
	if q.object.ceiling != nil {
		q.gained.narrow(q.object.ceiling)
	}
	for i, name := range q.request.Fields {
		var field int32
		if i < len(q.fields) {
			field = q.fields[i]
		} else {
			field, _ = q.object.fields.find(name)
		}
		q.levels[i] = q.object.level(&q.gained, field)
	}
	if effect == Deny {
		t.tell(q, causeNothingCovers, 0)
	}
	return effect
}

// walkGrants goes through the tuples one by one: for the questions that a cell cannot answer, and to explain.
func (q *question) walkGrants(t *trace) Effect {
	effect, p := Deny, q.policy
	if q.request.Record == nil {
		q.gained = widest
	}
	for i, h := range p.holdingsOf(q.user) {
		if !p.window(h).Active(q.now) {
			t.dormant(q, i)
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			candidate := &p.tuples[j]
			answers := candidate.actions>>q.action&1 != 0
			if !q.covers(candidate) {
				t.missed(q, i, j)
				continue
			}
			if answers {
				effect = Allow
				t.covered(q, i, j)
			}
			switch {
			case q.request.Record != nil:
				q.gained.widen(p.gainsOf(q.object, candidate.gains[q.state]))
			case answers:
				q.gained.narrow(p.gainsOf(q.object, candidate.gains[q.state]))
			}
		}
	}
	return max(effect, q.walkReceived(t))
}

// covers says whether the tuple's scopes or selection, and its conditions, take the record in.
func (q *question) covers(t *tuple) bool {
	if q.request.Record == nil {
		return true
	}
	return q.takesIn(t.scopes, t.condition, t.selection)
}

func (q *question) takesIn(scopes Scopes, condition, selection int32) bool {
	if scopes&q.covered == 0 && (selection == none || !q.selects(&q.policy.selections[selection])) {
		return false
	}
	return condition == none || q.meets(condition)
}

func (q *question) selects(s *selection) bool {
	if len(s.ids) > 0 && q.request.Record.ID != "" && contains(s.ids, q.request.Record.ID) {
		return true
	}
	if q.scoped == nil {
		return false
	}
	if len(s.owners) > 0 && q.scoped.Owner != "" && contains(s.owners, q.scoped.Owner) {
		return true
	}
	if q.recordDepartment == none {
		return false
	}
	if slices.Contains(s.departments, q.recordDepartment) {
		return true
	}
	return len(s.trees) > 0 && slices.ContainsFunc(q.policy.ancestors[q.recordDepartment], func(a int32) bool { return slices.Contains(s.trees, a) })
}

// meets says whether the record meets a set of conditions of the object.
func (q *question) meets(condition int32) bool {
	if condition >= 64 {
		return q.meetsAll(condition)
	}
	bit := uint64(1) << condition
	if q.conditionsKnown&bit == 0 {
		q.conditionsKnown |= bit
		if q.meetsAll(condition) {
			q.conditionsHold |= bit
		}
	}
	return q.conditionsHold&bit != 0
}

func (q *question) meetsAll(condition int32) bool {
	where := q.object.conditions[condition]
	for i := range where {
		if !q.request.Record.meets(q.object, &where[i]) {
			return false
		}
	}
	return true
}

// contains searches names that are in order.
func contains(names []string, name string) bool {
	_, found := slices.BinarySearch(names, name)
	return found
}

// checkFields: an update or create that names a field below edit is denied; unmask shows what is masked.
func (q *question) checkFields(t *trace) Effect {
	effect := Allow
	for i, level := range q.levels {
		switch q.request.Action {
		case ActionUpdate, ActionCreate:
			if level < LevelEdit {
				t.tell(q, causeFieldLevel, i)
				effect = Deny
			}
		case ActionUnmask:
			if level == LevelMasked {
				q.levels[i] = LevelRead
			}
		}
	}
	return effect
}
