package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// flushTimeout is how long the end waits for the last decisions to be logged.
const flushTimeout = 10 * time.Second

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

// answering serves decisions from what the decider follows. It is a Runnable of a controller-runtime manager.
type answering struct {
	decider *decider
	server  *decisionapi.Server
	log     *decisionapi.DecisionLog // nil where none is kept
}

// openDecisions listens, and answers once it is started. Of allowed reads one in so many is logged; none at all where that
// is zero, and nothing else.
func openDecisions(ctx context.Context, serving *decisionapi.Serving, logReads int, d *decider, lines *slog.Logger) (*answering, error) {
	answers := decisionapi.Options{Facts: d}
	if logReads > 0 {
		log := logr.FromSlogHandler(lines.Handler()).WithName("decisions")
		answers.Log = decisionapi.NewDecisionLog(decisionapi.LogOptions{Facts: d, SampleReads: logReads, Log: log})
	}
	server, err := serving.Open(ctx, d, answers, lines)
	if err != nil {
		return nil, err
	}
	return &answering{d, server, answers.Log}, nil
}

// NeedLeaderElection says that every replica answers, not the leader alone.
func (*answering) NeedLeaderElection() bool { return false }

// Start answers until ctx is done. The last decisions are logged before the stores are closed.
func (a *answering) Start(ctx context.Context) error {
	following, closeStores := context.WithCancel(context.WithoutCancel(ctx))
	closed := make(chan error, 1)
	go func() { closed <- a.decider.Start(following) }()
	err := a.server.Start(ctx)
	if a.log != nil {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		err = errors.Join(err, a.log.Close(grace))
	}
	closeStores()
	return errors.Join(err, <-closed)
}
