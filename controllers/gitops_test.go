package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var _ = Describe("Under GitOps", func() {
	It("a settled namespace shows no diff, and has our fields under status alone", func() {
		dir := GinkgoTB().TempDir()
		namespace := env.Namespace(GinkgoTB())
		var text bytes.Buffer
		for _, object := range append(sample("huayue"), secretKind()) {
			object.SetNamespace(namespace)
			one, err := yaml.Marshal(object)
			Expect(err).NotTo(HaveOccurred())
			fmt.Fprintf(&text, "---\n%s", one)
		}
		file := filepath.Join(GinkgoTB().TempDir(), "all.yaml")
		Expect(os.WriteFile(file, text.Bytes(), 0o600)).To(Succeed())
		kubectl("apply", "--server-side", "--field-manager=argocd-controller", "-f", file)
		start(namespace, inFolder(dir))
		allReady(namespace)

		before := versions(namespace)
		Expect(kubectl("diff", "--server-side", "--field-manager=argocd-controller", "-f", file)).To(BeEmpty())
		for _, u := range listAll(k8s, namespace) {
			Expect(ownedOutsideStatus(&u)).To(BeEmpty())
			Expect(u.GetFinalizers()).To(BeEmpty())
		}
		kubectl("apply", "--server-side", "--field-manager=argocd-controller", "-f", file)
		Consistently(func() map[string]string { return versions(namespace) }, time.Second).Should(Equal(before), "a sync of the same changes nothing")
		expectLegal(namespace)
	})

	It("client-side apply shows no diff either", func() {
		dir := GinkgoTB().TempDir()
		namespace := newTenant()
		file := filepath.Join(GinkgoTB().TempDir(), "all.yaml")
		var text bytes.Buffer
		for _, object := range parse(organisation) {
			object.SetNamespace(namespace)
			one, err := yaml.Marshal(object)
			Expect(err).NotTo(HaveOccurred())
			fmt.Fprintf(&text, "---\n%s", one)
		}
		Expect(os.WriteFile(file, text.Bytes(), 0o600)).To(Succeed())
		kubectl("apply", "-f", file)
		start(namespace, inFolder(dir))
		allReady(namespace)
		Expect(kubectl("diff", "-f", file)).To(BeEmpty())
	})

	It("a deleted namespace goes without us: nothing we made holds it up", func() {
		dir := GinkgoTB().TempDir()
		namespace := env.Namespace(GinkgoTB())
		apply(namespace, permissionStore())
		apply(namespace, parse(organisation)...)
		start(namespace, inFolder(dir))
		allReady(namespace)
		controllerManager()
		kubectl("delete", "namespace", namespace, "--wait=true", "--timeout=60s")
		Expect(holding(dir, namespace)()).To(Equal(bothHold), "nobody loses access because a namespace was deleted")
		Consistently(holding(dir, namespace), 3*time.Second).Should(Equal(bothHold))
	})
})

// controllerManager runs kube-controller-manager until the spec ends: it empties namespaces that are deleted.
func controllerManager() {
	GinkgoHelper()
	assets, err := testenv.Assets()
	Expect(err).NotTo(HaveOccurred())
	program := filepath.Join(assets, "kube-controller-manager")
	if _, err := os.Stat(program); err != nil {
		Fail("there is no kube-controller-manager in " + assets + ": `make controlplane` builds one")
	}
	kubeconfig := filepath.Join(GinkgoTB().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, env.Kubeconfig(), 0o600)).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, "--kubeconfig", kubeconfig, "--controllers=namespace-controller",
		"--leader-elect=false", "--secure-port=0", "--concurrent-namespace-syncs=10")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		cancel()
		_ = command.Wait()
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(output.String())
		}
	})
}
