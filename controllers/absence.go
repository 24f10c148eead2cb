package controllers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// present are the objects of some kinds by a complete and current read of the API.
type present struct {
	objects map[access.Ref]metav1.PartialObjectMetadata
	// version is the resourceVersion that the read is of: of several lists, the oldest.
	version uint64
}

// shows says whether the API holds exactly this object: not another of the same name, nor a later text of it.
func (p *present) shows(ref access.Ref, object v1alpha1.Object) bool {
	live, ok := p.objects[ref]
	return ok && live.UID == object.GetUID() && live.Generation == object.GetGeneration()
}

// readPresent lists kinds from the API server itself, without a resourceVersion, which makes the answer current. It
// fails where the answer could be wrong about what is missing: a kind that is not served, a list that is not permitted,
// or an API that is older than what the store has already acted on.
func (r *Reconciler) readPresent(ctx context.Context, namespace string, wanted []access.Kind, actedOn uint64) (*present, error) {
	found := &present{objects: make(map[access.Ref]metav1.PartialObjectMetadata)}
	for _, name := range wanted {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(string(name) + "List"))
		if err := r.Live.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
		if list.Continue != "" {
			return nil, fmt.Errorf("list %s: the answer is not complete", name)
		}
		version, err := noOlder(list.ResourceVersion, actedOn)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
		if found.version == 0 || version < found.version {
			found.version = version
		}
		for _, item := range list.Items {
			found.objects[access.Ref{Kind: name, Name: item.Name}] = item
		}
	}
	return found, nil
}

// noOlder says whether a resourceVersion is at least the one that was acted on. Both come from one etcd, where they are
// numbers that grow.
func noOlder(resourceVersion string, actedOn uint64) (uint64, error) {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("resourceVersion %q is no number", resourceVersion)
	}
	if version < actedOn {
		return 0, fmt.Errorf("%w: resourceVersion %d, and the store has acted on %d", errOlderAPI, version, actedOn)
	}
	return version, nil
}

// errOlderAPI says that the API shows a state from before what the store has acted on.
var errOlderAPI = fmt.Errorf("the API is older than the store")

// kindsOf are the kinds of some objects.
func kindsOf(refs []access.Ref) []access.Kind {
	var kinds []access.Kind
	for _, ref := range refs {
		if !slices.Contains(kinds, ref.Kind) {
			kinds = append(kinds, ref.Kind)
		}
	}
	return kinds
}

// checkGround says why no absence can be believed at all: while what everything stands on is missing or terminating,
// objects go because they are swept away with it, not because somebody ended their access. Where it stands, checkGround
// says what it is.
func (r *Reconciler) checkGround(ctx context.Context, ps *v1alpha1.PermissionStore, owner store.Owner) (ground, error) {
	var live v1alpha1.PermissionStore
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(ps), &live); err != nil {
		return nil, fmt.Errorf("read the PermissionStore: %w", err)
	}
	switch {
	case live.DeletionTimestamp != nil:
		return nil, fmt.Errorf("the PermissionStore is being deleted")
	case live.UID != ps.UID:
		return nil, fmt.Errorf("the PermissionStore has been made anew")
	}
	var namespace corev1.Namespace
	if err := r.Live.Get(ctx, types.NamespacedName{Name: ps.Namespace}, &namespace); err != nil {
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	switch {
	case namespace.DeletionTimestamp != nil || namespace.Status.Phase == corev1.NamespaceTerminating:
		return nil, fmt.Errorf("the namespace is being deleted")
	case string(namespace.UID) != owner.Namespace:
		return nil, fmt.Errorf("the namespace has been made anew")
	}
	if live.Spec.Connection.SecretRef != nil {
		if _, err := r.secret(ctx, &live); err != nil {
			return nil, err
		}
	}
	return r.readGround(ctx, ps)
}

// readGround reads what the objects stand on.
func (r *Reconciler) readGround(ctx context.Context, ps *v1alpha1.PermissionStore) (ground, error) {
	now := ground{groundStore: string(ps.UID)}
	if _, err := r.definition(ctx, "permissionstores"); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		uid, err := r.definition(ctx, k.plural)
		if err != nil {
			return nil, err
		}
		now[string(k.name)] = string(uid)
	}
	return now, nil
}

// definition is the uid of the definition of a kind that is served.
func (r *Reconciler) definition(ctx context.Context, plural string) (types.UID, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := r.Live.Get(ctx, types.NamespacedName{Name: plural + "." + v1alpha1.Group}, &crd); err != nil {
		return "", fmt.Errorf("read the definition of %s: %w", plural, err)
	}
	established := slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	if crd.DeletionTimestamp != nil || !established {
		return "", fmt.Errorf("the definition of %s is being deleted or not established", plural)
	}
	return crd.UID, nil
}
