package attack

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// cy is one more rep, who is revoked.
const cy = `
kind: User
metadata: {name: cy}
spec: {displayName: Cy, department: east}
---
kind: UserBinding
metadata: {name: one-more-rep}
spec: {subjects: [{user: cy}], roles: [rep]}
`

// former is a namespace of a cluster that is gone, with its store.
type former struct {
	namespace string
	answers   []string // the names of the Approvals that counted there
}

// prepareFormer fills a namespace: cy is revoked, ann's loan is approved, bo's waits, and a guardrail forbids updates.
func (c *cluster) prepareFormer(t *testing.T) former {
	t.Helper()
	namespace := c.tenant(t, cy, loan("loan", "ann", "read"), loan("other-loan", "bo", "read"),
		"kind: Revocation\nmetadata: {name: stop}\nspec: {user: cy, reason: stolen}",
		"kind: Guardrail\nmetadata: {name: no-update}\nspec: {rules: [{deny: {objects: [customer], actions: [update]}}]}")
	c.approve(t, namespace, gao, "loan", "ann")
	c.gets(t, namespace, "ann", "read", ofTheWest)
	c.loses(t, namespace, "cy", "read", ownOf("cy"))
	f := former{namespace: namespace}
	var list v1alpha1.ApprovalList
	must(t, c.admin.List(t.Context(), &list, client.InNamespace(namespace)))
	for i := range list.Items {
		f.answers = append(f.answers, list.Items[i].Name)
	}
	return f
}

// freshCase is played in a cluster made anew, into which everything was applied that is in Git, and Approvals before the
// policies were there. On the former namespace's store, or on an empty one.
type freshCase struct {
	attack
	empty bool
	play  func(*testing.T, *cluster, string)
}

var freshCases = []freshCase{
	{
		attack: attack{"the cluster is lost, and with it a revocation; everything is applied anew onto the same store", "whoever was not revoked has their access again", "design §6: restrictions outlive their object"},
		play: func(t *testing.T, c *cluster, namespace string) {
			c.gets(t, namespace, "bo", "read", ownOf("bo"))
			c.neverGets(t, namespace, "cy", "read", ownOf("cy"))
		},
	},
	{
		attack: attack{"a guardrail is lost with the cluster, and left out when everything is applied anew", "what it does not forbid is allowed", "design §6: restrictions outlive their object"},
		play: func(t *testing.T, c *cluster, namespace string) {
			c.gets(t, namespace, "bo", "read", ownOf("bo"))
			c.neverGets(t, namespace, "bo", "update", ownOf("bo"))
		},
	},
	{
		attack: attack{"Approvals are applied from a file before the policies, under the names of those that counted", "the approver approves when the policies are there", "design §9: counts only if it was made under the policy"},
		play: func(t *testing.T, c *cluster, namespace string) {
			c.gets(t, namespace, "bo", "read", ownOf("bo"))
			c.neverGets(t, namespace, "bo", "read", ofTheWest)
			c.approve(t, namespace, gao, "other-loan", "bo")
			c.gets(t, namespace, "bo", "read", ofTheWest)
		},
	},
	{
		attack: attack{"everything is applied anew onto an empty store, Approvals from a file among it", "the approver approves there; what needs no approval is there at once", "design §9: counts only if it was made under the policy"},
		empty:  true,
		play: func(t *testing.T, c *cluster, namespace string) {
			c.gets(t, namespace, "bo", "read", ownOf("bo"))
			c.neverGets(t, namespace, "bo", "read", ofTheWest)
			c.neverGets(t, namespace, "ann", "read", ofTheWest)
			c.approve(t, namespace, gao, "other-loan", "bo")
			c.gets(t, namespace, "bo", "read", ofTheWest)
			c.neverGets(t, namespace, "ann", "read", ofTheWest)
		},
	},
}

// playFresh makes the cluster anew and applies everything. The store is another cluster's until somebody says adopt.
func playFresh(t *testing.T, gone *cluster, f former) {
	c := newCluster(t, gone.dir)
	c.whole = t
	c.namespaceNamed(t, f.namespace)
	empty := "empty-store"
	c.namespaceNamed(t, empty)
	for _, namespace := range []string{f.namespace, empty} {
		c.people(t, namespace)
		c.apply(t, namespace, office, cy, loan("loan", "ann", "read"), loan("other-loan", "bo", "read"))
		for _, l := range [][2]string{{"loan", "ann"}, {"other-loan", "bo"}} {
			effect := c.effectOf(t, namespace, l[0], l[1])
			for _, name := range append([]string{"from-a-file"}, f.answers...) {
				if l[0] == "loan" {
					name += "-of-ann"
				}
				must(t, c.admin.Create(t.Context(), approval(namespace, name, gao, string(grant), l[0], effect)))
			}
		}
	}
	c.install(t)
	c.rememberPolicies(t)
	c.inForce(t)
	c.apply(t, empty, permissionStore("empty.db", ""))
	c.apply(t, f.namespace, permissionStore(f.namespace+".db", ""))
	c.start(t)
	c.gets(t, empty, "bo", "read", ownOf("bo"))
	for user, record := range map[string]*access.Record{"bo": ownOf("bo"), "cy": ownOf("cy")} {
		c.neverGets(t, f.namespace, user, "read", record) // it is not ours yet
	}
	c.apply(t, f.namespace, permissionStore(f.namespace+".db", ownerOf(t, c, f.namespace)))
	for _, played := range freshCases {
		namespace := f.namespace
		if played.empty {
			namespace = empty
		}
		t.Run(played.name, func(t *testing.T) { played.play(t, c, namespace) })
	}
}

// ownerOf is who owns a namespace's store, as adopt has to name it.
func ownerOf(t *testing.T, c *cluster, namespace string) string {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(c.dir, namespace+".db"))
	must(t, err)
	defer s.Close()
	row, err := s.Tenant(t.Context(), namespace)
	must(t, err)
	NewWithT(t).Expect(row.Owner.Cluster).NotTo(BeEmpty())
	return row.Owner.String()
}
