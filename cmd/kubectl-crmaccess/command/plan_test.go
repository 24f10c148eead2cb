package command_test

import (
	"strings"
	"testing"
)

const (
	planHeader     = "apiVersion: crmaccess.io/v1alpha1\n"
	planDepartment = planHeader + "kind: Department\nmetadata: {name: sales, namespace: huayue}\nspec: {}\n"
)

func TestPlanEndsWithCodesOfItsOwn(t *testing.T) {
	same := write(t, map[string]string{"a.yaml": planDepartment})
	broken := write(t, map[string]string{"a.yaml": planHeader + "kind: Rolle\n", "b.yaml": "<<<<<<< HEAD\n"})
	for name, c := range map[string]struct {
		args []string
		code int
		want []string // in what is printed to standard error
	}{
		"0 where nothing changes":      {args: []string{"--base-dir", same, "--head-dir", same}},
		"1 where a tree has a fault":   {args: []string{"--base-dir", same, "--head-dir", broken}, code: 1, want: []string{"a.yaml:2: unknown kind", "b.yaml:1: holds a merge conflict"}},
		"1 where both trees have some": {args: []string{"--base-dir", broken, "--head-dir", broken}, code: 1, want: []string{"a.yaml:2: unknown kind", "(in " + broken}},
		"1 for a flag that is unknown": {args: []string{"--nonsense"}, code: 1, want: []string{"unknown flag: --nonsense"}},
		"1 without a base":             {args: []string{"--head-dir", same}, code: 1, want: []string{"name what to compare with"}},
		"1 for two bases":              {args: []string{"--base", "a", "--base-dir", same, "--head-dir", same}, code: 1, want: []string{"exclude one another"}},
		"1 for two paths":              {args: []string{"--base-dir", same, "--head-dir", same, "a", "b"}, code: 1, want: []string{"want one PATH at most"}},
		"1 for an unknown output":      {args: []string{"--base-dir", same, "--head-dir", same, "-o", "xml"}, code: 1, want: []string{`unknown output "xml"`}},
		"1 for an unknown language":    {args: []string{"--base-dir", same, "--head-dir", same, "--lang", "fr"}, code: 1, want: []string{"--lang"}},
		"1 for a misspelt rule":        {args: []string{"--base-dir", same, "--head-dir", same, "--fail-on", "exprot"}, code: 1, want: []string{"did you mean export?"}},
		"1 for a path in neither":      {args: []string{"--base-dir", same, "--head-dir", same, "none"}, code: 1, want: []string{"there is no none in " + same}},
		"1 for a folder that is not":   {args: []string{"--base-dir", same + "/none", "--head-dir", same}, code: 1, want: []string{"no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := sitting{}.run(append([]string{"plan"}, c.args...)...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d:\n%s%s", r.code, c.code, r.out, r.err)
			}
			if r.code == 1 && r.out != "" {
				t.Errorf("an error with a plan:\n%s", r.out)
			}
			for _, want := range c.want {
				if !strings.Contains(r.err, want) {
					t.Errorf("got %q, want %q in it", r.err, want)
				}
			}
		})
	}
}
