package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var bothHold = []string{"ann Role/rep by UserBinding/reps", "bo Role/rep by UserBinding/reps"}

// blinkered is a cache that a test makes lag behind: it shows a list as the test says.
type blinkered struct {
	client.Client
	mu   sync.Mutex
	show func(client.ObjectList)
}

func (b *blinkered) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := b.Client.List(ctx, list, options...); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.show != nil {
		b.show(list)
	}
	return nil
}

func (b *blinkered) showing(show func(client.ObjectList)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.show = show
}

// hiding leaves out every object of a kind.
func hiding[L client.ObjectList](list client.ObjectList) {
	if _, ok := list.(L); ok {
		_ = meta.SetList(list, nil)
	}
}

// showing puts a former state of a binding in the place of what there is.
func showing(former v1alpha1.UserBinding) func(client.ObjectList) {
	return func(list client.ObjectList) {
		if l, ok := list.(*v1alpha1.UserBindingList); ok {
			l.Items = []v1alpha1.UserBinding{former}
		}
	}
}

// forbidding is an API server that does not permit lists of a kind any more.
type forbidding struct {
	client.Reader
	kind string
}

func (f forbidding) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if list.GetObjectKind().GroupVersionKind().Kind == f.kind+"List" {
		return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.Group, Resource: f.kind}, "", fmt.Errorf("no longer permitted"))
	}
	return f.Reader.List(ctx, list, options...)
}

// poke makes a change of no consequence, so that there is a pass.
func poke(namespace string) {
	GinkgoHelper()
	edit(namespace, "Department", "sales", func(spec map[string]any) { spec["displayName"] = "Sales " + time.Now().Format("05.000000") })
}

func kubectl(args ...string) string {
	GinkgoHelper()
	assets, err := testenv.Assets()
	Expect(err).NotTo(HaveOccurred())
	kubeconfig := filepath.Join(GinkgoTB().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, env.Kubeconfig(), 0o600)).To(Succeed())
	command := exec.Command(filepath.Join(assets, "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	Expect(command.Run()).To(Succeed(), output.String)
	return output.String()
}

var _ = Describe("An absence", func() {
	var dir, namespace string
	begin := func(changes ...with) *operator {
		GinkgoHelper()
		dir = GinkgoTB().TempDir()
		namespace = newTenant(parse(organisation)...)
		o := start(namespace, inFolder(dir), changes...)
		Eventually(holding(dir, namespace)).Should(Equal(bothHold))
		allReady(namespace)
		return o
	}

	It("is believed where an object was deleted, at once", func() {
		begin()
		remove(namespace, named("UserBinding", "reps"))
		Eventually(holding(dir, namespace), time.Second).Should(BeEmpty())
	})

	It("is not believed from a partial list of the cache", func() {
		var cached *blinkered
		begin(func(r *controllers.Reconciler) { cached = &blinkered{Client: r.Client}; r.Client = cached })
		cached.showing(hiding[*v1alpha1.UserBindingList])
		poke(namespace)
		keepSaying(holding(dir, namespace), bothHold)
		cached.showing(hiding[*v1alpha1.UserList])
		poke(namespace)
		keepSaying(holding(dir, namespace), bothHold)
	})

	It("is not believed where the list is not permitted; other changes go on", func() {
		begin(func(r *controllers.Reconciler) { r.Live = forbidding{r.Live, "UserBinding"} })
		remove(namespace, named("UserBinding", "reps"))
		Eventually(storeSays(namespace)).Should(Equal("False/AbsenceNotBelieved"))
		keepSaying(holding(dir, namespace), bothHold)
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["state"] = "Departed" })
		Eventually(func() string { return rows(dir, namespace)[rowOf(store.TableUser, access.KindUser, "bo", "bo")] }).Should(ContainSubstring("Departed"))
	})

	It("of a text that was changed since is no return to it: a stale cache gives nobody access", func() {
		o := begin()
		var former v1alpha1.UserBinding
		Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "reps"}, &former)).To(Succeed())
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(holding(dir, namespace)).Should(Equal(bothHold[:1]))
		o.stop()
		start(namespace, inFolder(dir), func(r *controllers.Reconciler) {
			cached := &blinkered{Client: r.Client}
			cached.showing(showing(former))
			r.Client = cached
		})
		Eventually(func() int64 { return tenantRow(dir, namespace).Fence }).Should(BeEquivalentTo(2))
		keepSaying(holding(dir, namespace), bothHold[:1])
		poke(namespace)
		keepSaying(holding(dir, namespace), bothHold[:1])
	})

	It("that was acted on is not undone by a stale cache that still shows the object", func() {
		o := begin()
		var former v1alpha1.UserBinding
		Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "reps"}, &former)).To(Succeed())
		remove(namespace, named("UserBinding", "reps"))
		Eventually(holding(dir, namespace)).Should(BeEmpty())
		o.stop()
		start(namespace, inFolder(dir), func(r *controllers.Reconciler) {
			cached := &blinkered{Client: r.Client}
			cached.showing(showing(former))
			r.Client = cached
		})
		Eventually(func() int64 { return tenantRow(dir, namespace).Fence }).Should(BeEquivalentTo(2))
		Consistently(holding(dir, namespace), 2*time.Second).Should(BeEmpty())
	})

	It("that was acted on dates the store: an API older than an absence is an older API", func() {
		begin()
		poke(namespace)
		Eventually(func() int64 { return tenantRow(dir, namespace).Revision.Number }).Should(BeNumerically(">=", 2))
		u := named("Department", "sales")
		Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "sales"}, u)).To(Succeed())
		newest, err := strconv.ParseUint(u.GetResourceVersion(), 10, 64)
		Expect(err).NotTo(HaveOccurred())
		remove(namespace, named("UserBinding", "reps"))
		Eventually(holding(dir, namespace)).Should(BeEmpty())
		Expect(tenantRow(dir, namespace).ResourceVersion).To(BeNumerically(">", newest))
	})

	It("is not believed while a definition is being deleted, is gone, or was made anew", func() {
		o := begin()
		var definition apiextensionsv1.CustomResourceDefinition
		key := client.ObjectKey{Name: "userbindings." + v1alpha1.Group}
		Expect(k8s.Get(context.Background(), key, &definition)).To(Succeed())
		Expect(k8s.Delete(context.Background(), &definition)).To(Succeed())
		DeferCleanup(restoreDefinition, "userbindings")
		Eventually(func() bool { return apierrors.IsNotFound(k8s.Get(context.Background(), key, &definition)) }).Should(BeTrue())
		keepSaying(holding(dir, namespace), bothHold)
		o.stop()

		restoreDefinition("userbindings")
		start(namespace, inFolder(dir))
		Eventually(storeSays(namespace)).Should(Equal("False/BrakeHeld"))
		poke(namespace)
		keepSaying(holding(dir, namespace), bothHold)

		apply(namespace, parse(organisation)[6:]...)
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		remove(namespace, named("UserBinding", "reps"))
		Eventually(holding(dir, namespace)).Should(BeEmpty(), "a deletion on the new ground is one again")
	})

	It("is not believed while the namespace is terminating, nor in another namespace of that name", func() {
		o := begin()
		clients, err := kubernetes.NewForConfig(env.Config)
		Expect(err).NotTo(HaveOccurred())
		Expect(clients.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})).To(Succeed())
		for _, u := range listAll(k8s, namespace) {
			if u.GetKind() != "PermissionStore" {
				remove(namespace, &u)
			}
		}
		Eventually(storeSays(namespace)).Should(Equal("False/AbsenceNotBelieved"))
		keepSaying(holding(dir, namespace), bothHold)
		ps := permissionStore()
		remove(namespace, ps)
		gone(namespace, "PermissionStore", "default")

		terminating, err := clients.CoreV1().Namespaces().Get(context.Background(), namespace, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		terminating.Spec.Finalizers = nil
		_, err = clients.CoreV1().Namespaces().Finalize(context.Background(), terminating, metav1.UpdateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			anew := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
			return k8s.Create(context.Background(), anew)
		}).Should(Succeed())
		apply(namespace, permissionStore())
		Eventually(storeSays(namespace)).Should(Equal("False/StoreOwnedElsewhere"))
		keepSaying(holding(dir, namespace), bothHold)
		Expect(o.fenced).NotTo(Receive(), "one tenant's trouble must not end the process that serves the others")
	})

	It("is not believed while the PermissionStore is terminating or gone; made anew, it holds what went meanwhile", func() {
		begin()
		ps := &v1alpha1.PermissionStore{}
		key := client.ObjectKey{Namespace: namespace, Name: "default"}
		Expect(k8s.Get(context.Background(), key, ps)).To(Succeed())
		ps.Finalizers = []string{"example.com/others"}
		Expect(k8s.Update(context.Background(), ps)).To(Succeed())
		remove(namespace, ps)
		remove(namespace, named("UserBinding", "reps"))
		Eventually(func() string { return storeSays(namespace)() }).Should(Equal("False/AbsenceNotBelieved"))
		keepSaying(holding(dir, namespace), bothHold)

		Expect(k8s.Get(context.Background(), key, ps)).To(Succeed())
		ps.Finalizers = nil
		Expect(k8s.Update(context.Background(), ps)).To(Succeed())
		gone(namespace, "PermissionStore", "default")
		remove(namespace, named("User", "bo"))
		keepSaying(holding(dir, namespace), bothHold)

		apply(namespace, permissionStore())
		Eventually(storeSays(namespace)).Should(Equal("False/BrakeHeld"))
		keepSaying(holding(dir, namespace), bothHold)
		apply(namespace, parse(annAndBo)[1:]...)
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
	})

	It("is not believed while the Secret of the connection is missing", func() {
		dir, namespace = GinkgoTB().TempDir(), env.Namespace(GinkgoTB())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crm-db"}, StringData: map[string]string{"dsn": "crm.db"}}
		apply(namespace, secret, secretStore())
		apply(namespace, parse(organisation)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		remove(namespace, secret)
		remove(namespace, named("UserBinding", "reps"))
		Eventually(storeSays(namespace)).Should(Equal("False/AbsenceNotBelieved"))
		keepSaying(holding(dir, namespace), bothHold)
		edit(namespace, "User", "bo", func(spec map[string]any) { spec["title"] = "Lead" })
		Eventually(condition(namespace, &v1alpha1.User{}, "bo", "Ready")).Should(Equal("True/Applied"), "texts are followed all the same")
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crm-db"}, StringData: map[string]string{"dsn": "crm.db"}}
		apply(namespace, secret)
		Eventually(holding(dir, namespace), 10*time.Second).Should(BeEmpty(), "the deletion is believed once the ground stands")
		expectLegal(namespace)
	})

	It("does not come of kubectl replace, as Argo CD's Replace=true does it", func() {
		begin()
		before := rows(dir, namespace)
		file := filepath.Join(GinkgoTB().TempDir(), "all.yaml")
		var text bytes.Buffer
		for _, object := range parse(organisation) {
			object.SetNamespace(namespace)
			one, err := yaml.Marshal(object)
			Expect(err).NotTo(HaveOccurred())
			fmt.Fprintf(&text, "---\n%s", one)
		}
		Expect(os.WriteFile(file, text.Bytes(), 0o600)).To(Succeed())
		revision := tenantRow(dir, namespace).Revision
		kubectl("replace", "-f", file)
		keepSaying(func() map[store.RowID]string { return rows(dir, namespace) }, before)
		Expect(tenantRow(dir, namespace).Revision).To(Equal(revision))
		allReady(namespace)
	})

	It("is not believed from an API older than the store, until a person adopts it", func() {
		o := begin()
		o.stop()
		remove(namespace, named("UserBinding", "reps"))
		byHand(dir, `UPDATE tenant SET resource_version = '900000000'`)
		o = start(namespace, inFolder(dir))
		Eventually(storeSays(namespace)).Should(Equal("False/APIOlderThanStore"))
		keepSaying(holding(dir, namespace), bothHold)
		// Its versions grow past those that were acted on; it is no more to be believed for that.
		o.stop()
		byHand(dir, `UPDATE tenant SET resource_version = '1'`)
		start(namespace, inFolder(dir))
		keepSaying(storeSays(namespace), "False/APIOlderThanStore")
		keepSaying(holding(dir, namespace), bothHold)
		epoch := tenantRow(dir, namespace).Revision.Epoch

		edit(namespace, "PermissionStore", "default", func(spec map[string]any) { spec["adopt"] = tenantRow(dir, namespace).Owner.String() })
		Eventually(storeSays(namespace)).Should(Equal("True/Connected"))
		Expect(holding(dir, namespace)()).To(BeEmpty())
		Expect(tenantRow(dir, namespace).Revision.Epoch).To(BeNumerically(">", epoch))
	})
})

var _ = Describe("A cluster rebuilt on the same database", func() {
	It("owns nothing until spec.adopt names the former owner; the former cluster's operator then writes no more", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		first := start(namespace, inFolder(dir))
		Eventually(holding(dir, namespace)).Should(Equal(bothHold))
		allReady(namespace)

		other := testenv.Start(GinkgoTB())
		there, err := client.New(other.Config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		Expect(there.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		ps := permissionStore()
		ps.Namespace = namespace
		Expect(there.Create(context.Background(), ps)).To(Succeed())
		second := startWith(other.Config, []string{namespace}, inFolder(dir))
		says := func() string {
			current := &v1alpha1.PermissionStore{}
			Expect(there.Get(context.Background(), client.ObjectKeyFromObject(ps), current)).To(Succeed())
			if c := meta.FindStatusCondition(current.Status.Conditions, "Ready"); c != nil {
				return string(c.Status) + "/" + c.Reason + " " + c.Message
			}
			return ""
		}
		owner := tenantRow(dir, namespace).Owner
		Eventually(says).Should(And(HavePrefix("False/StoreOwnedElsewhere"), ContainSubstring(owner.String())))
		keepSaying(holding(dir, namespace), bothHold)
		poke(namespace)
		Consistently(first.fenced, time.Second).ShouldNot(Receive(), "the first cluster goes on")

		Expect(there.Get(context.Background(), client.ObjectKeyFromObject(ps), ps)).To(Succeed())
		ps.Spec.Adopt = owner.String()
		ps.Spec.Brake.People = new(int32)
		Expect(there.Update(context.Background(), ps)).To(Succeed())
		Eventually(says).Should(HavePrefix("False/BrakeHeld"), "what the new cluster does not have yet is an absence like any")
		Expect(holding(dir, namespace)()).To(Equal(bothHold))
		for _, object := range parse(organisation) {
			object.SetNamespace(namespace)
			Expect(there.Create(context.Background(), object)).To(Succeed())
		}
		Eventually(says).Should(HavePrefix("True/Connected"))
		Expect(holding(dir, namespace)()).To(Equal(bothHold))

		Eventually(storeSays(namespace)).Should(Equal("False/StoreOwnedElsewhere"))
		remove(namespace, named("UserBinding", "reps"))
		keepSaying(holding(dir, namespace), bothHold)
		second.stop()
	})
})

var _ = Describe("The fence", func() {
	It("keeps an old leader that wakes up from writing anything, and ends it", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant(parse(organisation)...)
		var frozen *blinkered
		var stuck recorder
		old := start(namespace, recording(&stuck, inFolder(dir)), func(r *controllers.Reconciler) { frozen = &blinkered{Client: r.Client}; r.Client = frozen })
		Eventually(holding(dir, namespace)).Should(Equal(bothHold))
		allReady(namespace)
		// The old leader sleeps: no call of its gets anywhere until it wakes up.
		wake := make(chan struct{})
		stuck.fail(func(string) error { <-wake; return nil }, nil)
		poke(namespace)

		start(namespace, inFolder(dir))
		Eventually(func() int64 { return tenantRow(dir, namespace).Fence }).Should(BeEquivalentTo(2))
		edit(namespace, "UserBinding", "reps", func(spec map[string]any) { spec["subjects"] = []any{map[string]any{"user": "ann"}} })
		Eventually(holding(dir, namespace)).Should(Equal(bothHold[:1]))
		revision := tenantRow(dir, namespace).Revision

		close(wake)
		Eventually(old.fenced).Should(Receive(MatchError(store.ErrFenced)))
		keepSaying(holding(dir, namespace), bothHold[:1])
		Expect(tenantRow(dir, namespace).Fence).To(BeEquivalentTo(2), "an old leader must not take the tenant again")
		Expect(tenantRow(dir, namespace).Revision).To(Equal(revision))
	})
})

// restoreDefinition makes the definition of a kind anew, as an installation does, and waits until it is served.
func restoreDefinition(plural string) {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join("..", "config", "crd", "bases", v1alpha1.Group+"_"+plural+".yaml"))
	Expect(err).NotTo(HaveOccurred())
	definition := &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.Unmarshal(content, definition)).To(Succeed())
	if err := k8s.Create(context.Background(), definition); !apierrors.IsAlreadyExists(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	Eventually(func() bool {
		if err := k8s.Get(context.Background(), client.ObjectKeyFromObject(definition), definition); err != nil {
			return false
		}
		for _, c := range definition.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				list := &v1alpha1.UserBindingList{}
				return k8s.List(context.Background(), list) == nil
			}
		}
		return false
	}).Should(BeTrue())
}

// secretStore is a PermissionStore whose connection stands in a Secret.
func secretStore() *v1alpha1.PermissionStore {
	ps := permissionStore()
	ps.Spec.Driver = v1alpha1.DriverPostgres
	ps.Spec.Connection = v1alpha1.Connection{SecretRef: &v1alpha1.SecretKeyReference{Name: "crm-db", Key: "dsn"}}
	return ps
}

func rowOf(table store.Table, kind access.Kind, name, key string) store.RowID {
	return store.RowID{Table: table, Owner: access.Ref{Kind: kind, Name: name}, Key: key}
}
