package controllers

import (
	"context"
	"fmt"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

// The operator reads the kinds it serves and writes their status: no spec, no metadata, no finalizers. Secrets are not
// here: a tenant lets the operator read exactly one (config/rbac/tenant).
//
// +kubebuilder:rbac:groups=crmaccess.io,resources=roles;userbindings;temporarygrants;users;departments;objecttypes;guardrails;approvals;revocations;permissionstores,verbs=get;list;watch
// +kubebuilder:rbac:groups=crmaccess.io,resources=roles/status;userbindings/status;temporarygrants/status;users/status;departments/status;objecttypes/status;guardrails/status;approvals/status;revocations/status;permissionstores/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get,resourceNames=roles.crmaccess.io;userbindings.crmaccess.io;temporarygrants.crmaccess.io;users.crmaccess.io;departments.crmaccess.io;objecttypes.crmaccess.io;guardrails.crmaccess.io;approvals.crmaccess.io;revocations.crmaccess.io;permissionstores.crmaccess.io
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=get,resourceNames=crmaccess-approvals;crmaccess-emergencies
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// tenantsAtOnce bounds the passes under way at once.
const tenantsAtOnce = 4

// Setup registers the passes, the keeper and the status writer with the manager.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	register()
	r.statuses = newStatusWriter(r.Client, r.Live, r.Log)
	r.wake = make(chan event.TypedGenericEvent[string])
	r.guards = &guards{live: r.Live, seen: make(map[string]guard)}
	if err := mgr.Add(guardWatch{r}); err != nil {
		return fmt.Errorf("add the watch over admission: %w", err)
	}
	if err := mgr.Add(&keeper{Reconciler: r, started: make(map[string]bool)}); err != nil {
		return fmt.Errorf("add the keeper: %w", err)
	}
	if r.Follower != nil {
		if err := mgr.Add(&lookout{Reconciler: r, followed: make(map[string]followed)}); err != nil {
			return fmt.Errorf("add the lookout: %w", err)
		}
	}
	if err := mgr.Add(r.statuses); err != nil {
		return fmt.Errorf("add the status writer: %w", err)
	}
	passes := ctrl.NewControllerManagedBy(mgr).Named("tenant").
		WithOptions(controller.Options{MaxConcurrentReconciles: tenantsAtOnce}).
		WatchesRawSource(source.TypedChannel(r.wake, handler.TypedFuncs[string, reconcile.Request]{
			GenericFunc: func(_ context.Context, e event.TypedGenericEvent[string], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
				queue.Add(reconcile.Request{NamespacedName: tenantKey(e.Object)})
			},
		}))
	mark := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: tenantKey(object.GetNamespace())}}
	})
	// A status that we write ourselves changes no generation and asks for no pass.
	declared := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, deletionMarked))
	passes = passes.Watches(&v1alpha1.PermissionStore{}, mark, declared)
	for _, k := range kinds {
		passes = passes.Watches(k.newOne(), mark, declared)
	}
	if err := passes.Complete(r); err != nil {
		return fmt.Errorf("set up the passes: %w", err)
	}
	return nil
}

// deletionMarked passes the update that marks an object as being deleted.
var deletionMarked = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
}}
