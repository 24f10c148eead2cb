// Package testenv starts a real API server with this project's kinds for tests. Nothing outside of tests imports it.
//
// One server a test package is enough: share it by TestMain, and give each test a namespace of its own.
//
//	var env *testenv.Environment
//
//	func TestMain(m *testing.M) { testenv.Main(m, &env) }
//
//	func TestSomething(t *testing.T) {
//		namespace := env.Namespace(t)
//		client := must(client.New(env.Config, …))
//	}
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Environment is a running API server that serves the CRDs of config/crd/bases.
type Environment struct {
	// Config connects as a cluster administrator.
	Config *rest.Config

	server    *envtest.Environment
	namespace atomic.Int64
}

// Start starts a server for one test and stops it when the test ends.
func Start(t testing.TB) *Environment {
	t.Helper()
	env, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.server.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	return env
}

// Main runs a package's tests with one shared server and exits. Call it from TestMain.
func Main(m *testing.M, shared **Environment) {
	os.Exit(run(m, shared))
}

func run(m *testing.M, shared **Environment) int {
	env, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := env.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
		}
	}()
	*shared = env
	return m.Run()
}

// Namespace makes a namespace that no other test uses. It is never deleted: without kube-controller-manager no
// namespace finishes terminating, and the server goes away with everything in it.
func (e *Environment) Namespace(t testing.TB) string {
	t.Helper()
	clients, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test-%d", e.namespace.Add(1))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := clients.CoreV1().Namespaces().Create(context.Background(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create namespace %s: %v", name, err)
	}
	return name
}

// User provisions one more user and returns how they connect. They may do nothing until a test binds them a role.
func (e *Environment) User(t testing.TB, name string, groups ...string) *rest.Config {
	t.Helper()
	user, err := e.server.AddUser(envtest.User{Name: name, Groups: groups}, e.Config)
	if err != nil {
		t.Fatalf("add user %s: %v", name, err)
	}
	return user.Config()
}

// Kubeconfig returns a kubeconfig that connects as a cluster administrator, for tests that run a command.
func (e *Environment) Kubeconfig() []byte { return e.server.KubeConfig }

// Assets is the folder with kube-apiserver, etcd and kubectl: KUBEBUILDER_ASSETS where set, else bin/controlplane of
// this module.
func Assets() (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "controlplane")
	if _, err := os.Stat(filepath.Join(dir, "kube-apiserver")); err != nil {
		return "", fmt.Errorf("there is no Kubernetes API server for the tests in %s: run `make controlplane`, or set KUBEBUILDER_ASSETS", dir)
	}
	return dir, nil
}

// ModuleRoot is the folder of go.mod above the working directory; `go test` runs in the package's folder.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory: run the tests inside the module")
		}
		dir = parent
	}
}

func start() (*Environment, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	server := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := server.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the API server of %s: %w", assets, err), server.Stop())
	}
	return &Environment{Config: config, server: server}, nil
}
