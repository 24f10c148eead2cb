package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Guardrail declares the rules of a guardrail.
func Guardrail(in *v1alpha1.Guardrail) (*access.Guardrail, error) {
	c := converting(access.KindGuardrail, in.Name)
	out := &access.Guardrail{Name: in.Name, UID: string(in.UID)}
	if len(in.Spec.Rules) == 0 {
		c.failf("spec.rules", "needs at least one rule")
	}
	for i, r := range in.Spec.Rules {
		out.Rules = append(out.Rules, c.guardrailRule(fmt.Sprintf("spec.rules[%d]", i), r))
	}
	return converted(c, out)
}

// Approval declares an approval. Whether it was made as admission asks is for others to know.
func Approval(in *v1alpha1.Approval) (*access.Approval, error) {
	c := converting(access.KindApproval, in.Name)
	out := &access.Approval{
		Name: in.Name,
		For: access.Ref{
			Kind: required(c, "spec.for.kind", access.Kind(in.Spec.For.Kind),
				access.KindTemporaryGrant, access.KindUserBinding, access.KindRevocation, access.KindGuardrail),
			Name: text(in.Spec.For.Name),
		},
		Effect: in.Spec.Effect,
		Denied: required(c, "spec.decision", in.Spec.Decision, v1alpha1.DecisionApprove, v1alpha1.DecisionDeny) != v1alpha1.DecisionApprove,
		// Not normalised: admission compared it byte for byte with who was logged in.
		Approver: in.Spec.Approver,
	}
	if in.Spec.For.Name == "" {
		c.failf("spec.for.name", "is required")
	}
	if in.Spec.Approver == "" {
		c.failf("spec.approver", "is required")
	}
	if in.Spec.Document != "" {
		sum := sha256.Sum256([]byte(in.Spec.Document))
		digest := "sha256:" + hex.EncodeToString(sum[:])
		switch {
		case digest == in.Spec.Effect:
			out.Document = []byte(in.Spec.Document)
		case !out.Denied: // a no is a no, whatever is attached to it
			c.failf("spec.document", "has the digest %s, not that of spec.effect: it is not what was approved", digest)
		}
	}
	return converted(c, out)
}

// Revocation declares a revocation.
func Revocation(in *v1alpha1.Revocation) (*access.Revocation, error) {
	c := converting(access.KindRevocation, in.Name)
	out := &access.Revocation{Name: in.Name, UID: string(in.UID), Reason: text(in.Spec.Reason)}
	named := 0
	for _, target := range []struct {
		kind access.Kind
		name v1alpha1.Reference
	}{
		{access.KindUser, in.Spec.User},
		{access.KindUserBinding, in.Spec.Binding},
		{access.KindTemporaryGrant, in.Spec.Grant},
		{access.KindRole, in.Spec.Role},
	} {
		if target.name != "" {
			named++
			out.Target = access.Ref{Kind: target.kind, Name: text(target.name)}
		}
	}
	if named != 1 {
		c.failf("spec", "needs exactly one of user, binding, grant and role")
	}
	return converted(c, out)
}

func (c *conversion) guardrailRule(path string, in v1alpha1.GuardrailRule) access.GuardrailRule {
	forms := []bool{in.Limit != nil, in.Deny != nil, in.Approve != nil, in.Cap != nil, in.Separate != nil, in.Admit != nil}
	if count(forms...) != 1 {
		c.failf(path, "needs exactly one of limit, deny, approve, cap, separate and admit")
		return access.GuardrailRule{}
	}
	switch {
	case in.Limit != nil:
		return access.GuardrailRule{Limit: c.limitRule(path+".limit", in.Limit)}
	case in.Deny != nil:
		return access.GuardrailRule{Deny: c.denyRule(path+".deny", in.Deny)}
	case in.Approve != nil:
		return access.GuardrailRule{Approve: c.approveRule(path+".approve", in.Approve)}
	case in.Cap != nil:
		return access.GuardrailRule{Cap: c.capRule(path+".cap", in.Cap)}
	case in.Separate != nil:
		return access.GuardrailRule{Separate: c.separateRule(path+".separate", in.Separate)}
	}
	return access.GuardrailRule{Admit: c.admitRule(path+".admit", in.Admit)}
}

func (c *conversion) target(path string, in v1alpha1.RuleTarget) access.Target {
	return access.Target{Objects: names(c, path+".objects", in.Objects), Actions: names(c, path+".actions", in.Actions)}
}

// names reads a list of names, or Any alone. No list at all is a fault: a rule about nothing protects nothing.
func names[T ~string](c *conversion, path string, in []T) []string {
	switch {
	case len(in) == 0:
		c.failf(path, "needs at least one name, or %q for all", access.Any)
	case len(in) > 1 && slices.Contains(in, access.Any):
		c.failf(path, "%q stands alone", access.Any)
	}
	return texts(in)
}

func (c *conversion) limitRule(path string, in *v1alpha1.LimitRule) *access.LimitRule {
	if in.MaxRowsPerRequest == nil && in.MaxRowsPerDay == nil && in.MaxRecordsOwned == nil {
		c.failf(path, "needs at least one of maxRowsPerRequest, maxRowsPerDay and maxRecordsOwned")
	}
	return &access.LimitRule{
		Target:            c.target(path, in.RuleTarget),
		MaxRowsPerRequest: c.number(path+".maxRowsPerRequest", in.MaxRowsPerRequest),
		MaxRowsPerDay:     c.number(path+".maxRowsPerDay", in.MaxRowsPerDay),
		MaxRecordsOwned:   c.number(path+".maxRecordsOwned", in.MaxRecordsOwned),
	}
}

func (c *conversion) number(path string, in *int64) *int64 {
	if in != nil && *in < 0 {
		c.failf(path, "is %d: want 0 or more", *in)
	}
	return in
}

func (c *conversion) denyRule(path string, in *v1alpha1.DenyRule) *access.DenyRule {
	out := &access.DenyRule{Target: c.target(path, in.RuleTarget)}
	if in.When == nil {
		return out
	}
	path += ".when"
	out.When = access.DenyWhen{Channels: texts(in.When.Channels), Devices: texts(in.When.Devices)}
	if in.When.Reason != "" {
		out.When.ReasonMissing = required(c, path+".reason", in.When.Reason, v1alpha1.ReasonGivenMissing) == v1alpha1.ReasonGivenMissing
	}
	for i, w := range in.When.Windows {
		out.When.Windows = append(out.When.Windows, c.span(fmt.Sprintf("%s.windows[%d]", path, i), w))
	}
	return out
}

func (c *conversion) span(path string, in v1alpha1.RuleWindow) access.Span {
	out := access.Span{Window: schedule.Unbounded}
	if in.NotBefore == "" && in.NotAfter == "" {
		c.failf(path, "needs at least one of notBefore and notAfter")
	}
	before := len(c.faults)
	if in.NotBefore != "" {
		out.NotBefore = c.instant(path+".notBefore", in.NotBefore)
	}
	if in.NotAfter != "" {
		out.NotAfter = c.instant(path+".notAfter", in.NotAfter)
	}
	if len(c.faults) == before && out.Empty() {
		c.failf(path+".notAfter", "%s is not later than notBefore, %s", in.NotAfter, in.NotBefore)
	}
	return out
}

func (c *conversion) approveRule(path string, in *v1alpha1.ApproveRule) *access.ApproveRule {
	out := &access.ApproveRule{Target: c.target(path, in.RuleTarget), By: c.approvers(path+".by", in.By)}
	if len(in.By) == 0 {
		c.failf(path+".by", "needs at least one entry")
	}
	if in.When == nil {
		return out
	}
	path += ".when"
	if in.When.ScopeAtMost != "" {
		c.scopes(path+".scopeAtMost", []v1alpha1.Scope{in.When.ScopeAtMost})
		out.When.ScopeAtMost = text(in.When.ScopeAtMost)
	}
	if in.When.TargetDepartment != "" {
		out.When.OtherDepartment = required(c, path+".targetDepartment", in.When.TargetDepartment,
			v1alpha1.TargetDepartmentOther) == v1alpha1.TargetDepartmentOther
	}
	out.When.RowsOver = c.number(path+".rowsOver", in.When.RowsOver)
	return out
}

func (c *conversion) approvers(path string, in []v1alpha1.Approver) []access.Approver {
	var out []access.Approver
	for i, a := range in {
		if count(a.ManagerOfSubject, a.Role != "", a.User != "") != 1 {
			c.failf(fmt.Sprintf("%s[%d]", path, i), "needs exactly one of managerOfSubject, role and user")
			continue
		}
		out = append(out, access.Approver{ManagerOfSubject: a.ManagerOfSubject, Role: text(a.Role), User: text(a.User)})
	}
	return out
}

func (c *conversion) capRule(path string, in *v1alpha1.CapRule) *access.CapRule {
	if len(in.Classes) == 0 && len(in.Fields) == 0 {
		c.failf(path, "needs at least one of classes and fields")
	}
	for i, class := range in.Classes {
		parsed(c, fmt.Sprintf("%s.classes[%d]", path, i), access.ParseClass, string(class))
	}
	required(c, path+".level", string(in.Level), access.LevelNone.String(), access.LevelMasked.String(), access.LevelRead.String())
	return &access.CapRule{
		Objects: names(c, path+".objects", in.Objects),
		Classes: texts(in.Classes),
		Fields:  texts(in.Fields),
		Level:   text(in.Level),
	}
}

func (c *conversion) separateRule(path string, in *v1alpha1.SeparateRule) *access.SeparateRule {
	if len(in.Duties) < 2 {
		c.failf(path+".duties", "needs at least two duties")
	}
	out := &access.SeparateRule{}
	for i, d := range in.Duties {
		duty := access.Duty{Object: text(d.Object), Action: text(d.Action)}
		if slices.Contains(out.Duties, duty) {
			c.failf(fmt.Sprintf("%s.duties[%d]", path, i), "%s of %s is named twice", duty.Action, duty.Object)
		}
		out.Duties = append(out.Duties, duty)
	}
	return out
}

func (c *conversion) admitRule(path string, in *v1alpha1.AdmitRule) *access.AdmitRule {
	out := &access.AdmitRule{
		Approvals:  int(in.Approvals),
		By:         c.approvers(path+".by", in.By),
		MinHolders: c.number(path+".minHolders", in.MinHolders),
		MaxHolders: c.number(path+".maxHolders", in.MaxHolders),
	}
	if when := in.When; when != nil {
		out.When = access.AdmitWhen{
			PrivilegedRole:  when.PrivilegedRole,
			Roles:           texts(when.Roles),
			Temporary:       when.Temporary,
			OtherDepartment: when.OtherDepartment,
			External:        when.External,
		}
	}
	if in.Approvals < 0 {
		c.failf(path+".approvals", "is %d: want 1 or more", in.Approvals)
	}
	if in.Approvals == 0 && len(in.By) > 0 {
		c.failf(path+".by", "needs approvals")
	}
	if in.Approvals == 0 && in.MaxDuration == "" && in.MinHolders == nil && in.MaxHolders == nil {
		c.failf(path, "needs at least one of approvals, maxDuration, minHolders and maxHolders")
	}
	if in.MinHolders != nil && in.MaxHolders != nil && *in.MinHolders > *in.MaxHolders {
		c.failf(path+".minHolders", "is %d, more than maxHolders, %d", *in.MinHolders, *in.MaxHolders)
	}
	if in.MaxDuration != "" {
		out.MaxDuration = c.duration(path+".maxDuration", in.MaxDuration)
		if !out.When.Temporary {
			c.failf(path+".maxDuration", "needs when.temporary")
		}
	}
	return out
}

func (c *conversion) duration(path string, in v1alpha1.Duration) time.Duration {
	out, err := time.ParseDuration(string(in))
	if err != nil || out <= 0 || out%time.Second != 0 {
		c.failf(path, "duration %q: want a length of time in hours, minutes and whole seconds, such as 744h", string(in))
		return 0
	}
	return out
}

// required is oneOf for a value that has no default.
func required[T ~string](c *conversion, path string, in T, allowed ...T) T {
	if in == "" {
		c.failf(path, "is required")
		return in
	}
	return oneOf(c, path, in, allowed...)
}

func count(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}
