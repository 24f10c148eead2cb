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

	corev1 "k8s.io/api/core/v1"
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

	objects  map[access.Ref]v1alpha1.Object // in the API, by the cache
	declared map[access.Ref]*declaration    // what the tenant's access follows from
	newest   uint64                         // resourceVersion among the objects
	absent   []access.Ref                   // in the store, and in the API no more
	doubt    error                          // why absences are not believed
	held     *v1alpha1.Held                 // the loss that the brake holds
	brake    brake

	resolution access.Resolution
	desired    map[store.RowID]string
	drift      []store.Change // from what the store should have held to what it did
	restored   bool           // the store is older than what was seen of it
	committed  store.Committed
}

// run goes through the phases. store.ErrStale asks for another run.
func (p *pass) run(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{
		p.openStore,
		p.gather,
		p.loadStore,
		p.checkAge,
		p.confirmPresence,
		p.judgeAbsence,
		p.compile,
		p.commit,
	} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	p.publish()
	return nil
}

func (p *pass) openStore(ctx context.Context) error { return p.open(ctx, p.tenant, p.ps) }

// gather reads what is declared from the caches and converts what has changed since the last pass.
func (p *pass) gather(ctx context.Context) error {
	p.objects = make(map[access.Ref]v1alpha1.Object)
	p.declared = make(map[access.Ref]*declaration)
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
	if version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64); err == nil {
		p.newest = max(p.newest, version)
	}
	known := p.tenant.declarations[ref]
	if known == nil || known.uid != string(object.GetUID()) || known.generation != object.GetGeneration() {
		var err error
		if known, err = declare(ref, object); err != nil {
			return err
		}
		p.tenant.declarations[ref] = known
	}
	p.declared[ref] = known
	return nil
}

// loadStore reads what the store holds, where that is not known from the last pass, and notices what somebody else did
// to it.
func (p *pass) loadStore(ctx context.Context) error {
	t := p.tenant
	if t.held != nil && p.Clock.Since(t.compared) < compareEvery {
		p.brake, _ = parseBrake(t.row.Brake)
		return nil
	}
	content, err := t.store.Load(ctx, t.namespace)
	if err != nil {
		return err
	}
	held := store.Index(content.Rows)
	if _, t.sources, err = store.Decode(content.Rows); err != nil {
		return err
	}
	known, now := t.row, content.Tenant
	p.restored = t.base != nil && (now.Revision.Compare(known.Revision) < 0 || now.Revision == known.Revision && now.LedgerHead != known.LedgerHead)
	if t.base == nil || now.Revision != known.Revision {
		// Another revision than the one we left is a commit all the same, if only our own whose answer got lost: what
		// the store should hold follows from its own sources.
		if t.base, err = rowsOf(t.sources, now.SettledThrough); err != nil {
			return err
		}
	}
	p.drift = store.Diff(t.base, held)
	t.row, t.held, t.compared = content.Tenant, held, p.Clock.Now()
	p.brake, err = parseBrake(t.row.Brake)
	if err != nil {
		p.Log.Error(err, "The brake holds every loss until it is released", "namespace", t.namespace)
	}
	return nil
}

// rowsOf are the rows that follow from the store's own sources: what it should hold if nobody else wrote to it.
func rowsOf(sources map[access.Ref]store.Source, settled schedule.Instant) (map[store.RowID]string, error) {
	declared := make(map[access.Ref]*declaration, len(sources))
	for ref, source := range sources {
		d, err := redeclare(ref, source)
		if err != nil {
			return nil, err
		}
		declared[ref] = d
	}
	return rowsFrom(declared, access.Resolve(merge(declared)), settled)
}

func rowsFrom(declared map[access.Ref]*declaration, resolution access.Resolution, now schedule.Instant) (map[store.RowID]string, error) {
	rows, err := store.Encode(resolution.Facts.WithoutEnded(now))
	if err != nil {
		return nil, err
	}
	for _, d := range declared {
		rows = append(rows, d.source)
	}
	return store.Index(rows), nil
}

// checkAge looks, once an election, whether the API is older than what the store has acted on: an etcd restored from a
// backup shows objects that were deleted since.
func (p *pass) checkAge(ctx context.Context) error {
	t := p.tenant
	if t.checked {
		return nil
	}
	_, err := p.readPresent(ctx, t.namespace, []access.Kind{access.KindRole}, t.row.ResourceVersion)
	if errors.Is(err, errOlderAPI) && p.ps.Spec.Adopt == t.row.Owner.String() {
		p.restored, err = true, nil // a person says that this state is the one to follow
		t.row.ResourceVersion = 0
	}
	t.checked = err == nil
	return err
}

// confirmPresence doubts objects that the store does not know and that are older than what it has acted on: a cache that
// lags behind could show what was deleted since.
func (p *pass) confirmPresence(ctx context.Context) error {
	doubtful := make(map[access.Kind][]access.Ref)
	for ref, object := range p.objects {
		if _, known := p.tenant.sources[ref]; known {
			continue
		}
		if version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64); err == nil && version > p.tenant.row.ResourceVersion {
			continue
		}
		doubtful[ref.Kind] = append(doubtful[ref.Kind], ref)
	}
	if len(doubtful) == 0 {
		return nil
	}
	found, err := p.readPresent(ctx, p.tenant.namespace, slices.Collect(maps.Keys(doubtful)), p.tenant.row.ResourceVersion)
	if err != nil {
		return err
	}
	for name, refs := range doubtful {
		for _, ref := range refs {
			if !found[name][ref.Name] {
				delete(p.objects, ref)
				delete(p.declared, ref)
			}
		}
	}
	return nil
}

// judgeAbsence finds the objects that are gone, and lets what follows from that happen only where the absence is
// believed and the brake lets it through. Otherwise the store's own copy stands in for the object.
func (p *pass) judgeAbsence(ctx context.Context) error {
	for ref := range p.tenant.sources {
		if p.objects[ref] == nil {
			p.absent = append(p.absent, ref)
		}
	}
	if len(p.absent) == 0 || isRetired(p.ps) {
		p.brake, _ = p.brake.judge(p.tenant.row.Now, p.ps.Spec.Brake, nil, nil)
		return nil
	}
	slices.SortFunc(p.absent, compareRefs)
	if p.doubt = p.believe(ctx); p.doubt == nil {
		losers, err := p.losers()
		if err != nil {
			return err
		}
		if p.brake, p.held = p.brake.judge(p.tenant.row.Now, p.ps.Spec.Brake, p.absent, losers); p.held == nil {
			return nil
		}
	}
	return p.standIn(p.declared)
}

// believe says why the absences cannot be believed, and takes back those that a current read does not confirm.
func (p *pass) believe(ctx context.Context) error {
	if err := p.checkGround(ctx, p.ps); err != nil {
		return err
	}
	var wanted []access.Kind
	for _, ref := range p.absent {
		if !slices.Contains(wanted, ref.Kind) {
			wanted = append(wanted, ref.Kind)
		}
	}
	found, err := p.readPresent(ctx, p.tenant.namespace, wanted, p.tenant.row.ResourceVersion)
	if err != nil {
		return err
	}
	for _, ref := range p.absent {
		if found[ref.Kind][ref.Name] {
			return fmt.Errorf("%s is in the API and not yet in the cache", ref)
		}
	}
	return nil
}

// losers are the people who would have less without the absent objects.
func (p *pass) losers() ([]string, error) {
	with := maps.Clone(p.declared)
	if err := p.standIn(with); err != nil {
		return nil, err
	}
	now := schedule.At(p.tenant.row.Now)
	before := access.Resolve(merge(with)).Facts.WithoutEnded(now)
	after := access.Resolve(merge(p.declared)).Facts.WithoutEnded(now)
	return access.Losers(before, after), nil
}

func (p *pass) standIn(declared map[access.Ref]*declaration) error {
	for _, ref := range p.absent {
		d, err := redeclare(ref, p.tenant.sources[ref])
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
		p.declared = nil
	}
	p.resolution = access.Resolve(merge(p.declared))
	var err error
	p.desired, err = rowsFrom(p.declared, p.resolution, schedule.At(p.tenant.row.Now))
	return err
}

// commit writes the difference in one transaction.
func (p *pass) commit(ctx context.Context) error {
	t, target := p.tenant, p.desired
	if p.ps.Spec.Drift.Mode == v1alpha1.DriftObserve && !isRetired(p.ps) {
		// What somebody else wrote is reported and left; only what is declared anew is changed.
		target = maps.Clone(t.held)
		store.Apply(target, store.Diff(t.base, p.desired))
	}
	commit := store.Commit{
		Expect: t.row, Changes: store.Diff(t.held, target), Cause: p.cause(),
		ResourceVersion: p.newest, Brake: p.brake.String(), RaiseEpoch: p.restored,
	}
	started := p.Clock.Now()
	var err error
	if p.committed, err = t.store.Commit(ctx, commit); err != nil {
		return err
	}
	store.Apply(t.held, p.committed.Changes)
	t.row = p.committed.Tenant
	if len(p.committed.Changes) > 0 {
		p.Log.Info("Committed", "namespace", t.namespace, "revision", t.row.Revision.String(), "cause", commit.Cause, "changes", len(p.committed.Changes), "took", p.Clock.Since(started).Round(time.Millisecond).String())
	}
	p.rememberSources()
	p.reportDrift()
	t.base = t.held
	if p.ps.Spec.Drift.Mode == v1alpha1.DriftObserve {
		t.base = p.desired
	}
	return nil
}

func (p *pass) cause() string {
	switch {
	case isRetired(p.ps):
		return "retire"
	case len(p.drift) > 0 && p.ps.Spec.Drift.Mode != v1alpha1.DriftObserve:
		return "repair"
	}
	return "pass"
}

func (p *pass) rememberSources() {
	for _, c := range p.committed.Changes {
		switch {
		case c.Table != store.TableSource:
		case c.After == "":
			delete(p.tenant.sources, c.Owner)
		default:
			if _, sources, err := store.Decode([]store.Row{{RowID: c.RowID, Body: c.After}}); err == nil {
				p.tenant.sources[c.Owner] = sources[c.Owner]
			}
		}
	}
}

// reportDrift tells what somebody else had written, with before and after.
func (p *pass) reportDrift() {
	if len(p.drift) == 0 {
		return
	}
	verb := "put right"
	if p.ps.Spec.Drift.Mode == v1alpha1.DriftObserve {
		verb = "left (drift mode Observe)"
	}
	const shown = 3
	text := fmt.Sprintf("%d rows in the store were not as declared and were %s:", len(p.drift), verb)
	for _, c := range p.drift[:min(len(p.drift), shown)] {
		text += fmt.Sprintf(" %s of %s: declared %s, found %s;", c.Table, c.Owner, orNothing(c.Before), orNothing(c.After))
	}
	p.Log.Info("Drift", "namespace", p.tenant.namespace, "rows", len(p.drift), "mode", p.ps.Spec.Drift.Mode)
	p.Events.Eventf(p.ps, nil, corev1.EventTypeWarning, v1alpha1.ReasonDriftFound, "Repair", "%s", shorten(text, 1000))
}

func orNothing(body string) string {
	if body == "" {
		return "nothing"
	}
	return shorten(body, 200)
}

// shorten cuts a text to at most n bytes without splitting a character.
func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	cut := n - len("…")
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}

// publish hands the policy, as the store now holds it, to those who decide.
func (p *pass) publish() {
	facts := p.resolution.Facts.WithoutEnded(schedule.At(p.tenant.row.Now))
	if !maps.Equal(p.tenant.held, p.desired) { // refused rows, or drift that is only observed
		rows := make([]store.Row, 0, len(p.tenant.held))
		for id, body := range p.tenant.held {
			rows = append(rows, store.Row{RowID: id, Body: body})
		}
		var err error
		if facts, _, err = store.Decode(rows); err != nil {
			p.Log.Error(err, "What the store holds cannot be read; no decision is answered from it", "namespace", p.tenant.namespace)
			p.Publisher.Withdraw(p.tenant.namespace)
			return
		}
	}
	policy := access.NewPolicy(facts)
	p.tenant.next = policy.NextBoundary(schedule.At(p.tenant.row.Now))
	p.Publisher.Publish(Snapshot{Namespace: p.tenant.namespace, Revision: p.tenant.row.Revision, Policy: policy, Facts: facts})
}

func compareRefs(a, b access.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
