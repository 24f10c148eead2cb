package controllers

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Follower answers decisions from the stores that the namespaces name. It reads, on handles of its own.
type Follower interface {
	// Follow begins to answer for a namespace from the store that a connection names, if the owner owns its tenant there, in
	// place of one that was followed before. It migrates nothing; no error may contain the connection.
	Follow(ctx context.Context, namespace string, owner store.Owner, driver, connection string) error
}

// lookout hands the stores to the follower as the namespaces name them, on every replica: one that waits for the Lease
// answers, too.
type lookout struct {
	*Reconciler
	followed map[string]followed
}

// followed is what a namespace's store was followed by.
type followed struct {
	uid        types.UID
	generation int64
	target     storeTarget
	read       time.Time
}

// NeedLeaderElection: every replica follows.
func (*lookout) NeedLeaderElection() bool { return false }

// Start looks out until the context ends.
func (l *lookout) Start(ctx context.Context) error {
	ticker := l.Clock.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		l.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// look follows what is new. A PermissionStore that is gone changes nothing: that nobody names the store any more is no
// decision about people's access.
func (l *lookout) look(ctx context.Context) {
	var list v1alpha1.PermissionStoreList
	if err := l.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return // the caches have not filled, or the end has come
	}
	for i := range list.Items {
		ps := &list.Items[i]
		if ps.Name != v1alpha1.PermissionStoreName {
			continue
		}
		if err := l.follow(ctx, ps); err != nil && ctx.Err() == nil {
			l.Log.V(1).Info("Not followed yet", "namespace", ps.Namespace, "reason", troubleOf(err).reason)
		}
	}
}

// follow reads where the store is when the text changes, and once an hour since a Secret may have.
func (l *lookout) follow(ctx context.Context, ps *v1alpha1.PermissionStore) error {
	known := l.followed[ps.Namespace]
	if known.uid == ps.UID && known.generation == ps.Generation && l.Clock.Since(known.read) < compareEvery {
		return nil
	}
	target, connection, err := l.connection(ctx, ps)
	if err != nil {
		return err
	}
	if known.uid != ps.UID || known.target != target {
		owner, err := l.owner(ctx, ps.Namespace)
		if err != nil {
			return err
		}
		if err := l.Follower.Follow(ctx, ps.Namespace, owner, ps.Spec.Driver, connection); err != nil {
			return err
		}
	}
	l.followed[ps.Namespace] = followed{ps.UID, ps.Generation, target, l.Clock.Now()}
	return nil
}
