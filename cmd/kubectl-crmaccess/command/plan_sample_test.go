package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pullRequest is a repository with the sample organisation on main, and on the branch wider what a pull request does to it: a
// role reads more, a guardrail allows more, one moves, one leaves, a grant lasts longer, an agency sees another field.
func pullRequest(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, huayue), os.DirFS(huayue)); err != nil {
		t.Fatal(err)
	}
	patch, err := filepath.Abs("cmd/kubectl-crmaccess/command/testdata/pull-request.patch")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "the company"},
		{"checkout", "-q", "-b", "wider"}, {"apply", patch}, {"commit", "-q", "-a", "-m", "what is asked for"},
	} {
		git := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=ann", "-c", "user.email=ann@huayue.example", "-c", "commit.gpgsign=false"}, args...)...)
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir
}

// commits are names of commits, which differ from one making of the repository to the next.
var commits = regexp.MustCompile(` \([0-9a-f]{12}\)`)

func planOf(t *testing.T, repository string, more ...string) string {
	t.Helper()
	r := sitting{}.run(append([]string{"plan", "-R", repository, "--base", "main", "--head", "wider", huayue}, more...)...)
	if r.code != 2 {
		t.Fatalf("exit code %d:\n%s", r.code, r.err)
	}
	return commits.ReplaceAllString(r.out, "")
}

// The forms of the plan of a pull request stand in testdata/pull-request. go test ./cmd/kubectl-crmaccess/... -run
// PullRequest -update writes them, and the plan in README.md.
func TestThePlanOfAPullRequestIsToldInEveryForm(t *testing.T) {
	repository := pullRequest(t)
	for file, form := range map[string][]string{
		"plan.en.txt": {"-o", "table"}, "plan.zh.txt": {"-o", "table", "--lang", "zh"}, "plan.json": {"-o", "json"},
		"plan.en.md": {"-o", "markdown"}, "plan.zh.md": {"-o", "markdown", "--lang", "zh"},
		"plan.en.html": {"-o", "html"}, "plan.zh.html": {"-o", "html", "--lang", "zh"},
	} {
		file := filepath.Join("cmd/kubectl-crmaccess/command/testdata/pull-request", file)
		got := planOf(t, repository, form...)
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != got {
			t.Errorf("%s: %v: it holds something else than is told now: run this test with -update and read the difference", file, err)
		}
	}
}

func TestTheReadmeShowsThePlanOfAPullRequest(t *testing.T) {
	const begin, end = "<!-- the plan of a pull request: a test holds it -->\n", "<!-- the end of the plan -->\n"
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, there := strings.Cut(string(page), begin)
	_, after, ends := strings.Cut(rest, end)
	if !there || !ends {
		t.Fatalf("README.md has no place between %q and %q", begin, end)
	}
	_, comment, _ := strings.Cut(planOf(t, pullRequest(t), "-o", "markdown"), "\n") // without the marker
	var quote strings.Builder
	for line := range strings.Lines(comment) {
		quote.WriteString(strings.TrimRight("> "+line, " \n") + "\n")
	}
	want := before + begin + quote.String() + end + after
	if string(page) == want {
		return
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("README.md shows another plan: run this test with -update and read the difference")
}
