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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

var _ = Describe("On PostgreSQL", Ordered, func() {
	var server *pgtest.Server
	var dsn, namespace string

	BeforeAll(func() {
		var err error
		server, err = pgtest.New()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(server.Close()).To(Succeed()) })
	})

	opener := openerFunc(func(ctx context.Context, _, connection string) (store.Store, error) {
		return postgres.Open(ctx, connection)
	})
	content := func() store.Content {
		GinkgoHelper()
		s, err := postgres.Open(context.Background(), dsn)
		Expect(err).NotTo(HaveOccurred())
		defer s.Close()
		content, err := s.Load(context.Background(), namespace)
		Expect(err).NotTo(HaveOccurred())
		return content
	}
	held := func() []string { return holders(store.Index(content().Rows)) }
	entries := func() []store.Entry {
		GinkgoHelper()
		s, err := postgres.Open(context.Background(), dsn)
		Expect(err).NotTo(HaveOccurred())
		defer s.Close()
		list, err := s.Ledger(context.Background(), namespace, store.Revision{}, 1000)
		Expect(err).NotTo(HaveOccurred())
		return list
	}

	begin := func() *operator {
		GinkgoHelper()
		dsn = server.Database(GinkgoTB())
		namespace = env.Namespace(GinkgoTB())
		DeferCleanup(expectLegal, namespace)
		apply(namespace, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crm-db"}, StringData: map[string]string{"dsn": dsn}}, secretStore())
		apply(namespace, parse(organisation)...)
		o := start(namespace, opener)
		allReady(namespace)
		Expect(held()).To(Equal(bothHold))
		return o
	}

	It("an outage stops nobody and loses nothing: changes meanwhile are there within seconds of its end, once", func() {
		begin()
		before := versions(namespace)
		server.Stop(GinkgoTB())
		Eventually(storeSays(namespace)).Should(Equal("False/StoreUnavailable"))
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		apply(namespace, crowd(5)...)
		remove(namespace, named("User", "bo"))
		keepSaying(storeSays(namespace), "False/StoreUnavailable")
		after := versions(namespace)
		for _, untouched := range []string{"User/ann", "Role/rep", "ObjectType/customer", "Department/east"} {
			Expect(after[untouched]).To(Equal(before[untouched]), "trouble is said on the PermissionStore alone")
		}
		server.Start(GinkgoTB())
		Eventually(held, 10*time.Second).Should(HaveLen(6))
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		allReady(namespace)
		rows, _ := replayed(entries())
		Expect(store.Diff(rows, store.Index(content().Rows))).To(BeEmpty())
		Expect(eventsOf(namespace, "DriftFound")()).To(BeEmpty())
	})

	It("a table enforces once its storage and the CRM's role are named, says why it cannot, and is closed when they are gone", func() {
		begin()
		role := "crm_" + strings.ReplaceAll(namespace, "-", "_")
		server.Psql(GinkgoTB(), dsn, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD 'app'; CREATE ROLE %[1]s_view; CREATE SCHEMA crm;
			CREATE TABLE crm.customer (id bigint PRIMARY KEY, owner_id text, dept text, phone text)`, role))
		enforced := func() string {
			u := named("ObjectType", "customer")
			Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "customer"}, u)).To(Succeed())
			conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			for _, c := range conditions {
				if c := c.(map[string]any); c["type"] == "Enforced" {
					return fmt.Sprintf("%v/%v", c["status"], c["reason"])
				}
			}
			return ""
		}
		const isEnabled = `SELECT relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class AS c WHERE c.oid = 'crm.customer'::regclass`
		edit(namespace, "ObjectType", "customer", func(spec map[string]any) {
			spec["storage"] = map[string]any{"table": "crm.customer", "id": "id", "owner": "owner_id", "department": "dept",
				"columns": map[string]any{"owner": "owner_id"}}
		})
		allReady(namespace)
		Expect(enforced()).To(BeEmpty())
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) {
			spec["enforcement"] = map[string]any{"applicationRoles": []any{role, role + "_missing"}, "viewOwner": role + "_view"}
		})
		Eventually(enforced, 10*time.Second).Should(Equal("False/RoleUnsuited"))
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) {
			spec["enforcement"] = map[string]any{"applicationRoles": []any{role}, "viewOwner": role + "_view"}
		})
		Eventually(enforced, 10*time.Second).Should(Equal("True/Enforced"))
		Expect(server.Psql(GinkgoTB(), dsn, isEnabled)).To(Equal("t|5"))
		before := versions(namespace)
		keepSaying(enforced, "True/Enforced")
		Expect(versions(namespace)).To(Equal(before), "at rest nothing is written")
		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { delete(spec, "enforcement") })
		Eventually(enforced, 10*time.Second).Should(BeEmpty())
		Eventually(func() string { return server.Psql(GinkgoTB(), dsn, isEnabled) }, 10*time.Second).Should(Equal("t|0"))
	})

	It("a database restored from an old backup is noticed and put right, in a later epoch", func() {
		begin()
		server.Psql(GinkgoTB(), dsn, "CREATE SCHEMA backup; "+copies("crm_access", "backup"))
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		remove(namespace, named("User", "bo"))
		Eventually(func() int {
			bos := 0
			for _, row := range content().Rows {
				bos += strings.Count(row.Key, "bo") + strings.Count(row.Owner.Name, "bo")
			}
			return bos
		}).Should(BeZero())
		allReady(namespace)
		was := content()
		server.Psql(GinkgoTB(), dsn, "BEGIN; SET LOCAL session_replication_role = replica; "+restores("backup", "crm_access")+"COMMIT;")
		Eventually(func() int64 { return content().Tenant.Revision.Epoch }, 10*time.Second).Should(BeNumerically(">", was.Tenant.Revision.Epoch))
		Expect(store.Diff(store.Index(was.Rows), store.Index(content().Rows))).To(BeEmpty())
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(eventsOf(namespace, "DriftFound")()).To(ConsistOf(ContainSubstring("backup")))
		Expect(ledger.Verify(entries())).To(Succeed())
	})

	It("a wrong password is said without it, and the right one is taken up", func() {
		dsn, namespace = server.Database(GinkgoTB()), env.Namespace(GinkgoTB())
		DeferCleanup(expectLegal, namespace)
		role := "writer_" + strings.ReplaceAll(namespace, "-", "_")
		server.Psql(GinkgoTB(), dsn, fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD 'right'", role))
		name := strings.TrimSpace(server.Psql(GinkgoTB(), dsn, "SELECT current_database()"))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crm-db"}, StringData: map[string]string{"dsn": server.DSN(role, canary, name)}}
		apply(namespace, secret, secretStore())
		apply(namespace, parse(organisation)...)
		start(namespace, opener)
		Eventually(readyOf(namespace, secretKind())).Should(And(HavePrefix("False/StoreUnavailable"), ContainSubstring("password authentication failed"), Not(ContainSubstring(role))))
		secret.StringData = map[string]string{"dsn": server.DSN(role, "right", name)}
		Expect(k8s.Update(context.Background(), secret)).To(Succeed())
		allReady(namespace)
		Expect(held()).To(Equal(bothHold))

		// Rotated under an open store: the Secret is read again when the old password is of no use any more.
		server.Psql(GinkgoTB(), dsn, fmt.Sprintf("ALTER ROLE %[1]s PASSWORD 'newer'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%[1]s'", role))
		Eventually(storeSays(namespace)).Should(Equal("False/StoreUnavailable"))
		secret.StringData = map[string]string{"dsn": server.DSN(role, "newer", name)}
		Expect(k8s.Update(context.Background(), secret)).To(Succeed())
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
	})
})

// tables of the schema that a backup holds.
var tables = []string{"tenant", "ledger", "source", "object_type", "object_field", "department", "department_closure", "crm_user", "user_department", "tuple", "holder"}

func copies(from, to string) string {
	var script strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&script, "CREATE TABLE %[2]s.%[3]s AS TABLE %[1]s.%[3]s; ", from, to, table)
	}
	return script.String()
}

func restores(from, to string) string {
	var script strings.Builder
	for _, table := range tables {
		// All columns but those that the database works out.
		fmt.Fprintf(&script, `DELETE FROM %[2]s.%[3]s; DO $restore$ BEGIN EXECUTE (
			SELECT format('INSERT INTO %[2]s.%[3]s (%%1$s) SELECT %%1$s FROM %[1]s.%[3]s', string_agg(quote_ident(column_name), ', '))
			FROM information_schema.columns WHERE table_schema = '%[2]s' AND table_name = '%[3]s' AND is_generated = 'NEVER'); END $restore$; `, from, to, table)
	}
	return script.String()
}
