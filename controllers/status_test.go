package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

var _ = Describe("Status", func() {
	It("of an object made anew under its name is its own, and not what was meant for the former", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var api *patching
		start(namespace, inFolder(dir), countingWrites(&api))
		allReady(namespace)
		api.gate.Lock()
		const first = "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [later]}"
		apply(namespace, parse(first)...)
		Eventually(api.writes).Should(ContainElement("UserBinding/x"))
		remove(namespace, named("UserBinding", "x"))
		apply(namespace, parse(strings.Replace(first, "later", "rep", 1))...)
		api.gate.Unlock()
		Eventually(readyOf(namespace, named("UserBinding", "x"))).Should(HavePrefix("True/Applied"))
		Expect(api.refusals()).To(ConsistOf("UserBinding/x: Conflict"))
		remove(namespace, named("UserBinding", "x"))
		for range 5 {
			remove(namespace, named("UserBinding", "reps"))
			apply(namespace, parse(annAndBo)[2:]...)
		}
		allReady(namespace)
		Eventually(holding(dir, namespace)).Should(Equal(bothHold))
		Eventually(func() string { return rows(dir, namespace)[rowOf(store.TableSource, "UserBinding", "reps", "")] }).Should(ContainSubstring(string(uidOf(namespace, "UserBinding", "reps"))))
	})

	It("is written though somebody labels the object while it is on its way", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var api *patching
		start(namespace, inFolder(dir), countingWrites(&api))
		allReady(namespace)
		resting(namespace)
		writes := len(api.writes())
		api.gate.Lock()
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Suspended" })
		Eventually(func() []string { return api.writes()[writes:] }).Should(ContainElement("User/bo"))
		u := named("User", "bo")
		u.SetNamespace(namespace)
		Expect(k8s.Patch(context.Background(), u, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`)))).To(Succeed())
		api.gate.Unlock()
		Eventually(readyOf(namespace, named("User", "bo"))).Should(HavePrefix("True/Suspended"))
		Expect(api.refusals()).To(ContainElement("User/bo: Conflict"))
	})

	It("is written once for each change, and starts no pass", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var r recorder
		var api *patching
		start(namespace, recording(&r, inFolder(dir)), countingWrites(&api))
		allReady(namespace)
		before, commits := resting(namespace), r.counts()["Commit"]
		writes := len(api.writes())
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
		Expect(api.writes()[writes:]).To(Equal([]string{"User/bo"}))
		Expect(r.counts()["Commit"]).To(Equal(commits+1), "one pass")
	})

	It("makes an event of a transition once, also where the cache lags behind our own write", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var r recorder
		var api *patching
		start(namespace, recording(&r, inFolder(dir)), countingWrites(&api))
		allReady(namespace)
		resting(namespace)
		api.gate.Lock()
		apply(namespace, parse("kind: Role\nmetadata: {name: template}\nspec: {abstract: true}\n---\nkind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [template]}")...)
		for range 5 { // passes in a row before the status is even written
			commits := r.counts()["Commit"]
			poke(namespace)
			Eventually(func() int { return r.counts()["Commit"] }).Should(BeNumerically(">", commits))
		}
		api.gate.Unlock()
		for range 10 { // and while it comes back
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
