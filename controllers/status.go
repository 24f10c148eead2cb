package controllers

import (
	"context"
	"encoding/json"
	"errors"
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
	live   client.Reader
	log    logr.Logger
	queue  workqueue.TypedRateLimitingInterface[statusKey]

	mu sync.Mutex
	// pending is what is to be written, until it is; written is what was last written of objects whose cache does not
	// show it yet.
	pending map[statusKey]*statusWrite
	written map[statusKey]writtenStatus
}

type statusKey struct {
	kind string
	types.NamespacedName
}

type statusWrite struct {
	uid types.UID
	// version is the object's newest resourceVersion that is known.
	version uint64
	status  v1alpha1.PermissionStoreStatus // the widest status of all kinds; Held is nil but for a PermissionStore
}

type writtenStatus struct {
	uid             types.UID
	resourceVersion uint64
	status          v1alpha1.PermissionStoreStatus
}

func newStatusWriter(c client.Client, live client.Reader, log logr.Logger) *statusWriter {
	return &statusWriter{
		client:  c,
		live:    live,
		log:     log,
		queue:   workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[statusKey](), workqueue.TypedRateLimitingQueueConfig[statusKey]{Name: "status"}),
		pending: make(map[statusKey]*statusWrite),
		written: make(map[statusKey]writtenStatus),
	}
}

// latest is the status that an object has, or is about to have: the cache lags behind our own writes.
func (w *statusWriter) latest(kind string, object v1alpha1.Object) v1alpha1.PermissionStoreStatus {
	key := statusKey{kind, client.ObjectKeyFromObject(object)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if next, ok := w.pending[key]; ok && next.uid == object.GetUID() {
		return next.status
	}
	if last, ok := w.written[key]; ok {
		seen, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if last.uid == object.GetUID() && err == nil && seen < last.resourceVersion {
			return last.status
		}
		delete(w.written, key)
	}
	if ps, ok := object.(*v1alpha1.PermissionStore); ok {
		return ps.Status
	}
	return v1alpha1.PermissionStoreStatus{Status: *object.GetStatus()}
}

// submit asks for a status. It says whether that is another than the latest; one that the object has costs nothing.
func (w *statusWriter) submit(kind string, object v1alpha1.Object, latest, wanted v1alpha1.PermissionStoreStatus) bool {
	if sameStatus(latest, wanted) {
		return false
	}
	key := statusKey{kind, client.ObjectKeyFromObject(object)}
	w.mu.Lock()
	defer w.mu.Unlock()
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64) // 0 is no version: it is read before the write
	w.pending[key] = &statusWrite{object.GetUID(), version, wanted}
	w.queue.Add(key)
	return true
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
	w.mu.Unlock()
	if !ok {
		return true
	}
	version, err := w.write(ctx, key, write)
	if apierrors.IsConflict(err) {
		err = w.refresh(ctx, key, write)
		if err == nil {
			w.queue.AddRateLimited(key)
			return true
		}
	}
	switch {
	case err == nil, apierrors.IsNotFound(err), errors.Is(err, errAnother):
		// Gone, or another object or text of that name: the next pass has its say.
		w.queue.Forget(key)
		w.done(key, write, version)
	case ctx.Err() != nil:
	default:
		w.log.Info("Status not written, will try again", "kind", key.kind, "namespace", key.Namespace, "name", key.Name, "reason", string(apierrors.ReasonForError(err)), "error", err.Error())
		w.queue.AddRateLimited(key)
	}
	return true
}

// errAnother says that what a status was meant for is not there any more.
var errAnother = errors.New("another object, or another text of it")

// refresh finds out why the API refused a write: somebody changed labels, say, and the write is to be made all the same;
// or the object is not the one that it is about.
func (w *statusWriter) refresh(ctx context.Context, key statusKey, write *statusWrite) error {
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(key.kind))
	if err := w.live.Get(ctx, key.NamespacedName, now); err != nil {
		return err
	}
	if now.UID != write.uid || now.Generation != write.status.ObservedGeneration {
		return errAnother
	}
	version, err := strconv.ParseUint(now.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("resourceVersion %q is no number", now.ResourceVersion)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	write.version = version
	return nil
}

// newestVersion is the newest resourceVersion that is known of an object: our own last write may be newer than the cache.
func (w *statusWriter) newestVersion(key statusKey, write *statusWrite) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.written[key]; ok && last.uid == write.uid {
		return max(write.version, last.resourceVersion)
	}
	return write.version
}

// done takes a write off the list, where it is still the one to be made. A version of 0 says that it could not be made.
func (w *statusWriter) done(key statusKey, write *statusWrite, version uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending[key] == write {
		delete(w.pending, key)
	}
	if version > 0 {
		w.written[key] = writtenStatus{write.uid, version, write.status}
	} else {
		delete(w.written, key)
	}
}

// write applies a status and returns the object's resourceVersion. The API does not look at a uid here; the version makes
// it refuse the write where the object is not the one we know.
func (w *statusWriter) write(ctx context.Context, key statusKey, write *statusWrite) (uint64, error) {
	gvk := v1alpha1.GroupVersion.WithKind(key.kind)
	body, err := json.Marshal(map[string]any{
		"apiVersion": gvk.GroupVersion().String(),
		"kind":       gvk.Kind,
		"metadata":   map[string]any{"name": key.Name, "namespace": key.Namespace, "resourceVersion": strconv.FormatUint(max(w.newestVersion(key, write), 1), 10)},
		"status":     write.status,
	})
	if err != nil {
		return 0, fmt.Errorf("encode the status of %s %s: %w", key.kind, key.NamespacedName, err)
	}
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(gvk)
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	err = w.client.Status().Patch(ctx, object, client.RawPatch(types.ApplyPatchType, body),
		&client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{FieldManager: fieldManager, Force: ptr.To(true)}})
	if err != nil {
		return 0, err
	}
	version, err := strconv.ParseUint(object.ResourceVersion, 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // not a version that can be compared: the cache is believed
	}
	return version, nil
}
