package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// withoutApprovals are the declarations as they will stand once all that waits is approved. Approvals are made in the
// cluster and not kept beside manifests, so what is counted without them would be wrong wherever somebody has approved.
func withoutApprovals(d access.Declarations) access.Declarations {
	guardrails := d.Guardrails
	d.Guardrails = make([]*access.Guardrail, len(guardrails))
	for i, g := range guardrails {
		free := *g
		free.Rules = slices.Clone(g.Rules)
		for j, rule := range free.Rules {
			if rule.Admit != nil {
				admit := *rule.Admit
				admit.Approvals = 0
				free.Rules[j].Admit = &admit
			}
		}
		d.Guardrails[i] = &free
	}
	return d
}

// waiting reports what somebody must approve before it counts.
func (c *checker) waiting(tenant *manifest.Tenant, resolution access.Resolution) {
	for ref, admissions := range resolution.Admissions {
		for _, a := range admissions {
			severity, from, by := Info, strings.Join(a.From, " or "), ""
			if len(a.From) == 0 {
				severity, from = Warning, "nobody who may"
			}
			if a.Rule != "" {
				by = " (Guardrail/" + a.Rule + ")"
			}
			message := fmt.Sprintf("what %s gets waits for approval: %d of %d, from %s%s; effect %s", a.User, a.Have, a.Needed, from, by, a.Effect)
			switch {
			case a.State == access.Admitted:
				continue
			case a.State == access.Refused:
				severity, message = Warning, fmt.Sprintf("an approver has said no to what %s gets; effect %s", a.User, a.Effect)
			case a.Review:
				message = strings.Replace(message, "waits for approval", "in an emergency waits for review", 1)
			}
			c.add(tenant.Sources[ref], severity, ref, "", message)
		}
	}
}

// approvers reports the rules that ask for an approval which nobody could give. A name in them that nobody declares is
// reported already.
func (c *checker) approvers(tenant *manifest.Tenant, approved access.Resolution) {
	can := newApproverFinder(tenant.Declarations, approved.Facts)
	for _, g := range tenant.Declarations.Guardrails {
		ref := access.Ref{Kind: access.KindGuardrail, Name: g.Name}
		for i, rule := range g.Rules {
			form, by := "", []access.Approver(nil)
			switch {
			case rule.Approve != nil:
				form, by = "approve", rule.Approve.By
			case rule.Admit != nil:
				form, by = "admit", rule.Admit.By
			}
			if len(by) == 0 || slices.ContainsFunc(by, func(a access.Approver) bool { return can.find(a) || !can.known(a) }) {
				continue
			}
			field := fmt.Sprintf("spec.rules[%d].%s.by", i, form)
			c.add(c.at(tenant, ref, field), Warning, ref, field, "nobody may approve by it: no active employee is "+approverWords(by)+"; what it asks approval for is denied to all")
		}
	}
}

func approverWords(by []access.Approver) string {
	words := make([]string, len(by))
	for i, a := range by {
		switch {
		case a.Role != "":
			words[i] = "a holder of role " + a.Role
		case a.User != "":
			words[i] = a.User
		default:
			words[i] = "anybody's manager"
		}
	}
	return strings.Join(words, " or ")
}

// approverFinder knows who could approve.
type approverFinder struct {
	declared access.Declarations
	able     map[string]bool // active employees who are not revoked
	managers bool            // somebody's manager is one
	held     map[string]bool // roles that one holds, or an heir of them
}

func newApproverFinder(d access.Declarations, facts access.Facts) *approverFinder {
	f := &approverFinder{declared: d, able: make(map[string]bool), held: make(map[string]bool)}
	for _, u := range facts.Users {
		f.able[u.User] = u.State == access.StateActive && u.Type == access.UserEmployee && u.RevokedBy == ""
	}
	f.managers = slices.ContainsFunc(facts.Users, func(u access.UserFact) bool { return f.able[u.Manager] })
	for _, h := range facts.Holders {
		if f.able[h.User] && h.RevokedBy == "" {
			f.held[h.Role] = true
		}
	}
	for _, l := range facts.Lineage {
		if f.held[l.Role] {
			f.held[l.Ancestor] = true
		}
	}
	return f
}

func (f *approverFinder) find(a access.Approver) bool {
	switch {
	case a.Role != "":
		return f.held[a.Role]
	case a.User != "":
		return f.able[a.User]
	}
	return f.managers
}

func (f *approverFinder) known(a access.Approver) bool {
	switch {
	case a.Role != "":
		return slices.ContainsFunc(f.declared.Roles, func(r *access.Role) bool { return r.Name == a.Role })
	case a.User != "":
		return slices.ContainsFunc(f.declared.Users, func(u *access.User) bool { return u.Name == a.User })
	}
	return true
}

// caps reports field rules that give more than a guardrail lets anybody have.
func (c *checker) caps(tenant *manifest.Tenant) {
	objects := make(map[string]*access.ObjectType)
	for _, o := range tenant.Declarations.ObjectTypes {
		objects[o.Name] = o
	}
	for _, role := range tenant.Declarations.Roles {
		c.cappedGrants(tenant, objects, access.Ref{Kind: access.KindRole, Name: role.Name}, role.Grants)
	}
	for _, g := range tenant.Declarations.TemporaryGrants {
		c.cappedGrants(tenant, objects, access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}, g.Grants)
	}
}

func (c *checker) cappedGrants(tenant *manifest.Tenant, objects map[string]*access.ObjectType, about access.Ref, grants []access.Grant) {
	for i, grant := range grants {
		object := objects[grant.Object]
		if object == nil {
			continue // reported already
		}
		for j, rule := range grant.Fields {
			level, by := cappedAt(tenant.Declarations.Guardrails, object, rule)
			if by == "" || rule.Level <= level {
				continue
			}
			field := fmt.Sprintf("spec.grants[%d].fields[%d].level", i, j)
			c.add(c.at(tenant, about, field), Info, about, field, fmt.Sprintf("gives %s %s, and Guardrail/%s caps it at %s: nobody has more",
				cmp.Or(rule.Field, "the "+rule.Class.String()+" fields"), rule.Level, by, level))
		}
	}
}

// cappedAt is the lowest cap on all that a field rule is about, and by which guardrail.
func cappedAt(guardrails []*access.Guardrail, object *access.ObjectType, rule access.FieldRule) (lowest access.Level, by string) {
	class := rule.Class
	for _, f := range object.Fields {
		if rule.Field != "" && f.Name == rule.Field {
			class = f.Class
		}
	}
	lowest = access.LevelEdit
	for _, g := range guardrails {
		for _, r := range g.Rules {
			if r.Cap == nil || !names(r.Cap.Objects, object.Name) {
				continue
			}
			if !slices.Contains(r.Cap.Classes, class.String()) && (rule.Field == "" || !slices.Contains(r.Cap.Fields, rule.Field)) {
				continue
			}
			if level, err := access.ParseLevel(r.Cap.Level); err == nil && (level < lowest || (level == lowest && g.Name < by)) {
				lowest, by = level, g.Name
			}
		}
	}
	return lowest, by
}

// names says whether a list of a rule names something, itself or by Any.
func names(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, access.Any)
}
