package manifest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The digest of an empty JSON object.
const digestOfEmpty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

var (
	exportOfCustomers = v1alpha1.RuleTarget{Objects: []v1alpha1.ObjectOrAny{"customer"}, Actions: []v1alpha1.ActionOrAny{"export"}}
	managers          = []v1alpha1.Approver{{ManagerOfSubject: true}}
)

func TestDeclareGuardrail(t *testing.T) {
	spec := v1alpha1.GuardrailSpec{Rules: []v1alpha1.GuardrailRule{
		{Limit: &v1alpha1.LimitRule{RuleTarget: exportOfCustomers, MaxRowsPerRequest: new(int64(500)), MaxRowsPerDay: new(int64(1000)), MaxRecordsOwned: new(int64(0))}},
		{Deny: &v1alpha1.DenyRule{RuleTarget: v1alpha1.RuleTarget{Objects: []v1alpha1.ObjectOrAny{"*"}, Actions: []v1alpha1.ActionOrAny{"*"}}}},
		{Deny: &v1alpha1.DenyRule{RuleTarget: exportOfCustomers, When: &v1alpha1.DenyWhen{
			Channels: []v1alpha1.ContextName{"mobile", decomposed}, Devices: []v1alpha1.ContextName{"tablet"}, Reason: "Missing",
			Windows: []v1alpha1.RuleWindow{{NotBefore: "2026-12-28T09:00:00+08:00", NotAfter: "2026-12-31T09:00:00+08:00"}, {NotAfter: "2026-12-31T09:00:00+08:00"}, {NotBefore: "2026-12-28T09:00:00+08:00"}},
		}}},
		{Approve: &v1alpha1.ApproveRule{RuleTarget: exportOfCustomers, By: []v1alpha1.Approver{{ManagerOfSubject: true}, {Role: "regional-manager"}, {User: "gu-yan"}}}},
		{Approve: &v1alpha1.ApproveRule{RuleTarget: exportOfCustomers, By: managers,
			When: &v1alpha1.ApproveWhen{ScopeAtMost: "own", TargetDepartment: "Other", RowsOver: new(int64(100))}}},
		{Cap: &v1alpha1.CapRule{Objects: []v1alpha1.ObjectOrAny{"*"}, Classes: []v1alpha1.SensitivityClass{"secret"}, Fields: []v1alpha1.Identifier{"idNumber"}, Level: "masked"}},
		{Separate: &v1alpha1.SeparateRule{Duties: []v1alpha1.Duty{{Object: "payment", Action: "create"}, {Object: "payment", Action: "approve"}}}},
		{Admit: &v1alpha1.AdmitRule{When: &v1alpha1.AdmitWhen{PrivilegedRole: true, Roles: []v1alpha1.Reference{"crm-admin"}, External: true},
			Approvals: 2, By: managers, MinHolders: new(int64(2)), MaxHolders: new(int64(3))}},
		{Admit: &v1alpha1.AdmitRule{When: &v1alpha1.AdmitWhen{Temporary: true, OtherDepartment: true}, MaxDuration: "744h"}},
		{Admit: &v1alpha1.AdmitRule{Approvals: 1}},
	}}
	var got access.Declarations
	object := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Name: "g", UID: "1"}, Spec: spec}
	if err := Declare(&got, object); err != nil {
		t.Fatal(err)
	}
	target := access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}
	from, until := schedule.At(time.Date(2026, 12, 28, 1, 0, 0, 0, time.UTC)), schedule.At(time.Date(2026, 12, 31, 1, 0, 0, 0, time.UTC))
	manager := []access.Approver{{ManagerOfSubject: true}}
	want := access.Declarations{Guardrails: []*access.Guardrail{{Name: "g", UID: "1", Rules: []access.GuardrailRule{
		{Limit: &access.LimitRule{Target: target, MaxRowsPerRequest: new(int64(500)), MaxRowsPerDay: new(int64(1000)), MaxRecordsOwned: new(int64(0))}},
		{Deny: &access.DenyRule{Target: access.Target{Objects: []string{access.Any}, Actions: []string{access.Any}}}},
		{Deny: &access.DenyRule{Target: target, When: access.DenyWhen{
			Channels: []string{"mobile", composed}, Devices: []string{"tablet"}, ReasonMissing: true,
			Windows: []access.Span{
				{Window: schedule.Window{NotBefore: from, NotAfter: until}},
				{Window: schedule.Window{NotBefore: schedule.Always, NotAfter: until}},
				{Window: schedule.Window{NotBefore: from, NotAfter: schedule.Forever}},
			},
		}}},
		{Approve: &access.ApproveRule{Target: target, By: []access.Approver{{ManagerOfSubject: true}, {Role: "regional-manager"}, {User: "gu-yan"}}}},
		{Approve: &access.ApproveRule{Target: target, By: manager,
			When: access.ApproveWhen{ScopeAtMost: "own", OtherDepartment: true, RowsOver: new(int64(100))}}},
		{Cap: &access.CapRule{Objects: []string{access.Any}, Classes: []string{"secret"}, Fields: []string{"idNumber"}, Level: "masked"}},
		{Separate: &access.SeparateRule{Duties: []access.Duty{{Object: "payment", Action: "create"}, {Object: "payment", Action: "approve"}}}},
		{Admit: &access.AdmitRule{When: access.AdmitWhen{PrivilegedRole: true, Roles: []string{"crm-admin"}, External: true},
			Approvals: 2, By: manager, MinHolders: new(int64(2)), MaxHolders: new(int64(3))}},
		{Admit: &access.AdmitRule{When: access.AdmitWhen{Temporary: true, OtherDepartment: true}, MaxDuration: 744 * time.Hour}},
		{Admit: &access.AdmitRule{Approvals: 1}},
	}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("declarations (-want +got):\n%s", diff)
	}
}

func approval(change func(*v1alpha1.ApprovalSpec)) *v1alpha1.Approval {
	spec := v1alpha1.ApprovalSpec{
		For: v1alpha1.ApprovalTarget{Kind: "TemporaryGrant", Name: "holiday"}, Effect: digestOfEmpty, Decision: "Approve",
		Approver: "gao-yuan@huayue.example", Comment: "ok", Document: "{}",
	}
	change(&spec)
	return &v1alpha1.Approval{ObjectMeta: named("a"), Spec: spec}
}

func TestDeclareApproval(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.ApprovalSpec)
		want   func(*access.Approval)
	}{
		"a yes with its document": {func(*v1alpha1.ApprovalSpec) {}, func(*access.Approval) {}},
		"a yes without one":       {func(s *v1alpha1.ApprovalSpec) { s.Document = "" }, func(a *access.Approval) { a.Document = nil }},
		"a no":                    {func(s *v1alpha1.ApprovalSpec) { s.Decision = "Deny" }, func(a *access.Approval) { a.Denied = true }},
		"a no is a no, whatever the document says": {
			func(s *v1alpha1.ApprovalSpec) { s.Decision, s.Document = "Deny", "{ }" },
			func(a *access.Approval) { a.Denied, a.Document = true, nil },
		},
		"the lift of a revocation": {func(s *v1alpha1.ApprovalSpec) { s.For.Kind = "Revocation" }, func(a *access.Approval) { a.For.Kind = access.KindRevocation }},
		"a username is compared byte for byte": {
			func(s *v1alpha1.ApprovalSpec) { s.Approver = decomposed },
			func(a *access.Approval) { a.Approver = decomposed },
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := &access.Approval{
				Name: "a", For: access.Ref{Kind: access.KindTemporaryGrant, Name: "holiday"}, Effect: digestOfEmpty,
				Approver: "gao-yuan@huayue.example", Document: []byte("{}"),
			}
			c.want(want)
			var got access.Declarations
			if err := Declare(&got, approval(c.change)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(access.Declarations{Approvals: []*access.Approval{want}}, got); diff != "" {
				t.Errorf("declarations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeclareRevocation(t *testing.T) {
	for target, spec := range map[access.Ref]v1alpha1.RevocationSpec{
		{Kind: access.KindUser, Name: "han-dong"}:           {User: "han-dong", Reason: decomposed},
		{Kind: access.KindUserBinding, Name: "east-1-reps"}: {Binding: "east-1-reps", Reason: decomposed},
		{Kind: access.KindTemporaryGrant, Name: "yearend"}:  {Grant: "yearend", Reason: decomposed},
		{Kind: access.KindRole, Name: "sales-rep"}:          {Role: "sales-rep", Reason: decomposed},
	} {
		t.Run(target.String(), func(t *testing.T) {
			var got access.Declarations
			if err := Declare(&got, &v1alpha1.Revocation{ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "1"}, Spec: spec}); err != nil {
				t.Fatal(err)
			}
			want := access.Declarations{Revocations: []*access.Revocation{{Name: "r", UID: "1", Target: target, Reason: composed}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("declarations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoAskedAndWhoLogsIn(t *testing.T) {
	binding, err := UserBinding(&v1alpha1.UserBinding{Spec: v1alpha1.UserBindingSpec{RequestedBy: "lin-che"}})
	if err != nil || binding.RequestedBy != "lin-che" {
		t.Errorf("the binding is %+v, %v", binding, err)
	}
	user, err := User(&v1alpha1.User{Spec: v1alpha1.UserSpec{Identities: []v1alpha1.Identity{
		{Issuer: "a", Subject: "1", Username: decomposed}, {Issuer: "b", Subject: "1"}, {Issuer: "c", Subject: "2", Username: composed}, {Issuer: "d", Subject: "3", Username: composed},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{decomposed, composed}, user.Identities); diff != "" {
		t.Errorf("identities (-want +got):\n%s", diff)
	}
}

// An object may be older than the rule that refuses it. Half a guardrail would look like a whole one, so it declares
// nothing and says so.
func TestAFaultyRuleDeclaresNothing(t *testing.T) {
	rule := func(r v1alpha1.GuardrailRule) *v1alpha1.Guardrail {
		good := v1alpha1.GuardrailRule{Deny: &v1alpha1.DenyRule{RuleTarget: exportOfCustomers}}
		return &v1alpha1.Guardrail{ObjectMeta: named("g"), Spec: v1alpha1.GuardrailSpec{Rules: []v1alpha1.GuardrailRule{good, r}}}
	}
	deny := func(when v1alpha1.DenyWhen) *v1alpha1.Guardrail {
		return rule(v1alpha1.GuardrailRule{Deny: &v1alpha1.DenyRule{RuleTarget: exportOfCustomers, When: &when}})
	}
	approve := func(by []v1alpha1.Approver, when v1alpha1.ApproveWhen) *v1alpha1.Guardrail {
		return rule(v1alpha1.GuardrailRule{Approve: &v1alpha1.ApproveRule{RuleTarget: exportOfCustomers, By: by, When: &when}})
	}
	limit := func(target v1alpha1.RuleTarget, rows *int64) *v1alpha1.Guardrail {
		return rule(v1alpha1.GuardrailRule{Limit: &v1alpha1.LimitRule{RuleTarget: target, MaxRowsPerDay: rows}})
	}
	capped := func(r v1alpha1.CapRule) *v1alpha1.Guardrail {
		r.Objects = []v1alpha1.ObjectOrAny{"*"}
		return rule(v1alpha1.GuardrailRule{Cap: &r})
	}
	separate := func(duties ...v1alpha1.Duty) *v1alpha1.Guardrail {
		return rule(v1alpha1.GuardrailRule{Separate: &v1alpha1.SeparateRule{Duties: duties}})
	}
	admit := func(r v1alpha1.AdmitRule) *v1alpha1.Guardrail { return rule(v1alpha1.GuardrailRule{Admit: &r}) }
	temporary := &v1alpha1.AdmitWhen{Temporary: true}
	classes := []v1alpha1.SensitivityClass{"secret"}
	pay := v1alpha1.Duty{Object: "payment", Action: "create"}
	for want, object := range map[string]v1alpha1.Object{
		`Guardrail/g: spec.rules: needs at least one rule`:                                                           &v1alpha1.Guardrail{ObjectMeta: named("g")},
		`Guardrail/g: spec.rules[1]: needs exactly one of limit, deny, approve, cap, separate and admit`:             rule(v1alpha1.GuardrailRule{}),
		`Guardrail/g: spec.rules[1].limit: needs at least one of maxRowsPerRequest`:                                  limit(exportOfCustomers, nil),
		`Guardrail/g: spec.rules[1].limit.maxRowsPerDay: is -1: want 0 or more`:                                      limit(exportOfCustomers, new(int64(-1))),
		`Guardrail/g: spec.rules[1].limit.objects: needs at least one name, or "*" for all`:                          limit(v1alpha1.RuleTarget{Actions: exportOfCustomers.Actions}, new(int64(1))),
		`Guardrail/g: spec.rules[1].limit.actions: "*" stands alone`:                                                 limit(v1alpha1.RuleTarget{Objects: exportOfCustomers.Objects, Actions: []v1alpha1.ActionOrAny{"*", "read"}}, new(int64(1))),
		`Guardrail/g: spec.rules[1].deny.when.reason: unknown value "Absent": want one of Missing`:                   deny(v1alpha1.DenyWhen{Reason: "Absent"}),
		`Guardrail/g: spec.rules[1].deny.when.windows[0]: needs at least one of notBefore and notAfter`:              deny(v1alpha1.DenyWhen{Windows: []v1alpha1.RuleWindow{{}}}),
		`Guardrail/g: spec.rules[1].deny.when.windows[0].notAfter: instant "now": want RFC 3339`:                     deny(v1alpha1.DenyWhen{Windows: []v1alpha1.RuleWindow{{NotAfter: "now"}}}),
		`Guardrail/g: spec.rules[1].deny.when.windows[0].notAfter: 2026-01-01T00:00:00Z is not later than notBefore`: deny(v1alpha1.DenyWhen{Windows: []v1alpha1.RuleWindow{{NotBefore: "2026-01-01T00:00:00Z", NotAfter: "2026-01-01T00:00:00Z"}}}),
		`Guardrail/g: spec.rules[1].approve.by: needs at least one entry`:                                            approve(nil, v1alpha1.ApproveWhen{}),
		`Guardrail/g: spec.rules[1].approve.by[0]: needs exactly one of managerOfSubject, role and user`:             approve([]v1alpha1.Approver{{Role: "a", User: "b"}}, v1alpha1.ApproveWhen{}),
		`Guardrail/g: spec.rules[1].approve.when.scopeAtMost: unknown scope "mine"`:                                  approve(managers, v1alpha1.ApproveWhen{ScopeAtMost: "mine"}),
		`Guardrail/g: spec.rules[1].approve.when.targetDepartment: unknown value "Same": want one of Other`:          approve(managers, v1alpha1.ApproveWhen{TargetDepartment: "Same"}),
		`Guardrail/g: spec.rules[1].approve.when.rowsOver: is -1: want 0 or more`:                                    approve(managers, v1alpha1.ApproveWhen{RowsOver: new(int64(-1))}),
		`Guardrail/g: spec.rules[1].cap: needs at least one of classes and fields`:                                   capped(v1alpha1.CapRule{Level: "none"}),
		`Guardrail/g: spec.rules[1].cap.classes[0]: unknown sensitivity class "pii"`:                                 capped(v1alpha1.CapRule{Level: "none", Classes: []v1alpha1.SensitivityClass{"pii"}}),
		`Guardrail/g: spec.rules[1].cap.level: is required`:                                                          capped(v1alpha1.CapRule{Classes: classes}),
		`Guardrail/g: spec.rules[1].cap.level: unknown value "edit": want one of none, masked, read`:                 capped(v1alpha1.CapRule{Classes: classes, Level: "edit"}),
		`Guardrail/g: spec.rules[1].separate.duties: needs at least two duties`:                                      separate(pay),
		`Guardrail/g: spec.rules[1].separate.duties[1]: create of payment is named twice`:                            separate(pay, pay),
		`Guardrail/g: spec.rules[1].admit: needs at least one of approvals, maxDuration, minHolders and maxHolders`:  admit(v1alpha1.AdmitRule{}),
		`Guardrail/g: spec.rules[1].admit.approvals: is -1: want 1 or more`:                                          admit(v1alpha1.AdmitRule{Approvals: -1}),
		`Guardrail/g: spec.rules[1].admit.by: needs approvals`:                                                       admit(v1alpha1.AdmitRule{By: managers, MinHolders: new(int64(1))}),
		`Guardrail/g: spec.rules[1].admit.minHolders: is 3, more than maxHolders, 2`:                                 admit(v1alpha1.AdmitRule{MinHolders: new(int64(3)), MaxHolders: new(int64(2))}),
		`Guardrail/g: spec.rules[1].admit.maxDuration: needs when.temporary`:                                         admit(v1alpha1.AdmitRule{MaxDuration: "1h"}),
		`Guardrail/g: spec.rules[1].admit.maxDuration: duration "31d": want a length of time`:                        admit(v1alpha1.AdmitRule{When: temporary, MaxDuration: "31d"}),
		`Guardrail/g: spec.rules[1].admit.maxDuration: duration "1500ms": want a length of time`:                     admit(v1alpha1.AdmitRule{When: temporary, MaxDuration: "1500ms"}),
		`Guardrail/g: spec.rules[1].admit.maxDuration: duration "0s": want a length of time`:                         admit(v1alpha1.AdmitRule{When: temporary, MaxDuration: "0s"}),
		`Approval/a: spec.for.kind: unknown value "Role": want one of TemporaryGrant, UserBinding, Revocation`:       approval(func(s *v1alpha1.ApprovalSpec) { s.For.Kind = "Role" }),
		`Approval/a: spec.for.kind: is required`:                                                                     approval(func(s *v1alpha1.ApprovalSpec) { s.For.Kind = "" }),
		`Approval/a: spec.for.name: is required`:                                                                     approval(func(s *v1alpha1.ApprovalSpec) { s.For.Name = "" }),
		`Approval/a: spec.decision: is required`:                                                                     approval(func(s *v1alpha1.ApprovalSpec) { s.Decision = "" }),
		`Approval/a: spec.decision: unknown value "Yes": want one of Approve, Deny`:                                  approval(func(s *v1alpha1.ApprovalSpec) { s.Decision = "Yes" }),
		`Approval/a: spec.approver: is required`:                                                                     approval(func(s *v1alpha1.ApprovalSpec) { s.Approver = "" }),
		`Approval/a: spec.document: has the digest sha256:`:                                                          approval(func(s *v1alpha1.ApprovalSpec) { s.Document = "{ }" }),
		`Revocation/r: spec: needs exactly one of user, binding, grant and role`:                                     &v1alpha1.Revocation{ObjectMeta: named("r"), Spec: v1alpha1.RevocationSpec{User: "a", Role: "b"}},
	} {
		t.Run(want, func(t *testing.T) {
			var got access.Declarations
			err := Declare(&got, object)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(access.Declarations{}, got); diff != "" {
				t.Errorf("it declares all the same:\n%s", diff)
			}
		})
	}
}
