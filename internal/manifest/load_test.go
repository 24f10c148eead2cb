package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

const header = "apiVersion: crmaccess.io/v1alpha1\n"

const department = header + "kind: Department\nmetadata: {name: sales}\nspec: {}\n"

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       []string // one for each fault, in order
	}{
		"an unknown field, naming the nearest one": {
			text: header + "kind: Role\nmetadata: {name: a}\nspec:\n  grants:\n  - object: lead\n    actions: [read]\n    scope: [own]\n    scopes: [own]\n",
			want: []string{"a.yaml:8: Role/a: spec.grants[0].scope: unknown field; did you mean scopes?"},
		},
		"an unknown field that is like no other": {
			text: header + "kind: Department\nmetadata: {name: a}\nspec:\n  colour: red\n",
			want: []string{"a.yaml:5: Department/a: spec.colour: unknown field"},
		},
		"an unknown field of the metadata": {
			text: header + "kind: Department\nmetadata:\n  name: a\n  label: {x: y}\nspec: {}\n",
			want: []string{"a.yaml:5: Department/a: metadata.label: unknown field; did you mean labels?"},
		},
		"an unknown field beside the spec": {
			text: header + "kind: Department\nmetadata: {name: a}\nsepc: {}\nspec: {}\n",
			want: []string{"a.yaml:4: Department/a: sepc: unknown field; did you mean spec?"},
		},
		"an unknown kind, naming the nearest one": {
			text: header + "kind: UserBindings\nmetadata: {name: a}\n",
			want: []string{`a.yaml:2: unknown kind "UserBindings" of crmaccess.io; did you mean UserBinding?`},
		},
		"an unknown version": {
			text: "apiVersion: crmaccess.io/v1\nkind: Role\nmetadata: {name: a}\n",
			want: []string{`a.yaml:1: unknown version "v1" of crmaccess.io: want crmaccess.io/v1alpha1`},
		},
		"a key given twice": {
			text: department + "spec:\n  parent: hq\n",
			want: []string{`a.yaml:5: key "spec" is given twice; it stands already in line 4`},
		},
		"a key given twice deep inside": {
			text: "---\n" + header + "kind: Role\nmetadata: {name: a}\nspec:\n  grants:\n  - object: lead\n    actions: [read]\n    scopes: [own]\n    scopes: [all]\n",
			want: []string{`a.yaml:10: key "scopes" is given twice; it stands already in line 9`},
		},
		"an object given twice": {
			text: department + "---\n" + department,
			want: []string{"a.yaml:6: Department/sales: stands already at a.yaml:1: keep one of the two"},
		},
		"a tab": {
			text: "# first\n" + header + "kind: Department\nmetadata:\n\tname: sales\n",
			want: []string{"a.yaml:5: is no valid YAML: is indented with a tab: YAML wants spaces"},
		},
		"a merge conflict": {
			text: header + "<<<<<<< HEAD\nkind: Role\n=======\nkind: User\n>>>>>>> other\n",
			want: []string{"a.yaml:2: holds a merge conflict"},
		},
		"the end of a merge conflict": {
			text: department + "\n>>>>>>> other\n",
			want: []string{"a.yaml:6: holds a merge conflict"},
		},
		"a file that is no text":  {text: "\x00\x01\x02", want: []string{"a.yaml:1: is not a text file"}},
		"a file in UTF-16":        {text: "\xff\xfea\x00", want: []string{"a.yaml: is UTF-16: save it as UTF-8"}},
		"a file in another code":  {text: "ok\nspec: \xb0\xae\n", want: []string{"a.yaml:2: is not UTF-8"}},
		"what is no YAML at all":  {text: "# c\n---\na: [1\nb: 2\n", want: []string{"a.yaml:3: is no valid YAML: "}},
		"text behind a separator": {text: "--- a: 1\n", want: []string{"a.yaml:1: put the document below the line ---"}},
		"a second document without a separator": {
			text: department + "...\n" + department,
			want: []string{"a.yaml:5: is no valid YAML: a second document begins here: put a line --- above it"},
		},
		"a name that Kubernetes refuses": {
			text: header + "kind: Department\nmetadata:\n  name: Sales_East\nspec: {}\n",
			want: []string{`a.yaml:4: Department/Sales_East: metadata.name: Invalid value: "Sales_East": a lowercase RFC 1123 subdomain`},
		},
		"an object without a name": {
			text: header + "kind: Department\nmetadata: {}\nspec: {}\n",
			want: []string{"a.yaml:3: Department/: metadata.name: Required value: name or generateName is required"},
		},
		"an object whose name is made up by the server": {
			text: header + "kind: Department\nmetadata: {generateName: sales-}\nspec: {}\n",
			want: []string{"a.yaml:3: Department/: metadata.name: Required value: what is kept in files needs a name, not generateName"},
		},
		"an object without metadata": {
			text: header + "kind: Department\nspec: {}\n",
			want: []string{"a.yaml:1: Department/: metadata: Required value: an object needs metadata.name"},
		},
		"metadata of the wrong type": {
			text: header + "kind: Department\nmetadata: [a]\nspec: {}\n",
			want: []string{"a.yaml:3: Department/: metadata: "},
		},
		"a spec of the wrong type": {
			text: header + "kind: Department\nmetadata: {name: a}\nspec: [a]\n",
			want: []string{`a.yaml:4: Department/a: spec: Invalid value: "array": spec in body must be of type object: "array"`},
		},
		"a word that YAML takes for true": {
			text: header + "kind: ObjectType\nmetadata: {name: a}\nspec:\n  state: on\n  actions: [read]\n",
			want: []string{`a.yaml:5: ObjectType/a: spec.state: Invalid value: "boolean"`, `a.yaml:5: ObjectType/a: spec.state: Unsupported value: true`},
		},
		"everything that is wrong and not only the first": {
			text: header + "kind: TemporaryGrant\nmetadata: {name: a}\nspec:\n  users: []\n  roles: [A]\n  notAfter: tomorrow\n---\n" + header + "kind: Rolle\n",
			want: []string{
				"a.yaml:4: TemporaryGrant/a: spec.reason: Required value",
				"a.yaml:5: TemporaryGrant/a: spec.users: Invalid value: 0: spec.users in body should have at least 1 items",
				"a.yaml:6: TemporaryGrant/a: spec.roles[0]: Invalid value",
				"a.yaml:7: TemporaryGrant/a: spec.notAfter: Invalid value",
				`a.yaml:10: unknown kind "Rolle" of crmaccess.io; did you mean Role?`,
			},
		},
		"a fault in an item of a List": {
			text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: x}\n- apiVersion: crmaccess.io/v1alpha1\n  kind: Department\n  metadata: {name: a}\n  spec:\n    parent: a\n",
			want: []string{"a.yaml:7: Department/a: Invalid value: a department cannot be its own parent"},
		},
		"a fault in JSON": {
			file: "a.json",
			text: "{\n\t\"apiVersion\": \"crmaccess.io/v1alpha1\",\n\t\"kind\": \"Department\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"spec\": {\n\t\t\"parnt\": \"hq\"\n\t}\n}\n",
			want: []string{"a.json:6: Department/a: spec.parnt: unknown field; did you mean parent?"},
		},
		"a fault behind an anchor": {
			text: header + "kind: Role\nmetadata: {name: a}\nspec:\n  grants:\n  - &g\n    object: lead\n    actions: [read]\n    scopes: [ownn]\n  - *g\n",
			want: []string{"a.yaml:9: Role/a: spec.grants[0].scopes[0]: Unsupported value", "a.yaml:9: Role/a: spec.grants[1].scopes[0]: Unsupported value"},
		},
		"an instant that no store can hold": {
			text: header + "kind: TemporaryGrant\nmetadata: {name: a}\nspec:\n  users: [b]\n  roles: [c]\n  reason: d\n  notAfter: \"9999-12-31T23:59:59-08:00\"\n",
			want: []string{`a.yaml:8: TemporaryGrant/a: spec.notAfter: instant "9999-12-31T23:59:59-08:00": want one before the year 10000`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file == "" {
				c.file = "a.yaml"
			}
			_, err := LoadFS(fstest.MapFS{c.file: {Data: []byte(c.text)}})
			faults := Faults(err)
			if len(faults) != len(c.want) {
				t.Fatalf("got %d faults, want %d:\n%v", len(faults), len(c.want), err)
			}
			for i, want := range c.want {
				if got := faults[i].Error(); !strings.HasPrefix(got, want) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

func TestLoadLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		note       string // the note's beginning; none: left out without a word
	}{
		"objects of other groups":     {text: "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\n"},
		"a kustomization":             {file: "kustomization.yaml", text: "resources: [a.yaml]\n"},
		"a list of records":           {text: "- {object: customer, id: a}\n"},
		"a file of comments":          {text: "# nothing\n---\n---\n# nothing either\n"},
		"an empty file":               {text: ""},
		"other files":                 {file: "a.txt", text: header + "kind: Nonsense\n"},
		"values of a chart":           {text: "kind: Deployment\nimage: x\n"},
		"a manifest without group":    {text: "kind: Role\nmetadata: {name: a}\n", note: "a.yaml:1: has kind Role but no apiVersion and is left out"},
		"a misspelt group":            {text: "apiVersion: crmacess.io/v1alpha1\nkind: Role\nmetadata: {name: a}\n", note: "a.yaml:1: is of API group crmacess.io and is left out; did you mean crmaccess.io/v1alpha1?"},
		"a group of similar name":     {text: "apiVersion: crmacess.io/v1alpha1\nkind: Ledger\nmetadata: {name: a}\n"},
		"a manifest without kind":     {text: "# x\nmetadata: {name: a}\nspec: {}\n", note: "a.yaml:2: has metadata and spec but no kind and is left out"},
		"a manifest of another owner": {text: "kind: Thing\nmetadata: {name: a}\nspec: {}\n", note: "a.yaml:1: has metadata and spec but no apiVersion and is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file == "" {
				c.file = "a.yaml"
			}
			tree, err := LoadFS(fstest.MapFS{c.file: {Data: []byte(c.text)}})
			if err != nil || len(tree.Tenants) != 0 {
				t.Fatalf("got %v, %v; want nothing", tree.Tenants, err)
			}
			if got := fmt.Sprint(tree.Notes); (c.note == "") != (len(tree.Notes) == 0) || !strings.HasPrefix(got, "["+c.note) {
				t.Errorf("notes are %s, want %q", got, c.note)
			}
		})
	}
}

func TestLoadReads(t *testing.T) {
	tree, err := LoadFS(fstest.MapFS{
		"b/two.yml":         {Data: []byte("\xef\xbb\xbf# with a byte order mark\r\n" + strings.ReplaceAll(department, "\n", "\r\n"))},
		"a.yaml":            {Data: []byte("---\n" + header + "kind: Department\nmetadata: {name: hq, namespace: huayue}\nspec: {displayName: e\u0301}\nstatus: {made: up}\n--- # next\n" + header + "kind: Department\nmetadata: {name: hq}\nspec: {}\n")},
		"c.json":            {Data: []byte("{\t\"apiVersion\": \"crmaccess.io/v1alpha1\", \"kind\": \"UserList\", \"items\": [{\"apiVersion\": \"crmaccess.io/v1alpha1\", \"kind\": \"User\", \"metadata\": {\"name\": \"li-ting\"}, \"spec\": {}}]}")},
		".hidden/d.yaml":    {Data: []byte(header + "kind: PermissionStore\nmetadata: {name: default}\nspec: {driver: sqlite, connection: {file: a.db}}\n")},
		".git/objects.yaml": {Data: []byte("<<<<<<< not read\n")},
		"f/unquoted.yaml":   {Data: []byte(header + "kind: TemporaryGrant\nmetadata: {name: g}\nspec:\n  users: [u]\n  roles: [r]\n  reason: x\n  notAfter: 2026-12-31T09:00:00+08:00\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	named, unnamed := tree.Tenants["huayue"], tree.Tenants[""]
	if named == nil || unnamed == nil || len(tree.Tenants) != 2 {
		t.Fatalf("tenants are %v, want huayue and the unnamed one", tree.Tenants)
	}
	if got := named.Declarations.Departments[0].DisplayName; got != "é" {
		t.Errorf("display name is %q, want it in NFC", got)
	}
	for ref, want := range map[access.Ref]string{
		{Kind: "Department", Name: "hq"}:           "a.yaml:8",
		{Kind: "Department", Name: "sales"}:        "b/two.yml:2",
		{Kind: "User", Name: "li-ting"}:            "c.json:1",
		{Kind: "PermissionStore", Name: "default"}: ".hidden/d.yaml:1",
		{Kind: "TemporaryGrant", Name: "g"}:        "f/unquoted.yaml:1",
	} {
		if got := unnamed.Sources[ref].String(); got != want || unnamed.Objects[ref] == nil {
			t.Errorf("%s stands at %q, want %q", ref, got, want)
		}
	}
	if user := unnamed.Declarations.Users[0]; user.State != access.StateActive || user.Type != access.UserEmployee {
		t.Errorf("the user is %+v, want the defaults", user)
	}
}

func TestLoadDoesNotFollowSymbolicLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret.yaml"), department)
	for from, to := range map[string]string{"folder": outside, "file.yaml": filepath.Join(outside, "secret.yaml"), "up.yaml": "../" + filepath.Base(outside) + "/secret.yaml"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Load(dir)
	if err != nil || len(tree.Tenants) != 0 {
		t.Fatalf("got %v, %v; want nothing", tree.Tenants, err)
	}
	if len(tree.Notes) != 3 || !strings.HasSuffix(tree.Notes[0].String(), "file.yaml: is a symbolic link, which is not followed") {
		t.Errorf("notes are %v, want one for each link", tree.Notes)
	}
}

func TestLoadLimitsTheSizeOfAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), strings.Repeat("#", MaxFileSize))
	write(t, filepath.Join(dir, "b.yaml"), strings.Repeat("#", MaxFileSize+1))
	_, err := Load(dir)
	if faults := Faults(err); len(faults) != 1 || faults[0].Error() != filepath.Join(dir, "b.yaml")+": is larger than 10 MiB: split it" {
		t.Errorf("got %v", err)
	}
}

func TestLoadOneFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), department)
	write(t, filepath.Join(dir, "b.yaml"), "<<<<<<< x\n")
	tree, err := Load(filepath.Join(dir, "a.yaml"))
	if err != nil || len(tree.Tenants[""].Declarations.Departments) != 1 {
		t.Errorf("got %v, %v", tree, err)
	}
	if _, err := Load(filepath.Join(dir, "none")); err == nil || !strings.HasPrefix(err.Error(), "read manifests: ") {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

func TestAliasesCannotBlowUp(t *testing.T) {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9))
	}
	if _, err := LoadFS(fstest.MapFS{"a.yaml": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("got %v", err)
	}
}

func TestTheSamplesLoad(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(filepath.Join(root, "config", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Notes) > 0 {
		t.Errorf("notes: %v", tree.Notes)
	}
	huayue := tree.Tenants["huayue"].Declarations
	if got := []int{len(huayue.Users), len(huayue.ObjectTypes), len(huayue.Roles), len(huayue.TemporaryGrants)}; !slices.Equal(got, []int{24, 10, 16, 3}) {
		t.Errorf("huayue has %d users, objects, roles and temporary grants, want 24, 10, 16 and 3", got)
	}
}

// Whatever stands in a file, reading it ends, and every fault says in which file.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{department, "- a\n", "a: &a [*a]\n", "{", "\t", "--- x", "<<: {a: b}", "? [a]\n: b\n", "a: !!binary x\n", header + "kind: List\nitems: {}\n",
		header + "kind: RoleList\nitems: [1, {apiVersion: crmaccess.io/v1alpha1, kind: Role}]\n", "apiVersion: 1\nkind: [x]\n",
		header + "kind: Role\nmetadata: {name: 7, labels: 3}\nspec: {grants: {}}\n",
		header + "kind: TemporaryGrant\nmetadata: {name: a}\nspec: {users: [null], grants: [null], notAfter: 2026-12-31T09:00:00Z}\n"} {
		f.Add([]byte(text))
	}
	for _, c := range testenv.Grammar(f) {
		if data, err := c.Object.MarshalJSON(); err == nil && len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := LoadFS(fstest.MapFS{"some.yaml": {Data: data}})
		for _, fault := range Faults(err) {
			if fault.Source.File != "some.yaml" || fault.Message == "" {
				t.Errorf("a fault without a file or a message: %#v", fault)
			}
		}
		if err == nil {
			for _, tenant := range tree.Tenants {
				if len(tenant.Objects) != len(tenant.Sources) {
					t.Errorf("%d objects stand at %d places and nothing is wrong", len(tenant.Objects), len(tenant.Sources))
				}
				givesStrangersNothing(t, tenant.Declarations)
			}
		}
		if _, err := parseRecords("some.yaml", data); err != nil && len(Faults(err)) == 0 {
			t.Errorf("an error without faults: %v", err)
		}
	})
}

// givesStrangersNothing: whatever is declared compiles to something, and nobody has access by it who is not declared.
func givesStrangersNothing(t *testing.T, d access.Declarations) {
	policy := access.NewPolicy(access.Resolve(d).Facts)
	for _, o := range d.ObjectTypes {
		for _, action := range o.Actions {
			for _, stranger := range []string{"", "*", "a stranger"} {
				q := &access.Request{User: stranger, Action: action, Object: o.Name, Record: &access.Record{Owner: stranger}}
				if effect := policy.Decide(0, q, nil); effect != access.Deny {
					t.Errorf("%q may %s %s: %s", stranger, action, o.Name, effect)
				}
			}
		}
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
