package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

func TestRetire(t *testing.T) {
	env := testenv.Start(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	stores := func(namespace string) dynamic.ResourceInterface {
		return client.Resource(v1alpha1.GroupVersion.WithResource("permissionstores")).Namespace(namespace)
	}
	newStore := func(t *testing.T, spec map[string]any) string {
		namespace := env.Namespace(t)
		spec["driver"], spec["connection"] = "sqlite", map[string]any{"file": "crm.db"}
		store := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "crmaccess.io/v1alpha1", "kind": "PermissionStore", "metadata": map[string]any{"name": "default"}, "spec": spec,
		}}
		if _, err := stores(namespace).Apply(t.Context(), "default", store, metav1.ApplyOptions{FieldManager: "argocd"}); err != nil {
			t.Fatal(err)
		}
		return namespace
	}
	state := func(t *testing.T, namespace string) string {
		store, err := stores(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		state, _, _ := unstructured.NestedString(store.Object, "spec", "state")
		return state
	}
	retire := func(s sitting, namespace string, more ...string) result {
		return s.run(append([]string{"retire", "--kubeconfig", kubeconfig, "-n", namespace}, more...)...)
	}

	t.Run("sets the state as a field manager of its own, and says so", func(t *testing.T) {
		namespace := newStore(t, map[string]any{})
		retire(sitting{}, namespace, "--yes").expect(t, 0, "retired namespace "+namespace+" on https://", "spec.state Retired", "kubectl get permissionstores.crmaccess.io default -n "+namespace)
		store, err := stores(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		owned := ""
		for _, entry := range store.GetManagedFields() {
			if entry.Manager == "kubectl-crmaccess" && entry.Operation == metav1.ManagedFieldsOperationApply {
				owned = string(entry.FieldsV1.GetRawBytes())
			}
		}
		if state(t, namespace) != "Retired" || owned != `{"f:spec":{"f:state":{}}}` {
			t.Errorf("state %s, owns %s: want spec.state alone", state(t, namespace), owned)
		}
		if driver, _, _ := unstructured.NestedString(store.Object, "spec", "driver"); driver != "sqlite" {
			t.Errorf("the rest of the spec has changed: driver %q", driver)
		}
		retire(sitting{}, namespace, "--yes").expect(t, 0, "is retired already: nothing was changed")
	})
	t.Run("without --yes it wants the name of the namespace, from a person", func(t *testing.T) {
		namespace := newStore(t, map[string]any{})
		retire(sitting{types: namespace + "\n"}, namespace).expect(t, 2, "confirm it with --yes")
		retire(sitting{types: "yes\n", interactive: true}, namespace).expect(t, 2, "nothing was changed")
		retire(sitting{types: "", interactive: true}, namespace).expect(t, 2, "nothing was changed")
		if got := state(t, namespace); got != "Active" {
			t.Fatalf("state %s without a confirmation", got)
		}
		retire(sitting{types: namespace + "\n", interactive: true}, namespace).expect(t, 0, "type the namespace's name to go on: ", "retired namespace")
		if got := state(t, namespace); got != "Retired" {
			t.Errorf("state %s after the confirmation", got)
		}
	})
	t.Run("what another tool sets is not overwritten unless asked", func(t *testing.T) {
		namespace := newStore(t, map[string]any{"state": "Active"})
		retire(sitting{}, namespace, "--yes").expect(t, 2, "argocd", "change it there", "--force-conflicts")
		if got := state(t, namespace); got != "Active" {
			t.Fatalf("state %s", got)
		}
		retire(sitting{}, namespace, "--yes", "--force-conflicts").expect(t, 0, "retired namespace")
	})
	t.Run("a namespace without a store is an error and gets none", func(t *testing.T) {
		namespace := env.Namespace(t)
		retire(sitting{}, namespace, "--yes").expect(t, 2, "get PermissionStore/default of namespace "+namespace, "not found")
		if list, err := stores(namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%v: a store has come to be: %v", err, list)
		}
	})
	t.Run("a kubeconfig that is not there", func(t *testing.T) {
		r := sitting{}.run("retire", "--kubeconfig", kubeconfig+"x", "-n", "a", "--yes")
		r.expect(t, 2, "read the kubeconfig")
		sitting{}.run("retire", "--kubeconfig", kubeconfig, "--context", "none", "-n", "a").expect(t, 2, "none")
		if strings.Contains(r.out, "retired") {
			t.Error("says that it retired something")
		}
	})
}
