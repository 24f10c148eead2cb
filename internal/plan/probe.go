package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What rules of guardrails do is found by asking the engine: somebody who may do everything, where it does not depend on
// who asks, and each of those concerned where it does. A rule takes part in a difference only where it answers differently
// when it is the only rule, too.

// prober asks the engine about edits of rules.
type prober struct {
	*comparison
	spans []schedule.Window // in which no rule of either state begins or ends

	anybody           [states]*access.Policy // somebody who may do everything, under all rules of a state
	ceilingsUnder     *access.Policy         // the catalogue of head under the rules of base
	channels, devices []string               // that any rule asks about, and what is not said

	// asked, made where somebody must be asked in person, are who holds what in base and in head, each under its own rules,
	// and who holds what in head under the rules of base.
	asked [states]*access.Policy
	under *access.Policy
}

// anyone is the name of somebody who may do everything. No manifest can name them.
const anyone = "?"

func newProber(c *comparison) *prober {
	p := &prober{comparison: c, spans: c.ruleSpans()}
	everything := access.Facts{
		Objects: c.head.Facts.Objects, Fields: c.head.Facts.Fields,
		Users:   []access.UserFact{{User: anyone, Type: access.UserEmployee, State: access.StateActive}},
		Holders: []access.HolderFact{{User: anyone, Bundle: anyone, Window: schedule.Unbounded}},
	}
	for _, o := range c.head.Facts.Objects {
		everything.Tuples = append(everything.Tuples, access.TupleFact{Bundle: anyone, Tuple: &access.Tuple{
			Digest: o.Object, Origin: anyone, Object: o.Object, Actions: o.Actions, Scopes: access.ScopeAll.Names(),
		}})
	}
	policy := access.NewPolicy(everything)
	p.channels, p.devices = []string{"", "api", "batch", "desktop", "mobile", "web"}, []string{"", "managed", "unmanaged"}
	for s := range states {
		p.anybody[s] = policy.Under(c.side(s).Facts.Guardrails)
		for i := range c.side(s).Facts.Guardrails {
			if deny := c.side(s).Facts.Guardrails[i].Rule.Deny; deny != nil {
				p.channels, p.devices = append(p.channels, deny.When.Channels...), append(p.devices, deny.When.Devices...)
			}
		}
	}
	slices.Sort(p.channels)
	slices.Sort(p.devices)
	p.channels, p.devices = slices.Compact(p.channels), slices.Compact(p.devices)
	p.ceilingsUnder = c.head.org.Under(c.base.Facts.Guardrails)
	return p
}

// ruleSpans are the spans from Options.At on in which no window of a rule, of either state, begins or ends.
func (c *comparison) ruleSpans() (spans []schedule.Window) {
	instants := []schedule.Instant{c.options.At, schedule.Forever}
	for s := range states {
		for i := range c.side(s).Facts.Guardrails {
			deny := c.side(s).Facts.Guardrails[i].Rule.Deny
			if deny == nil {
				continue
			}
			for _, w := range deny.When.Windows {
				for _, at := range [...]schedule.Instant{w.NotBefore, w.NotAfter} {
					if at > c.options.At {
						instants = append(instants, at)
					}
				}
			}
		}
	}
	slices.Sort(instants)
	instants = slices.Compact(instants)
	for i := range instants[1:] {
		spans = append(spans, schedule.Window{NotBefore: instants[i], NotAfter: instants[i+1]})
	}
	return spans
}

// The two directions in which an answer may differ.
const (
	gaining = iota
	losing
	directions
)

// point is an action on an object, or a level of one of its fields, with when its answers differ for the edit, by direction.
type point struct {
	object, action string
	field          FieldLevel // where action is empty; one level
	windows        [directions][]schedule.Window
}

// isGivenBy says whether a tuple of a state gives what the point is about.
func (at *point) isGivenBy(m access.Module, t *access.Tuple) bool {
	if t.Object != at.object || !m.Enabled() {
		return false
	}
	if at.action != "" {
		return slices.Contains(t.Actions, at.action)
	}
	onStored, onProposed := m.Levels(t)
	levels := onStored
	if at.field.Proposed {
		levels = onProposed
	}
	i := slices.Index(m.Fields(), at.field.Field)
	return i >= 0 && levels[i] >= at.field.Level
}

// alone is a policy of somebody who may do everything under one rule, or none.
func (p *prober) alone(rule *access.GuardrailRule) *access.Policy {
	return p.anybody[after].Under(onlyRule(rule))
}

func onlyRule(rule *access.GuardrailRule) []access.GuardrailFact {
	if rule == nil {
		return nil
	}
	return []access.GuardrailFact{{Owner: access.Ref{Kind: access.KindGuardrail, Name: anyone}, Rule: *rule}}
}

// pairs are the actions on objects of head that an edit is about, before or after.
func (p *prober) pairs(e *ruleEdit) (pairs []*point) {
	for _, o := range slices.SortedFunc(slices.Values(p.head.Facts.Objects), func(a, b access.ObjectFact) int { return cmp.Compare(a.Object, b.Object) }) {
		for _, action := range o.Actions {
			if o.Enabled && slices.ContainsFunc(slices.Concat(targetsOf(e.rule[before]), targetsOf(e.rule[after])), func(t access.Target) bool {
				return names(t.Objects, o.Object) && names(t.Actions, action)
			}) {
				pairs = append(pairs, &point{object: o.Object, action: action})
			}
		}
	}
	return pairs
}

// denials are the points that an edit of a deny, limit or separate rule makes differ. What such a rule says depends on
// nobody's access.
func (p *prober) denials(e *ruleEdit) (points []*point) {
	alone := [states]*access.Policy{p.alone(e.rule[before]), p.alone(e.rule[after])}
	contexts := p.contexts(e)
	for _, at := range p.pairs(e) {
		for _, span := range p.spans {
			var found [directions]bool
			for i := range contexts {
				request := contexts[i]
				request.Object, request.Action = at.object, at.action
				direction, differs := p.deniesDiffer(span.NotBefore, &request, alone)
				found[direction] = found[direction] || differs
				if found[gaining] && found[losing] {
					break
				}
			}
			for direction, differs := range found {
				if differs {
					at.windows[direction] = append(at.windows[direction], span)
				}
			}
		}
		if len(at.windows[gaining])+len(at.windows[losing]) > 0 {
			points = append(points, at)
		}
	}
	return points
}

// deniesDiffer says whether one of the states denies a question and the other does not, and the rule alone likewise.
func (p *prober) deniesDiffer(now schedule.Instant, request *access.Request, alone [states]*access.Policy) (direction int, differs bool) {
	denies := func(policies [states]*access.Policy, s state) bool {
		return policies[s].Decide(now, request, nil) == access.Deny
	}
	was, is := denies(alone, before), denies(alone, after)
	if was == is || denies(p.anybody, before) != was || denies(p.anybody, after) != is {
		return gaining, false
	}
	if was {
		return gaining, true
	}
	return losing, true
}

// contexts are questions that tell rules apart: on either side of every number, through every channel and device, with and
// without a reason, of a record whose creator asks, is somebody else, or is not known.
func (p *prober) contexts(e *ruleEdit) (requests []access.Request) {
	var rows, used, owned []*int64
	creators, reasons := []string{"somebody"}, []string{"given"}
	for s := range states {
		rule := e.rule[s]
		switch {
		case rule == nil:
		case rule.Limit != nil:
			rows = append(rows, around(rule.Limit.MaxRowsPerRequest, rule.Limit.MaxRowsPerDay)...)
			used = append(used, around(rule.Limit.MaxRowsPerDay)...)
			owned = append(owned, around(rule.Limit.MaxRecordsOwned)...)
		case rule.Separate != nil:
			creators = []string{"somebody", anyone, ""}
		case rule.Deny != nil && rule.Deny.When.ReasonMissing:
			reasons = []string{"given", ""}
		}
	}
	zero := int64(0)
	rows, used, owned = append(rows, &zero), append(used, &zero), append(owned, &zero)
	for _, creator := range creators {
		record := &access.Record{ID: "1", Owner: "somebody", Creator: creator}
		for _, reason := range reasons {
			for _, channel := range p.channels {
				for _, device := range p.devices {
					for _, r := range rows {
						for _, u := range used {
							for _, o := range owned {
								requests = append(requests, access.Request{User: anyone, Record: record, Context: access.Context{
									Channel: channel, Device: device, Reason: reason, Rows: r, Used: u, Owned: o,
								}})
							}
						}
					}
				}
			}
		}
	}
	return requests
}

// around are numbers on either side of the bounds, and none.
func around(bounds ...*int64) (numbers []*int64) {
	for _, bound := range bounds {
		if bound != nil {
			for _, n := range [...]int64{*bound - 1, *bound, *bound + 1} {
				numbers = append(numbers, &n)
			}
			numbers = append(numbers, nil)
		}
	}
	return numbers
}

// ceilings are the levels of fields that an edit of a cap makes differ.
func (p *prober) ceilings(e *ruleEdit) (points []*point) {
	alone := [states]*access.Policy{p.head.org.Under(onlyRule(e.rule[before])), p.head.org.Under(onlyRule(e.rule[after]))}
	for _, o := range slices.SortedFunc(slices.Values(p.head.Facts.Objects), func(a, b access.ObjectFact) int { return cmp.Compare(a.Object, b.Object) }) {
		was, is := p.ceilingsUnder.Module(o.Object), p.head.module(o.Object)
		for _, field := range slices.Sorted(slices.Values(is.Fields())) {
			own := cmp.Compare(alone[before].Module(o.Object).Ceiling(field), alone[after].Module(o.Object).Ceiling(field))
			low, high := was.Ceiling(field), is.Ceiling(field)
			if !o.Enabled || own == 0 || cmp.Compare(low, high) != own {
				continue
			}
			direction := gaining
			if own > 0 {
				direction, low, high = losing, high, low
			}
			for level := low + 1; level <= high; level++ {
				points = append(points, cappedPoints(o.Object, FieldLevel{Field: field, Class: is.Class(field), From: level - 1, Level: level}, direction)...)
			}
		}
	}
	return points
}

// cappedPoints are a level on stored records and, of edit, that on records which are to be created.
func cappedPoints(object string, field FieldLevel, direction int) []*point {
	stored := &point{object: object, field: field}
	stored.windows[direction] = []schedule.Window{schedule.Unbounded}
	if field.Level < access.LevelEdit {
		return []*point{stored}
	}
	proposed := *stored
	proposed.field.Proposed = true
	return []*point{stored, &proposed}
}

// crowd is people of whom the same points differ.
type crowd struct {
	differing [directions]bitset
	people    []Person
}

// crowds finds who is concerned by points: who holds in head what is gained, and in both states what is lost. What somebody
// does not hold in both states for other reasons is told by rows of access.
func (p *prober) crowds(points []*point) []*crowd {
	var given [states]map[string]bitset
	for s := range states {
		given[s] = p.givenBy(s, points)
	}
	byKey := make(map[string]*crowd)
	for _, user := range slices.Sorted(maps.Keys(p.head.holders)) {
		if !p.head.isActive(user) {
			continue
		}
		gains := p.held(after, user, given[after], points, gaining)
		losses := p.held(after, user, given[after], points, losing)
		losses.keep(p.held(before, user, given[before], points, losing))
		if gains.isEmpty() && losses.isEmpty() {
			continue
		}
		key := gains.key() + losses.key()
		if byKey[key] == nil {
			byKey[key] = &crowd{differing: [directions]bitset{gains, losses}}
		}
		byKey[key].people = append(byKey[key].people, Person{User: user, DisplayName: p.head.users[user].DisplayName})
	}
	crowds := slices.Collect(maps.Values(byKey))
	slices.SortFunc(crowds, func(a, b *crowd) int { return cmp.Compare(a.people[0].User, b.people[0].User) })
	return crowds
}

// key is the set as text.
func (b bitset) key() string {
	text := make([]byte, 0, 8*len(b))
	for _, word := range b {
		for shift := 0; shift < 64; shift += 8 {
			text = append(text, byte(word>>shift))
		}
	}
	return string(text)
}

// givenBy are the points that bundles of a state give.
func (p *prober) givenBy(s state, points []*point) map[string]bitset {
	byObject := make(map[string][]int)
	for i, at := range points {
		byObject[at.object] = append(byObject[at.object], i)
	}
	given := make(map[string]bitset)
	for bundle, tuples := range p.side(s).tuples {
		for _, t := range tuples {
			for _, i := range byObject[t.Object] {
				if given[bundle] == nil {
					given[bundle] = newBitset(len(points))
				}
				if !given[bundle].has(i) && points[i].isGivenBy(p.side(s).module(t.Object), t.Tuple) {
					given[bundle].add(i)
				}
			}
		}
	}
	return given
}

// held are the points that a user holds in a state at a time when they differ in a direction.
func (p *prober) held(s state, user string, given map[string]bitset, points []*point, direction int) bitset {
	held := newBitset(len(points))
	if !p.side(s).isActive(user) {
		return held
	}
	for _, h := range p.side(s).holders[user] {
		gives := given[h.Bundle]
		if gives == nil {
			continue
		}
		for i, at := range points {
			if gives.has(i) && !held.has(i) && slices.ContainsFunc(at.windows[direction], func(w schedule.Window) bool { return overlap(w, h.Window) }) {
				held.add(i)
			}
		}
	}
	return held
}

func overlap(x, y schedule.Window) bool {
	return max(x.NotBefore, y.NotBefore) < min(x.NotAfter, y.NotAfter)
}

// rows say what differs for a crowd, object by object and sign by sign.
func (c *crowd) rows(points []*point) (rows []*RuleChange) {
	for i, at := range points {
		gains, losses := c.differing[gaining].has(i), c.differing[losing].has(i)
		if !gains && !losses {
			continue
		}
		sign := signOf(gains, losses)
		found := slices.IndexFunc(rows, func(r *RuleChange) bool { return r.Object == at.object && r.Sign == sign })
		if found < 0 {
			found = len(rows)
			rows = append(rows, &RuleChange{Object: at.object, Sign: sign})
		}
		rows[found].list(at)
	}
	return rows
}

// list adds a point to a row. Levels of one field that stand above one another are one.
func (r *RuleChange) list(at *point) {
	if at.action != "" {
		r.Actions = append(r.Actions, at.action)
		return
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Field == at.field.Field && f.Proposed == at.field.Proposed && f.Level == at.field.From {
			f.Level = at.field.Level
			return
		}
	}
	r.Fields = append(r.Fields, at.field)
}
