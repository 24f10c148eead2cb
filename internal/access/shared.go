package access

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// ShareFact is one record that somebody shares with somebody else for a while: a fact of the run, which no declaration
// asks for. It gives the recipient nothing of its own, only what the maker has on the record at that instant.
type ShareFact struct {
	ID        string
	Maker     string
	Recipient string
	Object    string
	// Record is the id of the record. It is the object's own record, also where another's decides about it.
	Record  string
	Actions []string
	// Level is the highest level of a field.
	Level Level
	// Restricted makes every field but OnlyFields none.
	Restricted bool
	OnlyFields []string
	Window     schedule.Window
}

// MayBeShared says whether an action can be shared at all: what creates a record is not about one that is there, and who
// was given a share does not pass it on.
func MayBeShared(action string) bool { return action != ActionCreate && action != ActionShare }

// received are the shares of a policy by recipient. A share is worth, at any instant, the maker's own tuples that take the
// record in, each cut to what the share names: undivided as they are, never more than the maker has, and nothing once the
// maker has nothing. The maker's own are those of bindings and temporary grants, so that shares do not chain.
type received struct {
	recipients []uint64            // a bit an account: most have received nothing, and it costs them no more than this
	shares     map[int32][]receipt // by account, in the order of object, record, maker and id
	boundaries []schedule.Instant
}

// receipt is one share, indexed.
type receipt struct {
	object  int32
	maker   int32
	actions uint64
	gains   []uint64 // on a stored record
	fact    *ShareFact
}

// WithShares is the policy with just these shares. It compiles nothing anew, and shares all else with p; nil is without
// shares, which is what somebody's own access is.
func (p *Policy) WithShares(facts []ShareFact) *Policy {
	next := *p
	next.received = nil
	r := &received{recipients: make([]uint64, len(p.accounts)/64+1), shares: make(map[int32][]receipt)}
	for i := range facts {
		recipient, receipt, counts := p.receipt(&facts[i])
		if !counts {
			continue
		}
		r.recipients[recipient>>6] |= 1 << (recipient & 63)
		r.shares[recipient] = append(r.shares[recipient], receipt)
		r.boundaries = append(r.boundaries, facts[i].Window.NotBefore, facts[i].Window.NotAfter)
	}
	if len(r.shares) == 0 {
		return &next
	}
	for _, list := range r.shares {
		slices.SortFunc(list, func(x, y receipt) int {
			return cmp.Or(cmp.Compare(x.fact.Object, y.fact.Object), cmp.Compare(x.fact.Record, y.fact.Record),
				cmp.Compare(x.fact.Maker, y.fact.Maker), cmp.Compare(x.fact.ID, y.fact.ID))
		})
	}
	slices.Sort(r.boundaries)
	next.received = r
	return &next
}

// receipt indexes a share. What names nobody and nothing that is declared counts for nothing, and an External receives
// only named fields (design §4).
func (p *Policy) receipt(fact *ShareFact) (recipient int32, r receipt, counts bool) {
	recipient, known := p.find(fact.Recipient)
	maker, knownToo := p.find(fact.Maker)
	object, declared := p.objectIDs.find(fact.Object)
	if !known || !knownToo || !declared || recipient == maker || fact.Record == "" || fact.Window.Empty() {
		return none, receipt{}, false
	}
	if p.people[recipient].userType == UserExternal && !fact.Restricted {
		return none, receipt{}, false
	}
	o := &p.objects[object]
	r = receipt{object: object, maker: maker, fact: fact}
	for _, action := range fact.Actions {
		if MayBeShared(action) {
			r.actions |= o.bit(action)
		}
	}
	r.gains = o.shareGains(fact, r.actions)
	return recipient, r, r.actions != 0
}

// shareGains are the most that a share gives on a stored record: like a tuple it reaches edit only by update, and read
// only by read or update.
func (o *object) shareGains(fact *ShareFact, actions uint64) []uint64 {
	level := fact.Level
	switch {
	case actions&o.update != 0:
	case actions&o.read != 0:
		level = min(level, LevelRead)
	default:
		level = LevelNone
	}
	g := gains{0: actions}
	for field, name := range o.fields.list {
		if fact.Restricted && !slices.Contains(fact.OnlyFields, name) {
			continue
		}
		for l := level; l > LevelNone; l-- {
			g.add(o.levelBit(int32(field), l))
		}
	}
	return slices.Clone(g[:o.words])
}

// concern says whether an account has received anything at all.
func (r *received) concern(user int32) bool {
	return r != nil && r.recipients[user>>6]>>(user&63)&1 != 0
}

// counts says whether a share is about what is asked, now. A share whose maker is gone, or away, is worth nothing.
func (q *question) counts(r *receipt) bool {
	return r.object == q.objectID && q.state == stored && (q.request.Record == nil || q.request.Record.ID == r.fact.Record) &&
		r.fact.Window.Active(q.now) && q.policy.accounts[r.maker].active
}

// asMaker asks the same for the maker of a share; request is where that question stands.
func (q *question) asMaker(maker int32, request *Request) (m question) {
	*request = *q.request
	request.User = q.policy.users.list[maker]
	m.policy, m.now, m.request = q.policy, q.now, request
	m.account, m.user, m.known = &q.policy.accounts[maker], maker, true
	m.object, m.objectID, m.action, m.state = q.object, q.objectID, q.action, q.state
	if request.Record != nil {
		m.standTo(request.Record)
	}
	return m
}

// sumReceived adds what shares give on the record.
func (q *question) sumReceived() {
	list := q.policy.received.shares[q.user]
	for i := range list {
		r := &list[i]
		if !q.counts(r) || !q.gained.lacks(r.gains) {
			continue
		}
		var request Request
		m := q.asMaker(r.maker, &request)
		m.sumHoldings()
		m.gained.narrow(r.gains)
		q.gained.widen(m.gained[:q.object.words])
	}
}

// walkReceived goes through the tuples of shares one by one, as walkGrants does through the user's own.
func (q *question) walkReceived(t *trace) Effect {
	if !q.policy.received.concern(q.user) {
		return Deny
	}
	effect, list := Deny, q.policy.received.shares[q.user]
	for i := range list {
		r := &list[i]
		if !q.counts(r) {
			t.lapsed(q, r)
			continue
		}
		if q.walkShare(r, t) == Allow {
			effect = Allow
		}
	}
	return effect
}

// walkShare takes from each of the maker's tuples what the share names of it.
func (q *question) walkShare(r *receipt, t *trace) Effect {
	effect, p := Deny, q.policy
	var request Request
	m := q.asMaker(r.maker, &request)
	for i, h := range p.holdingsOf(m.user) {
		if !p.window(h).Active(q.now) {
			continue
		}
		s := p.spans[int(h.bundle)*len(p.objects)+int(q.objectID)]
		for j := s.start; j < s.end; j++ {
			candidate := &p.tuples[j]
			if !m.covers(candidate) {
				continue
			}
			part := gains{}
			copy(part[:], p.gainsOf(q.object, candidate.gains[stored]))
			part.narrow(r.gains)
			answers := candidate.actions&r.actions>>q.action&1 != 0
			if answers {
				effect = Allow
				t.shared(&m, r, i, j)
			}
			switch {
			case q.request.Record != nil:
				q.gained.widen(part[:q.object.words])
			case answers:
				q.gained.narrow(part[:q.object.words])
			}
		}
	}
	if effect == Deny {
		t.unbacked(q, r)
	}
	return effect
}

// widestShared is the widest way in which a share covers the record with the action: the maker's own way, so that what
// needs an approval of the maker does not slip through by a share.
func (q *question) widestShared() reach {
	if !q.policy.received.concern(q.user) {
		return reachNothing
	}
	widestSoFar, list := reachNothing, q.policy.received.shares[q.user]
	for i := range list {
		if r := &list[i]; q.counts(r) && r.actions>>q.action&1 != 0 {
			var request Request
			m := q.asMaker(r.maker, &request)
			widestSoFar = max(widestSoFar, m.widestOwn())
		}
	}
	return widestSoFar
}

// makers are those without whose shares the answer would be less, in the order of their names: nothing of the user's own
// covers the record with the action, or gives a field that is asked for as much.
func (q *question) makers() (makers []int32) {
	var own gains
	covered := q.widestOwn() != reachNothing
	if q.givesFields() {
		alone := *q
		alone.gained = gains{}
		alone.sumHoldings()
		own = alone.gained
	}
	for i := range q.policy.received.shares[q.user] {
		r := &q.policy.received.shares[q.user][i]
		if !q.counts(r) || slices.Contains(makers, r.maker) {
			continue
		}
		var request Request
		m := q.asMaker(r.maker, &request)
		if !covered && r.actions>>q.action&1 != 0 && m.widestOwn() != reachNothing || q.raised(&m, r, &own) {
			makers = append(makers, r.maker)
		}
	}
	slices.SortFunc(makers, func(x, y int32) int { return cmp.Compare(q.policy.users.list[x], q.policy.users.list[y]) })
	return makers
}

// givesFields says whether shares can raise what is asked for: of a list they only narrow it.
func (q *question) givesFields() bool { return q.request.Record != nil && len(q.request.Fields) > 0 }

// raised says whether a field that is asked for has a higher level by a share than by the user's own tuples.
func (q *question) raised(maker *question, r *receipt, own *gains) bool {
	if !q.givesFields() {
		return false
	}
	maker.sumHoldings()
	maker.gained.narrow(r.gains)
	both := *own
	both.widen(maker.gained[:q.object.words])
	return slices.ContainsFunc(q.request.Fields, func(name string) bool {
		field, known := q.object.fields.find(name)
		return known && q.shown(&both, field) > q.shown(own, field)
	})
}

// shown is the level of a field that an answer would tell.
func (q *question) shown(g *gains, field int32) Level {
	level := q.object.level(g, field)
	if q.object.ceiling != nil {
		level = min(level, q.object.ceilings[field].level)
	}
	if q.request.Action == ActionUnmask && level == LevelMasked {
		return LevelRead
	}
	return level
}

// shared records a share that covers the request by one of the maker's grants.
func (t *trace) shared(m *question, r *receipt, held int, index uint32) {
	if t == nil {
		return
	}
	source, owner := m.policy.sources[index], m.policy.ownersOf(m.user)[held]
	end := min(r.fact.Window.NotAfter, m.policy.window(m.policy.holdingsOf(m.user)[held]).NotAfter)
	grant := fmt.Sprintf("%s:%s=%s", source.origin, m.request.Action, m.reach(&m.policy.tuples[index]))
	if reached := m.reachOf(&m.policy.tuples[index]); reached > t.widestReach {
		t.widest, t.widestReach = grant, reached
	}
	text := fmt.Sprintf("shared by %s until %s, who has %s by %s", r.fact.Maker, r.fact.Window.NotAfter, grant, owner)
	t.grants = append(t.grants, Cause{Text: text, Grant: grant, Owner: Ref{KindShare, r.fact.ID}, Path: source.path, Until: end})
}

// lapsed considers a share of the record outside its window, or of somebody without access, as the nearest miss.
func (t *trace) lapsed(q *question, r *receipt) {
	if t == nil || r.object != q.objectID || q.request.Record == nil || q.request.Record.ID != r.fact.Record || r.actions>>q.action&1 == 0 {
		return
	}
	if end := r.fact.Window.NotAfter; end <= q.now {
		t.consider(missWindow, fmt.Sprintf("%s shared it until %s", r.fact.Maker, end))
		return
	}
	t.unbacked(q, r)
}

// unbacked considers a share whose maker has no such access any more as the nearest miss.
func (t *trace) unbacked(q *question, r *receipt) {
	if t != nil && r.actions>>q.action&1 != 0 {
		t.consider(missScope, fmt.Sprintf("%s shares it, and does not hold %s on it now", r.fact.Maker, q.request.Action))
	}
}

// clausesOfShares are a list's records that others share with the user: each maker's clauses, on the records that the
// maker shares.
func (q *question) clausesOfShares(free Scopes) (clauses []Clause) {
	if !q.policy.received.concern(q.user) {
		return nil
	}
	records := make(map[int32][]string) // by maker
	for i := range q.policy.received.shares[q.user] {
		if r := &q.policy.received.shares[q.user][i]; q.counts(r) && r.actions>>q.action&1 != 0 {
			records[r.maker] = append(records[r.maker], r.fact.Record)
		}
	}
	for _, maker := range slices.Sorted(maps.Keys(records)) {
		var request Request
		m := q.asMaker(maker, &request)
		for _, c := range m.clauses(free) {
			c.Among = sorted(records[maker])
			clauses = append(clauses, c)
		}
	}
	return clauses
}

// OwnActions are what somebody may do to a record by bindings and temporary grants alone, whatever guardrails say: what
// they can share. Nobody unknown or away has any.
func (p *Policy) OwnActions(now schedule.Instant, user, object string, record *Record) (actions []string) {
	own := *p
	own.received = nil
	q := question{policy: &own, now: now, request: &Request{User: user, Object: object, Record: record}}
	id, known := p.find(user)
	objectID, declared := p.objectIDs.find(object)
	if !known || !declared || !p.accounts[id].active || !p.objects[objectID].enabled || record == nil {
		return nil
	}
	q.user, q.known, q.account = id, true, &p.accounts[id]
	q.object, q.objectID = &p.objects[objectID], objectID
	q.standTo(record)
	q.sumHoldings()
	for bit, name := range q.object.actions.list {
		if q.gained.has(bit) {
			actions = append(actions, name)
		}
	}
	return actions
}
