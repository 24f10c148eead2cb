package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	permissionstore "github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// shifted is a clock that is wrong by a constant.
type shifted struct {
	clock.RealClock
	by time.Duration
}

func (s shifted) Now() time.Time                  { return s.RealClock.Now().Add(s.by) }
func (s shifted) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

type onlyPostgres struct{}

func (onlyPostgres) Open(ctx context.Context, _, dsn string) (permissionstore.Store, error) {
	return postgres.Open(ctx, dsn)
}

// unheard takes no part in the test.
type unheard struct{}

func (unheard) Publish(controllers.Snapshot)                                   {}
func (unheard) Confirm(string, permissionstore.Revision, time.Time, time.Time) {}
func (unheard) Withdraw(string)                                                {}

func TestTheOperatorsClockDoesNotMatter(t *testing.T) {
	start(t)
	ctrl.SetLogger(logr.Discard())
	for name, by := range map[string]time.Duration{"ten minutes fast": 10 * time.Minute, "ten minutes slow": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Shared(t)
			dsn := server.Database(t)
			namespace := env.Namespace(t)
			secretFor(t, namespace, dsn)
			stop := runShifted(t, namespace, by)
			apply(t, namespace, store("postgres")+"---"+organisation)
			waitFor(t, namespace, "Ready", "permissionstore/default", "users.crmaccess.io/ann", "objecttype/customer")

			end := time.Now().Add(7 * time.Second).Truncate(time.Second)
			apply(t, namespace, loan("loan", end)+"---"+loan("longer", end.Add(5*time.Minute)))
			waitFor(t, namespace, "Active", "temporarygrant/loan", "temporarygrant/longer")
			live := func() (rows int) {
				if _, err := fmt.Sscan(server.Psql(t, dsn, fmt.Sprintf(liveLoans, "crm_access.")+";"), &rows); err != nil {
					t.Fatal(err)
				}
				return rows
			}
			if rows := live(); rows != 2 && time.Now().Before(end) {
				t.Errorf("%d loans are live before the end, want 2", rows)
			}
			waitFor(t, namespace, "Active=false", "temporarygrant/loan")
			if early := time.Until(end); early > 0 {
				t.Errorf("the loan ended %s early", early)
			}
			if rows := live(); rows != 1 {
				t.Errorf("%d loans are live after the end of one, want 1", rows)
			}
			stop()
		})
	}
}

// runShifted runs the operator in this process, where it can be given a wrong clock.
func runShifted(t *testing.T, namespace string, by time.Duration) (stop func()) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Stores: onlyPostgres{}, Events: mgr.GetEventRecorder("test"),
		Clock: shifted{by: by}, Log: logr.Discard(), Namespaces: []string{namespace}, Publisher: unheard{}, Fenced: func(err error) { t.Error(err) },
	}
	if err := reconciler.Setup(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended atomic.Bool
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stop = func() {
		if cancel(); ended.CompareAndSwap(false, true) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}
