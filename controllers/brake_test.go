package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

// heldLoss is what the PermissionStore's status says is held.
func heldLoss(namespace string) *v1alpha1.Held {
	GinkgoHelper()
	var ps v1alpha1.PermissionStore
	Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "default"}, &ps)).To(Succeed())
	return ps.Status.Held
}

var _ = Describe("The brake", func() {
	const size, limit = 60, 20
	var dir, namespace string
	var o *operator
	count := func() int { return len(holding(dir, namespace)()) }

	BeforeEach(func() {
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["brake"] = map[string]any{"people": int64(limit)} })
		apply(namespace, crowd(size)...)
		o = start(namespace, inFolder(dir))
		Eventually(count).Should(Equal(size + 2))
		allReady(namespace)
	})

	deleteBindings := func(from, to int) {
		GinkgoHelper()
		for i := from; i < to; i++ {
			remove(namespace, named("UserBinding", fmt.Sprintf("binding-%d", i)))
		}
	}

	It("holds many single deletes beyond its limit, through a restart, until exactly that loss is released", func() {
		deleteBindings(0, size)
		Eventually(storeSays(namespace)).Should(Equal("False/BrakeHeld"))
		Eventually(func() int32 { return heldLoss(namespace).Total + int32(size+2-count()) }).Should(BeEquivalentTo(size), "what is gone went or is held")
		held := heldLoss(namespace)
		Expect(count()).To(BeNumerically(">=", size+2-limit))
		Expect(len(held.Objects)).To(BeNumerically("<=", 20))
		Expect(held.Objects[0]).To(HavePrefix("UserBinding/binding-"))
		expectLegal(namespace)

		// Most come back while nobody leads. What is left would be few enough, but what is held stays so.
		o.stop()
		const stillGone = 5
		for i := range size {
			if exists := readyOf(namespace, named("UserBinding", fmt.Sprintf("binding-%d", i)))(); i < size-stillGone && strings.Contains(exists, "not found") {
				apply(namespace, parse("kind: UserBinding\nmetadata: {name: binding-%[1]d}\nspec: {subjects: [{user: user-%[1]d}], roles: [rep]}", i)...)
			}
		}
		before := holding(dir, namespace)()
		start(namespace, inFolder(dir))
		Eventually(func() int64 { return tenantRow(dir, namespace).Fence }).Should(BeEquivalentTo(2))
		Eventually(func() int32 { return heldLoss(namespace).Total }).Should(BeNumerically("<=", stillGone))
		keepSaying(storeSays(namespace), "False/BrakeHeld")
		Expect(holding(dir, namespace)()).To(ContainElements(before))
		held, left := heldLoss(namespace), count()
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) {
			spec["brake"] = map[string]any{"people": int64(limit), "release": "sha256:" + strings.Repeat("0", 64)}
		})
		keepSaying(count, left)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) {
			spec["brake"] = map[string]any{"people": int64(limit), "release": held.Digest}
		})
		Eventually(count).Should(Equal(left - int(held.People)))
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(heldLoss(namespace)).To(BeNil())
	})

	It("lets a mass layoff by text through: it brakes absence alone", func() {
		for i := range size {
			edit(namespace, "User", fmt.Sprintf("user-%d", i), func(spec map[string]any) { spec["state"] = "Departed" })
		}
		Eventually(func() int {
			departed := 0
			for _, body := range rows(dir, namespace) {
				departed += strings.Count(body, `"state":"Departed","manager"`)
			}
			return departed
		}).Should(Equal(size))
		Expect(storeSays(namespace)()).To(Equal("True/Connected"))
		edit(namespace, "UserBinding", "binding-0", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(holding(dir, namespace)).Should(ContainElement("ann Role/rep by UserBinding/binding-0"))
	})

	It("is cleared by the objects coming back, and text goes on while it holds", func() {
		remove(namespace, named("Role", "rep"))
		Eventually(storeSays(namespace)).Should(Equal("False/BrakeHeld"))
		Expect(heldLoss(namespace).People).To(BeEquivalentTo(size + 2))
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(count, 2*time.Second).Should(Equal(size+1), "a revocation by text is not held up")
		apply(namespace, parse("kind: Role\nmetadata: {name: rep}\nspec: {grants: [{object: customer, actions: [read, update], scopes: [own]}]}")...)
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(heldLoss(namespace)).To(BeNil())
		Expect(count()).To(Equal(size + 1))
		remove(namespace, named("UserBinding", "reps"))
		Eventually(count).Should(Equal(size), "a small loss is a small loss again")
	})

	It("is not got around by waiting between passes: losses are dated by the store's clock as it is", func() {
		// The tenant rests. What the last pass knew of the time is old by now.
		Consistently(count, 1500*time.Millisecond).Should(Equal(size + 2))
		before := tenantRow(dir, namespace).Now
		deleteBindings(0, 1)
		Eventually(count).Should(Equal(size + 1))
		var at time.Time
		brake := tenantRow(dir, namespace).Brake
		_, text, _ := strings.Cut(brake, `"at":"`)
		text, _, _ = strings.Cut(text, `"`)
		at, err := time.Parse(time.RFC3339, text)
		Expect(err).NotTo(HaveOccurred(), brake)
		Expect(at).To(BeTemporally(">=", before.Truncate(time.Second)))
	})
})
