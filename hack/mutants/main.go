// Mutants takes the rules of the design out of the code, one at a time, and asks the tests whether they miss it. What
// survives is a rule that somebody could lose without noticing. `make mutants` starts it; mutants.yaml says what is
// taken out, and which tests are to miss it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	list := flag.Bool("list", false, "list the mutants instead of trying them")
	only := flag.String("only", "", "try the mutants whose file and rule match this regular expression")
	parallel := flag.Int("parallel", 1, "how many to try at the same time")
	limit := flag.Duration("timeout", 3*time.Minute, "how long the tests of one may take")
	file := flag.String("mutants", filepath.Join("hack", "mutants", "mutants.yaml"), "what is taken out, and who is to miss it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *file, *only, *list, trial{root: ".", limit: *limit, parallel: *parallel, say: say})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func run(ctx context.Context, file, only string, list bool, t trial) (err error) {
	all, err := read(file)
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	var chosen []mutant
	for _, m := range all {
		if pattern.MatchString(m.File + ": " + m.Rule) {
			chosen = append(chosen, m)
		}
	}
	if list {
		for _, m := range chosen {
			t.say("%s: %s (%s)", m.File, m.Rule, m.Test)
		}
		t.say("%d mutants", len(chosen))
		return nil
	}
	if len(chosen) == 0 {
		return errors.New("there is nothing to try")
	}
	if t.temporary, err = os.MkdirTemp("", "mutants-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.temporary)) }()
	return t.tryAll(ctx, chosen)
}
