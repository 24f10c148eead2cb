package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// pollEvery is how often a tenant's row is read: one statement.
const pollEvery = time.Second

// keeper settles what ends and watches over the stores, for as long as this process leads. It does not travel through
// the work queue: what is overdue is settled before the caches have filled.
type keeper struct {
	*Reconciler
	started map[string]bool
}

// NeedLeaderElection: only the leader writes.
func (k *keeper) NeedLeaderElection() bool { return true }

// Start sweeps once and then tends every tenant until the context ends.
func (k *keeper) Start(ctx context.Context) error {
	k.sweepAtElection(ctx)
	ticker := k.Clock.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		for _, t := range k.tenants.all() {
			if !k.started[t.namespace] {
				k.started[t.namespace] = true
				go k.tendAlways(ctx, t)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// sweepAtElection claims every tenant whose store can be reached and settles what ended while nobody led.
func (k *keeper) sweepAtElection(ctx context.Context) {
	namespaces := k.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""} // all of them
	}
	for _, namespace := range namespaces {
		var list v1alpha1.PermissionStoreList
		if err := k.Live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			k.Log.Error(err, "The overdue are settled later, by the passes")
			continue
		}
		k.sweep(ctx, list.Items)
	}
}

func (k *keeper) sweep(ctx context.Context, stores []v1alpha1.PermissionStore) {
	for i := range stores {
		ps := &stores[i]
		t := k.tenants.of(ps.Namespace)
		t.mu.Lock()
		err := k.open(ctx, t, ps)
		if err == nil {
			err = k.settle(ctx, t)
		}
		t.mu.Unlock()
		if err != nil {
			k.Log.Info("Not settled at election, the passes try again", "namespace", ps.Namespace, "reason", troubleOf(err).reason)
		}
	}
}

// tendAlways looks after a tenant every second, and at its next boundary.
func (k *keeper) tendAlways(ctx context.Context, t *tenant) {
	wait := pollEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.Clock.After(wait):
		}
		wait = k.tend(ctx, t)
	}
}

// tend settles what has ended and asks for a pass where the store is not as the last pass left it. It returns when to
// look again.
func (k *keeper) tend(ctx context.Context, t *tenant) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.store == nil || !t.claimed {
		return pollEvery // a pass opens it
	}
	asked := k.Clock.Now()
	row, err := t.store.Tenant(ctx, t.namespace)
	if err != nil {
		if t.trouble == nil && ctx.Err() == nil {
			k.inTrouble(t, asked, err)
			go k.enqueue(ctx, t.namespace)
		}
		return pollEvery
	}
	if row.Owner != t.row.Owner || row.Fence != t.row.Fence {
		k.Fenced(store.ErrFenced)
		return pollEvery
	}
	if row.Revision != t.row.Revision || row.Tampered != t.row.Tampered || row.LedgerHead != t.row.LedgerHead {
		t.forget()
		go k.enqueue(ctx, t.namespace)
		return pollEvery
	}
	k.Publisher.Confirm(t.namespace, row.Revision, row.Now, asked)
	if schedule.At(row.Now) >= t.next {
		if err := k.settle(ctx, t); err != nil {
			t.forget()
		}
		go k.enqueue(ctx, t.namespace)
		return pollEvery
	}
	if t.trouble != nil {
		go k.enqueue(ctx, t.namespace)
	}
	if t.next != schedule.Forever {
		if left := t.next.Time().Sub(row.Now); left < pollEvery {
			return max(left, time.Millisecond)
		}
	}
	return pollEvery
}

// settle removes what has ended. The passes find it gone.
func (k *keeper) settle(ctx context.Context, t *tenant) error {
	settled, err := t.store.Settle(ctx, t.row)
	if errors.Is(err, store.ErrFenced) {
		k.Fenced(err)
	}
	if err != nil {
		return err
	}
	if len(settled.Changes) > 0 {
		k.Log.Info("Settled what ended", "namespace", t.namespace, "revision", settled.Tenant.Revision.String(), "rows", len(settled.Changes))
	}
	if t.held != nil {
		store.Apply(t.held, settled.Changes)
		store.Apply(t.base, settled.Changes)
	}
	t.row, t.next = settled.Tenant, schedule.Forever
	return nil
}

// tenantKey is the one key of a namespace in the work queue.
func tenantKey(namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: "tenant"}
}
