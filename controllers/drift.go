package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// loadStore reads what the store holds, where that is not known from the last pass, and notices what somebody else did
// to it.
func (p *pass) loadStore(ctx context.Context) error {
	t := p.tenant
	if t.memory == nil {
		var err error
		if t.memory, err = parseMemory(t.row.Brake); err != nil {
			p.Log.Error(err, "The brake holds every loss until it is released", "namespace", t.namespace)
		}
	}
	if t.held != nil && t.asSeen(t.row) && p.Clock.Since(t.compared) < compareEvery {
		return nil
	}
	content, err := t.store.Load(ctx, t.namespace)
	if err != nil {
		return err
	}
	held := store.Index(content.Rows)
	p.restored = t.isOlder(content.Tenant)
	// Another revision than the one we left is a commit all the same, if only our own whose answer got lost: what the
	// store should hold follows from its own sources. In a backup they are not: what was acted on since stays so.
	if t.base == nil || !p.restored && content.Tenant.Revision != t.seen.Revision {
		acted, err := p.actedOn(ctx, content, held)
		if err != nil {
			return err
		}
		t.sources, t.approvals = readSources(acted), readApprovals(acted)
		t.vetted, t.guardSeen = make(map[access.Ref]string), make(map[string]seenGuard)
		for ref := range t.approvals {
			t.vetted[ref] = textID(types.UID(t.sources[ref].UID), 1) // an Approval has one text
		}
		if t.base, err = rowsOf(t); err != nil {
			return err
		}
	}
	p.loaded, p.drift = true, store.Diff(t.base, held)
	t.row, t.held, t.compared = content.Tenant, held, p.Clock.Now()
	if !p.restored {
		t.seen = content.Tenant
	}
	return nil
}

// actedOn are the rows that hold what the store has acted on: sources and approvals. Where somebody else has written to
// it and nobody has looked since, they are had from the ledger: a forged one would stand in for an object that never was.
func (p *pass) actedOn(ctx context.Context, content store.Content, held map[store.RowID]string) (map[store.RowID]string, error) {
	t := p.tenant
	if content.Tenant.Tampered == t.memory.Tampered {
		return held, nil
	}
	rows, err := p.replay(ctx, content.Tenant)
	if errors.Is(err, errLedger) {
		p.Log.Error(err, "What was declared is taken from the rows, though others have written to them", "namespace", t.namespace)
		return held, nil
	}
	return rows, err
}

// errLedger says that the ledger does not lead to the store's present state.
var errLedger = errors.New("the ledger does not tell what was declared")

// replay makes the rows of what was acted on anew from the ledger.
func (p *pass) replay(ctx context.Context, tenant store.Tenant) (map[store.RowID]string, error) {
	const atOnce = 200
	rows := make(map[store.RowID]string)
	var last store.Entry
	for {
		entries, err := p.tenant.store.Ledger(ctx, tenant.Name, last.Revision, atOnce)
		if err != nil {
			return nil, err
		}
		if err := ledger.Verify(entries); err != nil {
			return nil, fmt.Errorf("%w: %w", errLedger, err)
		}
		for _, entry := range entries {
			if entry.Previous != last.Hash {
				return nil, fmt.Errorf("%w: entry %s does not follow the one before", errLedger, entry.Revision)
			}
			if err := replayEntry(entry, rows); err != nil {
				return nil, fmt.Errorf("%w: entry %s: %w", errLedger, entry.Revision, err)
			}
			last = entry
		}
		if len(entries) < atOnce {
			break
		}
	}
	if last.Hash != tenant.LedgerHead {
		return nil, fmt.Errorf("%w: it does not end where the tenant says", errLedger)
	}
	return rows, nil
}

func replayEntry(entry store.Entry, rows map[store.RowID]string) error {
	var body struct {
		Changes []struct {
			Table store.Table     `json:"table"`
			Kind  access.Kind     `json:"owner_kind"`
			Name  string          `json:"owner_name"`
			Key   string          `json:"key"`
			After json.RawMessage `json:"after"`
		} `json:"changes"`
	}
	if err := json.Unmarshal(entry.Body, &body); err != nil {
		return err
	}
	for _, c := range body.Changes {
		if c.Table == store.TableSource || c.Table == store.TableApproval {
			id := store.RowID{Table: c.Table, Owner: access.Ref{Kind: c.Kind, Name: c.Name}, Key: c.Key}
			store.Apply(rows, []store.Change{{RowID: id, After: string(c.After)}})
		}
	}
	return nil
}

// readSources reads the declarations among rows. What is none of ours, or cannot be read, was put there by hand and
// stands for nothing.
func readSources(rows map[store.RowID]string) map[access.Ref]store.Source {
	sources := make(map[access.Ref]store.Source)
	for id, body := range rows {
		if id.Table != store.TableSource {
			continue
		}
		_, read, err := store.Decode([]store.Row{{RowID: id, Body: body}})
		if err != nil {
			continue
		}
		if _, err := redeclare(id.Owner, read[id.Owner]); err == nil {
			sources[id.Owner] = read[id.Owner]
		}
	}
	return sources
}

// readApprovals reads the approvals among rows.
func readApprovals(rows map[store.RowID]string) map[access.Ref]access.ApprovalFact {
	approvals := make(map[access.Ref]access.ApprovalFact)
	for id, body := range rows {
		if id.Table != store.TableApproval {
			continue
		}
		if facts, _, err := store.Decode([]store.Row{{RowID: id, Body: body}}); err == nil {
			approvals[id.Owner] = facts.Approvals[0]
		}
	}
	return approvals
}

// remember follows a committed change of what was acted on.
func (t *tenant) remember(c store.Change) {
	switch {
	case c.Table == store.TableSource && c.After == "":
		delete(t.sources, c.Owner)
	case c.Table == store.TableSource:
		maps.Copy(t.sources, readSources(map[store.RowID]string{c.RowID: c.After}))
	case c.Table == store.TableApproval && c.After == "":
		delete(t.approvals, c.Owner)
	case c.Table == store.TableApproval:
		maps.Copy(t.approvals, readApprovals(map[store.RowID]string{c.RowID: c.After}))
	}
}

// acted says whether exactly this declaration was acted on.
func (t *tenant) acted(ref access.Ref, source store.Row) bool {
	_, known := t.sources[ref]
	return known && t.base[source.RowID] == source.Body
}

// rowsOf are the rows that follow from the store's own sources, also those that have ended and may be settled: what it
// should hold at most if nobody else wrote to it.
func rowsOf(t *tenant) (map[store.RowID]string, error) {
	declared := make(map[access.Ref]*declaration, len(t.sources))
	for ref, source := range t.sources {
		d, err := redeclare(ref, source)
		if err != nil {
			return nil, err
		}
		declared[ref] = d
	}
	return rowsFrom(declared, access.Resolve(withoutLifted(t.countable(declared), t.memory)), schedule.Always)
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
	if t.memory.OlderAPI == t.row.Owner.String() {
		return p.olderAPI(ctx, fmt.Errorf("%w: it was found to be, and has only moved on since", errOlderAPI))
	}
	if t.checked {
		return nil
	}
	_, err := p.readPresent(ctx, t.namespace, []access.Kind{access.KindRole}, t.actedOn)
	if errors.Is(err, errOlderAPI) {
		return p.olderAPI(ctx, err)
	}
	// A list that fails for another reason proves nothing; whatever it would prove is asked again where it matters.
	t.checked = err == nil
	return nil
}

// olderAPI follows an API that is older than the store only where a person says that its state is the one to follow.
// That it was found so is written down: its resourceVersions soon grow past those that would tell.
func (p *pass) olderAPI(ctx context.Context, found error) error {
	t := p.tenant
	if p.ps.Spec.Adopt == t.row.Owner.String() {
		p.restored, t.checked, t.actedOn = true, true, 0
		next := *t.memory
		next.OlderAPI = ""
		t.memory = &next
		return nil
	}
	if t.memory.OlderAPI != t.row.Owner.String() {
		next := *t.memory
		next.OlderAPI = t.row.Owner.String()
		committed, err := t.store.Commit(ctx, store.Commit{Expect: t.row, Brake: next.String()})
		if err != nil {
			return err
		}
		t.row, t.memory = committed.Tenant, &next
	}
	return found
}

// reportDrift tells what somebody else had written, with before and after.
func (p *pass) reportDrift() {
	t := p.tenant
	if len(p.drift) == 0 {
		if p.loaded {
			t.observed = ""
		}
		return
	}
	verb := "put right"
	if p.observes() {
		verb = "left (drift mode Observe)"
		digest := digestOf(p.drift)
		if digest == t.observed {
			return
		}
		t.observed = digest
	}
	what := "were not as declared"
	if p.restored {
		what = "came from an older state of the store, such as a backup,"
	}
	const shown = 3
	text := fmt.Sprintf("%d rows in the store %s and were %s:", len(p.drift), what, verb)
	for _, c := range p.drift[:min(len(p.drift), shown)] {
		text += fmt.Sprintf(" %s of %s: declared %s, found %s;", c.Table, c.Owner, orNothing(c.Before), orNothing(c.After))
	}
	p.Log.Info("Drift", "namespace", t.namespace, "rows", len(p.drift), "mode", p.ps.Spec.Drift.Mode)
	// The recorder counts events of one action as repetitions of the first, whatever their text. Each of these says
	// something else.
	action := "Repair" + strconv.FormatInt(t.row.Tampered, 10)
	p.Events.Eventf(p.ps, nil, corev1.EventTypeWarning, v1alpha1.ReasonDriftFound, action, "%s", shorten(text, 1000))
}

func digestOf(changes []store.Change) string {
	h := sha256.New()
	for _, c := range changes {
		fmt.Fprintf(h, "%q", []string{string(c.Table), c.Owner.String(), c.Key, c.Before, c.After})
	}
	return hex.EncodeToString(h.Sum(nil))
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
