package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Opener opens permission stores. Only the program's main knows the drivers.
type Opener interface {
	// Open connects to the store. connection is the DSN of a postgres store or the file name of a sqlite one; no error
	// may contain it.
	Open(ctx context.Context, driver, connection string) (store.Store, error)
}

// storeTarget identifies what a store was opened with, without keeping the secret.
type storeTarget struct {
	driver string
	digest string
}

// errSecret says that the connection cannot be had.
var errSecret = errors.New("the connection is not available")

// connection reads where the store is. A Secret is read when a store is opened, never watched: the operator may read
// only the one that the tenant allows.
func (r *Reconciler) connection(ctx context.Context, ps *v1alpha1.PermissionStore) (storeTarget, string, error) {
	value := ps.Spec.Connection.File
	if ref := ps.Spec.Connection.SecretRef; ref != nil {
		secret, err := r.secret(ctx, ps)
		if err != nil {
			return storeTarget{}, "", err
		}
		data, ok := secret.Data[ref.Key]
		if !ok || len(data) == 0 {
			return storeTarget{}, "", fmt.Errorf("%w: Secret %s has no key %s", errSecret, ref.Name, ref.Key)
		}
		value = string(data)
	}
	sum := sha256.Sum256([]byte(value))
	return storeTarget{ps.Spec.Driver, hex.EncodeToString(sum[:])}, value, nil
}

func (r *Reconciler) secret(ctx context.Context, ps *v1alpha1.PermissionStore) (*corev1.Secret, error) {
	name := ps.Spec.Connection.SecretRef.Name
	var secret corev1.Secret
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: ps.Namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: there is no Secret %s", errSecret, name)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%w: the operator may not read Secret %s: apply config/rbac/tenant in this namespace", errSecret, name)
	case err != nil:
		return nil, fmt.Errorf("%w: Secret %s cannot be read now: %s", errSecret, name, apierrors.ReasonForError(err))
	case secret.DeletionTimestamp != nil:
		return nil, fmt.Errorf("%w: Secret %s is being deleted", errSecret, name)
	}
	return &secret, nil
}

// open makes sure that the tenant's store is the one the PermissionStore names, and claimed.
func (r *Reconciler) open(ctx context.Context, t *tenant, ps *v1alpha1.PermissionStore) error {
	if t.openedBy.uid != ps.UID {
		// Deleted and made anew, perhaps together with the namespace: whose the tenant is must be asked again.
		t.claimed = false
	}
	changed := t.store == nil || t.trouble != nil || t.openedBy != versionOf(ps)
	if changed || r.Clock.Since(t.connected) >= compareEvery {
		// A store that works is not given up because its Secret cannot be read just now.
		if err := r.connect(ctx, t, ps); err != nil && (changed || !errors.Is(err, errSecret)) {
			return err
		}
		t.connected = r.Clock.Now()
	}
	if t.claimed {
		return nil
	}
	return r.claim(ctx, t, ps)
}

// connect reads the connection anew, and opens the store where it is another one than before.
func (r *Reconciler) connect(ctx context.Context, t *tenant, ps *v1alpha1.PermissionStore) error {
	target, connection, err := r.connection(ctx, ps)
	if err != nil {
		return err
	}
	if t.store == nil || target != t.opened {
		t.close()
		opened, err := r.Stores.Open(ctx, ps.Spec.Driver, connection)
		if err != nil {
			return err
		}
		t.store, t.opened = opened, target
	}
	t.openedBy = versionOf(ps)
	return nil
}

// maxClaims bounds how often a tenant is claimed in a row.
const maxClaims = 1000

// claim takes the tenant for this process. A database that was restored from a backup has an old fence, which others may
// have had as well: it is raised past every fence that we know.
func (r *Reconciler) claim(ctx context.Context, t *tenant, ps *v1alpha1.PermissionStore) error {
	owner, err := r.owner(ctx, ps.Namespace)
	if err != nil {
		return err
	}
	row, err := t.store.Claim(ctx, ps.Namespace, owner, ps.Spec.Adopt)
	for claims := 1; err == nil && row.Fence <= t.seen.Fence && claims < maxClaims; claims++ {
		row, err = t.store.Claim(ctx, ps.Namespace, owner, ps.Spec.Adopt)
	}
	if err != nil {
		return err
	}
	t.row, t.claimed, t.checked, t.memory = row, true, false, nil
	t.enforcing.by = "" // another store's tables, perhaps
	t.actedOn = row.ResourceVersion
	t.forget()
	return nil
}

// errLost says that the tenant must be claimed anew before anything is written.
var errLost = errors.New("the tenant is not held any more")

// look reads the tenant row: whether the tenant is still ours to write, and in what state it is.
func (r *Reconciler) look(ctx context.Context, t *tenant) (store.Tenant, error) {
	row, err := t.store.Tenant(ctx, t.namespace)
	switch {
	case errors.Is(err, store.ErrNoTenant):
		t.claimed = false // its row is gone
		return row, fmt.Errorf("%w: %w", errLost, err)
	case err != nil:
		return row, err
	case row.Owner != t.row.Owner:
		// Another cluster has adopted the store. That is between the two, and no other tenant's concern.
		t.claimed = false
		return row, fmt.Errorf("%w: %w", errLost, store.ErrOwnedElsewhere)
	case row.Fence < t.row.Fence:
		t.claimed = false // fences only grow: this is a backup
		return row, fmt.Errorf("%w: its fence is older than ours", errLost)
	case row.Fence > t.row.Fence:
		return row, fmt.Errorf("%w: fence of %s is %d, ours %d", store.ErrFenced, t.namespace, row.Fence, t.row.Fence)
	}
	return row, nil
}

// owner is who writes the tenant: this cluster, told by its kube-system namespace, and this namespace.
func (r *Reconciler) owner(ctx context.Context, namespace string) (store.Owner, error) {
	uids := [2]string{}
	for i, name := range [2]string{"kube-system", namespace} {
		var ns corev1.Namespace
		if err := r.Live.Get(ctx, types.NamespacedName{Name: name}, &ns); err != nil {
			return store.Owner{}, fmt.Errorf("read namespace %s: %w", name, err)
		}
		uids[i] = string(ns.UID)
	}
	return store.Owner{Cluster: uids[0], Namespace: uids[1]}, nil
}
