package controllers

import (
	"sync"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// tenant is what the leader remembers of one namespace. All of it can be had again from the API and the store; it is
// kept so that a pass reads neither whole.
type tenant struct {
	namespace string

	// mu serialises passes and the keeper's settling: both write to the store.
	mu sync.Mutex

	store  store.Store
	opened storeTarget
	// row is the tenant row as last seen. claimed says that its fence is ours.
	row     store.Tenant
	claimed bool

	// held is what the store holds; nil where that must be read anew. base is what it should hold by the last pass, or
	// by its own sources: where held differs from base, somebody else has written.
	held    map[store.RowID]string
	base    map[store.RowID]string
	sources map[access.Ref]store.Source

	declarations map[access.Ref]*declaration

	// checked says that the API was found to be no older than the store, once an election.
	checked bool
	// trouble is why the store cannot be used, and since when.
	trouble *trouble
	// next is the next instant at which access or a status changes by itself; retry is when trouble is tried again.
	next  schedule.Instant
	retry time.Time
	// compared is when the whole tenant was last compared with the store.
	compared time.Time
}

// trouble is a condition of the PermissionStore that keeps passes from working.
type trouble struct {
	reason  string
	message string
	// person says that nothing moves without one.
	person bool
	since  time.Time
}

// forget makes the next pass read the store anew.
func (t *tenant) forget() { t.held = nil }

// close gives up the store. Fence and content must be had anew.
func (t *tenant) close() {
	if t.store != nil {
		_ = t.store.Close()
	}
	t.store, t.opened, t.claimed, t.held, t.base = nil, storeTarget{}, false, nil, nil
}

// Snapshot is a policy as the store holds it at a revision, with what is needed to tell the store's time.
type Snapshot struct {
	Namespace string
	Revision  store.Revision
	Policy    *access.Policy
	Facts     access.Facts
}

// Publisher is told of every revision, and of every look at the store that confirmed one. Decisions are made from it.
type Publisher interface {
	Publish(Snapshot)
	// Confirm says that the store held the revision at storeNow, which was read after the local instant asked.
	Confirm(namespace string, revision store.Revision, storeNow time.Time, asked time.Time)
	// Withdraw ends the answers for a namespace.
	Withdraw(namespace string)
}

// tenants are the leader's, by namespace.
type tenants struct {
	mu   sync.Mutex
	byNS map[string]*tenant
}

func (t *tenants) of(namespace string) *tenant {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byNS == nil {
		t.byNS = make(map[string]*tenant)
	}
	if t.byNS[namespace] == nil {
		t.byNS[namespace] = &tenant{namespace: namespace, next: schedule.Forever, declarations: make(map[access.Ref]*declaration)}
	}
	return t.byNS[namespace]
}

func (t *tenants) all() []*tenant {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*tenant, 0, len(t.byNS))
	for _, tenant := range t.byNS {
		list = append(list, tenant)
	}
	return list
}

// isRetired says that the namespace's access is ended on purpose.
func isRetired(ps *v1alpha1.PermissionStore) bool { return ps.Spec.State == v1alpha1.StateRetired }
