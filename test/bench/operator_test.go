package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var scheme = runtime.NewScheme()

func init() {
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	ctrl.SetLogger(logr.Discard())
}

// workers is how many requests the bare client and the status writer have under way.
const workers = 16

// silent publishes to nobody, but for the latest policy.
type silent struct{}

var published atomic.Pointer[access.Policy]

func (silent) Publish(s controllers.Snapshot)                       { published.Store(s.Policy) }
func (silent) Confirm(string, store.Revision, time.Time, time.Time) {}
func (silent) Withdraw(string)                                      {}
func (silent) Open(ctx context.Context, _, file string) (store.Store, error) {
	return sqlite.Open(ctx, file)
}

// startOperator runs an operator for a namespace and returns its cached client, the number of its objects whose status
// was written, as the watches show it, and how to stop it.
func startOperator(b *testing.B, rest *rest.Config, namespace string) (client.Client, *atomic.Int64, func()) {
	b.Helper()
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		b.Fatal(err)
	}
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Stores: silent{}, Events: mgr.GetEventRecorder("bench"), Clock: clock.RealClock{},
		Log: logr.Discard(), Namespaces: []string{namespace}, Publisher: silent{}, Fenced: func(err error) { b.Error(err) },
	}
	if err := reconciler.Setup(mgr); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	settled := countSettled(ctx, b, mgr)
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	return mgr.GetClient(), settled, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

// company makes about n objects of all kinds; every reference resolves.
func company(n int) []client.Object {
	var objects []client.Object
	add := func(prefix string, count int, one func(i int) client.Object) {
		for i := range count {
			object := one(i)
			object.SetName(fmt.Sprintf("%s-%d", prefix, i))
			objects = append(objects, object)
		}
	}
	users, roles, departments, types, grants := n*60/100, n*4/100, n*6/100, max(n/250, 1), n*9/100
	bindings := n - users - roles - departments - types - grants
	add("object", types, func(int) client.Object {
		return &v1alpha1.ObjectType{Spec: v1alpha1.ObjectTypeSpec{Fields: []v1alpha1.Field{{Name: "phone", Class: "confidential"}}, Actions: []v1alpha1.Identifier{"read", "update"}}}
	})
	add("dept", departments, func(i int) client.Object {
		d := &v1alpha1.Department{Spec: v1alpha1.DepartmentSpec{DisplayName: "d"}}
		if i > 0 {
			d.Spec.Parent = v1alpha1.Reference(fmt.Sprintf("dept-%d", (i-1)/4))
		}
		return d
	})
	add("user", users, func(i int) client.Object {
		return &v1alpha1.User{Spec: v1alpha1.UserSpec{DisplayName: "u", Title: v1alpha1.Label(fmt.Sprintf("t%d", i%20)), Department: v1alpha1.Reference(fmt.Sprintf("dept-%d", i%departments))}}
	})
	add("role", roles, func(i int) client.Object {
		return &v1alpha1.Role{Spec: v1alpha1.RoleSpec{DisplayName: "r", Grants: []v1alpha1.RoleGrant{{Object: v1alpha1.Reference(fmt.Sprintf("object-%d", i%types)), Actions: []v1alpha1.Identifier{"read"}, Scopes: []v1alpha1.Scope{"own", "department"}}}}}
	})
	add("binding", bindings, func(i int) client.Object {
		return &v1alpha1.UserBinding{Spec: v1alpha1.UserBindingSpec{Subjects: []v1alpha1.Subject{{User: v1alpha1.Reference(fmt.Sprintf("user-%d", i%users))}}, Roles: []v1alpha1.Reference{v1alpha1.Reference(fmt.Sprintf("role-%d", i%roles))}}}
	})
	add("grant", grants, func(i int) client.Object {
		return &v1alpha1.TemporaryGrant{Spec: v1alpha1.TemporaryGrantSpec{
			Users: []v1alpha1.Reference{v1alpha1.Reference(fmt.Sprintf("user-%d", i%users))}, Roles: []v1alpha1.Reference{v1alpha1.Reference(fmt.Sprintf("role-%d", i%roles))},
			NotAfter: v1alpha1.Instant(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), Reason: "bench",
		}}
	})
	return objects
}

// each does something to every object with as many workers as the status writer has.
func each(b *testing.B, objects []client.Object, do func(client.Object) error) {
	b.Helper()
	work := make(chan client.Object)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for object := range work {
				if err := do(object); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, object := range objects {
		work <- object
	}
	close(work)
	group.Wait()
}

func storeObject(b *testing.B) *v1alpha1.PermissionStore {
	ps := &v1alpha1.PermissionStore{Spec: v1alpha1.PermissionStoreSpec{Driver: v1alpha1.DriverSQLite, Connection: v1alpha1.Connection{File: "bench.db"}}}
	ps.Name = v1alpha1.PermissionStoreName
	return ps
}

// inTempDir makes the relative file names of sqlite stores land in a temporary folder.
func inTempDir(b *testing.B) { b.Chdir(b.TempDir()) }

// BenchmarkConvergence: 5,000 stored objects of all kinds, from the manager's start to the last status, against a bare
// client that applies as many statuses. The pairs interleave, and their median counts.
func BenchmarkConvergence(b *testing.B) {
	const pairs, count = 5, 5000
	b.Setenv("KUBEBUILDER_ASSETS", assets(b))
	env := testenv.Start(b)
	inTempDir(b)
	env.Config.QPS = -1
	direct, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		var ratios, rates []float64
		for range pairs {
			ours := operatorRun(b, env, direct, company(count))
			bare := bareRun(b, env, direct, company(count))
			ratios, rates = append(ratios, bare.Seconds()/ours.Seconds()), append(rates, count/bare.Seconds())
			b.Logf("operator %.1f s, bare client %.1f s, ratio %.2f", ours.Seconds(), bare.Seconds(), ratios[len(ratios)-1])
		}
		b.ReportMetric(median(ratios), "of-bare-rate")
		b.ReportMetric(median(rates), "bare-statuses/s")
	}
}

func assets(b *testing.B) string {
	dir, err := testenv.Assets()
	if err != nil {
		b.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		b.Fatal(err)
	}
	return dir
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func fill(b *testing.B, env *testenv.Environment, direct client.Client, objects []client.Object) string {
	b.Helper()
	namespace := env.Namespace(b)
	each(b, objects, func(object client.Object) error {
		object.SetNamespace(namespace)
		return direct.Create(context.Background(), object)
	})
	return namespace
}

func operatorRun(b *testing.B, env *testenv.Environment, direct client.Client, objects []client.Object) time.Duration {
	b.Helper()
	objects = append(objects, storeObject(b))
	namespace := fill(b, env, direct, objects)
	started := time.Now()
	_, settled, stop := startOperator(b, env.Config, namespace)
	defer stop()
	for settled.Load() < int64(len(objects)) {
		<-time.After(5 * time.Millisecond)
		if time.Since(started) > 3*time.Minute {
			b.Fatalf("%d of %d objects are settled", settled.Load(), len(objects))
		}
	}
	return time.Since(started)
}

// countSettled counts objects as the watches that the operator has anyway bring their statuses: looking at the caches
// again and again would cost more than the operator.
func countSettled(ctx context.Context, b *testing.B, mgr ctrl.Manager) *atomic.Int64 {
	b.Helper()
	var settled atomic.Int64
	written := func(object any) bool {
		o, ok := object.(v1alpha1.Object)
		return ok && o.GetStatus().ObservedGeneration == o.GetGeneration()
	}
	for _, object := range []client.Object{&v1alpha1.ObjectType{}, &v1alpha1.Department{}, &v1alpha1.User{}, &v1alpha1.Role{}, &v1alpha1.UserBinding{}, &v1alpha1.TemporaryGrant{}, &v1alpha1.PermissionStore{}} {
		informer, err := mgr.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			b.Fatal(err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
			if !written(before) && written(after) {
				settled.Add(1)
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	return &settled
}

func bareRun(b *testing.B, env *testenv.Environment, direct client.Client, objects []client.Object) time.Duration {
	b.Helper()
	namespace := fill(b, env, direct, objects)
	started := time.Now()
	each(b, objects, func(object client.Object) error {
		gvk, err := direct.GroupVersionKindFor(object)
		if err != nil {
			return err
		}
		body, err := json.Marshal(map[string]any{
			"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind,
			"metadata": map[string]any{"name": object.GetName(), "namespace": namespace},
			"status": v1alpha1.Status{ObservedGeneration: 1, Conditions: []metav1.Condition{{
				Type: "Ready", Status: "True", Reason: "Applied", Message: "the permission store holds what the object asks for", ObservedGeneration: 1, LastTransitionTime: metav1.Now(),
			}}},
		})
		if err != nil {
			return err
		}
		target := &metav1.PartialObjectMetadata{}
		target.SetGroupVersionKind(gvk)
		target.SetNamespace(namespace)
		target.SetName(object.GetName())
		return direct.Status().Patch(context.Background(), target, client.RawPatch(types.ApplyPatchType, body),
			&client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{FieldManager: "bare", Force: ptr.To(true)}})
	})
	return time.Since(started)
}

// BenchmarkRoleArrives: a binding waits for its role while 1,000 other objects change, a hundred a second; from the
// role's creation to the first decision that the binding's user may do what the role says. What is published is committed.
func BenchmarkRoleArrives(b *testing.B) {
	const rounds = 200
	b.Setenv("KUBEBUILDER_ASSETS", assets(b))
	env := testenv.Start(b)
	inTempDir(b)
	env.Config.QPS = -1
	direct, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	objects := append(company(1000), storeObject(b))
	namespace := fill(b, env, direct, objects)
	_, settled, stop := startOperator(b, env.Config, namespace)
	defer stop()
	for settled.Load() < int64(len(objects)) {
		<-time.After(50 * time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var churn sync.WaitGroup
	churn.Go(func() { keepChanging(ctx, direct, objects) })
	defer churn.Wait()
	defer cancel()
	for range b.N {
		var took []float64
		for i := range rounds {
			took = append(took, roleArrives(b, direct, namespace, i).Seconds()*1000)
		}
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2], "ms-p50")
		b.ReportMetric(took[len(took)*99/100], "ms-p99")
	}
}

// keepChanging edits the users round and round, so that every edit is a new generation and a change of rows.
func keepChanging(ctx context.Context, direct client.Client, objects []client.Object) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for round := 0; ; round++ {
		for _, object := range objects {
			user, ok := object.(*v1alpha1.User)
			if !ok {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			patch := fmt.Sprintf(`{"spec":{"displayName":"u%d"}}`, round)
			_ = direct.Patch(ctx, user.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
		}
	}
}

// roleArrives binds the i-th user to a role that does not exist, makes the role, and waits until it counts.
func roleArrives(b *testing.B, direct client.Client, namespace string, i int) time.Duration {
	b.Helper()
	ctx, name, user := context.Background(), fmt.Sprintf("late-%d", i), fmt.Sprintf("user-%d", i)
	binding := &v1alpha1.UserBinding{Spec: v1alpha1.UserBindingSpec{Subjects: []v1alpha1.Subject{{User: v1alpha1.Reference(user)}}, Roles: []v1alpha1.Reference{v1alpha1.Reference(name)}}}
	binding.Name, binding.Namespace = name, namespace
	if err := direct.Create(ctx, binding); err != nil {
		b.Fatal(err)
	}
	request := &access.Request{User: user, Action: "update", Object: "object-0", Record: &access.Record{Owner: user}}
	effective := func() bool { return published.Load().Decide(schedule.At(time.Now()), request, nil) == access.Allow }
	if effective() {
		b.Fatalf("%s may update before there is a role", user)
	}
	role := &v1alpha1.Role{Spec: v1alpha1.RoleSpec{DisplayName: "r", Grants: []v1alpha1.RoleGrant{{Object: "object-0", Actions: []v1alpha1.Identifier{"update"}, Scopes: []v1alpha1.Scope{"own"}}}}}
	role.Name, role.Namespace = name, namespace
	started := time.Now()
	if err := direct.Create(ctx, role); err != nil {
		b.Fatal(err)
	}
	for !effective() {
		if time.Since(started) > 30*time.Second {
			b.Fatalf("%s has no effect", name)
		}
		<-time.After(time.Millisecond)
	}
	return time.Since(started)
}

// BenchmarkUserMoves: one of 10,000 users moves to another department; from the edit to the first decision by the new
// department and not by the old one. Both change in one commit.
func BenchmarkUserMoves(b *testing.B) {
	const rounds, count = 20, 17000 // 10,200 users, 680 roles, 3,500 bindings
	b.Setenv("KUBEBUILDER_ASSETS", assets(b))
	env := testenv.Start(b)
	inTempDir(b)
	env.Config.QPS = -1
	direct, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	objects := append(company(count), storeObject(b))
	namespace := fill(b, env, direct, objects)
	_, settled, stop := startOperator(b, env.Config, namespace)
	defer stop()
	for settled.Load() < int64(len(objects)) {
		<-time.After(50 * time.Millisecond)
	}
	for range b.N {
		var took []float64
		for i := range rounds {
			took = append(took, userMoves(b, direct, namespace, i).Seconds()*1000)
		}
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2], "ms-p50")
		b.ReportMetric(took[len(took)-1], "ms-max")
	}
}

// userMoves moves the i-th user, who holds the i-th role by the i-th binding, and waits until that counts.
func userMoves(b *testing.B, direct client.Client, namespace string, i int) time.Duration {
	b.Helper()
	name, object := fmt.Sprintf("user-%d", i), fmt.Sprintf("object-%d", i%68)
	old, now := fmt.Sprintf("dept-%d", i), fmt.Sprintf("dept-%d", i+500)
	may := func(department string) bool {
		record := &access.Record{Owner: "somebody", Department: department}
		return published.Load().Decide(schedule.At(time.Now()), &access.Request{User: name, Action: "read", Object: object, Record: record}, nil) == access.Allow
	}
	if !may(old) || may(now) {
		b.Fatalf("%s is not in %s", name, old)
	}
	user := &v1alpha1.User{}
	user.Name, user.Namespace = name, namespace
	started := time.Now()
	patch := fmt.Sprintf(`{"spec":{"department":%q}}`, now)
	if err := direct.Patch(context.Background(), user, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		b.Fatal(err)
	}
	for !may(now) {
		if time.Since(started) > 30*time.Second {
			b.Fatalf("the move of %s has no effect", name)
		}
		<-time.After(time.Millisecond)
	}
	took := time.Since(started)
	if may(old) {
		b.Fatalf("%s holds both departments", name)
	}
	return took
}
