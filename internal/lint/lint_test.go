package lint_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	. "github.com/crmaccess/crm-access-operator/internal/lint"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const header = "apiVersion: crmaccess.io/v1alpha1\n"

// company is clean but for one privileged binding.
const company = header + `kind: ObjectType
metadata: {name: customer}
spec:
  displayName: Customer
  actions: [read, update]
  fields:
  - {name: name, class: public}
  - {name: phone, class: confidential}
---
` + header + `kind: Department
metadata: {name: sales}
spec: {displayName: Sales}
---
` + header + `kind: User
metadata: {name: lina}
spec: {displayName: Lina, type: Employee, title: Sales rep, department: sales, state: Active}
---
` + header + `kind: Role
metadata: {name: rep}
spec:
  displayName: Rep
  grants:
  - {object: customer, actions: [read], scopes: [own]}
---
` + header + `kind: UserBinding
metadata: {name: reps}
spec:
  subjects:
  - {selector: {department: sales, title: Sales rep}}
  roles: [rep]
`

// check lints the company with one more file.
func check(t *testing.T, extra string) []string {
	t.Helper()
	return checkChange(t, extra, nil)
}

// checkChange lints the company with one more file as a change of a tree.
func checkChange(t *testing.T, extra string, base *manifest.Tree) []string {
	t.Helper()
	files := fstest.MapFS{"company.yaml": {Data: []byte(company)}, "extra.yaml": {Data: []byte(extra)}}
	tree, err := manifest.LoadFS(files)
	faults := manifest.Faults(err)
	if err != nil && len(faults) == 0 {
		t.Fatal(err)
	}
	report := Check(tree, faults, func(object manifest.Source, field string) manifest.Source {
		return ReadLines(files[object.File].Data).Find(object, field)
	}, Options{At: schedule.At(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)), OlderThan: 30 * 24 * time.Hour, Base: base})
	lines := make([]string, len(report.Findings))
	for i, f := range report.Findings {
		lines[i] = f.String()
	}
	count := func(severity string) int {
		n := 0
		for _, line := range lines {
			if strings.Contains(line, ": "+severity+": ") {
				n++
			}
		}
		return n
	}
	if report.Errors != count("error") || report.Warnings != count("warning") || report.Infos != count("info") {
		t.Errorf("counts %d errors, %d warnings, %d infos of %q", report.Errors, report.Warnings, report.Infos, lines)
	}
	return lines
}

func TestLint(t *testing.T) {
	for name, c := range map[string]struct {
		extra string
		want  []string // what the lines begin with, in order
	}{
		"a clean tree has no findings": {"", nil},
		"an unknown role is an error at its line, with the nearest name": {
			header + "kind: UserBinding\nmetadata: {name: x}\nspec:\n  subjects:\n  - {user: lina}\n  roles:\n  - rep\n  - rap\n",
			[]string{`extra.yaml:9: error: UserBinding/x: spec.roles[1]: unknown role "rap": it confers nothing; did you mean rep?`}},
		"so are an unknown field, object and action": {
			header + `kind: Role
metadata: {name: lead}
spec:
  displayName: Lead
  inherits: [{role: rep}]
  grants:
  - object: customer
    actions: [read, updat]
    scopes: [all]
    fields:
    - {field: phon, level: read}
  - {object: custmer, actions: [read], scopes: [all]}
---
` + header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: lina}], roles: [lead]}\n",
			[]string{
				`extra.yaml:9: error: Role/lead: spec.grants[0].actions[1]: unknown action of customer "updat": it is left out of the grant; did you mean update?`,
				`extra.yaml:12: error: Role/lead: spec.grants[0].fields[0].field: unknown field of customer "phon": the grant confers nothing; did you mean phone?`,
				`extra.yaml:13: error: Role/lead: spec.grants[1].object: unknown object "custmer": the grant confers nothing; did you mean customer?`,
			}},
		"a cycle is an error in each of its roles": {
			header + "kind: Role\nmetadata: {name: a}\nspec: {displayName: A, inherits: [{role: b}]}\n---\n" +
				header + "kind: Role\nmetadata: {name: b}\nspec: {displayName: B, inherits: [{role: a}]}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: lina}], roles: [a]}\n",
			[]string{
				`extra.yaml:4: error: Role/a: spec.inherits: inheritance cycle a > b > a`,
				`extra.yaml:9: error: Role/b: spec.inherits: inheritance cycle b > a > b`,
				`extra.yaml:14: error: UserBinding/x: spec.roles[0]: role "a" does not compile`,
			}},
		"a role that nothing uses is an info, also where only unused ones inherit it": {
			header + "kind: Role\nmetadata: {name: base}\nspec: {displayName: Base, abstract: true}\n---\n" +
				header + "kind: Role\nmetadata: {name: idle}\nspec: {displayName: Idle, inherits: [{role: base}]}\n",
			[]string{`extra.yaml:1: info: Role/base: unused`, `extra.yaml:6: info: Role/idle: unused`}},
		"who gives a privileged role is a warning, also by inheritance, and a selector is advised against": {
			header + "kind: Role\nmetadata: {name: admin}\nspec: {displayName: Admin, privileged: true}\n---\n" +
				header + "kind: Role\nmetadata: {name: chief}\nspec: {displayName: Chief, inherits: [{role: admin}]}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{selector: {department: sales}}], roles: [chief]}\n---\n" +
				header + "kind: TemporaryGrant\nmetadata: {name: g}\nspec: {users: [lina], roles: [admin], notAfter: \"2027-01-01T00:00:00Z\", reason: r, requestedBy: lina}\n",
			[]string{
				`extra.yaml:14: warning: UserBinding/x: spec.roles[0]: gives the privileged role chief > admin to a selector: name its users instead`,
				`extra.yaml:19: warning: TemporaryGrant/g: spec.roles[0]: gives the privileged role admin to lina until 2027-01-01T00:00:00Z`,
			}},
		"a misspelt title is a warning": {
			header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{selector: {department: sales, title: Sales rap}}], roles: [rep]}\n",
			[]string{`extra.yaml:4: warning: UserBinding/x: spec.subjects[0].selector.title: no user has the title "Sales rap": the selector matches nobody; did you mean Sales rep?`}},
		"a binding that nobody matches is an info": {
			header + "kind: Department\nmetadata: {name: empty}\nspec: {displayName: Empty}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{selector: {department: empty}}], roles: [rep]}\n",
			[]string{`extra.yaml:6: info: UserBinding/x: gives nobody a role now`}},
		"an object given twice is an error": {
			header + "kind: User\nmetadata: {name: lina}\nspec: {displayName: Lina, type: Employee, state: Active}\n",
			[]string{`extra.yaml:1: error: User/lina: stands already at company.yaml:`}},
		"what the API server would refuse is an error, and what refers to it is not told again": {
			header + "kind: Role\nmetadata: {name: lead}\nspec: {displayName: Lead, privilegd: true}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: lina}], roles: [lead]}\n",
			[]string{`extra.yaml:4: error: Role/lead: spec.privilegd: unknown field; did you mean privileged?`}},
		"what is no YAML is an error": {
			"a: [", []string{`extra.yaml:1: error: is no valid YAML`}},
		"what was left out by accident is a warning": {
			"kind: Role\nmetadata: {name: x}\nspec: {}\n", []string{`extra.yaml:1: warning: has kind Role but no apiVersion`}},
		"an item of a list stands at its own line": {
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: crmaccess.io/v1alpha1\n  kind: UserBinding\n  metadata: {name: x}\n  spec:\n    subjects: [{user: lina}]\n    roles: [rep, nobody]\n",
			[]string{`extra.yaml:9: error: UserBinding/x: spec.roles[1]: unknown role "nobody"`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := check(t, c.extra)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("finds\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
		})
	}
}

func TestTheOrderOfFindingsIsThatOfFilesAndLines(t *testing.T) {
	extra := header + "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: nobody}, {user: noone}], roles: [r1, r2, r3]}\n"
	first := check(t, extra)
	for range 20 {
		if again := check(t, extra); !slices.Equal(first, again) {
			t.Fatalf("finds %q, then %q", first, again)
		}
	}
}

func TestWhatCannotBeReadAgainLeavesTheObjectsLine(t *testing.T) {
	at := manifest.Source{File: "a.yaml", Line: 3}
	var missing *Lines
	for name, lines := range map[string]*Lines{"no file": missing, "no YAML": ReadLines([]byte("a: [")), "another file": ReadLines([]byte("a: 1"))} {
		if got := lines.Find(at, "spec.roles"); got != at {
			t.Errorf("%s: %v, want %v", name, got, at)
		}
	}
}

func TestLintTellsWhatHasEnded(t *testing.T) {
	grant := func(name, notAfter string) string {
		return header + "kind: TemporaryGrant\nmetadata: {name: " + name + "}\nspec: {users: [lina], roles: [rep], notBefore: \"2026-01-01T00:00:00Z\", notAfter: \"" + notAfter + "\", reason: r}\n"
	}
	const (
		long   = "2026-10-22T01:59:59Z"
		lately = "2026-10-22T02:00:00Z"
		live   = "2026-11-21T02:00:01Z"
	)
	base, err := manifest.LoadFS(fstest.MapFS{"a.yaml": {Data: []byte(grant("old", long))}})
	if err != nil {
		t.Fatal(err)
	}
	old := "extra.yaml:4: info: TemporaryGrant/old: spec.notAfter: ended at " + long + ": take it out with kubectl crmaccess prune-expired"
	for name, c := range map[string]struct {
		extra string
		base  *manifest.Tree
		want  []string
	}{
		"long ago":                       {grant("old", long), nil, []string{old}},
		"lately, and not yet":            {grant("old", lately) + "---\n" + grant("other", live), nil, nil},
		"long ago, and stood there":      {grant("old", long), base, []string{old}},
		"before it was there":            {grant("new", lately), base, []string{"extra.yaml:4: error: TemporaryGrant/new: spec.notAfter: is new and ended at " + lately + ": it confers nothing"}},
		"new, and not yet":               {grant("new", live), base, nil},
		"ended early, by a change of it": {grant("old", lately), base, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := checkChange(t, c.extra, c.base); !slices.Equal(got, c.want) {
				t.Errorf("finds %q, want %q", got, c.want)
			}
		})
	}
}

func TestLintTellsRolesThatNobodyReaches(t *testing.T) {
	role := func(name, inherits string) string {
		return header + "kind: Role\nmetadata: {name: " + name + "}\nspec: {displayName: R, inherits: [" + inherits + "], grants: [{object: customer, actions: [read], scopes: [own]}]}\n---\n"
	}
	got := check(t, role("lower", "")+role("upper", "{role: lower}")+header+"kind: UserBinding\nmetadata: {name: ended}\nspec: {subjects: [{selector: {department: sales, title: Sales rep}}], roles: [rep]}\n---\n"+
		header+"kind: TemporaryGrant\nmetadata: {name: over}\nspec: {users: [lina], roles: [upper], notBefore: \"2026-11-01T00:00:00Z\", notAfter: \"2026-11-20T00:00:00Z\", reason: r}\n")
	want := []string{
		"extra.yaml:1: info: Role/lower: unreachable: nobody holds it or a role that inherits it, now or later",
		"extra.yaml:6: info: Role/upper: unreachable: nobody holds it or a role that inherits it, now or later",
	}
	if !slices.Equal(got, want) {
		t.Errorf("finds %q, want %q", got, want)
	}
}
