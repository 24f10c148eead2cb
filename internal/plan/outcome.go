package plan

import (
	"iter"
	"slices"
)

// risks are those of every row that has one.
func (p *Plan) risks() iter.Seq[*Risk] {
	return func(yield func(*Risk) bool) {
		for _, t := range p.Tenants {
			for _, c := range t.Changes {
				if !yield(&c.Risk) {
					return
				}
			}
			for _, r := range t.Rules {
				if !yield(&r.Risk) {
					return
				}
			}
			for _, person := range t.People {
				if !yield(&person.Risk) {
					return
				}
			}
		}
	}
}

// Empty says that nobody's access changes. Findings do not count, nor does what changes by itself.
func (p *Plan) Empty() bool {
	return !slices.ContainsFunc(p.Tenants, func(t *Tenant) bool {
		return len(t.Changes)+len(t.Rules)+len(t.People)+len(t.Approvals) > 0
	})
}

// Forbidden says that a rule forbids one of the changes.
func (p *Plan) Forbidden() bool {
	for risk := range p.risks() {
		if risk.Forbidden {
			return true
		}
	}
	return false
}

// Matches says whether a rule of that name applies to one of the changes; of a severity, whether one is that severe or more.
func (p *Plan) Matches(name string) bool {
	least := Severity(slices.Index(severityNames, name))
	bySeverity := slices.Contains(severityNames, name)
	for risk := range p.risks() {
		if slices.Contains(risk.Rules, name) || (bySeverity && risk.Severity >= least) {
			return true
		}
	}
	return false
}

// Counts says how much a plan lists.
type Counts struct {
	// Gains, Losses and Shifts are rows of access; the others are rows of their lists.
	Gains, Losses, Shifts                        int
	Rules, People, Approvals, Upcoming, Findings int
	// Users are the different people whose access changes, by rows of access and of guardrails.
	Users int
	// Severities are rows of access, guardrails and people by their severity.
	Severities [Critical + 1]int
}

// Counts counts the rows of all tenants.
func (p *Plan) Counts() Counts {
	var n Counts
	for _, t := range p.Tenants {
		users := make(map[string]bool)
		for _, c := range t.Changes {
			switch c.Sign {
			case Gain:
				n.Gains++
			case Loss:
				n.Losses++
			default:
				n.Shifts++
			}
			count(users, c.People)
		}
		for _, r := range t.Rules {
			count(users, r.People)
		}
		n.Users += len(users)
		n.Rules += len(t.Rules)
		n.People += len(t.People)
		n.Approvals += len(t.Approvals)
		n.Upcoming += len(t.Upcoming)
		n.Findings += len(t.Findings)
	}
	for risk := range p.risks() {
		n.Severities[risk.Severity]++
	}
	return n
}

func count(users map[string]bool, people []Person) {
	for i := range people {
		users[people[i].User] = true
	}
}
