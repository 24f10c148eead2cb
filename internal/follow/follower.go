package follow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const (
	// pollEvery is how often the store is looked at.
	pollEvery = time.Second
	// listenAgain is how soon a lost connection that listened is made anew.
	listenAgain = 2 * time.Second
	// wholeEvery is how long commits are applied to what was loaded before everything is loaded, and compared (design §6).
	wholeEvery = time.Hour
	// loadsAtOnce bounds the tenants that are loaded and compiled at the same time: deciding needs the processors, too.
	loadsAtOnce = 2
)

// Options say what is followed, and how.
type Options struct {
	// Tenants are the only ones to follow; empty means all that the store holds.
	Tenants []string
	// Owner, where set, is who must own the tenants.
	Owner store.Owner
	// MaxAge is how long ago the store may have been seen in the state that is answered from.
	MaxAge  time.Duration
	Clock   clock.WithTicker
	Log     logr.Logger
	Metrics *Metrics
}

// Follower answers from one store. It is a decisionapi.Source.
type Follower struct {
	only    []string
	owner   store.Owner
	maxAge  time.Duration
	clock   clock.WithTicker
	log     logr.Logger
	metrics *Metrics

	storeClock *storeClock
	// reader is the handle that records are looked up with; nil while there is none.
	reader atomic.Pointer[RecordReader]
	served atomic.Pointer[served]
	wanted wanted
	// looked is when a look at all tenants has last succeeded, and held the tenants that it found.
	looked atomic.Pointer[time.Time]
	held   atomic.Pointer[[]string]
}

var _ decisionapi.Source = (*Follower)(nil)

// served are the tenants that are answered for. It is replaced whole.
type served struct {
	names  []string
	byName map[string]*tenant
}

// New is a follower of a store that has yet to be found: it knows nothing before it runs.
func New(options Options) *Follower {
	f := &Follower{
		only: slices.Clone(options.Tenants), owner: options.Owner, maxAge: options.MaxAge,
		clock: options.Clock, log: options.Log, metrics: options.Metrics,
		storeClock: newStoreClock(),
		wanted:     wanted{signal: make(chan struct{}, 1)},
	}
	f.served.Store(&served{})
	f.serve(f.only)
	return f
}

// Tenants lists the tenants that are answered for. Callers do not change it.
func (f *Follower) Tenants() []string { return f.served.Load().names }

// Snapshot is what a tenant's decisions are made from; false where it has not been read yet.
func (f *Follower) Snapshot(name string) (decisionapi.Snapshot, bool) {
	t := f.served.Load().byName[name]
	if t == nil {
		return decisionapi.Snapshot{}, false
	}
	a := t.answer.Load()
	if a == nil {
		return decisionapi.Snapshot{}, false
	}
	return a.snapshot, true
}

// Ready says what the follower waits for: it has not seen the store within the age limit, or not read a tenant yet.
func (f *Follower) Ready() error {
	looked := f.looked.Load()
	if looked == nil {
		return errors.New("the store has not been seen yet")
	}
	if age, err := elapsed(*looked, f.clock.Now()); err != nil || age > f.maxAge {
		return errors.Join(errors.New("the store has not been seen lately"), err)
	}
	for name, t := range f.served.Load().byName {
		if t.answer.Load() == nil && slices.Contains(*f.held.Load(), name) {
			return fmt.Errorf("tenant %s has not been read yet", name)
		}
	}
	return nil
}

// Look asks for a look at a tenant as soon as can be, or at all of them where it is "". It does not wait.
func (f *Follower) Look(tenant string) { f.wanted.add(tenant) }

// serve makes the tenants those of these names. What is known of those that stay is kept.
func (f *Follower) serve(names []string) {
	was := f.served.Load()
	next := &served{names: slices.Sorted(slices.Values(names)), byName: make(map[string]*tenant, len(names))}
	for _, name := range next.names {
		if next.byName[name] = was.byName[name]; next.byName[name] == nil {
			next.byName[name] = &tenant{name: name}
		}
	}
	f.served.Store(next)
}

// wanted are the tenants that somebody asks to look at.
type wanted struct {
	mu     sync.Mutex
	names  map[string]bool
	all    bool
	signal chan struct{}
}

func (w *wanted) add(tenant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tenant == "" {
		w.all = true
	} else if w.names == nil {
		w.names = map[string]bool{tenant: true}
	} else {
		w.names[tenant] = true
	}
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// take is what is asked for since it was last taken. No names mean all.
func (w *wanted) take() (names []string, asked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	names, all := slices.Sorted(maps.Keys(w.names)), w.all
	w.names, w.all = nil, false
	if all {
		return nil, true
	}
	return names, len(names) > 0
}

// run is one time of following a store.
type run struct {
	*Follower
	store  Store
	slots  chan struct{}
	loaded chan loaded
	loads  sync.WaitGroup
	// trouble is why the last look failed.
	trouble string
}

// loaded is what came of a load.
type loaded struct {
	tenant *tenant
	// asked is when the store was asked for the oldest of it, and row the tenant's row then.
	asked time.Time
	row   store.Tenant
	// since is the newest state when the load began. What looks have found meanwhile is newer, and no sign of a backup: of
	// a tenant that never rests something must be answered, too.
	since version
	// before is what was compiled last, compiled what is now.
	before, compiled *compiled
	shares           store.Shares
	err              error
}

// Run follows a store until the context ends. It may be called again, with another handle on the same store; what is known
// stays, and with it that a state from before is not followed.
func (f *Follower) Run(ctx context.Context, s Store) {
	r := &run{Follower: f, store: s, slots: make(chan struct{}, loadsAtOnce), loaded: make(chan loaded)}
	ctx, stop := context.WithCancel(ctx)
	defer func() { stop(); r.abandonLoads() }()
	if reader, ok := s.(RecordReader); ok {
		f.reader.Store(&reader)
	}
	if announcer, ok := s.(Announcer); ok {
		r.loads.Go(func() { f.listen(ctx, announcer) })
	}
	ticker := f.clock.NewTicker(pollEvery)
	defer ticker.Stop()
	r.look(ctx, nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			r.look(ctx, nil)
		case <-f.wanted.signal:
			if names, asked := f.wanted.take(); asked {
				r.look(ctx, names)
			}
		case l := <-r.loaded:
			r.take(l)
		}
	}
}

// abandonLoads waits for what is under way, and forgets what comes of it.
func (r *run) abandonLoads() {
	done := make(chan struct{})
	go func() { r.loads.Wait(); close(done) }()
	for {
		select {
		case l := <-r.loaded:
			l.tenant.loading = false
		case <-done:
			return
		}
	}
}

// look reads the rows of the tenants named, or of all, and loads what has moved.
func (r *run) look(ctx context.Context, names []string) {
	ask := r.asked(names)
	if len(names) > 0 && len(ask) == 0 {
		return // an announcement about somebody else's tenants
	}
	asked := r.clock.Now()
	rows, err := r.store.Tenants(ctx, ask...)
	if ctx.Err() != nil {
		return
	}
	if err == nil && len(rows) > 0 {
		err = r.storeClock.read(rows[0].Now, asked, r.clock.Now())
	}
	r.looks(err)
	if err != nil {
		return
	}
	if len(names) == 0 {
		r.discover(rows)
		r.looked.Store(&asked) // last: ready says that the tenants are known
	}
	for _, row := range rows {
		if t := r.served.Load().byName[row.Name]; t != nil {
			r.see(ctx, t, row, asked)
		}
	}
}

// looks counts a look, and logs what is new: a store that is away is looked at every second.
func (r *run) looks(err error) {
	r.metrics.looked(err)
	was := r.trouble
	r.trouble = ""
	if err != nil {
		r.trouble = err.Error()
	}
	switch {
	case r.trouble == was:
	case err != nil:
		r.log.Info("The store cannot be followed now", "reason", r.trouble)
	default:
		r.log.Info("The store is followed again")
	}
}

// asked are the tenants to ask for: those named that are followed. None are all that the store holds.
func (r *run) asked(names []string) []string {
	if len(r.only) == 0 {
		return names
	}
	if len(names) == 0 {
		return r.only
	}
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(r.only, name) })
}

// discover serves the tenants that the store holds, and ends the answers for those that it does not.
func (r *run) discover(rows []store.Tenant) {
	held := make([]string, len(rows))
	for i, row := range rows {
		held[i] = row.Name
	}
	r.held.Store(&held)
	was := r.served.Load()
	for name, t := range was.byName {
		if !slices.Contains(held, name) && t.answer.Load() != nil {
			r.distrust(t, version{}, errGone)
		}
	}
	if len(r.only) == 0 && !slices.Equal(held, was.names) {
		// A tenant that went is kept: if its row comes back, it must be newer than what was answered from.
		r.serve(union(held, was.names))
	}
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// see takes a tenant's row as it was when asked.
func (r *run) see(ctx context.Context, t *tenant, row store.Tenant, asked time.Time) {
	if why := r.acceptable(row, t.newest); why != nil {
		r.distrust(t, version{}, why)
		return
	}
	t.newest = versionOf(row)
	a := t.answer.Load()
	if a == nil || a.version != t.newest {
		r.load(ctx, t, row, asked)
		return
	}
	if a.refused != nil {
		return // it was read, and will not become better
	}
	if r.isStale(t.compiled) {
		r.load(ctx, t, row, asked)
	}
	t.doubt = nil
	a.seen.Store(&asked)
	r.metrics.confirmed(t.name, asked)
}

// distrust ends the answers for a tenant. What others wrote may yet turn out to be nothing: until then the last good state
// counts to its age limit.
func (r *run) distrust(t *tenant, v version, why error) {
	if !errors.Is(t.doubt, why) {
		r.log.Info("Not followed", "namespace", t.name, "reason", why.Error())
	}
	t.doubt = why
	if t.answer.Load() != nil && errors.Is(why, errTampered) {
		return
	}
	r.refuse(t, v, why)
}

// isStale says that it is time to load everything.
func (r *run) isStale(c *compiled) bool { return c == nil || r.clock.Since(c.whole) >= wholeEvery }

// load reads and compiles a tenant beside the looks; one load of a tenant at a time.
func (r *run) load(ctx context.Context, t *tenant, row store.Tenant, asked time.Time) {
	if t.loading {
		return
	}
	t.loading = true
	l := loaded{tenant: t, row: row, asked: asked, since: t.newest, before: t.compiled}
	r.loads.Go(func() {
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		started := r.clock.Now()
		l.err = r.read(ctx, &l)
		r.metrics.loaded(t.name, l.err, r.clock.Since(started))
		r.loaded <- l
	})
}

// read reads what has moved: shares alone, what was committed, or everything.
func (r *run) read(ctx context.Context, l *loaded) (err error) {
	switch {
	case r.isStale(l.before):
		err = r.readWhole(ctx, l)
	case l.before.version == versionOf(l.row).withShares(0):
		l.compiled = l.before
	default:
		if l.compiled, err = advance(ctx, r.store, l.before, l.row); errors.Is(err, errNotUnderstood) {
			err = r.readWhole(ctx, l)
		}
	}
	if err == nil {
		l.shares, err = r.store.Shares(ctx, l.tenant.name)
	}
	return err
}

// readWhole reads everything, and compares what was answered from with it.
func (r *run) readWhole(ctx context.Context, l *loaded) error {
	l.asked = r.clock.Now()
	content, err := r.store.Load(ctx, l.tenant.name)
	if err != nil {
		return err
	}
	l.row = content.Tenant
	l.compiled, err = compile(versionOf(l.row).withShares(0), content.Rows)
	if err != nil {
		r.log.Error(err, "What the store holds cannot be read; no decision is answered from it", "namespace", l.tenant.name, "revision", l.row.Revision.String())
		return errUnread
	}
	l.compiled.whole = l.asked
	r.compare(ctx, l)
	return nil
}

// compare says whether what commits made of an earlier load is what is there now. If not, something wrote past the ledger
// and the triggers, or there is a fault here: what was just loaded is answered from all the same.
func (r *run) compare(ctx context.Context, l *loaded) {
	applied := l.before
	if applied == nil {
		return
	}
	if applied.version != l.compiled.version {
		var err error
		if applied, err = advance(ctx, r.store, applied, l.row); err != nil {
			return
		}
	}
	if applied.policy.Fingerprint() != l.compiled.policy.Fingerprint() {
		r.metrics.differed(l.tenant.name)
		r.log.Info("What the store holds is not what its ledger says was committed; it is answered from what it holds",
			"namespace", l.tenant.name, "revision", l.row.Revision.String())
	}
}

// take answers from what was loaded, unless it must not be, by what the looks have found meanwhile.
func (r *run) take(l loaded) {
	t := l.tenant
	t.loading = false
	if l.err == nil {
		l.err = r.acceptable(l.row, l.since)
	}
	switch {
	case errors.Is(l.err, errUnread):
		r.distrust(t, versionOf(l.row), l.err)
	case isDoubt(l.err):
		r.distrust(t, version{}, l.err)
	case l.err != nil:
		r.log.Info("Not loaded, the next look tries again", "namespace", t.name, "reason", l.err.Error())
	default:
		t.doubt, t.compiled = nil, l.compiled
		v := l.compiled.version.withShares(l.shares.Version)
		r.publish(t, v, l.compiled.policy.WithShares(l.shares.List), l.asked)
		r.log.V(1).Info("Answering from a new state", "namespace", t.name, "revision", v.revision.String())
		if t.newest == v {
			return
		}
		// The store has moved on since, or the load was faster than the looks.
		if !v.isBehind(t.newest) {
			t.newest = v
		}
		r.Look(t.name)
	}
}
