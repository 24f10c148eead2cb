package controllers

import (
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// countable are the declarations without the Approvals of which it is not known who made them, and with what the store
// remembers of the others. What is known of an object of the same name is not known of another. An emergency of which it
// is not known who declared it waits for approval like any other grant: anybody who may write one could have.
func (t *tenant) countable(declared map[access.Ref]*declaration) access.Declarations {
	d := merge(declared)
	approvals := d.Approvals
	d.Approvals = nil
	for _, a := range approvals {
		ref := access.Ref{Kind: access.KindApproval, Name: a.Name}
		if !t.isProven(ref, declared[ref]) {
			continue
		}
		counted := *a
		if fact, remembered := t.approvals[ref]; remembered && t.sources[ref].UID == declared[ref].uid && fact.Effect == a.Effect {
			counted.Person = fact.Person
			if len(counted.Document) == 0 {
				counted.Document = fact.Document
			}
		}
		d.Approvals = append(d.Approvals, &counted)
	}
	d.TemporaryGrants = slices.Clone(d.TemporaryGrants)
	for i, g := range d.TemporaryGrants {
		ref := access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}
		if g.Emergency && !t.isProven(ref, declared[ref]) {
			ordinary := *g
			ordinary.Emergency = false
			d.TemporaryGrants[i] = &ordinary
		}
	}
	return d
}

// guardProblem says why approvals made now would not count, or "". Where the namespace has none nobody asks.
func (p *pass) guardProblem() string {
	now := p.guards.last(admission.Approvals)
	switch {
	case now.problem != "":
		return "approvals that are made now do not count: the admission policy " + admission.Approvals + " is not in force: " + now.problem
	case p.settling[admission.Approvals] > 0:
		return fmt.Sprintf("approvals that are made now do not count: the admission policy %s is new or was changed less than %s ago", admission.Approvals, settles)
	}
	return ""
}
