package witness

import (
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// organisation is what declarations say, laid out for translation: bundles of tuples, and who holds them when.
type organisation struct {
	access.Declarations
	bundles  map[string][]access.Grant
	holdings map[string][]holding // by user
	revoked  map[access.Ref]bool
}

type holding struct {
	bundle string
	window schedule.Window
}

func layOut(d access.Declarations) *organisation {
	o := &organisation{Declarations: d, bundles: make(map[string][]access.Grant), holdings: make(map[string][]holding), revoked: make(map[access.Ref]bool)}
	for _, r := range d.Revocations {
		o.revoked[r.Target] = true
	}
	for _, role := range d.Roles {
		o.bundles[bundleOf(role.Name)] = o.flatten(role, nil)
	}
	for _, b := range d.UserBindings {
		o.bind(b)
	}
	for _, t := range d.TemporaryGrants {
		o.lend(t)
	}
	return o
}

func bundleOf(role string) string { return "role " + role }

// flatten is what a role gives: copies down the lines of inheritance, minus what is muted on the way.
func (o *organisation) flatten(role *access.Role, above []string) (grants []access.Grant) {
	if o.revoked[access.Ref{Kind: access.KindRole, Name: role.Name}] || slices.Contains(above, role.Name) {
		return nil
	}
	grants = append(grants, role.Grants...)
	for _, entry := range role.Inherits {
		for _, g := range o.flatten(o.role(entry.Role), append(slices.Clip(above), role.Name)) {
			for _, mute := range entry.Mute {
				if mute.Object == g.Object {
					g.Actions = without(g.Actions, mute.Actions)
				}
			}
			grants = append(grants, g)
		}
	}
	return grants
}

func without(list, taken []string) (rest []string) {
	for _, each := range list {
		if !slices.Contains(taken, each) {
			rest = append(rest, each)
		}
	}
	return rest
}

func (o *organisation) bind(b *access.UserBinding) {
	if o.revoked[access.Ref{Kind: access.KindUserBinding, Name: b.Name}] {
		return
	}
	for _, u := range o.Users {
		if slices.ContainsFunc(b.Subjects, func(s access.Subject) bool { return o.selects(s, u) }) {
			o.hold(u, b.Roles, schedule.Unbounded)
		}
	}
}

func (o *organisation) selects(s access.Subject, u *access.User) bool {
	switch {
	case s.User != "":
		return s.User == u.Name
	case s.Selector.Title != "" && s.Selector.Title != u.Title:
		return false
	}
	return slices.ContainsFunc(u.Departments, func(d string) bool {
		return d == s.Selector.Department || slices.Contains(o.line(d), s.Selector.DepartmentTree)
	})
}

func (o *organisation) hold(u *access.User, roles []string, window schedule.Window) {
	for _, role := range roles {
		if u.Type != access.UserExternal && !o.role(role).Abstract {
			o.holdings[u.Name] = append(o.holdings[u.Name], holding{bundleOf(role), window})
		}
	}
}

// lend gives the users of a temporary grant its roles and entries, unless it lasts longer than a guardrail allows.
func (o *organisation) lend(t *access.TemporaryGrant) {
	if o.revoked[access.Ref{Kind: access.KindTemporaryGrant, Name: t.Name}] || time.Duration(t.Window.NotAfter-t.Window.NotBefore)*time.Second > o.longest() {
		return
	}
	for _, name := range t.Users {
		u, bundle := o.user(name), "lent "+t.Name+" to "+name
		for _, g := range t.Grants {
			if (len(g.Users) == 0 || slices.Contains(g.Users, name)) && (u.Type != access.UserExternal || g.OnlyFields != nil) {
				o.bundles[bundle] = append(o.bundles[bundle], g)
			}
		}
		o.hold(u, t.Roles, t.Window)
		o.holdings[name] = append(o.holdings[name], holding{bundle, t.Window})
	}
}

func (o *organisation) longest() time.Duration {
	longest := time.Duration(1 << 62)
	for _, rule := range o.rules() {
		if rule.Admit != nil && rule.Admit.MaxDuration > 0 {
			longest = min(longest, rule.Admit.MaxDuration)
		}
	}
	return longest
}

func (o *organisation) rules() (rules []access.GuardrailRule) {
	for _, g := range o.Guardrails {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// line is a department and those above it.
func (o *organisation) line(department string) (line []string) {
	for _, d := range o.Departments {
		if d.Name == department {
			return append([]string{department}, o.line(d.Parent)...)
		}
	}
	return nil
}

// superiors are those above a user in the reporting line.
func (o *organisation) superiors(u *access.User) (names []string) {
	for u = o.user(u.Manager); u != nil; u = o.user(u.Manager) {
		names = append(names, u.Name)
	}
	return names
}

func (o *organisation) user(name string) *access.User {
	for _, u := range o.Users {
		if u.Name == name {
			return u
		}
	}
	return nil
}

func (o *organisation) object(name string) *access.ObjectType {
	for _, t := range o.ObjectTypes {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (o *organisation) role(name string) *access.Role {
	for _, r := range o.Roles {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// levels are what a tuple gives each field of the object, with and without a record that is only proposed.
func levels(g access.Grant, o *access.ObjectType, editing string) map[string]access.Level {
	given := make(map[string]access.Level)
	for _, f := range o.Fields {
		switch f.Class {
		case access.ClassPublic, access.ClassInternal:
			given[f.Name] = access.LevelEdit
		case access.ClassConfidential:
			given[f.Name] = access.LevelMasked
		}
		byField := false
		for _, rule := range g.Fields {
			if rule.Field == f.Name {
				given[f.Name], byField = rule.Level, true
			} else if rule.Class == f.Class && !byField {
				given[f.Name] = rule.Level
			}
		}
		highest := access.LevelNone
		switch {
		case slices.Contains(g.Actions, editing):
			highest = access.LevelEdit
		case slices.Contains(g.Actions, access.ActionRead), slices.Contains(g.Actions, access.ActionUpdate):
			highest = access.LevelRead
		}
		if editing == access.ActionUpdate && (f.Name == o.OwnerField || f.Name == o.DepartmentField) {
			highest = min(highest, access.LevelRead)
		}
		if g.OnlyFields != nil && !slices.Contains(g.OnlyFields, f.Name) {
			highest = access.LevelNone
		}
		given[f.Name] = min(given[f.Name], highest)
	}
	return given
}

// capped is the highest level that a cap leaves a field.
func (o *organisation) capped(object *access.ObjectType, f access.Field) access.Level {
	highest := access.LevelEdit
	for _, rule := range o.rules() {
		if c := rule.Cap; c != nil && names(c.Objects, object.Name) && (slices.Contains(c.Fields, f.Name) || slices.Contains(c.Classes, f.Class.String())) {
			level, _ := access.ParseLevel(c.Level)
			highest = min(highest, level)
		}
	}
	return highest
}

// names says whether a list of a rule names something, itself or by *.
func names(list []string, name string) bool {
	return slices.Contains(list, access.Any) || slices.Contains(list, name)
}
