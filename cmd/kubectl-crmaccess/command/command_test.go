package command_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// morning is the instant of every test that does not say another.
var morning = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("", 8*3600))

// asCommand, in the environment, makes the test's own program the command, for tests of what its environment does to it.
const asCommand = "CRMACCESS_TEST_AS_COMMAND"

// TestMain runs the tests in the module's folder, where the examples of the documentation are run.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(command.Run(context.Background(), os.Args[1:], command.Environment{
			Now: time.Now, Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		}))
	}
	root, err := testenv.ModuleRoot()
	if err == nil {
		err = os.Chdir(root)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m))
}

const huayue = "config/samples/huayue"

// result is what a command line comes to.
type result struct {
	code     int
	out, err string
}

// sitting is a person at a terminal, or nobody.
type sitting struct {
	types       string
	interactive bool
	server      string // $CRMACCESS_SERVER
	token       string // $CRMACCESS_TOKEN
}

func (s sitting) run(args ...string) result {
	var out, problems bytes.Buffer
	code := command.Run(context.Background(), args, command.Environment{
		Version: "v1.2.3",
		Now:     func() time.Time { return morning },
		Getenv: func(name string) string {
			return map[string]string{"CRMACCESS_SERVER": s.server, "CRMACCESS_TOKEN": s.token}[name]
		},
		In: strings.NewReader(s.types), Out: &out, Err: &problems, Interactive: s.interactive,
	})
	return result{code, out.String(), problems.String()}
}

func run(args ...string) result { return sitting{}.run(args...) }

// expect fails where the result has another code or lacks one of the words.
func (r result) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("ends with code %d, want %d", r.code, code)
	}
	for _, word := range words {
		if !strings.Contains(r.out+r.err, word) {
			t.Errorf("does not say %q", word)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.out, r.err)
	}
}

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// source serves a folder of manifests at the morning's time.
type source struct {
	policy *access.Policy
	old    error
}

func serveSample(t *testing.T) *source {
	t.Helper()
	tree, err := manifest.Load(huayue)
	if err != nil {
		t.Fatal(err)
	}
	return &source{policy: access.NewPolicy(access.Resolve(tree.Tenants["huayue"].Declarations).Facts)}
}

func (s *source) Tenants() []string { return []string{"huayue"} }

func (s *source) Snapshot(tenant string) (decisionapi.Snapshot, bool) {
	now := func() (schedule.Instant, error) { return schedule.At(morning), s.old }
	return decisionapi.Snapshot{Policy: s.policy, Revision: "1", Now: now}, tenant == "huayue"
}

var errOld = errors.New("the store was last seen 40s ago")
