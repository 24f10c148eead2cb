package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

const (
	// fieldManager owns the status fields that the operator applies.
	fieldManager = "crm-access-operator"
	// statusWriters bounds the status writes under way at once.
	statusWriters = 16
)

// statusWriter is the one place that writes status: it applies the latest status of each object that differs from what
// the API has, and nothing else. Passes hand statuses over and do not wait.
type statusWriter struct {
	client client.Client
	log    logr.Logger
	queue  workqueue.TypedRateLimitingInterface[statusKey]

	mu      sync.Mutex
	pending map[statusKey]statusWrite
	// written is what was last written of objects whose cache does not show it yet.
	written map[statusKey]writtenStatus
}

type statusKey struct {
	kind string
	types.NamespacedName
}

type statusWrite struct {
	uid    types.UID
	status v1alpha1.PermissionStoreStatus // the widest status of all kinds; Held is nil but for a PermissionStore
}

type writtenStatus struct {
	uid             types.UID
	resourceVersion uint64
	status          v1alpha1.PermissionStoreStatus
}

func newStatusWriter(c client.Client, log logr.Logger) *statusWriter {
	return &statusWriter{
		client:  c,
		log:     log,
		queue:   workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[statusKey](), workqueue.TypedRateLimitingQueueConfig[statusKey]{Name: "status"}),
		pending: make(map[statusKey]statusWrite),
		written: make(map[statusKey]writtenStatus),
	}
}

// submit asks for a status. An object that has it already costs nothing.
func (w *statusWriter) submit(kind string, object v1alpha1.Object, status v1alpha1.Status, held *v1alpha1.Held) {
	key := statusKey{kind, client.ObjectKeyFromObject(object)}
	wanted := statusWrite{object.GetUID(), v1alpha1.PermissionStoreStatus{Status: status, Held: held}}
	w.mu.Lock()
	defer w.mu.Unlock()
	current := v1alpha1.PermissionStoreStatus{Status: *object.GetStatus()}
	if ps, ok := object.(*v1alpha1.PermissionStore); ok {
		current = ps.Status
	}
	if last, ok := w.written[key]; ok {
		if seen, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64); last.uid != object.GetUID() || (err == nil && seen >= last.resourceVersion) {
			delete(w.written, key)
		} else {
			current = last.status // the cache lags behind our own write
		}
	}
	if sameStatus(current, wanted.status) {
		delete(w.pending, key)
		return
	}
	w.pending[key] = wanted
	w.queue.Add(key)
}

// sameStatus compares all but the times of transitions, which follow from the rest.
func sameStatus(a, b v1alpha1.PermissionStoreStatus) bool {
	if a.ObservedGeneration != b.ObservedGeneration || len(a.Conditions) != len(b.Conditions) || !sameHeld(a.Held, b.Held) {
		return false
	}
	for _, c := range a.Conditions {
		other := conditionOf(b.Conditions, c.Type)
		if other == nil || other.Status != c.Status || other.Reason != c.Reason || other.Message != c.Message || other.ObservedGeneration != c.ObservedGeneration {
			return false
		}
	}
	return true
}

func sameHeld(a, b *v1alpha1.Held) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Digest == b.Digest
}

// Start writes until the context ends.
func (w *statusWriter) Start(ctx context.Context) error {
	var writers sync.WaitGroup
	for range statusWriters {
		writers.Go(func() {
			for w.writeNext(ctx) {
			}
		})
	}
	<-ctx.Done()
	w.queue.ShutDown()
	writers.Wait()
	return nil
}

// NeedLeaderElection: only the leader writes.
func (w *statusWriter) NeedLeaderElection() bool { return true }

func (w *statusWriter) writeNext(ctx context.Context) bool {
	key, shutdown := w.queue.Get()
	if shutdown {
		return false
	}
	defer w.queue.Done(key)
	w.mu.Lock()
	write, ok := w.pending[key]
	delete(w.pending, key)
	w.mu.Unlock()
	if !ok {
		return true
	}
	err := w.write(ctx, key, write)
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Gone, or another object of that name: the next pass has its say.
		w.queue.Forget(key)
	case ctx.Err() != nil:
	default:
		w.log.Info("Status not written, will try again", "kind", key.kind, "namespace", key.Namespace, "name", key.Name, "reason", string(apierrors.ReasonForError(err)), "error", err.Error())
		w.mu.Lock()
		if _, newer := w.pending[key]; !newer {
			w.pending[key] = write
		}
		w.mu.Unlock()
		w.queue.AddRateLimited(key)
	}
	return true
}

// write applies a status. The uid makes the API refuse it where the object has been made anew meanwhile.
func (w *statusWriter) write(ctx context.Context, key statusKey, write statusWrite) error {
	gvk := v1alpha1.GroupVersion.WithKind(key.kind)
	body, err := json.Marshal(map[string]any{
		"apiVersion": gvk.GroupVersion().String(),
		"kind":       gvk.Kind,
		"metadata":   map[string]any{"name": key.Name, "namespace": key.Namespace, "uid": write.uid},
		"status":     write.status,
	})
	if err != nil {
		return fmt.Errorf("encode the status of %s %s: %w", key.kind, key.NamespacedName, err)
	}
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(gvk)
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	err = w.client.Status().Patch(ctx, object, client.RawPatch(types.ApplyPatchType, body),
		&client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{FieldManager: fieldManager, Force: ptr.To(true)}})
	if err != nil {
		return err
	}
	if version, err := strconv.ParseUint(object.ResourceVersion, 10, 64); err == nil {
		w.mu.Lock()
		w.written[key] = writtenStatus{write.uid, version, write.status}
		w.mu.Unlock()
	}
	return nil
}
