package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// settles is how long a change of the admission policy is given to reach every API server, and a new one to be in force
// there. What is approved meanwhile could have slipped through.
const settles = 5 * time.Second

// vetApprovals finds out which Approvals were made while the admission policy was in force, so that it is true who made
// them (design §9). An Approval is judged once: it never changes, and a policy that is changed later does not make it
// forged. The others count for nothing.
//
// One that is new counts where policy and binding are just as they were when it did not exist yet. That is known of a
// state that was written down when every Approval of its time was judged; and of policies that have never been changed
// since they were created, before the Approval was.
func (p *pass) vetApprovals(ctx context.Context) error {
	next := *p.memory
	next.Unproven = maps.Clone(next.Unproven)
	p.memory = &next
	if len(p.unjudged()) == 0 && !p.guards.changed(p.memory.Guard) {
		return nil
	}
	now, err := p.guards.read(ctx, admission.Approvals)
	if err != nil {
		return err
	}
	if now.print == "" {
		p.tenant.guardSeen = seenGuard{}
		return nil // what is new waits: nobody knows who made it
	}
	if now.print != p.memory.Guard {
		if !p.establish(ctx, now) {
			return nil
		}
	}
	for ref := range p.unjudged() {
		p.accept(ref)
	}
	return nil
}

// seenGuard is a state of the policy that is new, and since when this process has seen it.
type seenGuard struct {
	print string
	since time.Time
}

// establish writes a state of the policy down once it has stood for a while, and judges every Approval of its time.
// It says whether that is done.
func (p *pass) establish(ctx context.Context, now guard) bool {
	seen := &p.tenant.guardSeen
	if seen.print != now.print {
		*seen = seenGuard{now.print, p.Clock.Now()}
	}
	if left := settles - p.Clock.Since(seen.since); left > 0 {
		p.againIn = left
		for ref, object := range p.unjudged() {
			if now.provesItself(object) {
				p.accept(ref)
			}
		}
		return false
	}
	// A cache may not show yet what was made under a former state: the API itself is asked.
	found, err := p.readPresent(ctx, p.tenant.namespace, []access.Kind{access.KindApproval}, p.tenant.actedOn)
	if err != nil {
		p.doubt = err
		return false
	}
	unjudged := p.unjudged()
	p.memory.Guard = now.print
	maps.DeleteFunc(p.memory.Unproven, func(name, uid string) bool {
		live, there := found.objects[access.Ref{Kind: access.KindApproval, Name: name}]
		return !there || string(live.UID) != uid
	})
	for ref, live := range found.objects {
		object, shown := unjudged[ref]
		switch {
		case p.judged(ref, string(live.UID)):
		case shown && object.GetUID() == live.UID && now.provesItself(object):
			p.accept(ref)
		default:
			p.reject(ref, string(live.UID))
		}
	}
	return true
}

// provesItself says whether policy and binding have not been changed since they were created, well before the Approval.
func (g guard) provesItself(approval v1alpha1.Object) bool {
	return g.pristine && approval.GetCreationTimestamp().Unix() >= g.created+int64(settles/time.Second)
}

// unjudged are the Approvals of which it is not known yet whether they count.
func (p *pass) unjudged() map[access.Ref]v1alpha1.Object {
	unjudged := make(map[access.Ref]v1alpha1.Object)
	for ref, object := range p.objects {
		if ref.Kind == access.KindApproval && p.declared[ref] != nil && !p.judged(ref, string(object.GetUID())) {
			unjudged[ref] = object
		}
	}
	return unjudged
}

func (p *pass) judged(ref access.Ref, uid string) bool {
	return p.tenant.vetted[ref] == uid || p.memory.Unproven[ref.Name] == uid
}

func (p *pass) accept(approval access.Ref) {
	p.tenant.vetted[approval] = p.declared[approval].uid
}

func (p *pass) reject(approval access.Ref, uid string) {
	if p.memory.Unproven == nil {
		p.memory.Unproven = make(map[string]string)
	}
	p.memory.Unproven[approval.Name] = uid
}

// countable are the declarations without the Approvals that do not count, and with what the store remembers of those that
// do. What is known of an object of the same name is not known of another.
func (t *tenant) countable(declared map[access.Ref]*declaration) access.Declarations {
	d := merge(declared)
	approvals := d.Approvals
	d.Approvals = nil
	for _, a := range approvals {
		ref := access.Ref{Kind: access.KindApproval, Name: a.Name}
		uid := declared[ref].uid
		if counts, judged := t.vetted[ref]; !judged || counts != uid {
			continue
		}
		counted := *a
		if fact, remembered := t.approvals[ref]; remembered && t.sources[ref].UID == uid {
			counted.Person = fact.Person
			if len(counted.Document) == 0 {
				counted.Document = fact.Document
			}
		}
		d.Approvals = append(d.Approvals, &counted)
	}
	return d
}

// guardEmergencies makes emergency grants wait for approval like all others while the admission policy that asks who may
// declare one is not in force: anybody who may write a grant could have.
func (p *pass) guardEmergencies(ctx context.Context, d access.Declarations) (access.Declarations, error) {
	isEmergency := func(g *access.TemporaryGrant) bool { return g.Emergency }
	if !slices.ContainsFunc(d.TemporaryGrants, isEmergency) {
		return d, nil
	}
	now, err := p.guards.read(ctx, admission.Emergencies)
	if err != nil || now.problem == "" {
		return d, err
	}
	d.TemporaryGrants = slices.Clone(d.TemporaryGrants)
	for i, g := range d.TemporaryGrants {
		if g.Emergency {
			ordinary := *g
			ordinary.Emergency = false
			d.TemporaryGrants[i] = &ordinary
		}
	}
	return d, nil
}

// guardProblem says why approvals made now would not count, or "". Where the namespace has none nobody asks.
func (p *pass) guardProblem() string {
	now := p.guards.last(admission.Approvals)
	switch {
	case now.problem != "":
		return "approvals that are made now do not count: the admission policy " + admission.Approvals + " is not in force: " + now.problem
	case p.againIn > 0:
		return fmt.Sprintf("approvals that are made now do not count: the admission policy %s is new or was changed less than %s ago", admission.Approvals, settles)
	}
	return ""
}
