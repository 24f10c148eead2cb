// Package golden asks the golden decisions of the sample organisation, of the engine, the command line, PostgreSQL and the decision
// API, from manifests and from a store.
package golden

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// golden is one line of the table.
type golden struct {
	number                       int
	user, action, object, record string
	field, rows, channel         string
	target, at, expect           string
	causes                       []string
}

// answer is what came out, in the words of the table.
type answer struct {
	word   string
	causes []string
}

func TestTheEngineGivesTheGoldenDecisions(t *testing.T) {
	sample := loadSample(t)
	compare(t, sample.ask)
}

func TestTheCommandLineGivesTheGoldenDecisions(t *testing.T) {
	compare(t, func(t *testing.T, g golden) answer { return askCommand(t, g, "-f", sampleFolder(t)) })
}

func TestTheDecisionAPIGivesTheGoldenDecisions(t *testing.T) {
	server := httptest.NewServer(decisionapi.New(loadSample(t), decisionapi.Options{HonourTime: true}))
	defer server.Close()
	compare(t, func(t *testing.T, g golden) answer {
		return askCommand(t, g, "-n", "huayue", "--server", server.URL, "--records", recordFile(t))
	})
}

func compare(t *testing.T, ask func(*testing.T, golden) answer) {
	all := readGolden(t)
	if len(all) != 33 {
		t.Errorf("the table has %d decisions, want 33", len(all))
	}
	for _, g := range all {
		t.Run(fmt.Sprintf("%d %s %s %s", g.number, g.user, g.action, g.resource()), func(t *testing.T) {
			if wrong := g.compare(ask(t, g)); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func (g golden) resource() string { return strings.TrimSuffix(g.object+"/"+g.record, "/") }

// compare says what is wrong with an answer, or "".
func (g golden) compare(a answer) string {
	if a.word != g.expect {
		return fmt.Sprintf("answers %s, want %s; causes %q", a.word, g.expect, a.causes)
	}
	for _, want := range g.causes {
		if !slices.ContainsFunc(a.causes, func(cause string) bool { return strings.Contains(cause, want) }) {
			return fmt.Sprintf("answers %s without the cause %q; causes %q", a.word, want, a.causes)
		}
	}
	return ""
}

// sample is the organisation as the engine reads it, and as the decision API is given it.
type sample struct {
	policy  *access.Policy
	records map[[2]string]*access.Record
}

func loadSample(t *testing.T) *sample {
	t.Helper()
	tree, err := manifest.Load(sampleFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	resolution := access.Resolve(tree.Tenants["huayue"].Declarations)
	for _, findings := range resolution.Findings {
		for _, f := range findings {
			if !f.Advises() {
				t.Errorf("the sample does not compile: %s", f)
			}
		}
	}
	records, err := manifest.LoadRecords(recordFile(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{policy: access.NewPolicy(resolution.Facts), records: map[[2]string]*access.Record{}}
	for i := range records {
		s.records[[2]string{records[i].Object, records[i].ID}] = records[i].Fact()
	}
	return s
}

// Tenants implements decisionapi.Source.
func (*sample) Tenants() []string { return []string{"huayue"} }

// Snapshot implements decisionapi.Source.
func (s *sample) Snapshot(string) (decisionapi.Snapshot, bool) {
	noClock := func() (schedule.Instant, error) { return 0, errors.New("the question does not say when") }
	return decisionapi.Snapshot{Policy: s.policy, Revision: "1", Now: noClock}, true
}

func (s *sample) ask(t *testing.T, g golden) answer {
	at, err := schedule.Parse(g.at)
	if err != nil {
		t.Fatal(err)
	}
	request := &access.Request{User: g.user, Action: g.action, Object: g.object, Context: access.Context{Channel: g.channel, Reason: "because", TargetDepartment: g.target}}
	if g.record != "" {
		if request.Record = s.records[[2]string{g.object, g.record}]; request.Record == nil {
			t.Fatalf("no record %s", g.record)
		}
	}
	if g.field != "" {
		request.Fields = []string{g.field}
	}
	if g.rows != "" {
		rows, err := strconv.ParseInt(g.rows, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		request.Context.Rows = &rows
	}
	used := int64(0)
	request.Context.Used = &used
	e := s.policy.Explain(at, request)
	levels := make([]access.Level, len(request.Fields))
	if effect := s.policy.Decide(at, request, levels); effect != e.Effect || !slices.Equal(levels, e.Levels) {
		t.Errorf("Decide says %s %v, Explain %s %v", effect, levels, e.Effect, e.Levels)
	}
	a := answer{word: e.Effect.String()}
	if g.field != "" && e.Effect == access.Allow {
		a.word = strings.ToUpper(e.Levels[0].String())
	}
	for _, cause := range e.Causes {
		a.causes = append(a.causes, cause.Text)
	}
	return a
}

// askCommand runs the command as a person would; from says where the answer comes from.
func askCommand(t *testing.T, g golden, from ...string) answer {
	args := []string{"can", g.user, g.action, g.resource(), "--at", g.at, "--channel", g.channel, "--reason", "because", "--used", "0"}
	args = append(args, from...)
	for flag, value := range map[string]string{"--field": g.field, "--rows": g.rows, "--target-department": g.target} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	var out, problems bytes.Buffer
	code := command.Run(context.Background(), args, command.Environment{
		Now:    func() time.Time { return time.Unix(0, 0) }, // every decision says when
		Getenv: func(string) string { return "" },
		In:     strings.NewReader(""), Out: &out, Err: &problems,
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if problems.Len() > 0 {
		t.Errorf("says on stderr: %s", &problems)
	}
	want, known := map[string]int{
		"ALLOW": command.ExitOK, "MASKED": command.ExitOK, "READ": command.ExitOK, "EDIT": command.ExitOK,
		"DENY": command.ExitNo, "NONE": command.ExitNo, "APPROVAL": command.ExitApproval,
	}[lines[0]]
	if !known || code != want {
		t.Errorf("says %q and ends with code %d, want %d", lines[0], code, want)
	}
	a := answer{word: lines[0]}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "nearest: ") {
			a.causes = append(a.causes, line)
		}
	}
	return a
}

func readGolden(t *testing.T) []golden {
	t.Helper()
	file, err := os.Open(filepath.Join(moduleRoot(t), "test", "testdata", "golden-decisions.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	reader := csv.NewReader(file)
	reader.Comma, reader.LazyQuotes = '\t', true
	lines, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := "n user action object record field rows channel target_department at expect cause"; strings.Join(lines[0], " ") != want {
		t.Fatalf("the table has columns %v, want %s", lines[0], want)
	}
	var all []golden
	for _, c := range lines[1:] {
		number, err := strconv.Atoi(c[0])
		if err != nil {
			t.Fatal(err)
		}
		g := golden{
			number: number, user: c[1], action: c[2], object: c[3], record: c[4], field: c[5], rows: c[6], channel: c[7],
			target: c[8], at: c[9], expect: c[10], causes: strings.Split(c[11], ", "),
		}
		if g.channel == "" {
			g.channel = "web"
		}
		all = append(all, g)
	}
	return all
}

func sampleFolder(t *testing.T) string {
	return filepath.Join(moduleRoot(t), "config", "samples", "huayue")
}

func recordFile(t *testing.T) string { return filepath.Join(sampleFolder(t), "records.yaml") }

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
