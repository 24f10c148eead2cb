package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// guardSettles is how long the admission policies must have stood before an approval counts: docs/approval.md.
const guardSettles = 5 * time.Second

// letApprove binds the roles that people need who approve. The right is the cluster's to give, outside the Git that asks.
func (c *cluster) letApprove(ctx context.Context) error {
	for _, binding := range [][]string{
		{"approvers", "--clusterrole=crm-access-operator-approver", "--group=" + approvers},
		{"viewers", "--clusterrole=crm-access-operator-viewer", "--group=" + humans},
	} {
		if err := c.kubectl(ctx, append([]string{"create", "rolebinding", "-n", namespace}, binding...)...); err != nil {
			return err
		}
	}
	return nil
}

// logInApprover is the kubeconfig of a person who may approve.
func (c *cluster) logInApprover(username string) (string, error) {
	person, _, _ := strings.Cut(username, "@")
	return c.logIn(person+".kubeconfig", username, humans, approvers)
}

// approveSample makes the sample's approvals, each as the person whose approval it is: nobody else can.
func (c *cluster) approveSample(ctx context.Context) error {
	content, err := os.ReadFile(filepath.Join("config", "samples", "huayue", "approvals.yaml"))
	if err != nil {
		return err
	}
	byApprover := make(map[string][][]byte)
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		var approval struct {
			Spec struct {
				Approver string `json:"approver"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(document, &approval); err != nil {
			return fmt.Errorf("read the sample's approvals: %w", err)
		}
		byApprover[approval.Spec.Approver] = append(byApprover[approval.Spec.Approver], document)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(c.guarded.Add(guardSettles))):
	}
	for _, approver := range slices.Sorted(maps.Keys(byApprover)) {
		documents := byApprover[approver]
		say("%s approves %d effects of the sample, under their own login", approver, len(documents))
		kubeconfig, err := c.logInApprover(approver)
		if err != nil {
			return err
		}
		file := strings.TrimSuffix(kubeconfig, "kubeconfig") + "approvals.yaml"
		if err := os.WriteFile(file, bytes.Join(documents, []byte("\n---\n")), 0o600); err != nil {
			return err
		}
		if _, err := c.outputAs(ctx, kubeconfig, "create", "-f", file); err != nil {
			return err
		}
	}
	return nil
}
