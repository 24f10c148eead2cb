package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

var _ = Describe("A pass over a tenant", func() {
	It("brings the sample organisation into the store, everything Ready", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(sample("huayue")...)
		o := start(namespace, inFolder(dir))
		Eventually(condition(namespace, &v1alpha1.PermissionStore{}, "default", "Ready")).Should(Equal("True/Connected"))
		Eventually(func() access.Effect {
			return o.decide(namespace, "li-ting", "read", "customer", &access.Record{ID: "cust-huaxin", Owner: "li-ting", Department: "sales-east-1"})
		}).Should(Equal(access.Allow))
		Eventually(condition(namespace, &v1alpha1.User{}, "han-dong", "Ready")).Should(Equal("True/Departed"))
		Eventually(condition(namespace, &v1alpha1.TemporaryGrant{}, "holiday-chen-mo", "Ready")).Should(Equal("True/Expired"))
		Eventually(condition(namespace, &v1alpha1.TemporaryGrant{}, "yearend-li-ting", "Active")).Should(Equal("False/Scheduled"))
	})
})
