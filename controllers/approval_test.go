package controllers_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// gated is the small organisation with a privileged role, which ann is to hold and two people must approve.
const gated = organisation + `
---
kind: User
metadata: {name: carl}
spec: {displayName: Carl, department: sales, identities: [{issuer: sso, subject: carl, username: carl@corp.example}]}
---
kind: User
metadata: {name: dora}
spec: {displayName: Dora, department: sales, identities: [{issuer: sso, subject: dora, username: dora@corp.example}]}
---
kind: Role
metadata: {name: admin}
spec: {privileged: true, grants: [{object: customer, actions: [read, export], scopes: [all]}]}
---
kind: UserBinding
metadata: {name: admins}
spec: {subjects: [{user: ann}], roles: [admin], justification: runs the CRM}
---
kind: Guardrail
metadata: {name: privileged}
spec: {rules: [{admit: {when: {privilegedRole: true}, approvals: 2}}]}
`

// installPolicies puts the admission policies into the cluster as they are shipped, in place of whatever is there.
func installPolicies() {
	GinkgoHelper()
	removePolicies()
	for _, file := range []string{"approvals.yaml", "emergencies.yaml"} {
		f, err := os.Open(filepath.Join("..", "config", "admission", file))
		Expect(err).NotTo(HaveOccurred())
		defer f.Close()
		decoder := utilyaml.NewYAMLOrJSONDecoder(f, 4096)
		for range 2 {
			u := &unstructured.Unstructured{}
			Expect(decoder.Decode(&u.Object)).To(Succeed())
			Expect(k8s.Create(context.Background(), u)).To(Succeed())
		}
	}
}

func removePolicies() {
	GinkgoHelper()
	for _, name := range admission.Names() {
		meta := metav1.ObjectMeta{Name: name}
		for _, object := range []client.Object{&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta}, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta}} {
			Expect(client.IgnoreNotFound(k8s.Delete(context.Background(), object))).To(Succeed())
		}
	}
	// The API server goes on denying for a moment. What another spec then makes, an Approval among a sample's objects, is
	// refused, and the spec has nothing to do with policies.
	Eventually(func() error {
		return approve(client.NewDryRunClient(k8s), "nobody", metav1.NamespaceDefault, "UserBinding", "none", noEffect)
	}).Should(Succeed())
}

// noEffect is a digest that no binding has.
var noEffect = "sha256:" + strings.Repeat("0", 64)

// letHumansApprove gives everybody of the identity provider's group what an approver needs.
func letHumansApprove() {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "humans-approve"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.Group}, Resources: []string{"approvals"}, Verbs: []string{"create"}},
		{APIGroups: []string{v1alpha1.Group}, Resources: []string{"userbindings", "temporarygrants", "revocations", "guardrails"}, Verbs: []string{"approve"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "humans-approve"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "crmaccess:humans"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := k8s.Create(context.Background(), object); !apierrors.IsAlreadyExists(err) {
			Expect(err).NotTo(HaveOccurred())
		}
	}
}

// as is a client of a person, whom the API server sees as it would after a login.
func as(user string) client.Client {
	GinkgoHelper()
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user + "@corp.example", Groups: []string{"crmaccess:humans", "system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// approve makes an Approval by a client, in the name of a user.
func approve(by client.Client, user, namespace, kind, name, effect string) error {
	a := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		For: v1alpha1.ApprovalTarget{Kind: kind, Name: v1alpha1.Reference(name)}, Effect: effect, Decision: v1alpha1.DecisionApprove, Approver: user + "@corp.example",
	}}
	a.Namespace, a.GenerateName = namespace, user+"-"
	return by.Create(context.Background(), a)
}

// effectOf reads the digest that the object's status asks an approval for.
func effectOf(namespace, kind, name string) string {
	GinkgoHelper()
	effect := ""
	Eventually(func() string {
		_, after, _ := strings.Cut(messageOf(namespace, kind, name, "Approved")(), "effect ")
		effect = after
		return effect
	}).Should(HavePrefix("sha256:"))
	return effect
}

func messageOf(namespace, kind, name, of string) func() string {
	return func() string {
		u := named(kind, name)
		if err := k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, u); err != nil {
			return err.Error()
		}
		c := conditionIn(u, of)
		return fmt.Sprintf("%v/%v: %v", c["status"], c["reason"], c["message"])
	}
}

// established waits until the operator has written down the state of the policies: what is approved before that, so soon
// after they were changed, does not count.
func established(dir, namespace string) { establishedOf(dir, namespace, admission.Approvals) }

func establishedOf(dir, namespace, name string) {
	GinkgoHelper()
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	var policy admissionv1.ValidatingAdmissionPolicy
	Expect(k8s.Get(context.Background(), client.ObjectKey{Name: name}, &binding)).To(Succeed())
	Expect(k8s.Get(context.Background(), client.ObjectKey{Name: name}, &policy)).To(Succeed())
	Eventually(func() string { return tenantRow(dir, namespace).Brake }).Should(ContainSubstring(
		fmt.Sprintf("%s/%d %s/%d", policy.UID, policy.Generation, binding.UID, binding.Generation)))
}

// exports says whether ann may export, which only the privileged role lets her.
func exports(o *operator, namespace string) func() access.Effect {
	return func() access.Effect { return o.decide(namespace, "ann", "export", "customer", nil) }
}

var _ = Describe("What needs approval", Ordered, func() {
	BeforeAll(func() {
		installPolicies()
		letHumansApprove()
		DeferCleanup(removePolicies)
	})

	It("waits, says for whom, and counts once enough people have approved", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(dir))
		effect := effectOf(namespace, "UserBinding", "admins")
		established(dir, namespace)
		Expect(messageOf(namespace, "UserBinding", "admins", "Ready")()).To(HavePrefix("True/ApprovalPending: waiting for 2 of 2 approvals, from "))
		Eventually(func() error { return approve(as("carl"), "carl", namespace, "UserBinding", "admins", effect) }, 10*time.Second).Should(Succeed())
		Expect(approve(as("carl"), "dora", namespace, "UserBinding", "admins", effect)).To(MatchError(ContainSubstring("an Approval is your own")))
		Eventually(messageOf(namespace, "UserBinding", "admins", "Approved"), 20*time.Second).Should(HavePrefix("False/ApprovalPending: waiting for 1 of 2 approvals"))
		keepSaying(exports(o, namespace), access.Deny)
		Expect(approve(as("dora"), "dora", namespace, "UserBinding", "admins", effect)).To(Succeed())
		Eventually(exports(o, namespace)).Should(Equal(access.Allow))
		Eventually(messageOf(namespace, "UserBinding", "admins", "Approved")).Should(HavePrefix("True/Approved"))
		allReady(namespace)

		By("an approver who leaves counts no more")
		edit(namespace, "User", "carl", func(spec map[string]any) { spec["state"] = "Departed" })
		Eventually(exports(o, namespace)).Should(Equal(access.Deny))
		edit(namespace, "User", "carl", func(spec map[string]any) { spec["state"] = "Active" })
		Eventually(exports(o, namespace)).Should(Equal(access.Allow))

		By("a role that is widened gives what was approved, until somebody approves the rest")
		edit(namespace, "Role", "admin", func(spec map[string]any) {
			spec["grants"].([]any)[0].(map[string]any)["actions"] = []any{"read", "export", "create"}
		})
		creates := func() access.Effect {
			return o.decide(namespace, "ann", "create", "customer", &access.Record{Owner: "bo"})
		}
		Eventually(messageOf(namespace, "UserBinding", "admins", "Ready")).Should(HavePrefix("True/ApprovedInPart"))
		keepSaying(exports(o, namespace), access.Allow)
		keepSaying(creates, access.Deny)
		wider := effectOf(namespace, "UserBinding", "admins")
		for _, person := range []string{"carl", "dora"} {
			Expect(approve(as(person), person, namespace, "UserBinding", "admins", wider)).To(Succeed())
		}
		Eventually(creates).Should(Equal(access.Allow))
	})

	It("does not count what was approved while the policy was not in force, also when it is back and after a restart", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(dir))
		effect := effectOf(namespace, "UserBinding", "admins")
		established(dir, namespace)
		Eventually(func() error { return approve(as("carl"), "carl", namespace, "UserBinding", "admins", effect) }).Should(Succeed())
		Eventually(messageOf(namespace, "UserBinding", "admins", "Approved")).Should(ContainSubstring("waiting for 1 of 2"))
		setActions := func(action admissionv1.ValidationAction) {
			var binding admissionv1.ValidatingAdmissionPolicyBinding
			Expect(k8s.Get(context.Background(), client.ObjectKey{Name: admission.Approvals}, &binding)).To(Succeed())
			binding.Spec.ValidationActions = []admissionv1.ValidationAction{action}
			Expect(k8s.Update(context.Background(), &binding)).To(Succeed())
		}
		setActions(admissionv1.Audit)
		Eventually(func() error { return approve(k8s, "dora", namespace, "UserBinding", "admins", effect) }, 10*time.Second).Should(Succeed(), "nobody stops the forgery now")
		setActions(admissionv1.Deny)
		Eventually(func() error { return approve(k8s, "dora", namespace, "UserBinding", "admins", effect) }, 10*time.Second).Should(MatchError(ContainSubstring("your own")))
		established(dir, namespace)
		keepSaying(exports(o, namespace), access.Deny)
		o.stop()
		o = start(namespace, inFolder(dir))
		Eventually(messageOf(namespace, "UserBinding", "admins", "Approved")).Should(ContainSubstring("waiting for 1 of 2"))
		keepSaying(exports(o, namespace), access.Deny)
		Eventually(func() error { return approve(as("dora"), "dora", namespace, "UserBinding", "admins", effect) }).Should(Succeed())
		Eventually(exports(o, namespace)).Should(Equal(access.Allow), "a person's own approval counts")
	})

	It("counts no approval without the policy, and says so on the PermissionStore", func() {
		removePolicies()
		DeferCleanup(installPolicies)
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(GinkgoTB().TempDir()))
		effect := effectOf(namespace, "UserBinding", "admins")
		Eventually(func() error { return approve(k8s, "carl", namespace, "UserBinding", "admins", effect) }).Should(Succeed())
		Expect(approve(k8s, "dora", namespace, "UserBinding", "admins", effect)).To(Succeed())
		Eventually(messageOf(namespace, "PermissionStore", "default", "Approved")).Should(HavePrefix("False/AdmissionNotInForce"))
		keepSaying(exports(o, namespace), access.Deny)
	})
})

var _ = Describe("Revocations and guardrails", Ordered, func() {
	BeforeAll(func() {
		installPolicies()
		letHumansApprove()
		DeferCleanup(removePolicies)
	})
	own := &access.Record{Owner: "ann"}
	reads := func(o *operator, namespace string) func() access.Effect {
		return func() access.Effect { return o.decide(namespace, "ann", "read", "customer", own) }
	}
	stop := func(namespace, target string) {
		apply(namespace, parse("kind: Revocation\nmetadata: {name: stop}\nspec: {%s, reason: device stolen}", target)...)
	}

	It("a revocation ends access at once, and outlives its object, a restart and another of its name, until it is lifted", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(dir))
		Eventually(reads(o, namespace)).Should(Equal(access.Allow))
		stop(namespace, "user: ann")
		Eventually(reads(o, namespace), 2*time.Second).Should(Equal(access.Deny))
		Eventually(messageOf(namespace, "UserBinding", "reps", "Revoked")).Should(ContainSubstring("ended by revocation stop"))
		first := named("Revocation", "stop")
		Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "stop"}, first)).To(Succeed())
		Eventually(messageOf(namespace, "Revocation", "stop", "Ready")).Should(HavePrefix("True/InForce"))
		remove(namespace, named("Revocation", "stop"))
		gone(namespace, "Revocation", "stop")
		lift := access.Revocation{Name: "stop", UID: string(first.GetUID()), Target: access.Ref{Kind: access.KindUser, Name: "ann"}, Reason: "device stolen"}
		Eventually(messageOf(namespace, "PermissionStore", "default", "Revoked")).Should(ContainSubstring("stop of User/ann (lift: effect " + access.EffectDigest(lift.LiftDocument())))
		keepSaying(reads(o, namespace), access.Deny)
		o.stop()
		o = start(namespace, inFolder(dir))
		Eventually(func() access.Effect {
			return o.decide(namespace, "bo", "read", "customer", &access.Record{Owner: "bo"})
		}).Should(Equal(access.Allow))
		keepSaying(reads(o, namespace), access.Deny)

		By("another of the same name, for somebody else, ends the access of both")
		stop(namespace, "user: bo")
		Eventually(func() access.Effect {
			return o.decide(namespace, "bo", "read", "customer", &access.Record{Owner: "bo"})
		}).Should(Equal(access.Deny))
		keepSaying(reads(o, namespace), access.Deny)

		By("the lift of the first gives back what the first took")
		established(dir, namespace)
		Eventually(func() error {
			return approve(as("carl"), "carl", namespace, "Revocation", "stop", access.EffectDigest(lift.LiftDocument()))
		}, 10*time.Second).Should(Succeed())
		Eventually(reads(o, namespace), 30*time.Second).Should(Equal(access.Allow))
		edit(namespace, "User", "carl", func(spec map[string]any) { spec["state"] = "Departed" })
		keepSaying(reads(o, namespace), access.Allow)
		keepSaying(func() access.Effect {
			return o.decide(namespace, "bo", "read", "customer", &access.Record{Owner: "bo"})
		}, access.Deny)
	})

	It("a guardrail that is gone stays in force until somebody lets go of it", func() {
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(GinkgoTB().TempDir()))
		Eventually(reads(o, namespace)).Should(Equal(access.Allow))
		remove(namespace, named("Guardrail", "privileged"))
		gone(namespace, "Guardrail", "privileged")
		Eventually(storeSays(namespace)).Should(Equal("False/BrakeHeld"))
		keepSaying(exports(o, namespace), access.Deny)
		var ps v1alpha1.PermissionStore
		Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "default"}, &ps)).To(Succeed())
		Expect(ps.Status.Held.Objects).To(Equal([]string{"Guardrail/privileged"}))
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) {
			spec["brake"] = map[string]any{"release": ps.Status.Held.Digest}
		})
		Eventually(exports(o, namespace)).Should(Equal(access.Allow))
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
	})

	It("an emergency counts at once, is loud, and waits for review; one declared without its policy waits for approval, also when it is back", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(gated)...)
		o := start(namespace, inFolder(dir))
		Eventually(reads(o, namespace)).Should(Equal(access.Allow))
		establishedOf(dir, namespace, admission.Emergencies)
		emergency := func(name, user string) {
			apply(namespace, parse(`
kind: TemporaryGrant
metadata: {name: %s}
spec: {users: [%s], roles: [admin], notBefore: %q, notAfter: %q, reason: the house is on fire, emergency: true}
`, name, user, time.Now().UTC().Add(-time.Minute).Format(time.RFC3339), time.Now().UTC().Add(time.Hour).Format(time.RFC3339))...)
		}
		emergency("fire", "ann")
		Eventually(exports(o, namespace)).Should(Equal(access.Allow))
		Eventually(messageOf(namespace, "TemporaryGrant", "fire", "Approved")).Should(HavePrefix("False/EmergencyUnreviewed"))
		Eventually(messageOf(namespace, "PermissionStore", "default", "Approved")).Should(ContainSubstring("1 emergency grants wait for review: fire"))
		Eventually(eventsOf(namespace, v1alpha1.ReasonEmergencyUnreviewed)).ShouldNot(BeEmpty())
		bos := func() access.Effect { return o.decide(namespace, "bo", "export", "customer", nil) }
		removePolicies()
		emergency("smoke", "bo")
		Eventually(messageOf(namespace, "TemporaryGrant", "smoke", "Ready")).Should(HavePrefix("True/ApprovalPending"))
		keepSaying(bos, access.Deny)
		keepSaying(exports(o, namespace), access.Allow)
		installPolicies()
		edit(namespace, "User", "carl", func(spec map[string]any) { spec["title"] = "Somebody" }) // any pass looks at the policies
		establishedOf(dir, namespace, admission.Emergencies)
		keepSaying(bos, access.Deny)
		o.stop()
		o = start(namespace, inFolder(dir))
		Eventually(reads(o, namespace)).Should(Equal(access.Allow))
		keepSaying(bos, access.Deny)
	})
})
