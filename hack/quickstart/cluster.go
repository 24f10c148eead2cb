package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// cluster is a local control plane: etcd and kube-apiserver, with the CRDs.
type cluster struct {
	env        *envtest.Environment
	kubeconfig string
}

// assets is the folder with the control plane's programs.
func assets() string {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir
	}
	return filepath.Join("bin", "controlplane")
}

func startCluster(dir string) (*cluster, error) {
	c := &cluster{
		env:        &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true, BinaryAssetsDirectory: assets()},
		kubeconfig: filepath.Join(dir, "kubeconfig"),
	}
	if _, err := c.env.Start(); err != nil {
		return nil, fmt.Errorf("start the API server from %s (make controlplane builds it): %w", assets(), err)
	}
	admin, err := c.env.AddUser(envtest.User{Name: "quickstart", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, fmt.Errorf("make a user: %w", err)
	}
	kubeconfig, err := admin.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("make a kubeconfig: %w", err)
	}
	return c, os.WriteFile(c.kubeconfig, kubeconfig, 0o600)
}

func (c *cluster) stop() error { return c.env.Stop() }

// kubectl runs quietly; its words are shown where it fails.
func (c *cluster) kubectl(ctx context.Context, args ...string) error {
	_, err := c.output(ctx, args...)
	return err
}

func (c *cluster) output(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(assets(), "kubectl"), append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// apply applies manifests from text.
func (c *cluster) apply(ctx context.Context, dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return c.kubectl(ctx, "apply", "-f", path)
}

// waitReady waits until every object of the organisation is Ready.
func (c *cluster) waitReady(ctx context.Context, limit time.Duration) error {
	return c.kubectl(ctx, "wait", "--for=condition=Ready", "--all", "-n", namespace, "--timeout", limit.String(),
		"permissionstores,objecttypes,departments,users.crmaccess.io,roles.crmaccess.io,userbindings,temporarygrants")
}
