// Package command is the command line `kubectl crmaccess`, one file a command. The commands read files, ask a server or
// write to a cluster; what access is, they leave to the engine. Everything of the world around comes in an Environment,
// so that tests run a command as a person does.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes, the same for every command but plan.
const (
	ExitOK       = 0 // an allow; nothing wrong
	ExitNo       = 1 // a deny, or a field level of none; errors in manifests, for lint
	ExitError    = 2 // the question could not be asked: bad usage, unknown file, manifests that cannot be read
	ExitApproval = 3 // somebody must approve first
)

// Environment is what commands take from the world around them.
type Environment struct {
	Version string
	Now     func() time.Time
	Getenv  func(string) string
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	// Interactive says that a person sits at In.
	Interactive bool
}

// Run runs one command line, without the program's name, and returns its exit code.
func Run(ctx context.Context, args []string, env Environment) int {
	root := newRoot(&env)
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	err := root.ExecuteContext(ctx)
	var answered exitCode
	var noPlan planFailure
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &answered):
		return int(answered)
	case errors.As(err, &noPlan):
		reportError(env.Err, noPlan.error)
		return planError
	}
	reportError(env.Err, err)
	return ExitError
}

// exitCode ends a command that has said what it had to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// exit is the error that ends a command with a code; none for ExitOK.
func exit(code int) error {
	if code == ExitOK {
		return nil
	}
	return exitCode(code)
}

func newRoot(env *Environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-crmaccess",
		Short: "Ask who may do what in the CRM, and review the manifests that say so",
		Long: `Ask who may do what in the CRM, and review the manifests that say so.

Exit codes: 0 allow or fine, 1 deny or none (lint: errors), 2 the question could not be asked, 3 needs an approval.
Those of plan are its own.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl crmaccess"},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, "%w", err) })
	root.AddCommand(newCan(env), newWhoCan(env), newShow(env), newLint(env), newPlan(env), newFmt(env), newPruneExpired(env), newApprove(env), newRevoke(env), newRetire(env), newServe(env), newVersion(env))
	return root
}

// usageError says what is wrong with the command line and where to read on.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return fmt.Errorf("%w\nread on with: %s --help", fmt.Errorf(format, args...), cmd.CommandPath())
}

// arguments checks how many arguments there are.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usageError(cmd, "want %d arguments (%s), got %d", len(names), strings.Join(names, ", "), len(args))
	}
}
