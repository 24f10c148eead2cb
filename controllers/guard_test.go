package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/config/admission"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Pure tests of what makes an admission policy worth its name, and an Approval count. approval_test.go tries both
// against an API server.

func TestAWeakerPolicyIsNotInForce(t *testing.T) {
	type (
		policy  = admissionv1.ValidatingAdmissionPolicy
		binding = admissionv1.ValidatingAdmissionPolicyBinding
	)
	ignore, exact, everywhere, now := admissionv1.Ignore, admissionv1.Exact, admissionv1.AllScopes, metav1.Now()
	somewhere := &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	group := func(expression string) func(*policy, *binding) {
		return func(p *policy, _ *binding) { p.Spec.Variables[0].Expression = expression }
	}
	for name, c := range map[string]struct {
		change func(*policy, *binding)
		says   string
	}{
		"as it is shipped": {func(*policy, *binding) {}, ""},
		"with the API server's defaults": {func(p *policy, _ *binding) {
			p.Spec.MatchConstraints.ResourceRules[0].Scope, p.Spec.MatchConstraints.MatchPolicy = &everywhere, &exact
		}, ""},
		"with the cluster's own group": {group("'oidc:staff'"), ""},
		"a warning beside the denial": {func(_ *policy, b *binding) {
			b.Spec.ValidationActions = append(b.Spec.ValidationActions, admissionv1.Warn)
		}, ""},
		"for a group of the system":          {group("'system:authenticated'"), "variables"},
		"for a group that somebody computes": {group("'a' == 'b' ? 'c' : 'd'"), "variables"},
		"a policy that is being deleted":     {func(p *policy, _ *binding) { p.DeletionTimestamp = &now }, "deleted"},
		"a binding that is being deleted":    {func(_ *policy, b *binding) { b.DeletionTimestamp = &now }, "deleted"},
		"a failure that lets through":        {func(p *policy, _ *binding) { p.Spec.FailurePolicy = &ignore }, "failurePolicy"},
		"a parameter":                        {func(p *policy, _ *binding) { p.Spec.ParamKind = &admissionv1.ParamKind{} }, "parameters"},
		"a parameter of the binding":         {func(_ *policy, b *binding) { b.Spec.ParamRef = &admissionv1.ParamRef{} }, "parameters"},
		"a condition more": {func(p *policy, _ *binding) {
			p.Spec.MatchConditions = append(p.Spec.MatchConditions, admissionv1.MatchCondition{Name: "never", Expression: "false"})
		}, "matchConditions"},
		"a validation less":                  {func(p *policy, _ *binding) { p.Spec.Validations = p.Spec.Validations[1:] }, "validations"},
		"a validation that always holds":     {func(p *policy, _ *binding) { p.Spec.Validations[0].Expression = "true" }, "validations"},
		"a variable that says another thing": {func(p *policy, _ *binding) { p.Spec.Variables[1].Expression = "['crmaccess:humans']" }, "variables"},
		"nothing that it matches":            {func(p *policy, _ *binding) { p.Spec.MatchConstraints = nil }, "matchConstraints"},
		"updates left out": {func(p *policy, _ *binding) {
			rule := &p.Spec.MatchConstraints.ResourceRules[0]
			rule.Operations = rule.Operations[:1]
		}, "matchConstraints"},
		"a name that reads like an operation": {func(p *policy, _ *binding) {
			rule := &p.Spec.MatchConstraints.ResourceRules[0]
			rule.Operations, rule.ResourceNames = rule.Operations[:1], []string{string(rule.Operations[1])}
		}, "matchConstraints"},
		"what is in no namespace": {func(p *policy, _ *binding) {
			cluster := admissionv1.ClusterScope
			p.Spec.MatchConstraints.ResourceRules[0].Scope = &cluster
		}, "matchConstraints"},
		"one name alone":        {func(p *policy, _ *binding) { p.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"a"} }, "matchConstraints"},
		"some namespaces alone": {func(p *policy, _ *binding) { p.Spec.MatchConstraints.NamespaceSelector = somewhere }, "matchConstraints"},
		"some objects alone":    {func(p *policy, _ *binding) { p.Spec.MatchConstraints.ObjectSelector = somewhere }, "matchConstraints"},
		"what it matches left out again": {func(p *policy, _ *binding) {
			p.Spec.MatchConstraints.ExcludeResourceRules = p.Spec.MatchConstraints.ResourceRules
		}, "matchConstraints"},
		"a binding of another policy": {func(_ *policy, b *binding) { b.Spec.PolicyName = "another" }, "another policy"},
		"a binding that audits": {func(_ *policy, b *binding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
		}, "does not deny"},
		"a binding that warns": {func(_ *policy, b *binding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}, "does not deny"},
		"a binding for some namespaces": {func(_ *policy, b *binding) {
			b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: somewhere}
		}, "leaves something out"},
		"a binding for some of the resources": {func(p *policy, b *binding) {
			b.Spec.MatchResources = &admissionv1.MatchResources{ResourceRules: p.Spec.MatchConstraints.ResourceRules}
		}, "leaves something out"},
		"a binding with defaults, for nothing": {func(_ *policy, b *binding) { b.Spec.MatchResources = &admissionv1.MatchResources{MatchPolicy: &exact} }, ""},
	} {
		for _, of := range admission.Names() {
			shipped, err := admission.Policy(of)
			if err != nil {
				t.Fatal(err)
			}
			live := shipped.DeepCopy()
			bound := &binding{Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: of, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}}}
			if len(live.Spec.Variables) == 0 && (strings.Contains(name, "group") || c.says == "variables") {
				continue
			}
			c.change(live, bound)
			if said := weakness(live, bound, shipped); (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
				t.Errorf("%s of %s: says %q, not %q", name, of, said, c.says)
			}
		}
	}
}

func TestAPolicyProvesAnApprovalThatIsYoungerThanItself(t *testing.T) {
	made := func(seconds int64) *v1alpha1.Approval {
		return &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Unix(seconds, 0)}}
	}
	later := int64(settles / time.Second)
	for name, c := range map[string]struct {
		guard guard
		made  int64
		want  bool
	}{
		"made well after it":           {guard{pristine: true, created: 100}, 100 + later, true},
		"made just after it":           {guard{pristine: true, created: 100}, 100 + later - 1, false},
		"made before it":               {guard{pristine: true, created: 100}, 99, false},
		"made after one that changed":  {guard{created: 100}, 100 + later, false},
		"made long after such a thing": {guard{created: 100}, 10_000, false},
	} {
		if got := c.guard.provesItself(made(c.made)); got != c.want {
			t.Errorf("an Approval %s: %v", name, got)
		}
	}
}

// TestAnApprovalIsJudgedByItsUID: what is known of an object is not known of another of its name.
func TestAnApprovalIsJudgedByItsUID(t *testing.T) {
	ref := access.Ref{Kind: access.KindApproval, Name: "carl"}
	for name, c := range map[string]struct {
		tenant *tenant
		counts bool
		person string
	}{
		"vetted":                           {&tenant{vetted: map[access.Ref]string{ref: "1/1"}}, true, ""},
		"not vetted":                       {&tenant{}, false, ""},
		"another text of it was vetted":    {&tenant{vetted: map[access.Ref]string{ref: "1/2"}}, false, ""},
		"another of its name was vetted":   {&tenant{vetted: map[access.Ref]string{ref: "2/1"}}, false, ""},
		"vetted, and remembered":           {&tenant{vetted: map[access.Ref]string{ref: "1/1"}, approvals: map[access.Ref]access.ApprovalFact{ref: {Person: "carl"}}, sources: map[access.Ref]store.Source{ref: {UID: "1"}}}, true, "carl"},
		"vetted, and another's remembered": {&tenant{vetted: map[access.Ref]string{ref: "1/1"}, approvals: map[access.Ref]access.ApprovalFact{ref: {Person: "carl"}}, sources: map[access.Ref]store.Source{ref: {UID: "2"}}}, true, ""},
	} {
		declared := map[access.Ref]*declaration{ref: {uid: "1", generation: 1, fragment: access.Declarations{Approvals: []*access.Approval{{Name: "carl"}}}}}
		counted := c.tenant.countable(declared).Approvals
		if (len(counted) == 1) != c.counts || (c.counts && counted[0].Person != c.person) {
			t.Errorf("%s: %v", name, counted)
		}
	}
}

func TestAnApprovalWhoseTextWasChangedIsNotTheOneThatWasJudged(t *testing.T) {
	ref := access.Ref{Kind: access.KindApproval, Name: "carl"}
	known := &tenant{vetted: map[access.Ref]string{ref: textID("1", 1)}}
	for generation, want := range map[int64]bool{1: true, 2: false, 0: true} { // 0: the store's own copy stands in
		if got := known.isProven(ref, &declaration{uid: "1", generation: generation}); got != want {
			t.Errorf("generation %d: %v, want %v", generation, got, want)
		}
	}
}

// forbidding is an API server that lets nobody read the policies.
type forbidding struct{ client.Reader }

func (forbidding) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("forbidden")
}

func TestAPolicyThatCannotBeReadHoldsUpNothingButWhatIsNew(t *testing.T) {
	approval, revocation := access.Ref{Kind: access.KindApproval, Name: "carl"}, access.Ref{Kind: access.KindRevocation, Name: "stop"}
	p := &pass{
		Reconciler: &Reconciler{guards: &guards{live: forbidding{}, seen: make(map[string]guard)}},
		tenant:     &tenant{vetted: make(map[access.Ref]string), guardSeen: make(map[string]seenGuard)},
		memory:     &memory{},
		objects:    map[access.Ref]v1alpha1.Object{approval: &v1alpha1.Approval{}, revocation: &v1alpha1.Revocation{}},
		declared: map[access.Ref]*declaration{
			approval:   {fragment: access.Declarations{Approvals: []*access.Approval{{Name: "carl"}}}},
			revocation: {fragment: access.Declarations{Revocations: []*access.Revocation{{Name: "stop"}}}},
		},
	}
	if err := p.vet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := p.tenant.countable(p.declared); len(d.Approvals) != 0 || len(d.Revocations) != 1 {
		t.Errorf("%d approvals count, and %d revocations are in force", len(d.Approvals), len(d.Revocations))
	}
	if problem := p.guardProblem(); !strings.Contains(problem, "cannot be read: ") {
		t.Errorf("says %q", problem)
	}
}
