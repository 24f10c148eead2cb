package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// mutant is one rule taken out of the code.
type mutant struct {
	// Rule is the sentence of the design that no longer holds.
	Rule string `json:"rule"`
	// File is changed: Find, which stands in it once, becomes Replace.
	File    string `json:"file"`
	Find    string `json:"find"`
	Replace string `json:"replace"`
	// Test are those that are to fail.
	Test test `json:"test"`
}

// test is what of a package is run.
type test struct {
	Package string `json:"package"`
	// Run is the regular expression of go test's -run; Focus that of Ginkgo, where the package's specs are its.
	Run   string `json:"run"`
	Focus string `json:"focus"`
}

// String is the command line that runs it.
func (t test) String() string {
	if t.Focus != "" {
		return fmt.Sprintf("go test %s -run '%s' -ginkgo.focus '%s'", t.Package, t.Run, t.Focus)
	}
	return fmt.Sprintf("go test %s -run '%s'", t.Package, t.Run)
}

func read(file string) ([]mutant, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []mutant
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for i, m := range all {
		if m.Rule == "" || m.File == "" || m.Find == "" || m.Test.Package == "" || m.Test.Run == "" {
			return nil, fmt.Errorf("read %s: number %d (%q) lacks rule, file, find or test", file, i+1, m.Rule)
		}
	}
	return all, nil
}
