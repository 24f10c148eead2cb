package command_test

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	untidyRole = "kind: Role\napiVersion: crmaccess.io/v1alpha1\n"
	tidyRole   = "apiVersion: crmaccess.io/v1alpha1\nkind: Role\n"
)

func TestFmtChangesOnlyFilesThatDiffer(t *testing.T) {
	dir := write(t, map[string]string{"b.yaml": untidyRole, "a.yaml": tidyRole, "notes.txt": untidyRole, "pod.yml": "kind:  Pod\napiVersion: v1\n"})
	b := filepath.Join(dir, "b.yaml")
	if err := os.Chmod(b, 0o640); err != nil {
		t.Fatal(err)
	}
	if r := run("fmt", "-l", dir); r.code != 0 || r.out != b+"\n" {
		t.Errorf("-l: exit code %d, %s", r.code, r.out)
	}
	if r := run("fmt", "--check", dir); r.code != 1 || r.out != b+"\n" || content(t, b) != untidyRole {
		t.Errorf("--check: exit code %d, %s", r.code, r.out)
	}
	before := stat(t, filepath.Join(dir, "a.yaml"))
	if r := run("fmt", dir); r.code != 0 || r.out != b+"\n" || content(t, b) != tidyRole {
		t.Errorf("exit code %d, %s; comes to %s", r.code, r.out, content(t, b))
	}
	if mode := stat(t, b).Mode(); mode != 0o640 {
		t.Errorf("has mode %v", mode)
	}
	if !os.SameFile(before, stat(t, filepath.Join(dir, "a.yaml"))) {
		t.Error("a file in canonical form was written")
	}
	if r := run("fmt", "--check", dir); r.code != 0 || r.out != "" {
		t.Errorf("is not done: %s", r.out)
	}
}

func TestFmtLeavesWhatItCannotReadAndDoesTheRest(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": "a: [\n", "b.yaml": untidyRole})
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	r := run("fmt", dir)
	r.expect(t, 2, "error: "+a+":", "is no valid YAML")
	if content(t, a) != "a: [\n" || content(t, b) != tidyRole {
		t.Errorf("comes to %q and %q", content(t, a), content(t, b))
	}
}

func TestFmtFollowsNoSymbolicLink(t *testing.T) {
	target := filepath.Join(write(t, map[string]string{"role.yaml": untidyRole}), "role.yaml")
	dir := write(t, map[string]string{"a.yaml": tidyRole})
	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		run("fmt", path).expect(t, 0, "note: "+link+": is a symbolic link, which is not followed")
	}
	if content(t, target) != untidyRole {
		t.Error("the file behind the link was changed")
	}
}

func TestFmtWantsAPath(t *testing.T) {
	run("fmt").expect(t, 2, "error: name the files or folders to format")
	run("fmt", "no-such-folder").expect(t, 2, "error: find manifests: ", "no-such-folder")
}

func content(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func stat(t *testing.T, file string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
