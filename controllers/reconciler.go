package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const (
	// retryAfter is how soon trouble of a store is looked at again.
	retryAfter = 2 * time.Second
	// compareEvery is how often the whole tenant is compared with the store, changed or not.
	compareEvery = time.Hour
	// keysEvery is how often the age of the tenants' keys is looked at, keyAge at what age one is followed by another.
	keysEvery = time.Hour
	keyAge    = 24 * time.Hour
	// forgetEvery is how often the stores forget what has been kept long enough.
	forgetEvery = time.Hour
	// staleRuns is how often a pass starts again because the store moved under it.
	staleRuns = 5
)

// Reconciler runs the passes. Its exported fields are set before Setup and not changed afterwards.
type Reconciler struct {
	// Client reads from caches and writes status; Live reads from the API server itself.
	Client client.Client
	Live   client.Reader
	Stores Opener
	Events events.EventRecorder
	Clock  clock.WithTicker
	Log    logr.Logger
	// Namespaces are the only ones to serve; empty means all.
	Namespaces []string
	// Retention is how long the stores keep what people made that has ended, and what was decided; zero is for ever.
	Retention store.Retention
	// Publisher is told what the store holds.
	Publisher Publisher
	// Follower, where set, answers decisions from the stores, on every replica.
	Follower Follower
	// Fenced is called when a newer leader has taken a tenant over: this process must stop writing, which means end.
	Fenced func(error)

	statuses *statusWriter
	tenants  tenants
	guards   *guards
	wake     chan event.TypedGenericEvent[string]
}

// Reconcile is a pass over the namespace that the request names. It returns errors only where nothing else says them:
// trouble of the store is said on the PermissionStore, and tried again at a duration, since an error would hide it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	ps := &v1alpha1.PermissionStore{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: request.Namespace, Name: v1alpha1.PermissionStoreName}, ps)
	t := r.tenants.find(request.Namespace)
	if err == nil {
		t = r.tenants.of(request.Namespace)
	}
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waking.Store(false)
	}
	if err == nil {
		ps, err = r.current(ctx, t, ps)
	}
	if apierrors.IsNotFound(err) {
		// Nothing says where to write. What the store holds stays, and the keeper still settles what ends.
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	p, err := r.runPass(ctx, t, ps)
	if errors.Is(err, store.ErrFenced) {
		r.Fenced(err)
		return ctrl.Result{}, nil
	}
	if errors.Is(err, context.Canceled) {
		return ctrl.Result{}, nil
	}
	now := r.Clock.Now()
	if err != nil {
		r.inTrouble(t, now, err)
		r.reportTrouble(t, p, now)
		return ctrl.Result{RequeueAfter: retryAfter}, nil
	}
	t.trouble = nil
	look := p.enforce(ctx)
	result := r.report(t, p, now)
	result.RequeueAfter = min(result.RequeueAfter, look)
	return result, nil
}

// current is the PermissionStore as it is now: the cache's, or the API server's where the cache may be behind what we
// know of it, and first of all after an election. A former text of it could be from before a retirement.
func (r *Reconciler) current(ctx context.Context, t *tenant, cached *v1alpha1.PermissionStore) (*v1alpha1.PermissionStore, error) {
	if t.checked && cached.UID == t.openedBy.uid && cached.Generation >= t.openedBy.generation {
		return cached, nil
	}
	live := &v1alpha1.PermissionStore{}
	return live, r.Live.Get(ctx, client.ObjectKeyFromObject(cached), live)
}

// runPass runs passes until one is not overtaken by another writer.
func (r *Reconciler) runPass(ctx context.Context, t *tenant, ps *v1alpha1.PermissionStore) (*pass, error) {
	for run := 1; ; run++ {
		p := &pass{Reconciler: r, tenant: t, ps: ps}
		err := p.run(ctx)
		if err != nil {
			t.forget()
		}
		// Whether a fence means that another process leads now is told by the look that the next run begins with.
		overtaken := errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrFenced) && run == 1
		if !overtaken || run == staleRuns {
			return p, err
		}
	}
}

// inTrouble keeps why, and since when the tenant has been in trouble of that kind.
func (r *Reconciler) inTrouble(t *tenant, now time.Time, err error) {
	was := t.trouble
	t.trouble = troubleOf(err)
	t.trouble.since = now
	if was != nil && was.reason == t.trouble.reason {
		t.trouble.since = was.since
		return
	}
	r.Log.Info("Trouble", "namespace", t.namespace, "reason", t.trouble.reason, "message", t.trouble.message)
}

// troubleOf says an error as a reason. The store's errors hold no secret; of what is not known as such, only the kind
// of failure is told.
func troubleOf(err error) *trouble {
	switch {
	case errors.Is(err, store.ErrOwnedElsewhere):
		return &trouble{reason: v1alpha1.ReasonStoreOwnedElsewhere, message: err.Error() + "; set spec.adopt to take it over", person: true}
	case errors.Is(err, errSecret):
		return &trouble{reason: v1alpha1.ReasonSecretUnavailable, message: err.Error(), person: true}
	case errors.Is(err, errOlderAPI):
		return &trouble{reason: v1alpha1.ReasonOlderAPI, message: err.Error() + ": nothing is written; set spec.adopt to the store's owner to follow the API all the same", person: true}
	case errors.Is(err, store.ErrSchema), errors.Is(err, store.ErrRefused):
		return &trouble{reason: v1alpha1.ReasonStoreRefused, message: err.Error(), person: true}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrNoTenant):
		return &trouble{reason: v1alpha1.ReasonStoreUnavailable, message: err.Error()}
	}
	return &trouble{reason: v1alpha1.ReasonStoreUnavailable, message: "the pass did not finish: " + err.Error()}
}

// report writes the statuses of the tenant's objects, and says when to look again.
func (r *Reconciler) report(t *tenant, p *pass, now time.Time) ctrl.Result {
	var result ctrl.Result
	again := func(after time.Duration) {
		if result.RequeueAfter == 0 || after < result.RequeueAfter {
			result.RequeueAfter = after
		}
	}
	storeNow, consequences := schedule.At(t.row.Now), p.consequences()
	for ref, object := range p.objects {
		latest := r.statuses.latest(string(ref.Kind), object)
		facts := objectFacts{
			now: now, storeNow: storeNow, object: object, before: latest.Conditions, retired: isRetired(p.ps),
			findings: p.resolution.Findings[ref], refused: p.refused[ref], confers: consequences.confers[ref],
			admissions: p.resolution.Admissions[ref], revokedBy: consequences.revokedBy[ref], verdict: p.verdictOn(ref, object),
			enforced: p.enforced(object),
		}
		if d := p.declared[ref]; d != nil {
			facts.invalid = d.err
		}
		wanted := facts.status()
		r.say(string(ref.Kind), object, latest, v1alpha1.PermissionStoreStatus{Status: wanted.status})
		t.next = min(t.next, wanted.at)
		if wanted.until > 0 {
			again(wanted.until)
		}
	}
	if p.doubt != nil || len(p.lagging) > 0 {
		again(retryAfter)
	}
	if p.held != nil || len(p.memory.Brake.Recent) > 0 {
		again(time.Minute)
	}
	for _, left := range p.settling {
		again(left)
	}
	again(compareEvery)
	r.reportStore(t, p, now)
	return result
}

func (r *Reconciler) reportStore(t *tenant, p *pass, now time.Time) {
	latest := r.statuses.latest("PermissionStore", p.ps)
	facts := storeFacts{
		now: now, ps: p.ps, before: latest.Conditions, doubt: p.doubt, held: p.held, shaken: p.gone.shaken,
		refused: len(p.refused), retired: isRetired(p.ps), emergencies: p.unreviewed(), orphans: p.orphans(), removals: p.removals(),
	}
	if p.asksApproval() {
		facts.unguarded = p.guardProblem()
	}
	if p.observes() {
		facts.drift = len(store.Diff(t.base, t.held))
	}
	r.say("PermissionStore", p.ps, latest, v1alpha1.PermissionStoreStatus{Status: facts.status(), Held: p.held})
	p.measure(facts.emergencies)
}

// reportTrouble says trouble on the PermissionStore. Objects are touched only where their change has waited too long.
func (r *Reconciler) reportTrouble(t *tenant, p *pass, now time.Time) {
	latest := r.statuses.latest("PermissionStore", p.ps)
	facts := storeFacts{now: now, ps: p.ps, before: latest.Conditions, trouble: t.trouble}
	r.say("PermissionStore", p.ps, latest, v1alpha1.PermissionStoreStatus{Status: facts.status(), Held: latest.Held})
	for ref, object := range p.objects {
		d := t.declarations[ref]
		if d == nil || now.Sub(d.since) < unwrittenFor || now.Sub(t.trouble.since) < unwrittenFor {
			continue
		}
		latest := r.statuses.latest(string(ref.Kind), object)
		if latest.ObservedGeneration != object.GetGeneration() {
			facts := objectFacts{now: now, object: object, before: latest.Conditions, unwritten: true}
			r.say(string(ref.Kind), object, latest, v1alpha1.PermissionStoreStatus{Status: facts.status().status})
		}
	}
}

// say hands a status to the writer, and announces what is new in it.
func (r *Reconciler) say(kind string, object v1alpha1.Object, latest, wanted v1alpha1.PermissionStoreStatus) {
	if r.statuses.submit(kind, object, latest, wanted) {
		r.announce(object, latest.Conditions, wanted.Status)
	}
}

// announce makes an event of a transition that a person wants to hear of. Objects that simply become ready are many,
// and say nothing.
func (r *Reconciler) announce(object v1alpha1.Object, before []metav1.Condition, status v1alpha1.Status) {
	for _, c := range status.Conditions {
		was := conditionOf(before, c.Type)
		if was != nil && was.Status == c.Status && was.Reason == c.Reason {
			continue
		}
		switch {
		case c.Type == v1alpha1.ConditionStalled:
			r.event(object, corev1.EventTypeWarning, c.Reason, c.Message)
		case c.Type == v1alpha1.ConditionActive && c.Status == metav1.ConditionTrue && isEmergency(object):
			r.event(object, corev1.EventTypeWarning, v1alpha1.ReasonEmergencyUnreviewed, "an emergency grant is in use without approval: "+c.Message+"; it waits for review")
		case c.Type == v1alpha1.ConditionEnforced:
			r.event(object, map[bool]string{true: corev1.EventTypeNormal, false: corev1.EventTypeWarning}[c.Status == metav1.ConditionTrue], c.Reason, c.Message)
		case c.Type == v1alpha1.ConditionApproved, c.Type == v1alpha1.ConditionRevoked:
			r.event(object, map[bool]string{true: corev1.EventTypeNormal, false: corev1.EventTypeWarning}[c.Type == v1alpha1.ConditionApproved && c.Status == metav1.ConditionTrue], c.Reason, c.Message)
		case c.Type == v1alpha1.ConditionActive && (was != nil || c.Reason == v1alpha1.ReasonActive):
			r.event(object, corev1.EventTypeNormal, c.Reason, c.Message)
		case c.Type == v1alpha1.ConditionReady && object.GetName() == v1alpha1.PermissionStoreName && isStore(object):
			r.event(object, map[bool]string{true: corev1.EventTypeNormal, false: corev1.EventTypeWarning}[c.Status == "True"], c.Reason, c.Message)
		}
	}
}

func (r *Reconciler) event(object v1alpha1.Object, kind, reason, message string) {
	r.Events.Eventf(object, nil, kind, reason, "Reconcile", "%s", shorten(message, 1000))
}

func isStore(object v1alpha1.Object) bool {
	_, ok := object.(*v1alpha1.PermissionStore)
	return ok
}

// enqueue asks for a pass over a tenant, and does not wait for it. Asking again before it has begun asks for nothing.
func (r *Reconciler) enqueue(ctx context.Context, t *tenant) {
	if t.waking.Swap(true) {
		return
	}
	go func() {
		select {
		case r.wake <- event.TypedGenericEvent[string]{Object: t.namespace}:
		case <-ctx.Done():
		}
	}()
}
