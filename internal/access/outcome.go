package access

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What comes of an offer once it is settled: the facts that count, and what is told of the rest.

// emit makes facts of what counts. It is the declaration's own bundle, also where all of a role counts: what the role
// comes to later must wait.
func (a *admission) emit(o *offer, made map[string]bool) {
	for _, s := range o.shares {
		for i := range o.gifts {
			g, p := &o.gifts[i], &s.parts[i]
			whole := p.isWhole(g)
			if !whole && len(p.tuples) == 0 {
				continue
			}
			bundle := admittedBundle(o.ref, g.label, s.window, p.tuples)
			holder := HolderFact{Owner: o.ref, User: o.user.Name, Bundle: bundle, Window: s.window, RevokedBy: a.revokedBy(o, g)}
			if whole {
				holder.Role = g.role
			}
			a.facts.Holders = append(a.facts.Holders, holder)
			if made[bundle] {
				continue
			}
			made[bundle] = true
			for _, t := range distinct(p.tuples) {
				a.facts.Tuples = append(a.facts.Tuples, TupleFact{Owner: o.ref, Bundle: bundle, Path: t.path, RevokedBy: t.revokedBy, Tuple: t.Tuple})
			}
		}
	}
}

// distinct are the cuts without repetition: two tuples may have been cut to one. One that is not revoked stays.
func distinct(cuts []cut) []cut {
	cuts = slices.Clone(cuts)
	slices.SortStableFunc(cuts, func(x, y cut) int {
		return cmp.Or(cmp.Compare(x.Digest, y.Digest), cmp.Compare(x.revokedBy, y.revokedBy), cmp.Compare(x.path, y.path))
	})
	return slices.CompactFunc(cuts, func(x, y cut) bool { return x.Digest == y.Digest })
}

// admittedBundle names a bundle by what is in it and when it counts, so that another content is another bundle.
func admittedBundle(ref Ref, label string, w schedule.Window, tuples []cut) string {
	var content strings.Builder
	fmt.Fprintf(&content, "%d %d", w.NotBefore, w.NotAfter)
	for _, t := range tuples {
		content.WriteString(" " + t.Digest)
	}
	sum := sha256.Sum256([]byte(content.String()))
	return ref.String() + "/" + label + "/" + hex.EncodeToString(sum[:12])
}

// report tells how it stands with an offer.
func (a *admission) report(o *offer) Admission {
	report := Admission{User: o.user.Name, Effect: o.digest, Document: o.document, State: AdmittedInPart, Review: o.review}
	switch {
	case a.isRefused(o):
		report.State = Refused
	case len(o.shares) == 0:
		report.State = Awaiting
	case len(o.shares) == 1 && o.shares[0].isAll(o):
		report.State = Admitted
	}
	var lacking *admitRule
	var voted map[string]bool
	for _, rule := range o.rules {
		approvers := a.approversOfAll(o, rule)
		if lacking == nil || rule.Approvals-len(approvers) > report.Needed-report.Have {
			lacking, voted = rule, approvers
			report.Needed, report.Have, report.Rule = rule.Approvals, len(approvers), rule.guardrail.Name
		}
	}
	if o.review && report.State == Awaiting && report.Have >= report.Needed {
		report.State = Admitted
	}
	if report.State == Awaiting || report.State == AdmittedInPart {
		report.From = a.mayStillApprove(o, lacking, voted)
	}
	return report
}

// approversOfAll are the people whose approval, by this rule, is of all that is offered.
func (a *admission) approversOfAll(o *offer, rule *admitRule) map[string]bool {
	people := make(map[string]bool)
	for _, c := range a.choices(o, rule) {
		if c.all {
			for person := range c.voters {
				people[person] = true
			}
		}
	}
	return people
}

// mayStillApprove says who may, as people read it, besides those who did.
func (a *admission) mayStillApprove(o *offer, rule *admitRule, voted map[string]bool) (from []string) {
	person := func(u *User) {
		if a.mayApproveFor(o, u) && !voted[u.Name] && !slices.Contains(from, u.Name) {
			from = append(from, u.Name)
		}
	}
	if len(rule.By) == 0 {
		return []string{"anybody whom the cluster lets approve it"}
	}
	for _, by := range rule.By {
		switch {
		case by.ManagerOfSubject:
			person(a.managerOf(o.user))
		case by.User != "":
			person(a.users[by.User])
		case by.Role != "":
			from = append(from, article(by.Role)+" "+by.Role)
		}
	}
	return from
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an"
	}
	return "a"
}
