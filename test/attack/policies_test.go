package attack

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

type (
	policy        = admissionv1.ValidatingAdmissionPolicy
	policyBinding = admissionv1.ValidatingAdmissionPolicyBinding
)

// weakening is one way to make the policy about approvals let through what it should not.
type weakening func(*policy, *policyBinding)

func audit(_ *policy, b *policyBinding) {
	b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
}

// weaken changes policy and binding of approvals, and returns what puts them back.
func (c *cluster) weaken(t *testing.T, how weakening) (restore func(*testing.T)) {
	t.Helper()
	return c.weakenPolicy(t, admission.Approvals, how)
}

func (c *cluster) weakenPolicy(t *testing.T, name string, how weakening) (restore func(*testing.T)) {
	t.Helper()
	var p policy
	var b policyBinding
	c.change(t, name, &p, &b, func() { how(&p, &b) })
	shipped, shippedBinding := c.shipped[name].policy.DeepCopy(), c.shipped[name].binding.DeepCopy()
	back := false
	restore = func(t *testing.T) {
		t.Helper()
		if !back {
			back = true
			c.change(t, name, &p, &b, func() { p.Spec, b.Spec = shipped.Spec, shippedBinding.Spec })
			c.inForce(t)
		}
	}
	t.Cleanup(func() { restore(c.whole) }) // a case that fails must not leave it weak to the next
	return restore
}

// change reads both, changes them and writes them.
func (c *cluster) change(t *testing.T, name string, p *policy, b *policyBinding, change func()) {
	t.Helper()
	must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		*p, *b = policy{}, policyBinding{}
		for _, object := range []client.Object{p, b} {
			if err := c.admin.Get(t.Context(), client.ObjectKey{Name: name}, object); err != nil {
				return err
			}
		}
		change()
		for _, object := range []client.Object{p, b} {
			if err := c.admin.Update(t.Context(), object); err != nil {
				return err
			}
		}
		return nil
	}))
}

// shippedPolicy is a policy with its binding, as config/default has put them into the cluster.
type shippedPolicy struct {
	policy  policy
	binding policyBinding
}

func (c *cluster) rememberPolicies(t *testing.T) {
	t.Helper()
	c.shipped = make(map[string]*shippedPolicy)
	for _, name := range admission.Names() {
		s := &shippedPolicy{}
		must(t, c.admin.Get(t.Context(), client.ObjectKey{Name: name}, &s.policy))
		must(t, c.admin.Get(t.Context(), client.ObjectKey{Name: name}, &s.binding))
		c.shipped[name] = s
	}
}

// inForce waits until the API server refuses what both policies refuse.
func (c *cluster) inForce(t *testing.T) {
	t.Helper()
	const probe = "probe"
	c.probing.Do(func() {
		must(t, c.admin.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: probe}, Rules: []rbacv1.PolicyRule{rule("create", "approvals"), rule("create", "temporarygrants")}}))
		must(t, c.admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: probe}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: probe},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: probe}},
		}))
	})
	who := c.as(t, probe)
	refusal(t, "'"+admission.Approvals+"'", func() error {
		return who.Create(t.Context(), approval("default", "probe", gao, string(grant), "loan", someEffect), client.DryRunAll)
	})
	refusal(t, "'"+admission.Emergencies+"'", func() error {
		return who.Create(t.Context(), emergencyOf("default", "probe", "ann"), client.DryRunAll)
	})
}

// remake deletes the policy or its binding or both, lets something happen meanwhile, and creates them anew.
func (c *cluster) remake(t *testing.T, name string, meanwhile func(), what ...client.Object) {
	t.Helper()
	for _, object := range what {
		object.SetName(name)
		must(t, c.admin.Delete(t.Context(), object))
	}
	defer func() { c.create(name, what) }()
	meanwhile()
}

// create makes what was deleted anew.
func (c *cluster) create(name string, what []client.Object) {
	t := c.whole
	t.Helper()
	for _, object := range what {
		if _, isPolicy := object.(*policy); isPolicy {
			must(t, c.admin.Create(t.Context(), &policy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: c.shipped[name].policy.Spec}))
		} else {
			must(t, c.admin.Create(t.Context(), &policyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: c.shipped[name].binding.Spec}))
		}
	}
	c.inForce(t)
}

// forge makes Approvals of ann's loan in gao's name, one after the other, until the operator says that the policy is not
// in force, or has had the time to take a state of it for granted.
func (c *cluster) forge(t *testing.T, namespace string, forger client.Client) {
	t.Helper()
	effect, n := c.effectOf(t, namespace, "loan", "ann"), 0
	const settled = 8 * time.Second
	end := time.Now().Add(settled)
	NewWithT(t).Eventually(func() bool {
		n++
		forged := approval(namespace, fmt.Sprintf("forged-%d", n), gao, string(grant), "loan", effect)
		if err := forger.Create(t.Context(), forged); err != nil {
			end = time.Now().Add(settled) // the weaker policy has not reached the API server yet
			return false
		}
		seen := false
		NewWithT(t).Eventually(func() string {
			reason, message := c.reason(namespace, forged)
			seen = seen || reason == v1alpha1.ReasonAdmissionNotInForce && isNotInForce(message)
			return reason
		}).WithTimeout(patience).WithPolling(often).ShouldNot(BeEmpty())
		return seen || time.Now().After(end)
	}).WithTimeout(2 * patience).WithPolling(time.Second).Should(BeTrue())
	c.neverGets(t, namespace, "ann", "read", ofTheWest)
}

// isNotInForce tells a policy that the operator finds too weak from one that it only has to watch for a while.
func isNotInForce(message string) bool { return strings.Contains(message, "is not in force: ") }

// forgery is a case that weakens the policy, forges an Approval, and puts the policy back. The real Approval that follows
// counts, the forged one never does.
func forgery(name string, how weakening) clusterCase {
	return clusterCase{
		attack: attack{name, "the approver approves when the policy is back", "design §9: counts only if policy and binding were the same before and after it was made"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			restore := c.weaken(t, how)
			c.forge(t, namespace, c.as(t, mallory))
			restore(t)
			return c.forgedAndReal(namespace, "read")
		},
	}
}

var policies = []clusterCase{
	forgery("an approval is forged while the policy only audits, and the policy is put back", audit),
	forgery("it is forged while the policy says less: the approver need not be the caller", func(p *policy, _ *policyBinding) {
		p.Spec.Validations = p.Spec.Validations[3:]
	}),
	forgery("it is forged while the policy leaves this namespace out", func(p *policy, _ *policyBinding) {
		p.Spec.MatchConstraints.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"protected": "yes"}}
	}),
	forgery("it is forged while the binding leaves this namespace out", func(_ *policy, b *policyBinding) {
		b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"protected": "yes"}}}
	}),
	forgery("it is forged while a condition of the policy is never met", func(p *policy, _ *policyBinding) {
		p.Spec.MatchConditions[0].Expression = "false"
	}),
	forgery("it is forged while the policy is about Approvals of one name, which reads like an operation", func(p *policy, _ *policyBinding) {
		rule := &p.Spec.MatchConstraints.ResourceRules[0]
		rule.Operations, rule.ResourceNames = []admissionv1.OperationType{"CREATE"}, []string{"UPDATE"}
	}),
	forgery("it is forged while the policy is about objects of the cluster, not of a namespace", func(p *policy, _ *policyBinding) {
		scope := admissionv1.ClusterScope
		p.Spec.MatchConstraints.ResourceRules[0].Scope = &scope
	}),
	{
		attack: attack{"an approval is made while the policy lets through what it cannot judge (failurePolicy Ignore)", "one is made when the policy is back", "design §9: counts only if policy and binding were the same before and after it was made"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			restore := c.weaken(t, func(p *policy, _ *policyBinding) {
				ignore := admissionv1.Ignore
				p.Spec.FailurePolicy = &ignore
			})
			c.forge(t, namespace, c.as(t, gao, humans))
			restore(t)
			return c.forgedAndReal(namespace, "read")
		},
	},
	{
		attack: attack{"an answer is deleted and given anew under its name, for more, by somebody who may not", "the one who may gives it", "design §9: an Approval counts by itself, not by its name"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.approve(t, namespace, gao, "loan", "ann")
			c.gets(t, namespace, "ann", "read", ofTheWest)
			c.applyAs(t, c.as(t, robot), namespace, loan("loan", "ann", "read, update"))
			effect := c.effectOf(t, namespace, "loan", "ann")
			var list v1alpha1.ApprovalList
			must(t, c.admin.List(t.Context(), &list, client.InNamespace(namespace)))
			restore := c.weaken(t, audit)
			for i := range list.Items {
				c.remove(t, c.admin, namespace, "Approval", list.Items[i].Name)
				forged := approval(namespace, list.Items[i].Name, gao, string(grant), "loan", effect)
				succeeds(t, func() error { return c.as(t, mallory).Create(t.Context(), forged.DeepCopy()) })
			}
			c.neverGets(t, namespace, "ann", "update", ofTheWest)
			restore(t)
			return c.forgedAndReal(namespace, "update")
		},
	},
	{
		attack: attack{"the binding alone is deleted, an approval is forged, and it is created anew just as it was", "the approver approves when it is back", "design §9: the same uid and generation"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.remake(t, admission.Approvals, func() { c.forge(t, namespace, c.as(t, mallory)) }, &policyBinding{})
			return c.forgedAndReal(namespace, "read")
		},
	},
	{
		attack: attack{"policy and binding are deleted, an approval is forged, and they are created anew just as they were", "the approver approves when they are back", "design §9: the same uid and generation"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.remake(t, admission.Approvals, func() { c.forge(t, namespace, c.as(t, mallory)) }, &policy{}, &policyBinding{})
			return c.forgedAndReal(namespace, "read")
		},
	},
	{
		attack: attack{"the operator is stopped while the policy is weakened, an approval forged, and all of it put back", "the approver approves when the operator is back", "design §9: known of a state that was written down, which a restart does not forget"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			effect := c.effectOf(t, namespace, "loan", "ann")
			c.op.stop()
			restore := c.weaken(t, audit)
			succeeds(t, func() error {
				return c.as(t, mallory).Create(t.Context(), approval(namespace, "forged", gao, string(grant), "loan", effect))
			})
			restore(t)
			c.start(c.whole)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			return c.forgedAndReal(namespace, "read")
		},
	},
	{
		attack: attack{"an answer that counts is changed, while neither the policy nor the kind's own rule is there", "the approver gives another", "design §9: an Approval is immutable"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.approve(t, namespace, gao, "loan", "ann")
			c.gets(t, namespace, "ann", "read", ofTheWest)
			c.applyAs(t, c.as(t, robot), namespace, loan("loan", "ann", "read, update"))
			effect := c.effectOf(t, namespace, "loan", "ann")
			restore, mend := c.weaken(t, audit), c.loosenKind(t, "approvals")
			c.rewrite(t, namespace, effect)
			c.neverGets(t, namespace, "ann", "update", ofTheWest)
			mend()
			restore(t)
			return c.forgedAndReal(namespace, "update")
		},
	},
	{
		attack: attack{"a revocation is changed to be somebody else's, while the kind's own rule is not there", "it is lifted as it was made", "design §6: a Revocation once seen stays in force until an approved lift"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.apply(t, namespace, "kind: Revocation\nmetadata: {name: stop}\nspec: {user: ann, reason: stolen}")
			c.loses(t, namespace, "ann", "read", ownOf("ann"))
			made := c.revocation(t, namespace, "stop").LiftDocument()
			mend := c.loosenKind(t, "revocations")
			c.apply(t, namespace, "kind: Revocation\nmetadata: {name: stop}\nspec: {user: lin, reason: stolen}")
			c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
			mend()
			done := false
			return func(t *testing.T) {
				if !done {
					c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
					c.answer(t, namespace, gao, "Revocation", "stop", access.EffectDigest(made))
				}
				done = true
				c.gets(t, namespace, "ann", "read", ownOf("ann"))
			}
		},
	},
	{
		attack: attack{"an emergency is declared by who may not, while its policy is missing", "somebody on call declares one when it is back", "approval.md: whoever writes one needs the verb emergency on it"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.remake(t, admission.Emergencies, func() {
				succeeds(t, func() error { return c.as(t, robot).Create(t.Context(), emergencyOf(namespace, "fire", "ann")) })
				c.neverGets(t, namespace, "ann", "read", ofTheWest)
			}, &policy{}, &policyBinding{})
			declared := 0
			return func(t *testing.T) {
				c.neverGets(t, namespace, "ann", "read", ofTheWest)
				// One that is declared so soon after the policy came back that it could have slipped past does not count: the
				// next one does.
				NewWithT(t).Eventually(func() access.Effect {
					if effect := c.op.decide(namespace, "bo", "read", ofTheWest); effect == access.Allow {
						return effect
					}
					declared++
					if err := c.as(t, onCall).Create(t.Context(), emergencyOf(namespace, fmt.Sprintf("real-fire-%d", declared), "bo")); err != nil {
						t.Fatal(err)
					}
					return access.Deny
				}).WithTimeout(3 * patience).WithPolling(4 * time.Second).Should(Equal(access.Allow))
				c.neverGets(t, namespace, "ann", "read", ofTheWest)
			}
		},
	},
}

// loosenKind takes away the rule of a kind that its objects cannot be changed, and returns what puts it back.
func (c *cluster) loosenKind(t *testing.T, plural string) (mend func()) {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	key := client.ObjectKey{Name: plural + ".crmaccess.io"}
	var rules apiextensionsv1.ValidationRules
	edit := func(change func(spec *apiextensionsv1.JSONSchemaProps)) {
		ctx := c.whole.Context()
		must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			if err := c.admin.Get(ctx, key, crd); err != nil {
				return err
			}
			root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
			spec := root.Properties["spec"]
			change(&spec)
			root.Properties["spec"] = spec
			return c.admin.Update(ctx, crd)
		}))
	}
	edit(func(spec *apiextensionsv1.JSONSchemaProps) {
		rules = spec.XValidations
		spec.XValidations = slices.DeleteFunc(slices.Clone(rules), func(r apiextensionsv1.ValidationRule) bool { return r.Rule == "self == oldSelf" })
		if len(spec.XValidations) == len(rules) {
			t.Error("the kind has no rule against changes")
		}
	})
	mend = sync.OnceFunc(func() {
		edit(func(spec *apiextensionsv1.JSONSchemaProps) { spec.XValidations = rules })
	})
	t.Cleanup(mend)
	return mend
}

// rewrite puts another effect into every Approval of a namespace.
func (c *cluster) rewrite(t *testing.T, namespace, effect string) {
	t.Helper()
	var list v1alpha1.ApprovalList
	must(t, c.admin.List(t.Context(), &list, client.InNamespace(namespace)))
	for i := range list.Items {
		key := client.ObjectKeyFromObject(&list.Items[i])
		succeeds(t, func() error {
			a := &v1alpha1.Approval{}
			if err := c.admin.Get(t.Context(), key, a); err != nil {
				return err
			}
			a.Spec.Effect = effect
			return c.admin.Update(t.Context(), a)
		})
	}
}

// undisturbed are played beside one another, and policies alone: each of those takes the policies of all away.
var (
	undisturbed  = slices.Concat(inTheAPI, withPeople, outliving)
	clusterCases = slices.Concat(undisturbed, policies)
)

func TestCluster(t *testing.T) {
	c := newCluster(t, t.TempDir())
	c.whole = t
	c.install(t)
	c.rememberPolicies(t)
	c.inForce(t)
	c.start(t)
	former := c.prepareFormer(t)
	later := make([]func(*testing.T), len(clusterCases))
	t.Run("while the policies are in force", func(t *testing.T) {
		for i, played := range undisturbed {
			t.Run(played.name, func(t *testing.T) { t.Parallel(); later[i] = played.play(t, c) })
		}
	})
	for i, played := range policies {
		t.Run(played.name, func(t *testing.T) { later[len(undisturbed)+i] = played.play(t, c) })
	}
	again := func(t *testing.T) {
		for i, played := range clusterCases {
			if later[i] != nil {
				t.Run(played.name, func(t *testing.T) { t.Parallel(); later[i](t) })
			}
		}
	}
	t.Run("when all policies are back", again)
	c.op.stop()
	c.start(t)
	t.Run("after a restart", again)
	c.op.stop()
	t.Run("in a cluster made anew", func(t *testing.T) { playFresh(t, c, former) })
}
