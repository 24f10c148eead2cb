package access

import (
	"cmp"
	"slices"
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
