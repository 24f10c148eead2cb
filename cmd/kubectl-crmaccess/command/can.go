package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const defaultChannel = "web"

// canOptions are the flags of can.
type canOptions struct {
	manifests, namespace         string
	server                       serverFlags
	records                      string
	facts                        []string
	at                           string
	fields                       []string
	rows, used, owned            int64
	channel, device, reason      string
	approvedBy                   []string
	targetUser, targetDepartment string
	why                          bool
	output                       string
}

// canQuestion is what is asked, as far as the command line alone says it.
type canQuestion struct {
	namespace            string
	user, action, object string
	// id is the record's, hasRecord says that the question names one or gives facts of one.
	id    string
	field string
	// at is empty where the question is about now.
	at      string
	instant schedule.Instant
	context access.Context
	facts   facts
	// recordFile is the file of records, or "".
	recordFile string
}

// An asker answers a question: from manifests, or by asking a server.
type asker interface {
	ask(context.Context, *canQuestion) (*answer, error)
}

func newCan(env *Environment) *cobra.Command {
	o := &canOptions{}
	cmd := &cobra.Command{
		Use:   "can USER ACTION OBJECT[/RECORD]",
		Short: "Say whether a user may do something, and why",
		Long: `Say whether a user may do something, and why.

With -f the answer comes from manifests, without cluster or database; without it the running manager is asked.

The first line is ALLOW, DENY or APPROVAL; with --field it is NONE, MASKED, READ or EDIT where the decision is an allow.
The causes follow, one a line; what must be approved first, and by whom, begins with "needs". What a guardrail must know and
is not told counts as the worst.
Exit codes: 0 allow, 1 deny or none, 2 the question could not be asked, 3 needs an approval.`,
		Example: `  kubectl crmaccess can li-ting read customer/cust-huaxin -f config/samples/huayue
  kubectl crmaccess can li-ting read customer/cust-huaxin -f config/samples/huayue --field phone
  kubectl crmaccess can lin-che export customer -f config/samples/huayue --rows 120 --channel mobile
  kubectl crmaccess can li-ting transfer customer/cust-huaxin -f config/samples/huayue --approved-by chen-mo,gao-yuan
  kubectl crmaccess can li-ting read customer/new-1 -f config/samples/huayue --record owner=wang-lei,department=sales-east-1 --why
  kubectl crmaccess can li-ting read customer/cust-huaxin -n huayue --records records.yaml`,
		Args: arguments("USER", "ACTION", "OBJECT[/RECORD]"),
		RunE: func(cmd *cobra.Command, args []string) error { return runCan(cmd, env, o, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.manifests, "manifests", "f", "", "folder or file of manifests to answer from; without it a server is asked")
	o.server.add(flags)
	o.addQuestion(flags)
	flags.StringSliceVar(&o.approvedBy, "approved-by", nil, "users who have approved just this request; only with -f, since a server knows itself who did")
	flags.BoolVar(&o.why, "why", false, "add the path of each cause, who may approve, and near misses")
	flags.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

// addQuestion adds the flags that say what is asked, besides the arguments.
func (o *canOptions) addQuestion(flags *pflag.FlagSet) {
	flags.StringVarP(&o.namespace, "namespace", "n", "", "the tenant, where there are several")
	flags.StringVar(&o.records, "records", "", "file of records (default records.yaml beside the manifests, where there is one)")
	flags.StringSliceVar(&o.facts, "record", nil, "facts of the record, over those of the file: owner=, department=, creator=, participants=a;b, parent=ID, else an attribute")
	flags.StringVar(&o.at, "at", "", "the instant asked about, such as 2026-12-31T09:00:00+08:00 (default now)")
	flags.StringArrayVar(&o.fields, "field", nil, "ask for the level of this field")
	flags.Int64Var(&o.rows, "rows", 0, "how many rows the request is about")
	flags.Int64Var(&o.used, "used", 0, "how many rows were used in the last 24 hours (default 0)")
	flags.Int64Var(&o.owned, "owned", 0, "how many records of the object the owner to be has already")
	flags.StringVar(&o.channel, "channel", defaultChannel, "the channel that the request comes by")
	flags.StringVar(&o.device, "device", "", "the device that the request comes from: managed, unmanaged, or what a guardrail names")
	flags.StringVar(&o.reason, "reason", "", "the reason that the user gives")
	flags.StringVar(&o.targetUser, "target-user", "", "the user that the record goes to")
	flags.StringVar(&o.targetDepartment, "target-department", "", "the department that the record goes to")
}

func runCan(cmd *cobra.Command, env *Environment, o *canOptions, args []string) error {
	q, err := o.question(cmd, env, args)
	if err != nil {
		return err
	}
	var from asker = newManifestAsker(o.manifests, env.Err)
	if o.manifests == "" {
		if from, err = o.serverAsker(env); err != nil {
			return err
		}
	}
	a, err := from.ask(cmd.Context(), q)
	if err != nil {
		return err
	}
	if err := a.print(env.Out, q, o); err != nil {
		return err
	}
	return exit(a.exitCode(q))
}

func (o *canOptions) serverAsker(env *Environment) (*serverAsker, error) {
	s, err := o.server.connect(env)
	if err != nil {
		return nil, err
	}
	return &serverAsker{server: s, notes: env.Err}, nil
}

// question checks the command line. Names are normalised as manifests are: two spellings of one name are equal.
func (o *canOptions) question(cmd *cobra.Command, env *Environment, args []string) (*canQuestion, error) {
	object, id, hasRecord := strings.Cut(norm.NFC.String(args[2]), "/")
	q := &canQuestion{
		namespace: o.namespace,
		user:      norm.NFC.String(args[0]), action: norm.NFC.String(args[1]), object: object, id: id,
		at: o.at, recordFile: o.records,
		context: access.Context{
			Channel: norm.NFC.String(o.channel), Device: norm.NFC.String(o.device), Reason: norm.NFC.String(o.reason),
			TargetUser: norm.NFC.String(o.targetUser), TargetDepartment: norm.NFC.String(o.targetDepartment),
		},
	}
	for _, user := range o.approvedBy {
		q.context.ApprovedBy = append(q.context.ApprovedBy, norm.NFC.String(user))
	}
	if q.user == "" || q.action == "" || q.object == "" || (hasRecord && q.id == "") {
		return nil, usageError(cmd, "a name is empty: want USER ACTION OBJECT or USER ACTION OBJECT/RECORD")
	}
	if err := o.numbers(cmd, q); err != nil {
		return nil, usageError(cmd, "%w", err)
	}
	if len(o.approvedBy) > 0 && o.manifests == "" {
		return nil, usageError(cmd, "--approved-by needs -f: a server knows itself who has approved what")
	}
	if len(o.fields) > 1 {
		return nil, usageError(cmd, "--field is given %d times: ask about one field at a time", len(o.fields))
	}
	if len(o.fields) == 1 {
		if q.field = norm.NFC.String(o.fields[0]); q.field == "" {
			return nil, usageError(cmd, "--field is empty: name a field")
		}
	}
	if err := outputFlag(o.output); err != nil {
		return nil, usageError(cmd, "%w", err)
	}
	var err error
	if q.facts, err = parseFacts(o.facts); err != nil {
		return nil, usageError(cmd, "%w", err)
	}
	if q.instant, err = instantFlag(o.at, env.Now); err != nil {
		return nil, usageError(cmd, "%w", err)
	}
	return q, nil
}

// numbers sets the counts that were given: one left out is unknown, not zero, but for what was used, since who asks about
// a plain day should not have to say so.
func (o *canOptions) numbers(cmd *cobra.Command, q *canQuestion) error {
	if o.rows < 0 || o.used < 0 || o.owned < 0 {
		return errors.New("--rows, --used and --owned want zero or more")
	}
	q.context.Used = &o.used
	if cmd.Flags().Changed("rows") {
		q.context.Rows = &o.rows
	}
	if cmd.Flags().Changed("owned") {
		q.context.Owned = &o.owned
	}
	return nil
}

// target is the object or record as people write it.
func (q *canQuestion) target() string {
	if q.id == "" {
		return q.object
	}
	return fmt.Sprintf("%s/%s", q.object, q.id)
}

// request is the question as the engine reads it.
func (q *canQuestion) request(record *access.Record) *access.Request {
	r := &access.Request{User: q.user, Action: q.action, Object: q.object, Record: record, Context: q.context}
	if q.field != "" {
		r.Fields = []string{q.field}
	}
	return r
}
