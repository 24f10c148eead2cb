package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var (
	env    *testenv.Environment
	k8s    client.Client
	scheme = runtime.NewScheme()
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Controllers")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(logs)
	klog.SetLogger(logs)
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	env = testenv.Start(GinkgoTB())
	var err error
	k8s, err = client.New(env.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// operator is a manager that serves some namespaces, and what it tells of them.
type operator struct {
	stop   func()
	fenced chan error

	mu        sync.Mutex
	snapshots map[string]*controllers.Snapshot
	confirmed int
}

func (o *operator) Publish(s controllers.Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.snapshots[s.Namespace] = &s
}

func (o *operator) Confirm(namespace string, revision store.Revision, _, _ time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.snapshots[namespace]; s != nil && s.Revision == revision {
		o.confirmed++
	}
}

func (o *operator) Withdraw(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.snapshots, namespace)
}

// confirmations counts how often the store was seen to hold what was published.
func (o *operator) confirmations() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.confirmed
}

// decide asks the policy that the operator has published.
func (o *operator) decide(namespace, user, action, object string, record *access.Record) access.Effect {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.snapshots[namespace]
	if s == nil {
		return access.Deny
	}
	return s.Policy.Decide(schedule.At(time.Now()), &access.Request{User: user, Action: action, Object: object, Record: record}, nil)
}

// openerFunc opens stores for a test.
type openerFunc func(ctx context.Context, driver, connection string) (store.Store, error)

func (f openerFunc) Open(ctx context.Context, driver, connection string) (store.Store, error) {
	return f(ctx, driver, connection)
}

// inFolder opens sqlite stores in a folder.
func inFolder(dir string) openerFunc {
	return func(ctx context.Context, _, connection string) (store.Store, error) {
		return sqlite.Open(ctx, filepath.Join(dir, connection))
	}
}

// with changes the reconciler of an operator before it starts.
type with func(*controllers.Reconciler)

// start runs an operator for a namespace until the spec ends or stop is called.
func start(namespace string, stores controllers.Opener, changes ...with) *operator {
	GinkgoHelper()
	return startWith(env.Config, []string{namespace}, stores, changes...)
}

// startWith runs an operator for namespaces of any API server.
func startWith(config *rest.Config, namespaces []string, stores controllers.Opener, changes ...with) *operator {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	cached := cache.Options{DefaultNamespaces: map[string]cache.Config{}}
	for _, namespace := range namespaces {
		cached.DefaultNamespaces[namespace] = cache.Config{}
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Cache: cached, Logger: logs,
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{fenced: make(chan error, 100), snapshots: make(map[string]*controllers.Snapshot)}
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Stores: stores, Events: mgr.GetEventRecorder("test"),
		Clock: clock.RealClock{}, Log: logs, Namespaces: namespaces, Publisher: o,
		Fenced: func(err error) {
			select {
			case o.fenced <- err:
			default:
			}
			cancel()
		},
	}
	for _, change := range changes {
		change(reconciler)
	}
	Expect(reconciler.Setup(mgr)).To(Succeed())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer GinkgoRecover()
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	o.stop = func() { cancel(); <-done }
	DeferCleanup(o.stop)
	return o
}

// tenant makes a namespace with a sqlite store and the sample organisation's kinds of objects, ready to be filled.
func newTenant(objects ...client.Object) string {
	GinkgoHelper()
	namespace := env.Namespace(GinkgoTB())
	DeferCleanup(func() { expectLegal(namespace) })
	apply(namespace, permissionStore())
	apply(namespace, objects...)
	return namespace
}

func permissionStore() *v1alpha1.PermissionStore {
	ps := &v1alpha1.PermissionStore{Spec: v1alpha1.PermissionStoreSpec{Driver: v1alpha1.DriverSQLite, Connection: v1alpha1.Connection{File: "crm.db"}}}
	ps.Name = "default"
	return ps
}

func apply(namespace string, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		object.SetNamespace(namespace)
		object.SetResourceVersion("")
		Expect(k8s.Create(context.Background(), object)).To(Succeed())
	}
}

// sample reads the objects of a sample folder, without the namespace and the store.
func sample(folder string) []client.Object {
	GinkgoHelper()
	var objects []client.Object
	err := filepath.WalkDir(filepath.Join("..", "config", "samples", folder), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "records.yaml" || entry.Name() == "kustomization.yaml" {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		decoder := utilyaml.NewYAMLOrJSONDecoder(file, 4096)
		for {
			var u unstructured.Unstructured
			if err := decoder.Decode(&u); err != nil {
				return nil //nolint:nilerr // the end of the file
			}
			if u.GetKind() == "Namespace" || u.GetKind() == "PermissionStore" || u.GetKind() == "" {
				continue
			}
			objects = append(objects, &u)
		}
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(objects).NotTo(BeEmpty(), "no sample in "+folder)
	return objects
}

// condition waits for an object's condition and returns "Status/Reason".
func condition(namespace string, object v1alpha1.Object, name, kind string) func() string {
	return func() string {
		if err := k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, object.(client.Object)); err != nil {
			return err.Error()
		}
		status := object.GetStatus()
		if status.ObservedGeneration != object.GetGeneration() {
			return fmt.Sprintf("generation %d, observed %d", object.GetGeneration(), status.ObservedGeneration)
		}
		for _, c := range status.Conditions {
			if c.Type == kind {
				return string(c.Status) + "/" + c.Reason
			}
		}
		return "absent"
	}
}

// rows reads what a namespace's store holds, by another connection.
func rows(dir, namespace string) map[store.RowID]string {
	GinkgoHelper()
	s, err := sqlite.Open(context.Background(), filepath.Join(dir, "crm.db"))
	Expect(err).NotTo(HaveOccurred())
	defer s.Close()
	content, err := s.Load(context.Background(), namespace)
	if errors.Is(err, store.ErrNoTenant) {
		return nil // not claimed yet
	}
	Expect(err).NotTo(HaveOccurred())
	return store.Index(content.Rows)
}

// readyOf is an object's Ready condition as "Status/Reason", whatever its kind.
func readyOf(namespace string, object client.Object) func() string {
	key := client.ObjectKey{Namespace: namespace, Name: object.GetName()}
	return func() string {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
		if err := k8s.Get(context.Background(), key, u); err != nil {
			return err.Error()
		}
		observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		if observed != u.GetGeneration() {
			return fmt.Sprintf("generation %d, observed %d", u.GetGeneration(), observed)
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Ready" {
				return fmt.Sprintf("%s/%s: %s", c["status"], c["reason"], c["message"])
			}
		}
		return "absent"
	}
}
