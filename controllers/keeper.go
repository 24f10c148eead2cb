package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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
	var tending sync.WaitGroup
	for {
		for _, t := range k.tenants.all() {
			if !k.started[t.namespace] {
				k.started[t.namespace] = true
				tending.Go(func() { k.tendAlways(ctx, t) })
			}
		}
		select {
		case <-ctx.Done():
			tending.Wait()
			k.closeAll()
			return nil
		case <-ticker.C():
		}
	}
}

// closeAll gives up the stores: this process leads no more. A pass that is still under way has its context ended.
func (k *keeper) closeAll() {
	for _, t := range k.tenants.all() {
		t.mu.Lock()
		t.close()
		t.mu.Unlock()
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

// sweepsAtOnce bounds the tenants that are swept at the same time: a store that does not answer keeps few waiting.
const sweepsAtOnce = 16

func (k *keeper) sweep(ctx context.Context, stores []v1alpha1.PermissionStore) {
	var sweeping errgroup.Group
	sweeping.SetLimit(sweepsAtOnce)
	for i := range stores {
		sweeping.Go(func() error {
			k.sweepOne(ctx, &stores[i])
			return nil
		})
	}
	_ = sweeping.Wait()
}

func (k *keeper) sweepOne(ctx context.Context, ps *v1alpha1.PermissionStore) {
	t := k.tenants.of(ps.Namespace)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.claimed {
		return // a pass was here first; it leaves what has ended to tend
	}
	err := k.open(ctx, t, ps)
	if err == nil {
		err = k.settle(ctx, t)
	}
	if err != nil {
		k.Log.Info("Not settled at election, the passes try again", "namespace", ps.Namespace, "reason", troubleOf(err).reason)
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
	row, err := k.look(ctx, t)
	switch {
	case ctx.Err() != nil:
		return pollEvery
	case errors.Is(err, store.ErrFenced):
		k.Fenced(err)
		return pollEvery
	case err != nil:
		if t.trouble == nil {
			k.enqueue(ctx, t) // the pass meets the same, and says it
		}
		return pollEvery
	}
	t.row = row
	k.forget(ctx, t)
	k.renewKeys(ctx, t)
	moved := !t.asSeen(row)
	due := schedule.At(row.Now) >= t.next
	if due {
		if err := k.settle(ctx, t); err != nil {
			t.forget()
		}
	}
	if moved {
		t.forget()
	} else if !due {
		k.Publisher.Confirm(t.namespace, row.Revision, row.Now, asked)
	}
	if moved || due || t.trouble != nil {
		k.enqueue(ctx, t)
		return pollEvery
	}
	if t.next != schedule.Forever {
		if left := t.next.Time().Sub(row.Now); left < pollEvery {
			return max(left, time.Millisecond)
		}
	}
	return pollEvery
}

// forget lets the store forget what it has kept long enough, a part at a time. It touches no content, and no access depends
// on it.
func (k *keeper) forget(ctx context.Context, t *tenant) {
	if k.Retention == (store.Retention{}) || k.Clock.Since(t.forgotten) < forgetEvery {
		return
	}
	n, err := t.store.Forget(ctx, t.namespace, k.Retention)
	switch {
	case err != nil:
		k.Log.Info("The store keeps what it should have forgotten, the next hour tries again", "namespace", t.namespace, "reason", err.Error())
	case n > 0:
		k.Log.V(1).Info("Forgot what was kept long enough", "namespace", t.namespace, "rows", n)
		return // there may be more: the next second looks
	}
	t.forgotten = k.Clock.Now()
}

// renewKeys lets keys of subject tokens that are old enough be followed by others. No access depends on it.
func (k *keeper) renewKeys(ctx context.Context, t *tenant) {
	if k.Clock.Since(t.keyed) < keysEvery {
		return
	}
	if err := t.store.RenewTokenKey(ctx, t.namespace, keyAge); err != nil {
		k.Log.Info("The key of subject tokens stays, the next hour tries again", "namespace", t.namespace, "reason", err.Error())
	}
	t.keyed = k.Clock.Now()
}

// settle removes what has ended, and tells those who decide. Where the store has moved, or is not known yet, it is left
// to the next pass to find out what it holds.
func (k *keeper) settle(ctx context.Context, t *tenant) error {
	moved := !t.asSeen(t.row)
	settled, err := t.store.Settle(ctx, t.row)
	if err != nil {
		return err // fenced off, too: the next look tells by whom
	}
	if len(settled.Changes) > 0 {
		k.Log.Info("Settled what ended", "namespace", t.namespace, "revision", settled.Tenant.Revision.String(), "rows", len(settled.Changes))
	}
	was := t.seen
	if len(settled.Changes) > 0 {
		was.Revision.Number++
	}
	t.row, t.next = settled.Tenant, schedule.Forever
	if moved || settled.Tenant.Revision != was.Revision || settled.Tenant.Tampered != was.Tampered {
		t.forget()
		return nil
	}
	t.seen = settled.Tenant
	if t.held != nil {
		store.Apply(t.held, settled.Changes)
		store.Apply(t.base, settled.Changes)
	}
	if t.facts != nil {
		k.tell(t, t.facts.WithoutEnded(schedule.At(t.row.Now)))
	}
	return nil
}

// tenantKey is the one key of a namespace in the work queue.
func tenantKey(namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: "tenant"}
}
