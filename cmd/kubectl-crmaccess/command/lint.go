package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/lint"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/source"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// linting is what lint is asked for.
type linting struct {
	base, baseDir, repository, at, olderThan, output string
}

func newLint(env *Environment) *cobra.Command {
	var l linting
	cmd := &cobra.Command{
		Use:   "lint DIR",
		Short: "Say what is wrong or suspicious in manifests",
		Long: `Say what is wrong or suspicious in manifests, one finding a line:

  file:line: severity: Kind/name: field: message

An error is something that the API server would refuse or that confers nothing; a warning wants a second look; an info
is untidy. Exit codes: 0 no errors, 1 errors, 2 the manifests could not be read.`,
		Example: `  kubectl crmaccess lint config/samples/huayue
  kubectl crmaccess lint --base main config/samples/huayue`,
		Args: arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := outputFlag(l.output)
			if l.base != "" && l.baseDir != "" {
				err = errors.New("--base and --base-dir exclude each other")
			}
			options, optionsError := l.options(env)
			if err = cmp.Or(err, optionsError); err != nil {
				return usageError(cmd, "%w", err)
			}
			return l.run(env, args[0], options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&l.base, "base", "", "the revision that the change set out from: tells ended grants that are new")
	flags.StringVar(&l.baseDir, "base-dir", "", "a folder in place of --base")
	flags.StringVarP(&l.repository, "repository", "R", ".", "a folder of the Git repository of --base, from which DIR is taken there")
	flags.StringVar(&l.at, "at", "", "now, RFC 3339 in whole seconds (default: the clock)")
	flags.StringVar(&l.olderThan, "older-than", "30d", "tell grants that ended longer ago than this")
	flags.StringVarP(&l.output, "output", "o", "text", "text or json")
	return cmd
}

// options are what the findings depend on besides the trees.
func (l *linting) options(env *Environment) (lint.Options, error) {
	at, err := instantFlag(l.at, env.Now)
	if err != nil {
		return lint.Options{}, err
	}
	age, err := parseDays(l.olderThan)
	if err != nil {
		return lint.Options{}, fmt.Errorf("--older-than: %w", err)
	}
	return lint.Options{At: at, OlderThan: age}, nil
}

func (l *linting) run(env *Environment, dir string, options lint.Options) error {
	tree, err := manifest.Load(dir)
	faults := manifest.Faults(err)
	if err != nil && len(faults) == 0 {
		return err
	}
	if options.Base, err = l.readBase(env, dir); err != nil {
		return err
	}
	locator := newLocator(os.ReadFile)
	report := lint.Check(tree, faults, locator.locate, options)
	if l.output == "json" {
		if err := terminal.WriteJSON(env.Out, report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			printLine(env.Out, "%s", f)
		}
		// Not among the findings: those are read line by line.
		printLine(env.Err, "errors: %d, warnings: %d, infos: %d", report.Errors, report.Warnings, report.Infos)
	}
	if report.Errors > 0 {
		return exit(ExitNo)
	}
	return nil
}

// readBase reads the tree before the change; nil where none is named, or where it has faults: what stands in a file that
// cannot be read would look new.
func (l *linting) readBase(env *Environment, dir string) (*manifest.Tree, error) {
	files, err := l.openBase(dir)
	var absent *source.AbsentError
	switch {
	case errors.As(err, &absent):
		return &manifest.Tree{}, nil
	case err != nil || files == nil:
		return nil, err
	}
	reader, err := manifest.NewReader()
	if err != nil {
		return nil, err
	}
	tree, err := files.Load(reader)
	if faults := manifest.Faults(err); len(faults) > 0 {
		printLine(env.Err, "note: %s has faults: what is new is not told", files.Name)
		return nil, nil
	}
	return tree, err
}

func (l *linting) openBase(dir string) (*source.Files, error) {
	if l.baseDir != "" {
		return source.Folder(l.baseDir, ".")
	}
	if l.base == "" {
		return nil, nil
	}
	repository, err := source.OpenRepository(l.repository)
	if err != nil {
		return nil, err
	}
	base, err := repository.Resolve(l.base)
	if err != nil {
		return nil, err
	}
	head, err := repository.Resolve("HEAD")
	if err != nil {
		return nil, err
	}
	fork, err := repository.Fork(base, head)
	if err != nil {
		return nil, err
	}
	return repository.Files(fork, dir)
}

// locator finds the line of a field, so that a finding about the fortieth grant of a role does not point to its first line.
// A file is read once; one that cannot be read again leaves the line of the object.
type locator struct {
	read  func(string) ([]byte, error)
	files map[string]*lint.Lines
}

func newLocator(read func(string) ([]byte, error)) *locator {
	return &locator{read: read, files: map[string]*lint.Lines{}}
}

func (l *locator) locate(object manifest.Source, field string) manifest.Source {
	lines, seen := l.files[object.File]
	if !seen {
		if data, err := l.read(object.File); err == nil {
			lines = lint.ReadLines(data)
		}
		l.files[object.File] = lines
	}
	return lines.Find(object, field)
}
