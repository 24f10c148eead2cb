package plan

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What a declaration says, in the terms and in the order of its manifest, so that the place where two texts of it differ
// can be told as whoever wrote them knows it: spec.grants[2].scopes.

// member is one member of a manifest. Its value is a text, a list of texts, members, or a list of members.
type member struct {
	name  string
	value any
}

type members []member

// firstDifference is the path of the first place in which two texts differ, or "" where they say the same.
func firstDifference(before, after members) string { return differenceIn("spec", before, after) }

func differenceIn(path string, before, after any) string {
	if reflect.DeepEqual(before, after) {
		return ""
	}
	switch after := after.(type) {
	case members:
		before, _ := before.(members)
		for i, m := range after {
			var was any
			if i < len(before) {
				was = before[i].value
			}
			if at := differenceIn(path+"."+m.name, was, m.value); at != "" {
				return at
			}
		}
	case []members:
		before, _ := before.([]members)
		return differenceInList(path, before, after)
	}
	return path
}

// differenceInList is the entry that is new where there are more or fewer, and the place in an entry otherwise. An entry
// without members is one that the question is not about.
func differenceInList(path string, before, after []members) string {
	for i, entry := range after {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(before) == len(after) {
			if in := differenceIn(at, before[i], entry); in != "" {
				return in
			}
			continue
		}
		if len(entry) > 0 && !slices.ContainsFunc(before, func(was members) bool { return reflect.DeepEqual(was, entry) }) {
			return at
		}
	}
	return path
}

// list is the entries of a list as members.
func list[T any](entries []T, text func(*T) members) []members {
	out := make([]members, len(entries))
	for i := range entries {
		out[i] = text(&entries[i])
	}
	return out
}

func instantText(i schedule.Instant) string {
	if i == schedule.Always || i == schedule.Forever {
		return ""
	}
	return i.String()
}

// userText leaves out what no access of the user's own depends on.
func userText(u *access.User) members {
	own, other := "", []string(nil)
	if len(u.Departments) > 0 {
		own, other = u.Departments[0], u.Departments[1:]
	}
	return members{
		{"type", string(u.Type)}, {"title", u.Title}, {"department", own}, {"otherDepartments", nilIfNone(other)}, {"state", string(u.State)},
	}
}

// personText is what of a user others depend on as well.
func personText(u *access.User) members {
	logins := list(u.Logins, func(l *access.Login) members {
		return members{{"issuer", l.Issuer}, {"subject", l.Subject}, {"username", l.Username}}
	})
	return append(userText(u), member{"manager", u.Manager}, member{"successor", u.Successor}, member{"identities", logins})
}

// nilIfNone is a list that compares equal to one that is missing.
func nilIfNone(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return names
}

func departmentText(d *access.Department) members {
	return members{{"parent", d.Parent}, {"manager", d.Manager}}
}

func objectTypeText(o *access.ObjectType) members {
	return members{
		{"state", o.Disabled}, {"ownerField", o.OwnerField}, {"departmentField", o.DepartmentField},
		{"fields", list(o.Fields, func(f *access.Field) members {
			return members{{"name", f.Name}, {"class", f.Class.String()}, {"mask", f.Mask}}
		})},
		{"actions", nilIfNone(o.Actions)},
		{"variants", list(o.Variants, func(v *access.Variant) members {
			return members{{"action", v.Action}, {"of", v.Of}, {"property", v.Property}, {"value", v.Value}}
		})},
		{"accessFrom", members{{"object", o.AccessFrom.Object}, {"field", o.AccessFrom.Field}}},
	}
}

// roleText is what a role says about an object, or about all where it is "". What it says of others stays as entries
// without members, so that every entry keeps its place.
func roleText(r *access.Role, object string) members {
	return members{
		{"abstract", r.Abstract}, {"privileged", r.Privileged},
		{"inherits", list(r.Inherits, func(i *access.Inheritance) members {
			return members{{"role", i.Role}, {"mute", list(i.Mute, func(m *access.Mute) members {
				return members{{"object", m.Object}, {"actions", nilIfNone(m.Actions)}}
			})}}
		})},
		{"grants", list(r.Grants, func(g *access.Grant) members {
			if object != "" && g.Object != object {
				return nil
			}
			return append(members{{"object", g.Object}, {"actions", nilIfNone(g.Actions)}, {"scopes", g.Records.Scopes.String()}}, grantMembers(g)...)
		})},
	}
}

// grantMembers is what grants of roles and of temporary grants have in common.
func grantMembers(g *access.Grant) members {
	return members{
		{"where", list(g.Where, func(w *access.Condition) members {
			return members{{"field", w.Field}, {"operator", string(w.Operator)}, {"values", nilIfNone(w.Values)}}
		})},
		{"fields", list(g.Fields, func(f *access.FieldRule) members {
			return members{{"field", f.Field}, {"class", f.Class.String()}, {"level", f.Level.String()}}
		})},
	}
}

func bindingText(b *access.UserBinding) members {
	return members{
		{"subjects", list(b.Subjects, func(s *access.Subject) members {
			return members{{"user", s.User}, {"selector", members{
				{"department", s.Selector.Department}, {"departmentTree", s.Selector.DepartmentTree}, {"title", s.Selector.Title},
			}}}
		})},
		{"roles", nilIfNone(b.Roles)}, {"justification", b.Justification}, {"requestedBy", b.RequestedBy},
	}
}

func temporaryGrantText(g *access.TemporaryGrant, object string) members {
	return members{
		{"users", nilIfNone(g.Users)}, {"roles", nilIfNone(g.Roles)},
		{"grants", list(g.Grants, func(entry *access.Grant) members {
			if object != "" && entry.Object != object {
				return nil
			}
			return append(append(members{{"object", entry.Object}, {"actions", nilIfNone(entry.Actions)}, {"records", members{
				{"scopes", entry.Records.Scopes.String()}, {"ids", nilIfNone(entry.Records.IDs)}, {"owners", nilIfNone(entry.Records.Owners)},
				{"departments", nilIfNone(entry.Records.Departments)}, {"departmentTrees", nilIfNone(entry.Records.DepartmentTrees)},
			}}}, grantMembers(entry)...), member{"onlyFields", entry.OnlyFields}, member{"users", nilIfNone(entry.Users)})
		})},
		{"notBefore", instantText(g.Window.NotBefore)}, {"notAfter", instantText(g.Window.NotAfter)},
		{"reason", g.Reason}, {"requestedBy", g.RequestedBy}, {"emergency", g.Emergency},
	}
}

func guardrailText(g *access.Guardrail) members {
	return members{{"rules", list(g.Rules, guardrailRuleText)}}
}

func guardrailRuleText(r *access.GuardrailRule) members {
	return members{{"deny", r.Deny}, {"limit", r.Limit}, {"approve", r.Approve}, {"cap", r.Cap}, {"separate", r.Separate}, {"admit", r.Admit}}
}

func revocationText(r *access.Revocation) members {
	named := func(kind access.Kind) string {
		if r.Target.Kind == kind {
			return r.Target.Name
		}
		return ""
	}
	return members{
		{"user", named(access.KindUser)}, {"binding", named(access.KindUserBinding)},
		{"grant", named(access.KindTemporaryGrant)}, {"role", named(access.KindRole)}, {"reason", r.Reason},
	}
}

func approvalText(a *access.Approval) members {
	return members{
		{"for", members{{"kind", string(a.For.Kind)}, {"name", a.For.Name}}}, {"effect", a.Effect},
		{"decision", a.Denied}, {"approver", a.Approver}, {"document", string(a.Document)},
	}
}
