package access

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// maxEmergency is how long an emergency grant may last, since nobody has approved it.
const maxEmergency = 4 * time.Hour

// admitRule is an admit rule with its place.
type admitRule struct {
	*AdmitRule
	guardrail Ref
	position  int
}

func compareAdmitRules(a, b *admitRule) int {
	return cmp.Or(cmp.Compare(a.guardrail.Name, b.guardrail.Name), cmp.Compare(a.position, b.position))
}

// gift is one bundle that a declaration gives a user: of a role, or of one entry of a temporary grant.
type gift struct {
	bundle string
	label  string // of the bundle, among those of its declaration
	role   string // empty for an entry
	tuples []pathTuple
	// records are what an entry selects as declared: a name that nobody declares is in another department as well.
	records Records
}

func (r *resolver) giftOf(role string) gift {
	node := r.roles[role]
	return gift{bundle: node.bundle, label: role, role: role, tuples: node.tuples}
}

// offer is what a UserBinding or TemporaryGrant gives one user once the rules are satisfied.
type offer struct {
	ref                 Ref
	user                *User
	window              schedule.Window
	reason, requestedBy string
	gifts               []gift
	rules               []*admitRule
	review              bool // it counts already: approvals are a look afterwards

	digest   string
	document []byte
	approved []*choice
	shares   []share // what counts
}

// handing is a UserBinding or TemporaryGrant that hands out what it gives.
type handing struct {
	*resolver
	ref                  Ref
	window               schedule.Window
	reason, requestedBy  string
	temporary, emergency bool
}

// handAll gives each user of a temporary grant what is theirs, unless it lasts too long.
func (h *handing) handAll(names []string, given map[string][]gift) {
	if h.emergency && longer(h.window, maxEmergency) {
		h.find(h.ref, ReasonEmergencyTooLong, "notAfter", "an emergency grant skips approval and lasts at most %s; this one lasts %s: it confers nothing", maxEmergency, lasting(h.window))
		return
	}
	tooLong := make(map[*admitRule][]string)
	handed := make(map[string]bool, len(names))
	for _, name := range names {
		gifts, refused := given[name], false
		if len(gifts) == 0 || handed[name] {
			continue
		}
		handed[name] = true
		rules := h.rulesAbout(gifts)
		for _, rule := range rules {
			if rule.MaxDuration > 0 && longer(h.window, rule.MaxDuration) && h.concerns(rule, h.users[name], gifts) {
				tooLong[rule] = append(tooLong[rule], name)
				refused = true
			}
		}
		if !refused {
			h.offer(rules, h.users[name], gifts)
		}
	}
	for _, rule := range h.admitRules {
		if names := tooLong[rule]; len(names) > 0 {
			h.find(h.ref, ReasonTooLong, "notAfter", "the grant lasts %s, and %s allows %s: it confers nothing to %s", lasting(h.window), rule.guardrail, rule.MaxDuration, firstTwenty(names))
		}
	}
}

// longer says whether a window lasts longer than it may. Without a start it has lasted for ever.
func longer(w schedule.Window, limit time.Duration) bool {
	return w.NotBefore == schedule.Always || w.NotAfter == schedule.Forever || w.NotAfter-w.NotBefore > schedule.Instant(limit/time.Second)
}

func lasting(w schedule.Window) string {
	switch {
	case w.NotBefore == schedule.Always:
		return "from an unknown start (set notBefore)"
	case w.NotAfter == schedule.Forever:
		return "for ever"
	}
	hours, rest := (w.NotAfter-w.NotBefore)/3600, (w.NotAfter-w.NotBefore)%3600
	return strings.TrimSuffix(fmt.Sprintf("%dh%dm%ds", hours, rest/60, rest%60), "0m0s")
}

// firstTwenty lists names, and how many there are where they are too many to list.
func firstTwenty(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and others, %d in all", strings.Join(names[:most], ", "), len(names))
}

// rulesAbout are the rules that may concern the gifts, whoever gets them.
func (h *handing) rulesAbout(gifts []gift) (rules []*admitRule) {
	for _, rule := range h.admitRules {
		when := &rule.When
		switch {
		case when.Temporary && !h.temporary:
		case when.PrivilegedRole && !slices.ContainsFunc(gifts, h.isPrivileged):
		case len(when.Roles) > 0 && !slices.ContainsFunc(gifts, func(g gift) bool { return h.isOneOf(g, when.Roles) }):
		default:
			rules = append(rules, rule)
		}
	}
	return rules
}

func (r *resolver) isPrivileged(g gift) bool { return g.role != "" && r.roles[g.role].privileged }

// isOneOf says whether the gift is one of the roles, or an heir of one.
func (r *resolver) isOneOf(g gift, roles []string) bool {
	return g.role != "" && slices.ContainsFunc(roles, func(name string) bool {
		return name == g.role || slices.Contains(r.roles[g.role].ancestors, name)
	})
}

// concerns says whether a rule about the gifts concerns this user, too.
func (h *handing) concerns(rule *admitRule, u *User, gifts []gift) bool {
	when := &rule.When
	return (!when.External || u.Type == UserExternal) && (!when.OtherDepartment || h.reachesOtherDepartment(u, gifts))
}

// asking are the rules that make this user wait for approvals.
func (h *handing) asking(rules []*admitRule, u *User, gifts []gift) (asking []*admitRule) {
	for _, rule := range rules {
		if rule.Approvals > 0 && h.concerns(rule, u, gifts) {
			asking = append(asking, rule)
		}
	}
	return asking
}

// offer hands out what needs no approval, and keeps the rest until it is known who approves.
func (h *handing) offer(rules []*admitRule, u *User, gifts []gift) {
	asking := h.asking(rules, u, gifts)
	if len(asking) == 0 || h.emergency {
		h.hand(u, gifts)
	}
	if len(asking) == 0 && h.emergency {
		asking = []*admitRule{emergencyReview}
	}
	if len(asking) > 0 {
		h.offers = append(h.offers, &offer{
			ref: h.ref, user: u, window: h.window, reason: h.reason, requestedBy: h.requestedBy, gifts: gifts, rules: asking, review: h.emergency,
		})
	}
}

// emergencyReview asks for one look afterwards at an emergency grant that no guardrail asks approvals for.
var emergencyReview = &admitRule{AdmitRule: &AdmitRule{Approvals: 1}}

// hand gives the user the bundles. A role's is the role's own; an entry's is this declaration's, and is made for the
// first who gets it.
func (h *handing) hand(u *User, gifts []gift) {
	for i := range gifts {
		g := &gifts[i]
		h.facts.Holders = append(h.facts.Holders, HolderFact{Owner: h.ref, User: u.Name, Bundle: g.bundle, Role: g.role, Window: h.window})
		if g.role == "" && !h.bundles[g.bundle] {
			h.bundles[g.bundle] = true
			for _, t := range g.tuples {
				h.facts.Tuples = append(h.facts.Tuples, TupleFact{Owner: h.ref, Bundle: g.bundle, Path: t.path, Tuple: t.Tuple})
			}
		}
	}
}

// reachesOtherDepartment says whether the gifts select something that lies in another department than the user's.
func (r *resolver) reachesOtherDepartment(u *User, gifts []gift) bool {
	own := slices.DeleteFunc(slices.Clone(u.Departments), func(d string) bool { return r.departments[d] == nil })
	return slices.ContainsFunc(gifts, func(g gift) bool {
		if g.role == "" {
			return r.lieElsewhere(own, &g.records)
		}
		return slices.ContainsFunc(g.tuples, func(t pathTuple) bool {
			return len(own) == 0 || slices.Contains(t.Scopes, ScopeAll.String())
		})
	})
}

// lieElsewhere says whether records lie, or may lie, in other departments than these. Scopes but all follow the user, so
// they stay at home.
func (r *resolver) lieElsewhere(own []string, records *Records) bool {
	foreign := func(department string) bool { return !slices.Contains(own, department) }
	foreignOwner := func(name string) bool {
		owner := r.users[name]
		return owner == nil || len(owner.Departments) == 0 || foreign(owner.Departments[0])
	}
	foreignTree := func(root string) bool {
		return foreign(root) || slices.ContainsFunc(r.declared.Departments, func(d *Department) bool {
			return slices.Contains(r.ancestors[d.Name], root) && foreign(d.Name)
		})
	}
	return len(own) == 0 || len(records.IDs) > 0 || records.Scopes.Has(ScopeAll) ||
		slices.ContainsFunc(records.Owners, foreignOwner) ||
		slices.ContainsFunc(records.Departments, foreign) ||
		slices.ContainsFunc(records.DepartmentTrees, foreignTree)
}
