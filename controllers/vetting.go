package controllers

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// settles is how long a change of an admission policy is given to reach every API server, and a new one to be in force
// there. What is made meanwhile could have slipped through.
const settles = 5 * time.Second

// vetting finds out which objects were made while the admission policy about them was in force, so that it is true who
// made them (design §9). A text of an object is judged once: a policy that is changed later does not make it forged. What
// is not proven counts for nothing.
//
// A text that is new counts where policy and binding are just as they were when it did not exist yet. That is known of a
// state that was written down when everything of its time was judged; and of policies that have never been changed since
// they were created, before the object was.
type vetting struct {
	policy   string
	kind     access.Kind
	concerns func(v1alpha1.Object) bool
}

var vettings = []vetting{
	{admission.Approvals, access.KindApproval, func(v1alpha1.Object) bool { return true }},
	{admission.Emergencies, access.KindTemporaryGrant, isEmergency},
}

// textID tells this text of this object from every other.
func textID(uid types.UID, generation int64) string { return fmt.Sprintf("%s/%d", uid, generation) }

// vet judges what is new. It says nothing of what cannot be judged yet: that waits.
func (p *pass) vet(ctx context.Context) error {
	next := *p.memory
	next.Unproven, next.Guards = maps.Clone(next.Unproven), maps.Clone(next.Guards)
	p.memory, p.settling = &next, make(map[string]time.Duration)
	for _, v := range vettings {
		p.vetBy(ctx, v)
	}
	return nil
}

func (p *pass) vetBy(ctx context.Context, v vetting) {
	known := p.memory.Guards[v.policy]
	if last := p.guards.last(v.policy); len(p.unjudged(v)) == 0 && (last.print == known || last.print == "") {
		return
	}
	now := p.guards.read(ctx, v.policy)
	if now.print == "" {
		delete(p.tenant.guardSeen, v.policy)
		return // nobody knows who made what is new
	}
	if now.print != known && !p.establish(ctx, v, now) {
		return
	}
	for ref := range p.unjudged(v) {
		p.accept(ref)
	}
}

// seenGuard is a state of a policy that is new, and since when this process has seen it.
type seenGuard struct {
	print string
	since time.Time
}

// establish writes a state of the policy down once it has stood for a while, and judges everything of its time. It says
// whether that is done.
func (p *pass) establish(ctx context.Context, v vetting, now guard) bool {
	seen := p.tenant.guardSeen[v.policy]
	if seen.print != now.print {
		seen = seenGuard{now.print, p.Clock.Now()}
		p.tenant.guardSeen[v.policy] = seen
	}
	unjudged := p.unjudged(v)
	if left := settles - p.Clock.Since(seen.since); left > 0 {
		p.settling[v.policy] = left
		for ref, object := range unjudged {
			if now.provesItself(object) {
				p.accept(ref)
			}
		}
		return false
	}
	// A cache may not show yet what was made under a former state: the API itself is asked.
	found, err := p.readPresent(ctx, p.tenant.namespace, []access.Kind{v.kind}, p.tenant.actedOn)
	if err != nil {
		p.doubt = err
		return false
	}
	p.memory.guard(v.policy, now.print)
	maps.DeleteFunc(p.memory.Unproven, func(name, id string) bool {
		live, there := found.objects[access.Ref{Kind: v.kind, Name: strings.TrimPrefix(name, string(v.kind)+"/")}]
		return strings.HasPrefix(name, string(v.kind)+"/") && (!there || textID(live.UID, live.Generation) != id)
	})
	for ref, live := range found.objects {
		id := textID(live.UID, live.Generation)
		object, cached := p.objects[ref]
		cached = cached && textID(object.GetUID(), object.GetGeneration()) == id
		switch {
		case p.judged(ref, id), cached && unjudged[ref] == nil: // it is none of those that the policy is about
		case cached && now.provesItself(object):
			p.accept(ref)
		default:
			p.memory.reject(ref, id)
		}
	}
	return true
}

// provesItself says whether policy and binding have not been changed since they were created, well before the object was.
func (g guard) provesItself(object v1alpha1.Object) bool {
	return g.pristine && object.GetCreationTimestamp().Unix() >= g.created+int64(settles/time.Second)
}

// unjudged are the objects whose text is not judged yet.
func (p *pass) unjudged(v vetting) map[access.Ref]v1alpha1.Object {
	unjudged := make(map[access.Ref]v1alpha1.Object)
	for ref, object := range p.objects {
		if ref.Kind != v.kind {
			continue
		}
		if p.declared[ref] != nil && v.concerns(object) && !p.judged(ref, textID(object.GetUID(), object.GetGeneration())) {
			unjudged[ref] = object
		}
	}
	return unjudged
}

func (p *pass) judged(ref access.Ref, id string) bool {
	return p.tenant.vetted[ref] == id || p.memory.Unproven[ref.String()] == id
}

func (p *pass) accept(ref access.Ref) {
	object := p.objects[ref]
	p.tenant.vetted[ref] = textID(object.GetUID(), object.GetGeneration())
}

// isProven says whether it is known who made this text.
func (t *tenant) isProven(ref access.Ref, d *declaration) bool {
	id, judged := t.vetted[ref]
	if d.generation == 0 { // the store's own copy: its text is the one that was acted on
		return judged && strings.HasPrefix(id, d.uid+"/")
	}
	return judged && id == textID(types.UID(d.uid), d.generation)
}
