package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// verdict is what came of a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	broken   verdict = "does not compile"
	notThere verdict = "find text is not there once"
)

var verdicts = []verdict{killed, survived, broken, notThere}

// trial tries mutants. The tree is neither copied nor written to: the compiler sees a changed file through an overlay.
type trial struct {
	root, temporary string
	limit           time.Duration
	parallel        int
	say             func(format string, args ...any)
}

// tryAll tries the mutants, after the tests that are to miss the rules have passed with all of them.
func (t *trial) tryAll(ctx context.Context, mutants []mutant) error {
	started := time.Now()
	if err := t.passAll(ctx, mutants); err != nil {
		return err
	}
	t.say("The tests pass as things stand (%.0f s).", time.Since(started).Seconds())
	came := make([]verdict, len(mutants))
	err := t.each(len(mutants), func(i int) error {
		begun := time.Now()
		came[i] = t.try(ctx, mutants[i])
		if ctx.Err() != nil {
			return ctx.Err() // what was interrupted says nothing about the tests
		}
		t.say("%s: %s: %s (%.0f s)", came[i], mutants[i].File, mutants[i].Rule, time.Since(begun).Seconds())
		return nil
	})
	if err != nil {
		return err
	}
	var summary []string
	for _, v := range verdicts {
		if n := len(slices.DeleteFunc(slices.Clone(came), func(c verdict) bool { return c != v })); n > 0 {
			summary = append(summary, fmt.Sprintf("%d %s", n, v))
		}
	}
	t.say("%d mutants in %s: %s", len(mutants), time.Since(started).Round(time.Second), strings.Join(summary, ", "))
	if slices.ContainsFunc(came, func(v verdict) bool { return v != killed }) {
		return errors.New("not every rule is missed: write the test that fails without it, or mend the entry in mutants.yaml")
	}
	return nil
}

// each calls something for every number, some at the same time.
func (t *trial) each(n int, do func(int) error) error {
	var group errgroup.Group
	group.SetLimit(max(t.parallel, 1))
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// passAll runs the tests of all mutants on what is there.
func (t *trial) passAll(ctx context.Context, mutants []mutant) error {
	tests := make(map[string][]test) // by package
	for _, m := range mutants {
		if of := tests[m.Test.Package]; !slices.Contains(of, m.Test) {
			tests[m.Test.Package] = append(of, m.Test)
		}
	}
	for path, all := range tests {
		binary := filepath.Join(t.temporary, "unchanged.test")
		if out, err := t.compile(ctx, path, binary); err != nil {
			return fmt.Errorf("compile the tests of %s: %w\n%s", path, err, out)
		}
		for _, one := range all {
			out, err := t.run(ctx, one, binary)
			if err != nil {
				return fmt.Errorf("%s fails before anything is taken out: %w\n%s", one, err, out)
			}
			if strings.Contains(out, "no tests to run") || strings.Contains(out, "Ran 0 of") {
				return fmt.Errorf("%s runs no test", one)
			}
		}
	}
	return nil
}

// try takes one rule out and runs the tests that are to miss it.
func (t *trial) try(ctx context.Context, m mutant) verdict {
	file, err := filepath.Abs(filepath.Join(t.root, m.File))
	if err != nil {
		return notThere
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), m.Find) != 1 {
		return notThere
	}
	dir, err := os.MkdirTemp(t.temporary, "one-")
	if err != nil {
		return broken
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, file, strings.Replace(string(text), m.Find, m.Replace, 1))
	if err != nil {
		t.say("%v", err)
		return broken
	}
	binary := filepath.Join(dir, "changed.test")
	if out, err := t.compile(ctx, m.Test.Package, binary, "-overlay="+overlay); err != nil {
		t.say("%s", out)
		return broken
	}
	if _, err := t.run(ctx, m.Test, binary); err != nil {
		return killed
	}
	return survived
}

// writeOverlay writes what the compiler is to see in place of a file, and where it stands.
func writeOverlay(dir, file, text string) (string, error) {
	changed, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, content, 0o600)
}

func (t *trial) compile(ctx context.Context, path, binary string, flags ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", append(append([]string{"test", "-c", "-ldflags=-s -w", "-o", binary}, flags...), path)...)
	command.Dir = t.root
	out, err := command.CombinedOutput()
	return string(out), err
}

// run runs a test's binary where go test would: in the folder of its package.
func (t *trial) run(ctx context.Context, one test, binary string) (string, error) {
	args := []string{"-test.run=" + one.Run, "-test.failfast", "-test.timeout=" + t.limit.String()}
	if one.Focus != "" { // which ends in time to stop its servers
		args = append(args, "-ginkgo.fail-fast", "-ginkgo.focus="+one.Focus, "-ginkgo.timeout="+(t.limit*3/4).String())
	}
	within, cancel := context.WithTimeout(ctx, t.limit+10*time.Second) // for what never comes to its tests
	defer cancel()
	command := exec.CommandContext(within, binary, args...)
	command.Dir = filepath.Join(t.root, one.Package)
	out, err := command.CombinedOutput()
	return string(out), err
}
