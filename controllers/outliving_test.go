package controllers

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Pure tests of what outlives its object. approval_test.go tries it against an API server.

func TestAGuardrailThatCannotBeReadAnyMoreStaysAsItWas(t *testing.T) {
	guardrail, role := access.Ref{Kind: access.KindGuardrail, Name: "rail"}, access.Ref{Kind: access.KindRole, Name: "rep"}
	broken := errors.New("cannot be read")
	sourceOf := func(spec any) store.Source {
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		return store.Source{UID: "u", Spec: text}
	}
	rows := int64(500)
	p := &pass{
		tenant: &tenant{sources: map[access.Ref]store.Source{
			guardrail: sourceOf(v1alpha1.GuardrailSpec{Rules: []v1alpha1.GuardrailRule{{Limit: &v1alpha1.LimitRule{
				RuleTarget: v1alpha1.RuleTarget{Objects: []v1alpha1.ObjectOrAny{"customer"}, Actions: []v1alpha1.ActionOrAny{"export"}}, MaxRowsPerRequest: &rows,
			}}}}),
			role: sourceOf(v1alpha1.RoleSpec{DisplayName: "Rep"}),
		}},
		declared: map[access.Ref]*declaration{guardrail: {uid: "u", generation: 2, err: broken}, role: {uid: "u", generation: 2, err: broken}},
	}
	if err := p.keepReadable(); err != nil {
		t.Fatal(err)
	}
	kept := p.declared[guardrail]
	if len(kept.fragment.Guardrails) != 1 || len(kept.fragment.Guardrails[0].Rules) != 1 || !errors.Is(kept.err, broken) || kept.generation != 2 {
		t.Errorf("the guardrail's rules are %+v, what is said of it %v, of generation %d", kept.fragment.Guardrails, kept.err, kept.generation)
	}
	if rep := p.declared[role]; len(rep.fragment.Roles) != 0 {
		t.Errorf("a role that cannot be read confers %+v", rep.fragment.Roles)
	}
}
