package v1alpha1_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

func TestANewObjectWaitsForTheOperator(t *testing.T) {
	server := newClient(t)
	namespace := env.Namespace(t)
	for _, c := range testenv.Grammar(t) {
		if c.Refused != "" || !strings.HasPrefix(c.Name, "the example of ") {
			continue
		}
		t.Run(c.Object.GetKind(), func(t *testing.T) {
			c.Object.SetNamespace(namespace)
			// A status in a manifest is not believed: only the operator writes it.
			c.Object.Object["status"] = map[string]any{"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Applied", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}}}
			if err := server.Create(context.Background(), c.Object); err != nil {
				t.Fatal(err)
			}
			stored := &unstructured.Unstructured{}
			stored.SetGroupVersionKind(c.Object.GroupVersionKind())
			if err := server.Get(context.Background(), client.ObjectKeyFromObject(c.Object), stored); err != nil {
				t.Fatal(err)
			}
			conditions, _, _ := unstructured.NestedSlice(stored.Object, "status", "conditions")
			want := `[{"lastTransitionTime":"1970-01-01T00:00:00Z","message":"waiting for the operator","reason":"Pending","status":"Unknown","type":"Ready"}]`
			if got, _ := json.Marshal(conditions); string(got) != want {
				t.Errorf("conditions of a new object:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestDefaultsOfTheStore(t *testing.T) {
	server := typedClient(t)
	store := &v1alpha1.PermissionStore{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.PermissionStoreName, Namespace: env.Namespace(t)},
		Spec:       v1alpha1.PermissionStoreSpec{Driver: v1alpha1.DriverSQLite, Connection: v1alpha1.Connection{File: "crm.db"}},
	}
	if err := server.Create(context.Background(), store); err != nil {
		t.Fatal(err)
	}
	if store.Spec.Drift.Mode != v1alpha1.DriftEnforce {
		t.Errorf("drift mode is %q by default, want %q", store.Spec.Drift.Mode, v1alpha1.DriftEnforce)
	}
	if people := store.Spec.Brake.People; people == nil || *people != 50 {
		t.Errorf("the brake is %v by default, want 50", people)
	}
}

func TestAnInstantIsKeptAsWritten(t *testing.T) {
	server := typedClient(t)
	grant := &v1alpha1.TemporaryGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "yearend", Namespace: env.Namespace(t)},
		Spec: v1alpha1.TemporaryGrantSpec{
			Users: []v1alpha1.Reference{"li-ting"}, Roles: []v1alpha1.Reference{"sales-rep"}, Reason: "year-end push",
			NotBefore: "2026-12-28T09:00:00+08:00", NotAfter: "2026-12-31T09:00:00+08:00",
		},
	}
	if err := server.Create(context.Background(), grant); err != nil {
		t.Fatal(err)
	}
	if err := server.Get(context.Background(), client.ObjectKeyFromObject(grant), grant); err != nil {
		t.Fatal(err)
	}
	if grant.Spec.NotBefore != "2026-12-28T09:00:00+08:00" || grant.Spec.NotAfter != "2026-12-31T09:00:00+08:00" {
		t.Errorf("the window became %s to %s", grant.Spec.NotBefore, grant.Spec.NotAfter)
	}
}

func TestStatusIsItsOwnResource(t *testing.T) {
	server := typedClient(t)
	department := &v1alpha1.Department{ObjectMeta: metav1.ObjectMeta{Name: "sales", Namespace: env.Namespace(t)}}
	if err := server.Create(context.Background(), department); err != nil {
		t.Fatal(err)
	}
	meta.SetStatusCondition(&department.GetStatus().Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApplied, ObservedGeneration: department.Generation,
	})
	department.GetStatus().ObservedGeneration = department.Generation
	department.Spec.DisplayName = "not by this way"
	if err := server.Status().Update(context.Background(), department); err != nil {
		t.Fatal(err)
	}
	if err := server.Get(context.Background(), client.ObjectKeyFromObject(department), department); err != nil {
		t.Fatal(err)
	}
	if department.Spec.DisplayName != "" || department.Generation != 1 {
		t.Errorf("a write of the status changed the spec: %+v", department.Spec)
	}
	if ready := meta.FindStatusCondition(department.Status.Conditions, v1alpha1.ConditionReady); len(department.Status.Conditions) != 1 || ready.Reason != v1alpha1.ReasonApplied {
		t.Errorf("conditions are %+v, want Ready alone, with reason Applied", department.Status.Conditions)
	}
}

func TestAnUnknownFieldIsNoSilentLossForKubectl(t *testing.T) {
	server := newClient(t)
	role := manifestOf(t, object{"kind": "Role", "spec": object{"grants": list{
		object{"object": "customer", "actions": list{"read"}, "scopes": list{"all"}, "were": list{}}}}}, env.Namespace(t))
	err := server.Create(context.Background(), role)
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "spec.grants[0].were"`) {
		t.Errorf("got %v, want the unknown field refused", err)
	}
}

func TestTheSamplesApplyAndStayAsTheyAre(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range []string{"quickstart", "huayue"} {
		t.Run(sample, func(t *testing.T) {
			dir := filepath.Join(root, "config", "samples", sample)
			kubectl(t, "apply", "-k", dir)
			if out := kubectl(t, "diff", "-k", dir); strings.TrimSpace(out) != "" {
				t.Errorf("kubectl diff after apply:\n%s", out)
			}
			kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", dir)
			if out := kubectl(t, "diff", "--server-side", "--force-conflicts", "-k", dir); strings.TrimSpace(out) != "" {
				t.Errorf("kubectl diff after server-side apply:\n%s", out)
			}
			kubectl(t, "get", "crmaccess", "-n", sample, "-o", "wide")
		})
	}
}

func TestExplainTeaches(t *testing.T) {
	for path, want := range map[string]string{
		"roles.spec.grants":                      "Grants are never merged",
		"roles.spec.grants.scopes":               "departmentAndBelow",
		"temporarygrants.spec.notAfter":          "RFC 3339 in whole seconds",
		"temporarygrants.spec.grants.records":    "exactly one",
		"userbindings.spec.subjects.selector":    "department and title",
		"permissionstores.spec.brake.people":     "Defaults to 50",
		"objecttypes.spec.fields.mask.keepFirst": "Only for Keep",
		"users.spec.state":                       "Only Active has access",
		"departments.spec.parent":                "Unset at the root",
		"guardrails.spec.rules.admit.maxHolders": "keep their access",
		"approvals.spec.effect":                  "64 hexadecimal digits",
		"revocations.spec.role":                  "what its heirs have",
	} {
		out := kubectl(t, "explain", path, "--api-version=crmaccess.io/v1alpha1")
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("kubectl explain %s does not say %q:\n%s", path, want, out)
		}
	}
}

func typedClient(t testing.TB) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

func TestAnAnswerAndARevocationNeverChange(t *testing.T) {
	server, ctx, namespace := newClient(t), context.Background(), env.Namespace(t)
	for kind, change := range map[string]struct{ path, to, refused string }{
		"Approval":   {"decision", "Deny", "an Approval cannot be changed: make a new one"},
		"Revocation": {"reason", "found again", "a Revocation cannot be changed: make a new one"},
	} {
		t.Run(kind, func(t *testing.T) {
			for _, c := range testenv.Grammar(t) {
				if c.Name != "the example of "+kind+" is accepted" {
					continue
				}
				c.Object.SetNamespace(namespace)
				if err := server.Create(ctx, c.Object); err != nil {
					t.Fatal(err)
				}
				c.Object.SetLabels(map[string]string{"reviewed": "yes"})
				if err := server.Update(ctx, c.Object); err != nil {
					t.Errorf("a label: %v", err)
				}
				if err := unstructured.SetNestedField(c.Object.Object, change.to, "spec", change.path); err != nil {
					t.Fatal(err)
				}
				if err := server.Update(ctx, c.Object); err == nil || !strings.Contains(err.Error(), change.refused) {
					t.Errorf("got %v, want it refused with %q", err, change.refused)
				}
				return
			}
			t.Fatal("the grammar has no example of it")
		})
	}
}
