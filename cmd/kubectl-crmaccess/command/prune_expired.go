package command

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/tidy"
)

// pruning is what prune-expired is asked for.
type pruning struct {
	olderThan, at string
	dryRun        bool
}

func newPruneExpired(env *Environment) *cobra.Command {
	var p pruning
	cmd := &cobra.Command{
		Use:   "prune-expired PATH…",
		Short: "Take temporary grants that ended long ago out of the files",
		Long: `Take temporary grants that ended long ago out of the files, with the approvals of what they gave. Everything else keeps its
bytes, comments and order. A file that held nothing else goes, and the resources of kustomizations that list it are edited.

Nothing is removed where the manifests have faults, and no grant that a Revocation names. Says what it removes. Exit codes: 0
done, also where there was nothing to do; 2 it was not done, or not all of it.`,
		Example: `  kubectl crmaccess prune-expired --older-than 30d --dry-run config/samples/huayue`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(cmd, "name the files or folders to prune")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := p.before(env)
			if err != nil {
				return usageError(cmd, "%w", err)
			}
			return p.run(env, before, args)
		},
	}
	cmd.Flags().StringVar(&p.olderThan, "older-than", "30d", "only what ended longer ago than this, such as 30d or 12h")
	cmd.Flags().StringVar(&p.at, "at", "", "now, RFC 3339 in whole seconds (default: the clock)")
	cmd.Flags().BoolVar(&p.dryRun, "dry-run", false, "say what would be removed, and change nothing")
	return cmd
}

// before is the instant before which a grant must have ended.
func (p pruning) before(env *Environment) (schedule.Instant, error) {
	now, err := instantFlag(p.at, env.Now)
	if err != nil {
		return 0, err
	}
	age, err := parseDays(p.olderThan)
	if err != nil {
		return 0, fmt.Errorf("--older-than: %w", err)
	}
	return schedule.At(now.Time().Add(-age)), nil
}

func (p pruning) run(env *Environment, before schedule.Instant, paths []string) error {
	trees, err := loadAll(paths)
	if err != nil {
		return err
	}
	pruned, err := tidy.Prune(trees, before, tidy.Read)
	if err != nil {
		return err
	}
	kustomizations, err := pruned.Kustomizations(paths)
	if err != nil {
		return err
	}
	for _, file := range kustomizations {
		data, err := tidy.Read(file)
		if err == nil {
			err = pruned.Unlist(file, data)
		}
		if err != nil {
			return fmt.Errorf("nothing is removed: %s: %w", file, err)
		}
	}
	if !p.dryRun {
		if err := pruned.Write(); err != nil {
			return err
		}
	}
	p.report(env, pruned)
	return nil
}

// loadAll reads the manifests below every path. What lies in two of them is an error: it would be taken out twice.
func loadAll(paths []string) ([]*manifest.Tree, error) {
	var trees []*manifest.Tree
	var errs []error
	stands := make(map[manifest.Source]bool)
	for _, path := range paths {
		tree, err := manifest.Load(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, tenant := range tree.Tenants {
			for ref, source := range tenant.Sources {
				if stands[source] {
					return nil, fmt.Errorf("%s at %s lies below two of the paths: name it once", ref, source)
				}
			}
		}
		for _, tenant := range tree.Tenants {
			for _, source := range tenant.Sources {
				stands[source] = true
			}
		}
		trees = append(trees, tree)
	}
	return trees, errors.Join(errs...)
}

func (p pruning) report(env *Environment, pruned *tidy.Pruning) {
	verb := map[bool]string{false: "", true: "would be "}[p.dryRun]
	for _, r := range pruned.Removed {
		printLine(env.Out, "%s: %s, ended at %s, %sremoved", r.Source, r.Ref, r.Ended, verb)
	}
	for _, file := range slices.Sorted(maps.Keys(pruned.Files)) {
		if pruned.Files[file] == nil {
			printLine(env.Out, "%s: held nothing else and %s", file, map[bool]string{false: "is deleted", true: "would be deleted"}[p.dryRun])
		}
	}
	for _, note := range pruned.Kept {
		printLine(env.Err, "note: %s", note)
	}
	printLine(env.Err, "%sremoved: %d", verb, len(pruned.Removed))
}
