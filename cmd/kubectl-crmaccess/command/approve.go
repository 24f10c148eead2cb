package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

type approveOptions struct {
	clusterFlags
	user, comment, effect string
	deny, yes, dryRun     bool
}

func newApprove(env *Environment) *cobra.Command {
	o := &approveOptions{}
	cmd := &cobra.Command{
		Use:   "approve KIND/NAME -n NAMESPACE",
		Short: "Say yes or no to what waits for approval",
		Long: `Say yes or no to what waits for approval: to what a TemporaryGrant or UserBinding gives, to the lift of a Revocation, or to
the removal of a Guardrail.

It shows what you answer to, asks you to type "yes", and creates an Approval under your own identity, one for each user
whose access waits. The Approval names the digest of just what was shown, and carries the document along: if the object is
widened meanwhile, the rest waits.

KIND is temporarygrant, userbinding, revocation or guardrail, or another name that kubectl knows it by.
A Revocation or Guardrail whose object is deleted stays in force: name it all the same, and with --effect the digest of what
you approve.`,
		Example: `  kubectl crmaccess approve temporarygrant/holiday-chen-mo -n huayue
  kubectl crmaccess approve userbinding/crm-admins -n huayue --user deng-ning --comment "CHG-2108"
  kubectl crmaccess approve temporarygrant/holiday-chen-mo -n huayue --deny --comment "ask wang-lei instead"
  kubectl crmaccess approve revocation/stop-han-dong-x7k2p -n huayue --dry-run`,
		Args: arguments("KIND/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(cmd, args[0], access.KindTemporaryGrant, access.KindUserBinding, access.KindRevocation, access.KindGuardrail)
			if err != nil {
				return err
			}
			o.user, o.comment = norm.NFC.String(o.user), norm.NFC.String(o.comment)
			if o.user != "" && !givesAccess(target.Kind) {
				return usageError(cmd, "--user is about what a grant or binding gives; %s is ended for everybody", target)
			}
			return runApprove(cmd.Context(), env, o, target)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.addNamespace(flags)
	flags.StringVar(&o.user, "user", "", "only what this user gets (default all users whose access waits)")
	flags.BoolVar(&o.deny, "deny", false, "say no instead of yes")
	flags.StringVar(&o.comment, "comment", "", "what you want to add, one line")
	flags.StringVar(&o.effect, "effect", "", "only the effect of this digest, sha256:…")
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the Approval and create nothing")
	o.add(flags)
	return cmd
}

// givesAccess says whether the kind gives people access. The effect of the others is their own end.
func givesAccess(kind access.Kind) bool {
	return kind == access.KindTemporaryGrant || kind == access.KindUserBinding
}

// effect is one thing that waits for an answer.
type effect struct {
	digest string
	// document is nil where it is not known here.
	document []byte
	// admission says how it stands, for what gives access.
	admission *access.Admission
}

// hearing is what is asked of whom.
type hearing struct {
	*declared
	cluster *cluster
	options *approveOptions
	target  access.Ref
	caller  string
	effects []effect
}

func runApprove(ctx context.Context, env *Environment, o *approveOptions, target access.Ref) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	h := hearing{cluster: c, options: o, target: target}
	if h.declared, err = c.read(ctx, env.Err); err != nil {
		return err
	}
	if h.caller, err = c.caller(ctx); err != nil {
		return err
	}
	if err := h.find(env.Err); err != nil {
		return err
	}
	approvals := make([]*v1alpha1.Approval, len(h.effects))
	for i := range h.effects {
		approvals[i] = h.approval(&h.effects[i])
	}
	after, err := h.outlook(approvals)
	if err != nil {
		return err
	}
	review := env.Out
	if o.dryRun {
		review = env.Err // what is printed can be applied
	}
	if err := h.print(review, after); err != nil {
		return err
	}
	if o.dryRun {
		return printManifests(env.Out, approvals)
	}
	if !o.yes {
		word := map[bool]string{false: "approve", true: "deny"}[o.deny]
		if err := env.confirm("an approval is the answer of a person", fmt.Sprintf(`type "yes" to %s this`, word), "yes"); err != nil {
			return err
		}
	}
	for i, approval := range approvals {
		name, err := c.create(ctx, namesOfKind(access.KindApproval), approval)
		if err != nil {
			return err
		}
		h.report(env.Out, name, &h.effects[i], after)
	}
	return nil
}

// find finds what waits for the caller's answer.
func (h *hearing) find(notes io.Writer) error {
	var err error
	if givesAccess(h.target.Kind) {
		err = h.findAccess()
	} else {
		err = h.findEnd()
	}
	if err != nil {
		return err
	}
	var given string
	h.effects = slices.DeleteFunc(h.effects, func(e effect) bool {
		i := slices.IndexFunc(h.Approvals, func(a *access.Approval) bool {
			return a.For == h.target && a.Effect == e.digest && a.Approver == h.caller && a.Denied == h.options.deny
		})
		if i >= 0 {
			given = h.Approvals[i].Name
			printLine(notes, "note: you have given this answer to %s by Approval/%s", e.digest, given)
		}
		return i >= 0
	})
	if len(h.effects) == 0 {
		return fmt.Errorf("nothing of %s waits for you: you have given this answer by Approval/%s", h.target, given)
	}
	return nil
}

// findAccess finds what waits of what a grant or binding gives.
func (h *hearing) findAccess() error {
	if !h.names[h.target] {
		return h.missing(h.target, h.cluster.namespace)
	}
	resolution, o := access.Resolve(h.Declarations), h.options
	admissions := resolution.Admissions[h.target]
	var settled []string
	for i := range admissions {
		a := &admissions[i]
		switch waits := a.State == access.Awaiting || a.State == access.AdmittedInPart; {
		case o.user != "" && a.User != o.user:
		case !waits:
			settled = append(settled, stateWords(a))
		case o.effect != "" && a.Effect != o.effect:
			settled = append(settled, fmt.Sprintf("what %s would get has the effect %s", a.User, a.Effect))
		default:
			h.effects = append(h.effects, effect{a.Effect, a.Document, a})
		}
	}
	if len(h.effects) > 0 {
		return nil
	}
	message := fmt.Sprintf("nothing of %s waits for approval", h.target)
	switch {
	case len(settled) > 0:
		message += ": " + strings.Join(settled, "; ")
	case o.user != "" && len(admissions) > 0:
		message += fmt.Sprintf(": of what it gives %s, no guardrail asks for any", o.user)
	default:
		message += ": no guardrail asks for any"
	}
	for _, finding := range resolution.Findings[h.target] {
		message += "\n" + finding.String()
	}
	return errors.New(message)
}

func stateWords(a *access.Admission) string {
	if a.State == access.Refused {
		return fmt.Sprintf("an approver has said no to what %s would get", a.User)
	}
	return fmt.Sprintf("what %s gets is approved", a.User)
}

// findEnd finds the end of a restriction.
func (h *hearing) findEnd() error {
	document := h.endDocument()
	digest := access.EffectDigest(document)
	switch {
	case document != nil && access.Resolve(h.Declarations).Lifted[h.target]:
		return fmt.Errorf("nothing of %s waits for approval: its end is approved", h.target)
	case document != nil && (h.options.effect == "" || h.options.effect == digest):
		h.effects = []effect{{digest: digest, document: document}}
	case h.options.effect == "" && h.names[h.target]:
		return fmt.Errorf("%s is not what its kind may be, so what its end would give back is not known: see the note", h.target)
	case h.options.effect == "":
		return fmt.Errorf("%w\nwhere it was deleted it is still in force: name its end with --effect and the digest that the operator gives", h.missing(h.target, h.cluster.namespace))
	default:
		h.effects = []effect{{digest: h.options.effect, document: h.knownDocument(h.options.effect)}}
	}
	return nil
}

// endDocument is the effect document of the end of a restriction that is declared; nil where it is not.
func (h *hearing) endDocument() []byte {
	for _, r := range h.Revocations {
		if h.target == (access.Ref{Kind: access.KindRevocation, Name: r.Name}) {
			return r.LiftDocument()
		}
	}
	for _, g := range h.Guardrails {
		if h.target == (access.Ref{Kind: access.KindGuardrail, Name: g.Name}) {
			return g.RemovalDocument()
		}
	}
	return nil
}

// knownDocument is the document of a digest as somebody else has attached it to an Approval, or nil.
func (h *hearing) knownDocument(digest string) []byte {
	for _, a := range h.Approvals {
		if _, err := access.VerifyEffect(a.Document, digest); err == nil {
			return a.Document
		}
	}
	return nil
}

func (h *hearing) approval(e *effect) *v1alpha1.Approval {
	// Of a username such as oidc:gao-yuan@huayue.example what tells people apart.
	person, _, _ := strings.Cut(h.caller[strings.LastIndexAny(h.caller, ":/")+1:], "@")
	approval := &v1alpha1.Approval{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: string(access.KindApproval)},
		ObjectMeta: metav1.ObjectMeta{GenerateName: generatedName(h.target.Name, person), Namespace: h.cluster.namespace},
		Spec: v1alpha1.ApprovalSpec{
			For:      v1alpha1.ApprovalTarget{Kind: string(h.target.Kind), Name: v1alpha1.Reference(h.target.Name)},
			Effect:   e.digest,
			Decision: v1alpha1.DecisionApprove,
			Approver: h.caller,
			Comment:  v1alpha1.Sentence(h.options.comment),
		},
	}
	if h.options.deny {
		approval.Spec.Decision = v1alpha1.DecisionDeny
	}
	if document := string(e.document); travels(document) {
		approval.Spec.Document = document
	}
	return approval
}

// outlook is how things will stand once the approvals are made. Of the end of a restriction it is how they would stand
// after a yes.
func (h *hearing) outlook(approvals []*v1alpha1.Approval) (access.Resolution, error) {
	d := h.Declarations
	d.Approvals = slices.Clone(d.Approvals)
	for i, a := range approvals {
		given, err := manifest.Approval(a)
		if err != nil {
			return access.Resolution{}, err
		}
		given.Name = fmt.Sprintf("%d of those to be made", i) // no object's name
		// A no to the end of a restriction counts where a yes would, and changes nothing that could be seen.
		given.Denied = given.Denied && givesAccess(h.target.Kind)
		d.Approvals = append(d.Approvals, given)
	}
	return access.Resolve(d), nil
}

// printManifests prints objects as YAML. Where that would hold characters that a terminal obeys, it is JSON, which is
// YAML that can escape them.
func printManifests[O v1alpha1.Object](w io.Writer, objects []O) error {
	for i, object := range objects {
		content, err := contentOf(object)
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(content)
		if err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		if i > 0 {
			_, _ = io.WriteString(w, "---\n") // as in printLine
		}
		if strings.ContainsFunc(string(text), func(r rune) bool { return r != '\n' && !terminal.Shows(r) }) {
			if err := terminal.WriteJSON(w, content); err != nil {
				return err
			}
			continue
		}
		_, _ = w.Write(text) // as in printLine
	}
	return nil
}
