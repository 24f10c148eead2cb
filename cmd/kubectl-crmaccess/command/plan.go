package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/plan/render"
)

// The exit codes of plan: CI has to tell a change from an error.
const (
	planUnchanged = 0
	planError     = 1
	planChanged   = 2
	planForbidden = 3
)

// planFailure is an error of plan, which ends with its own code.
type planFailure struct{ error }

func (f planFailure) Unwrap() error { return f.error }

type planOptions struct {
	plannedStates
	at, horizon, risk, output, lang, whole string
	failOn                                 []string
}

// planForms are the forms that -o names.
var planForms = map[string]func(io.Writer, *plan.Plan, render.Options) error{
	"table":    render.Table,
	"markdown": render.Markdown,
	"json":     render.JSON,
	"html":     render.HTML,
}

func newPlan(env *Environment) *cobra.Command {
	o := &planOptions{}
	cmd := &cobra.Command{
		Use:   "plan --base REV [--head REV] [PATH]",
		Short: "Say whose access changes between two states of the manifests",
		Long: `Say whose access changes between two states of the manifests: who gains what and loses what, on which records, until when,
by which path, how risky that is, and which line is the cause.

Nothing is checked out. As with git diff base...head, head is compared with the commit that it set out from; REV^{tree} takes
a revision as it stands. PATH is a folder or file in both states; a kustomization there is rendered.

Exit codes, other than those of the other commands: 0 nobody's access changes, 2 it changes, 3 a rule forbids it or
--fail-on asks for it, 1 there is no plan, as something in the manifests is wrong.`,
		Example: `  kubectl crmaccess plan --base main --head HEAD config/samples/huayue
  kubectl crmaccess plan --base-dir before --head-dir after -o markdown
  helm template chart | kubectl crmaccess plan --base-dir rendered --head-dir - --fail-on critical
  kubectl crmaccess plan --live -n huayue --head-dir config/samples/huayue
  kubectl crmaccess plan --store postgres -n huayue --head main config/samples/huayue`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return planFailure{usageError(cmd, "want one PATH at most, got %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = "."
			if len(args) == 1 {
				o.path = args[0]
			}
			if err := runPlan(cmd, env, o); err != nil {
				return asPlanFailure(err)
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return planFailure{usageError(cmd, "%w", err)} })
	o.addFlags(cmd)
	return cmd
}

func (o *planOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.base, "base", "", "the revision that head is compared with")
	flags.StringVar(&o.head, "head", "", "the revision with the change (default HEAD)")
	flags.StringVar(&o.baseDir, "base-dir", "", "a folder in place of --base; - is standard input")
	flags.StringVar(&o.headDir, "head-dir", "", "a folder in place of --head; - is standard input")
	flags.BoolVar(&o.live, "live", false, "compare with what a namespace of the cluster declares, in place of --base")
	o.storeFlags.add(flags)
	flags.StringVarP(&o.repository, "repository", "R", ".", "a folder of the Git repository, from which PATH is taken")
	o.clusterFlags.add(flags)
	flags.StringVarP(&o.namespace, "namespace", "n", "", "this tenant alone; manifests without a namespace are part of it")
	flags.StringVar(&o.at, "at", "", "the instant from which on access is compared, such as 2026-12-31T09:00:00+08:00 (default now)")
	flags.StringVar(&o.horizon, "horizon", "30d", "how far to look ahead for what changes by itself")
	flags.StringVar(&o.risk, "risk", "", "file of risk rules (default "+plan.RulesFile+" of --base or --base-dir, where there is one)")
	flags.StringArrayVar(&o.failOn, "fail-on", nil, "exit code 3 where this rule applies, or a rule this severe or more; can be repeated")
	flags.StringVarP(&o.output, "output", "o", "table", strings.Join(slices.Sorted(maps.Keys(planForms)), ", "))
	flags.StringVar(&o.lang, "lang", "en", "en or zh")
	flags.StringVar(&o.whole, "whole", "", "what a comment that had to be cut says of where all of it is, such as the address of the HTML page")
}

// asPlanFailure leaves alone what is no error but an exit code.
func asPlanFailure(err error) error {
	if code := exitCode(0); errors.As(err, &code) {
		return err
	}
	return planFailure{err}
}

func runPlan(cmd *cobra.Command, env *Environment, o *planOptions) error {
	write := planForms[o.output]
	if write == nil {
		return usageError(cmd, "unknown output %q: want one of %s", o.output, strings.Join(slices.Sorted(maps.Keys(planForms)), ", "))
	}
	lang, err := render.ParseLang(o.lang)
	if err != nil {
		return usageError(cmd, "--lang: %w", err)
	}
	options, err := o.compared(env)
	if err != nil {
		return usageError(cmd, "%w", err)
	}
	if err := o.plannedStates.check(); err != nil {
		return usageError(cmd, "%w", err)
	}
	p, err := o.draw(cmd.Context(), env, options)
	if err != nil {
		return err
	}
	var whole bytes.Buffer // written at once: half a plan would look like a whole one
	if err := write(&whole, p, render.Options{Lang: lang, Whole: o.whole}); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if _, err := env.Out.Write(whole.Bytes()); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return exit(o.exitCode(p))
}

// compared is what the comparison depends on besides the states and the rules.
func (o *planOptions) compared(env *Environment) (plan.Options, error) {
	at, err := instantFlag(o.at, env.Now)
	if err != nil {
		return plan.Options{}, err
	}
	horizon, err := parseDays(o.horizon)
	if err != nil {
		return plan.Options{}, fmt.Errorf("--horizon: %w", err)
	}
	return plan.Options{At: at, Horizon: horizon}, nil
}

// draw reads both states and compares them, tenant by tenant.
func (o *planOptions) draw(ctx context.Context, env *Environment, options plan.Options) (*plan.Plan, error) {
	states, err := o.plannedStates.open(env)
	if err != nil {
		return nil, err
	}
	if options.Rules, err = states.riskRules(env, o.risk); err != nil {
		return nil, err
	}
	for _, name := range o.failOn {
		if err := plan.CheckRuleName(options.Rules, name); err != nil {
			return nil, fmt.Errorf("--fail-on: %w", err)
		}
	}
	tenants, err := states.read(ctx, env, o.namespace)
	if err != nil {
		return nil, err
	}
	if states.stored != nil {
		if options.At, err = states.since(options.At, o.at != ""); err != nil {
			return nil, err
		}
	}
	p := &plan.Plan{Base: states.baseName(), Head: states.head.Name, At: options.At, Rules: options.Rules}
	for _, namespace := range slices.Sorted(maps.Keys(tenants)) {
		if changed := plan.Compare(tenants[namespace].base, tenants[namespace].head, options); changed != nil {
			changed.Namespace = namespace
			p.Tenants = append(p.Tenants, changed)
		}
	}
	return p, nil
}

func (o *planOptions) exitCode(p *plan.Plan) int {
	switch {
	case p.Forbidden() || slices.ContainsFunc(o.failOn, p.Matches):
		return planForbidden
	case !p.Empty():
		return planChanged
	}
	return planUnchanged
}

// parseDays reads a duration, such as 30d or 12h.
func parseDays(text string) (time.Duration, error) {
	if count, isDays := strings.CutSuffix(text, "d"); isDays {
		days, err := strconv.ParseUint(count, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: want days, such as 30d, or hours, such as 12h", text)
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q: want days, such as 30d, or hours, such as 12h", text)
	}
	if duration < 0 {
		return 0, fmt.Errorf("%q: want zero or more", text)
	}
	return duration, nil
}
