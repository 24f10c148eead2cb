package attack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

const (
	humans = "crmaccess:humans"
	// operatorAccount is the service account of config/rbac. A client certificate with its name has just its rights.
	operatorAccount = "system:serviceaccount:crm-access-operator-system:crm-access-operator"

	// patience is for what must come, and a while is long enough for several passes: for what must not.
	patience = 20 * time.Second
	aWhile   = 1200 * time.Millisecond
	often    = 50 * time.Millisecond
)

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}()

// cluster is an API server, and an operator that serves all of it.
type cluster struct {
	env   *testenv.Environment
	admin client.Client
	dir   string // of the stores
	op    *operator

	whole   *testing.T // as long as the operators may run
	shipped map[string]*shippedPolicy
	probing sync.Once

	mu      sync.Mutex
	clients map[string]client.Client
}

func newCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	c := &cluster{env: testenv.Start(t), dir: dir, clients: make(map[string]client.Client)}
	c.admin = connect(t, c.env.Config, nil)
	return c
}

// connect makes a client. A mapper spares it the question what the API server serves, which not everybody may ask.
func connect(t *testing.T, config *rest.Config, mapper meta.RESTMapper) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	out, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// install applies what ships: the policies and roles among it.
func (c *cluster) install(t *testing.T) {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, c.env.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(assets, "kubectl"), "--kubeconfig", config, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(root, "config", "default"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply -k config/default: %v\n%.2000s", err, out)
	}
}

// as is a client for a person: the certificate says the name and the groups.
func (c *cluster) as(t *testing.T, name string, groups ...string) client.Client {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(append([]string{name}, groups...), " ")
	if c.clients[key] == nil {
		c.clients[key] = connect(t, c.env.User(t, name, groups...), c.admin.RESTMapper())
	}
	return c.clients[key]
}

// bind gives somebody one of the shipped roles in a namespace.
func (c *cluster) bind(t *testing.T, namespace, role string, users ...string) {
	t.Helper()
	for _, user := range users {
		name := strings.NewReplacer(":", "-", "@", "-").Replace(role + "-" + user)
		must(t, c.admin.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}))
	}
}

// allow gives somebody rights of their own in a namespace.
func (c *cluster) allow(t *testing.T, namespace, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	named := metav1.ObjectMeta{Namespace: namespace, Name: strings.NewReplacer(":", "-", "@", "-").Replace("own-" + user)}
	must(t, c.admin.Create(t.Context(), &rbacv1.Role{ObjectMeta: named, Rules: rules}))
	must(t, c.admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: named.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
}

func rule(verbs, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.Group}, Verbs: strings.Split(verbs, ","), Resources: []string{resource}, ResourceNames: names}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gao approves, lin too; ann and bo are reps of the east; robot applies what is in Git. mallory may approve, by RBAC, but
// is no human being to the identity provider.
const (
	gao     = "gao@office.example"
	lin     = "lin@office.example"
	ann     = "ann@office.example"
	robot   = "robot"
	mallory = "mallory"
	onCall  = "on-call"
)

const office = `
kind: ObjectType
metadata: {name: customer}
spec:
  ownerField: owner
  departmentField: dept
  fields: [{name: owner, class: internal}, {name: dept, class: internal}, {name: phone, class: confidential}]
  actions: [read, update, export]
---
kind: Department
metadata: {name: east}
spec: {displayName: East}
---
kind: Department
metadata: {name: west}
spec: {displayName: West}
---
kind: Role
metadata: {name: rep}
spec: {grants: [{object: customer, actions: [read, update, export], scopes: [own]}]}
---
kind: User
metadata: {name: ann}
spec: {displayName: Ann, department: east, manager: gao, identities: [{issuer: "https://sso.office.example", subject: ann, username: ann@office.example}]}
---
kind: User
metadata: {name: bo}
spec: {displayName: Bo, department: east, manager: gao}
---
kind: User
metadata: {name: gao}
spec: {displayName: Gao, department: east, identities: [{issuer: "https://sso.office.example", subject: gao, username: gao@office.example}]}
---
kind: User
metadata: {name: lin}
spec: {displayName: Lin, department: east, identities: [{issuer: "https://sso.office.example", subject: lin, username: lin@office.example}]}
---
kind: UserBinding
metadata: {name: reps}
spec: {subjects: [{user: ann}, {user: bo}], roles: [rep]}
---
kind: Guardrail
metadata: {name: lending}
spec: {rules: [{admit: {when: {temporary: true, otherDepartment: true}, approvals: 1}}]}
---
kind: Guardrail
metadata: {name: no-export}
spec: {rules: [{deny: {objects: [customer], actions: [export]}}]}
`

// loan lends the customers of the west.
func loan(name, user, actions string) string {
	return fmt.Sprintf(`
kind: TemporaryGrant
metadata: {name: %s}
spec:
  users: [%s]
  grants: [{object: customer, actions: [%s], records: {departments: [west]}}]
  notAfter: "2099-01-01T00:00:00Z"
  reason: cover
`, name, user, actions)
}

func permissionStore(file, adopt string) string {
	if adopt != "" {
		adopt = ", adopt: " + adopt
	}
	return "kind: PermissionStore\nmetadata: {name: default}\nspec: {driver: sqlite, connection: {file: " + file + "}" + adopt + "}"
}

// tenant makes a namespace with the office in it, and with everybody's rights.
func (c *cluster) tenant(t *testing.T, more ...string) string {
	t.Helper()
	namespace := c.env.Namespace(t)
	c.people(t, namespace)
	c.apply(t, namespace, append([]string{permissionStore(namespace+".db", ""), office}, more...)...)
	return namespace
}

func (c *cluster) people(t *testing.T, namespace string) {
	t.Helper()
	c.bind(t, namespace, "crm-access-operator-approver", gao, lin, ann, mallory)
	c.bind(t, namespace, "crm-access-operator-editor", robot)
	c.bind(t, namespace, "crm-access-operator-revoker", onCall)
	c.bind(t, namespace, "crm-access-operator-emergency", onCall)
}

// parse reads objects from YAML.
func parse(t *testing.T, texts ...string) (objects []*unstructured.Unstructured) {
	t.Helper()
	for _, document := range strings.Split(strings.Join(texts, "\n---\n"), "\n---\n") {
		u := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(document), &u.Object))
		u.SetAPIVersion(v1alpha1.GroupVersion.String())
		objects = append(objects, u)
	}
	return objects
}

// apply applies manifests as somebody who may do everything.
func (c *cluster) apply(t *testing.T, namespace string, texts ...string) {
	t.Helper()
	c.applyAs(t, c.admin, namespace, texts...)
}

func (c *cluster) applyAs(t *testing.T, who client.Client, namespace string, texts ...string) {
	t.Helper()
	for _, u := range parse(t, texts...) {
		u.SetNamespace(namespace)
		NewWithT(t).Eventually(func() error {
			return who.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("git"), client.ForceOwnership)
		}).WithTimeout(patience).WithPolling(often).Should(Succeed())
	}
}

// remove deletes an object.
func (c *cluster) remove(t *testing.T, who client.Client, namespace, kind, name string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	u.SetNamespace(namespace)
	u.SetName(name)
	NewWithT(t).Eventually(func() error { return who.Delete(t.Context(), u) }).WithTimeout(patience).WithPolling(often).Should(Succeed())
}

// declarations are what the API declares in a namespace, the Approvals left out.
func (c *cluster) declarations(t *testing.T, namespace string) access.Declarations {
	t.Helper()
	var d access.Declarations
	for _, list := range []client.ObjectList{
		&v1alpha1.ObjectTypeList{}, &v1alpha1.DepartmentList{}, &v1alpha1.UserList{}, &v1alpha1.RoleList{}, &v1alpha1.UserBindingList{},
		&v1alpha1.TemporaryGrantList{}, &v1alpha1.GuardrailList{}, &v1alpha1.RevocationList{},
	} {
		must(t, c.admin.List(t.Context(), list, client.InNamespace(namespace)))
		must(t, meta.EachListItem(list, func(item runtime.Object) error { return manifest.Declare(&d, item.(v1alpha1.Object)) }))
	}
	return d
}

// effectOf is the digest that whoever approves a grant for somebody has to name.
func (c *cluster) effectOf(t *testing.T, namespace, name, user string) string {
	t.Helper()
	for _, a := range access.Resolve(c.declarations(t, namespace)).Admissions[access.Ref{Kind: grant, Name: name}] {
		if a.User == user {
			return a.Effect
		}
	}
	t.Fatalf("nothing of %s in %s asks for an approval for %s", name, namespace, user)
	return ""
}

// approval is an answer by a name, whoever makes it.
func approval(namespace, name, approver, kind, of, effect string) *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ApprovalSpec{
			For: v1alpha1.ApprovalTarget{Kind: kind, Name: v1alpha1.Reference(of)}, Effect: effect, Decision: v1alpha1.DecisionApprove, Approver: approver,
		},
	}
}

// succeeds makes a call until RBAC and admission, which follow their objects with a delay, let it through.
func succeeds(t *testing.T, call func() error) {
	t.Helper()
	NewWithT(t).Eventually(call).WithTimeout(patience).WithPolling(often).Should(Succeed())
}

// refusal is how a call ends once RBAC knows the caller: words that refuse it.
func refusal(t *testing.T, words string, call func() error) {
	t.Helper()
	NewWithT(t).Eventually(func() string { return errorText(call()) }).WithTimeout(patience).WithPolling(often).Should(ContainSubstring(words))
}

func errorText(err error) string {
	if err == nil {
		return "it was let through"
	}
	return err.Error()
}

// approve makes real approvals of a grant until one counts: those made while the policy is settling do not.
func (c *cluster) approve(t *testing.T, namespace, approver, name, user string) {
	t.Helper()
	effect := c.effectOf(t, namespace, name, user)
	c.answer(t, namespace, approver, string(grant), name, effect)
}

// answer makes Approvals of something until one is known to be its approver's own; it need not count.
func (c *cluster) answer(t *testing.T, namespace, approver, kind, of, effect string) {
	t.Helper()
	who, g, try := c.as(t, approver, humans), NewWithT(t), 0
	g.Eventually(func() string {
		try++
		a := approval(namespace, fmt.Sprintf("yes-%s-%s-%d", strings.ToLower(kind), of, try), approver, kind, of, effect)
		if err := who.Create(t.Context(), a); err != nil {
			return err.Error()
		}
		reason := ""
		g.Eventually(func() string {
			reason, _ = c.reason(namespace, a)
			return reason
		}).WithTimeout(2 * time.Second).WithPolling(often).ShouldNot(BeEmpty())
		return reason
	}).WithTimeout(2 * patience).WithPolling(time.Second).Should(Equal(v1alpha1.ReasonCounted))
}

// reason is why an Approval is ready or not, and the message; empty before the operator has looked.
func (c *cluster) reason(namespace string, a *v1alpha1.Approval) (reason, message string) {
	seen := &v1alpha1.Approval{}
	if err := c.admin.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: a.Name}, seen); err != nil || seen.UID != a.UID {
		return "", ""
	}
	for _, condition := range seen.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady && condition.Reason != "Pending" {
			return condition.Reason, condition.Message
		}
	}
	return "", ""
}

// The records that are asked for.
func ownOf(user string) *access.Record {
	return &access.Record{ID: "1", Owner: user, Department: "east"}
}

var ofTheWest = &access.Record{ID: "2", Owner: "zed", Department: "west"}

// gets waits until somebody has access, and neverGets makes sure for a while that they do not.
func (c *cluster) gets(t *testing.T, namespace, user, action string, record *access.Record) {
	t.Helper()
	NewWithT(t).Eventually(func() access.Effect { return c.op.decide(namespace, user, action, record) }).WithTimeout(patience).WithPolling(often).
		Should(Equal(access.Allow), "twin: %s %s %+v", user, action, *record)
}

func (c *cluster) neverGets(t *testing.T, namespace, user, action string, record *access.Record) {
	t.Helper()
	NewWithT(t).Consistently(func() access.Effect { return c.op.decide(namespace, user, action, record) }).WithTimeout(aWhile).WithPolling(often).
		ShouldNot(Equal(access.Allow), "attack: %s %s %+v", user, action, *record)
}

func (c *cluster) loses(t *testing.T, namespace, user, action string, record *access.Record) {
	t.Helper()
	NewWithT(t).Eventually(func() access.Effect { return c.op.decide(namespace, user, action, record) }).WithTimeout(patience).WithPolling(often).
		ShouldNot(Equal(access.Allow), "%s still %ss %+v", user, action, *record)
}

// operator is a manager in this process, with the rights of the shipped ClusterRole and no others.
type operator struct {
	stop func()

	mu       sync.Mutex
	policies map[string]*access.Policy
}

func (o *operator) Publish(s controllers.Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.policies[s.Namespace] = s.Policy
}

func (o *operator) Confirm(string, store.Revision, time.Time, time.Time) {}

func (o *operator) Withdraw(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.policies, namespace)
}

// decide asks the policy that the operator has published; before that, everything is denied.
func (o *operator) decide(namespace, user, action string, record *access.Record) access.Effect {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.policies[namespace] == nil {
		return access.Deny
	}
	return o.policies[namespace].Decide(schedule.At(time.Now()), &access.Request{User: user, Action: action, Object: "customer", Record: record}, nil)
}

type openerFunc func(ctx context.Context, driver, connection string) (store.Store, error)

func (f openerFunc) Open(ctx context.Context, driver, connection string) (store.Store, error) {
	return f(ctx, driver, connection)
}

// start runs an operator for the whole cluster, until the test ends or stop is called.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	config := rest.CopyConfig(c.env.User(t, operatorAccount, "system:serviceaccounts", "system:serviceaccounts:crm-access-operator-system", "system:authenticated"))
	config.QPS = -1
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{policies: make(map[string]*access.Policy)}
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("attack"), Clock: clock.RealClock{}, Log: ctrl.Log, Publisher: o,
		Stores: openerFunc(func(ctx context.Context, _, connection string) (store.Store, error) {
			return sqlite.Open(ctx, filepath.Join(c.dir, connection))
		}),
		Fenced: func(err error) { t.Errorf("fenced: %v", err) },
	}
	must(t, reconciler.Setup(mgr))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the operator ended: %v", err)
		}
	})
	t.Cleanup(o.stop)
	c.op = o
}

// namespaceNamed makes a namespace of a name that another cluster has had.
func (c *cluster) namespaceNamed(t *testing.T, name string) {
	t.Helper()
	must(t, c.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}
