// Package admission holds the admission policies as they are shipped, so that the operator can tell whether those of the
// cluster are as strict.
package admission

import (
	"bytes"
	"embed"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The policies, each with a binding of the same name.
const (
	Approvals   = "crmaccess-approvals"
	Emergencies = "crmaccess-emergencies"
)

// GroupVariable is the variable that names the group which only the identity provider asserts; every cluster has its own.
const GroupVariable = "humans"

//go:embed *.yaml
var files embed.FS

// Names are those of all policies.
func Names() []string { return []string{Approvals, Emergencies} }

// Policy is a policy as it is shipped.
func Policy(name string) (*admissionv1.ValidatingAdmissionPolicy, error) {
	file, known := map[string]string{Approvals: "approvals.yaml", Emergencies: "emergencies.yaml"}[name]
	if !known {
		return nil, fmt.Errorf("no admission policy %q is shipped", name)
	}
	content, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("admission policy %s: %w", name, err)
	}
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	// The policy is the file's first document, its binding the second.
	if err := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content)).Decode(policy); err != nil {
		return nil, fmt.Errorf("admission policy %s: %w", name, err)
	}
	return policy, nil
}
