package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// leaseName is the Lease that the leader holds; config/rbac allows no other.
const leaseName = "crm-access-operator.crmaccess.io"

// run starts the manager and everything in it, and returns when the context ends or the tenants are fenced off.
func run(ctx context.Context, o options) error {
	lines := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel}))
	log := logr.FromSlogHandler(lines.Handler())
	ctrl.SetLogger(log)
	config, err := clusterConfig(o.kubeconfig)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.leaderElectNS,
		Metrics:                 metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
	})
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", cachesReady(mgr))); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	decider := newDecider(follow.Options{
		MaxAge: o.maxAge, Clock: clock.RealClock{}, Log: log.WithName("follow"), Metrics: follow.NewMetrics(metrics.Registry),
	}, drivers{o.dataDir})
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Stores: drivers{o.dataDir},
		Events: mgr.GetEventRecorder("crm-access-operator"), Clock: clock.RealClock{}, Log: log.WithName("tenants"),
		Publisher: decider, Fenced: func(err error) { stop(err) },
		Retention: store.Retention{Ended: o.keepEnded, Logged: o.keepDecisions},
	}
	if !o.decisions.Off() {
		reconciler.Follower = decider
	}
	if err := reconciler.Setup(mgr); err != nil {
		return err
	}
	if err := serveDecisions(ctx, mgr, &o, decider, lines); err != nil {
		return err
	}
	log.Info("Starting", "version", version)
	if err := mgr.Start(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, store.ErrFenced) {
		return cause // another leader writes now; this process ends so that it cannot
	}
	return nil
}

// serveDecisions adds the decision API and what it answers from to the manager.
func serveDecisions(ctx context.Context, mgr ctrl.Manager, o *options, d *decider, lines *slog.Logger) error {
	if o.decisions.Off() {
		return nil
	}
	answering, err := openDecisions(ctx, &o.decisions, o.logReads, d, lines)
	if err != nil {
		return err
	}
	return mgr.Add(answering)
}

// clusterConfig reads the kubeconfig. The API server's priority and fairness bounds our requests, not a client-side limit.
func clusterConfig(path string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "crm-access-operator/" + version
	return config, nil
}

// cachesReady says whether the caches have filled. A replica that waits for the Lease is ready too.
func cachesReady(mgr ctrl.Manager) healthz.Checker {
	return func(request *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(request.Context()) {
			return errors.New("the caches have not filled")
		}
		return nil
	}
}

// drivers opens the stores that this program knows.
type drivers struct {
	dataDir string
}

func (d drivers) Open(ctx context.Context, driver, connection string) (store.Store, error) {
	switch driver {
	case v1alpha1.DriverSQLite:
		// Admission allows a plain file name; what arrives by another way stays in the folder all the same.
		if connection != filepath.Base(connection) || connection == "." || connection == ".." {
			return nil, fmt.Errorf("%w: connection.file must be a plain file name", store.ErrRefused)
		}
		return sqlite.Open(ctx, filepath.Join(d.dataDir, connection))
	case v1alpha1.DriverPostgres:
		return postgres.Open(ctx, connection)
	}
	return nil, fmt.Errorf("%w: unknown driver", store.ErrRefused)
}

// Attach opens a store to read. The leader alone migrates one that other programs use, too.
func (d drivers) Attach(ctx context.Context, driver, connection string) (store.Store, error) {
	if driver == v1alpha1.DriverPostgres {
		return postgres.Attach(ctx, connection)
	}
	return d.Open(ctx, driver, connection)
}
