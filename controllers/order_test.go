package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// replayed is what a ledger's entries come to, and how many rows they wrote. It fails where an entry writes a row that
// does not change.
func replayed(entries []store.Entry) (map[store.RowID]string, int) {
	GinkgoHelper()
	Expect(ledger.Verify(entries)).To(Succeed())
	rows, written := make(map[store.RowID]string), 0
	for _, entry := range entries {
		var body struct {
			Changes []struct {
				Table         store.Table
				Owner_kind    access.Kind //nolint:revive // the ledger's spelling
				Owner_name    string      //nolint:revive // the ledger's spelling
				Key           string
				Before, After json.RawMessage
			}
		}
		Expect(json.Unmarshal(entry.Body, &body)).To(Succeed())
		for _, c := range body.Changes {
			id := rowOf(c.Table, c.Owner_kind, c.Owner_name, c.Key)
			Expect(rows[id]).To(Equal(string(c.Before)), "%v", id)
			Expect(string(c.After)).NotTo(Equal(string(c.Before)), "%v is written and does not change", id)
			store.Apply(rows, []store.Change{{RowID: id, After: string(c.After)}})
			written++
		}
	}
	return rows, written
}

var _ = Describe("Order", func() {
	It("does not matter: twenty orders of the sample manifests come to the same rows, all Ready, and write only what changes", func() {
		const seeds = 20
		dir := GinkgoTB().TempDir()
		var namespaces []string
		for range seeds {
			namespaces = append(namespaces, newTenant())
		}
		o := startWith(env.Config, namespaces, inFolder(dir))
		var applying sync.WaitGroup
		for seed, namespace := range namespaces {
			objects := sample("huayue")
			random := rand.New(rand.NewPCG(uint64(seed), 7))
			random.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
			applying.Go(func() {
				defer GinkgoRecover()
				apply(namespace, objects...)
			})
		}
		applying.Wait()
		for _, namespace := range namespaces {
			allReady(namespace)
		}
		o.stop()
		want := withoutUIDs(rows(dir, namespaces[0]))
		Expect(len(want)).To(BeNumerically(">", 200))
		for _, namespace := range namespaces {
			held := rows(dir, namespace)
			Expect(store.Diff(want, withoutUIDs(held))).To(BeEmpty(), namespace)
			entries := ledgerOf(dir, namespace)
			content, _ := replayed(entries)
			Expect(store.Diff(content, held)).To(BeEmpty(), namespace)
		}
	})

	It("lets a binding that came before its role take effect within half a second of the role", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		apply(namespace, parse("kind: UserBinding\nmetadata: {name: early}\nspec: {subjects: [{user: ann}], roles: [late]}")...)
		early := readyOf(namespace, named("UserBinding", "early"))
		Eventually(early).Should(HavePrefix("False/UnknownReference"))
		applied := time.Now()
		apply(namespace, parse("kind: Role\nmetadata: {name: late}\nspec: {grants: [{object: customer, actions: [export], scopes: [own]}]}")...)
		Eventually(holding(dir, namespace)).Should(ContainElement("ann Role/late by UserBinding/early"))
		Expect(time.Since(applied)).To(BeNumerically("<", 500*time.Millisecond))
		Eventually(early).Should(HavePrefix("True/Applied"))
	})
})

var _ = Describe("Shrinking", func() {
	var dir, namespace string
	BeforeEach(func() {
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
		apply(namespace, parse(`
kind: Role
metadata: {name: exporter}
spec: {grants: [{object: customer, actions: [read, export], scopes: [own]}]}
---
kind: UserBinding
metadata: {name: more}
spec: {subjects: [{user: ann}], roles: [rep, exporter]}
---
kind: TemporaryGrant
metadata: {name: summer}
spec: {users: [ann, bo], roles: [exporter], notAfter: "2099-01-01T00:00:00Z", reason: test}
`)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
	})
	// shrink makes a change and returns the rows that are gone, and those that are others now but for sources.
	shrink := func(change func()) (gone, changed []string) {
		GinkgoHelper()
		before, revision := rows(dir, namespace), tenantRow(dir, namespace).Revision.Number
		change()
		Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(Equal(revision + 1))
		for _, c := range store.Diff(before, rows(dir, namespace)) {
			name := fmt.Sprintf("%s %s %s", c.Table, c.Owner, c.Key)
			switch {
			case c.After == "":
				gone = append(gone, strings.TrimSpace(name))
			case c.Table != store.TableSource:
				changed = append(changed, name)
			}
		}
		return gone, changed
	}

	It("by an action changes that role's tuple and no other row", func() {
		gone, changed := shrink(func() {
			edit(namespace, "Role", "exporter", func(spec map[string]any) {
				spec["grants"].([]any)[0].(map[string]any)["actions"] = []any{"read"}
			})
		})
		Expect(gone).To(ConsistOf(HavePrefix("tuple Role/exporter Role/exporter ")))
		Expect(changed).To(ConsistOf(HavePrefix("tuple Role/exporter Role/exporter ")))
	})

	It("by a role of a binding removes that holder; the right that a grant asks for as well stays", func() {
		gone, changed := shrink(func() {
			edit(namespace, "UserBinding", "more", func(spec map[string]any) { spec["roles"] = []any{"rep"} })
		})
		Expect(gone).To(ConsistOf("holder UserBinding/more ann Role/exporter"))
		Expect(changed).To(BeEmpty())
		Expect(holding(dir, namespace)()).To(ContainElement("ann Role/exporter by TemporaryGrant/summer"))
	})

	It("by a user of a grant removes that holder", func() {
		gone, changed := shrink(func() {
			edit(namespace, "TemporaryGrant", "summer", func(spec map[string]any) { spec["users"] = []any{"ann"} })
		})
		Expect(gone).To(ConsistOf("holder TemporaryGrant/summer bo Role/exporter"))
		Expect(changed).To(BeEmpty())
	})

	It("by a whole object removes its rows; what two objects ask for, both own", func() {
		Expect(holding(dir, namespace)()).To(ContainElements("ann Role/rep by UserBinding/more", "ann Role/rep by UserBinding/reps"))
		gone, changed := shrink(func() { remove(namespace, named("UserBinding", "more")) })
		Expect(gone).To(ConsistOf("source UserBinding/more", "holder UserBinding/more ann Role/exporter", "holder UserBinding/more ann Role/rep"))
		Expect(changed).To(BeEmpty())
		Expect(holding(dir, namespace)()).To(ContainElement("ann Role/rep by UserBinding/reps"))
	})

	It("by a role in use makes it confer nothing at once; another of that name revives no old row", func() {
		gone, _ := shrink(func() { remove(namespace, named("Role", "exporter")) })
		Expect(gone).To(ConsistOf("source Role/exporter", HavePrefix("tuple Role/exporter"), "holder UserBinding/more ann Role/exporter",
			"holder TemporaryGrant/summer ann Role/exporter", "holder TemporaryGrant/summer bo Role/exporter"))
		Eventually(readyOf(namespace, named("UserBinding", "more"))).Should(HavePrefix("False/UnknownReference"))
		apply(namespace, parse("kind: Role\nmetadata: {name: exporter}\nspec: {grants: [{object: customer, actions: [create], scopes: [own]}]}")...)
		allReady(namespace)
		for id, body := range rows(dir, namespace) {
			if id.Table == store.TableTuple && id.Owner.Name == "exporter" {
				Expect(body).To(ContainSubstring(`"actions":["create"]`))
			}
		}
		source := rows(dir, namespace)[rowOf(store.TableSource, access.KindRole, "exporter", "")]
		Expect(source).To(ContainSubstring(string(uidOf(namespace, "Role", "exporter"))))
	})
})

var _ = Describe("A line of a sample manifest", func() {
	It("changes exactly the rows that follow from it", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(sample("huayue")...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		set := func(value any, path ...string) func(map[string]any) {
			return func(spec map[string]any) { Expect(unstructured.SetNestedField(spec, value, path...)).To(Succeed()) }
		}
		for _, line := range []struct {
			kind, name string
			change     func(map[string]any)
			rows       []string // besides the source
		}{
			{"User", "li-ting", set("李小婷", "displayName"), []string{"crm_user User/li-ting li-ting"}},
			{"User", "li-ting", set("Suspended", "state"), []string{"crm_user User/li-ting li-ting"}},
			{"User", "li-ting", set("li-ting-2@huayue.example", "email"), nil},
			{"User", "he-miao", set("E9999", "employeeNumber"), nil},
			{"Department", "sales-east-1", set("华东一部（新）", "displayName"), []string{"department Department/sales-east-1 sales-east-1"}},
			{"Department", "sales-east-1", set("sun-jie", "manager"), []string{"department Department/sales-east-1 sales-east-1"}},
			{"Role", "sales-rep", set("代表", "displayName"), nil},
			{"ObjectType", "report", set("Disabled", "state"), []string{"object_type ObjectType/report report"}},
			{"TemporaryGrant", "yearend-li-ting", set("another reason", "reason"), nil},
			{"UserBinding", "", nil, nil},
		} {
			if line.kind == "UserBinding" {
				list := &unstructured.UnstructuredList{}
				list.SetGroupVersionKind(named("UserBindingList", "").GroupVersionKind())
				Expect(k8s.List(context.Background(), list, client.InNamespace(namespace))).To(Succeed())
				line.name, line.change = list.Items[0].GetName(), set("another justification", "justification")
			}
			before, number := rows(dir, namespace), tenantRow(dir, namespace).Revision.Number
			edit(namespace, line.kind, line.name, line.change)
			Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(Equal(number + 1))
			var changed []string
			for _, c := range store.Diff(before, rows(dir, namespace)) {
				changed = append(changed, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Table, c.Owner, c.Key)))
			}
			Expect(changed).To(ConsistOf(append([]string{"source " + line.kind + "/" + line.name}, line.rows...)), "%s/%s", line.kind, line.name)
		}
	})
})

var _ = Describe("One pass", func() {
	It("takes a change of department through many bindings in one commit: a reader sees never both nor neither", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var text strings.Builder
		text.WriteString("kind: Department\nmetadata: {name: west}\nspec: {displayName: West, parent: sales}\n")
		for i := range 20 {
			for _, department := range []string{"east", "west"} {
				fmt.Fprintf(&text, "---\nkind: UserBinding\nmetadata: {name: %[1]s-%[2]d}\nspec: {subjects: [{selector: {department: %[1]s, title: Mover}}], roles: [rep]}\n", department, i)
			}
		}
		text.WriteString("---\nkind: User\nmetadata: {name: mo}\nspec: {displayName: Mo, department: east, title: Mover}\n")
		apply(namespace, parse(text.String())...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		moved := func() (east, west int) {
			for _, h := range holding(dir, namespace)() {
				east += strings.Count(h, "mo Role/rep by UserBinding/east-")
				west += strings.Count(h, "mo Role/rep by UserBinding/west-")
			}
			return east, west
		}
		stop := make(chan struct{})
		var reading sync.WaitGroup
		reading.Go(func() {
			defer GinkgoRecover()
			for {
				if east, west := moved(); east+west != 20 || east*west != 0 {
					Fail(fmt.Sprintf("a reader sees %d and %d bindings", east, west))
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		revision := tenantRow(dir, namespace).Revision.Number
		for i, department := range []string{"west", "east", "west"} {
			edit(namespace, "User", "mo", func(spec map[string]any) { spec["department"] = department })
			Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(Equal(revision + int64(i) + 1))
		}
		Consistently(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(Equal(revision + 3))
		close(stop)
		reading.Wait()
		_, west := moved()
		Expect(west).To(Equal(20))
	})
})
