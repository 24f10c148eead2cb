package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// operatorAccount is the service account of config/rbac. A client certificate with its name has just its rights.
const operatorAccount = "system:serviceaccount:crm-access-operator-system:crm-access-operator"

var (
	env  *testenv.Environment
	root string
	// programs is the folder with the built programs; admin and operator are kubeconfig files.
	programs, admin, operatorConfig string
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		programs = dir
		return pgtest.Main(m)
	}())
}

// setUp builds the programs, starts the API server and applies what ships, once.
var setUp = sync.OnceValue(func() error {
	var err error
	if root, err = testenv.ModuleRoot(); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", programs+string(filepath.Separator), "./cmd/manager", "./cmd/decider", "./cmd/kubectl-crmaccess")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return nil
})

func start(t *testing.T) {
	t.Helper()
	if err := setUp(); err != nil {
		t.Fatal(err)
	}
	env = testenv.Start(t)
	dir := t.TempDir()
	admin, operatorConfig = filepath.Join(dir, "admin"), filepath.Join(dir, "operator")
	if err := os.WriteFile(admin, env.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "--server-side", "-k", filepath.Join(root, "config", "default"))
	writeKubeconfig(t, operatorConfig, env.User(t, operatorAccount, "system:serviceaccounts", "system:authenticated"))
}

func writeKubeconfig(t *testing.T, path string, config *rest.Config) {
	t.Helper()
	c := clientcmdapi.NewConfig()
	c.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	c.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	c.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	c.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*c, path); err != nil {
		t.Fatal(err)
	}
}

// kubectl runs as the administrator and returns what it prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryKubectl("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryKubectl(stdin string, args ...string) (string, error) {
	assets, err := testenv.Assets()
	if err != nil {
		return "", err
	}
	command := exec.Command(filepath.Join(assets, "kubectl"), append([]string{"--kubeconfig", admin}, args...)...)
	command.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String(), nil
}

// apply applies manifests from text to a namespace.
func apply(t *testing.T, namespace, text string) {
	t.Helper()
	if _, err := tryKubectl(text, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until objects have a condition.
func waitFor(t *testing.T, namespace, condition string, objects ...string) {
	t.Helper()
	args := append([]string{"wait", "-n", namespace, "--for=condition=" + condition, "--timeout=40s"}, objects...)
	if out, err := tryKubectl("", args...); err != nil {
		state, _ := tryKubectl("", "get", "crmaccess", "-n", namespace, "-o", "wide")
		t.Fatalf("%v\n%s\n%s", err, out, state)
	}
}

// eventually waits until check has nothing to say.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", within, err)
		}
		pause(50 * time.Millisecond)
	}
}

// pause lets real time pass: processes and databases of their own cannot be given a fake clock.
func pause(d time.Duration) { <-time.After(d) }

// operator is a running manager.
type operator struct {
	command         *exec.Cmd
	decide, metrics string
	log             *logBuffer
	done            chan struct{}
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func startOperator(t *testing.T, dataDir string, flags ...string) *operator {
	t.Helper()
	o := &operator{decide: freeAddress(t), metrics: freeAddress(t), log: &logBuffer{}, done: make(chan struct{})}
	o.command = exec.Command(filepath.Join(programs, "manager"), append([]string{"--kubeconfig", operatorConfig, "--data-dir", dataDir,
		"--leader-elect", "--leader-elect-namespace=crm-access-operator-system",
		"--metrics-bind-address", o.metrics, "--health-probe-bind-address=0", "--decision-bind-address", o.decide}, flags...)...)
	o.command.Stderr = o.log
	o.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(o.done); _ = o.command.Wait() }()
	t.Cleanup(func() {
		o.kill()
		if t.Failed() {
			t.Logf("manager:\n%s", o.log)
		}
	})
	return o
}

// kill is SIGKILL: the process has no chance to do anything.
func (o *operator) kill() {
	_ = o.command.Process.Kill()
	<-o.done
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// organisation is small, and enough for a grant.
const organisation = `
apiVersion: crmaccess.io/v1alpha1
kind: ObjectType
metadata: {name: customer}
spec: {fields: [{name: phone, class: confidential}], actions: [read, update]}
---
apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: ann}
spec: {displayName: Ann}
`

func store(driver string) string {
	connection := "{file: crm.db}"
	if driver == "postgres" {
		connection = "{secretRef: {name: crm-db, key: dsn}}"
	}
	return fmt.Sprintf(`
apiVersion: crmaccess.io/v1alpha1
kind: PermissionStore
metadata: {name: default}
spec: {driver: %s, connection: %s}
`, driver, connection)
}

// loan lends every customer to ann until an instant.
func loan(name string, until time.Time) string {
	return fmt.Sprintf(`
apiVersion: crmaccess.io/v1alpha1
kind: TemporaryGrant
metadata: {name: %s}
spec:
  users: [ann]
  grants: [{object: customer, actions: [read], records: {scopes: [all]}}]
  notAfter: %q
  reason: test
`, name, until.UTC().Format(time.RFC3339))
}

// secretFor gives a namespace the connection string, and the operator the right to read it.
func secretFor(t *testing.T, namespace, dsn string) {
	t.Helper()
	kubectl(t, "apply", "-n", namespace, "-k", filepath.Join(root, "config", "rbac", "tenant"))
	if _, err := tryKubectl("", "create", "secret", "generic", "crm-db", "-n", namespace, "--from-literal=dsn="+dsn); err != nil {
		t.Fatal(strings.ReplaceAll(err.Error(), dsn, "DSN"))
	}
}
