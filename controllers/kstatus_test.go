package controllers_test

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What Argo CD, Flux and kpt read from a status.
var _ = Describe("To kstatus", func() {
	It("nothing is Current before the operator has looked, and everything is once it has settled", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(sample("huayue")...)
		for _, u := range listAll(k8s, namespace) {
			result, err := status.Compute(&u)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.Status).To(Equal(status.InProgressStatus), "%s/%s before the operator", u.GetKind(), u.GetName())
		}
		start(namespace, inFolder(dir))
		allReady(namespace)
		for _, u := range listAll(k8s, namespace) {
			result, err := status.Compute(&u)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.Status).To(Equal(status.CurrentStatus), "%s/%s: %s", u.GetKind(), u.GetName(), result.Message)
		}
	})

	It("an object that waits for another is InProgress to kstatus, and one that needs a person Failed", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		start(namespace, inFolder(dir))
		apply(namespace, parse("kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [later]}\n---\nkind: Role\nmetadata: {name: template}\nspec: {abstract: true}\n---\nkind: UserBinding\nmetadata: {name: second}\nspec: {subjects: [{user: ann}], roles: [template]}")...)
		says := func(kind, name string) func() status.Status {
			return func() status.Status {
				for _, u := range listAll(k8s, namespace) {
					if u.GetKind() == kind && u.GetName() == name {
						result, err := status.Compute(&u)
						Expect(err).NotTo(HaveOccurred())
						return result.Status
					}
				}
				return status.NotFoundStatus
			}
		}
		Eventually(says("UserBinding", "x")).Should(Equal(status.InProgressStatus))
		Eventually(says("UserBinding", "second")).Should(Equal(status.FailedStatus))
	})
})
