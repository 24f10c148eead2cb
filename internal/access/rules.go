package access

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The rules of guardrails that a decision asks, indexed by object and action: a question finds those that concern it
// with one look, and where there are none it asks nothing.

// guard is one rule about one action on one object.
type guard struct {
	// name is the guardrail's.
	name    string
	deny    *DenyRule
	limit   *LimitRule
	approve *ApproveRule
	// day is the place of a limit among Policy.DayLimits.
	day int
	// separate says that whoever created the record may not do the action.
	separate bool
}

// guards are the rules about one action, in the order of their guardrails and of their places in them.
type guards struct {
	forbid  []guard // deny, limit and separate
	approve []guard
}

// The channels and devices that everybody knows. A rule that names another makes it known too. What is not known counts
// as not said: a misspelt channel must not slip past a rule that names the right one.
var (
	wellKnownChannels = []string{"api", "batch", "desktop", "mobile", "web"}
	wellKnownDevices  = []string{"managed", "unmanaged"}
)

func (b *policyBuilder) indexGuardrails() {
	p := b.policy
	facts := slices.Clone(b.facts.Guardrails)
	slices.SortFunc(facts, func(x, y GuardrailFact) int {
		return cmp.Or(cmp.Compare(x.Owner.Name, y.Owner.Name), cmp.Compare(x.Position, y.Position))
	})
	channels, devices := slices.Clone(wellKnownChannels), slices.Clone(wellKnownDevices)
	for i := range facts {
		b.indexRule(facts[i].Owner.Name, &facts[i].Rule)
		if deny := facts[i].Rule.Deny; deny != nil {
			channels = append(channels, deny.When.Channels...)
			devices = append(devices, deny.When.Devices...)
		}
	}
	p.channels, p.devices = inOrder(channels), inOrder(devices)
}

// Under is the policy with other guardrails in place of its own: the same people hold the same.
func (p *Policy) Under(guardrails []GuardrailFact) *Policy {
	under := *p
	under.objects = slices.Clone(p.objects)
	for i := range under.objects {
		o := &under.objects[i]
		o.guards, o.ceiling, o.ceilings = nil, nil, nil
	}
	under.boundaries = slices.Clone(p.boundaries) // those of the former guardrails are some too many, and do no harm
	b := policyBuilder{facts: Facts{Guardrails: guardrails}, policy: &under}
	b.indexGuardrails()
	b.sortBoundaries()
	return &under
}

// indexRule takes every form that a rule has: admission lets it have one, and one that has more denies by all of them.
func (b *policyBuilder) indexRule(name string, rule *GuardrailRule) {
	if rule.Deny != nil {
		for _, window := range rule.Deny.When.Windows {
			b.policy.boundaries = append(b.policy.boundaries, window.NotBefore, window.NotAfter)
		}
		b.guard(rule.Deny.Target, guard{name: name, deny: rule.Deny})
	}
	if rule.Limit != nil {
		b.guard(rule.Limit.Target, guard{name: name, limit: rule.Limit})
	}
	if rule.Approve != nil {
		b.guard(rule.Approve.Target, guard{name: name, approve: rule.Approve})
	}
	if rule.Separate != nil {
		b.separate(name, rule.Separate)
	}
	if rule.Cap != nil {
		b.cap(name, rule.Cap)
	}
}

// guard puts a rule at every action that it is about.
func (b *policyBuilder) guard(target Target, g guard) {
	for i := range b.policy.objects {
		o := &b.policy.objects[i]
		if !namesIt(target.Objects, o.name) {
			continue
		}
		for action, name := range o.actions.list {
			if namesIt(target.Actions, name) {
				o.guard(action, g)
			}
		}
	}
}

func (o *object) guard(action int, g guard) {
	if o.guards == nil {
		o.guards = make([]guards, len(o.actions.list))
	}
	if at := &o.guards[action]; g.approve != nil {
		at.approve = append(at.approve, g)
	} else {
		for i := range at.forbid {
			if limit := at.forbid[i].limit; limit != nil && limit.MaxRowsPerDay != nil {
				g.day++
			}
		}
		at.forbid = append(at.forbid, g)
	}
}

// namesIt says whether a list of a rule names something, itself or by Any.
func namesIt(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, Any)
}

// separate turns duties into a rule about each that may follow the creation of the same record: who created a record is
// a fact of the record, who did anything else to it is not.
func (b *policyBuilder) separate(name string, rule *SeparateRule) {
	for _, duty := range rule.Duties {
		id, known := b.policy.objectIDs.find(duty.Object)
		if !known || duty.Action == ActionCreate || !slices.Contains(rule.Duties, Duty{duty.Object, ActionCreate}) {
			continue
		}
		o := &b.policy.objects[id]
		if action, known := o.actions.find(duty.Action); known {
			o.guard(int(action), guard{name: name, separate: true})
		}
	}
}

// cap lowers the ceiling of the fields that a rule is about. A level that cannot be read caps at none.
func (b *policyBuilder) cap(name string, rule *CapRule) {
	level := parsedLevel(rule.Level)
	for i := range b.policy.objects {
		o := &b.policy.objects[i]
		if !namesIt(rule.Objects, o.name) {
			continue
		}
		for field, class := range o.classes {
			if !slices.Contains(rule.Classes, class.String()) && !slices.Contains(rule.Fields, o.fields.list[field]) {
				continue
			}
			if o.ceiling == nil {
				o.ceiling, o.ceilings = slices.Clone(widest[:o.words]), make([]ceiling, len(o.classes))
				for j := range o.ceilings {
					o.ceilings[j].level = LevelEdit
				}
			}
			if level < o.ceilings[field].level {
				o.ceilings[field] = ceiling{level, name}
			}
			for l := LevelEdit; l > level; l-- {
				bit := o.levelBit(int32(field), l)
				o.ceiling[bit>>6] &^= 1 << (bit & 63)
			}
		}
	}
}

// ceiling is the highest level of a field, and which guardrail says so.
type ceiling struct {
	level Level
	by    string
}

// truth is whether something is so, as far as it was said.
type truth uint8

const (
	untrue truth = iota
	unsaid
	isTrue
)

// and asks two things, both of which must be so.
func (t truth) and(other truth) truth { return min(t, other) }

// amongKnown compares what the context says with what a rule names. Nothing named asks nothing; what is not said or not
// known may be any of them.
func amongKnown(named []string, said string, known []string) truth {
	switch {
	case len(named) == 0:
		return isTrue
	case !contains(known, said):
		return unsaid
	}
	if slices.Contains(named, said) {
		return isTrue
	}
	return untrue
}

// count is a number of the context that was said; a negative one is not.
func count(n *int64) (int64, bool) {
	if n == nil || *n < 0 {
		return 0, false
	}
	return *n, true
}

// checkGuardrails: no rule denies the request or finds it beyond a limit.
func (q *question) checkGuardrails(t *trace) Effect {
	if q.object.guards == nil {
		return Allow
	}
	effect := Allow
	for i := range q.object.guards[q.action].forbid {
		g := &q.object.guards[q.action].forbid[i]
		if !q.forbids(g) {
			continue
		}
		effect = Deny
		if t == nil {
			return effect
		}
		t.forbidden(q, g)
	}
	return effect
}

func (q *question) forbids(g *guard) bool {
	switch {
	case g.deny != nil:
		return q.denies(&g.deny.When) != untrue
	case g.limit != nil:
		return q.exceedsRequest(g.limit) || q.exceedsDay(g) || q.exceedsOwned(g.limit)
	case g.separate:
		return q.request.Record == nil || q.request.Record.Creator == "" || q.request.Record.Creator == q.request.User
	}
	return true
}

func (q *question) denies(when *DenyWhen) truth {
	c, p := &q.request.Context, q.policy
	if when.ReasonMissing && c.Reason != "" {
		return untrue
	}
	if len(when.Windows) > 0 && !slices.ContainsFunc(when.Windows, func(s Span) bool { return s.Active(q.now) }) {
		return untrue
	}
	return amongKnown(when.Channels, c.Channel, p.channels).and(amongKnown(when.Devices, c.Device, p.devices))
}

func (q *question) exceedsRequest(limit *LimitRule) bool {
	if limit.MaxRowsPerRequest == nil {
		return false
	}
	rows, said := count(q.request.Context.Rows)
	return !said || rows > *limit.MaxRowsPerRequest
}

func (q *question) exceedsDay(g *guard) bool {
	limit := g.limit
	if limit.MaxRowsPerDay == nil {
		return false
	}
	rows, said := count(q.request.Context.Rows)
	used, saidToo := q.used(g)
	return !said || !saidToo || used > *limit.MaxRowsPerDay || rows > *limit.MaxRowsPerDay-used
}

// used is how many rows count for a limit, if that was said.
func (q *question) used(g *guard) (int64, bool) {
	if c := &q.request.Context; g.day < len(c.UsedOf) {
		return count(&c.UsedOf[g.day])
	}
	return count(q.request.Context.Used)
}

func (q *question) exceedsOwned(limit *LimitRule) bool {
	if limit.MaxRecordsOwned == nil {
		return false
	}
	owned, said := count(q.request.Context.Owned)
	return !said || owned >= *limit.MaxRecordsOwned
}

// checkApproval: every rule that matches has an approver of its own.
func (q *question) checkApproval(t *trace) Effect {
	if q.object.guards == nil {
		return Allow
	}
	var matching [maxApprovals]*guard
	n := 0
	for i := range q.object.guards[q.action].approve {
		g := &q.object.guards[q.action].approve[i]
		if !q.needsApproval(&g.approve.When) {
			continue
		}
		if n == len(matching) {
			t.tell(q, causeTooManyApprovals, 0)
			return Deny // nobody is asked in vain
		}
		matching[n] = g
		n++
	}
	if n == 0 || q.approved(matching[:n]) {
		return Allow
	}
	t.awaits(q, matching[:n])
	return NeedsApproval
}

// maxApprovals is how many approve rules one request can match.
const maxApprovals = 16

// needsApproval asks when the rule asks for approval. What it needs to know and the context does not say, counts as so.
func (q *question) needsApproval(when *ApproveWhen) bool {
	if when.RowsOver != nil {
		if rows, said := count(q.request.Context.Rows); said && rows <= *when.RowsOver {
			return false
		}
	}
	if when.OtherDepartment && !q.leavesDepartment() {
		return false
	}
	if when.ScopeAtMost != "" {
		return q.widestReach() <= reachOf(when.ScopeAtMost)
	}
	return true
}

// leavesDepartment says whether the target is, for all that was said, in another department than the record.
func (q *question) leavesDepartment() bool {
	c := &q.request.Context
	if q.scoped == nil || q.recordDepartment == none || (c.TargetDepartment == "" && c.TargetUser == "") {
		return true
	}
	if c.TargetDepartment != "" && c.TargetDepartment != q.scoped.Department {
		return true
	}
	if c.TargetUser == "" {
		return false
	}
	target, known := q.policy.find(c.TargetUser)
	return !known || !slices.Contains(q.policy.departmentsOf(target), q.recordDepartment)
}

// reach orders how widely a tuple takes records in: the scopes in their order, then a selection of records.
type reach uint8

const (
	reachNothing   reach = 0
	reachSelection reach = 8
)

func reachOf(scope string) reach { return reach(slices.Index(scopeNames[:], scope) + 1) }

// widestReach is the widest way in which the subject's live tuples, or those of shares, cover the record with the action.
func (q *question) widestReach() reach { return max(q.widestOwn(), q.widestShared()) }

func (q *question) widestOwn() reach {
	p, widestSoFar := q.policy, reachNothing
	for _, h := range p.holdingsOf(q.user) {
		if !p.window(h).Active(q.now) {
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			if t := &p.tuples[j]; t.actions>>q.action&1 != 0 && q.covers(t) {
				widestSoFar = max(widestSoFar, q.reachOf(t))
			}
		}
	}
	return widestSoFar
}

func (q *question) reachOf(t *tuple) reach {
	scopes := t.scopes
	if q.request.Record != nil {
		scopes &= q.covered
	}
	if scopes == 0 || (t.selection != none && (q.request.Record == nil || q.selects(&q.policy.selections[t.selection]))) {
		return reachSelection
	}
	widestScope := reachNothing
	for i := range scopeNames {
		if scopes.Has(1 << i) {
			widestScope = reach(i + 1)
		}
	}
	return widestScope
}

// approved says whether the people who approved the request can be shared out among the rules, so that each has one of
// its own.
func (q *question) approved(rules []*guard) bool {
	people := q.request.Context.ApprovedBy
	if len(people) < len(rules) {
		return false
	}
	rules, parties := slices.Clone(rules), q.parties() // the caller's live on the stack, what a closure holds does not
	m := matching{people: len(people), fits: func(rule, i int) bool {
		return !slices.Contains(people[:i], people[i]) && q.mayApprove(people[i], rules[rule].approve.By, parties)
	}}
	return m.all(len(rules))
}

// matching gives each rule a person of its own, moving those who already have one where that helps (Kuhn 1955).
type matching struct {
	people int
	fits   func(rule, person int) bool
	rules  []int // by person, one more than the rule; zero where there is none
	asked  []bool
}

func (m *matching) all(rules int) bool {
	m.rules = make([]int, m.people)
	for rule := range rules {
		m.asked = make([]bool, m.people)
		if !m.give(rule) {
			return false
		}
	}
	return true
}

func (m *matching) give(rule int) bool {
	for person := range m.people {
		if m.asked[person] || !m.fits(rule, person) {
			continue
		}
		m.asked[person] = true
		if other := m.rules[person]; other == 0 || m.give(other-1) {
			m.rules[person] = rule + 1
			return true
		}
	}
	return false
}

// parties are those for whom an approval is: the user and, where only shares cover the action, their makers, who would
// else have others do with the record what they may not do unapproved.
func (q *question) parties() []int32 {
	if !q.policy.received.concern(q.user) || q.widestOwn() != reachNothing {
		return []int32{q.user}
	}
	return append([]int32{q.user}, q.makers()...)
}

// mayApprove says whether somebody is one of those who may approve what is asked: never a party to it.
func (q *question) mayApprove(person string, by []Approver, parties []int32) bool {
	id, known := q.policy.find(person)
	if !known || slices.Contains(parties, id) || !q.policy.approving(id) {
		return false
	}
	return slices.ContainsFunc(by, func(a Approver) bool {
		switch {
		case a.ManagerOfSubject:
			return q.policy.managerOf(parties) == id
		case a.Role != "":
			return q.policy.holds(id, a.Role, q.now)
		}
		return a.User == person
	})
}

// approving says whether an account is one that may approve at all: an active person of the company.
func (p *Policy) approving(user int32) bool {
	return p.accounts[user].active && p.people[user].userType == UserEmployee
}

// managerOf is the one who is the manager of each party: the next one up its reporting line who may approve and is no
// party. It is none where they have none in common.
func (p *Policy) managerOf(parties []int32) int32 {
	manager := p.managerAbove(parties[0], parties)
	for _, party := range parties[1:] {
		if p.managerAbove(party, parties) != manager {
			return none
		}
	}
	return manager
}

func (p *Policy) managerAbove(user int32, parties []int32) int32 {
	// A line that facts have tampered with into a cycle ends after as many steps as there are accounts.
	for range p.people {
		if user = p.people[user].manager; user == none || (p.approving(user) && !slices.Contains(parties, user)) {
			return user
		}
	}
	return none
}

// holds says whether a user holds a role or an heir of it.
func (p *Policy) holds(user int32, role string, now schedule.Instant) bool {
	for i, h := range p.holdingsOf(user) {
		if held := p.roles[int(p.accounts[user].holdings)+i]; held != "" && p.window(h).Active(now) && (held == role || contains(p.lineage[held], role)) {
			return true
		}
	}
	return false
}
