package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// pass is one look at a tenant: what is declared, what the store holds, and what follows. Its phases run in the order of
// run; each leaves its facts here.
type pass struct {
	*Reconciler
	tenant *tenant
	ps     *v1alpha1.PermissionStore

	objects   map[access.Ref]v1alpha1.Object // in the API, by the cache
	declared  map[access.Ref]*declaration    // what the tenant's access follows from
	newest    uint64                         // the newest resourceVersion that this pass acts on
	lagging   map[access.Ref]bool            // the cache does not show them as the API has them
	doubt     error                          // why absences are not believed
	outliving []access.Ref                   // restrictions whose object is gone
	settling  map[string]time.Duration       // admission policies that changed a moment ago, and how long they are to be waited for
	gone      departure
	held      *v1alpha1.Held // the loss that the brake holds
	memory    *memory        // what the tenant row is to keep

	resolution access.Resolution
	desired    map[store.RowID]string
	changes    []store.Change
	drift      []store.Change // from what the store should have held to what it did
	loaded     bool           // the store was read whole
	restored   bool           // the store is older than what was seen of it
	refused    map[access.Ref]error
}

// run goes through the phases. store.ErrStale asks for another run.
func (p *pass) run(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{
		p.gather,
		p.openStore,
		p.loadStore,
		p.checkAge,
		p.confirmTexts,
		p.judgeAbsence,
		p.vet,
		p.compile,
		p.dropLifted,
		p.commit,
		p.narrowRefused,
	} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	p.publish()
	return nil
}

// gather reads what is declared from the caches and converts what has changed since the last pass.
func (p *pass) gather(ctx context.Context) error {
	p.objects = make(map[access.Ref]v1alpha1.Object)
	p.declared = make(map[access.Ref]*declaration)
	p.lagging = make(map[access.Ref]bool)
	for _, k := range kinds {
		list := k.newList()
		if err := p.Client.List(ctx, list, client.InNamespace(p.tenant.namespace), client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("list %s: %w", k.name, err)
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			return p.take(k, item.(v1alpha1.Object))
		})
		if err != nil {
			return err
		}
	}
	maps.DeleteFunc(p.tenant.declarations, func(ref access.Ref, _ *declaration) bool { return p.objects[ref] == nil })
	return nil
}

func (p *pass) take(k kind, object v1alpha1.Object) error {
	ref := refOf(k.name, object)
	p.objects[ref] = object
	known := p.tenant.declarations[ref]
	if known == nil || known.uid != string(object.GetUID()) || known.generation != object.GetGeneration() {
		var err error
		if known, err = declare(ref, object); err != nil {
			return err
		}
		known.since = p.Clock.Now()
		p.tenant.declarations[ref] = known
	}
	p.declared[ref] = known
	return nil
}

// openStore makes sure that the store is open and ours, and reads where it stands. What was lost meanwhile is claimed
// anew, once.
func (p *pass) openStore(ctx context.Context) error {
	t := p.tenant
	for again := true; ; again = false {
		if err := p.open(ctx, t, p.ps); err != nil {
			return err
		}
		row, err := p.look(ctx, t)
		if errors.Is(err, errLost) && again {
			continue
		}
		if err == nil {
			t.row = row
		}
		return err
	}
}

// confirmTexts doubts what the cache shows of objects that are not as the store has acted on, and yet not newer: a cache
// that lags behind could show what was deleted or changed since. What a current read does not confirm stays as it is in
// the store.
func (p *pass) confirmTexts(ctx context.Context) error {
	t := p.tenant
	if isRetired(p.ps) {
		return nil // whatever they ask for, nobody gets it
	}
	var doubtful []access.Ref
	for ref, object := range p.objects {
		source := p.declared[ref].source
		if t.acted(ref, source) {
			continue
		}
		version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if err == nil && version > t.actedOn {
			p.newest = max(p.newest, version)
			continue
		}
		doubtful = append(doubtful, ref)
	}
	if len(doubtful) == 0 {
		return nil
	}
	found, err := p.readPresent(ctx, t.namespace, kindsOf(doubtful), t.actedOn)
	if errors.Is(err, errOlderAPI) {
		if err := p.olderAPI(ctx, err); err != nil {
			return err
		}
		return p.confirmTexts(ctx) // nothing was acted on: all of it is newer
	}
	if err != nil {
		p.doubt = err
	}
	var lagging []access.Ref
	for _, ref := range doubtful {
		if err == nil && found.shows(ref, p.objects[ref]) {
			continue
		}
		lagging = append(lagging, ref)
		delete(p.objects, ref)
		delete(p.declared, ref)
		p.lagging[ref] = true
	}
	return p.standIn(p.declared, lagging)
}

// judgeAbsence finds the objects that are gone, and lets what follows from that happen only where the absence is
// believed and the brake lets it through. Otherwise the store's own copy stands in for the object.
func (p *pass) judgeAbsence(ctx context.Context) error {
	t := p.tenant
	p.memory = t.memory
	var absent []access.Ref
	for ref := range t.sources {
		if p.objects[ref] == nil && !p.lagging[ref] {
			absent = append(absent, ref)
		}
	}
	if err := errors.Join(p.keepReadable(), p.keepFormer()); err != nil {
		return err
	}
	var outliving []access.Ref
	absent, outliving = splitOutliving(absent)
	p.outliving = append(p.outliving, outliving...)
	if err := p.standIn(p.declared, outliving); err != nil {
		return err
	}
	if isRetired(p.ps) {
		return p.remember(ctx, brake{}, nil)
	}
	slices.SortFunc(absent, compareRefs)
	if len(absent) == 0 {
		next, _ := t.memory.Brake.judge(t.row.Now, p.ps.Spec.Brake, departure{})
		return p.remember(ctx, next, nil)
	}
	absent, seen, err := p.believe(ctx, absent)
	switch {
	case errors.Is(err, errOlderAPI):
		if err := p.olderAPI(ctx, err); err != nil {
			return err
		}
		return p.judgeAbsence(ctx)
	case err != nil:
		p.doubt = err
		return p.standIn(p.declared, absent)
	}
	if p.gone, err = p.departureOf(absent, seen.ground); err != nil {
		return err
	}
	var next brake
	if next, p.held = t.memory.Brake.judge(t.row.Now, p.ps.Spec.Brake, p.gone); p.held == nil {
		// Acted on is the state in which they are gone: an API that shows them again must not be older than that.
		p.newest = max(p.newest, seen.version)
		return p.remember(ctx, next, seen.ground)
	}
	p.memory = t.memory.with(next, t.memory.Ground)
	return p.standIn(p.declared, absent)
}

// sight is what an absence is believed by.
type sight struct {
	ground  ground
	version uint64 // the resourceVersion at which the objects are not there
}

// believe says why the absences cannot be believed. It leaves out those that a current read does not confirm: their
// objects are in the API and not in the cache yet.
func (p *pass) believe(ctx context.Context, absent []access.Ref) ([]access.Ref, sight, error) {
	now, err := p.checkGround(ctx, p.ps, p.tenant.row.Owner)
	if err != nil {
		return absent, sight{}, err
	}
	found, err := p.readPresent(ctx, p.tenant.namespace, kindsOf(absent), p.tenant.actedOn)
	if err != nil {
		return absent, sight{}, err
	}
	var gone, lagging []access.Ref
	for _, ref := range absent {
		if _, there := found.objects[ref]; there {
			lagging = append(lagging, ref)
			p.lagging[ref] = true
		} else {
			gone = append(gone, ref)
		}
	}
	return gone, sight{now, found.version}, p.standIn(p.declared, lagging)
}

// departureOf is what would follow from the absences.
func (p *pass) departureOf(absent []access.Ref, now ground) (departure, error) {
	d := departure{Objects: absent}
	var names []string
	for _, kind := range kindsOf(absent) {
		names = append(names, string(kind))
	}
	d.shaken = p.tenant.memory.Ground.shaken(now, names)
	for _, ref := range absent {
		d.UIDs = append(d.UIDs, p.tenant.sources[ref].UID)
	}
	with := maps.Clone(p.declared)
	if err := p.standIn(with, absent); err != nil {
		return d, err
	}
	at := schedule.At(p.tenant.row.Now)
	before := access.Resolve(merge(with)).Facts.WithoutEnded(at)
	after := access.Resolve(merge(p.declared)).Facts.WithoutEnded(at)
	d.People = access.Losers(before, after)
	return d, nil
}

// remember keeps the brake, and what the objects stand on now that they are all accounted for. now is nil where it was
// not read; it is read where objects were made anew, as all of a kind are after their definition was.
func (p *pass) remember(ctx context.Context, b brake, now ground) error {
	known := p.tenant.memory.Ground
	if now == nil && (known[groundStore] != string(p.ps.UID) || p.anyMadeAnew()) {
		var err error
		if now, err = p.readGround(ctx, p.ps); err != nil {
			p.Log.V(1).Info("What the objects stand on is remembered later", "namespace", p.tenant.namespace, "reason", err.Error())
		}
	}
	if now == nil {
		now = known
	}
	p.memory = p.tenant.memory.with(b, now)
	return nil
}

func (p *pass) anyMadeAnew() bool {
	for ref, object := range p.objects {
		if source, known := p.tenant.sources[ref]; known && source.UID != string(object.GetUID()) {
			return true
		}
	}
	return false
}

// standIn puts what the store keeps of objects in their place. Of an object that it never knew there is nothing.
func (p *pass) standIn(declared map[access.Ref]*declaration, refs []access.Ref) error {
	for _, ref := range refs {
		source, known := p.tenant.sources[ref]
		if !known {
			continue
		}
		d, err := redeclare(ref, source)
		if err != nil {
			return err
		}
		declared[ref] = d
	}
	return nil
}

// compile resolves what is declared into the rows that the store should hold now.
func (p *pass) compile(context.Context) error {
	if isRetired(p.ps) {
		maps.DeleteFunc(p.declared, func(ref access.Ref, _ *declaration) bool { return !outlives(ref.Kind) })
	}
	p.resolution = access.Resolve(withoutLifted(p.tenant.countable(p.declared), p.memory))
	p.rememberLifted()
	var err error
	p.desired, err = rowsFrom(p.declared, p.resolution, schedule.At(p.tenant.row.Now))
	return err
}

// commit writes the difference in one transaction.
func (p *pass) commit(ctx context.Context) error {
	t, target := p.tenant, p.desired
	if p.observes() {
		// What somebody else wrote is reported and left; only what is declared anew is changed.
		target = maps.Clone(t.held)
		store.Apply(target, store.Diff(t.base, p.desired))
	}
	p.memory = p.memory.after(t.row.Tampered)
	p.changes = store.Diff(t.held, target)
	// What somebody else wrote and is declared all the same is not worth a word.
	p.drift = slices.DeleteFunc(p.drift, func(c store.Change) bool { return p.desired[c.RowID] == c.After })
	commit := store.Commit{
		Expect: t.row, Changes: p.changes, Cause: p.cause(),
		ResourceVersion: max(t.actedOn, p.newest), Brake: p.memory.String(), RaiseEpoch: p.restored,
	}
	seen := t.seen
	refused, err := p.write(ctx, commit)
	if err != nil {
		return err
	}
	p.refused = refused
	// A backup may be epochs behind. Revisions must not come twice with another content.
	for p.restored && t.row.Revision.Compare(seen.Revision) <= 0 {
		if _, err := p.write(ctx, store.Commit{Expect: t.row, Cause: "repair", ResourceVersion: t.actedOn, Brake: p.memory.String(), RaiseEpoch: true}); err != nil {
			return err
		}
	}
	p.reportDrift()
	t.base = t.held
	if p.observes() {
		t.base = p.baseOfObserved()
	}
	return nil
}

// baseOfObserved is what the store should hold while others' rows are left in it. Of objects whose rows were refused it
// is what there is, so that they are tried again.
func (p *pass) baseOfObserved() map[store.RowID]string {
	if len(p.refused) == 0 {
		return p.desired
	}
	base := make(map[store.RowID]string, len(p.desired))
	for id, body := range p.desired {
		if p.refused[id.Owner] == nil {
			base[id] = body
		}
	}
	for id, body := range p.tenant.held {
		if p.refused[id.Owner] != nil {
			base[id] = body
		}
	}
	return base
}

// write commits, and keeps what came of it. It returns the objects whose rows were refused.
func (p *pass) write(ctx context.Context, commit store.Commit) (map[access.Ref]error, error) {
	t, started := p.tenant, p.Clock.Now()
	committed, err := t.store.Commit(ctx, commit)
	if err != nil {
		return nil, err
	}
	store.Apply(t.held, committed.Changes)
	t.row, t.seen, t.memory = committed.Tenant, committed.Tenant, p.memory
	t.actedOn = max(t.actedOn, p.newest)
	for _, c := range committed.Changes {
		t.remember(c)
	}
	if len(committed.Changes) > 0 || commit.RaiseEpoch {
		p.Log.Info("Committed", "namespace", t.namespace, "revision", t.row.Revision.String(), "cause", commit.Cause, "changes", len(committed.Changes), "took", p.Clock.Since(started).Round(time.Millisecond).String())
	}
	return committed.Refused, nil
}

// narrowRefused takes away what the store still holds of objects whose new text it would not take: the old text is not
// what they ask for any more, and may be wider.
func (p *pass) narrowRefused(ctx context.Context) error {
	var changes []store.Change
	for id, body := range p.tenant.held {
		if _, refused := p.refused[id.Owner]; refused {
			changes = append(changes, store.Change{RowID: id, Before: body})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return a.Compare(b.RowID) })
	_, err := p.write(ctx, store.Commit{Expect: p.tenant.row, Changes: changes, Cause: "refused", ResourceVersion: p.tenant.actedOn, Brake: p.memory.String()})
	if err == nil && p.observes() {
		p.tenant.base = p.baseOfObserved()
	}
	return err
}

// observes says whether what somebody else wrote is left. What a backup brought back nobody wrote.
func (p *pass) observes() bool {
	return p.ps.Spec.Drift.Mode == v1alpha1.DriftObserve && !isRetired(p.ps) && !p.restored
}

func (p *pass) cause() string {
	switch {
	case isRetired(p.ps):
		return "retire"
	case p.restored, len(p.drift) > 0 && !p.observes():
		return "repair"
	}
	return "pass"
}

// publish hands the policy, as the store now holds it, to those who decide.
func (p *pass) publish() {
	t := p.tenant
	facts := p.resolution.Facts.WithoutEnded(schedule.At(t.row.Now))
	if !maps.Equal(t.held, p.desired) { // refused rows, or drift that is only observed
		rows := make([]store.Row, 0, len(t.held))
		for id, body := range t.held {
			rows = append(rows, store.Row{RowID: id, Body: body})
		}
		var err error
		if facts, _, err = store.Decode(rows); err != nil {
			p.Log.Error(err, "What the store holds cannot be read; no decision is answered from it", "namespace", t.namespace)
			t.facts = nil
			p.Publisher.Withdraw(t.namespace)
			return
		}
	}
	p.tell(t, facts)
}

// tell publishes facts that the store holds at its present revision, and sets the clock for the next instant at which
// they change by themselves.
func (r *Reconciler) tell(t *tenant, facts access.Facts) {
	policy := access.NewPolicy(facts)
	t.facts, t.next = &facts, policy.NextBoundary(schedule.At(t.row.Now))
	r.Publisher.Publish(Snapshot{Namespace: t.namespace, Revision: t.row.Revision, Policy: policy, Facts: facts})
}

func compareRefs(a, b access.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
