package controllers

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/config/admission"
)

// guard is the state of one of the admission policies that the operator ships: what makes it worth anything that an
// Approval names its approver.
type guard struct {
	// print tells this state of policy and binding from every other: it changes with every change of their text, and
	// never comes back. Empty where they are not in force.
	print string
	// pristine says that neither has been changed since it was created, the later one at created.
	pristine bool
	created  int64 // Unix seconds, by the API server's clock
	// problem says why the policy is not in force.
	problem string
}

// guards are the states of the admission policies as they were last read.
type guards struct {
	live client.Reader

	mu   sync.Mutex
	seen map[string]guard
}

// read reads a policy's state as it is now. One that cannot be read is not in force as far as anybody knows: what is new
// waits, and nothing else does. A revocation must not wait for somebody's right to read a policy.
func (g *guards) read(ctx context.Context, name string) guard {
	now, err := readGuard(ctx, g.live, name)
	if err != nil {
		now = guard{problem: "it cannot be read: " + err.Error()}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[name] = now
	return now
}

// last is a policy's state as it was last read; the zero value where it has not been.
func (g *guards) last(name string) guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[name]
}

// lookEvery is how often the admission policies are looked at while nobody approves anything.
const lookEvery = 30 * time.Second

// guardWatch looks at the admission policies while this process leads, so that one that goes missing is said. A watch
// would need the right to list all policies of the cluster.
type guardWatch struct{ *Reconciler }

// NeedLeaderElection: only the leader passes.
func (w guardWatch) NeedLeaderElection() bool { return true }

// Start looks again and again until the context ends.
func (w guardWatch) Start(ctx context.Context) error {
	ticker := w.Clock.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		for _, name := range admission.Names() {
			if before := w.guards.last(name); w.guards.read(ctx, name) != before {
				for _, t := range w.tenants.all() {
					w.enqueue(ctx, t)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// readGuard reads a policy and its binding from the API server itself, so that it is not older than anything that was
// seen before.
func readGuard(ctx context.Context, live client.Reader, name string) (guard, error) {
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, object := range []client.Object{&policy, &binding} {
		err := live.Get(ctx, types.NamespacedName{Name: name}, object)
		if client.IgnoreNotFound(err) != nil {
			return guard{}, fmt.Errorf("read the admission policy %s: %w", name, err)
		}
		if err != nil {
			return guard{problem: fmt.Sprintf("%s %s is missing", reflect.TypeOf(object).Elem().Name(), name)}, nil
		}
	}
	shipped, err := admission.Policy(name)
	if err != nil {
		return guard{}, err
	}
	if problem := weakness(&policy, &binding, shipped); problem != "" {
		return guard{problem: problem}, nil
	}
	return guard{
		print:    fmt.Sprintf("%s/%d %s/%d", policy.UID, policy.Generation, binding.UID, binding.Generation),
		pristine: policy.Generation == 1 && binding.Generation == 1,
		created:  max(policy.CreationTimestamp.Unix(), binding.CreationTimestamp.Unix()),
	}, nil
}

// weakness says what makes the policy in the cluster weaker than the one that the operator ships, or "". The group that
// the identity provider asserts is the cluster's to name.
func weakness(policy *admissionv1.ValidatingAdmissionPolicy, binding *admissionv1.ValidatingAdmissionPolicyBinding, shipped *admissionv1.ValidatingAdmissionPolicy) string {
	p, want := &policy.Spec, &shipped.Spec
	switch {
	case policy.DeletionTimestamp != nil || binding.DeletionTimestamp != nil:
		return "policy or binding is being deleted"
	case p.FailurePolicy != nil && *p.FailurePolicy != admissionv1.Fail:
		return "spec.failurePolicy is not Fail"
	case p.ParamKind != nil || binding.Spec.ParamRef != nil:
		return "it takes parameters, which the shipped one does not"
	case !reflect.DeepEqual(p.MatchConditions, want.MatchConditions):
		return "spec.matchConditions are not those that are shipped"
	case !sameExpressions(p.Validations, want.Validations):
		return "spec.validations are not those that are shipped"
	case !sameVariables(p.Variables, want.Variables):
		return "spec.variables are not those that are shipped"
	case p.MatchConstraints == nil || !sameRules(p.MatchConstraints.ResourceRules, want.MatchConstraints.ResourceRules) || excepts(p.MatchConstraints):
		return "spec.matchConstraints are not those that are shipped"
	case binding.Spec.PolicyName != policy.Name:
		return "the binding is of another policy"
	case !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return "the binding does not deny"
	case binding.Spec.MatchResources != nil && (len(binding.Spec.MatchResources.ResourceRules) > 0 || excepts(binding.Spec.MatchResources)):
		return "the binding leaves something out"
	}
	return ""
}

func sameExpressions(a, b []admissionv1.Validation) bool {
	return slices.EqualFunc(a, b, func(x, y admissionv1.Validation) bool { return x.Expression == y.Expression })
}

func sameVariables(a, b []admissionv1.Variable) bool {
	return slices.EqualFunc(a, b, func(x, y admissionv1.Variable) bool {
		return x.Name == y.Name && (x.Expression == y.Expression || x.Name == admission.GroupVariable && namesGroup.MatchString(x.Expression) && !strings.HasPrefix(x.Expression, "'system:"))
	})
}

// namesGroup matches the name of one group, as a literal. Those of the system are not an identity provider's to assert:
// everybody is in one.
var namesGroup = regexp.MustCompile(`^'[^'\\]+'$`)

// sameRules compares what policies match, without the default that the API server fills in.
func sameRules(a, b []admissionv1.NamedRuleWithOperations) bool {
	return slices.EqualFunc(a, b, func(x, y admissionv1.NamedRuleWithOperations) bool {
		return reflect.DeepEqual(withoutDefaults(x), withoutDefaults(y))
	})
}

func withoutDefaults(rule admissionv1.NamedRuleWithOperations) admissionv1.NamedRuleWithOperations {
	if rule.Scope != nil && *rule.Scope == admissionv1.AllScopes {
		rule.Scope = nil
	}
	return rule
}

// excepts says whether something that the rules match is left out again.
func excepts(m *admissionv1.MatchResources) bool {
	selects := func(labels map[string]string, expressions int) bool { return len(labels)+expressions > 0 }
	return len(m.ExcludeResourceRules) > 0 ||
		m.NamespaceSelector != nil && selects(m.NamespaceSelector.MatchLabels, len(m.NamespaceSelector.MatchExpressions)) ||
		m.ObjectSelector != nil && selects(m.ObjectSelector.MatchLabels, len(m.ObjectSelector.MatchExpressions))
}
