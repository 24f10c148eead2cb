package access

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// maxChoices bounds how many approved effects are looked at for one offer, since every set of them may be approved by
// enough people: those that say all of it come first. More than that many stand only where something was widened and
// approved, differently, again and again; approving what is asked now always counts.
const maxChoices = 12

// admission is the offers under way to being admitted.
type admission struct {
	*resolver
	encoded map[*Tuple]string          // their canonical form
	heirs   map[string]map[string]bool // by role that may approve: the roles whose holders hold it
	held    map[[2]string][]schedule.Window
	changed bool
}

// admit finds what counts of every offer. Who may approve may depend on who holds a role, which may depend on approvals:
// those whom nothing is asked of hold theirs first, and each round adds who can be admitted by then, until nobody more
// can. More holders never admit less, so every order comes to the same.
func (r *resolver) admit() {
	if len(r.offers) == 0 {
		return
	}
	a := &admission{resolver: r, encoded: make(map[*Tuple]string), held: make(map[[2]string][]schedule.Window)}
	a.findHeirs()
	for i := range r.facts.Holders {
		if h := &r.facts.Holders[i]; h.RevokedBy == "" {
			a.hold(h.User, h.Role, h.Window)
		}
	}
	for _, o := range r.offers {
		o.document = a.documentOf(o)
		o.digest = EffectDigest(o.document)
		r.documents[o.digest] = o.document
		o.approved = a.approvedEffects(o)
	}
	for a.changed = true; a.changed; {
		a.changed = false
		for _, o := range r.offers {
			a.weigh(o)
		}
	}
	made := make(map[string]bool)
	for _, o := range r.offers {
		a.emit(o, made)
		r.admissions[o.ref] = append(r.admissions[o.ref], a.report(o))
	}
}

// findHeirs finds, for every role whose holders may approve something that is offered, who counts as a holder: not by
// way of a revoked role.
func (a *admission) findHeirs() {
	a.heirs = make(map[string]map[string]bool)
	for _, o := range a.offers {
		for _, rule := range o.rules {
			for _, by := range rule.By {
				if by.Role != "" && a.heirs[by.Role] == nil {
					a.heirs[by.Role] = a.heirsOf(by.Role)
				}
			}
		}
	}
}

func (a *admission) heirsOf(role string) map[string]bool {
	heirs := make(map[string]bool)
	isRevoked := func(name string) bool { return a.revoked.of(Ref{KindRole, name}) != "" }
	var reaches func(name string) bool
	reaches = func(name string) bool {
		node := a.roles[name]
		if is, known := heirs[name]; known {
			return is
		}
		heirs[name] = node != nil && !node.broken && !isRevoked(name) &&
			(name == role || slices.ContainsFunc(node.parents, func(entry Inheritance) bool { return reaches(entry.Role) }))
		return heirs[name]
	}
	for name := range a.roles {
		reaches(name)
	}
	return heirs
}

// hold notes that somebody holds a role in a window, where that lets them approve.
func (a *admission) hold(user, role string, w schedule.Window) {
	if role == "" || w.Empty() {
		return
	}
	for approving, heirs := range a.heirs {
		key := [2]string{approving, user}
		if before := a.held[key]; heirs[role] {
			after := union(append(slices.Clip(before), w))
			a.changed = a.changed || !slices.Equal(before, after)
			a.held[key] = after
		}
	}
}

// union is the windows in order, without overlap or touch.
func union(windows []schedule.Window) (joined []schedule.Window) {
	windows = slices.Clone(windows)
	slices.SortFunc(windows, func(x, y schedule.Window) int { return cmp.Compare(x.NotBefore, y.NotBefore) })
	for _, w := range windows {
		last := len(joined) - 1
		switch {
		case w.Empty():
		case last >= 0 && w.NotBefore <= joined[last].NotAfter:
			joined[last].NotAfter = max(joined[last].NotAfter, w.NotAfter)
		default:
			joined = append(joined, w)
		}
	}
	return joined
}

func (a *admission) documentOf(o *offer) []byte {
	effect := AccessEffect{Subject: o.user.Name, Roles: a.rolesOf(o.gifts...), Window: o.window, Reason: o.reason, RequestedBy: o.requestedBy}
	var tuples []string
	for _, g := range o.gifts {
		for _, t := range g.tuples {
			tuples = append(tuples, a.encode(t.Tuple))
		}
	}
	return effect.document(tuples)
}

// rolesOf are the roles that somebody holds by the gifts, with those that they inherit.
func (r *resolver) rolesOf(gifts ...gift) (roles []string) {
	for _, g := range gifts {
		if g.role != "" {
			roles = append(append(roles, g.role), r.roles[g.role].ancestors...)
		}
	}
	return inOrder(roles)
}

func (a *admission) encode(t *Tuple) string {
	text, known := a.encoded[t]
	if !known {
		text = string(appendCanonical(nil, t.content()))
		a.encoded[t] = text
	}
	return text
}

// weigh finds what counts of an offer: the rules that ask for approvals filter it one after the other.
func (a *admission) weigh(o *offer) {
	o.shares = nil
	if o.review || a.isRefused(o) {
		return
	}
	shares := []share{o.all()}
	for _, rule := range o.rules {
		choices := a.choices(o, rule)
		var left []share
		for _, s := range shares {
			left = append(left, a.approved(o, rule.Approvals, choices, s)...)
		}
		shares = settleShares(o, left)
	}
	o.shares = shares
	for _, s := range shares {
		for i, g := range o.gifts {
			if s.parts[i].isWhole(&g) && a.revokedBy(o, &g) == "" {
				a.hold(o.user.Name, g.role, s.window)
			}
		}
	}
}

// isRefused says whether somebody said no to just what is offered. A no is not asked who may say it: it takes nothing
// away but what waits for a yes.
func (a *admission) isRefused(o *offer) bool {
	return slices.ContainsFunc(a.approvals[o.ref], func(b *ballot) bool { return b.Denied && b.Effect == o.digest })
}

func (r *resolver) revokedBy(o *offer, g *gift) string {
	return r.revoked.of(o.ref, Ref{KindRole, g.role})
}

// choice is an approved effect with those who approved it.
type choice struct {
	digest  string
	access  *AccessEffect // nil: the effect of now
	all     bool          // says all that is offered
	ballots []*ballot
	texts   map[string]bool // the canonical forms of its tuples
	roles   map[string]bool
	// voters are who approved it and may by the rule in question, and when.
	voters map[string][]schedule.Window
}

// approvedEffects are the effects of this offer's subject that people said yes to who may approve it at all, nor had asked
// for it themselves at that time, and that have something in common with what is offered. Which are looked at must not
// depend on who holds a role: that is not known yet.
func (a *admission) approvedEffects(o *offer) (effects []*choice) {
	byDigest := make(map[string]*choice)
	for _, b := range a.approvals[o.ref] {
		if b.Denied || !a.mayApproveFor(o, b.person) {
			continue
		}
		var before *AccessEffect
		if b.Effect != o.digest {
			before = a.accessEffect(b.Effect)
			if before == nil || before.Subject != o.user.Name || isNamed(before.RequestedBy, b.person) {
				continue
			}
		}
		c := byDigest[b.Effect]
		if c == nil {
			c = &choice{digest: b.Effect, access: before}
			byDigest[b.Effect] = c
			if before != nil {
				c.texts, c.roles = make(map[string]bool), setOf(before.Roles)
				for _, t := range before.Tuples {
					c.texts[a.encode(t)] = true
				}
			}
			s := a.cutTo(o.all(), c, o)
			c.all = s.isAll(o)
			if !s.isNothing(o) && !s.window.Empty() {
				effects = append(effects, c)
			}
		}
		c.ballots = append(c.ballots, b)
	}
	first := func(holds bool) int {
		if holds {
			return 0
		}
		return 1
	}
	slices.SortFunc(effects, func(x, y *choice) int {
		return cmp.Or(first(x.access == nil)-first(y.access == nil), first(x.all)-first(y.all), cmp.Compare(x.digest, y.digest))
	})
	return effects[:min(len(effects), maxChoices)]
}

// choices are the approved effects that somebody stands behind who may by this rule.
func (a *admission) choices(o *offer, rule *admitRule) (choices []*choice) {
	for _, effect := range o.approved {
		c := *effect
		c.voters = make(map[string][]schedule.Window)
		for _, b := range c.ballots {
			if windows := a.allowed(o, rule, b.person); len(windows) > 0 {
				c.voters[b.person.Name] = windows
			}
		}
		if len(c.voters) > 0 {
			choices = append(choices, &c)
		}
	}
	return choices
}

// mayApproveFor says whether the person may approve this offer at all: neither its subject, nor who asks for it.
func (a *admission) mayApproveFor(o *offer, person *User) bool {
	return a.mayApprove(person) && person != o.user && !isNamed(o.requestedBy, person)
}

// allowed is when the person may approve by the rule.
func (a *admission) allowed(o *offer, rule *admitRule, person *User) (windows []schedule.Window) {
	if len(rule.By) == 0 {
		return []schedule.Window{schedule.Unbounded}
	}
	for _, by := range rule.By {
		if (by.User != "" && by.User == person.Name) || (by.ManagerOfSubject && a.managerOf(o.user) == person) {
			return []schedule.Window{schedule.Unbounded}
		}
		if by.Role != "" {
			windows = append(windows, a.held[[2]string{by.Role, person.Name}]...)
		}
	}
	return union(windows)
}

// managerOf is the first up the user's line who may approve; nil where the line ends before.
func (r *resolver) managerOf(u *User) *User {
	seen := map[string]bool{u.Name: true}
	for name := u.Manager; name != "" && !seen[name]; {
		seen[name] = true
		manager := r.users[name]
		if manager == nil {
			return nil
		}
		if r.mayApprove(manager) {
			return manager
		}
		name = manager.Manager
	}
	return nil
}

// approved is what of the share enough different people have approved: for every set of approved effects that so many
// people stand behind, what all of the set say, while they may. No set needs more effects than people.
func (a *admission) approved(o *offer, needed int, choices []*choice, whole share) (shares []share) {
	var extend func(from int, s share, set []*choice)
	extend = func(from int, s share, set []*choice) {
		for i := from; i < len(choices); i++ {
			next := a.cutTo(s, choices[i], o)
			if next.isNothing(o) || next.window.Empty() {
				continue
			}
			chosen := append(slices.Clip(set), choices[i])
			agreed := agreement(chosen, needed, next.window)
			for _, w := range agreed {
				shares = append(shares, next.during(w))
			}
			if len(chosen) < needed && !slices.Equal(agreed, []schedule.Window{next.window}) {
				extend(i+1, next, chosen)
			}
		}
	}
	extend(0, whole, nil)
	return shares
}

// agreement is when, within a window, so many different people stand behind the choices.
func agreement(choices []*choice, needed int, within schedule.Window) []schedule.Window {
	voters := make(map[string][]schedule.Window)
	all := []schedule.Window{within}
	for _, c := range choices {
		for person, windows := range c.voters {
			voters[person] = append(voters[person], windows...)
			all = append(all, windows...)
		}
	}
	if len(voters) < needed {
		return nil
	}
	var agreed []schedule.Window
	instants := bounds(all)
	for i := 1; i < len(instants); i++ {
		count := 0
		for _, windows := range voters {
			if slices.ContainsFunc(windows, func(w schedule.Window) bool { return w.Active(instants[i-1]) }) {
				count++
			}
		}
		if count >= needed {
			agreed = append(agreed, intersection(within, schedule.Window{NotBefore: instants[i-1], NotAfter: instants[i]}))
		}
	}
	return union(agreed)
}

// cutTo is what of the share the approved effect says, too.
func (a *admission) cutTo(s share, c *choice, o *offer) share {
	if c.access == nil {
		return s
	}
	narrowed := share{window: intersection(s.window, c.access.Window), parts: make([]part, len(s.parts))}
	for i, p := range s.parts {
		out := &narrowed.parts[i]
		out.holds = p.holds && !slices.ContainsFunc(a.rolesOf(o.gifts[i]), func(role string) bool { return !c.roles[role] })
		for _, t := range p.tuples {
			out.tuples = append(out.tuples, a.cutTuple(t, c)...)
		}
		out.settle(&o.gifts[i])
	}
	return narrowed
}

func (a *admission) cutTuple(t cut, c *choice) (cuts []cut) {
	if c.texts[a.encode(t.Tuple)] {
		return []cut{t}
	}
	for _, approved := range c.access.Tuples {
		m, ok := a.meet(t.Tuple, approved)
		if !ok {
			continue
		}
		if m == t.Tuple {
			return []cut{t}
		}
		narrowed := t
		narrowed.Tuple = m
		cuts = append(cuts, narrowed)
	}
	return cuts
}
