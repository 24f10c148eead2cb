package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

var _ = Describe("Status", func() {
	It("of an object made anew under its name is its own, and not what was meant for the former", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		for range 10 {
			remove(namespace, named("UserBinding", "reps"))
			apply(namespace, parse(annAndBo)[2:]...)
			edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["roles"] = []any{"rep", "later"} })
			remove(namespace, named("UserBinding", "reps"))
			apply(namespace, parse(annAndBo)[2:]...)
		}
		allReady(namespace)
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		Eventually(func() string { return rows(dir, namespace)[rowOf(store.TableSource, "UserBinding", "reps", "")] }).Should(ContainSubstring(string(uidOf(namespace, "UserBinding", "reps"))))
	})

	It("is written once for each change, and starts no pass", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var r recorder
		start(namespace, recording(&r, inFolder(dir)))
		allReady(namespace)
		before, commits := resting(namespace), r.counts()["Commit"]
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Suspended" })
		Eventually(readyOf(namespace, named("User", "bo"))).Should(HavePrefix("True/Suspended"))
		changed := 0
		for name, version := range resting(namespace) {
			if before[name] != version {
				changed++
				Expect(name).To(Equal("User/bo"))
			}
		}
		Expect(changed).To(Equal(1))
		Expect(r.counts()["Commit"]).To(Equal(commits+1), "one pass")
	})

	It("makes an event of a transition once, also where the cache lags behind our own write", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		apply(namespace, parse("kind: Role\nmetadata: {name: template}\nspec: {abstract: true}\n---\nkind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [template]}")...)
		for range 20 { // passes in a row, most of them before the status is back
			poke(namespace)
		}
		Eventually(eventsOf(namespace, "AbstractRole")).Should(HaveLen(1))
		Consistently(func() int32 {
			var list eventsv1.EventList
			Expect(k8s.List(context.Background(), &list, client.InNamespace(namespace))).To(Succeed())
			var count int32
			for _, e := range list.Items {
				if e.Reason == "AbstractRole" {
					count++
					if e.Series != nil {
						count += e.Series.Count
					}
				}
			}
			return count
		}, time.Second).Should(BeEquivalentTo(1))
	})

	It("of a store's trouble is on the PermissionStore alone; a change that waits ten minutes asks for a person", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		clock, away := &shifted{}, &recorder{}
		start(namespace, recording(away, inFolder(dir)), func(r *controllers.Reconciler) { r.Clock = clock })
		allReady(namespace)
		away.fail(func(string) error { return fmt.Errorf("%w: gone", store.ErrUnavailable) }, nil)
		before := versions(namespace)
		Eventually(storeSays(namespace)).Should(Equal("False/StoreUnavailable"), "without any change")
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Suspended" })
		apply(namespace, parse("kind: Role\nmetadata: {name: fresh}\nspec: {displayName: Fresh}")...)
		keepSaying(storeSays(namespace), "False/StoreUnavailable")
		after := versions(namespace)
		for name := range before {
			if name != "PermissionStore/default" && name != "User/bo" {
				Expect(after[name]).To(Equal(before[name]), name)
			}
		}
		clock.ahead.Store(int64(11 * time.Minute))
		Eventually(condition(namespace, &v1alpha1.User{}, "bo", "Stalled")).Should(Equal("True/StoreUnavailable"))
		Eventually(condition(namespace, &v1alpha1.Role{}, "fresh", "Stalled")).Should(Equal("True/StoreUnavailable"))
		Eventually(condition(namespace, &v1alpha1.PermissionStore{}, "default", "Stalled")).Should(Equal("True/StoreUnavailable"))
		Expect(condition(namespace, &v1alpha1.User{}, "ann", "Ready")()).To(Equal("True/Applied"))
		apply(namespace, parse("kind: Role\nmetadata: {name: fresher}\nspec: {displayName: Fresh}")...)
		Consistently(condition(namespace, &v1alpha1.Role{}, "fresher", "Stalled"), time.Second).ShouldNot(Equal("True/StoreUnavailable"), "its ten minutes begin now")
		expectLegal(namespace)
		away.fail(nil, nil)
		allReady(namespace)
	})

	It("is settled though an object goes while its store is down", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		away := &recorder{}
		start(namespace, recording(away, inFolder(dir)))
		allReady(namespace)
		away.fail(func(string) error { return fmt.Errorf("%w: gone", store.ErrUnavailable) }, nil)
		remove(namespace, named("UserBinding", "reps"))
		gone(namespace, "UserBinding", "reps")
		Eventually(storeSays(namespace)).Should(Equal("False/StoreUnavailable"))
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		away.fail(nil, nil)
		Eventually(holding(dir, namespace)).Should(BeEmpty())
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
	})

	It("survives a restart of the operator on the same file: nothing is written that is there", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		before, revision := versions(namespace), tenantRow(dir, namespace).Revision
		for restart := range 3 {
			o.stop()
			o = start(namespace, inFolder(dir))
			Eventually(func() int64 { return tenantRow(dir, namespace).Fence }).Should(BeEquivalentTo(restart + 2))
			Eventually(o.confirmations).Should(BeNumerically(">", 1))
		}
		Expect(tenantRow(dir, namespace).Revision).To(Equal(revision))
		Expect(versions(namespace)).To(Equal(before))
	})
})

// The last look at the whole suite: no secret is anywhere to be read but in Secrets.
var _ = ReportAfterSuite("a canary in a Secret is in no status, event or log line", func(Report) {
	if env == nil {
		return
	}
	collected.Lock()
	defer collected.Unlock()
	for _, line := range collected.lines {
		Expect(line).NotTo(ContainSubstring(canary))
	}
})

var _ = AfterSuite(func() {
	var all corev1.NamespaceList
	Expect(k8s.List(context.Background(), &all)).To(Succeed())
	for _, namespace := range all.Items {
		for _, u := range listAll(k8s, namespace.Name) {
			Expect(fmt.Sprint(u.Object)).NotTo(ContainSubstring(canary))
		}
		var list eventsv1.EventList
		Expect(k8s.List(context.Background(), &list, client.InNamespace(namespace.Name))).To(Succeed())
		for _, e := range list.Items {
			Expect(e.String()).NotTo(ContainSubstring(canary))
		}
	}
})
