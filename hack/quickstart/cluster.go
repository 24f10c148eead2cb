package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// cluster is a local control plane: etcd and kube-apiserver, with what config/default ships but the operator itself.
type cluster struct {
	env *envtest.Environment
	// dir is where the kubeconfigs are; kubeconfig is the administrator's.
	dir, kubeconfig string
	// guarded is when the admission policies were there.
	guarded time.Time
}

// operatorAccount is the service account of config/rbac. A client certificate with its name has just its rights.
const operatorAccount = "system:serviceaccount:crm-access-operator-system:crm-access-operator"

// humans is the group that the admission policy asks of whoever approves, and approvers the one that the sample's approvers
// are in besides. An identity provider would assert both.
const (
	humans    = "crmaccess:humans"
	approvers = "huayue:approvers"
)

// assets is the folder with the control plane's programs.
func assets() string {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir
	}
	return filepath.Join("bin", "controlplane")
}

func startCluster(dir string) (*cluster, error) {
	c := &cluster{env: &envtest.Environment{BinaryAssetsDirectory: assets()}, dir: dir}
	_, err := c.env.Start()
	if err != nil {
		return nil, fmt.Errorf("start the API server from %s (make controlplane builds it): %w", assets(), err)
	}
	if c.kubeconfig, err = c.logIn("kubeconfig", "quickstart", "system:masters"); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) stop() error { return c.env.Stop() }

// logIn makes a kubeconfig with a client certificate of the API server's own authority: to the cluster, whoever has it is
// that user. It returns the file.
func (c *cluster) logIn(file, username string, groups ...string) (string, error) {
	user, err := c.env.AddUser(envtest.User{Name: username, Groups: groups}, nil)
	if err != nil {
		return "", fmt.Errorf("make a certificate for %s: %w", username, err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("make a kubeconfig for %s: %w", username, err)
	}
	path := filepath.Join(c.dir, file)
	return path, os.WriteFile(path, kubeconfig, 0o600)
}

// install applies what ships. The admission policies come first: approvals count once they have stood for a while, and the
// rest takes about that long.
func (c *cluster) install(ctx context.Context) error {
	policies := filepath.Join("config", "admission")
	if err := c.kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(policies, "approvals.yaml"), "-f", filepath.Join(policies, "emergencies.yaml")); err != nil {
		return err
	}
	c.guarded = time.Now()
	crds := envtest.CRDInstallOptions{Paths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfPathMissing: true}
	if _, err := envtest.InstallCRDs(c.env.Config, crds); err != nil {
		return fmt.Errorf("apply config/crd: %w", err)
	}
	if err := c.kubectl(ctx, "apply", "--server-side", "-f", filepath.Join("config", "default", "namespace.yaml")); err != nil {
		return err
	}
	return c.kubectl(ctx, "apply", "--server-side", "-k", filepath.Join("config", "rbac"))
}

// kubectl runs quietly; its words are shown where it fails.
func (c *cluster) kubectl(ctx context.Context, args ...string) error {
	_, err := c.output(ctx, args...)
	return err
}

func (c *cluster) output(ctx context.Context, args ...string) (string, error) {
	return c.outputAs(ctx, c.kubeconfig, args...)
}

// outputAs runs kubectl as whoever the kubeconfig is of.
func (c *cluster) outputAs(ctx context.Context, kubeconfig string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(assets(), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
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

// waitReady waits until every object of the organisation is Ready, and every approval counts. It looks at all of them at
// once: kubectl wait takes them one by one, ten a second.
func (c *cluster) waitReady(ctx context.Context, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		out, err := c.output(ctx, "get", "crmaccess", "-n", namespace, "-o",
			`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}{"\n"}{end}`)
		if err != nil {
			return err
		}
		var waiting []string
		for line := range strings.Lines(out) {
			isApproval := strings.HasPrefix(line, "Approval/")
			if words := strings.Fields(line); len(words) < 3 || words[1] != "True" || isApproval && words[2] != "Counted" {
				waiting = append(waiting, strings.TrimSpace(line))
			}
		}
		if out != "" && len(waiting) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s: %s", limit, strings.Join(waiting, "; "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waitFor waits until an object's condition Ready says a reason.
func (c *cluster) waitFor(ctx context.Context, reason, object string) error {
	return c.kubectl(ctx, "wait", `--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=`+reason, "-n", namespace, "--timeout=8s", object)
}
