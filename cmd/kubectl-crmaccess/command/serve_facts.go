package command

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// logFlush is how long the end waits for the last decisions to be logged.
const logFlush = 5 * time.Second

// rehearsal is the manifests with what people make meanwhile: shares, requests for approval, what they use, and the log. It
// is kept in memory and gone with the process, and its time is this machine's.
type rehearsal struct {
	*manifestSource
	store store.Store
	log   *decisionapi.DecisionLog

	mu     sync.RWMutex
	shared map[string]*access.Policy // by tenant, where anything is shared
}

func newRehearsal(ctx context.Context, source *manifestSource) (*rehearsal, error) {
	s, err := sqlite.Open(ctx, sqlite.Memory)
	if err != nil {
		return nil, err
	}
	r := &rehearsal{manifestSource: source, store: &memory{Store: s}, shared: make(map[string]*access.Policy)}
	for _, tenant := range source.Tenants() {
		if err := keepAccounts(ctx, s, tenant, source.accounts[tenant]); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	r.log = decisionapi.NewDecisionLog(decisionapi.LogOptions{Facts: r, SampleReads: 1, Log: logr.Discard()})
	return r, nil
}

// keepAccounts makes a tenant with its accounts: a store keeps no share of anybody else's.
func keepAccounts(ctx context.Context, s store.Store, tenant string, accounts []access.UserFact) error {
	claimed, err := s.Claim(ctx, tenant, store.Owner{Cluster: "manifests", Namespace: tenant}, "")
	if err != nil {
		return err
	}
	rows, err := store.Encode(access.Facts{Users: accounts})
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "serve"})
	return err
}

// close logs the last decisions for nobody: it ends what writes them.
func (r *rehearsal) close(ctx context.Context) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), logFlush)
	defer cancel()
	return errors.Join(r.log.Close(grace), r.store.Close())
}

// Snapshot implements decisionapi.Source.
func (r *rehearsal) Snapshot(tenant string) (decisionapi.Snapshot, bool) {
	snapshot, known := r.manifestSource.Snapshot(tenant)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if policy := r.shared[tenant]; policy != nil {
		snapshot.Policy = policy
	}
	return snapshot, known
}

// Facts implements decisionapi.FactSource.
func (r *rehearsal) Facts(string) decisionapi.Facts { return r.store }

const (
	// logKept is about how many decisions are kept in memory.
	logKept = 100_000
	// wholeLog reaches over every instant that a question can have brought.
	wholeLog = -100 * 365 * 24 * time.Hour
)

// memory is a store that begins its log of decisions anew before it takes up too much.
type memory struct {
	store.Store
	mu     sync.Mutex
	logged int
}

// Log implements store.Runtime.
func (m *memory) Log(ctx context.Context, tenant string, decisions []store.Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.logged += len(decisions); m.logged > logKept; {
		forgotten, err := m.Forget(ctx, tenant, store.Retention{Ended: store.MaxShare * time.Second, Logged: wholeLog})
		if err != nil {
			return err
		}
		if forgotten == 0 {
			m.logged = len(decisions)
		}
	}
	return m.Store.Log(ctx, tenant, decisions)
}

// Changed implements decisionapi.FactSource: from the next question on the shares of now count.
func (r *rehearsal) Changed(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	shares, err := r.store.Shares(context.Background(), tenant)
	if err != nil {
		delete(r.shared, tenant) // memory does not fail; if it did, nothing would be shared
		return
	}
	r.shared[tenant] = r.policies[tenant].WithShares(shares.List)
}
