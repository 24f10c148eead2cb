package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What guardrails want of the number of holders, and of duties that one person is not to hold together, are findings:
// they take no access away and keep none alive.

// countHolders reports the roles that have fewer or more holders than a guardrail wants.
func (r *resolver) countHolders() {
	counted := func(rule *admitRule) bool { return rule.MinHolders != nil || rule.MaxHolders != nil }
	if !slices.ContainsFunc(r.admitRules, counted) {
		return
	}
	active := r.activeUsers()
	for _, rule := range r.admitRules {
		if !counted(rule) {
			continue
		}
		for _, role := range r.rolesCounted(rule) {
			r.checkHolders(rule, role, active)
		}
	}
}

func (r *resolver) activeUsers() map[string]bool {
	active := make(map[string]bool, len(r.facts.Users))
	for _, u := range r.facts.Users {
		active[u.User] = u.State == StateActive && u.RevokedBy == ""
	}
	return active
}

// rolesCounted are the roles that a rule about numbers of holders concerns, in order.
func (r *resolver) rolesCounted(rule *admitRule) (roles []string) {
	when := &rule.When
	if !when.PrivilegedRole && len(when.Roles) == 0 {
		return nil
	}
	for name, node := range r.roles {
		if (!when.PrivilegedRole || node.role.Privileged) && (len(when.Roles) == 0 || slices.Contains(when.Roles, name)) {
			roles = append(roles, name)
		}
	}
	slices.Sort(roles)
	return roles
}

// checkHolders counts who holds the role or an heir of it. Too few is asked of those who hold it without an end, too many
// of everybody who holds it at any time: without a clock both err on the side of saying so.
func (r *resolver) checkHolders(rule *admitRule, role string, active map[string]bool) {
	standing, all := make(map[string]bool), make(map[string]bool)
	for i := range r.facts.Holders {
		h := &r.facts.Holders[i]
		if h.Role == "" || h.RevokedBy != "" || !active[h.User] || (h.Role != role && !slices.Contains(r.roles[h.Role].ancestors, role)) {
			continue
		}
		all[h.User] = true
		if h.Window.NotAfter == schedule.Forever {
			standing[h.User] = true
		}
	}
	field := fmt.Sprintf("rules[%d].admit.", rule.position)
	if few := rule.MinHolders; few != nil && int64(len(standing)) < *few {
		r.find(rule.guardrail, ReasonHoldersOutOfRange, field+"minHolders", "role %q is held by %s, fewer than %d", role, holdersText(standing), *few)
	}
	if many := rule.MaxHolders; many != nil && int64(len(all)) > *many {
		r.find(rule.guardrail, ReasonHoldersOutOfRange, field+"maxHolders", "role %q is held by %s, more than %d", role, holdersText(all), *many)
	}
}

func holdersText(users map[string]bool) string {
	if len(users) == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", len(users), firstTwenty(slices.Sorted(maps.Keys(users))))
}

// findDutiesHeldTogether reports who holds the rights to more than one of the duties that are to be separate.
func (r *resolver) findDutiesHeldTogether() {
	separates := func(rule GuardrailRule) bool { return rule.Separate != nil }
	if !slices.ContainsFunc(r.declared.Guardrails, func(g *Guardrail) bool { return slices.ContainsFunc(g.Rules, separates) }) {
		return
	}
	active, inBundle := r.activeUsers(), make(map[string]map[Duty]bool)
	for i := range r.facts.Tuples {
		t := &r.facts.Tuples[i]
		if t.RevokedBy != "" {
			continue
		}
		if inBundle[t.Bundle] == nil {
			inBundle[t.Bundle] = make(map[Duty]bool)
		}
		for _, action := range t.Actions {
			inBundle[t.Bundle][Duty{t.Object, action}] = true
		}
	}
	for _, g := range r.declared.Guardrails {
		for i, rule := range g.Rules {
			if separates(rule) {
				r.checkDuties(Ref{KindGuardrail, g.Name}, fmt.Sprintf("rules[%d].separate", i), rule.Separate.Duties, r.rightsHeld(active, inBundle, rule.Separate.Duties))
			}
		}
	}
}

// rightsHeld are, by user, those of the duties that they have the right to.
func (r *resolver) rightsHeld(active map[string]bool, inBundle map[string]map[Duty]bool, duties []Duty) map[string]map[Duty]bool {
	held := make(map[string]map[Duty]bool)
	for i := range r.facts.Holders {
		h := &r.facts.Holders[i]
		if h.RevokedBy != "" || !active[h.User] {
			continue
		}
		for _, duty := range duties {
			if inBundle[h.Bundle][duty] {
				if held[h.User] == nil {
					held[h.User] = make(map[Duty]bool)
				}
				held[h.User][duty] = true
			}
		}
	}
	return held
}

func (r *resolver) checkDuties(about Ref, field string, duties []Duty, held map[string]map[Duty]bool) {
	together := slices.DeleteFunc(slices.Sorted(maps.Keys(held)), func(user string) bool { return len(held[user]) < 2 })
	if len(together) == 0 {
		return
	}
	var texts []string
	for _, duty := range duties {
		texts = append(texts, duty.Action+" "+duty.Object)
	}
	r.find(about, ReasonDutiesHeldTogether, field, "rights to duties that are to be separate (%s) are held together by %s", strings.Join(texts, ", "), firstTwenty(together))
}
