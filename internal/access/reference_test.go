package access_test

import (
	"slices"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// reference decides straight from the declarations, in the words of design §4, without indexes or facts. It is slow
// and short on purpose: the engine is held against it on generated worlds, where every reference resolves.
type reference struct {
	d Declarations
}

func (r reference) decide(now schedule.Instant, q *Request) (Effect, []Level) {
	levels := make([]Level, len(q.Fields))
	user := r.user(q.User)
	if user == nil || user.State != StateActive {
		return Deny, levels
	}
	object := r.object(q.Object)
	if object == nil || object.Disabled || !slices.Contains(object.Actions, q.Action) {
		return Deny, levels
	}
	for _, name := range q.Fields {
		if r.field(object, name) == nil {
			return Deny, levels
		}
	}
	if q.Record == nil && q.Action != ActionRead && q.Action != ActionExport {
		return Deny, levels
	}
	if r.forbidden(now, user, object, q) {
		return Deny, levels
	}
	effect := Deny
	for i := range levels {
		if q.Record == nil {
			levels[i] = LevelEdit
		}
	}
	for _, g := range r.grantsOf(user, now) {
		if g.Object != object.Name || !r.covers(user, object, g, q.Record) {
			continue
		}
		answers := slices.Contains(g.Actions, q.Action)
		if answers {
			effect = Allow
		}
		for i, name := range q.Fields {
			level := r.level(object, g, *r.field(object, name), q.Action == ActionCreate)
			if q.Record != nil {
				levels[i] = max(levels[i], level)
			} else if answers {
				levels[i] = min(levels[i], level)
			}
		}
	}
	for i, name := range q.Fields {
		levels[i] = min(levels[i], r.cap(object, r.field(object, name)))
	}
	for i, level := range levels {
		if (q.Action == ActionUpdate || q.Action == ActionCreate) && level < LevelEdit {
			effect = Deny
		}
		if q.Action == ActionUnmask && level == LevelMasked {
			levels[i] = LevelRead
		}
	}
	if effect == Allow && !r.approved(now, user, object, q) {
		effect = NeedsApproval
	}
	if effect != Allow {
		clear(levels)
	}
	return effect, levels
}

func (r reference) user(name string) *User {
	i := slices.IndexFunc(r.d.Users, func(u *User) bool { return u.Name == name })
	if i < 0 {
		return nil
	}
	return r.d.Users[i]
}

func (r reference) object(name string) *ObjectType {
	i := slices.IndexFunc(r.d.ObjectTypes, func(o *ObjectType) bool { return o.Name == name })
	if i < 0 {
		return nil
	}
	return r.d.ObjectTypes[i]
}

func (r reference) field(o *ObjectType, name string) *Field {
	i := slices.IndexFunc(o.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &o.Fields[i]
}

// grantsOf are the user's undivided tuples, live at now.
func (r reference) grantsOf(user *User, now schedule.Instant) (grants []Grant) {
	for _, b := range r.d.UserBindings {
		if user.Type != UserExternal && slices.ContainsFunc(b.Subjects, func(s Subject) bool { return r.isSubject(user, s) }) {
			for _, role := range b.Roles {
				grants = append(grants, r.held(role)...)
			}
		}
	}
	for _, t := range r.d.TemporaryGrants {
		if !slices.Contains(t.Users, user.Name) || now < t.Window.NotBefore || now >= t.Window.NotAfter {
			continue
		}
		for _, role := range t.Roles {
			if user.Type != UserExternal {
				grants = append(grants, r.held(role)...)
			}
		}
		for _, g := range t.Grants {
			if (len(g.Users) == 0 || slices.Contains(g.Users, user.Name)) && (user.Type != UserExternal || g.OnlyFields != nil) {
				grants = append(grants, g)
			}
		}
	}
	return grants
}

func (r reference) isSubject(user *User, s Subject) bool {
	if s.User != "" {
		return s.User == user.Name
	}
	in := slices.Contains(user.Departments, s.Selector.Department)
	if s.Selector.DepartmentTree != "" {
		in = slices.ContainsFunc(user.Departments, func(d string) bool { return r.inTree(d, s.Selector.DepartmentTree) })
	}
	return in && (s.Selector.Title == "" || s.Selector.Title == user.Title)
}

func (r reference) inTree(department, root string) bool {
	for department != "" {
		if department == root {
			return true
		}
		i := slices.IndexFunc(r.d.Departments, func(d *Department) bool { return d.Name == department })
		if i < 0 {
			return false
		}
		department = r.d.Departments[i].Parent
	}
	return false
}

// held is what a role gives to who holds it: abstract roles nothing, cycles and more than ten steps nothing.
func (r reference) held(name string) []Grant {
	i := slices.IndexFunc(r.d.Roles, func(role *Role) bool { return role.Name == name })
	if i < 0 || r.d.Roles[i].Abstract {
		return nil
	}
	return r.inherited(name, nil)
}

func (r reference) inherited(name string, path []string) (grants []Grant) {
	i := slices.IndexFunc(r.d.Roles, func(role *Role) bool { return role.Name == name })
	if i < 0 || slices.Contains(path, name) || len(path) > 10 {
		return nil
	}
	role := r.d.Roles[i]
	grants = slices.Clone(role.Grants)
	for _, entry := range role.Inherits {
		for _, g := range r.inherited(entry.Role, append(slices.Clone(path), name)) {
			for _, m := range entry.Mute {
				if m.Object == g.Object {
					g.Actions = slices.DeleteFunc(slices.Clone(g.Actions), func(a string) bool { return slices.Contains(m.Actions, a) })
				}
			}
			grants = append(grants, g)
		}
	}
	return grants
}

func (r reference) covers(user *User, object *ObjectType, g Grant, record *Record) bool {
	if len(g.Actions) == 0 {
		return false
	}
	if record == nil {
		return true
	}
	for _, c := range g.Where {
		values := record.Attributes[c.Field]
		in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(c.Values, v) })
		if len(values) == 0 || (c.Operator == OperatorIn && !in) || (c.Operator == OperatorNotIn && in) {
			return false
		}
	}
	scoped := record
	for object.AccessFrom.Object != "" && scoped != nil {
		scoped, object = scoped.Parent, r.object(object.AccessFrom.Object)
	}
	s, ids := g.Records.Scopes, slices.Contains(g.Records.IDs, record.ID)
	if s.Has(ScopeAll) || ids || scoped == nil {
		return s.Has(ScopeAll) || ids
	}
	mine := slices.Contains(user.Departments, scoped.Department)
	below := slices.ContainsFunc(user.Departments, func(d string) bool { return r.inTree(scoped.Department, d) })
	return s.Has(ScopeOwn) && scoped.Owner == user.Name ||
		s.Has(ScopeInvolved) && slices.Contains(scoped.Participants, user.Name) ||
		s.Has(ScopeSubordinates) && r.above(user.Name, scoped.Owner) ||
		s.Has(ScopeDepartment) && mine || s.Has(ScopeDepartmentAndBelow) && below ||
		scoped.Owner != "" && slices.Contains(g.Records.Owners, scoped.Owner) ||
		slices.Contains(g.Records.Departments, scoped.Department) ||
		slices.ContainsFunc(g.Records.DepartmentTrees, func(d string) bool { return r.inTree(scoped.Department, d) })
}

// above says whether the reporting line of owner contains the user.
func (r reference) above(user, owner string) bool {
	for u := r.user(owner); u != nil; u = r.user(u.Manager) {
		if u.Manager == user {
			return true
		}
	}
	return false
}

func (r reference) level(object *ObjectType, g Grant, field Field, proposed bool) Level {
	level := map[Class]Level{ClassPublic: LevelEdit, ClassInternal: LevelEdit, ClassConfidential: LevelMasked}[field.Class]
	for _, rule := range g.Fields {
		if rule.Class == field.Class {
			level = rule.Level
		}
	}
	for _, rule := range g.Fields {
		if rule.Field == field.Name {
			level = rule.Level
		}
	}
	if g.OnlyFields != nil && !slices.Contains(g.OnlyFields, field.Name) {
		return LevelNone
	}
	editing := ActionUpdate
	if proposed {
		editing = ActionCreate
	}
	switch {
	case slices.Contains(g.Actions, editing):
	case slices.Contains(g.Actions, ActionRead), slices.Contains(g.Actions, ActionUpdate):
		level = min(level, LevelRead)
	default:
		return LevelNone
	}
	if !proposed && (field.Name == object.OwnerField || field.Name == object.DepartmentField) {
		level = min(level, LevelRead)
	}
	return level
}
