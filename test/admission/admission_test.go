package admission

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

const (
	humans = "crmaccess:humans"
	effect = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
)

var env *testenv.Environment

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	testenv.Main(m, &env)
}

// policies installs what config/default ships, as config/default ships it, and waits until it is in force.
func policies(t *testing.T) {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	shipped := kubectl(t, nil, "kustomize", filepath.Join(root, "config", "default"))
	var documents [][]byte
	for _, document := range bytes.Split(shipped, []byte("\n---\n")) {
		if bytes.Contains(document, []byte("kind: ValidatingAdmissionPolicy")) {
			documents = append(documents, document)
		}
	}
	if len(documents) != 4 {
		t.Fatalf("config/default ships %d policies and bindings, want 4", len(documents))
	}
	kubectl(t, bytes.Join(documents, []byte("\n---\n")), "apply", "-f", "-")

	admin, namespace := clientOf(t, env.Config), env.Namespace(t)
	emergency := grant(namespace, "probe")
	emergency.Spec.Emergency = true
	for name, refused := range map[string]func() error{
		"crmaccess-approvals": func() error {
			return admin.Create(context.Background(), approval(namespace, "nobody"), client.DryRunAll)
		},
		"crmaccess-emergencies": func() error {
			stranger := clientOf(t, env.User(t, "stranger"))
			bindAs(t, namespace, "stranger", rule("create", "temporarygrants"))
			return stranger.Create(context.Background(), emergency.DeepCopy(), client.DryRunAll)
		},
	} {
		deadline := time.Now().Add(30 * time.Second)
		for err := refused(); err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+name+"'"); err = refused() {
			if time.Now().After(deadline) {
				t.Fatalf("policy %s is not in force after half a minute: %v", name, err)
			}
			<-time.After(100 * time.Millisecond)
		}
	}
}

func kubectl(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, env.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(assets, "kubectl"), append([]string{"--kubeconfig", config}, args...)...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	command.Stdin = bytes.NewReader(stdin)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%.2000s", strings.Join(args, " "), err, out)
	}
	return out
}

func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	out, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rule(verb, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.Group}, Verbs: strings.Split(verb, ","), Resources: []string{resource}, ResourceNames: names}
}

// bindAs gives a user rights in a namespace, and waits until the authorizer knows them all.
func bindAs(t *testing.T, namespace, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	ctx, admin := context.Background(), clientOf(t, env.Config)
	name := strings.NewReplacer(":", "-", "@", "-").Replace(user)
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: rules}
	if err := admin.Create(ctx, role); apierrors.IsAlreadyExists(err) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	if err := admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}); err != nil {
		t.Fatal(err)
	}
}

// eventually repeats a call that RBAC, which follows its objects with a delay, does not let through yet.
func eventually(t *testing.T, call func() error) error {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	err := call()
	for err != nil && strings.Contains(err.Error(), "cannot create resource") && time.Now().Before(deadline) {
		<-time.After(50 * time.Millisecond)
		err = call()
	}
	return err
}

func approval(namespace, approver string) *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "approval-"},
		Spec: v1alpha1.ApprovalSpec{
			For:    v1alpha1.ApprovalTarget{Kind: "TemporaryGrant", Name: "holiday"},
			Effect: effect, Decision: v1alpha1.DecisionApprove, Approver: approver,
		},
	}
}

func grant(namespace, name string) *v1alpha1.TemporaryGrant {
	return &v1alpha1.TemporaryGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TemporaryGrantSpec{
			Users: []v1alpha1.Reference{"li-ting"}, Roles: []v1alpha1.Reference{"sales-rep"}, NotAfter: "2026-12-31T09:00:00Z", Reason: "the house is on fire",
		},
	}
}

// judge compares what came of a request with the words that refuse it; none: it is admitted.
func judge(t *testing.T, err error, refused string) {
	t.Helper()
	switch {
	case refused == "" && err != nil:
		t.Errorf("refused: %v", err)
	case refused != "" && err == nil:
		t.Errorf("admitted, want it refused with %q", refused)
	case refused != "" && !strings.Contains(err.Error(), refused):
		t.Errorf("refused with %v, want %q", err, refused)
	case refused != "" && !apierrors.IsForbidden(err):
		t.Errorf("refused with %v, want a Forbidden", err)
	}
}

// Each refusal stands beside the case that differs from it in that one thing and is admitted.
func TestAnApprovalIsItsApproversOwn(t *testing.T) {
	policies(t)
	namespace, elsewhere := env.Namespace(t), env.Namespace(t)
	create := rule("create", "approvals")
	for i, c := range []struct {
		name    string
		user    string
		groups  []string
		rules   []rbacv1.PolicyRule
		change  func(*v1alpha1.Approval)
		refused string
	}{
		{name: "a person approves a temporary grant", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")}},
		{name: "a person says no to one", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.Decision = v1alpha1.DecisionDeny }},
		{name: "not in the name of another", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.Approver = "zhou-lan" }, refused: "an Approval is your own: spec.approver must be gao-yuan"},
		{name: "not under another spelling of the name", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.Approver += "\u200b" }, refused: "an Approval is your own"},
		{name: "not outside the group of humans", user: "gao-yuan", groups: []string{"humans", "crmaccess:humans2"}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			refused: "you are not in the group crmaccess:humans"},
		{name: "not without any group", user: "gao-yuan", rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			refused: "you are not in the group crmaccess:humans"},
		{name: "not as a user of the system, even in the group", user: "system:gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			refused: "service accounts, nodes and other system users make none"},
		{name: "not as a node, even in the group", user: "gao-yuan", groups: []string{humans, "system:nodes"}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			refused: "service accounts, nodes and other system users make none"},
		{name: "a user whose name only contains system: is a person", user: "x-system:gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")}},
		{name: "not without the verb", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("get,create,update", "temporarygrants")},
			refused: "you may not approve temporarygrants.crmaccess.io holiday in namespace"},
		{name: "with the verb on this name", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants", "other", "holiday")}},
		{name: "not with the verb on another name", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants", "other", "holiday-2")},
			refused: "you may not approve temporarygrants.crmaccess.io holiday"},
		{name: "not with the verb on another kind", user: "gao-yuan", groups: []string{humans},
			rules:   []rbacv1.PolicyRule{rule("approve", "userbindings"), rule("approve", "guardrails"), rule("approve", "revocations"), rule("approve", "approvals")},
			refused: "you may not approve temporarygrants.crmaccess.io holiday"},
		{name: "not with the verb in another API group", user: "gao-yuan", groups: []string{humans},
			rules:   []rbacv1.PolicyRule{{APIGroups: []string{"example.com"}, Verbs: []string{"approve"}, Resources: []string{"temporarygrants"}}},
			refused: "you may not approve temporarygrants.crmaccess.io holiday"},
		{name: "a binding", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "userbindings")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "UserBinding" }},
		{name: "not a binding with the verb on temporary grants", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "UserBinding" }, refused: "you may not approve userbindings.crmaccess.io holiday"},
		{name: "the lift of a revocation", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "revocations")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "Revocation" }},
		{name: "not the lift with the verb on temporary grants", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "Revocation" }, refused: "you may not approve revocations.crmaccess.io holiday"},
		{name: "the loosening of a guardrail", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "guardrails")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "Guardrail" }},
		{name: "not the loosening with the verb on temporary grants", user: "gao-yuan", groups: []string{humans}, rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")},
			change: func(a *v1alpha1.Approval) { a.Spec.For.Kind = "Guardrail" }, refused: "you may not approve guardrails.crmaccess.io holiday"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A user of their own for each case, and the full right in another namespace, which must not count.
			user := fmt.Sprintf("%s-%d", c.user, i)
			bindAs(t, namespace, user, append(c.rules, create)...)
			bindAs(t, elsewhere, user, rule("approve", "*"))
			object := approval(namespace, user)
			if c.change != nil {
				c.change(object)
			}
			refused := strings.ReplaceAll(c.refused, "must be "+c.user, "must be "+user)
			config := env.User(t, user, c.groups...)
			judge(t, eventually(t, func() error { return clientOf(t, config).Create(context.Background(), object.DeepCopy()) }), refused)
		})
	}
}

func TestAServiceAccountApprovesNothing(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	clients, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	robot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}
	if _, err := clients.CoreV1().ServiceAccounts(namespace).Create(ctx, robot, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := clients.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "argocd", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	user := "system:serviceaccount:" + namespace + ":argocd"
	bindAs(t, namespace, user, rule("create", "approvals"), rule("approve", "*"), rule("create", "temporarygrants"))
	config := rest.AnonymousClientConfig(env.Config)
	config.BearerToken = token.Status.Token
	judge(t, eventually(t, func() error { return clientOf(t, config).Create(ctx, approval(namespace, user)) }),
		"service accounts, nodes and other system users make none")
	// What is the robot's to apply, it may.
	judge(t, eventually(t, func() error { return clientOf(t, config).Create(ctx, grant(namespace, "holiday")) }), "")
}

func TestAnAdministratorIsNotExempt(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	judge(t, clientOf(t, env.User(t, "root", "system:masters")).Create(ctx, approval(namespace, "root")), "you are not in the group crmaccess:humans")
	judge(t, clientOf(t, env.User(t, "root", "system:masters", humans)).Create(ctx, approval(namespace, "root")), "")
}

func TestAnApprovalNeverChanges(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	approver := clientOf(t, env.User(t, "fang-zheng", humans))
	bindAs(t, namespace, "fang-zheng", rule("create,get,update,patch", "approvals"), rule("approve", "temporarygrants"))
	made := approval(namespace, "fang-zheng")
	if err := eventually(t, func() error { return approver.Create(ctx, made) }); err != nil {
		t.Fatal(err)
	}
	const immutable = "an Approval cannot be changed"
	for name, change := range map[string]func(*v1alpha1.ApprovalSpec){
		"the decision":      func(s *v1alpha1.ApprovalSpec) { s.Decision = v1alpha1.DecisionDeny },
		"the effect":        func(s *v1alpha1.ApprovalSpec) { s.Effect = strings.Replace(effect, "4", "5", 1) },
		"the object":        func(s *v1alpha1.ApprovalSpec) { s.For.Name = "other" },
		"a comment, added":  func(s *v1alpha1.ApprovalSpec) { s.Comment = "on second thought" },
		"a document, added": func(s *v1alpha1.ApprovalSpec) { s.Document = "{}" },
	} {
		changed := made.DeepCopy()
		change(&changed.Spec)
		if err := approver.Update(ctx, changed); err == nil || !strings.Contains(err.Error(), immutable) {
			t.Errorf("%s: got %v, want it refused with %q", name, err, immutable)
		}
	}
	// Somebody else, the garbage collector among them, may change what is around the answer, but not the answer.
	other := made.DeepCopy()
	admin := clientOf(t, env.Config)
	other.Labels = map[string]string{"reviewed": "yes"}
	judge(t, admin.Update(ctx, other), "")
	other.Spec.Approver = "zhou-lan"
	if err := admin.Update(ctx, other); err == nil {
		t.Error("an administrator changed the approver")
	}
}

func TestTheOperatorWritesTheStatusOfAnApproval(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	bindAs(t, namespace, "zhou-lan", rule("create", "approvals"), rule("approve", "temporarygrants"))
	made := approval(namespace, "zhou-lan")
	if err := eventually(t, func() error { return clientOf(t, env.User(t, "zhou-lan", humans)).Create(ctx, made) }); err != nil {
		t.Fatal(err)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`))
	judge(t, clientOf(t, env.Config).Status().Patch(ctx, made, patch), "")
}

func TestAnEmergencyNeedsItsVerb(t *testing.T) {
	policies(t)
	ctx := context.Background()
	write := rule("create,get,update,patch", "temporarygrants")
	const refusal = "you may not declare an emergency: ask for the verb emergency on temporarygrants.crmaccess.io fire in namespace"
	for name, c := range map[string]struct {
		rules   []rbacv1.PolicyRule
		calm    bool
		refused string
	}{
		"with the verb":                {rules: []rbacv1.PolicyRule{rule("emergency", "temporarygrants")}},
		"with the verb on this name":   {rules: []rbacv1.PolicyRule{rule("emergency", "temporarygrants", "fire")}},
		"not on another name":          {rules: []rbacv1.PolicyRule{rule("emergency", "temporarygrants", "flood")}, refused: refusal},
		"not on another kind":          {rules: []rbacv1.PolicyRule{rule("emergency", "userbindings")}, refused: refusal},
		"not with the verb to approve": {rules: []rbacv1.PolicyRule{rule("approve", "temporarygrants")}, refused: refusal},
		"not without any":              {refused: refusal},
		"what is no emergency":         {calm: true},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := env.Namespace(t)
			bindAs(t, namespace, "on-call", append(c.rules, write)...)
			bindAs(t, env.Namespace(t), "on-call", rule("emergency", "*"))
			object := grant(namespace, "fire")
			object.Spec.Emergency = !c.calm
			user := clientOf(t, env.User(t, "on-call"))
			judge(t, eventually(t, func() error { return user.Create(ctx, object) }), c.refused)
		})
	}
}

func TestAnEmergencyIsDeclaredOnce(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	bindAs(t, namespace, "robot", rule("create,get,update,patch", "temporarygrants"))
	robot := clientOf(t, env.User(t, "robot"))
	admin := clientOf(t, env.Config)
	declared := grant(namespace, "fire")
	declared.Spec.Emergency = true
	if err := admin.Create(ctx, declared); err != nil {
		t.Fatal(err)
	}
	calm := grant(namespace, "holiday")
	if err := eventually(t, func() error { return robot.Create(ctx, calm) }); err != nil {
		t.Fatal(err)
	}
	const refusal = "you may not declare an emergency"
	for _, step := range []struct {
		name    string
		object  *v1alpha1.TemporaryGrant
		change  func(*v1alpha1.TemporaryGrant)
		refused string
	}{
		{"labelling one", declared, func(g *v1alpha1.TemporaryGrant) { g.Labels = map[string]string{"team": "sales"} }, ""},
		{"widening one", declared, func(g *v1alpha1.TemporaryGrant) { g.Spec.Users = append(g.Spec.Users, "wang-lei") }, refusal},
		{"prolonging one", declared, func(g *v1alpha1.TemporaryGrant) { g.Spec.NotAfter = "2027-12-31T09:00:00Z" }, refusal},
		{"calming one down", declared, func(g *v1alpha1.TemporaryGrant) { g.Spec.Emergency = false }, ""},
		{"changing what is none", calm, func(g *v1alpha1.TemporaryGrant) { g.Spec.Users = append(g.Spec.Users, "wang-lei") }, ""},
		{"making one of what was none", calm, func(g *v1alpha1.TemporaryGrant) { g.Spec.Emergency = true }, refusal},
	} {
		object := step.object.DeepCopy()
		if err := admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		step.change(object)
		t.Run(step.name, func(t *testing.T) { judge(t, robot.Update(ctx, object), step.refused) })
	}
}

// Comparing two large objects must not exceed what a policy may cost, for what exceeds it is refused.
func TestALargeEmergencyCanBeLabelled(t *testing.T) {
	policies(t)
	ctx, namespace := context.Background(), env.Namespace(t)
	admin := clientOf(t, env.Config)
	large := grant(namespace, "fire")
	large.Spec.Emergency = true
	for range 500 {
		large.Spec.Grants = append(large.Spec.Grants, v1alpha1.TemporaryGrantEntry{
			Object: "opportunity", Actions: []v1alpha1.Identifier{"read", "update"},
			Records: v1alpha1.RecordSelector{Departments: []v1alpha1.Reference{"sales-east-1", "sales-east-2", "sales-north"}},
			Fields:  []v1alpha1.FieldRule{{Class: "confidential", Level: "masked"}, {Field: "expectedCloseDate", Level: "read"}},
		})
	}
	judge(t, admin.Create(ctx, large), "")
	large.Labels = map[string]string{"team": "sales"}
	judge(t, admin.Update(ctx, large), "")
}

func TestTheGroupIsReplacedByAnOverlay(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	// The overlay is the one that config/admission/kustomization.yaml shows in its comment.
	shown, err := os.ReadFile(filepath.Join(root, "config", "admission", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var overlay []string
	for line := range strings.Lines(string(shown)) {
		if code, ok := strings.CutPrefix(line, "#   "); ok {
			overlay = append(overlay, code)
		}
	}
	dir := t.TempDir()
	config, err := filepath.Rel(dir, filepath.Join(root, "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.Join(overlay, ""), "../default", config, 1)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, document := range bytes.Split(kubectl(t, nil, "kustomize", dir), []byte("\n---\n")) {
		var object struct {
			Kind     string
			Metadata metav1.ObjectMeta
			Spec     struct {
				Variables []struct{ Name, Expression string }
			}
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind == "ValidatingAdmissionPolicy" && object.Metadata.Name == "crmaccess-approvals" {
			if v := object.Spec.Variables[0]; v.Name != "humans" || v.Expression != "'staff@sso.huayue.example'" {
				t.Errorf("the first variable is %+v", v)
			}
			return
		}
	}
	t.Error("the overlay ships no policy crmaccess-approvals")
}
