package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// snapshots carries policies from the passes to the decision API, with the store's time. A snapshot answers only while
// the store was seen to hold it within maxAge.
type snapshots struct {
	clock  clock.PassiveClock
	maxAge time.Duration

	mu       sync.RWMutex
	byTenant map[string]*snapshot
}

type snapshot struct {
	revision store.Revision
	policy   *access.Policy
	// storeNow is the store's clock, read after the local instant asked: the store's time now is at most storeNow and
	// what has passed since asked. The bound is taken, so that access never ends late.
	storeNow, asked time.Time
	latest          schedule.Instant // the latest instant answered, which time never goes behind
}

func newSnapshots(clock clock.PassiveClock, maxAge time.Duration) *snapshots {
	return &snapshots{clock: clock, maxAge: maxAge, byTenant: make(map[string]*snapshot)}
}

// Publish takes a policy that the store holds. It answers once the store's time is known.
func (s *snapshots) Publish(p controllers.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &snapshot{revision: p.Revision, policy: p.Policy, latest: schedule.Always}
	if last := s.byTenant[p.Namespace]; last != nil {
		next.storeNow, next.asked, next.latest = last.storeNow, last.asked, last.latest
	}
	s.byTenant[p.Namespace] = next
}

// Confirm says that the store held the revision at storeNow.
func (s *snapshots) Confirm(namespace string, revision store.Revision, storeNow, asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byTenant[namespace]; t != nil && t.revision == revision {
		t.storeNow, t.asked = storeNow, asked
	}
}

// Withdraw ends the answers for a namespace.
func (s *snapshots) Withdraw(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byTenant, namespace)
}

// Tenants lists the namespaces that are answered for.
func (s *snapshots) Tenants() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.byTenant))
	for name := range s.byTenant {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Snapshot is what a namespace's decisions are made from.
func (s *snapshots) Snapshot(namespace string) (decisionapi.Snapshot, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.byTenant[namespace]
	if !ok {
		return decisionapi.Snapshot{}, false
	}
	return decisionapi.Snapshot{Policy: t.policy, Revision: t.revision.String(), Now: func() (schedule.Instant, error) { return s.now(t) }}, true
}

// now is the store's time. It fails where the store has not been seen lately: its access may have changed.
func (s *snapshots) now(t *snapshot) (schedule.Instant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.asked.IsZero() {
		return 0, errors.New("the store's time is not known yet")
	}
	age := s.clock.Since(t.asked)
	if age < 0 || age > s.maxAge {
		return 0, fmt.Errorf("the store was last seen %s ago, longer than the %s that a decision may be old", age.Round(time.Second), s.maxAge)
	}
	t.latest = max(t.latest, schedule.At(t.storeNow.Add(age)))
	return t.latest, nil
}

// serveDecisions adds the decision API to the manager.
func serveDecisions(ctx context.Context, mgr ctrl.Manager, serving *decisionapi.Serving, source decisionapi.Source, log *slog.Logger) error {
	if serving.Off() {
		return nil
	}
	server, err := serving.Open(ctx, source, decisionapi.Options{}, log)
	if err != nil {
		return err
	}
	return mgr.Add(server)
}
