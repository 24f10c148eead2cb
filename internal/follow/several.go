package follow

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Several follows the stores of several tenants, each by a follower of its own: in the manager, where each namespace names
// its store. It is a decisionapi.Source, and a Runnable of a controller-runtime manager on every replica.
type Several struct {
	options Options

	mu      sync.Mutex
	running map[string]*following
	ended   bool
	all     sync.WaitGroup
	// followers is replaced whole.
	followers atomic.Pointer[followers]
}

type followers struct {
	names  []string
	byName map[string]*Follower
}

// following is a follower that runs.
type following struct {
	*Follower
	stop context.CancelFunc
}

// Closer is a Store that is closed when it is followed no more.
type Closer interface {
	Store
	Close() error
}

// NewSeveral follows nothing yet. The options hold for each follower, but for tenants and owner.
func NewSeveral(options Options) *Several {
	s := &Several{options: options, running: make(map[string]*following)}
	s.followers.Store(&followers{})
	return s
}

// NeedLeaderElection says that every replica answers, not the leader alone.
func (*Several) NeedLeaderElection() bool { return false }

// Start waits for the end, and ends what is followed.
func (s *Several) Start(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.ended = true
	for _, f := range s.running {
		f.stop()
	}
	s.mu.Unlock()
	s.all.Wait()
	return nil
}

// Follow begins to answer for a tenant from a store, in place of one that was followed for it before, and closes the store in
// the end. Nothing is answered before the store was read: it may be another one.
func (s *Several) Follow(tenant string, owner store.Owner, from Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		_ = from.Close()
		return
	}
	if before := s.running[tenant]; before != nil {
		before.stop()
	}
	options := s.options
	options.Tenants, options.Owner = []string{tenant}, owner
	ctx, stop := context.WithCancel(context.Background())
	f := &following{New(options), stop}
	s.running[tenant] = f
	s.publish()
	s.all.Go(func() {
		f.Run(ctx, from)
		_ = from.Close()
	})
}

func (s *Several) publish() {
	next := &followers{byName: make(map[string]*Follower, len(s.running))}
	for name, f := range s.running {
		next.names = append(next.names, name)
		next.byName[name] = f.Follower
	}
	slices.Sort(next.names)
	s.followers.Store(next)
}

// Look asks for a look at a tenant as soon as can be. It does not wait.
func (s *Several) Look(tenant string) {
	if f := s.followers.Load().byName[tenant]; f != nil {
		f.Look(tenant)
	}
}

// Tenants lists the tenants that are answered for. Callers do not change it.
func (s *Several) Tenants() []string { return s.followers.Load().names }

// Snapshot is what a tenant's decisions are made from; false where it has not been read yet.
func (s *Several) Snapshot(tenant string) (decisionapi.Snapshot, bool) {
	f := s.followers.Load().byName[tenant]
	if f == nil {
		return decisionapi.Snapshot{}, false
	}
	return f.Snapshot(tenant)
}
