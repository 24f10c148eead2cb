package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

func newWhoCan(env *Environment) *cobra.Command {
	o := &canOptions{}
	cmd := &cobra.Command{
		Use:   "who-can ACTION OBJECT[/RECORD]",
		Short: "List the users who may do something, and why",
		Long: `List the users who may do something, and why: everybody whose answer by "can" is ALLOW, and those whose is APPROVAL.

With -f the answer comes from manifests, without cluster or database; without it a decision API is asked, which lists those alone
who may without an approval.

Exit codes: 0 somebody may, 1 nobody may, 2 the question could not be asked.`,
		Example: `  kubectl crmaccess who-can export customer -f config/samples/huayue --rows 120
  kubectl crmaccess who-can read contract/ct-0091 -f config/samples/huayue --field amount
  kubectl crmaccess who-can export customer --rows 120 --server https://decide.example --token-file token`,
		Args: arguments("ACTION", "OBJECT[/RECORD]"),
		RunE: func(cmd *cobra.Command, args []string) error { return runWhoCan(cmd, env, o, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.manifests, "manifests", "f", "", "folder or file of manifests to answer from; without it a server is asked")
	o.server.add(flags)
	o.addQuestion(flags)
	flags.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

// holder is one line of the answer.
type holder struct {
	User   string   `json:"user"`
	Answer string   `json:"answer"`
	Level  string   `json:"level,omitempty"`
	Causes []string `json:"causes"`
}

func runWhoCan(cmd *cobra.Command, env *Environment, o *canOptions, args []string) error {
	const anybody = "\x00" // the question is about each user in turn
	q, err := o.question(cmd, env, append([]string{anybody}, args...))
	if err != nil {
		return err
	}
	holders, err := o.holders(cmd.Context(), env, q)
	if err != nil {
		return err
	}
	if err := printHolders(env, o, holders); err != nil {
		return err
	}
	if len(holders) == 0 {
		return exit(ExitNo)
	}
	return nil
}

func (o *canOptions) holders(ctx context.Context, env *Environment, q *canQuestion) ([]holder, error) {
	if o.manifests != "" {
		return newManifestAsker(o.manifests, env.Err).holders(q)
	}
	from, err := o.serverAsker(env)
	if err != nil {
		return nil, err
	}
	return from.holders(ctx, q)
}

// holders decides about each user in turn.
func (m *manifestAsker) holders(q *canQuestion) ([]holder, error) {
	p, err := m.prepare(q)
	if err != nil {
		return nil, err
	}
	policy, request := p.policy, p.request
	switch actions := policy.Actions(request.Object); {
	case actions == nil:
		return nil, fmt.Errorf("unknown object %q", request.Object)
	case !slices.Contains(actions, request.Action):
		return nil, fmt.Errorf("object %s has no action %q; it has %s", request.Object, request.Action, strings.Join(actions, ", "))
	}
	holders := []holder{}
	for _, user := range slices.Sorted(slices.Values(policy.Users())) {
		request.User = user
		e := policy.Explain(q.instant, request)
		if e.Effect == access.Deny {
			continue
		}
		h := holder{User: user, Answer: e.Effect.String()}
		if q.field != "" && e.Effect == access.Allow {
			h.Level = e.Levels[0].String()
		}
		for _, cause := range e.Causes {
			h.Causes = append(h.Causes, cause.Text)
		}
		holders = append(holders, h)
	}
	return holders, nil
}

func printHolders(env *Environment, o *canOptions, holders []holder) error {
	if o.output == "json" {
		return terminal.WriteJSON(env.Out, map[string]any{"users": holders})
	}
	if len(holders) == 0 {
		printLine(env.Out, "nobody")
		return nil
	}
	var rows [][]string
	for _, h := range holders {
		answer := h.Answer
		if h.Level != "" {
			answer = strings.ToUpper(h.Level)
		}
		rows = append(rows, []string{h.User, answer, strings.Join(h.Causes, "; ")})
	}
	return terminal.WriteTable(env.Out, []string{"USER", "ANSWER", "BECAUSE"}, rows)
}
