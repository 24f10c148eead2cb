package command

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/lint"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

func newLint(env *Environment) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lint DIR",
		Short: "Say what is wrong or suspicious in manifests",
		Long: `Say what is wrong or suspicious in manifests, one finding a line:

  file:line: severity: Kind/name: field: message

An error is something that the API server would refuse or that confers nothing; a warning wants a second look; an info
is untidy. Exit codes: 0 no errors, 1 errors, 2 the manifests could not be read.`,
		Example: `  kubectl crmaccess lint config/samples/huayue`,
		Args:    arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := outputFlag(output); err != nil {
				return usageError(cmd, "%w", err)
			}
			return runLint(env, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func runLint(env *Environment, dir, output string) error {
	tree, err := manifest.Load(dir)
	faults := manifest.Faults(err)
	if err != nil && len(faults) == 0 {
		return err
	}
	locator := newLocator(os.ReadFile)
	report := lint.Check(tree, faults, locator.locate)
	if output == "json" {
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
