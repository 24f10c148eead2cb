package access

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Entitlement is one tuple that a user holds, with where it comes from and how long it lasts.
type Entitlement struct {
	*Tuple
	// Owner is the binding or temporary grant that gives it; Path leads from the role held to the role whose text says it.
	Owner  Ref
	Path   string
	Window schedule.Window
	// Beyond are the field rules that give another level than the class alone would, cut to what the actions reach.
	Beyond []RuleFact
}

// Entitlements lists what a user holds at an instant, in the order of objects, actions and records. Tuples on disabled
// objects are left out, for they confer nothing, and so is what a revocation ends; nor does anything while the account
// is not Active, which the caller must look at.
func (f Facts) Entitlements(user string, now schedule.Instant) []Entitlement {
	if slices.ContainsFunc(f.Users, func(u UserFact) bool { return u.User == user && u.RevokedBy != "" }) {
		return nil
	}
	enabled, classes := f.enabledObjects(), make(map[string]map[string]Class)
	for _, field := range f.Fields {
		if classes[field.Object] == nil {
			classes[field.Object] = make(map[string]Class)
		}
		class, err := ParseClass(field.Class)
		if err != nil {
			class = ClassSecret // as in a Policy
		}
		classes[field.Object][field.Field] = class
	}
	byBundle := make(map[string][]*TupleFact)
	for i := range f.Tuples {
		if f.Tuples[i].RevokedBy == "" {
			byBundle[f.Tuples[i].Bundle] = append(byBundle[f.Tuples[i].Bundle], &f.Tuples[i])
		}
	}
	var out []Entitlement
	for _, h := range f.Holders {
		if h.User != user || h.RevokedBy != "" || !h.Window.Active(now) {
			continue
		}
		for _, t := range byBundle[h.Bundle] {
			if enabled[t.Object] {
				out = append(out, Entitlement{Tuple: t.Tuple, Owner: h.Owner, Path: t.Path, Window: h.Window, Beyond: t.beyondDefaults(classes[t.Object])})
			}
		}
	}
	slices.SortFunc(out, compareEntitlements)
	return out
}

func (f Facts) enabledObjects() map[string]bool {
	enabled := make(map[string]bool, len(f.Objects))
	for _, o := range f.Objects {
		enabled[o.Object] = o.Enabled
	}
	return enabled
}

func compareEntitlements(a, b Entitlement) int {
	return cmp.Or(
		cmp.Compare(a.Object, b.Object),
		cmp.Compare(strings.Join(a.Actions, ","), strings.Join(b.Actions, ",")),
		cmp.Compare(strings.Join(a.Scopes, ","), strings.Join(b.Scopes, ",")),
		cmp.Compare(a.Owner.Kind, b.Owner.Kind), cmp.Compare(a.Owner.Name, b.Owner.Name),
		cmp.Compare(a.Path, b.Path), cmp.Compare(a.Digest, b.Digest))
}

// beyondDefaults are the rules that make a difference: to the class's default, or to the class rule beside them.
func (t *Tuple) beyondDefaults(fields map[string]Class) []RuleFact {
	reach := t.reach()
	byClass := func(class Class) Level {
		for _, rule := range t.Fields {
			if rule.Class == class.String() {
				return parsedLevel(rule.Level)
			}
		}
		return class.defaultLevel()
	}
	var beyond []RuleFact
	for _, rule := range t.Fields {
		var otherwise Level
		if rule.Field == "" {
			class, _ := ParseClass(rule.Class)
			otherwise = class.defaultLevel()
		} else {
			if t.Restricted && !slices.Contains(t.OnlyFields, rule.Field) {
				continue
			}
			otherwise = byClass(fields[rule.Field])
		}
		if level := min(parsedLevel(rule.Level), reach); level != min(otherwise, reach) {
			beyond = append(beyond, RuleFact{Field: rule.Field, Class: rule.Class, Level: level.String()})
		}
	}
	return beyond
}

// reach is the widest level that the tuple's actions let a field have (design §4).
func (t *Tuple) reach() Level {
	has := func(action string) bool { return slices.Contains(t.Actions, action) }
	switch {
	case has(ActionUpdate), has(ActionCreate):
		return LevelEdit
	case has(ActionRead):
		return LevelRead
	}
	return LevelNone
}

// parsedLevel reads a level; what cannot be read gives nothing.
func parsedLevel(s string) Level {
	level, _ := ParseLevel(s)
	return level
}
