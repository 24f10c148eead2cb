package command

import (
	"context"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/plan"
)

// againstCluster compares a namespace of a cluster with what it declares once head is applied to it.
func (o *openStates) againstCluster(ctx context.Context, env *Environment, head *manifest.Tree) (map[string]statesOf, error) {
	tellNotes(env, &manifest.Tree{}, head)
	after, err := chooseTenant(head, o.head.Name, o.cluster.namespace)
	if err != nil {
		return nil, err
	}
	declared, err := o.cluster.read(ctx, env.Err)
	if err != nil {
		return nil, err
	}
	if len(declared.names) == 0 {
		printLine(env.Err, "note: namespace %s on %s declares nothing: all that head says is new to it", o.cluster.namespace, o.cluster.config.Host)
	}
	states := statesOf{base: plan.State{Declarations: declared.Declarations}, head: plannedState(after, o.head)}
	var ignored []access.Ref
	states.head.Declarations, ignored = appliedTo(declared.Declarations, states.head.Declarations)
	for _, ref := range ignored {
		printLine(env.Err, "note: %s says something else in head than in the cluster, where it cannot be changed: it counts as it is there", ref)
	}
	return map[string]statesOf{o.cluster.namespace: states}, nil
}

// appliedTo is what there is once head is applied where something is declared already. Approvals and revocations are made
// there by people, outlast what Git says, and cannot be changed: without them all that was approved would look as if it
// ended, and all that was revoked as if it came back. Those of which head says something else are named.
func appliedTo(there, head access.Declarations) (applied access.Declarations, ignored []access.Ref) {
	applied = head
	applied.Approvals = standing(there.Approvals, head.Approvals, approvalName, func(there, head *access.Approval) {
		if there.For != head.For || there.Effect != head.Effect || there.Denied != head.Denied || there.Approver != head.Approver {
			ignored = append(ignored, access.Ref{Kind: access.KindApproval, Name: head.Name})
		}
	})
	applied.Revocations = standing(there.Revocations, head.Revocations, revocationName, func(there, head *access.Revocation) {
		if there.Target != head.Target || there.Reason != head.Reason {
			ignored = append(ignored, access.Ref{Kind: access.KindRevocation, Name: head.Name})
		}
	})
	uids := make(map[string]string, len(there.Guardrails))
	for _, g := range there.Guardrails {
		uids[g.Name] = g.UID
	}
	applied.Guardrails = slices.Clone(head.Guardrails)
	for i, g := range applied.Guardrails {
		same := *g
		same.UID = uids[g.Name] // a text that is applied makes no other object of it
		applied.Guardrails[i] = &same
	}
	return applied, ignored
}

func approvalName(a *access.Approval) string { return a.Name }

func revocationName(r *access.Revocation) string { return r.Name }

// standing are those that are there, and those of head that are not. Where both have one of a name, they are compared.
func standing[T any](there, head []*T, name func(*T) string, compare func(there, head *T)) []*T {
	known := make(map[string]*T, len(there))
	for _, one := range there {
		known[name(one)] = one
	}
	all := slices.Clone(there)
	for _, one := range head {
		if found := known[name(one)]; found != nil {
			compare(found, one)
			continue
		}
		all = append(all, one)
	}
	return all
}
