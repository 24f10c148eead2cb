package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// temporary gives ann the export of her own customers between two instants.
func temporary(name string, from, until time.Time, user string) []client.Object {
	GinkgoHelper()
	return parse(`
kind: TemporaryGrant
metadata: {name: %s}
spec:
  users: [%s]
  grants: [{object: customer, actions: [export], records: {scopes: [own]}}]
  notBefore: %q
  notAfter: %q
  reason: test
`, name, user, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
}

// waiting is a cache that has not filled: whoever reads from it waits.
type waiting struct {
	client.Client
	filled chan struct{}
	asked  atomic.Int64
}

func (w *waiting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	w.asked.Add(1)
	select {
	case <-w.filled:
		return w.Client.List(ctx, list, options...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *waiting) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	select {
	case <-w.filled:
		return w.Client.Get(ctx, key, object, options...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

var _ = Describe("Time", func() {
	var dir, namespace string
	temporaries := func() int {
		return len(slices.DeleteFunc(holding(dir, namespace)(), func(h string) bool { return slices.Contains(bothHold, h) }))
	}
	says := func(name, kind string) func() string {
		return condition(namespace, &v1alpha1.TemporaryGrant{}, name, kind)
	}
	second := func(n int) time.Time { return time.Now().Truncate(time.Second).Add(time.Duration(n) * time.Second) }

	BeforeEach(func() {
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
	})

	It("starts a grant and ends it: access, rows, conditions and reasons follow at the instant", func() {
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		from, until := second(3), second(5)
		apply(namespace, temporary("short", from, until, "ann")...)
		may := func() access.Effect { return o.decide(namespace, "ann", "export", "customer", ownRecord("ann")) }
		Eventually(says("short", "Ready")).Should(Equal("True/Scheduled"))
		Expect(says("short", "Active")()).To(Equal("False/Scheduled"))
		Expect(temporaries()).To(Equal(1), "the window is a predicate: the row is there before it opens")
		Expect(may()).To(Equal(access.Deny))

		Eventually(may).Should(Equal(access.Allow))
		Expect(time.Now()).To(BeTemporally("~", from, 500*time.Millisecond))
		Eventually(says("short", "Active"), time.Second).Should(Equal("True/Active"))
		Eventually(says("short", "Ready"), time.Second).Should(Equal("True/Active"))

		Eventually(may).Should(Equal(access.Deny))
		Expect(time.Now()).To(BeTemporally("~", until, 500*time.Millisecond))
		Eventually(says("short", "Active"), time.Second).Should(Equal("False/Expired"))
		Expect(says("short", "Ready")()).To(Equal("True/Expired"))
		Eventually(temporaries).Should(BeZero())
		Expect(time.Now()).To(BeTemporally("<", until.Add(2*time.Second)))
		revision := tenantRow(dir, namespace).Revision
		poke(namespace)
		Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(Equal(revision.Number + 1))
		Expect(temporaries()).To(BeZero(), "an expired grant changes nothing and costs nothing")
		Eventually(eventsOf(namespace, "Active")).Should(HaveLen(1))
		Eventually(eventsOf(namespace, "Expired")).Should(HaveLen(1))
	})

	It("moves the status of a grant that gives nobody anything all the same", func() {
		start(namespace, inFolder(dir))
		allReady(namespace)
		apply(namespace, temporary("nobody", second(2), second(4), "zoe")...)
		Eventually(says("nobody", "Active")).Should(Equal("False/Scheduled"))
		Eventually(says("nobody", "Active"), 5*time.Second).Should(Equal("False/UnknownReference"))
		Eventually(says("nobody", "Ready"), 5*time.Second).Should(Equal("True/Expired"))
	})

	It("does not make Active what no active user holds", func() {
		start(namespace, inFolder(dir))
		allReady(namespace)
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Suspended" })
		apply(namespace, temporary("suspended", second(-5), second(60), "bo")...)
		Eventually(says("suspended", "Ready")).Should(Equal("True/Active"))
		Expect(says("suspended", "Active")()).To(Equal("False/Suspended"))
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Active" })
		Eventually(says("suspended", "Active")).Should(Equal("True/Active"))
	})

	It("that passed while nobody led is settled at the election, before the caches have filled", func() {
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		until := second(3)
		apply(namespace, temporary("short", second(-5), until, "ann")...)
		Eventually(temporaries).Should(Equal(1))
		o.stop()
		Expect(temporaries()).To(Equal(1))
		Eventually(time.Now).Should(BeTemporally(">=", until), "it ends while nobody is there to settle it")

		var cached *waiting
		start(namespace, inFolder(dir), func(r *controllers.Reconciler) {
			cached = &waiting{Client: r.Client, filled: make(chan struct{})}
			r.Client = cached
		})
		Eventually(temporaries, 3*time.Second).Should(BeZero())
		Expect(cached.asked.Load()).To(BeZero(), "it needs no cache")
		close(cached.filled)
		Eventually(says("short", "Ready")).Should(Equal("True/Expired"))
	})

	It("goes on while the PermissionStore is deleted: windows end, one after the other, and nothing else changes", func() {
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		apply(namespace, temporary("first", second(-5), second(4), "ann")...)
		apply(namespace, temporary("second", second(-5), second(6), "ann")...)
		Eventually(temporaries).Should(Equal(2))
		may := func() access.Effect { return o.decide(namespace, "ann", "read", "customer", ownRecord("ann")) }
		Eventually(may).Should(Equal(access.Allow))
		remove(namespace, permissionStore())
		gone(namespace, "PermissionStore", "default")
		remove(namespace, named("UserBinding", "reps"))
		Eventually(temporaries, 5*time.Second).Should(Equal(1))
		Eventually(temporaries, 5*time.Second).Should(BeZero())
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		looks := o.confirmations()
		Eventually(o.confirmations, 3*time.Second).Should(BeNumerically(">", looks), "decisions go on from what the store holds")
		Expect(may()).To(Equal(access.Allow))

		apply(namespace, parse(annAndBo)[2:]...)
		apply(namespace, permissionStore())
		allReady(namespace)
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		Eventually(says("second", "Ready")).Should(Equal("True/Expired"))
	})

	It("ends a grant also while a pass cannot work", func() {
		o := start(namespace, inFolder(dir), func(r *controllers.Reconciler) {})
		allReady(namespace)
		until := second(4)
		apply(namespace, temporary("short", second(-5), until, "ann")...)
		Eventually(temporaries).Should(Equal(1))
		byHand(dir, fmt.Sprintf(`CREATE TRIGGER stuck BEFORE INSERT ON source WHEN NEW.tenant = '%s' BEGIN SELECT raise(ABORT, 'stuck'); END`, namespace))
		apply(namespace, parse("kind: Department\nmetadata: {name: west}\nspec: {displayName: West}")...)
		Eventually(temporaries, 6*time.Second).Should(BeZero())
		Expect(o.decide(namespace, "ann", "export", "customer", ownRecord("ann"))).To(Equal(access.Deny))
	})
})
