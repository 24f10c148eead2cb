package source

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

const header = "apiVersion: crmaccess.io/v1alpha1\n"

func department(name string) string {
	return header + "kind: Department\nmetadata:\n  name: " + name + "\nspec: {}\n"
}

// worktree is a folder under Git.
type worktree struct {
	t   testing.TB
	dir string
}

var commits atomic.Int64

func newWorktree(t testing.TB) worktree {
	w := worktree{t, t.TempDir()}
	w.git("init", "-q", "-b", "main")
	return w
}

func (w worktree) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_ALLOW_PROTOCOL=file")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w worktree) write(name, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// commit commits everything, and is the commit.
func (w worktree) commit() string {
	w.t.Helper()
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", fmt.Sprint(commits.Add(1)))
	return w.git("rev-parse", "HEAD")
}

func open(t testing.TB, dir string) *Repository {
	t.Helper()
	r, err := OpenRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func resolve(t testing.TB, r *Repository, name string) *Revision {
	t.Helper()
	v, err := r.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// places are the objects of a revision and where they stand.
func places(t testing.TB, r *Repository, revision, path string) []string {
	t.Helper()
	files, err := r.Files(resolve(t, r, revision), path)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	return placesIn(tree)
}

func load(t testing.TB, files *Files) (*manifest.Tree, error) {
	t.Helper()
	reader, err := manifest.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	return files.Load(reader)
}

func placesIn(tree *manifest.Tree) (all []string) {
	for _, tenant := range tree.Tenants {
		for ref, at := range tenant.Sources {
			all = append(all, fmt.Sprintf("%s %s", ref, at))
		}
	}
	slices.Sort(all)
	return all
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestARevisionIsReadWithoutACheckout(t *testing.T) {
	w := newWorktree(t)
	w.write("a.yaml", department("one"))
	w.write("teams/b.yaml", "# two\n"+department("two"))
	first := w.commit()
	w.write("a.yaml", department("three"))
	w.git("tag", "-a", "v1", "-m", "x")
	w.commit()
	w.write("a.yaml", "<<<<<<< what stands in the work tree does not matter\n")
	want := []string{"Department/one a.yaml:1", "Department/two teams/b.yaml:2"}

	r := open(t, w.dir)
	equal(t, places(t, r, first, "."), want...)
	equal(t, places(t, r, "v1", "."), want...)
	equal(t, places(t, r, "HEAD~1", "."), want...)
	equal(t, places(t, r, "main^{tree}", "."), "Department/three a.yaml:1", "Department/two teams/b.yaml:2")
	equal(t, places(t, r, "main", "teams"), "Department/two teams/b.yaml:2")
	equal(t, places(t, r, "main", "a.yaml"), "Department/three a.yaml:1")

	t.Run("of packed objects, with deltas", func(t *testing.T) {
		w.git("gc", "-q", "--aggressive", "--prune=now")
		equal(t, places(t, open(t, w.dir), first, "."), want...)
	})
	t.Run("from a folder inside, from which the path is taken", func(t *testing.T) {
		equal(t, places(t, open(t, filepath.Join(w.dir, "teams")), first, "b.yaml"), "Department/two teams/b.yaml:2")
	})
	t.Run("from another work tree", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		w.git("worktree", "add", "-q", "--detach", other, first)
		equal(t, places(t, open(t, other), "HEAD", "."), want...)
	})
	t.Run("from a bare repository", func(t *testing.T) {
		bare := filepath.Join(t.TempDir(), "bare.git")
		w.git("clone", "-q", "--bare", w.dir, bare)
		equal(t, places(t, open(t, bare), first, "."), want...)
	})
	t.Run("from a clone that borrows its objects", func(t *testing.T) {
		clone := filepath.Join(t.TempDir(), "clone")
		w.git("clone", "-q", "--shared", w.dir, clone)
		equal(t, places(t, open(t, clone), first, "."), want...)
	})
}

func TestWhatIsNotInTheRepositorySaysHowToGetIt(t *testing.T) {
	w := newWorktree(t)
	w.write("a.yaml", department("one"))
	w.commit()
	w.git("checkout", "-q", "-b", "other")
	w.commit()
	w.git("checkout", "-q", "main")
	w.commit()
	shallow := worktree{t, filepath.Join(t.TempDir(), "shallow")}
	w.git("clone", "-q", "--depth=1", "--no-single-branch", "file://"+w.dir, shallow.dir)
	for name, c := range map[string]struct {
		dir, base, want string
	}{
		"a revision that nobody knows":      {w.dir, "nonsense", `revision "nonsense" is not in the repository: fetch it, with git fetch origin nonsense`},
		"a branch that was only fetched":    {shallow.dir, "other", "did you mean origin/other?"},
		"a revision before a shallow clone": {shallow.dir, "HEAD~1", "which is a shallow clone: fetch more of the history, with git fetch --deepen=100"},
		"a merge base before it":            {shallow.dir, "origin/other", "have nothing in common in this clone, which is shallow: fetch more"},
		"an empty name":                     {w.dir, "^{tree}", "want a branch, a tag or a commit"},
		"an option in place of a name":      {w.dir, "--all", "want a branch, a tag or a commit"},
		"no repository":                     {t.TempDir(), "main", "open the Git repository of"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := OpenRepository(c.dir)
			if err == nil {
				var base *Revision
				if base, err = r.Resolve(c.base); err == nil {
					_, err = r.Fork(base, resolve(t, r, "HEAD"))
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("and a shallow clone does for what it has", func(t *testing.T) {
		equal(t, places(t, open(t, shallow.dir), "HEAD", "."), "Department/one a.yaml:1")
	})
}

func TestHeadIsComparedWithWhereItSetOut(t *testing.T) {
	w := newWorktree(t)
	fork := w.commit()
	w.git("checkout", "-q", "-b", "change")
	change := w.commit()
	w.git("checkout", "-q", "main")
	main := w.commit()
	w.git("checkout", "-q", "change")
	w.git("merge", "-q", "--no-ff", "-m", "x", "main")
	merged := w.git("rev-parse", "HEAD")
	w.git("checkout", "-q", "--orphan", "stranger")
	w.commit()

	r := open(t, w.dir)
	for name, c := range map[string]struct{ base, head, want string }{
		"a branch and main":                     {"main", change, fork},
		"main itself, once it was merged":       {"main", merged, main},
		"an ancestor":                           {fork, main, fork},
		"a descendant, of which nothing is new": {main, fork, fork},
		"the same":                              {main, main, main},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Fork(resolve(t, r, c.base), resolve(t, r, c.head))
			if err != nil || got.commit.Hash.String() != c.want {
				t.Errorf("got %v, %v, want %s", got, err, c.want)
			}
			if want := w.git("merge-base", c.base, c.head); want != c.want {
				t.Errorf("git says %s", want)
			}
		})
	}
	if _, err := r.Fork(resolve(t, r, "main"), resolve(t, r, "stranger")); err == nil || !strings.Contains(err.Error(), "have no commit in common") {
		t.Errorf("got %v", err)
	}
	tree := resolve(t, r, "main^{tree}")
	if got, err := r.Fork(tree, resolve(t, r, change)); err != nil || got != tree {
		t.Errorf("a tree is compared with %v, %v, want itself", got, err)
	}
}

func TestWhatWouldMakeAPartLookLikeAWholeIsAFault(t *testing.T) {
	w := newWorktree(t)
	w.write("good.yaml", department("good"))
	w.write("broken.yaml", "a: [1\nb: 2\n")
	w.write("conflict.yaml", department("a")+"<<<<<<< HEAD\n")
	w.write("twice.yaml", department("good"))
	w.write("kind.yaml", header+"kind: Rolle\n")
	w.write("binary.yaml", "a\x00b")
	w.write("pointer.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
	w.write("large.yaml", strings.Repeat("#", 100<<20))
	w.write("large.bin", strings.Repeat("#", 11<<20))
	for name, target := range map[string]string{"out.yaml": "../../etc/passwd", "absolute": "/etc", "inside.yaml": "good.yaml"} {
		if err := os.Symlink(target, filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.commit()
	r := open(t, w.dir)
	committed, err := r.Files(resolve(t, r, "HEAD"), ".")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := Folder(w.dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]*Files{"": committed, w.dir + "/": folder} {
		tree, err := load(t, files)
		var got []string
		for _, fault := range manifest.Faults(err) {
			line, _, _ := strings.Cut(strings.TrimPrefix(fault.Error(), name), " with")
			got = append(got, line)
		}
		if tree != nil {
			t.Error("a tree with faults is given out")
		}
		for _, want := range []string{
			"absolute: is a symbolic link that leads out of the tree", "binary.yaml:1: is not a text file", "broken.yaml:1: is no valid YAML",
			"conflict.yaml:6: holds a merge conflict", `kind.yaml:2: unknown kind "Rolle"`, "large.yaml: is larger than 10 MiB",
			"out.yaml: is a symbolic link that leads out of the tree", "pointer.yaml:1: is a pointer of Git LFS", "twice.yaml:1: Department/good: stands already at",
		} {
			if n := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }); n < 0 {
				t.Errorf("no fault %q in\n%s", want, strings.Join(got, "\n"))
			} else {
				got = slices.Delete(got, n, n+1)
			}
		}
		if len(got) > 0 {
			t.Errorf("more than that: %q", got)
		}
	}
}

func TestSubmodulesAreNotEntered(t *testing.T) {
	inner := newWorktree(t)
	inner.write("a.yaml", department("inner"))
	inner.commit()
	w := newWorktree(t)
	w.write("a.yaml", department("outer"))
	w.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.dir, "sub")
	w.commit()
	r := open(t, w.dir)
	files, err := r.Files(resolve(t, r, "HEAD"), ".")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, placesIn(tree), "Department/outer a.yaml:1")
	if len(tree.Notes) != 1 || !strings.HasPrefix(tree.Notes[0].String(), "sub: is a submodule") {
		t.Errorf("notes are %v", tree.Notes)
	}
}

func TestContentThatDoesNotChangeIsDeclaredOnce(t *testing.T) {
	w := newWorktree(t)
	w.write("a.yaml", department("same"))
	w.write("b.yaml", department("other"))
	base := w.commit()
	w.git("mv", "a.yaml", "moved.yaml")
	w.write("b.yaml", department("new"))
	head := w.commit()
	r := open(t, w.dir)
	reader, err := manifest.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	var same []*access.Department
	for _, revision := range []string{base, head} {
		files, err := r.Files(resolve(t, r, revision), ".")
		if err != nil {
			t.Fatal(err)
		}
		tree, err := files.Load(reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Tenants[""].Declarations.Departments {
			if d.Name == "same" {
				same = append(same, d)
			}
		}
		if revision == head {
			equal(t, placesIn(tree), "Department/new b.yaml:1", "Department/same moved.yaml:1")
		}
	}
	if len(same) != 2 || same[0] != same[1] {
		t.Errorf("the department is declared %d times, want one declaration that both trees share", len(same))
	}
}
