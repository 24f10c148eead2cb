package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// defaultRecords is the file of records that is read where none is named.
const defaultRecords = "records.yaml"

// manifestAsker answers from manifests, with the engine that also the manager runs.
type manifestAsker struct {
	path  string
	notes io.Writer
}

func newManifestAsker(path string, notes io.Writer) *manifestAsker {
	return &manifestAsker{path, notes}
}

// prepared is a question with what answers it.
type prepared struct {
	declared   access.Declarations
	resolution access.Resolution
	policy     *access.Policy
	request    *access.Request
}

// prepare reads what answers the question, and makes the question of it.
func (m *manifestAsker) prepare(q *canQuestion) (*prepared, error) {
	tenant, err := loadTenant(m.path, q.namespace)
	if err != nil {
		return nil, err
	}
	file, err := m.recordFile(q.recordFile)
	if err != nil {
		return nil, err
	}
	book, err := loadRecords(file)
	if err != nil {
		return nil, err
	}
	record, err := m.record(q, tenant.Declarations, book)
	if err != nil {
		return nil, err
	}
	resolution := access.Resolve(tenant.Declarations)
	return &prepared{tenant.Declarations, resolution, access.NewPolicy(resolution.Facts), q.request(record)}, nil
}

// waiting says what would cover the request and waits for approval: what covers it where no guardrail asks for any.
func (p *prepared) waiting(at schedule.Instant) (lines []string) {
	without := p.declared
	without.Guardrails = nil
	waits := waitsOf(p.resolution, p.request.User, at)
	for _, cause := range access.NewPolicy(access.Resolve(without).Facts).Explain(at, p.request).Causes {
		for i := range waits {
			if waits[i].From == cause.Owner.String() && !waits[i].Review {
				lines = append(lines, "would be covered, but "+waits[i].words())
			}
		}
	}
	return slices.Compact(lines)
}

func (m *manifestAsker) ask(_ context.Context, q *canQuestion) (*answer, error) {
	p, err := m.prepare(q)
	if err != nil {
		return nil, err
	}
	policy, request := p.policy, p.request
	e := policy.Explain(q.instant, request)
	a := &answer{effect: e.Effect, at: q.instant.String(), causes: decisionapi.CausesOf(e)}
	for _, o := range e.Obligations {
		a.approvers = append(a.approvers, approval{o.Guardrail, o.Approvers})
	}
	if q.field != "" {
		a.level = e.Levels[0]
	}
	if e.Effect == access.Deny {
		a.nearMisses = policy.NearMisses(q.instant, request)
		if waiting := p.waiting(q.instant); len(waiting) > 0 {
			a.nearMisses = append(waiting, a.nearMisses...)
			e.NearestMiss = waiting[0]
		}
		a.nearestMiss = decisionapi.NearestMiss(e, a.nearMisses)
	}
	return a, nil
}

// recordFile is the file named, or the one beside the manifests if it is there.
func (m *manifestAsker) recordFile(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	dir := m.path
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, defaultRecords)
	switch _, err := os.Stat(file); {
	case err == nil:
		return file, nil
	case os.IsNotExist(err):
		return "", nil
	default:
		return "", fmt.Errorf("read records: %w", err)
	}
}

// record is the record that is asked about: what the file says, and over it what the command line says. An object that
// nobody declares has no facts; the engine says that it is unknown.
func (m *manifestAsker) record(q *canQuestion, declared access.Declarations, book *recordBook) (*access.Record, error) {
	if q.id == "" && q.facts.none() {
		return nil, nil
	}
	i := slices.IndexFunc(declared.ObjectTypes, func(o *access.ObjectType) bool { return o.Name == q.object })
	if i < 0 {
		return &access.Record{ID: q.id}, nil
	}
	object := declared.ObjectTypes[i]
	record := book.fact(q.object, q.id)
	if record == nil {
		if q.facts.none() {
			return nil, book.missing(q.object, q.id)
		}
		record = &access.Record{ID: q.id}
	}
	if err := q.facts.apply(record, object); err != nil {
		return nil, err
	}
	parents := parentFinder{types: declared.ObjectTypes, book: book, notes: m.notes}
	if q.facts.parent != "" && book.fact(object.AccessFrom.Object, q.facts.parent) == nil {
		return nil, book.missing(object.AccessFrom.Object, q.facts.parent)
	}
	parents.find(q.target(), object, record)
	return record, nil
}
