package plan

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// approvals are what head waits for and base did not wait for already: access that is offered, the end of revocations, and
// the end of guardrails.
func (c *comparison) approvals() []*Approval {
	var out []*Approval
	for ref, list := range c.head.Admissions {
		for i := range list {
			if a := &list[i]; c.waits(a) && !c.waitedFor(ref, a) {
				out = append(out, &Approval{
					Ref: ref, User: a.User, Effect: a.Effect, Rule: a.Rule, Needed: a.Needed, Have: a.Have, From: a.From,
					Document: a.Document, Source: c.head.locate(ref, ""),
				})
			}
		}
	}
	for ref, verb := range c.changed {
		if verb == Removed {
			out = append(out, c.endOf(ref)...)
		}
	}
	slices.SortFunc(out, func(a, b *Approval) int {
		return cmp.Or(compareRefs(a.Ref, b.Ref), cmp.Compare(a.User, b.User), cmp.Compare(a.Effect, b.Effect))
	})
	return out
}

// waits says whether something of the offer does not count yet, and could at Options.At or later.
func (c *comparison) waits(a *access.Admission) bool {
	if a.Review || (a.State != access.Awaiting && a.State != access.AdmittedInPart) {
		return false
	}
	document, err := access.ParseEffect(a.Document)
	return err != nil || document.Access == nil || !document.Access.Window.Ended(c.options.At)
}

func (c *comparison) waitedFor(ref access.Ref, a *access.Admission) bool {
	return slices.ContainsFunc(c.base.Admissions[ref], func(before access.Admission) bool {
		return before.User == a.User && before.Effect == a.Effect && c.waits(&before)
	})
}

// endOf is what the end of a restriction waits for: a cluster keeps it in force without its object.
func (c *comparison) endOf(ref access.Ref) []*Approval {
	if c.base.Lifted[ref] {
		return nil
	}
	end := &Approval{Ref: ref, Needed: 1, From: []string{"an active employee whom the cluster lets approve it"}, Source: c.base.locate(ref, "")}
	switch ref.Kind {
	case access.KindRevocation:
		revocation := c.causing().base.revocations[ref.Name]
		end.Document = revocation.LiftDocument()
		end.From = []string{"an active employee whom the cluster lets approve it, and whom the revocation does not strike"}
		if revocation.Target.Kind == access.KindUser {
			end.User = revocation.Target.Name
		}
	case access.KindGuardrail:
		end.Document = c.causing().base.guardrails[ref.Name].RemovalDocument()
	default:
		return nil
	}
	end.Effect = access.EffectDigest(end.Document)
	return []*Approval{end}
}
