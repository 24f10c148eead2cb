package tidy

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var update = flag.Bool("update", false, "write samples and documentation in canonical form")

func formatted(t testing.TB, in string) (string, []manifest.Note) {
	t.Helper()
	out, notes, err := Format("access.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return string(out), notes
}

const top = "apiVersion: crmaccess.io/v1alpha1\n"

func TestFormat(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"keys stand in the order of the types": {
			"spec: {roles: [b], subjects: [{user: a}]}\nkind: UserBinding\nmetadata: {namespace: n, name: x}\napiVersion: crmaccess.io/v1alpha1\n",
			top + "kind: UserBinding\nmetadata:\n  name: x\n  namespace: n\nspec:\n  subjects:\n  - {user: a}\n  roles: [b]\n",
		},
		"labels stand in the order of the alphabet, and unknown keys last": {
			top + "kind: Department\nspec: {}\nmetadata: {labels: {b: c, a: d}, odd: 1, name: x}\n",
			top + "kind: Department\nmetadata:\n  name: x\n  labels:\n    a: d\n    b: c\n  odd: 1\nspec: {}\n",
		},
		"names whose order means nothing are sorted; scopes from narrow to wide; the actions of an object type are left": {
			top + "kind: Role\nmetadata: {name: r}\nspec: {grants: [{object: o, actions: [read, export], scopes: [all, own]}]}\n---\n" +
				top + "kind: ObjectType\nmetadata: {name: o}\nspec: {actions: [read, export]}\n",
			top + "kind: Role\nmetadata:\n  name: r\nspec:\n  grants:\n  - object: o\n    actions: [export, read]\n    scopes: [own, all]\n---\n" +
				top + "kind: ObjectType\nmetadata:\n  name: o\nspec:\n  actions: [read, export]\n",
		},
		"a list that comments divide keeps its order, one with comments beside its names does not": {
			top + "kind: TemporaryGrant\nmetadata: {name: g}\nspec:\n  users:\n    # the team\n    - zoe\n    - amy\n  roles:\n    - b # why b\n    - a # why a\n",
			top + "kind: TemporaryGrant\nmetadata:\n  name: g\nspec:\n  users:\n  # the team\n  - zoe\n  - amy\n  roles:\n  - a # why a\n  - b # why b\n",
		},
		"instants are quoted, other text where it must be": {
			top + "kind: TemporaryGrant\nmetadata: {name: 'g'}\nspec:\n  notAfter: 2026-12-31T09:00:00+08:00\n  reason: \"plain: not\"\n  ticket: \"12\"\n  requestedBy: \"li-ting\"\n",
			top + "kind: TemporaryGrant\nmetadata:\n  name: g\nspec:\n  notAfter: \"2026-12-31T09:00:00+08:00\"\n  reason: \"plain: not\"\n  requestedBy: li-ting\n  ticket: \"12\"\n",
		},
		"what some reader takes for no text keeps its quotes, and what is none gets none": {
			top + "kind: Role\nmetadata: {name: r}\nspec:\n  abstract: true\n  displayName: 'yes'\n  odd: [null, 1, 0x1F, '~', \"null\", '1e3', '2026-01-01', '=', '<<', '.5', 'y', 'a, b', a.b]\n",
			top + "kind: Role\nmetadata:\n  name: r\nspec:\n  displayName: \"yes\"\n  abstract: true\n  odd:\n  - null\n  - 1\n  - 0x1F\n  - \"~\"\n  - \"null\"\n  - \"1e3\"\n  - \"2026-01-01\"\n  - \"=\"\n  - \"<<\"\n  - \".5\"\n  - \"y\"\n  - a, b\n  - a.b\n",
		},
		"a map that is too long for a line is opened": {
			top + "kind: Guardrail\nmetadata: {name: g}\nspec: {rules: [{deny: {objects: ['*'], actions: [" + strings.Repeat("a", 60) + ", " + strings.Repeat("b", 60) + "], when: {channels: [web]}}}]}\n",
			top + "kind: Guardrail\nmetadata:\n  name: g\nspec:\n  rules:\n  - deny:\n      objects: [\"*\"]\n      actions:\n      - " + strings.Repeat("a", 60) + "\n      - " + strings.Repeat("b", 60) + "\n      when: {channels: [web]}\n",
		},
		"comments stay with what they are about": {
			"# heads the file\n\n# about the role\n" + top + "kind: Role # a role\nspec: # all of it\n  # what it inherits\n  inherits: [\n    {role: b}, # first b\n    # then a\n    {role: a}\n  ] # two\n  # its name\n  displayName: R\n  # - not now\n# named\nmetadata: {name: r}\n\n# the end\n",
			"# heads the file\n\n# about the role\n" + top + "kind: Role # a role\n# named\nmetadata:\n  name: r\nspec: # all of it\n  # its name\n  displayName: R\n  # - not now\n  # what it inherits\n  inherits: # two\n  - {role: b} # first b\n  # then a\n  - {role: a}\n\n# the end\n",
		},
		"what looks like a comment and is none stays": {
			top + "kind: User\nmetadata: {name: u}\nspec:\n  displayName: 'a # b'\n  title: a#b\n  email: \"x \\\" # y\"\n  employeeNumber: |\n    # text\n     more\n  # true\n  state: Active\n",
			top + "kind: User\nmetadata:\n  name: u\nspec:\n  displayName: \"a # b\"\n  employeeNumber: |\n    # text\n     more\n  email: 'x \" # y'\n  title: a#b\n  # true\n  state: Active\n",
		},
		"one separator stands between two documents, and none above the first": {
			"---\n---\n" + top + "kind: Role\nmetadata:\n  name: a\n--- # b follows\n\n\n" + top + "kind: Role\nmetadata:\n  name: b\n---\n---\n",
			top + "kind: Role\nmetadata:\n  name: a\n---\n# b follows\n" + top + "kind: Role\nmetadata:\n  name: b\n",
		},
		"documents of others keep every byte, also between ours": {
			"---\nkind:   ConfigMap\napiVersion:  v1\ndata: {b: 1,   a: 2}   \n---\n" + top + "metadata: {name: a}\nkind: Role\n---\n- just\n-   a list",
			"---\nkind:   ConfigMap\napiVersion:  v1\ndata: {b: 1,   a: 2}   \n---\n" + top + "kind: Role\nmetadata:\n  name: a\n---\n- just\n-   a list",
		},
		"a list of our objects": {
			"apiVersion: v1\nitems:\n- spec: {}\n  # named\n  metadata: {name: a}\n  kind: Role\n  apiVersion: crmaccess.io/v1alpha1\nkind: List\n",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: crmaccess.io/v1alpha1\n  kind: Role\n  # named\n  metadata:\n    name: a\n  spec: {}\n",
		},
		"a list with an object of others is left": {
			"apiVersion: v1\nitems:\n- {kind: Role, apiVersion: crmaccess.io/v1alpha1}\n- {kind: Pod, apiVersion: v1}\nkind: List\n",
			"apiVersion: v1\nitems:\n- {kind: Role, apiVersion: crmaccess.io/v1alpha1}\n- {kind: Pod, apiVersion: v1}\nkind: List\n",
		},
		"line ends stay those of the file, a mark at its start goes": {
			"\xef\xbb\xbfkind: Role\r\napiVersion: crmaccess.io/v1alpha1\r\n",
			"apiVersion: crmaccess.io/v1alpha1\r\nkind: Role\r\n",
		},
		"JSON in a YAML file is opened": {
			`{"kind":"Role","apiVersion":"crmaccess.io/v1alpha1","metadata":{"name":"r"}}`,
			top + "kind: Role\nmetadata:\n  name: r\n",
		},
		"text over several lines stays in several lines": {
			top + "kind: UserBinding\nmetadata: {name: b}\nspec:\n    justification: >-   # why\n         because\n         of this\n    roles: [a]\n",
			top + "kind: UserBinding\nmetadata:\n  name: b\nspec:\n  roles: [a]\n  justification: >- # why\n    because\n    of this\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, notes := formatted(t, c.in)
			if got != c.want || len(notes) > 0 {
				t.Errorf("comes to\n%s\nwant\n%s\nnotes: %v", got, c.want, notes)
			}
			if again, _ := formatted(t, got); again != got {
				t.Errorf("comes to, the second time,\n%s\nand the first\n%s", again, got)
			}
		})
	}
}

func TestWhatCannotBeWrittenDifferentlyIsLeftWithANote(t *testing.T) {
	for name, c := range map[string]struct{ in, note string }{
		"an anchor":       {"kind: Role\napiVersion: crmaccess.io/v1alpha1\nspec:\n  inherits: &a [{role: b}]\n", "access.yaml:1: line 4 has an anchor or alias: left as it is"},
		"a tag":           {"# x\n---\nkind: Role\napiVersion: crmaccess.io/v1alpha1\nspec: {displayName: !!str 5}\n", "access.yaml:3: line 3 has a tag: left as it is"},
		"a directive":     {"%YAML 1.1\n---\nkind: Role\napiVersion: crmaccess.io/v1alpha1\n", ""},
		"an end":          {"kind: Role\napiVersion: crmaccess.io/v1alpha1\n...\n", "access.yaml:1: it has a directive or an end of document: left as it is"},
		"mixed line ends": {"kind: Role\r\napiVersion: crmaccess.io/v1alpha1\n", "access.yaml:1: it mixes line ends: left as it is"},
	} {
		t.Run(name, func(t *testing.T) {
			out, notes, err := Format("access.yaml", []byte(c.in))
			if c.note == "" {
				if err == nil || out != nil {
					t.Errorf("comes to %q, %v", out, err)
				}
				return
			}
			if string(out) != c.in || len(notes) != 1 || notes[0].String() != c.note {
				t.Errorf("comes to %q, %v, %v; want it unchanged, with %q", out, notes, err, c.note)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNotFormattedAndSaysWhere(t *testing.T) {
	for in, want := range map[string]string{
		"a: b\n---\na: {{ .Values.x }}\n":          "access.yaml:3: is no valid YAML: ",
		"<<<<<<< HEAD\na: b\n":                     "access.yaml:1: holds a merge conflict",
		top + "kind: Role\nkind: Role\n":           "access.yaml:3: key \"kind\" is given twice",
		"kind: Role\x00":                           "access.yaml:1: is not a text file",
		top + "kind: Role\nmetadata:\n\tname: x\n": "access.yaml:4: is no valid YAML: is indented with a tab",
	} {
		out, _, err := Format("access.yaml", []byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), want) || out != nil {
			t.Errorf("%q comes to %q, %v; want %q", in, out, err, want)
		}
	}
	if out, _, err := Format("access.json", []byte("{\n\t\"b\": 1, \"a\": 2}")); err != nil || string(out) != "{\n\t\"b\": 1, \"a\": 2}" {
		t.Errorf("JSON comes to %q, %v", out, err)
	}
}

// repositoryFiles are the manifests and pages that people copy from.
func repositoryFiles(t testing.TB, extension string) []string {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, folder := range []string{"config/samples", "examples", "docs", "README.md"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && filepath.Ext(name) == extension {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 10 {
		t.Fatalf("%d files %s: are they found?", len(files), extension)
	}
	return files
}

// go test ./internal/tidy -run Repository -update formats them.
func TestTheManifestsOfTheRepositoryAreInCanonicalForm(t *testing.T) {
	for _, file := range repositoryFiles(t, ".yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, notes, err := Format(file, data)
		if err != nil || len(notes) > 0 {
			t.Errorf("%v %v", err, notes)
			continue
		}
		settle(t, file, string(data), string(out))
	}
}

func TestTheExamplesInTheDocumentationOfTheRepositoryAreInCanonicalForm(t *testing.T) {
	examples := 0
	for _, page := range repositoryFiles(t, ".md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.SplitAfter(string(data), "```yaml\n")
		for i := range blocks[1:] {
			example, rest, _ := strings.Cut(blocks[i+1], "```")
			out, notes, err := Format(page+".yaml", []byte(example))
			if err != nil {
				continue // a part of something, or a template
			}
			if len(notes) > 0 {
				t.Errorf("%v", notes)
			}
			if strings.Contains(example, top) {
				examples++
			}
			blocks[i+1] = string(out) + "```" + rest
		}
		settle(t, page, string(data), strings.Join(blocks, ""))
	}
	if examples < 12 {
		t.Errorf("%d examples: are they found?", examples)
	}
}

func settle(t *testing.T, file, is, want string) {
	t.Helper()
	switch {
	case is == want:
	case *update:
		if err := Replace(file, []byte(want)); err != nil {
			t.Error(err)
		}
	default:
		t.Errorf("%s is not in canonical form: run this test with -update", file)
	}
}

// documentsOf are the documents of ours in samples and documentation.
func documentsOf(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, file := range repositoryFiles(t, ".yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range readText(data).chunks {
			if strings.Contains(c.body, top) {
				out = append(out, c.body)
			}
		}
	}
	slices.Sort(out)
	return out
}
