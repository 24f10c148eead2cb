package source

import (
	"os"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// overlays is a base with two overlays.
func overlays(t *testing.T) worktree {
	w := newWorktree(t)
	w.write("base/kustomization.yaml", "resources: [departments.yaml, more]\n")
	w.write("base/departments.yaml", "# all\n"+department("hq")+"---\n"+department("sales"))
	w.write("base/more/kustomization.yaml", "resources: [east.yaml]\n")
	w.write("base/more/east.yaml", department("east"))
	w.write("base/left-out.yaml", department("left-out"))
	w.write("prod/kustomization.yaml", "resources: [../base]\nnamespace: prod\npatches:\n- path: sales.yaml\n")
	w.write("prod/sales.yaml", header+"kind: Department\nmetadata:\n  name: sales\nspec:\n  parent: hq\n")
	w.write("test/kustomization.yaml", "resources: [../base]\nnamespace: test\n")
	w.write("plain/a.yaml", department("plain"))
	w.commit()
	return w
}

// bothOf are the files of a path as they stand in the folder, and as they are committed.
func bothOf(t *testing.T, w worktree, path string) map[string]*Files {
	t.Helper()
	folder, err := Folder(w.dir, path)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, w.dir)
	committed, err := r.Files(resolve(t, r, "HEAD"), path)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Files{w.dir + "/": folder, "": committed}
}

func TestAnOverlayIsRendered(t *testing.T) {
	w := overlays(t)
	for prefix, files := range bothOf(t, w, "prod") {
		tree, err := load(t, files)
		if err != nil {
			t.Fatal(err)
		}
		if len(tree.Tenants) != 1 || tree.Tenants["prod"] == nil {
			t.Fatalf("tenants are %v, want prod", tree.Tenants)
		}
		equal(t, placesIn(tree), "Department/east "+prefix+"base/more/east.yaml:1", "Department/hq "+prefix+"base/departments.yaml:2", "Department/sales "+prefix+"base/departments.yaml:8")
		for _, d := range tree.Tenants["prod"].Declarations.Departments {
			if (d.Name == "sales") != (d.Parent == "hq") {
				t.Errorf("%s has parent %q: is it patched?", d.Name, d.Parent)
			}
		}
		for ref, object := range tree.Tenants["prod"].Objects {
			if len(object.GetAnnotations()) > 0 {
				t.Errorf("%s has annotations that nobody wrote: %v", ref, object.GetAnnotations())
			}
		}
	}
}

func TestTheBasesOfOverlaysAreNotCountedTwice(t *testing.T) {
	for prefix, files := range bothOf(t, overlays(t), ".") {
		tree, err := load(t, files)
		if err != nil {
			t.Fatal(err)
		}
		if len(tree.Tenants) != 3 {
			t.Errorf("%s: tenants are %v, want prod, test, and the plain one", prefix, tree.Tenants)
		}
		for namespace, want := range map[string]int{"prod": 3, "test": 3, "": 1} {
			if got := len(tree.Tenants[namespace].Declarations.Departments); got != want {
				t.Errorf("%q has %d departments, want %d", namespace, got, want)
			}
		}
	}
}

func TestAKustomizationReachesNothingElse(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // neither git nor anything else is run
	for name, c := range map[string]struct{ text, want string }{
		"a file of the web":         {"resources:\n- https://127.0.0.1:1/a.yaml\n", ":2: https://127.0.0.1:1/a.yaml is not in this tree"},
		"a repository":              {"resources:\n- github.com/crmaccess/crm-access-operator\n", ":2: github.com/crmaccess/crm-access-operator is not in this tree"},
		"a repository over SSH":     {"bases:\n- git@example.com:a/b\n", ":2: git@example.com:a/b is not in this tree"},
		"a component of the web":    {"components: ['ssh://a/b']\n", ":1: ssh://a/b is not in this tree"},
		"a patch of the web":        {"patches:\n- path: http://127.0.0.1:1/p.yaml\n", ":2: http://127.0.0.1:1/p.yaml is not in this tree"},
		"a schema of the web":       {"openapi: {path: 'http://127.0.0.1:1/s'}\n", ":1: http://127.0.0.1:1/s is not in this tree"},
		"settings of the web":       {"configMapGenerator:\n- name: a\n  files: ['x=http://127.0.0.1:1/s']\n", "is not in this tree"},
		"a program":                 {"transformers:\n- |\n  apiVersion: a/v1\n", ":2: transformers: neither plugins nor charts are run"},
		"a chart":                   {"helmCharts:\n- name: a\n", ":2: helmCharts: neither plugins nor charts are run"},
		"a file above its folder":   {"resources: [../secret.yaml]\n", ":: cannot be rendered: "},
		"a file outside the tree":   {"resources: [../../../../../../etc/passwd]\n", ":: cannot be rendered: "},
		"itself":                    {"resources: [.]\n", ":: cannot be rendered: "},
		"a file that is not there":  {"resources: [none.yaml]\n", ":: cannot be rendered: "},
		"a field that is misspelt":  {"resource: [a.yaml]\n", ":: cannot be rendered: "},
		"a link that leads outside": {"resources: [link.yaml]\n", ":: cannot be rendered: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := worktree{t, dir}
			w.write("secret.yaml", department("secret"))
			w.write("overlay/kustomization.yaml", c.text)
			if err := os.Symlink("/etc/hostname", dir+"/overlay/link.yaml"); err != nil {
				t.Fatal(err)
			}
			files, err := Folder(dir, "overlay")
			if err != nil {
				t.Fatal(err)
			}
			tree, err := load(t, files)
			faults := manifest.Faults(err)
			if tree != nil || len(faults) == 0 {
				t.Fatalf("got %v, %v, want a fault", tree, err)
			}
			want := strings.Replace(c.want, "::", ":", 1)
			if got := faults[0].Error(); !strings.HasPrefix(got, dir+"/overlay/kustomization.yaml:") || !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAFaultInWhatIsRenderedPointsToWhereItComesFrom(t *testing.T) {
	w := newWorktree(t)
	w.write("kustomization.yaml", "resources: [a.yaml]\n")
	w.write("a.yaml", "# two\n"+department("one")+"---\n"+header+"kind: Department\nmetadata:\n  name: two\nspec:\n  colour: red\n")
	w.commit()
	for prefix, files := range bothOf(t, w, ".") {
		_, err := load(t, files)
		if want := prefix + "a.yaml:13: Department/two: spec.colour: unknown field"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
