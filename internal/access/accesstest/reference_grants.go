package accesstest

import (
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What a user holds, in plain words, and the look-ups that the reference needs.

// grantsOf are the user's undivided tuples, live at now, without what revocations end.
func (r Reference) grantsOf(user *access.User, now schedule.Instant) (grants []access.Grant) {
	for _, name := range r.rolesHeld(user, now) {
		if role := r.role(name); role != nil {
			grants = append(grants, r.given(role, nil)...)
		}
	}
	for _, t := range r.liveGrants(user, now) {
		for _, g := range t.Grants {
			if (len(g.Users) == 0 || slices.Contains(g.Users, user.Name)) && (user.Type != access.UserExternal || g.OnlyFields != nil) {
				grants = append(grants, g)
			}
		}
	}
	return grants
}

// rolesHeld are the roles that a user holds at now. Externals hold none, and nobody an abstract one.
func (r Reference) rolesHeld(user *access.User, now schedule.Instant) (roles []string) {
	if user.Type == access.UserExternal {
		return nil
	}
	for _, b := range r.UserBindings {
		if !r.isRevoked(access.KindUserBinding, b.Name) && slices.ContainsFunc(b.Subjects, func(s access.Subject) bool { return r.isSubject(user, s) }) {
			roles = append(roles, b.Roles...)
		}
	}
	for _, t := range r.liveGrants(user, now) {
		roles = append(roles, t.Roles...)
	}
	return slices.DeleteFunc(roles, func(name string) bool {
		return r.isRevoked(access.KindRole, name) || r.role(name) == nil || r.role(name).Abstract
	})
}

// liveGrants are the user's temporary grants that are in force: a window that is longer than a guardrail allows confers
// nothing.
func (r Reference) liveGrants(user *access.User, now schedule.Instant) (live []*access.TemporaryGrant) {
	for _, t := range r.TemporaryGrants {
		if slices.Contains(t.Users, user.Name) && t.Window.NotBefore <= now && now < t.Window.NotAfter &&
			!r.isRevoked(access.KindTemporaryGrant, t.Name) && !r.isTooLong(t) {
			live = append(live, t)
		}
	}
	return live
}

func (r Reference) isTooLong(t *access.TemporaryGrant) bool {
	for _, g := range r.Guardrails {
		for _, rule := range g.Rules {
			lasts := time.Duration(t.Window.NotAfter-t.Window.NotBefore) * time.Second
			if rule.Admit != nil && rule.Admit.MaxDuration > 0 && lasts > rule.Admit.MaxDuration {
				return true
			}
		}
	}
	return false
}

// given is what a role gives: its own grants and those of the roles it inherits, each minus what the entry mutes. A role
// that is revoked gives its heirs nothing either; cycles and more than ten steps give nothing.
func (r Reference) given(role *access.Role, path []string) []access.Grant {
	if slices.Contains(path, role.Name) || len(path) > 10 || r.isRevoked(access.KindRole, role.Name) {
		return nil
	}
	grants := slices.Clone(role.Grants)
	for _, entry := range role.Inherits {
		parent := r.role(entry.Role)
		if parent == nil {
			continue
		}
		for _, g := range r.given(parent, append(slices.Clone(path), role.Name)) {
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

// isHolder says whether somebody holds a role or an heir of it that does not have it by way of a revoked role.
func (r Reference) isHolder(user *access.User, role string, now schedule.Instant) bool {
	var leads func(from string) bool
	leads = func(from string) bool {
		node := r.role(from)
		return node != nil && !r.isRevoked(access.KindRole, from) &&
			(from == role || slices.ContainsFunc(node.Inherits, func(entry access.Inheritance) bool { return leads(entry.Role) }))
	}
	return slices.ContainsFunc(r.rolesHeld(user, now), leads)
}

func (r Reference) isRevoked(kind access.Kind, name string) bool {
	return slices.ContainsFunc(r.Revocations, func(v *access.Revocation) bool { return v.Target == access.Ref{Kind: kind, Name: name} })
}

func (r Reference) isSubject(user *access.User, s access.Subject) bool {
	if s.User != "" {
		return s.User == user.Name
	}
	in := slices.Contains(user.Departments, s.Selector.Department)
	if s.Selector.DepartmentTree != "" {
		in = slices.ContainsFunc(user.Departments, func(d string) bool { return r.inTree(d, s.Selector.DepartmentTree) })
	}
	return in && (s.Selector.Title == "" || s.Selector.Title == user.Title)
}

// inTree says whether a department lies in the subtree of another; each lies in its own.
func (r Reference) inTree(department, root string) bool {
	for d := r.department(department); d != nil; d = r.department(d.Parent) {
		if d.Name == root {
			return true
		}
	}
	return false
}

// isAbove says whether the reporting line of owner contains the user.
func (r Reference) isAbove(user, owner string) bool {
	for u := r.user(owner); u != nil; u = r.user(u.Manager) {
		if u.Manager == user {
			return true
		}
	}
	return false
}

func (r Reference) user(name string) *access.User {
	return find(r.Users, func(u *access.User) bool { return u.Name == name })
}

func (r Reference) object(name string) *access.ObjectType {
	return find(r.ObjectTypes, func(o *access.ObjectType) bool { return o.Name == name })
}

func (r Reference) department(name string) *access.Department {
	return find(r.Departments, func(d *access.Department) bool { return d.Name == name })
}

func (r Reference) role(name string) *access.Role {
	return find(r.Roles, func(role *access.Role) bool { return role.Name == name })
}

func field(o *access.ObjectType, name string) *access.Field {
	if i := slices.IndexFunc(o.Fields, func(f access.Field) bool { return f.Name == name }); i >= 0 {
		return &o.Fields[i]
	}
	return nil
}

func find[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}
