package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

// fieldManager owns what this command sets.
const fieldManager = "kubectl-crmaccess"

type retireOptions struct {
	kubeconfig, context, namespace string
	yes, force                     bool
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
	flags.StringVarP(&o.namespace, "namespace", "n", "", "the namespace (default that of the kubeconfig's context)")
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	flags.BoolVar(&o.force, "force-conflicts", false, "take spec.state over from whoever else sets it")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig file")
	flags.StringVar(&o.context, "context", "", "the context of the kubeconfig")
	return cmd
}

func runRetire(ctx context.Context, env *Environment, o *retireOptions) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace := o.namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return fmt.Errorf("read the kubeconfig: %w", err)
		}
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	stores := client.Resource(v1alpha1.GroupVersion.WithResource("permissionstores")).Namespace(namespace)
	store, err := stores.Get(ctx, v1alpha1.PermissionStoreName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get PermissionStore/%s of namespace %s on %s: %w", v1alpha1.PermissionStoreName, namespace, config.Host, err)
	}
	if stateOf(store) == v1alpha1.StateRetired {
		printLine(env.Out, "namespace %s is retired already: nothing was changed", namespace)
		return nil
	}
	if err := o.confirm(env, namespace, config.Host); err != nil {
		return err
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

// confirm asks for the name of the namespace: a word that nobody types by habit.
func (o *retireOptions) confirm(env *Environment, namespace, host string) error {
	if o.yes {
		return nil
	}
	if !env.Interactive {
		return errors.New("retiring ends everybody's access: confirm it with --yes, or run it on a terminal")
	}
	printLine(env.Err, "this ends the access of everybody in namespace %s on %s", namespace, host)
	_, _ = io.WriteString(env.Err, "type the namespace's name to go on: ")
	typed, err := bufio.NewReader(io.LimitReader(env.In, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the confirmation: %w", err)
	}
	if strings.TrimSpace(typed) != namespace {
		return fmt.Errorf("that is not %q: nothing was changed", namespace)
	}
	return nil
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
