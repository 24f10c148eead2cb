package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

type revokeOptions struct {
	clusterFlags
	reason      string
	yes, dryRun bool
}

func newRevoke(env *Environment) *cobra.Command {
	o := &revokeOptions{}
	cmd := &cobra.Command{
		Use:   "revoke KIND/NAME --reason TEXT -n NAMESPACE",
		Short: "End access at once",
		Long: `End access at once, whatever gives it: create a Revocation under your own identity.

KIND is user (all access of one person), binding, grant or role, or another name that kubectl knows it by. It holds until
somebody approves its lift; deleting the Revocation ends nothing. Who loses access is said where you may read it, and is not
waited for where you may not.`,
		Example: `  kubectl crmaccess revoke user/han-dong -n huayue --reason "device stolen"
  kubectl crmaccess revoke grant/q4-campaign -n huayue --reason "the agency has left" --yes`,
		Args: arguments("KIND/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(cmd, args[0], access.KindUser, access.KindUserBinding, access.KindTemporaryGrant, access.KindRole)
			if err != nil {
				return err
			}
			if o.reason = norm.NFC.String(o.reason); o.reason == "" {
				return usageError(cmd, "say with --reason why the access ends: it is all that people will know of it")
			}
			return runRevoke(cmd.Context(), env, o, target)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.reason, "reason", "", "why the access ends, one line (required)")
	o.addNamespace(flags)
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the Revocation and create nothing")
	o.add(flags)
	return cmd
}

func runRevoke(ctx context.Context, env *Environment, o *revokeOptions, target access.Ref) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	stricken, err := c.stricken(ctx, env, target)
	if err != nil {
		return err
	}
	revocation := revocationOf(target, o.reason, c.namespace)
	review := env.Out
	if o.dryRun {
		review = env.Err // what is printed can be applied
	}
	printLine(review, "revokes %s in namespace %s on %s", target, c.namespace, c.config.Host)
	printLine(review, "%s", stricken)
	if o.dryRun {
		return printManifests(env.Out, []*v1alpha1.Revocation{revocation})
	}
	if !o.yes {
		if err := env.confirm("a revocation ends access at once", "type the name of the "+strings.ToLower(string(target.Kind))+" to go on", target.Name); err != nil {
			return err
		}
	}
	name, err := c.create(ctx, namesOfKind(access.KindRevocation), revocation)
	if err != nil {
		return err
	}
	printLine(env.Out, "revoked: Revocation/%s", name)
	printLine(env.Out, "it holds, also if this object is deleted, until somebody else approves its lift:")
	printLine(env.Out, "  kubectl crmaccess approve revocation/%s -n %s", name, c.namespace)
	return nil
}

func revocationOf(target access.Ref, reason, namespace string) *v1alpha1.Revocation {
	revocation := &v1alpha1.Revocation{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: string(access.KindRevocation)},
		ObjectMeta: metav1.ObjectMeta{GenerateName: generatedName("stop-" + target.Name), Namespace: namespace},
		Spec:       v1alpha1.RevocationSpec{Reason: v1alpha1.Sentence(reason)},
	}
	name := v1alpha1.Reference(target.Name)
	switch target.Kind {
	case access.KindUser:
		revocation.Spec.User = name
	case access.KindUserBinding:
		revocation.Spec.Binding = name
	case access.KindTemporaryGrant:
		revocation.Spec.Grant = name
	case access.KindRole:
		revocation.Spec.Role = name
	}
	return revocation
}

// stricken says who loses access. In an emergency it must not stand in the way that the caller may not read it; a name
// that is known not to exist must, for it is a misspelt one.
func (c *cluster) stricken(ctx context.Context, env *Environment, target access.Ref) (string, error) {
	d, err := c.read(ctx, env.Err)
	if apierrors.IsForbidden(err) {
		return "who loses access is not known here: you may not read all declarations", nil
	}
	if err != nil {
		return "", err
	}
	if !d.names[target] {
		return "", fmt.Errorf("%w\nto revoke what is yet to come, create the Revocation with kubectl", d.missing(target, c.namespace))
	}
	now := schedule.At(env.Now())
	before := access.Resolve(d.Declarations).Facts.WithoutEnded(now)
	d.Revocations = append(slices.Clone(d.Revocations), &access.Revocation{Name: "the one to be made", Target: target})
	losers := access.Losers(before, access.Resolve(d.Declarations).Facts.WithoutEnded(now))
	if len(losers) == 0 {
		return "nobody has access by it now", nil
	}
	const most = 20
	names := make([]string, 0, most)
	for _, user := range losers[:min(len(losers), most)] {
		names = append(names, d.person(user))
	}
	text := fmt.Sprintf("takes access from %s: %s", people(len(losers)), strings.Join(names, ", "))
	if more := len(losers) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text, nil
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
