package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Restrictions outlive their object (design §6): that a Revocation or a Guardrail is gone from the API ends nothing by
// itself, since pruning it, losing etcd or deleting it beside the commit that it stands in the way of would then give
// access. The store's copy stands in until an approved lift, and of a Guardrail also until a person releases the brake.

// outlives says whether what an object of the kind asks for stays when the object is gone.
func outlives(kind access.Kind) bool {
	return kind == access.KindRevocation || kind == access.KindGuardrail
}

// formerName names a Revocation whose place another of the same name has taken.
func formerName(name, uid string) string { return name + access.FormerSeparator + uid }

// keepFormer keeps the Revocations whose object was deleted and made anew under the same name, for somebody else maybe:
// the new one is another, and the old one has not been lifted. One whose text was changed, which its kind does not allow,
// stays what it was.
func (p *pass) keepFormer() error {
	for ref, source := range p.tenant.sources {
		if ref.Kind != access.KindRevocation || strings.Contains(ref.Name, access.FormerSeparator) {
			continue
		}
		object := p.objects[ref]
		if object == nil {
			continue
		}
		if string(object.GetUID()) == source.UID {
			if err := p.keepText(ref, source); err != nil {
				return err
			}
			continue
		}
		former := access.Ref{Kind: ref.Kind, Name: formerName(ref.Name, source.UID)}
		d, err := redeclare(former, source)
		if err != nil {
			return err
		}
		p.declared[former] = d
		p.outliving = append(p.outliving, former)
	}
	return nil
}

func (p *pass) keepText(ref access.Ref, source store.Source) error {
	d := p.declared[ref]
	former, err := redeclare(ref, source)
	if err != nil || d == nil || d.source.Body == former.source.Body {
		return err
	}
	former.generation = d.generation
	p.declared[ref] = former
	return nil
}

// keepReadable keeps the former text of a restriction whose new one cannot be read: a Guardrail that somebody has broken
// stays in force as it was.
func (p *pass) keepReadable() error {
	for ref, d := range p.declared {
		source, known := p.tenant.sources[ref]
		if d.err == nil || !outlives(ref.Kind) || !known {
			continue
		}
		former, err := redeclare(ref, source)
		if err != nil {
			return err
		}
		former.generation, former.err = d.generation, d.err
		p.declared[ref] = former
	}
	return nil
}

// splitOutliving parts what is gone into what may be believed to be and what outlives its object.
func splitOutliving(absent []access.Ref) (ordinary, outliving []access.Ref) {
	for _, ref := range absent {
		if outlives(ref.Kind) {
			outliving = append(outliving, ref)
		} else {
			ordinary = append(ordinary, ref)
		}
	}
	return ordinary, outliving
}

// dropLifted lets go of the restrictions without object that a person has ended, where their absence is believed, and
// compiles anew. Guardrails that nobody has ended are held by the brake.
func (p *pass) dropLifted(ctx context.Context) error {
	var ended, guardrails []access.Ref
	for _, ref := range p.outliving {
		switch {
		case p.isLifted(ref):
			ended = append(ended, ref)
		case ref.Kind == access.KindGuardrail:
			guardrails = append(guardrails, ref)
		}
	}
	if held := p.heldGuardrails(guardrails); held != nil && p.ps.Spec.Brake.Release == held.Digest {
		ended = append(ended, guardrails...)
	} else if p.held == nil {
		p.held = held
	}
	if len(ended) == 0 || isRetired(p.ps) {
		return nil
	}
	gone, seen, err := p.believe(ctx, ended)
	if errors.Is(err, errOlderAPI) {
		return p.olderAPI(ctx, err)
	}
	if err != nil {
		p.doubt = err
		return nil
	}
	if len(gone) == 0 {
		return nil
	}
	p.newest = max(p.newest, seen.version)
	maps.DeleteFunc(p.declared, func(ref access.Ref, _ *declaration) bool { return slices.Contains(gone, ref) })
	return p.compile(ctx)
}

// rememberLifted keeps which revocations have been lifted, for as long as there is anything left of them.
func (p *pass) rememberLifted() {
	next := *p.memory
	next.Lifted = nil
	for ref, d := range p.declared {
		if ref.Kind == access.KindRevocation && p.isLifted(ref) {
			next.Lifted = append(next.Lifted, d.uid)
		}
	}
	slices.Sort(next.Lifted)
	p.memory = &next
}

// withoutLifted are the declarations without the revocations that have been lifted.
func withoutLifted(d access.Declarations, m *memory) access.Declarations {
	d.Revocations = slices.DeleteFunc(slices.Clone(d.Revocations), func(r *access.Revocation) bool { return slices.Contains(m.Lifted, r.UID) })
	return d
}

// isLifted says whether a revocation is lifted, or a guardrail's removal approved.
func (p *pass) isLifted(ref access.Ref) bool {
	if ref.Kind != access.KindRevocation {
		return p.resolution.Lifted[ref]
	}
	d := p.declared[ref]
	return p.resolution.Lifted[ref] || d != nil && slices.Contains(p.memory.Lifted, d.uid)
}

func (p *pass) heldGuardrails(guardrails []access.Ref) *v1alpha1.Held {
	if len(guardrails) == 0 {
		return nil
	}
	slices.SortFunc(guardrails, compareRefs)
	d := departure{Objects: guardrails}
	for _, ref := range guardrails {
		d.UIDs = append(d.UIDs, p.tenant.sources[ref].UID)
	}
	held := &v1alpha1.Held{Digest: d.digest(), Total: int32(len(guardrails))}
	for _, ref := range guardrails[:min(len(guardrails), maxListed)] {
		held.Objects = append(held.Objects, ref.String())
	}
	return held
}

// orphans are the revocations in force whose object is gone, each with the digest by which it is lifted: there is nothing
// else left to read it from.
func (p *pass) orphans() (lines []string) {
	for _, ref := range p.outliving {
		d := p.declared[ref]
		if d == nil || p.isLifted(ref) {
			continue
		}
		for _, r := range d.fragment.Revocations {
			lines = append(lines, fmt.Sprintf("%s of %s (lift: effect %s)", r.ObjectName(), r.Target, access.EffectDigest(r.LiftDocument())))
		}
	}
	slices.Sort(lines)
	return lines
}

// removals are the guardrails whose object is gone, each with the digest by which its end is approved.
func (p *pass) removals() (lines []string) {
	for _, ref := range p.outliving {
		if d := p.declared[ref]; d != nil {
			for _, g := range d.fragment.Guardrails {
				lines = append(lines, fmt.Sprintf("%s (removal: effect %s)", g.Name, access.EffectDigest(g.RemovalDocument())))
			}
		}
	}
	slices.Sort(lines)
	return lines
}
