package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// history is a repository that a test makes.
type history struct {
	t   *testing.T
	dir string
}

func newHistory(t *testing.T, files map[string]string) history {
	h := history{t, t.TempDir()}
	h.git("init", "-q", "-b", "main")
	h.commit(files)
	return h
}

func (h history) git(args ...string) {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_AUTHOR_DATE=2026-11-20T00:00:00Z", "GIT_COMMITTER_DATE=2026-11-20T00:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// commit writes files, takes away those that are empty, and commits.
func (h history) commit(files map[string]string) {
	h.t.Helper()
	for name, text := range files {
		file := filepath.Join(h.dir, name)
		if text == "" {
			h.git("rm", "-q", name)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	h.git("add", "-A")
	h.git("commit", "-q", "--allow-empty", "-m", fmt.Sprint(files))
}

func (h history) plan(args ...string) result {
	return sitting{}.run(append([]string{"plan", "-R", h.dir}, args...)...)
}

const (
	company = planHeader + "kind: ObjectType\nmetadata: {name: customer, namespace: huayue}\nspec:\n  actions: [read, export]\n" +
		"---\n" + planHeader + "kind: Department\nmetadata: {name: sales, namespace: huayue}\nspec: {}\n" +
		"---\n" + planHeader + "kind: User\nmetadata: {name: li-ting, namespace: huayue}\nspec: {department: sales}\n"
	rep     = planHeader + "kind: Role\nmetadata: {name: rep, namespace: huayue}\nspec:\n  grants:\n  - {object: customer, actions: [read], scopes: [own]}\n"
	binding = planHeader + "kind: UserBinding\nmetadata: {name: reps, namespace: huayue}\nspec:\n  subjects: [{user: li-ting}]\n  roles: [rep]\n"
)

// exporting is the role with an export that nobody should merge without looking.
var exporting = strings.Replace(rep, "actions: [read]", "actions: [read, export]", 1)

func TestPlanSaysWhoGains(t *testing.T) {
	h := newHistory(t, map[string]string{"a.yaml": company, "roles/rep.yaml": rep, "b.yaml": binding})
	h.git("checkout", "-q", "-b", "change")
	h.commit(map[string]string{"roles/rep.yaml": exporting})
	r := h.plan("--base", "main")
	if r.code != 2 || !strings.Contains(r.out, "li-ting") || !strings.Contains(r.out, "export") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	if r := h.plan("--base", "main", "--fail-on", "export"); r.code != 3 {
		t.Errorf("--fail-on of a rule that applies: exit code %d\n%s", r.code, r.err)
	}
	if r := h.plan("--base", "main", "--fail-on", "critical"); r.code != 2 {
		t.Errorf("--fail-on of a severity that is not reached: exit code %d\n%s", r.code, r.err)
	}
	if r := h.plan("--base", "main", "-n", "huayue", "roles"); r.code != 0 {
		t.Errorf("of the roles alone, which nobody holds there: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := h.plan("--base", "main", "-n", "other"); r.code != 1 || !strings.Contains(r.err, `declares nothing for namespace "other"`) {
		t.Errorf("of a namespace that is in neither: exit code %d\n%s", r.code, r.err)
	}
}

func TestAnObjectThatIsNewOrGoneIsToldWithItsFields(t *testing.T) {
	invoices := planHeader + "kind: ObjectType\nmetadata: {name: invoice, namespace: huayue}\nspec: {actions: [read], fields: [{name: amount, class: restricted}]}\n" +
		"---\n" + planHeader + "kind: Role\nmetadata: {name: clerk, namespace: huayue}\nspec: {grants: [{object: invoice, actions: [read], scopes: [own], fields: [{field: amount, level: read}]}]}\n" +
		"---\n" + planHeader + "kind: UserBinding\nmetadata: {name: clerks, namespace: huayue}\nspec: {subjects: [{user: li-ting}], roles: [clerk]}\n"
	h := newHistory(t, map[string]string{"a.yaml": company})
	h.commit(map[string]string{"invoices.yaml": invoices})
	for sign, args := range map[string][]string{"+ gains": {"--base", "HEAD~1"}, "- loses": {"--base", "HEAD^{tree}", "--head", "HEAD~1"}} {
		if r := h.plan(args...); r.code != 2 || !strings.Contains(r.out, sign) || !strings.Contains(r.out, "invoice: read; fields to read (restricted): amount") {
			t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
		}
	}
	whole := newHistory(t, map[string]string{"readme": "nothing yet"})
	whole.commit(map[string]string{"a.yaml": company, "invoices.yaml": invoices})
	if r := whole.plan("--base", "HEAD~1"); r.code != 2 || !strings.Contains(r.out, "fields to read (restricted): amount") {
		t.Errorf("of a tenant that is new: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func TestFilesThatMoveChangeNobodysAccess(t *testing.T) {
	h := newHistory(t, map[string]string{"a.yaml": company, "roles/rep.yaml": rep, "b.yaml": binding})
	h.commit(map[string]string{"a.yaml": "", "roles/rep.yaml": "", "b.yaml": "", "all/z.yml": binding + "---\n# moved\n" + rep, "all/company.yaml": company})
	if r := h.plan("--base", "HEAD~1"); r.code != 0 || !strings.HasPrefix(r.out, "no change of access\n") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

// Whoever proposes a change chooses what head holds, and from which commit it sets out. Neither may choose the rules.
func TestAChangeDoesNotChooseTheRulesThatJudgeIt(t *testing.T) {
	const forbids = "rules:\n- name: export\n  severity: critical\n  forbid: true\n  when: {actions: [export]}\n"
	h := newHistory(t, map[string]string{"a.yaml": company, "roles/rep.yaml": rep, "b.yaml": binding})
	h.git("branch", "before-the-rules")
	h.commit(map[string]string{".crmaccess/risk.yaml": forbids})
	for name, attack := range map[string]func(){
		"as it should be": func() { h.git("checkout", "-q", "-b", "honest", "main") },
		"by taking the file away": func() {
			h.git("checkout", "-q", "-b", "removes", "main")
			h.commit(map[string]string{".crmaccess/risk.yaml": ""})
		},
		"by silencing the rule": func() {
			h.git("checkout", "-q", "-b", "silences", "main")
			h.commit(map[string]string{".crmaccess/risk.yaml": "silence: [export]\n"})
		},
		"by setting out from before it": func() { h.git("checkout", "-q", "-b", "old", "before-the-rules") },
		"by a file that cannot be read": func() {
			h.git("checkout", "-q", "-b", "breaks", "main")
			h.commit(map[string]string{".crmaccess/risk.yaml": "nonsense\n"})
		},
		"by a file of the folder of head": func() {
			h.git("checkout", "-q", "-b", "beside", "main")
			h.commit(map[string]string{"roles/.crmaccess/risk.yaml": "silence: [export]\n"})
		},
	} {
		attack()
		h.commit(map[string]string{"roles/rep.yaml": exporting})
		r := h.plan("--base", "main", "--head", "HEAD")
		if r.code != 3 {
			t.Errorf("%s: exit code %d, want 3:\n%s%s", name, r.code, r.out, r.err)
		}
		if told := strings.Contains(r.err, "note: .crmaccess/risk.yaml differs in HEAD"); told == strings.Contains("as it should be by a file of the folder of head", name) {
			t.Errorf("%s: told that the rules differ: %t", name, told)
		}
	}
	h.git("checkout", "-q", "-b", "bad-base", "main")
	h.commit(map[string]string{".crmaccess/risk.yaml": "nonsense: true\n"})
	if r := h.plan("--base", "HEAD"); r.code != 1 || !strings.Contains(r.err, ".crmaccess/risk.yaml in HEAD") {
		t.Errorf("rules of base that cannot be read: exit code %d\n%s", r.code, r.err)
	}
}

func TestAFolderThatIsAddedOrRemovedIsEmptyInTheOtherState(t *testing.T) {
	h := newHistory(t, map[string]string{"readme.txt": "x\n"})
	h.commit(map[string]string{"crm/a.yaml": company, "crm/b.yaml": rep, "crm/c.yaml": binding})
	if r := h.plan("--base", "HEAD~1", "crm"); r.code != 2 {
		t.Errorf("added: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := h.plan("--base", "HEAD^{tree}", "--head", "HEAD~1", "crm"); r.code != 2 {
		t.Errorf("removed: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestPlanReadsStandardInput(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": company, "b.yaml": rep, "c.yaml": binding})
	s := sitting{types: company + "---\n# Source: chart/templates/role.yaml\n" + exporting + "---\n" + binding}
	if r := s.run("plan", "--base-dir", dir, "--head-dir", "-"); r.code != 2 || !strings.Contains(r.out, "standard input:") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	s.types = "kind: [\n"
	if r := s.run("plan", "--base-dir", dir, "--head-dir", "-"); r.code != 1 || !strings.Contains(r.err, "standard input:") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func TestTheSamePlanUnderEveryEnvironment(t *testing.T) {
	h := newHistory(t, map[string]string{"a.yaml": company, "roles/rep.yaml": rep, "b.yaml": binding})
	h.commit(map[string]string{"roles/rep.yaml": exporting})
	// Folders whose entries were made in another order.
	forwards, backwards := t.TempDir(), t.TempDir()
	names := []string{"a.yaml", "b.yaml", "c.yaml"}
	texts := map[string]string{"a.yaml": company, "b.yaml": exporting, "c.yaml": binding}
	for i := range names {
		for dir, name := range map[string]string{forwards: names[i], backwards: names[len(names)-1-i]} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(texts[name]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, form := range []string{"table", "markdown", "json", "html"} {
		for name, states := range map[string][][]string{
			"revisions": {{"-R", h.dir, "--base", "HEAD~1"}},
			"folders":   {{"--base-dir", forwards, "--head-dir", backwards}},
		} {
			outputs := map[string]bool{}
			for _, environment := range [][]string{
				{"LANG=C", "TZ=UTC", "GOMAXPROCS=1"}, {"LANG=zh_CN.UTF-8", "LC_ALL=zh_CN.UTF-8", "TZ=Asia/Shanghai", "GOMAXPROCS=7"}, {"LANG=tr_TR.UTF-8", "TZ=America/St_Johns", "GOMAXPROCS=2"},
			} {
				for _, args := range states {
					cmd := exec.Command(os.Args[0], append([]string{"plan", "--at", "2026-11-21T02:00:00Z", "-o", form}, args...)...)
					cmd.Env = append(os.Environ(), append(environment, asCommand+"=1")...)
					out, err := cmd.Output()
					if code := cmd.ProcessState.ExitCode(); code != 2 && code != 0 {
						t.Fatalf("%s: exit code %d, %v", name, code, err)
					}
					outputs[string(out)] = true
				}
			}
			if len(outputs) != 1 {
				t.Errorf("%s as %s: %d different plans", name, form, len(outputs))
			}
		}
	}
}
