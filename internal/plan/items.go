package plan

import (
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// item is one thing that a grant may give on a record: an action, or a field at a level.
type item struct {
	action string
	// beyond, where an approve rule asks about it, is the scope by which no more than the action is held: the item is to do
	// the action by a wider one.
	beyond string

	field string
	level access.Level
	// proposed is about a record that is to be created: whether the field may be filled in.
	proposed bool
	// reclassified is of a field of another class in head: other rules of guardrails are about it, though none has changed.
	reclassified bool

	// asked says whether a rule of the state asks about beyond, and denied when the state's guardrails leave nothing of the
	// item to anybody.
	asked  [states]bool
	denied [states][]schedule.Window
}

// catalogue is what there is of one object in either state.
type catalogue struct {
	items []item
	// hidden says that read or update is denied at times, so that levels of fields may be there and nobody sees them.
	hidden bool
	// differs says that the object itself differs: grants that read the same give something else.
	differs bool
}

func (c *comparison) newCatalogue(object string) *catalogue {
	modules := [states]access.Module{c.base.module(object), c.head.module(object)}
	actions, fields, out := map[string]bool{}, map[string]bool{}, &catalogue{differs: differ(modules[before], modules[after])}
	for _, m := range modules {
		for _, action := range m.Actions() {
			actions[action] = true
		}
		for _, field := range m.Fields() {
			fields[field] = true
		}
	}
	denied := make(map[string][states][]schedule.Window)
	for _, action := range slices.Sorted(maps.Keys(actions)) {
		denied[action] = c.denied(modules, action)
		out.items = append(out.items, item{action: action, denied: denied[action]})
		for _, scope := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(modules[before].AskedScopes(action), modules[after].AskedScopes(action))))) {
			asked := [states]bool{slices.Contains(modules[before].AskedScopes(action), scope), slices.Contains(modules[after].AskedScopes(action), scope)}
			out.items = append(out.items, item{action: action, beyond: scope, asked: asked, denied: denied[action]})
		}
	}
	for _, action := range [...]string{access.ActionRead, access.ActionUpdate} {
		out.hidden = out.hidden || len(denied[action][before])+len(denied[action][after]) > 0
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		ceilings := [states]access.Level{modules[before].Ceiling(field), modules[after].Ceiling(field)}
		reclassified := modules[before].Class(field) != modules[after].Class(field)
		for level := access.LevelMasked; level <= access.LevelEdit; level++ {
			out.items = append(out.items, item{
				field: field, level: level, reclassified: reclassified, denied: capped([states][]schedule.Window{}, ceilings, level),
			})
		}
		out.items = append(out.items, item{
			field: field, level: access.LevelEdit, proposed: true, reclassified: reclassified,
			denied: capped(denied[access.ActionCreate], ceilings, access.LevelEdit),
		})
	}
	return out
}

// differ says whether what the states declare of an object makes one grant give other things.
func differ(base, head access.Module) bool {
	class := func(m access.Module) func(string) access.Class { return m.Class }
	return base.Enabled() != head.Enabled() || !slices.Equal(base.Decides(), head.Decides()) ||
		base.OwnerField() != head.OwnerField() || base.DepartmentField() != head.DepartmentField() ||
		!sameNames(base.Actions(), head.Actions()) || !sameNames(base.Fields(), head.Fields()) ||
		slices.ContainsFunc(base.Fields(), func(field string) bool { return class(base)(field) != class(head)(field) })
}

func sameNames(x, y []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y)))
}

// denied is when guardrails deny the action to everybody, by state.
func (c *comparison) denied(modules [states]access.Module, action string) (windows [states][]schedule.Window) {
	for s, m := range modules {
		org := c.side(state(s)).org
		for from := c.options.At; from < schedule.Forever; {
			until := org.NextBoundary(from)
			if m.Forbidden(from, action) {
				windows[s] = append(windows[s], schedule.Window{NotBefore: from, NotAfter: until})
			}
			from = until
		}
	}
	return windows
}

// capped denies at all times what lies above a ceiling.
func capped(denied [states][]schedule.Window, ceilings [states]access.Level, level access.Level) [states][]schedule.Window {
	for s, ceiling := range ceilings {
		if level > ceiling {
			denied[s] = []schedule.Window{schedule.Unbounded}
		}
	}
	return denied
}

func isIn(windows []schedule.Window, now schedule.Instant) bool {
	return slices.ContainsFunc(windows, func(w schedule.Window) bool { return w.Active(now) })
}

// gives are the items that a tuple gives by what a state declares.
func (c *catalogue) gives(m access.Module, t *access.Tuple) bitset {
	given := newBitset(len(c.items))
	if !m.Enabled() {
		return given
	}
	onStored, onProposed := m.Levels(t)
	byField := make(map[string]int, len(onStored))
	for i, field := range m.Fields() {
		byField[field] = i + 1
	}
	for i := range c.items {
		it := &c.items[i]
		field := byField[it.field] - 1
		switch {
		case it.action != "":
			if slices.Contains(t.Actions, it.action) && slices.Contains(m.Actions(), it.action) {
				given.add(i)
			}
		case field < 0:
		case it.proposed && onProposed[field] >= it.level, !it.proposed && onStored[field] >= it.level:
			given.add(i)
		}
	}
	return given
}

// allowsAny says whether something may be done by the tuple, for all that guardrails say.
func (c *catalogue) allowsAny(s state, h *held, now schedule.Instant) bool {
	for i := range c.items {
		if it := &c.items[i]; it.action != "" && it.beyond == "" && h.gives.has(i) && !isIn(it.denied[s], now) {
			return true
		}
	}
	return false
}

// anyScope are all scopes.
const anyScope = ^access.Scopes(0)

// scopes are those that count for the item: of one that asks for more than a scope, the wider ones.
func (it *item) scopes() access.Scopes {
	if it.beyond == "" {
		return anyScope
	}
	beyond, err := access.ParseScopes([]string{it.beyond})
	if err != nil {
		return anyScope // as if any scope were wider
	}
	return ^(beyond<<1 - 1)
}
