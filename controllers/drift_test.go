package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// eventsOf are the notes of a namespace's events with a reason.
func eventsOf(namespace, reason string) func() []string {
	return func() []string {
		var list eventsv1.EventList
		Expect(k8s.List(context.Background(), &list, client.InNamespace(namespace))).To(Succeed())
		notes := []string{}
		for _, e := range list.Items {
			if e.Reason == reason {
				notes = append(notes, e.Note)
			}
		}
		return notes
	}
}

const (
	insertHolder = `INSERT INTO holder (tenant, owner_kind, owner_name, key, user_name, bundle) VALUES (?1, 'UserBinding', 'evil', 'bo Role/admin', 'bo', 'Role/admin')`
	insertTuple  = `INSERT INTO tuple (tenant, owner_kind, owner_name, key, bundle, path, digest, origin, object, actions, scopes, restricted)
		SELECT tenant, owner_kind, owner_name, 'Role/rep evil', bundle, path, 'evil', origin, object, '["export"]', '["all"]', restricted FROM tuple WHERE tenant = ?1 LIMIT 1`
	widenTuple   = `UPDATE tuple SET scopes = '["all"]' WHERE tenant = ?1`
	deleteHolder = `DELETE FROM holder WHERE tenant = ?1 AND user_name = 'bo'`
	reviveUser   = `UPDATE crm_user SET state = 'Active' WHERE tenant = ?1 AND user_name = 'bo'`
	breakRow     = `UPDATE tuple SET actions = '{"no": "list"}' WHERE tenant = ?1`
	breakSource  = `UPDATE source SET spec = '[1]' WHERE tenant = ?1 AND owner_name = 'rep'`
	widenSource  = `UPDATE source SET spec = json_set(spec, '$.roles[1]', 'admin') WHERE tenant = ?1 AND owner_name = 'reps'`
	forgeSource  = `INSERT INTO source (tenant, owner_kind, owner_name, key, uid, spec)
		VALUES (?1, 'UserBinding', 'evil', '', 'x', '{"roles":["rep"],"subjects":[{"user":"cy"}]}')`
	forgeKind = `INSERT INTO source (tenant, owner_kind, owner_name, key, uid, spec) VALUES (?1, 'Nonsense', 'evil', '', 'x', '{}')`
)

var _ = Describe("Tampering", func() {
	var dir, namespace string
	begin := func(stores func(string) openerFunc, changes ...with) *operator {
		GinkgoHelper()
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
		apply(namespace, parse("kind: User\nmetadata: {name: cy}\nspec: {displayName: Cy, department: east}")...)
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Suspended" })
		if stores == nil {
			stores = inFolder
		}
		o := start(namespace, stores(dir), changes...)
		Eventually(holding(dir, namespace)).Should(Equal(bothHold))
		allReady(namespace)
		return o
	}
	content := func() map[store.RowID]string { return rows(dir, namespace) }
	since := func(before map[store.RowID]string) func() []store.Change {
		return func() []store.Change { return store.Diff(before, content()) }
	}

	DescribeTable("is put right within seconds, with an event that says what was and what is",
		func(statement string, said ...string) {
			begin(nil)
			before := content()
			byHand(dir, statement, namespace)
			Eventually(since(before), 5*time.Second).Should(BeEmpty())
			Eventually(eventsOf(namespace, "DriftFound")).Should(HaveLen(1))
			note := eventsOf(namespace, "DriftFound")()[0]
			for _, part := range said {
				Expect(note).To(ContainSubstring(part))
			}
			Expect(ledger.Verify(ledgerOf(dir, namespace))).To(Succeed())
			Expect(storeSays(namespace)()).To(Equal("True/Connected"))
		},
		Entry("a holder added", insertHolder, "holder of UserBinding/evil: declared nothing, found", "Role/admin"),
		Entry("a tuple added", insertTuple, "tuple of Role/rep: declared nothing, found", "export"),
		Entry("a tuple widened", widenTuple, `declared`, `"scopes":["own"]`, `found`, `"scopes":["all"]`),
		Entry("a holder deleted", deleteHolder, "holder of UserBinding/reps: declared", "found nothing"),
		Entry("a suspended account revived", reviveUser, `"state":"Suspended"`, `"state":"Active"`),
		Entry("a row that cannot be read", breakRow, "tuple of Role/rep"),
		Entry("a source that cannot be read", breakSource, "source of Role/rep"),
		Entry("a source widened", widenSource, "source of UserBinding/reps"),
		Entry("a source forged", forgeSource, "source of UserBinding/evil"),
		Entry("a source of no kind", forgeKind, "source of Nonsense/evil"),
	)

	It("is told each time, also twice in a row", func() {
		begin(nil)
		before := content()
		byHand(dir, insertHolder, namespace)
		Eventually(since(before), 5*time.Second).Should(BeEmpty())
		byHand(dir, widenTuple, namespace)
		Eventually(since(before), 5*time.Second).Should(BeEmpty())
		Eventually(eventsOf(namespace, "DriftFound")).Should(ConsistOf(ContainSubstring("Role/admin"), ContainSubstring(`"scopes":["all"]`)))
	})

	It("with a forged source gains nothing by the brake: what was never declared is not held", func() {
		begin(nil)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["brake"] = map[string]any{"people": int64(0)} })
		before := content()
		byHand(dir, forgeSource, namespace)
		Eventually(since(before), 5*time.Second).Should(BeEmpty())
		Consistently(holding(dir, namespace), 1500*time.Millisecond).Should(Equal(bothHold))
	})

	It("with a forged source while nobody led gains nothing either", func() {
		o := begin(nil)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["brake"] = map[string]any{"people": int64(0)} })
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		before := content()
		o.stop()
		byHand(dir, forgeSource, namespace)
		byHand(dir, insertHolder, namespace)
		start(namespace, inFolder(dir))
		Eventually(since(before), 5*time.Second).Should(BeEmpty())
		Eventually(eventsOf(namespace, "DriftFound")).Should(HaveLen(1))
		Expect(storeSays(namespace)()).To(Equal("True/Connected"))
	})

	It("is reported and left in mode Observe, once; what is declared anew is written all the same", func() {
		begin(nil)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["drift"] = map[string]any{"mode": "Observe"} })
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		byHand(dir, insertHolder, namespace)
		Eventually(storeSays(namespace)).Should(Equal("True/DriftFound"))
		Eventually(eventsOf(namespace, "DriftFound")).Should(HaveLen(2), "one of the drift, one of the store's condition")
		evil := rowOf(store.TableHolder, access.KindUserBinding, "evil", "bo Role/admin")
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(func() int { return len(holding(dir, namespace)()) }).Should(Equal(2), "ann's, and the one by hand")
		Expect(content()).To(HaveKey(evil))
		Consistently(eventsOf(namespace, "DriftFound"), 1500*time.Millisecond).Should(HaveLen(2))
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["drift"] = map[string]any{"mode": "Enforce"} })
		Eventually(content).ShouldNot(HaveKey(evil))
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
	})

	It("is not what a commit whose answer got lost looks like", func() {
		var r recorder
		begin(func(dir string) openerFunc { return recording(&r, inFolder(dir)) })
		lost := true
		r.fail(nil, func(string) error {
			if lost {
				lost = false
				return fmt.Errorf("%w: the answer got lost", store.ErrUnavailable)
			}
			return nil
		})
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(holding(dir, namespace)).Should(Equal(bothHold[:1]))
		Eventually(storeSays(namespace), 10*time.Second).Should(Equal("True/Connected"))
		Expect(eventsOf(namespace, "DriftFound")()).To(BeEmpty())
		written := 0
		for _, entry := range ledgerOf(dir, namespace) {
			written += strings.Count(string(entry.Body), `"op":"delete","table":"holder"`)
		}
		Expect(written).To(Equal(1), "nothing doubled in the ledger")
	})

	It("with the tenant row itself is survived: deleted, the tenant is claimed anew in a later epoch", func() {
		begin(nil)
		before := content()
		epoch := tenantRow(dir, namespace).Revision.Epoch
		byHand(dir, `DELETE FROM tenant WHERE name = ?1`, namespace)
		byHand(dir, widenTuple, namespace)
		Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Epoch }, 10*time.Second).Should(BeNumerically(">", epoch))
		Eventually(since(before), 5*time.Second).Should(BeEmpty())
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
	})
})

var _ = Describe("A store at rest", func() {
	It("sees at most two statements a second, on one row, and no write; the API sees no write either", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(sample("huayue")...)
		var r recorder
		var api *patching
		o := start(namespace, recording(&r, inFolder(dir)), countingWrites(&api))
		allReady(namespace)
		objects := resting(namespace)
		Expect(api.writes()).To(HaveLen(len(objects)), "a cold start costs one API write an object")
		before, row := r.counts(), tenantRow(dir, namespace)
		looks := o.confirmations()
		const span = 4 * time.Second
		Consistently(func() map[string]string { return versions(namespace) }, span, time.Second).Should(Equal(objects))
		after := r.counts()
		for _, call := range []string{"Commit", "Settle", "Load", "Claim"} {
			Expect(after[call]).To(Equal(before[call]), call)
		}
		Expect(after["Tenant"] - before["Tenant"]).To(BeNumerically("~", span.Seconds(), 2))
		Expect(o.confirmations() - looks).To(BeNumerically("~", span.Seconds(), 2))
		now := tenantRow(dir, namespace)
		row.Now, now.Now = time.Time{}, time.Time{}
		Expect(now).To(Equal(row))
		Expect(api.writes()).To(HaveLen(len(objects)))
	})
})

// versions are the resourceVersions of all objects of a namespace.
func versions(namespace string) map[string]string {
	GinkgoHelper()
	all := make(map[string]string)
	for _, u := range listAll(k8s, namespace) {
		all[u.GetKind()+"/"+u.GetName()] = u.GetResourceVersion()
	}
	return all
}
