package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// enforcer is a store that makes the CRM's own tables enforce. It changes nothing where nothing is to be changed.
type enforcer interface {
	Enforce(ctx context.Context, tenant string, wanted store.Enforcement) (map[string]store.Enforced, error)
}

// enforcing is how it stands with the tables of a tenant.
type enforcing struct {
	// by is what the tables were looked at for, and at is when.
	by string
	at time.Time
	// underWay says that somebody is at it, beside the passes.
	underWay bool
	// failed says that the store was away.
	failed   bool
	outcomes map[string]store.Enforced
}

// settled says whether there is nothing to look at again before the hour is over.
func (e *enforcing) settled() bool {
	for _, outcome := range e.outcomes {
		if outcome.Reason == store.EnforcedWaiting {
			return false
		}
	}
	return !e.failed
}

// enforce has the tables looked at where what they are to enforce has changed, and every hour. It does not wait: a table
// that somebody holds must not hold up a pass. It returns how soon to come again.
func (p *pass) enforce(ctx context.Context) time.Duration {
	t := p.tenant
	e, can := t.store.(enforcer)
	if !can || t.enforcing.underWay {
		return compareEvery
	}
	wanted := wantedEnforcement(p.ps)
	by := enforcedBy(wanted, &p.resolution.Facts)
	since := p.Clock.Since(t.enforcing.at)
	switch same := by == t.enforcing.by; {
	case same && t.enforcing.settled() && since < compareEvery:
		return compareEvery - since
	case same && !t.enforcing.settled() && since < retryAfter:
		return retryAfter - since
	}
	t.enforcing.underWay, t.enforcing.by, t.enforcing.at = true, by, p.Clock.Now()
	go p.enforceAside(ctx, t, e, wanted)
	return compareEvery
}

// enforceAside looks at the tables, and asks for a pass that says what came of it.
func (r *Reconciler) enforceAside(ctx context.Context, t *tenant, e enforcer, wanted store.Enforcement) {
	outcomes, err := e.Enforce(ctx, t.namespace, wanted)
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.enforcing
	t.enforcing.underWay, t.enforcing.failed = false, err != nil
	if err == nil {
		t.enforcing.outcomes = outcomes
	}
	if err != nil && !before.failed && ctx.Err() == nil {
		r.Log.Info("The CRM's tables are looked at again", "namespace", t.namespace, "reason", err.Error())
	}
	if !t.enforcing.settled() || !maps.Equal(before.outcomes, t.enforcing.outcomes) {
		r.enqueue(ctx, t)
	}
}

// wantedEnforcement is what the PermissionStore asks for.
func wantedEnforcement(ps *v1alpha1.PermissionStore) store.Enforcement {
	if ps.Spec.Enforcement == nil {
		return store.Enforcement{}
	}
	wanted := store.Enforcement{ViewOwner: string(ps.Spec.Enforcement.ViewOwner)}
	for _, role := range ps.Spec.Enforcement.ApplicationRoles {
		wanted.Roles = append(wanted.Roles, string(role))
	}
	return wanted
}

// enforcedBy is a digest of all that statements about tables are made from. What people are granted is not among it.
func enforcedBy(wanted store.Enforcement, facts *access.Facts) string {
	stored := make(map[string]bool)
	for _, s := range facts.Storages {
		stored[s.Object] = true
	}
	var about []any
	for _, o := range facts.Objects {
		if stored[o.Object] {
			about = append(about, o)
		}
	}
	for _, f := range facts.Fields {
		if stored[f.Object] {
			about = append(about, f)
		}
	}
	conditions := make(map[string]int)
	for _, t := range facts.Tuples {
		if text, err := json.Marshal(t.Where); err == nil && stored[t.Object] && len(t.Where) > 0 {
			conditions[t.Object+" "+string(text)]++
		}
	}
	text, err := json.Marshal([]any{wanted, facts.Storages, about, conditions})
	if err != nil {
		return "" // facts marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// enforced is what is to be said of an object's table; nil where nobody asks.
func (p *pass) enforced(object v1alpha1.Object) *store.Enforced {
	o, isObjectType := object.(*v1alpha1.ObjectType)
	if !isObjectType || o.Spec.Storage == nil || p.ps.Spec.Enforcement == nil {
		return nil
	}
	if _, can := p.tenant.store.(enforcer); !can {
		return &store.Enforced{Reason: v1alpha1.ReasonStoreCannotEnforce, Message: "a store of driver " + p.ps.Spec.Driver + " has no table of the CRM beside it: the CRM asks the decision API"}
	}
	outcome := p.tenant.enforcing.outcomes[o.Name]
	return &outcome
}

func (f objectFacts) reportEnforced(s *statusBuilder) {
	if f.enforced == nil {
		return
	}
	status := metav1.ConditionFalse
	if f.enforced.Reason == store.EnforcedByTable {
		status = metav1.ConditionTrue
	}
	if f.enforced.Reason != "" {
		s.set(v1alpha1.ConditionEnforced, status, string(f.enforced.Reason), f.enforced.Message)
		return
	}
	// Nobody has looked since this process leads: what was said before is not taken back.
	if was := conditionOf(f.before, v1alpha1.ConditionEnforced); was != nil {
		s.set(v1alpha1.ConditionEnforced, was.Status, was.Reason, was.Message)
	}
}
