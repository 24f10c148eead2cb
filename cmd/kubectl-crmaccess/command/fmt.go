package command

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/tidy"
)

// formatting is what fmt does with files that are not in canonical form.
type formatting struct{ list, check bool }

func newFmt(env *Environment) *cobra.Command {
	var f formatting
	cmd := &cobra.Command{
		Use:   "fmt PATH…",
		Short: "Write manifests in canonical form",
		Long: `Write manifests in canonical form, so that a diff of them shows what changes and nothing else: the order of keys, lists of
names whose order means nothing, quotes, indentation, separators. What a manifest says stays the same, and every comment
stays with what it is about. Prints the files that it changes.

Documents of other API groups and JSON files are left alone, and so are, with a note, documents with anchors or tags and
symbolic links. Exit codes: 0 done, 1 with --check: some files are not in canonical form, 2 some files could not be read or
written; the others are done.`,
		Example: `  kubectl crmaccess fmt config/samples
  kubectl crmaccess fmt --check config/samples`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(cmd, "name the files or folders to format")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return f.run(env, args) },
	}
	cmd.Flags().BoolVarP(&f.list, "list", "l", false, "print the files that are not in canonical form, and change none")
	cmd.Flags().BoolVar(&f.check, "check", false, "as -l, and exit with code 1 where there are some")
	return cmd
}

func (f formatting) run(env *Environment, paths []string) error {
	files, notes, err := tidy.Find(paths)
	if err != nil {
		return err
	}
	for _, note := range notes {
		printLine(env.Err, "note: %s", note)
	}
	differ, failed := 0, false
	for _, file := range files {
		changed, err := f.file(env, file)
		if err != nil {
			reportError(env.Err, err)
			failed = true
		}
		if changed {
			printLine(env.Out, "%s", file)
			differ++
		}
	}
	switch {
	case failed:
		return exit(ExitError)
	case f.check && differ > 0:
		return exit(ExitNo)
	}
	return nil
}

// file formats one file and says whether it was not in canonical form.
func (f formatting) file(env *Environment, file string) (bool, error) {
	data, err := tidy.Read(file)
	if err != nil {
		return false, err
	}
	formatted, notes, err := tidy.Format(file, data)
	if err != nil {
		return false, err
	}
	for _, note := range notes {
		printLine(env.Err, "note: %s", note)
	}
	if bytes.Equal(data, formatted) {
		return false, nil
	}
	if f.list || f.check {
		return true, nil
	}
	if err := tidy.Replace(file, formatted); err != nil {
		return false, err
	}
	return true, nil
}
