package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// decider answers decisions from the stores that the namespaces name, on every replica. The leader's passes tell it when
// there is something new: an embedded store announces nothing.
type decider struct {
	*follow.Several
	drivers drivers

	mu    sync.RWMutex
	facts map[string]decisionapi.Facts
}

func newDecider(options follow.Options, drivers drivers) *decider {
	return &decider{Several: follow.NewSeveral(options), drivers: drivers, facts: make(map[string]decisionapi.Facts)}
}

// Follow implements controllers.Follower.
func (d *decider) Follow(ctx context.Context, namespace string, owner store.Owner, driver, connection string) error {
	s, err := d.drivers.Attach(ctx, driver, connection)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.facts[namespace] = s
	d.mu.Unlock()
	d.Several.Follow(namespace, owner, s)
	return nil
}

// Publish implements controllers.Publisher: what a pass has committed is read from the store, as on every replica.
func (d *decider) Publish(s controllers.Snapshot) { d.Look(s.Namespace) }

// Confirm implements controllers.Publisher. The followers look for themselves.
func (*decider) Confirm(string, store.Revision, time.Time, time.Time) {}

// Withdraw implements controllers.Publisher. What cannot be read the followers find out.
func (d *decider) Withdraw(namespace string) { d.Look(namespace) }

// Facts implements decisionapi.FactSource.
func (d *decider) Facts(namespace string) decisionapi.Facts {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.facts[namespace]
}

// Changed implements decisionapi.FactSource.
func (d *decider) Changed(namespace string) { d.Look(namespace) }

// serveDecisions adds the decision API and what it answers from to the manager.
func serveDecisions(ctx context.Context, mgr ctrl.Manager, serving *decisionapi.Serving, d *decider, log *slog.Logger) error {
	if serving.Off() {
		return nil
	}
	server, err := serving.Open(ctx, d, decisionapi.Options{Facts: d}, log)
	if err != nil {
		return err
	}
	return errors.Join(mgr.Add(d), mgr.Add(server))
}
