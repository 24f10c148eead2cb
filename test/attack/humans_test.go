package attack

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// someEffect is the digest of nothing that anybody is to get.
const someEffect = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// clusterCase is played in a cluster. What play returns is played once more when all policies are back as they are
// shipped, and again after a restart of the operator.
type clusterCase struct {
	attack
	play func(*testing.T, *cluster) (later func(*testing.T))
}

// saysYes is the creation of an Approval of the grant "loan".
func saysYes(t *testing.T, who client.Client, namespace, name, approver string) func() error {
	return func() error {
		return who.Create(t.Context(), approval(namespace, name, approver, string(grant), "loan", someEffect))
	}
}

// inTheAPI are what the API server refuses, by the shipped roles and policies; no operator is asked.
var inTheAPI = []clusterCase{
	{
		attack: attack{"an approver approves in the name of another", "in their own", "approval.md: approver is the caller"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace, who := c.tenant(t), c.as(t, gao, humans)
			refusal(t, "an Approval is your own", saysYes(t, who, namespace, "no", lin))
			succeeds(t, saysYes(t, who, namespace, "yes", gao))
			return nil
		},
	},
	{
		attack: attack{"a service account approves, with every right and the humans' group asked for", "a person does", "approval.md: the caller is no service account"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "argocd"}}
			must(t, c.admin.Create(t.Context(), account))
			token := &authenticationv1.TokenRequest{}
			must(t, c.admin.SubResource("token").Create(t.Context(), account, token))
			user := "system:serviceaccount:" + namespace + ":argocd"
			c.allow(t, namespace, user, rule("*", "*"))
			config := rest.AnonymousClientConfig(c.env.Config)
			config.BearerToken = token.Status.Token
			who := connect(t, config, c.admin.RESTMapper())
			refusal(t, "service accounts, nodes and other system users make none", saysYes(t, who, namespace, "no", user))
			refusal(t, "an Approval is your own", saysYes(t, who, namespace, "no", gao))
			succeeds(t, saysYes(t, c.as(t, gao, humans), namespace, "yes", gao))
			return nil
		},
	},
	{
		attack: attack{"somebody impersonates an approver, and the group of human beings, without the right to", "the approver comes in person", "approval.md: nobody may hold impersonate on that group or on these users, for admission cannot see it"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.allow(t, namespace, "half-way", rule("*", "*"))
			as := func(name string, groups ...string) client.Client {
				config := rest.CopyConfig(c.env.User(t, name))
				config.Impersonate = rest.ImpersonationConfig{UserName: gao, Groups: groups}
				return connect(t, config, c.admin.RESTMapper())
			}
			// Neither who may write everything here nor who applies what is in Git may take on another's name.
			refusal(t, "cannot impersonate", saysYes(t, as(robot, humans), namespace, "no", gao))
			refusal(t, "cannot impersonate", saysYes(t, as("half-way", humans), namespace, "no", gao))
			// Who may take on the name but not the group gets no further: the group is refused, and without it the policy does.
			impersonator(t, c, "name-only")
			refusal(t, "cannot impersonate", saysYes(t, as("name-only", humans), namespace, "no", gao))
			refusal(t, "you are not in the group", saysYes(t, as("name-only", "staff"), namespace, "no", gao))
			succeeds(t, saysYes(t, c.as(t, gao, humans), namespace, "yes", gao))
			return nil
		},
	},
	{
		attack: attack{"an approver approves where, or what, they have no right to", "where they have it", "approval.md: the caller has the verb approve on the object"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			const who = "visitor@office.example"
			c.allow(t, namespace, who, rule("create", "approvals"), rule("approve", "temporarygrants", "loan"))
			visitor := c.as(t, who, humans)
			succeeds(t, saysYes(t, visitor, namespace, "yes", who))
			refusal(t, "you may not approve", func() error {
				return visitor.Create(t.Context(), approval(namespace, "no", who, string(grant), "loan-2", someEffect))
			})
			refusal(t, "you may not approve", func() error {
				return visitor.Create(t.Context(), approval(namespace, "no", who, string(binding), "loan", someEffect))
			})
			refusal(t, "forbidden", saysYes(t, visitor, c.env.Namespace(t), "no", who))
			return nil
		},
	},
	{
		attack: attack{"an answer is changed after it was given", "a second one is given", "approval.md: nothing of it can be changed"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace, who := c.tenant(t), c.as(t, gao, humans)
			succeeds(t, saysYes(t, who, namespace, "yes", gao))
			made := &v1alpha1.Approval{}
			must(t, c.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "yes"}, made))
			made.Spec.For.Name = "loan-2"
			refusal(t, "an Approval cannot be changed", func() error { return c.admin.Update(t.Context(), made.DeepCopy()) })
			succeeds(t, saysYes(t, who, namespace, "yes-too", gao))
			return nil
		},
	},
	{
		attack: attack{"the robot that applies Git approves, revokes, releases the brake, or writes a status", "it applies grants and guardrails", "config/rbac/editor_role.yaml: it does not reach approvals, revocations, permissionstores nor any status"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace, who := c.tenant(t), c.as(t, robot)
			c.applyAs(t, who, namespace, loan("loan", "ann", "read"))
			refusal(t, "forbidden", saysYes(t, who, namespace, "no", robot))
			refusal(t, "forbidden", func() error {
				return who.Create(t.Context(), &v1alpha1.Revocation{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "no"}, Spec: v1alpha1.RevocationSpec{User: "gao", Reason: "because"}})
			})
			g := &v1alpha1.TemporaryGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "loan"}}
			ps := &v1alpha1.PermissionStore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
			refusal(t, "forbidden", func() error {
				return who.Status().Patch(t.Context(), g, client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`)))
			})
			for _, patch := range []string{`{"spec":{"brake":{"release":"sha256:0"}}}`, `{"spec":{"drift":{"mode":"Observe"}}}`, `{"spec":{"connection":{"file":"empty.db"}}}`} {
				refusal(t, "forbidden", func() error { return who.Patch(t.Context(), ps, client.RawPatch(types.MergePatchType, []byte(patch))) })
			}
			return nil
		},
	},
	{
		attack: attack{"the operator's own token approves, grants, or reads a Secret", "it writes a status", "config/rbac/role.yaml: it reads the kinds and writes their status"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			who := c.as(t, operatorAccount, "system:serviceaccounts", "system:authenticated")
			refusal(t, "forbidden", saysYes(t, who, namespace, "no", operatorAccount))
			refusal(t, "forbidden", func() error { return who.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)) })
			g := &v1alpha1.TemporaryGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "loan"}}
			refusal(t, "forbidden", func() error {
				return who.Patch(t.Context(), g.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"users":["bo"]}}`)))
			})
			succeeds(t, func() error {
				return who.Status().Patch(t.Context(), g.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`)))
			})
			return nil
		},
	},
	{
		attack: attack{"somebody on call, who may revoke, deletes or changes a revocation", "they make one", "config/rbac/approver_role.yaml: deleting one is not needed and is not here"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace, who := c.tenant(t), c.as(t, onCall, humans)
			stop := &v1alpha1.Revocation{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stop"}, Spec: v1alpha1.RevocationSpec{User: "ann", Reason: "stolen"}}
			succeeds(t, func() error { return who.Create(t.Context(), stop.DeepCopy()) })
			refusal(t, "forbidden", func() error { return who.Delete(t.Context(), stop) })
			refusal(t, "a Revocation cannot be changed", func() error {
				return c.admin.Patch(t.Context(), stop.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"user":"bo"}}`)))
			})
			return nil
		},
	},
	{
		attack: attack{"the robot declares an emergency, or makes a grant one later", "somebody on call declares it", "approval.md: crmaccess-emergencies asks for the verb emergency"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			const words = "you may not declare an emergency"
			refusal(t, words, func() error { return c.as(t, robot).Create(t.Context(), emergencyOf(namespace, "fire", "ann")) })
			c.applyAs(t, c.as(t, robot), namespace, loan("loan", "ann", "read"))
			g := &v1alpha1.TemporaryGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "loan"}}
			refusal(t, words, func() error {
				return c.as(t, robot).Patch(t.Context(), g, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"emergency":true}}`)))
			})
			succeeds(t, func() error { return c.as(t, onCall).Create(t.Context(), emergencyOf(namespace, "fire", "ann")) })
			return nil
		},
	},
}

// impersonator lets somebody take on any name, but no group except one that says nothing.
func impersonator(t *testing.T, c *cluster, user string) {
	t.Helper()
	must(t, c.admin.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Verbs: []string{"impersonate"}, Resources: []string{"users"}},
		{APIGroups: []string{""}, Verbs: []string{"impersonate"}, Resources: []string{"groups"}, ResourceNames: []string{"staff"}},
	}}))
	must(t, c.admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
}

// emergencyOf lends the customers of the west at once.
func emergencyOf(namespace, name, user string) *v1alpha1.TemporaryGrant {
	now := time.Now().UTC().Truncate(time.Second)
	return &v1alpha1.TemporaryGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TemporaryGrantSpec{
			Users: []v1alpha1.Reference{v1alpha1.Reference(user)}, Emergency: true, Reason: "fire",
			Grants:    []v1alpha1.TemporaryGrantEntry{{Object: "customer", Actions: []v1alpha1.Identifier{"read"}, Records: v1alpha1.RecordSelector{Departments: []v1alpha1.Reference{"west"}}}},
			NotBefore: v1alpha1.Instant(now.Add(-time.Minute).Format(time.RFC3339)), NotAfter: v1alpha1.Instant(now.Add(3 * time.Hour).Format(time.RFC3339)),
		},
	}
}

// withPeople are approvals in an operator's hands.
var withPeople = []clusterCase{
	{
		attack: attack{"the borrower, whom the cluster lets approve, approves the loan", "somebody else does", "design §9: RBAC and the guardrail must both hold; none of them the subject"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.answer(t, namespace, ann, string(grant), "loan", c.effectOf(t, namespace, "loan", "ann"))
			c.neverGets(t, namespace, "ann", "read", ofTheWest)
			c.approve(t, namespace, gao, "loan", "ann")
			c.gets(t, namespace, "ann", "read", ofTheWest)
			return func(t *testing.T) { c.gets(t, namespace, "ann", "read", ofTheWest) }
		},
	},
	{
		attack: attack{"the approver's identity is given to somebody else, who is asked to stand for it", "it is given back", "design §9: the operator remembers whose it was, also after a restart"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t, loan("loan", "ann", "read"))
			c.approve(t, namespace, gao, "loan", "ann")
			c.gets(t, namespace, "ann", "read", ofTheWest)
			const identity = `identities: [{issuer: "https://sso.office.example", subject: gao, username: gao@office.example}]`
			gaoWith := func(identity string) string {
				return "kind: User\nmetadata: {name: gao}\nspec: {displayName: Gao, department: east" + identity + "}"
			}
			newcomer := func(identity string) string {
				return "kind: User\nmetadata: {name: newcomer}\nspec: {displayName: New, department: east" + identity + "}"
			}
			c.applyAs(t, c.as(t, robot), namespace, gaoWith(""), newcomer(", "+identity))
			c.loses(t, namespace, "ann", "read", ofTheWest)
			c.neverGets(t, namespace, "ann", "read", ofTheWest)
			restarted := 0
			return func(t *testing.T) {
				c.neverGets(t, namespace, "ann", "read", ofTheWest)
				if restarted++; restarted == 2 {
					c.applyAs(t, c.as(t, robot), namespace, newcomer(""), gaoWith(", "+identity))
					c.gets(t, namespace, "ann", "read", ofTheWest)
				}
			}
		},
	},
}

// forgedAndReal makes sure that ann's loan is not hers by what was forged, and bo's is his by what was really approved.
func (c *cluster) forgedAndReal(namespace, action string) func(*testing.T) {
	return func(t *testing.T) {
		c.neverGets(t, namespace, "ann", action, ofTheWest)
		if c.op.decide(namespace, "bo", "read", ofTheWest) != access.Allow {
			c.apply(t, namespace, loan("other-loan", "bo", "read"))
			c.approve(t, namespace, gao, "other-loan", "bo")
		}
		c.gets(t, namespace, "bo", "read", ofTheWest)
		c.neverGets(t, namespace, "ann", action, ofTheWest)
	}
}

// outliving are restrictions whose object is gone.
var outliving = []clusterCase{
	{
		attack: attack{"a guardrail is deleted in the commit that grants what it forbids", "a person approves its end", "design §6: a Guardrail's absence is held until it is released or approved"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			document := c.guardrail(t, namespace, "no-export").RemovalDocument()
			c.remove(t, c.as(t, robot), namespace, "Guardrail", "no-export")
			c.applyAs(t, c.as(t, robot), namespace, "kind: Role\nmetadata: {name: rep}\nspec: {grants: [{object: customer, actions: [read, update, export], scopes: [own]}, {object: customer, actions: [export], scopes: [department]}]}")
			c.neverGets(t, namespace, "ann", "export", ownOf("ann"))
			done := false
			return func(t *testing.T) {
				if !done {
					c.neverGets(t, namespace, "ann", "export", ownOf("ann"))
					c.answer(t, namespace, lin, "Guardrail", "no-export", access.EffectDigest(document))
				}
				done = true
				c.gets(t, namespace, "ann", "export", ownOf("ann"))
			}
		},
	},
	{
		attack: attack{"the admit rule that makes a loan wait is deleted, and the loan applied", "the loan is approved", "design §6: a Guardrail's absence is held until it is released or approved"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.remove(t, c.as(t, robot), namespace, "Guardrail", "lending")
			c.applyAs(t, c.as(t, robot), namespace, loan("loan", "ann", "read"))
			c.neverGets(t, namespace, "ann", "read", ofTheWest)
			c.apply(t, namespace, office) // so that it can be told what to approve
			c.approve(t, namespace, gao, "loan", "ann")
			c.gets(t, namespace, "ann", "read", ofTheWest)
			return nil
		},
	},
	{
		attack: attack{"a guardrail is renamed, with a weaker rule", "its text is changed, for everybody to review", "design §6: a Guardrail follows its text"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			const weaker = "\nspec: {rules: [{deny: {objects: [customer], actions: [export], when: {channels: [mobile]}}}, {deny: {objects: [customer], actions: [update]}}]}"
			c.remove(t, c.as(t, robot), namespace, "Guardrail", "no-export")
			c.applyAs(t, c.as(t, robot), namespace, "kind: Guardrail\nmetadata: {name: no-mobile-export}"+weaker)
			c.neverGets(t, namespace, "ann", "export", ownOf("ann"))
			other := c.tenant(t)
			c.applyAs(t, c.as(t, robot), other, "kind: Guardrail\nmetadata: {name: no-export}\nspec: {rules: [{deny: {objects: [customer], actions: [update]}}]}")
			c.gets(t, other, "ann", "export", ownOf("ann"))
			return func(t *testing.T) { c.neverGets(t, namespace, "ann", "export", ownOf("ann")) }
		},
	},
	{
		attack: attack{"a guardrail is given one more rule, which nothing can be made of, so that all of it is left out", "its text says less", "guardrail.md: a guardrail only takes away; what is wrong in one rule must not loosen the rest"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.neverGets(t, namespace, "ann", "export", ownOf("ann"))
			// The API server takes this instant; by the clock of Greenwich it is in the year 10000.
			c.applyAs(t, c.as(t, robot), namespace, `kind: Guardrail
metadata: {name: no-export}
spec:
  rules:
  - deny: {objects: [customer], actions: [export]}
  - deny: {objects: [customer], actions: [update], when: {windows: [{notAfter: "9999-12-31T23:59:59-10:00"}]}}`)
			c.neverGets(t, namespace, "ann", "export", ownOf("ann"))
			other := c.tenant(t, "kind: Guardrail\nmetadata: {name: no-export}\nspec: {rules: [{deny: {objects: [customer], actions: [update]}}]}")
			c.gets(t, other, "ann", "export", ownOf("ann"))
			return func(t *testing.T) { c.neverGets(t, namespace, "ann", "export", ownOf("ann")) }
		},
	},
	{
		attack: attack{"a revocation is deleted by a prune", "a person approves its lift", "revocation.md: deleting a Revocation ends nothing"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.gets(t, namespace, "ann", "read", ownOf("ann"))
			c.apply(t, namespace, "kind: Revocation\nmetadata: {name: stop}\nspec: {user: ann, reason: stolen}")
			c.loses(t, namespace, "ann", "read", ownOf("ann"))
			document := c.revocation(t, namespace, "stop").LiftDocument()
			c.remove(t, c.admin, namespace, "Revocation", "stop")
			c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
			done := false
			return func(t *testing.T) {
				if !done {
					c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
					c.answer(t, namespace, lin, "Revocation", "stop", access.EffectDigest(document))
				}
				done = true
				c.gets(t, namespace, "ann", "read", ownOf("ann"))
			}
		},
	},
	{
		attack: attack{"a revocation is deleted and made anew for somebody else under its name", "the former is lifted", "design §6: a Revocation once seen stays in force until an approved lift"},
		play: func(t *testing.T, c *cluster) func(*testing.T) {
			namespace := c.tenant(t)
			c.apply(t, namespace, "kind: Revocation\nmetadata: {name: stop}\nspec: {user: ann, reason: stolen}")
			c.gets(t, namespace, "bo", "read", ownOf("bo"))
			c.loses(t, namespace, "ann", "read", ownOf("ann"))
			former := c.revocation(t, namespace, "stop").LiftDocument()
			c.remove(t, c.admin, namespace, "Revocation", "stop")
			c.apply(t, namespace, "kind: Revocation\nmetadata: {name: stop}\nspec: {user: bo, reason: another}")
			c.loses(t, namespace, "bo", "read", ownOf("bo"))
			c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
			done := false
			return func(t *testing.T) {
				if !done {
					// The lift of the new one is none of the former, and the other way round.
					c.answer(t, namespace, lin, "Revocation", "stop", access.EffectDigest(c.revocation(t, namespace, "stop").LiftDocument()))
					c.gets(t, namespace, "bo", "read", ownOf("bo"))
					c.neverGets(t, namespace, "ann", "read", ownOf("ann"))
					c.answer(t, namespace, lin, "Revocation", "stop", access.EffectDigest(former))
				}
				done = true
				c.gets(t, namespace, "ann", "read", ownOf("ann"))
			}
		},
	},
}

func (c *cluster) guardrail(t *testing.T, namespace, name string) *access.Guardrail {
	t.Helper()
	object := &v1alpha1.Guardrail{}
	must(t, c.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object))
	out, err := manifest.Guardrail(object)
	must(t, err)
	return out
}

func (c *cluster) revocation(t *testing.T, namespace, name string) *access.Revocation {
	t.Helper()
	object := &v1alpha1.Revocation{}
	NewWithT(t).Eventually(func() error {
		return c.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	}).Should(Succeed())
	out, err := manifest.Revocation(object)
	must(t, err)
	return out
}
