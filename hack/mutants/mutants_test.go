package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// organisation is a module with a rule that a test misses and one that none does.
func organisation(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module organisation\n\ngo 1.26\n",
		"rules/rules.go": `package rules

func Read(level int) bool { return level > 1 }

func Edit(level int) bool { return level > 2 }
`,
		"rules/rules_test.go": `package rules

import (
	"os"
	"testing"
)

func TestRead(t *testing.T) {
	if _, err := os.Stat("rules.go"); err != nil || Read(1) || !Read(2) {
		t.Error("not so")
	}
}

func TestFails(t *testing.T) { t.Error("always") }
`,
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// tried tries what a file of mutants says, and returns what was said.
func tried(t *testing.T, root, mutants string) (said string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mutants.yaml")
	if err := os.WriteFile(file, []byte(mutants), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	err = run(t.Context(), file, "", false, trial{root: root, limit: 5 * time.Second, parallel: 1, say: say})
	return strings.Join(lines, "\n"), err
}

func entry(find, replace, run string) string {
	return fmt.Sprintf("- {rule: a rule, file: rules/rules.go, find: %q, replace: %q, test: {package: ./rules, run: %s}}\n", find, replace, run)
}

func TestWhatCameOfAMutantIsSaid(t *testing.T) {
	root := organisation(t)
	before, err := os.ReadFile(filepath.Join(root, "rules", "rules.go"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mutant string
		says   string
		fails  bool
	}{
		"a rule that a test misses is killed":     {entry("level > 1", "level > 0", "TestRead"), "killed: rules/rules.go: a rule", false},
		"a rule that no test misses survives":     {entry("level > 2", "level > 1", "TestRead"), "SURVIVED: rules/rules.go: a rule", true},
		"a text that is gone is reported":         {entry("level > 7", "level > 1", "TestRead"), "find text is not there once: rules/rules.go: a rule", true},
		"a text that is there twice is reported":  {entry("return level", "return 1+level", "TestRead"), "find text is not there once", true},
		"what does not compile kills nothing":     {entry("level > 1", "levels > 1", "TestRead"), "does not compile: rules/rules.go: a rule", true},
		"one survivor among others is one":        {entry("level > 1", "level > 0", "TestRead") + entry("level > 2", "true", "TestRead"), "1 killed, 1 SURVIVED", true},
		"a file of another name is not there":     {strings.Replace(entry("level > 1", "true", "TestRead"), "rules.go", "rule.go", 1), "find text is not there once", true},
		"an endless test is missed after a while": {entry("return level > 1", "for level == 1 { }; return level > 1", "TestRead"), "killed", false},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := tried(t, root, c.mutant)
			if !strings.Contains(said, c.says) || (err != nil) != c.fails {
				t.Errorf("says %q (%v), want %q", said, err, c.says)
			}
		})
	}
	if after, err := os.ReadFile(filepath.Join(root, "rules", "rules.go")); err != nil || string(after) != string(before) {
		t.Errorf("the file itself was changed: %s (%v)", after, err)
	}
}

func TestNothingIsTriedThatCouldNotBeMissed(t *testing.T) {
	root := organisation(t)
	for name, c := range map[string]struct{ mutants, says string }{
		"a test that fails as things stand": {entry("level > 1", "true", "TestFails"), "fails before anything is taken out"},
		"a test that is not there":          {entry("level > 1", "true", "TestWrite"), "runs no test"},
		"an entry without a rule":           {"- {file: a, find: b}", "lacks rule"},
		"a member that nobody knows":        {"- {rules: a}", `unknown field "rules"`},
		"nothing":                           {"[]", "nothing to try"},
	} {
		if said, err := tried(t, root, c.mutants); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: says %q (%v), want %q", name, said, err, c.says)
		}
	}
}

func TestTheMutantsOfThisRepositoryAreReadable(t *testing.T) {
	all, err := read("mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range all {
		if seen[m.Rule] {
			t.Errorf("two mutants take out %q", m.Rule)
		}
		seen[m.Rule] = true
		text, err := os.ReadFile(filepath.Join("..", "..", m.File))
		if err != nil {
			t.Errorf("%q: %v", m.Rule, err)
		} else if n := strings.Count(string(text), m.Find); n != 1 {
			t.Errorf("%q: what is taken out stands %d times in %s", m.Rule, n, m.File)
		}
	}
}

// definition is the beginning of a function or view in a migration.
var definition = regexp.MustCompile(`(?m)^CREATE (?:OR REPLACE )?(?:FUNCTION|VIEW) (crm_access\.\w+)`)

// A later migration replaces a function whole: a rule that is taken out of its older form is missed by nobody.
func TestAMutantOfSQLStandsInTheLastFormOfItsFunction(t *testing.T) {
	all, err := read("mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "internal", "store", "postgres", "migrations", "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	texts, last := make(map[string]string), make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
		for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
			last[m[1]] = filepath.Base(file)
		}
	}
	for _, m := range all {
		file := filepath.Base(m.File)
		before, _, _ := strings.Cut(texts[file], m.Find)
		if begun := definition.FindAllStringSubmatch(before, -1); len(begun) > 0 && last[begun[len(begun)-1][1]] != file {
			of := begun[len(begun)-1][1]
			t.Errorf("%q is taken out of %s in %s, which %s replaces", m.Rule, of, file, last[of])
		}
	}
}
