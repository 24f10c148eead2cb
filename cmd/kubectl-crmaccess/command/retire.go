package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

// fieldManager owns what this command sets.
const fieldManager = "kubectl-crmaccess"

type retireOptions struct {
	clusterFlags
	yes, force bool
}

func newRetire(env *Environment) *cobra.Command {
	o := &retireOptions{}
	cmd := &cobra.Command{
		Use:   "retire -n NAMESPACE",
		Short: "End everybody's access in a namespace, on purpose",
		Long: `End everybody's access in a namespace, on purpose: set spec.state of PermissionStore/default to Retired.

Objects that are deleted take access away only as fast as the brake lets them, and a tenant that is gone is not believed to
be gone; this says that it is meant. It is written under your own identity, as field manager ` + fieldManager + `.`,
		Example: `  kubectl crmaccess retire -n huayue
  kubectl crmaccess retire -n huayue --yes`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runRetire(cmd.Context(), env, o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.addNamespace(flags)
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	flags.BoolVar(&o.force, "force-conflicts", false, "take spec.state over from whoever else sets it")
	o.add(flags)
	return cmd
}

func runRetire(ctx context.Context, env *Environment, o *retireOptions) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	namespace, config := c.namespace, c.config
	stores := c.resource("permissionstores")
	store, err := stores.Get(ctx, v1alpha1.PermissionStoreName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get PermissionStore/%s of namespace %s on %s: %w", v1alpha1.PermissionStoreName, namespace, config.Host, err)
	}
	if stateOf(store) == v1alpha1.StateRetired {
		printLine(env.Out, "namespace %s is retired already: nothing was changed", namespace)
		return nil
	}
	if !o.yes {
		// The name of the namespace is a word that nobody types by habit.
		printLine(env.Err, "this ends the access of everybody in namespace %s on %s", namespace, config.Host)
		if err := env.confirm("retiring ends everybody's access", "type the namespace's name to go on", namespace); err != nil {
			return err
		}
	}
	if err := o.apply(ctx, stores, store); err != nil {
		return err
	}
	printLine(env.Out, "retired namespace %s on %s: PermissionStore/%s has spec.state %s", namespace, config.Host, v1alpha1.PermissionStoreName, v1alpha1.StateRetired)
	printLine(env.Out, "the operator now ends everybody's access there; condition Ready says when it has:")
	printLine(env.Out, "  kubectl get permissionstores.%s %s -n %s", v1alpha1.Group, v1alpha1.PermissionStoreName, namespace)
	return nil
}

func stateOf(store *unstructured.Unstructured) string {
	state, _, _ := unstructured.NestedString(store.Object, "spec", "state")
	return state
}

// apply sets spec.state and nothing else. The uid ties it to the store that was confirmed: one made anew in the meantime
// is another.
func (o *retireOptions) apply(ctx context.Context, stores dynamic.ResourceInterface, store *unstructured.Unstructured) error {
	change := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "PermissionStore",
		"metadata":   map[string]any{"name": store.GetName(), "namespace": store.GetNamespace(), "uid": string(store.GetUID())},
		"spec":       map[string]any{"state": v1alpha1.StateRetired},
	}}
	after, err := stores.Apply(ctx, store.GetName(), change, metav1.ApplyOptions{FieldManager: fieldManager, Force: o.force})
	what := fmt.Sprintf("set spec.state of PermissionStore/%s in namespace %s", store.GetName(), store.GetNamespace())
	switch {
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: %w\nanother tool sets it: change it there (in Git, say), or it comes back; --force-conflicts takes it over", what, err)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case stateOf(after) != v1alpha1.StateRetired:
		return fmt.Errorf("%s: the cluster dropped it; its CustomResourceDefinition is older than this command: apply config/crd first", what)
	}
	return nil
}
