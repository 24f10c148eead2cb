package command_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// live is a cluster with the admission policies and the roles that config/ ships.
type live struct {
	*testenv.Environment
	admin    dynamic.Interface
	accounts map[string]string // kubeconfig files by username
	dir      string            // where they are
	files    int
}

func startCluster(t *testing.T) *live {
	t.Helper()
	l := &live{Environment: testenv.Start(t), accounts: map[string]string{}, dir: t.TempDir()}
	var err error
	if l.admin, err = dynamic.NewForConfig(l.Config); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"config/admission/approvals.yaml", "config/rbac/approver_role.yaml", "config/rbac/viewer_role.yaml"} {
		for _, object := range documents(t, file) {
			kind := object.GroupVersionKind()
			resource := strings.ToLower(kind.Kind) + "s"
			if kind.Kind == "ValidatingAdmissionPolicy" {
				resource = "validatingadmissionpolicies"
			}
			l.create(t, kind.GroupVersion().WithResource(resource), "", object)
		}
	}
	// A policy is in force a while after it was made.
	probe := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Approval", "metadata": map[string]any{"name": "probe"},
		"spec": map[string]any{"for": map[string]any{"kind": "Guardrail", "name": "x"}, "effect": "sha256:" + strings.Repeat("0", 64), "decision": "Deny", "approver": "nobody"},
	}}
	namespace, deadline := l.Namespace(t), time.Now().Add(30*time.Second)
	for {
		_, err := l.admin.Resource(gvr("approvals")).Namespace(namespace).Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'crmaccess-approvals'") {
			return l
		}
		if time.Now().After(deadline) {
			t.Fatalf("the admission policy is not in force: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func gvr(resource string) schema.GroupVersionResource {
	return v1alpha1.GroupVersion.WithResource(resource)
}

func documents(t *testing.T, file string) (out []*unstructured.Unstructured) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data))
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		}
		out = append(out, object)
	}
}

func (l *live) create(t *testing.T, resource schema.GroupVersionResource, namespace string, object *unstructured.Unstructured) {
	t.Helper()
	if _, err := l.admin.Resource(resource).Namespace(namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create %s %s: %v", resource.Resource, object.GetName(), err)
	}
}

// declare creates the objects of manifests in a namespace.
func (l *live) declare(t *testing.T, namespace, manifests string) {
	t.Helper()
	tree, err := manifest.Load(write(t, map[string]string{"a.yaml": manifests}))
	if err != nil {
		t.Fatal(err)
	}
	for ref, object := range tree.Tenants[""].Objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			t.Fatal(err)
		}
		delete(content, "status")
		l.create(t, gvr(strings.ToLower(string(ref.Kind))+"s"), namespace, &unstructured.Unstructured{Object: content})
	}
}

// account makes somebody who may do in a namespace what the cluster roles say, and returns their kubeconfig.
func (l *live) account(t *testing.T, namespace, name string, groups []string, roles ...string) string {
	t.Helper()
	l.bind(t, namespace, name, roles...)
	if file := l.accounts[name]; file != "" {
		return file
	}
	user := l.User(t, name, groups...)
	l.accounts[name] = l.kubeconfig(t, &clientcmdapi.AuthInfo{ClientCertificateData: user.CertData, ClientKeyData: user.KeyData})
	return l.accounts[name]
}

// robot makes a service account, and returns its kubeconfig.
func (l *live) robot(t *testing.T, namespace string, roles ...string) string {
	t.Helper()
	accounts := l.clients(t).CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.bind(t, namespace, "system:serviceaccount:"+namespace+":robot", roles...)
	token, err := accounts.CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l.kubeconfig(t, &clientcmdapi.AuthInfo{Token: token.Status.Token})
}

// bind gives a user the cluster roles in a namespace.
func (l *live) bind(t *testing.T, namespace, user string, roles ...string) {
	t.Helper()
	for _, role := range roles {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "crm-access-operator-" + role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}
		if _, err := l.clients(t).RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		l.awaitRights(t, namespace, user, binding.RoleRef.Name)
	}
}

// awaitRights waits until the server lets a user do what a cluster role says: it hears of bindings a while after they were
// made.
func (l *live) awaitRights(t *testing.T, namespace, user, role string) {
	t.Helper()
	clients := l.clients(t)
	bound, err := clients.RbacV1().ClusterRoles().Get(t.Context(), role, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := bound.Rules[len(bound.Rules)-1]
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: last.Verbs[0], Group: last.APIGroups[0], Resource: last.Resources[0],
	}}}
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
		answer, err := clients.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status.Allowed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not let do what %s says: %s", user, role, answer.Status.Reason)
		}
	}
}

func (l *live) clients(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	clients, err := kubernetes.NewForConfig(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func (l *live) kubeconfig(t *testing.T, who *clientcmdapi.AuthInfo) string {
	t.Helper()
	server := l.Config.Host
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	return l.kubeconfigOf(t, server, l.Config.CAData, who)
}

func (l *live) kubeconfigOf(t *testing.T, server string, authority []byte, who *clientcmdapi.AuthInfo) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos["u"] = who
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	l.files++
	file := filepath.Join(l.dir, "kubeconfig-"+strconv.Itoa(l.files))
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func (l *live) approvals(t *testing.T, namespace string) (out []v1alpha1.Approval) {
	t.Helper()
	list, err := l.admin.Resource(gvr("approvals")).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		var a v1alpha1.Approval
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &a); err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// verified makes sure that an approval names just the document that it carries, and reads it.
func verified(t *testing.T, a v1alpha1.Approval) *access.EffectDocument {
	t.Helper()
	document, err := access.VerifyEffect([]byte(a.Spec.Document), a.Spec.Effect)
	if err != nil {
		t.Fatalf("Approval/%s: %v", a.Name, err)
	}
	return document
}

var humans = []string{"crmaccess:humans"}

// approving is a company in which something waits for approval.
const approving = crm + `kind: ObjectType
metadata: {name: customer}
spec:
  displayName: Customer
  actions: [read, export]
  fields: [{name: name, class: public}, {name: phone, class: confidential}]
---
` + crm + `kind: Department
metadata: {name: east}
spec: {displayName: East}
---
` + crm + `kind: Department
metadata: {name: west}
spec: {displayName: West}
---
` + crm + `kind: User
metadata: {name: boss}
spec: {displayName: The Boss, type: Employee, state: Active, department: east, identities: [{issuer: "https://sso", subject: b, username: boss@sso.example}]}
---
` + crm + `kind: User
metadata: {name: chief}
spec: {displayName: Chief, type: Employee, state: Active, department: west, identities: [{issuer: "https://sso", subject: c, username: chief@sso.example}]}
---
` + crm + `kind: User
metadata: {name: ann}
spec: {displayName: Ann, type: Employee, state: Active, department: east, manager: boss, identities: [{issuer: "https://sso", subject: a, username: ann@sso.example}]}
---
` + crm + `kind: User
metadata: {name: ben}
spec: {displayName: Ben, type: Employee, state: Active, department: east, manager: boss}
---
` + crm + `kind: Role
metadata: {name: rep}
spec: {displayName: Rep, grants: [{object: customer, actions: [read], scopes: [own]}]}
---
` + crm + `kind: Role
metadata: {name: admin}
spec: {displayName: Admin, privileged: true, inherits: [{role: rep}], grants: [{object: customer, actions: [read, export], scopes: [all], fields: [{class: confidential, level: read}]}]}
---
` + crm + `kind: UserBinding
metadata: {name: reps}
spec: {subjects: [{user: ann}, {user: ben}], roles: [rep]}
---
` + crm + `kind: UserBinding
metadata: {name: admins}
spec: {subjects: [{user: ann}], roles: [admin], justification: runs the CRM}
---
` + crm + `kind: TemporaryGrant
metadata: {name: holiday}
spec:
  users: [ann, ben]
  grants:
  - {object: customer, actions: [read], records: {departments: [west]}, where: [{field: name, operator: In, values: [huaxin]}], fields: [{class: confidential, level: read}]}
  notBefore: "2026-12-01T00:00:00Z"
  notAfter: "2026-12-08T00:00:00Z"
  reason: holiday cover
  requestedBy: chief
---
` + crm + `kind: Guardrail
metadata: {name: elsewhere}
spec:
  rules:
  - admit: {when: {temporary: true, otherDepartment: true}, approvals: 1, by: [{managerOfSubject: true}]}
  - deny: {objects: [customer], actions: [export], when: {channels: [mobile], reason: Missing}}
---
` + crm + `kind: Guardrail
metadata: {name: privileged}
spec: {rules: [{admit: {when: {privilegedRole: true}, approvals: 2}}]}
---
` + crm + `kind: Revocation
metadata: {name: stop-ben}
spec: {user: ben, reason: device stolen}
`

const crm = "apiVersion: crmaccess.io/v1alpha1\n"
