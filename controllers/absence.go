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
)

// present are the names of a kind's objects by a complete and current read of the API.
type present map[access.Kind]map[string]bool

// readPresent lists kinds from the API server itself, without a resourceVersion, which makes the answer current. It
// fails where the answer could be wrong about what is missing: a kind that is not served, a list that is not permitted,
// or an API that is older than what the store has already acted on.
func (r *Reconciler) readPresent(ctx context.Context, namespace string, wanted []access.Kind, actedOn uint64) (present, error) {
	found := make(present, len(wanted))
	for _, name := range wanted {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(string(name) + "List"))
		if err := r.Live.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
		if list.Continue != "" {
			return nil, fmt.Errorf("list %s: the answer is not complete", name)
		}
		if err := noOlder(list.ResourceVersion, actedOn); err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
		names := make(map[string]bool, len(list.Items))
		for i := range list.Items {
			names[list.Items[i].Name] = true
		}
		found[name] = names
	}
	return found, nil
}

// noOlder says whether a resourceVersion is at least the one that was acted on. Both come from one etcd, where they are
// numbers that grow.
func noOlder(resourceVersion string, actedOn uint64) error {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("resourceVersion %q is no number", resourceVersion)
	}
	if version < actedOn {
		return fmt.Errorf("%w: resourceVersion %d, and the store has acted on %d", errOlderAPI, version, actedOn)
	}
	return nil
}

// errOlderAPI says that the API shows a state from before what the store has acted on.
var errOlderAPI = fmt.Errorf("the API is older than the store")

// checkGround says why no absence can be believed at all: while what everything stands on is missing or terminating,
// objects go because they are swept away with it, not because somebody ended their access.
func (r *Reconciler) checkGround(ctx context.Context, ps *v1alpha1.PermissionStore) error {
	var live v1alpha1.PermissionStore
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(ps), &live); err != nil {
		return fmt.Errorf("read the PermissionStore: %w", err)
	}
	if live.DeletionTimestamp != nil {
		return fmt.Errorf("the PermissionStore is being deleted")
	}
	var namespace corev1.Namespace
	if err := r.Live.Get(ctx, types.NamespacedName{Name: ps.Namespace}, &namespace); err != nil {
		return fmt.Errorf("read the namespace: %w", err)
	}
	if namespace.DeletionTimestamp != nil || namespace.Status.Phase == corev1.NamespaceTerminating {
		return fmt.Errorf("the namespace is being deleted")
	}
	if live.Spec.Connection.SecretRef != nil {
		if _, err := r.secret(ctx, &live); err != nil {
			return err
		}
	}
	plurals := []string{"permissionstores"}
	for _, k := range kinds {
		plurals = append(plurals, k.plural)
	}
	for _, plural := range plurals {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := r.Live.Get(ctx, types.NamespacedName{Name: plural + "." + v1alpha1.Group}, &crd); err != nil {
			return fmt.Errorf("read the definition of %s: %w", plural, err)
		}
		established := slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		})
		if crd.DeletionTimestamp != nil || !established {
			return fmt.Errorf("the definition of %s is being deleted or not established", plural)
		}
	}
	return nil
}
