package controllers

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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

func TestARevocationStaysWhatItWas(t *testing.T) {
	ref := access.Ref{Kind: access.KindRevocation, Name: "stop"}
	object := func(user v1alpha1.Reference, uid types.UID) *v1alpha1.Revocation {
		return &v1alpha1.Revocation{
			ObjectMeta: metav1.ObjectMeta{Name: "stop", UID: uid, Generation: 2}, Spec: v1alpha1.RevocationSpec{User: user, Reason: "stolen"},
		}
	}
	stored, err := json.Marshal(object("ann", "u").Spec)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  *v1alpha1.Revocation
		want []string
	}{
		"as it was made":                             {object("ann", "u"), []string{"stop ann"}},
		"changed to be somebody else's":              {object("bo", "u"), []string{"stop ann"}},
		"made anew under its name for somebody else": {object("bo", "v"), []string{"stop bo", "stop@u ann"}},
	} {
		d, err := declare(ref, c.now)
		if err != nil {
			t.Fatal(err)
		}
		p := &pass{
			tenant:   &tenant{sources: map[access.Ref]store.Source{ref: {UID: "u", Spec: stored}}},
			objects:  map[access.Ref]v1alpha1.Object{ref: c.now},
			declared: map[access.Ref]*declaration{ref: d},
		}
		if err := p.keepFormer(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range merge(p.declared).Revocations {
			got = append(got, r.Name+" "+r.Target.Name)
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: in force are %q, want %q", name, got, c.want)
		}
	}
}
