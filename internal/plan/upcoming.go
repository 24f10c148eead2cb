package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// upcoming is what starts and ends in head by itself, after Options.At and within the horizon.
func (c *comparison) upcoming() []*Upcoming {
	horizon := c.options.Horizon
	if horizon == 0 {
		horizon = DefaultHorizon
	}
	f := &forecast{
		side: c.head, rows: make(map[forecastRow]*Upcoming),
		within: schedule.Window{NotBefore: c.options.At + 1, NotAfter: c.options.At + schedule.Instant(horizon/time.Second) + 1},
	}
	for user := range c.head.holders {
		if c.head.isActive(user) {
			f.user(user)
		}
	}
	f.freezes()
	out := make([]*Upcoming, 0, len(f.rows))
	for _, row := range f.rows {
		slices.SortFunc(row.People, func(a, b Person) int { return cmp.Compare(a.User, b.User) })
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b *Upcoming) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Sign, b.Sign), compareRefs(a.Ref, b.Ref), cmp.Compare(a.Grant, b.Grant))
	})
	return out
}

// forecast collects what changes by itself.
type forecast struct {
	side   *side
	within schedule.Window
	rows   map[forecastRow]*Upcoming
}

// forecastRow tells the rows apart.
type forecastRow struct {
	at    schedule.Instant
	sign  Sign
	ref   access.Ref
	grant string
	rule  *access.GuardrailRule
}

// user notes the starts and ends of what a user holds, unless the user has it otherwise as well at that instant.
func (f *forecast) user(user string) {
	holders := f.side.holders[user]
	for i, h := range holders {
		if f.within.Active(h.Window.NotBefore) && !f.hasOtherwise(holders, i, h.Window.NotBefore-1) {
			f.note(forecastRow{at: h.Window.NotBefore, sign: Gain, ref: h.Owner, grant: f.short(h)}, user)
		}
		if f.within.Active(h.Window.NotAfter) && !f.hasOtherwise(holders, i, h.Window.NotAfter) {
			f.note(forecastRow{at: h.Window.NotAfter, sign: Loss, ref: h.Owner, grant: f.short(h)}, user)
		}
	}
}

// hasOtherwise says whether a user has at an instant, by something else, all that the i-th of the holdings gives.
func (f *forecast) hasOtherwise(holders []*access.HolderFact, i int, at schedule.Instant) bool {
	if role := holders[i].Role; role != "" {
		if !slices.ContainsFunc(holders, func(h *access.HolderFact) bool { return h.Role == role && h.Window.Active(at) }) {
			return false // who holds a role may approve by it
		}
	}
	for _, t := range f.side.tuples[holders[i].Bundle] {
		if !slices.ContainsFunc(holders, func(h *access.HolderFact) bool {
			return h.Window.Active(at) && slices.ContainsFunc(f.side.tuples[h.Bundle], func(other *access.TupleFact) bool { return t.SaysTheSame(other.Tuple) })
		}) {
			return false
		}
	}
	return true
}

// short is what a holding gives, in short.
func (f *forecast) short(h *access.HolderFact) string {
	if h.Role != "" {
		return h.Role
	}
	var grants []string
	for _, t := range f.side.tuples[h.Bundle] {
		grants = append(grants, grantText(t.Tuple, nil))
	}
	slices.Sort(grants)
	return strings.Join(slices.Compact(grants), "; ")
}

// note puts a user into a row. Those of one row come one after the other.
func (f *forecast) note(key forecastRow, user string) {
	row := f.rows[key]
	if row == nil {
		field := "spec.notAfter"
		switch {
		case key.ref.Kind == access.KindGuardrail:
			field = ""
		case key.sign == Gain:
			field = "spec.notBefore"
		}
		row = &Upcoming{At: key.at, Sign: key.sign, Ref: key.ref, Grant: key.grant, Rule: key.rule, Source: f.side.locate(key.ref, field)}
		f.rows[key] = row
	}
	if last := len(row.People) - 1; last < 0 || row.People[last].User != user {
		row.People = append(row.People, Person{User: user, DisplayName: f.side.users[user].DisplayName})
	}
}

// freezes notes the windows of guardrails that deny, for those whom one keeps from something that they hold.
func (f *forecast) freezes() {
	for i := range f.side.Facts.Guardrails {
		fact := &f.side.Facts.Guardrails[i]
		if fact.Rule.Deny == nil {
			continue
		}
		for _, span := range fact.Rule.Deny.When.Windows {
			for _, user := range f.concerned(&fact.Rule.Deny.Target) {
				if f.within.Active(span.NotBefore) {
					f.note(forecastRow{span.NotBefore, Loss, fact.Owner, fact.Rule.Words(), &fact.Rule}, user)
				}
				if f.within.Active(span.NotAfter) {
					f.note(forecastRow{span.NotAfter, Gain, fact.Owner, fact.Rule.Words(), &fact.Rule}, user)
				}
			}
		}
	}
}

// concerned are the users who hold an action that a rule is about, in order.
func (f *forecast) concerned(target *access.Target) (users []string) {
	about := make(map[string]bool)
	for bundle, tuples := range f.side.tuples {
		about[bundle] = slices.ContainsFunc(tuples, func(t *access.TupleFact) bool { return concerns(target, t.Tuple) })
	}
	for user, holders := range f.side.holders {
		if f.side.isActive(user) && slices.ContainsFunc(holders, func(h *access.HolderFact) bool { return about[h.Bundle] }) {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users
}

// concerns says whether a rule is about an action of the tuple.
func concerns(target *access.Target, t *access.Tuple) bool {
	return names(target.Objects, t.Object) && slices.ContainsFunc(t.Actions, func(action string) bool { return names(target.Actions, action) })
}

// names says whether a list of a rule names something, itself or by Any.
func names(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, access.Any)
}
