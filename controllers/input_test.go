package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

var _ = Describe("Bad input", func() {
	var dir, namespace string
	BeforeEach(func() {
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
	})

	DescribeTable("that names what does not exist says where and what follows, and holds up nobody else",
		func(text, kind, name, where, what string) {
			start(namespace, inFolder(dir))
			apply(namespace, parse(text)...)
			Eventually(readyOf(namespace, named(kind, name))).Should(And(
				HavePrefix("False/UnknownReference: spec."+where+": unknown "+what), MatchRegexp(`: .+: .+: .+`)))
			Eventually(holding(dir, namespace)).Should(ContainElements(bothHold[0], bothHold[1]))
		},
		Entry("a role", "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [nobody-knows]}", "UserBinding", "x", "roles[0]", `role "nobody-knows"`),
		Entry("a user", "kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: zoe}], roles: [rep]}", "UserBinding", "x", "subjects[0].user", `user "zoe"`),
		Entry("an object", "kind: Role\nmetadata: {name: x}\nspec: {grants: [{object: invoice, actions: [read], scopes: [own]}]}", "Role", "x", "grants[0].object", `object "invoice"`),
		Entry("an action", "kind: Role\nmetadata: {name: x}\nspec: {grants: [{object: customer, actions: [burn], scopes: [own]}]}", "Role", "x", "grants[0].actions[0]", `action of customer "burn"`),
		Entry("a field", "kind: Role\nmetadata: {name: x}\nspec: {grants: [{object: customer, actions: [read], scopes: [own], fields: [{field: fax, level: read}]}]}", "Role", "x", "grants[0].fields[0].field", `field of customer "fax"`),
		Entry("a department", "kind: User\nmetadata: {name: x}\nspec: {displayName: X, department: south}", "User", "x", "department", `department "south"`),
	)

	It("that inherits in a circle names the circle, confers nothing, and needs a person", func() {
		start(namespace, inFolder(dir))
		apply(namespace, parse(`
kind: Role
metadata: {name: a}
spec: {inherits: [{role: b}], grants: [{object: customer, actions: [export], scopes: [all]}]}
---
kind: Role
metadata: {name: b}
spec: {inherits: [{role: a}]}
---
kind: UserBinding
metadata: {name: x}
spec: {subjects: [{user: ann}], roles: [a]}
`)...)
		Eventually(readyOf(namespace, named("Role", "a"))).Should(And(HavePrefix("False/InheritanceCycle"), ContainSubstring("a > b > a")))
		Eventually(condition(namespace, &v1alpha1.Role{}, "b", "Stalled")).Should(Equal("True/InheritanceCycle"))
		for id := range rows(dir, namespace) {
			Expect(id.Table == store.TableTuple && id.Owner.Name != "rep").To(BeFalse(), "%v", id)
			Expect(id.Table == store.TableHolder && id.Owner.Name == "x").To(BeFalse(), "%v", id)
		}
	})

	It("waits five minutes for a reference, and then asks for a person", func() {
		clock := &shifted{}
		start(namespace, inFolder(dir), func(r *controllers.Reconciler) { r.Clock = clock })
		apply(namespace, parse("kind: UserBinding\nmetadata: {name: x}\nspec: {subjects: [{user: ann}], roles: [later]}")...)
		says := func(kind string) func() string {
			return condition(namespace, &v1alpha1.UserBinding{}, "x", kind)
		}
		Eventually(says("Reconciling")).Should(Equal("True/UnknownReference"))
		clock.ahead.Store(int64(4 * time.Minute))
		poke(namespace)
		Consistently(says("Stalled"), time.Second).Should(Equal("absent"))
		clock.ahead.Store(int64(5*time.Minute + 2*time.Second))
		poke(namespace)
		Eventually(says("Stalled")).Should(Equal("True/UnknownReference"))
		Expect(says("Reconciling")()).To(Equal("absent"))
		apply(namespace, parse("kind: Role\nmetadata: {name: later}\nspec: {grants: [{object: customer, actions: [read], scopes: [own]}]}")...)
		Eventually(says("Ready")).Should(Equal("True/Applied"))
		Expect(says("Stalled")()).To(Equal("absent"))
	})

	It("with notAfter before notBefore is refused on apply", func() {
		g := temporary("x", time.Now().Add(time.Hour), time.Now(), "ann")[0]
		g.SetNamespace(namespace)
		Expect(k8s.Create(context.Background(), g)).To(MatchError(ContainSubstring("notBefore must be earlier than notAfter")))
	})

	It("with quotes, semicolons, backslashes, Chinese, zero-width and right-to-left characters is kept as written", func() {
		start(namespace, inFolder(dir))
		odd := `Robert'); DROP TABLE holder;-- \" 华悦 ` + "\u200b\u200d\u202e\u2066 " + `שלום ${x} %s`
		spec := parse("kind: User\nmetadata: {name: odd}\nspec: {displayName: x, department: east}")
		object := spec[0].(interface{ UnstructuredContent() map[string]any }).UnstructuredContent()
		object["spec"].(map[string]any)["displayName"] = odd
		object["spec"].(map[string]any)["title"] = odd
		apply(namespace, spec...)
		binding := parse("kind: UserBinding\nmetadata: {name: odd}\nspec: {subjects: [{selector: {department: east}}], roles: [rep]}")
		object = binding[0].(interface{ UnstructuredContent() map[string]any }).UnstructuredContent()
		object["spec"].(map[string]any)["subjects"].([]any)[0].(map[string]any)["selector"].(map[string]any)["title"] = odd
		apply(namespace, binding...)
		allReady(namespace)
		Expect(holding(dir, namespace)()).To(ContainElement("odd Role/rep by UserBinding/odd"))
		facts, _, err := store.Decode(func() (all []store.Row) {
			for id, body := range rows(dir, namespace) {
				all = append(all, store.Row{RowID: id, Body: body})
			}
			return all
		}())
		Expect(err).NotTo(HaveOccurred())
		names := ""
		for _, u := range facts.Users {
			names += u.DisplayName
		}
		Expect(names).To(ContainSubstring(odd))
	})

	It("of the largest valid size is applied whole", func() {
		start(namespace, inFolder(dir))
		var text strings.Builder
		text.WriteString("kind: Role\nmetadata: {name: largest}\nspec:\n  grants:\n")
		for i := range 500 {
			fmt.Fprintf(&text, "  - {object: customer, actions: [read], scopes: [own], where: [{field: phone, operator: In, values: ['%030d']}]}\n", i)
		}
		apply(namespace, parse(text.String())...)
		Eventually(readyOf(namespace, named("Role", "largest"))).Should(HavePrefix("True/Applied"))
		tuples := 0
		for id := range rows(dir, namespace) {
			if id.Table == store.TableTuple && id.Owner.Name == "largest" {
				tuples++
			}
		}
		Expect(tuples).To(Equal(500))
	})

	DescribeTable("that the database refuses is said on its object alone; what it held before is taken away", func(mode string) {
		start(namespace, inFolder(dir))
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["drift"] = map[string]any{"mode": mode} })
		allReady(namespace)
		byHand(dir, fmt.Sprintf(`CREATE TRIGGER stuck BEFORE INSERT ON tuple WHEN NEW.tenant = '%s' AND NEW.actions LIKE '%%export%%' BEGIN SELECT raise(ABORT, 'no'); END`, namespace))
		edit(namespace, "Role", "rep", func(spec map[string]any) {
			spec["grants"].([]any)[0].(map[string]any)["actions"] = []any{"export"}
		})
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Departed" })
		Eventually(readyOf(namespace, named("Role", "rep"))).Should(HavePrefix("False/StoreRefused"))
		Eventually(readyOf(namespace, named("User", "bo"))).Should(HavePrefix("True/Departed"))
		Eventually(func() (tuples int) {
			for id := range rows(dir, namespace) {
				if id.Table == store.TableTuple {
					tuples++
				}
			}
			return tuples
		}).Should(BeZero(), "the old text is not what the role asks for any more")
		expectLegal(namespace)
		Expect(storeSays(namespace)()).To(Equal("True/Connected"))
		byHand(dir, `DROP TRIGGER stuck`)
		poke(namespace)
		allReady(namespace)
		Expect(eventsOf(namespace, "DriftFound")()).To(BeEmpty())
	}, Entry("in mode Enforce", "Enforce"), Entry("in mode Observe", "Observe"))

	It("says of a user who left that nothing confers access, and who the successor is", func() {
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		Eventually(func() access.Effect { return o.decide(namespace, "bo", "read", "customer", ownRecord("bo")) }).Should(Equal(access.Allow))
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"], spec["successor"] = "Departed", "ann" })
		Eventually(readyOf(namespace, named("User", "bo"))).Should(And(HavePrefix("True/Departed"), ContainSubstring("the successor is ann")))
		Expect(o.decide(namespace, "bo", "read", "customer", ownRecord("bo"))).To(Equal(access.Deny))
	})

	It("retires a namespace on purpose and brings it back: all access ends, and all of it returns", func() {
		o := start(namespace, inFolder(dir))
		allReady(namespace)
		before := rows(dir, namespace)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["state"] = "Retired" })
		Eventually(storeSays(namespace)).Should(Equal("True/Retired"))
		Expect(rows(dir, namespace)).To(BeEmpty())
		Eventually(readyOf(namespace, named("UserBinding", "reps"))).Should(HavePrefix("True/Retired"))
		Expect(o.decide(namespace, "ann", "read", "customer", ownRecord("ann"))).To(Equal(access.Deny))
		o.stop()
		start(namespace, inFolder(dir))
		keepSaying(storeSays(namespace), "True/Retired")
		Expect(rows(dir, namespace)).To(BeEmpty())
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["state"] = "Active" })
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(store.Diff(before, rows(dir, namespace))).To(BeEmpty())
		allReady(namespace)
	})
})

const canary = "canary-7f3a9c"

var _ = Describe("A connection", func() {
	It("that is wrong is said on the PermissionStore without the secret; the right one is taken up by itself", func() {
		dir, namespace := GinkgoTB().TempDir(), env.Namespace(GinkgoTB())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crm-db"}, StringData: map[string]string{"other": canary}}
		apply(namespace, secretStore())
		apply(namespace, parse(organisation)...)
		start(namespace, inFolder(dir))
		Eventually(storeSays(namespace)).Should(Equal("False/SecretUnavailable"))
		apply(namespace, secret)
		Eventually(readyOf(namespace, secretKind())).Should(ContainSubstring("has no key dsn"))
		secret.StringData = map[string]string{"dsn": canary + "/" + canary + ".db"}
		Expect(k8s.Update(context.Background(), secret)).To(Succeed())
		Eventually(storeSays(namespace)).Should(Equal("False/StoreUnavailable"))
		expectLegal(namespace)
		secret.StringData = map[string]string{"dsn": "crm.db"}
		Expect(k8s.Update(context.Background(), secret)).To(Succeed())
		allReady(namespace)
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		expectLegal(namespace)
	})

	It("to another file is taken up when the PermissionStore says so", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var opened []string
		o := start(namespace, openerFunc(func(ctx context.Context, driver, connection string) (store.Store, error) {
			opened = append(opened, connection)
			return inFolder(dir)(ctx, driver, connection)
		}))
		allReady(namespace)
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["connection"] = map[string]any{"file": "other.db"} })
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		o.stop()
		Expect(opened).To(Equal([]string{"crm.db", "other.db"}))
	})
})

func secretKind() *v1alpha1.PermissionStore {
	ps := permissionStore()
	ps.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("PermissionStore"))
	return ps
}
