package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// consequences are what objects come to, by object.
type consequences struct {
	// confers says that somebody who is active holds something because of the object.
	confers map[access.Ref]bool
	// revokedBy are the revocations that take away something that the object gives, or is.
	revokedBy map[access.Ref][]string
}

func (p *pass) consequences() consequences {
	facts := &p.resolution.Facts
	c := consequences{confers: make(map[access.Ref]bool), revokedBy: make(map[access.Ref][]string)}
	revoked := func(owner access.Ref, by string) {
		if by != "" && !slices.Contains(c.revokedBy[owner], by) {
			c.revokedBy[owner] = append(c.revokedBy[owner], by)
			slices.Sort(c.revokedBy[owner])
		}
	}
	active, stopped := make(map[string]bool, len(facts.Users)), make(map[string]string)
	for _, u := range facts.Users {
		active[u.User] = u.State == access.StateActive && u.RevokedBy == ""
		if u.RevokedBy != "" {
			stopped[u.User] = u.RevokedBy
			revoked(u.Owner, u.RevokedBy)
		}
	}
	ended := make(map[string]string) // bundles of which a tuple is revoked
	left := make(map[string]bool)    // bundles of which a tuple is not
	for _, t := range facts.Tuples {
		revoked(t.Owner, t.RevokedBy)
		if t.RevokedBy != "" {
			ended[t.Bundle] = t.RevokedBy
		} else {
			left[t.Bundle] = true
		}
	}
	for _, h := range facts.Holders {
		for _, by := range []string{h.RevokedBy, stopped[h.User], ended[h.Bundle]} {
			revoked(h.Owner, by)
		}
		if active[h.User] && h.RevokedBy == "" && (left[h.Bundle] || ended[h.Bundle] == "") && p.refused[h.Owner] == nil {
			c.confers[h.Owner] = true
		}
	}
	return c
}

// verdictOn is what is said of an object that judges others: an Approval, a Revocation.
func (p *pass) verdictOn(ref access.Ref, object v1alpha1.Object) verdict {
	switch o := object.(type) {
	case *v1alpha1.Revocation:
		if p.isLifted(ref) {
			return verdict{ready: true, reason: v1alpha1.ReasonLifted, message: "its lift was approved: it takes nothing away any more"}
		}
		return verdict{ready: true, reason: v1alpha1.ReasonInForce, message: "what it names confers nothing, also if this object is deleted, until its lift is approved"}
	case *v1alpha1.Approval:
		return p.verdictOnApproval(ref, o)
	}
	return verdict{}
}

func (p *pass) verdictOnApproval(ref access.Ref, approval *v1alpha1.Approval) verdict {
	v := verdict{ready: true}
	counted := slices.IndexFunc(p.resolution.Facts.Approvals, func(f access.ApprovalFact) bool { return f.Owner == ref })
	switch {
	case p.memory.Unproven[ref.String()] == textID(approval.UID, approval.Generation):
		v.reason, v.message = v1alpha1.ReasonAdmissionUnproven, "the admission policy was not in force, unchanged, when this was made: make another"
	case p.tenant.vetted[ref] != textID(approval.UID, approval.Generation):
		v.reason, v.message = v1alpha1.ReasonAdmissionNotInForce, "does not count yet: "+cmp.Or(p.guardProblem(), "it is not known yet whether the admission policy was in force when it was made")
	case counted < 0:
		v.reason, v.message = v1alpha1.ReasonApproverUnknown, fmt.Sprintf("%s is the identity of no User, or of more than one", approval.Spec.Approver)
	default:
		v.reason, v.message = v1alpha1.ReasonCounted, fmt.Sprintf("%s, who is %s, says %s", approval.Spec.Approver, p.resolution.Facts.Approvals[counted].Person, strings.ToLower(approval.Spec.Decision))
	}
	return v
}

// unreviewed are the emergency grants in use, or used, that nobody has reviewed.
func (p *pass) unreviewed() (names []string) {
	now := schedule.At(p.tenant.row.Now)
	for ref, d := range p.declared {
		for _, g := range d.fragment.TemporaryGrants {
			waits := func(a access.Admission) bool { return a.Review && a.State != access.Admitted }
			if g.Emergency && g.Window.NotBefore <= now && slices.ContainsFunc(p.resolution.Admissions[ref], waits) {
				names = append(names, g.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// asksApproval says whether approvals matter to the namespace at all.
func (p *pass) asksApproval() bool {
	if len(p.resolution.Admissions) > 0 {
		return true
	}
	for ref := range p.objects {
		if ref.Kind == access.KindApproval {
			return true
		}
	}
	return false
}

func isEmergency(object v1alpha1.Object) bool {
	g, ok := object.(*v1alpha1.TemporaryGrant)
	return ok && g.Spec.Emergency
}
