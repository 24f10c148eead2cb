package follow

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// version tells one state of a tenant from every other.
type version struct {
	revision   store.Revision
	ledgerHead string
	tampered   int64
	shares     int64
}

func versionOf(row store.Tenant) version {
	return version{row.Revision, row.LedgerHead, row.Tampered, row.Runtime}
}

// withShares is the version with the shares of another one.
func (v version) withShares(number int64) version {
	v.shares = number
	return v
}

// isBehind says whether a state comes from before another one, or from another history: a backup was restored.
func (v version) isBehind(o version) bool {
	order := v.revision.Compare(o.revision)
	return order < 0 || order == 0 && (v.ledgerHead != o.ledgerHead || v.shares < o.shares)
}

// tenant is one tenant of the store. Only answer is read by others than the run that follows it.
type tenant struct {
	name string
	// newest is the newest state that the store was seen in, empty before the first look.
	newest  version
	loading bool
	// compiled is the policy without shares that was compiled last, nil before the first.
	compiled *compiled
	// doubt is why the store's state of it is not followed, nil where it is.
	doubt error

	answer atomic.Pointer[answer]
}

// compiled is a policy without shares, of the version with none. It is replaced whole.
type compiled struct {
	version version
	policy  *access.Policy
	image   image
	// whole is when everything was last loaded. What was committed since is applied to that.
	whole time.Time
}

// answer is what decisions are made from, or why none are made.
type answer struct {
	*Follower
	version version
	refused error
	// seen is when the store was last asked and found in this state.
	seen     atomic.Pointer[time.Time]
	snapshot decisionapi.Snapshot
}

// nothing is what is answered from where nothing may be: everything is denied, if anybody asks for the time at all.
var nothing = access.NewPolicy(access.Facts{})

// publish begins to answer from a policy that the store was found to hold.
func (f *Follower) publish(t *tenant, v version, policy *access.Policy, seen time.Time) {
	a := &answer{Follower: f, version: v}
	a.seen.Store(&seen)
	a.snapshot = decisionapi.Snapshot{Policy: policy, Revision: v.revision.String(), Now: a.now, Age: a.age}
	if f.reader.Load() != nil {
		a.snapshot.Records = &records{f, policy}
	}
	t.answer.Store(a)
	f.metrics.published(t.name, v.revision, seen)
}

// refuse ends the answers for a tenant while it is in a state: why is what callers are told.
func (f *Follower) refuse(t *tenant, v version, why error) {
	a := &answer{Follower: f, version: v, refused: why}
	a.snapshot = decisionapi.Snapshot{Policy: nothing, Now: a.now}
	t.answer.Store(a)
}

// now is the store's time. It fails where the store has not been seen in this state lately: access may have changed.
func (a *answer) now() (schedule.Instant, error) {
	at, err := a.time()
	if err != nil {
		a.metrics.refused(err)
	}
	return at, err
}

// age is how long ago the store was last seen in this state.
func (a *answer) age() time.Duration { return a.clock.Since(*a.seen.Load()) }

func (a *answer) time() (schedule.Instant, error) {
	if a.refused != nil {
		return 0, a.refused
	}
	local := a.clock.Now()
	age, err := elapsed(*a.seen.Load(), local)
	if err != nil {
		return 0, err
	}
	if age > a.maxAge {
		return 0, fmt.Errorf("%w: the store was last seen to hold this %s ago, and a decision may be %s old", errTooOld, age.Round(time.Second), a.maxAge)
	}
	return a.storeClock.at(local)
}

// errTooOld is of an answer that has not been confirmed for too long.
var errTooOld = errors.New("what is known of the tenant is too old")

// doubt is why a state of the store must not be answered from.
type doubt string

func (d doubt) Error() string { return string(d) }

const (
	errElsewhere doubt = "the tenant in this store belongs to another cluster or namespace"
	errRestored  doubt = "the store is in a state from before one that was answered from, as after restoring a backup: the operator must compare it first"
	errTampered  doubt = "somebody else wrote to the store, and the operator has not looked at it yet"
	errUnread    doubt = "what the store holds of the tenant cannot be read; the log says which rows"
	errGone      doubt = "the store does not hold the tenant any more"
)

func isDoubt(err error) bool {
	var d doubt
	return errors.As(err, &d)
}

// acceptable says whether a row may be followed that was read after one of another version. The order is that of what is
// worse.
func (f *Follower) acceptable(row store.Tenant, after version) error {
	switch {
	case f.owner != (store.Owner{}) && row.Owner != f.owner:
		return errElsewhere
	case versionOf(row).isBehind(after):
		return errRestored
	case !isVetted(row):
		return errTampered
	}
	return nil
}

// isVetted says whether the operator has looked at all that others wrote to the tenant: put it right, or let it stand. Its
// memory in the tenant row says how many foreign writes those were (docs/store.md). Before, such rows give nobody anything.
func isVetted(row store.Tenant) bool {
	var memory struct {
		Tampered int64 `json:"tampered"`
	}
	if row.Brake != "" && json.Unmarshal([]byte(row.Brake), &memory) != nil {
		return false
	}
	return memory.Tampered >= row.Tampered
}
