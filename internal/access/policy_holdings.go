package access

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// held is a bundle that somebody holds, with who says so.
type held struct {
	user, bundle int32
	name         bundle
	owner        Ref
	fact         *HolderFact
}

// indexHoldings finds who holds what, sets aside what a revocation ends of it, and collects the instants at which a decision
// may change. A bundle that confers nothing is held where it is a role's: its holders may approve.
func (b *policyBuilder) indexHoldings() {
	p := b.policy
	filled := p.filled()
	ended := p.endedIn(filled)
	live := make([]held, 0, len(b.facts.Holders))
	var aside []held
	for i := range b.facts.Holders {
		h := &b.facts.Holders[i]
		user, known := p.users.find(h.User)
		if !known || h.Window.Empty() {
			continue
		}
		whole := held{user: user, name: bundle{name: h.Bundle}, owner: h.Owner, fact: h}
		if id, known := p.bundles[whole.name]; known && (filled[id] || h.Role != "") {
			whole.bundle = id
			if h.RevokedBy == "" {
				live = append(live, whole)
			} else {
				aside = append(aside, whole.endedBy(h.RevokedBy))
			}
		}
		for _, revocation := range ended[h.Bundle] {
			part := whole
			part.name.endedBy = revocation
			part.bundle = p.bundles[part.name]
			aside = append(aside, part.endedBy(cmp.Or(h.RevokedBy, revocation)))
		}
	}
	p.lineage = make(map[string][]string)
	for _, l := range b.facts.Lineage {
		p.lineage[l.Role] = append(p.lineage[l.Role], l.Ancestor)
	}
	for _, ancestors := range p.lineage {
		slices.Sort(ancestors)
	}
	b.setAside(aside)
	p.hold(live)
	p.boundaries = nil
	for _, w := range p.windows {
		p.boundaries = append(p.boundaries, w.NotBefore, w.NotAfter)
	}
}

func (h held) endedBy(revocation string) held {
	h.owner = Ref{KindRevocation, revocation}
	return h
}

// filled says which bundles have tuples.
func (p *Policy) filled() []bool {
	filled := make([]bool, len(p.bundles))
	for pair, s := range p.spans {
		if s.start < s.end {
			filled[pair/len(p.objects)] = true
		}
	}
	return filled
}

// hold makes these the holdings, in the order of users.
func (p *Policy) hold(list []held) {
	list = p.byUser(list)
	seen := map[schedule.Window]int32{schedule.Unbounded: none}
	p.windows = nil
	p.holdings, p.owners, p.roles = make([]holding, len(list)), make([]Ref, len(list)), make([]string, len(list))
	for i, h := range list {
		window, known := seen[h.fact.Window]
		if !known {
			window = int32(len(p.windows))
			seen[h.fact.Window] = window
			p.windows = append(p.windows, h.fact.Window)
		}
		p.holdings[i], p.owners[i], p.roles[i] = holding{h.bundle, window}, h.owner, h.fact.Role
	}
}

// byUser orders what is held, and says in the accounts where each one's begins. Most hold little: their names are compared
// with each other alone.
func (p *Policy) byUser(list []held) []held {
	for i := range list {
		p.accounts[list[i].user+1].holdings++
	}
	for i := range p.accounts[1:] {
		p.accounts[i+1].holdings += p.accounts[i].holdings
	}
	sorted, next := make([]held, len(list)), make([]uint32, len(p.accounts))
	for i := range list {
		user := list[i].user
		sorted[p.accounts[user].holdings+next[user]] = list[i]
		next[user]++
	}
	for i := range p.accounts[1:] {
		slices.SortFunc(sorted[p.accounts[i].holdings:p.accounts[i+1].holdings], held.compare)
	}
	return sorted
}

func (h held) compare(o held) int {
	return cmp.Or(cmp.Compare(h.owner.Kind, o.owner.Kind), cmp.Compare(h.owner.Name, o.owner.Name), h.name.compare(o.name),
		cmp.Compare(h.fact.Owner.Kind, o.fact.Owner.Kind), cmp.Compare(h.fact.Owner.Name, o.fact.Owner.Name))
}

func (b bundle) compare(o bundle) int {
	return cmp.Or(cmp.Compare(b.name, o.name), cmp.Compare(b.endedBy, o.endedBy))
}
