package controllers_test

import (
	"context"
	"database/sql" //nolint:depguard // to write past the store, as somebody with access to the file could
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// A small organisation: one object, a tree of two departments, a role, and who holds it.
const organisation = `
kind: ObjectType
metadata: {name: customer}
spec:
  ownerField: owner
  departmentField: dept
  fields: [{name: owner, class: internal}, {name: dept, class: internal}, {name: phone, class: confidential}]
  actions: [create, read, update, export]
---
kind: Department
metadata: {name: sales}
spec: {displayName: Sales}
---
kind: Department
metadata: {name: east}
spec: {displayName: East, parent: sales}
---
kind: Role
metadata: {name: rep}
spec: {grants: [{object: customer, actions: [read, update], scopes: [own]}]}
---
` + annAndBo

const annAndBo = `
kind: User
metadata: {name: ann}
spec: {displayName: Ann, department: east, title: Rep}
---
kind: User
metadata: {name: bo}
spec: {displayName: Bo, department: east, title: Rep}
---
kind: UserBinding
metadata: {name: reps}
spec: {subjects: [{user: ann}, {user: bo}], roles: [rep]}
`

// parse reads objects of the API's version from YAML.
func parse(text string, args ...any) []client.Object {
	GinkgoHelper()
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	var objects []client.Object
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var u unstructured.Unstructured
		if err := decoder.Decode(&u.Object); err != nil {
			Expect(err).To(MatchError("EOF"))
			return objects
		}
		u.SetAPIVersion(v1alpha1.GroupVersion.String())
		objects = append(objects, &u)
	}
}

// crowd is n users who each hold the role by a binding of their own.
func crowd(n int) []client.Object {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\nkind: User\nmetadata: {name: user-%[1]d}\nspec: {displayName: User %[1]d, department: east}\n"+
			"---\nkind: UserBinding\nmetadata: {name: binding-%[1]d}\nspec: {subjects: [{user: user-%[1]d}], roles: [rep]}\n", i)
	}
	return parse(text.String())
}

// named refers to an object.
func named(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	u.SetName(name)
	return u
}

func remove(namespace string, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		object.SetNamespace(namespace)
		Expect(k8s.Delete(context.Background(), object)).To(Succeed())
	}
}

// edit changes an object's spec.
func edit(namespace, kind, name string, change func(spec map[string]any)) {
	GinkgoHelper()
	Eventually(func() error {
		u := named(kind, name)
		if err := k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, u); err != nil {
			return err
		}
		spec := u.Object["spec"].(map[string]any)
		change(spec)
		return k8s.Update(context.Background(), u)
	}).Should(Succeed())
}

// gone waits until an object is not in the API.
func gone(namespace, kind, name string) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, named(kind, name)))
	}).Should(BeTrue())
}

// listAll lists what a namespace declares, and its PermissionStore.
func listAll(c client.Client, namespace string) []unstructured.Unstructured {
	GinkgoHelper()
	var all []unstructured.Unstructured
	for _, kind := range []string{"ObjectType", "Department", "User", "Role", "UserBinding", "TemporaryGrant", "Guardrail", "Approval", "Revocation", "PermissionStore"} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		Expect(c.List(context.Background(), list, client.InNamespace(namespace))).To(Succeed())
		all = append(all, list.Items...)
	}
	return all
}

// allReady waits until every object of the namespace is Ready at its present generation.
func allReady(namespace string) {
	GinkgoHelper()
	Eventually(func() []string { return notReady(namespace) }, 60*time.Second).Should(BeEmpty())
}

func notReady(namespace string) []string {
	var not []string
	for _, u := range listAll(k8s, namespace) {
		observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		ready := conditionIn(&u, "Ready")
		if observed != u.GetGeneration() || ready["status"] != "True" {
			not = append(not, fmt.Sprintf("%s/%s: %v", u.GetKind(), u.GetName(), ready))
		}
	}
	return not
}

func conditionIn(u *unstructured.Unstructured, kind string) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if c := c.(map[string]any); c["type"] == kind {
			return c
		}
	}
	return nil
}

// storeSays is the PermissionStore's Ready condition as "Status/Reason".
func storeSays(namespace string) func() string {
	return condition(namespace, &v1alpha1.PermissionStore{}, "default", "Ready")
}

// keepSaying expects that a question has the same answer for a while: long enough for several passes and polls.
func keepSaying[T any](question func() T, answer T) {
	GinkgoHelper()
	Consistently(question, 1600*time.Millisecond, 50*time.Millisecond).Should(Equal(answer))
}

// holders lists who holds what in a store's content, as "user bundle by owner".
func holders(rows map[store.RowID]string) []string {
	list := []string{}
	for id := range rows {
		if id.Table == store.TableHolder {
			list = append(list, id.Key+" by "+id.Owner.String())
		}
	}
	return sortedList(list)
}

// holding asks what a tenant's store says of holders.
func holding(dir, namespace string) func() []string {
	return func() []string { return holders(rows(dir, namespace)) }
}

// withoutUIDs leaves out what tells one object from another of the same name and text.
func withoutUIDs(rows map[store.RowID]string) map[store.RowID]string {
	plain := make(map[store.RowID]string, len(rows))
	for id, body := range rows {
		if id.Table == store.TableSource {
			_, spec, _ := strings.Cut(body, `"spec":`)
			body = spec
		}
		plain[id] = body
	}
	return plain
}

// byHand runs SQL on the file of a sqlite store, as somebody with access to the database could.
func byHand(dir, statement string, args ...any) {
	GinkgoHelper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "crm.db")+"?_pragma=busy_timeout(5000)")
	Expect(err).NotTo(HaveOccurred())
	defer db.Close()
	_, err = db.Exec(statement, args...)
	Expect(err).NotTo(HaveOccurred())
}

// tenantRow reads the tenant row by another connection.
func tenantRow(dir, namespace string) store.Tenant {
	GinkgoHelper()
	s, err := sqlite.Open(context.Background(), filepath.Join(dir, "crm.db"))
	Expect(err).NotTo(HaveOccurred())
	defer s.Close()
	row, err := s.Tenant(context.Background(), namespace)
	if errors.Is(err, store.ErrNoTenant) {
		return row
	}
	Expect(err).NotTo(HaveOccurred())
	return row
}

// ledgerOf reads a tenant's ledger.
func ledgerOf(dir, namespace string) []store.Entry {
	GinkgoHelper()
	s, err := sqlite.Open(context.Background(), filepath.Join(dir, "crm.db"))
	Expect(err).NotTo(HaveOccurred())
	defer s.Close()
	entries, err := s.Ledger(context.Background(), namespace, store.Revision{}, 10000)
	Expect(err).NotTo(HaveOccurred())
	return entries
}

// recorder is a store that counts calls, keeps commits, and fails where it is told to.
type recorder struct {
	store.Store

	mu      sync.Mutex
	calls   map[string]int
	commits []store.Commit
	// before and after may fail a call: before it reaches the store, or after the store has done it.
	before, after func(call string) error
}

// recording opens stores through a recorder.
func recording(r *recorder, opener openerFunc) openerFunc {
	return func(ctx context.Context, driver, connection string) (store.Store, error) {
		s, err := opener(ctx, driver, connection)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Store, r.calls = s, make(map[string]int)
		return r, nil
	}
}

func (r *recorder) called(call string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[call]++
	if r.before != nil {
		return r.before(call)
	}
	return nil
}

func (r *recorder) done(call string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.after != nil {
		return r.after(call)
	}
	return nil
}

// fail sets what fails from now on.
func (r *recorder) fail(before, after func(call string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.after = before, after
}

func (r *recorder) counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]int)
	for call, n := range r.calls {
		counts[call] = n
	}
	return counts
}

func (r *recorder) Tenant(ctx context.Context, tenant string) (store.Tenant, error) {
	if err := r.called("Tenant"); err != nil {
		return store.Tenant{}, err
	}
	return r.Store.Tenant(ctx, tenant)
}

func (r *recorder) Claim(ctx context.Context, tenant string, owner store.Owner, adopt string) (store.Tenant, error) {
	if err := r.called("Claim"); err != nil {
		return store.Tenant{}, err
	}
	return r.Store.Claim(ctx, tenant, owner, adopt)
}

func (r *recorder) Load(ctx context.Context, tenant string) (store.Content, error) {
	if err := r.called("Load"); err != nil {
		return store.Content{}, err
	}
	return r.Store.Load(ctx, tenant)
}

func (r *recorder) Commit(ctx context.Context, commit store.Commit) (store.Committed, error) {
	if err := r.called("Commit"); err != nil {
		return store.Committed{}, err
	}
	r.mu.Lock()
	r.commits = append(r.commits, commit)
	r.mu.Unlock()
	committed, err := r.Store.Commit(ctx, commit)
	if late := r.done("Commit"); late != nil {
		return store.Committed{}, late
	}
	return committed, err
}

func (r *recorder) Settle(ctx context.Context, expect store.Tenant) (store.Committed, error) {
	if err := r.called("Settle"); err != nil {
		return store.Committed{}, err
	}
	return r.Store.Settle(ctx, expect)
}

// shifted is a clock that is ahead of the real one by what a test says.
type shifted struct {
	clock.RealClock
	ahead atomic.Int64
}

func (c *shifted) Now() time.Time                  { return c.RealClock.Now().Add(time.Duration(c.ahead.Load())) }
func (c *shifted) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// collected are the log lines of the whole suite, where no secret may be found.
var collected struct {
	sync.Mutex
	lines []string
}

// logs collects every line at every level.
var logs = func() logr.Logger {
	return funcr.New(func(prefix, args string) {
		collected.Lock()
		defer collected.Unlock()
		collected.lines = append(collected.lines, prefix+" "+args)
	}, funcr.Options{Verbosity: 3})
}()

// uidOf is the uid of an object in the API.
func uidOf(namespace, kind, name string) types.UID {
	GinkgoHelper()
	u := named(kind, name)
	Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, u)).To(Succeed())
	return u.GetUID()
}

func ownRecord(user string) *access.Record {
	return &access.Record{ID: "r", Owner: user, Department: "east"}
}

// resting waits until nobody has written to a namespace's objects for a second, and returns their versions.
func resting(namespace string) map[string]string {
	GinkgoHelper()
	before := versions(namespace)
	Eventually(func() bool {
		now := versions(namespace)
		same := maps.Equal(before, now)
		before = now
		return same
	}).WithPolling(time.Second).Should(BeTrue())
	return before
}

// patching is a client that counts the statuses it writes, and holds them up while a test says so.
type patching struct {
	client.Client
	mu      sync.Mutex
	written []string
	refused []string
	gate    sync.RWMutex
}

func (p *patching) Status() client.SubResourceWriter {
	return patchingStatus{p.Client.Status(), p}
}

func (p *patching) writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.written)
}

func (p *patching) refusals() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

type patchingStatus struct {
	client.SubResourceWriter
	client *patching
}

func (s patchingStatus) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	name := object.GetObjectKind().GroupVersionKind().Kind + "/" + object.GetName()
	s.client.mu.Lock()
	s.client.written = append(s.client.written, name)
	s.client.mu.Unlock()
	s.client.gate.RLock()
	defer s.client.gate.RUnlock()
	err := s.SubResourceWriter.Patch(ctx, object, patch, options...)
	if err != nil {
		s.client.mu.Lock()
		defer s.client.mu.Unlock()
		s.client.refused = append(s.client.refused, name+": "+string(apierrors.ReasonForError(err)))
	}
	return err
}

// countingWrites puts a counting client into an operator.
func countingWrites(into **patching) with {
	return func(r *controllers.Reconciler) {
		*into = &patching{Client: r.Client}
		r.Client = *into
	}
}
