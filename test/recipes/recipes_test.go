package recipes

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// commandLine is kubectl-crmaccess, built once.
var commandLine, module string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "recipes")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if module, err = testenv.ModuleRoot(); err != nil {
			panic(err)
		}
		commandLine = filepath.Join(dir, "kubectl-crmaccess")
		build := exec.Command("go", "build", "-o", commandLine, "./cmd/kubectl-crmaccess")
		build.Dir = module
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// request is a pull request: a repository with a base commit and a branch.
type request struct {
	t          *testing.T
	dir        string
	base, head string
	host       *host
	log        string
}

func newRequest(t *testing.T) *request {
	t.Helper()
	r := &request{t: t, dir: t.TempDir(), host: newHost(t)}
	r.sh("git init -q -b main && mkdir ci && cp " + module + "/examples/ci/plan.sh ci/ && cp -r " + module + "/config/samples/huayue access && rm access/records.yaml")
	r.base = r.commit("the base")
	return r
}

func (r *request) sh(script string) string {
	r.t.Helper()
	cmd := exec.Command("bash", "-euc", script)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *request) commit(message string) string {
	r.t.Helper()
	r.head = r.sh("git add -A && git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m '" + message + "' && git rev-parse HEAD")
	return r.head
}

// longer has the year-end grant begin weeks earlier; unchanged only says another reason for it.
const (
	longer    = "sed -i 's/2026-12-28T09/2026-12-01T09/' access/grants.yaml"
	unchanged = "sed -i 's/year-end push/the push at the end of the year/' access/grants.yaml"
)

// step is a step of a job at GitHub.
type step struct {
	Name, If, Run, Uses string
	Env, With           map[string]any
}

type githubWorkflow struct {
	On          map[string]any    `json:"on"`
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []step
	}
}

func readYAML(t *testing.T, file string, into any) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(module, file))
	if err != nil {
		t.Fatal(err)
	}
	// In YAML 1.1, which the parser reads, a bare on is a yes; GitHub reads 1.2.
	if err := yaml.Unmarshal([]byte(strings.Replace(string(data), "\non:", "\n\"on\":", 1)), into); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var expression = regexp.MustCompile(`\$\{\{ ([^}]*) \}\}`)

// github runs the steps of the workflow as a runner does, and returns the exit code of the step that plans.
func (r *request) github(from string) int {
	r.t.Helper()
	var w githubWorkflow
	readYAML(r.t, "examples/ci/github/access.yml", &w)
	known := map[string]string{
		"github.event.pull_request.base.sha": r.base, "github.event.pull_request.head.sha": r.head, "github.event.pull_request.number": "7",
		"github.server_url": "https://github.example", "github.repository": "o/r", "github.run_id": "99", "github.token": token,
		"!cancelled()": "true",
		"!cancelled() && github.event.pull_request.head.repo.full_name == github.repository": map[bool]string{true: "true"}[from == "o/r"],
	}
	evaluate := func(text string) string {
		return expression.ReplaceAllStringFunc(text, func(found string) string {
			value, ok := known[expression.FindStringSubmatch(found)[1]]
			if !ok {
				r.t.Fatalf("what is %s?", found)
			}
			return value
		})
	}
	failed, planned := false, -1
	for _, s := range w.Jobs["plan"].Steps {
		if s.Run == "" || s.Name == "Install" || s.If == "" && failed || s.If != "" && evaluate(s.If) != "true" {
			continue
		}
		env := []string{"GITHUB_API_URL=" + r.host.URL, "GITHUB_REPOSITORY=o/r", "GITHUB_STEP_SUMMARY=" + filepath.Join(r.dir, ".git", "summary")}
		for name, value := range s.Env {
			env = append(env, name+"="+evaluate(value.(string)))
		}
		code := r.step(s.Run, env)
		failed = failed || code != 0
		if s.Name == "Plan" {
			planned = code
		} else if code != 0 {
			r.t.Fatalf("step %s ends with %d: %s", s.Name, code, r.log)
		}
	}
	return planned
}

// gitlab runs the script of the job, and then what comes after it.
func (r *request) gitlab(token string) int {
	r.t.Helper()
	var file map[string]struct {
		Script      []string `json:"script"`
		AfterScript []string `json:"after_script"`
	}
	readYAML(r.t, "examples/ci/gitlab/.gitlab-ci.yml", &file)
	env := []string{"CI_API_V4_URL=" + r.host.URL + "/api/v4", "CI_PROJECT_ID=5", "CI_MERGE_REQUEST_IID=7", "CI_JOB_URL=https://gitlab.example/job",
		"CI_MERGE_REQUEST_DIFF_BASE_SHA=" + r.base, "CI_COMMIT_SHA=" + r.head, "CRMACCESS_REPORT_TOKEN=" + token}
	planned := r.step(strings.Join(file["access"].Script, "\n"), env)
	if code := r.step(strings.Join(file["access"].AfterScript, "\n"), env); code != 0 {
		r.t.Fatalf("after_script ends with %d: %s", code, r.log)
	}
	return planned
}

func (r *request) step(script string, env []string) int {
	r.t.Helper()
	cmd := exec.Command("bash", "-ec", script)
	cmd.Dir = r.dir
	cmd.Env = append(env, "PATH="+filepath.Dir(commandLine)+":"+os.Getenv("PATH"), "HOME="+r.dir)
	out, err := cmd.CombinedOutput()
	r.log = string(out)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		r.t.Fatal(err)
	}
	return 0
}

// tells fails unless the pull request has one comment of ours that says all of this.
func (r *request) tells(words ...string) {
	r.t.Helper()
	ours := r.host.ours()
	if len(ours) != 1 {
		r.t.Fatalf("there are %d comments, want one. The log:\n%s", len(ours), r.log)
	}
	for _, word := range words {
		if !strings.Contains(ours[0], word) {
			r.t.Errorf("the comment does not say %q:\n%s\nthe log:\n%s", word, ours[0], r.log)
		}
	}
}

func TestAPullRequestAtGitHubFromCommitToComment(t *testing.T) {
	r := newRequest(t)
	for range 120 { // our comment is on another page
		r.host.say("somebody", 1, "I like it")
	}
	r.host.say("mallory", 2, "<!-- kubectl-crmaccess-plan -->\nnothing changes")
	r.sh(longer)
	r.commit("longer")
	if code := r.github("o/r"); code != 0 {
		t.Fatalf("ends with %d: %s", code, r.log)
	}
	r.tells("li-ting", "2026-12-01")
	if page, err := os.ReadFile(filepath.Join(r.dir, "crmaccess-plan", "plan.html")); err != nil || !strings.Contains(string(page), "li-ting") {
		t.Errorf("there is no page: %v", err)
	}
	r.sh("git revert --no-commit HEAD && " + unchanged)
	r.commit("no longer")
	if code := r.github("o/r"); code != 0 {
		t.Fatalf("ends with %d: %s", code, r.log)
	}
	r.tells("o change of access")
	if got := r.host.comments[120].Body; got != "<!-- kubectl-crmaccess-plan -->\nnothing changes" {
		t.Errorf("somebody else's comment says %q", got)
	}
}

func TestAMergeRequestAtGitLabFromCommitToNote(t *testing.T) {
	r := newRequest(t)
	r.sh(longer)
	r.commit("longer")
	if code := r.gitlab(token); code != 0 {
		t.Fatalf("ends with %d: %s", code, r.log)
	}
	r.tells("li-ting", "2026-12-01")
	r.sh("git revert --no-commit HEAD")
	r.commit("as it was")
	if code := r.gitlab(token); code != 0 {
		t.Fatalf("ends with %d: %s", code, r.log)
	}
	r.tells("o change of access")
}

func TestWhatARuleForbidsFailsAndIsTold(t *testing.T) {
	r := newRequest(t)
	r.sh("mkdir .crmaccess && printf '%s' '" + forbidding + "' >.crmaccess/risk.yaml")
	r.base = r.commit("the rules")
	r.sh(longer + " && rm .crmaccess/risk.yaml") // the rules are those of the base
	r.commit("longer")
	if code := r.github("o/r"); code != 3 {
		t.Errorf("ends with %d, want 3: %s", code, r.log)
	}
	r.tells("li-ting", "no-new-reads")
	if code := r.gitlab(token); code != 3 {
		t.Errorf("GitLab: ends with %d, want 3: %s", code, r.log)
	}
}

func TestManifestsThatCannotBeReadFailAndTakeThePlaceOfAnOldPlan(t *testing.T) {
	r := newRequest(t)
	r.sh(longer)
	r.commit("longer")
	r.github("o/r")
	r.sh("printf 'a: [\\n' >access/bad.yaml && sed -i 's/^resources:$/resources:\\n- bad.yaml/' access/kustomization.yaml")
	r.commit("bad")
	if code := r.github("o/r"); code != 1 {
		t.Errorf("ends with %d, want 1: %s", code, r.log)
	}
	r.tells("There is no plan", "    error: access/kustomization.yaml: cannot be rendered", "line 1: did not find expected node content in File: bad.yaml")
}

func TestAShallowCloneSaysWhatItLacks(t *testing.T) {
	r := newRequest(t)
	r.sh(longer)
	r.commit("longer")
	full := r.dir
	r.dir = filepath.Join(t.TempDir(), "shallow")
	if out, err := exec.Command("git", "clone", "-q", "--depth", "1", "file://"+full, r.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code := r.github("o/r"); code != 1 {
		t.Errorf("ends with %d, want 1: %s", code, r.log)
	}
	r.tells("There is no plan", "shallow", "fetch")
}

func TestAForkGetsASummaryAndNoComment(t *testing.T) {
	r := newRequest(t)
	r.sh(longer)
	r.commit("longer")
	if code := r.github("fork/r"); code != 0 {
		t.Errorf("ends with %d: %s", code, r.log)
	}
	if len(r.host.comments) != 0 || r.host.refused != 0 {
		t.Errorf("%d comments, %d requests were refused", len(r.host.comments), r.host.refused)
	}
	if summary := r.sh("cat .git/summary"); !strings.Contains(summary, "li-ting") {
		t.Errorf("the summary is %s", summary)
	}
	if code := r.gitlab(""); code != 0 || !strings.Contains(r.log, "no comment: REPORT_TOKEN is not set") {
		t.Errorf("ends with %d: %s", code, r.log)
	}
}

func TestWhatAFileSaysCannotLeaveItsPlaceInAComment(t *testing.T) {
	r := newRequest(t)
	r.sh("printf '```\\n' >'access/``` <img src=x>.yaml'; printf 'a: [\\n' >>'access/``` <img src=x>.yaml'")
	r.commit("hostile")
	r.github("o/r")
	for line := range strings.SplitSeq(r.host.ours()[0], "\n") {
		if strings.Contains(line, "<img") && !strings.HasPrefix(line, "    ") {
			t.Errorf("a line is not code: %s", line)
		}
	}
}

const forbidding = `rules:
- name: no-new-reads
  severity: critical
  forbid: true
  when: {actions: [read]}
`

func TestTheWorkflowGivesNoMoreThanItNeeds(t *testing.T) {
	var w githubWorkflow
	text := readYAML(t, "examples/ci/github/access.yml", &w)
	if _, ok := w.On["pull_request"]; !ok || len(w.On) != 1 || len(w.Permissions) != 0 {
		t.Errorf("runs on %v with %v", w.On, w.Permissions)
	}
	job := w.Jobs["plan"]
	if len(job.Permissions) != 2 || job.Permissions["contents"] != "read" || job.Permissions["pull-requests"] != "write" {
		t.Errorf("the job has %v", job.Permissions)
	}
	pinned := regexp.MustCompile(`@[0-9a-f]{40}$`)
	for _, s := range job.Steps {
		if s.Uses != "" && !pinned.MatchString(s.Uses) {
			t.Errorf("%s is not pinned", s.Uses)
		}
		if strings.HasPrefix(s.Uses, "actions/checkout@") && (s.With["fetch-depth"] != float64(0) && s.With["fetch-depth"] != int64(0) || s.With["persist-credentials"] != false) {
			t.Errorf("checks out with %v", s.With)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("%s puts text of the pull request into a script", s.Name)
		}
	}
	if strings.Contains(text, "secrets.") {
		t.Error("uses secrets")
	}
}

func TestTheHooksCallCommandsThatAreThere(t *testing.T) {
	var hooks []struct{ ID, Entry string }
	readYAML(t, ".pre-commit-hooks.yaml", &hooks)
	var config struct {
		Repos []struct{ Hooks []struct{ ID string } }
	}
	readYAML(t, "examples/ci/pre-commit/.pre-commit-config.yaml", &config)
	entries := make(map[string]string)
	for _, hook := range hooks {
		entries[hook.ID] = hook.Entry
	}
	for _, hook := range config.Repos[0].Hooks {
		args := strings.Fields(entries[hook.ID])
		if len(args) == 0 {
			t.Errorf("there is no hook %s", hook.ID)
			continue
		}
		if out, err := exec.Command(commandLine, append(args[1:], filepath.Join(module, "config/samples/huayue"))...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", hook.ID, err, out)
		}
	}
	if len(hooks) != 2 || len(entries) != 2 {
		t.Errorf("hooks: %v", hooks)
	}
}
