package command

import "github.com/spf13/cobra"

func newVersion(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this command",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			printLine(env.Out, "kubectl-crmaccess %s", env.Version)
			return nil
		},
	}
}
