package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const endedRole = crm + `kind: Role
metadata: {name: rep, namespace: tenant}
spec: {displayName: Rep}
---
` + crm + `kind: User
metadata: {name: ann, namespace: tenant}
spec: {displayName: Ann, type: Employee, state: Active}
`

func TestLintTellsGrantsThatAreNewAndHaveEnded(t *testing.T) {
	base := write(t, map[string]string{"role.yaml": endedRole})
	dir := write(t, map[string]string{"role.yaml": endedRole, "over.yaml": endedGrant})
	over := filepath.Join(dir, "over.yaml")
	run("lint", dir).expect(t, 0, over+":4: info: TemporaryGrant/over: spec.notAfter: ended at 2026-10-15T00:00:00Z: take it out with kubectl crmaccess prune-expired")
	run("lint", "--base-dir", dir, dir).expect(t, 0, "take it out")
	run("lint", "--base-dir", base, dir).expect(t, 1, over+":4: error: TemporaryGrant/over: spec.notAfter: is new and ended at 2026-10-15T00:00:00Z: it confers nothing")
	bad := write(t, map[string]string{"bad.yaml": "a: [\n"})
	run("lint", "--base-dir", bad, dir).expect(t, 0, "has faults: what is new is not told")
	run("lint", "--base-dir", base, "--base", "main", dir).expect(t, 2, "--base and --base-dir exclude each other")
	run("lint", "--older-than", "x", dir).expect(t, 2, "--older-than: ")
}

func TestLintTakesTheBaseFromGit(t *testing.T) {
	repository := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = repository
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	save := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(repository, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "-A")
		git("commit", "-q", "-m", name)
	}
	git("init", "-q", "-b", "main")
	save("role.yaml", endedRole)
	git("checkout", "-q", "-b", "change")
	save("over.yaml", endedGrant)
	t.Chdir(repository)
	run("lint", "--base", "main", ".").expect(t, 1, "over.yaml:4: error: TemporaryGrant/over: spec.notAfter: is new and ended")
	run("lint", "--base", "change", ".").expect(t, 0, "take it out")
	run("lint", "--base", "nowhere", ".").expect(t, 2, `revision "nowhere" is not in the repository`)
}
