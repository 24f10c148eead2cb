package controllers

import (
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

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
	// openedBy is the PermissionStore that named the store, and connected when its connection was last read.
	openedBy  psVersion
	connected time.Time
	// row is the tenant row as last read. claimed says that its fence is ours.
	row     store.Tenant
	claimed bool
	// seen is the newest state that is known of this store. Another state than this one was made by somebody else; one
	// that is older comes from a backup.
	seen store.Tenant
	// actedOn is the newest resourceVersion that was acted on: what the API shows of an earlier state is not believed.
	actedOn uint64
	// memory is what the tenant row keeps for us, nil where it has not been read.
	memory *memory

	// held is what the store holds; nil where that must be read anew. base is what it should hold by the last pass, or
	// by its own sources: where held differs from base, somebody else has written.
	held map[store.RowID]string
	base map[store.RowID]string
	// sources are the declarations that were acted on. They follow our own commits, not what others write.
	sources map[access.Ref]store.Source
	// approvals is what was committed of those Approvals of which it is known who made them; vetted are the texts of
	// objects of which that is known, and guardSeen the states of the policies that are new. See vetting.
	approvals map[access.Ref]access.ApprovalFact
	vetted    map[access.Ref]string
	guardSeen map[string]seenGuard
	// observed is the drift that was reported and left (mode Observe), so that it is not reported again.
	observed string

	declarations map[access.Ref]*declaration

	// checked says that the API was found to be no older than the store, once an election.
	checked bool
	// trouble is why the store cannot be used, and since when.
	trouble *trouble
	// facts are what was published last; next is the next instant at which access or a status changes by itself.
	facts *access.Facts
	next  schedule.Instant
	// enforcing is how it stands with the CRM's own tables.
	enforcing enforcing
	// compared is when the whole tenant was last compared with the store.
	compared time.Time
	// keyed is when the age of its keys was last looked at.
	keyed time.Time
	// forgotten is when the store last had nothing more to forget.
	forgotten time.Time
	// waking says that a pass has been asked for and not begun.
	waking atomic.Bool
}

// psVersion is a state of a PermissionStore.
type psVersion struct {
	uid        types.UID
	generation int64
}

func versionOf(ps *v1alpha1.PermissionStore) psVersion {
	return psVersion{ps.UID, ps.Generation}
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

// asSeen says whether the store is in the state that we know.
func (t *tenant) asSeen(row store.Tenant) bool {
	return row.Revision == t.seen.Revision && row.LedgerHead == t.seen.LedgerHead && row.Tampered == t.seen.Tampered
}

// isOlder says whether a row comes from an earlier state of the store than the one we know, or from another history.
func (t *tenant) isOlder(row store.Tenant) bool {
	if t.seen.Name == "" {
		return false
	}
	order := row.Revision.Compare(t.seen.Revision)
	return order < 0 || order == 0 && row.LedgerHead != t.seen.LedgerHead
}

// close gives up the store. Fence and content must be had anew.
func (t *tenant) close() {
	if t.store != nil {
		_ = t.store.Close()
	}
	t.store, t.opened, t.claimed = nil, storeTarget{}, false
	t.row, t.seen, t.memory, t.actedOn = store.Tenant{}, store.Tenant{}, nil, 0
	t.held, t.base, t.sources, t.facts = nil, nil, nil, nil
	t.approvals, t.vetted, t.guardSeen = nil, nil, nil
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

// find is a namespace's tenant, nil where there is none yet.
func (t *tenants) find(namespace string) *tenant {
	t.mu.Lock()
	defer t.mu.Unlock()
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
