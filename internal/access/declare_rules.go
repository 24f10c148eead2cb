package access

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Guardrail is a list of rules that nobody is above. Its rules are also what the store keeps of it, as JSON.
type Guardrail struct {
	Name string
	// UID tells this guardrail from a former one of the same name; empty where there is no cluster.
	UID   string
	Rules []GuardrailRule
}

// GuardrailRule is exactly one of its forms.
type GuardrailRule struct {
	Deny     *DenyRule     `json:"deny,omitempty"`
	Limit    *LimitRule    `json:"limit,omitempty"`
	Approve  *ApproveRule  `json:"approve,omitempty"`
	Cap      *CapRule      `json:"cap,omitempty"`
	Separate *SeparateRule `json:"separate,omitempty"`
	Admit    *AdmitRule    `json:"admit,omitempty"`
}

// Any is every object, or every action, of a rule.
const Any = "*"

// Target says which actions on which objects a rule is about. Any stands for all.
type Target struct {
	Objects []string `json:"objects"`
	Actions []string `json:"actions"`
}

// DenyRule denies its target while everything that When names is so. What When asks of the context and the context does
// not say counts as so.
type DenyRule struct {
	Target
	When DenyWhen `json:"when,omitzero"`
}

// DenyWhen narrows a DenyRule; an empty list asks nothing.
type DenyWhen struct {
	Channels []string `json:"channels,omitempty"`
	Devices  []string `json:"devices,omitempty"`
	// ReasonMissing asks that no reason was given.
	ReasonMissing bool `json:"reason_missing,omitempty"`
	// Windows are instants between which the rule is in force; any of them.
	Windows []Span `json:"windows,omitempty"`
}

// Span is a window as rules and documents write it: RFC 3339, an absent end is without bound.
type Span struct{ schedule.Window }

type spanJSON struct {
	NotBefore string `json:"notBefore,omitempty"`
	NotAfter  string `json:"notAfter,omitempty"`
}

// MarshalJSON writes the ends that there are.
func (s Span) MarshalJSON() ([]byte, error) {
	var out spanJSON
	if s.NotBefore != schedule.Always {
		out.NotBefore = s.NotBefore.String()
	}
	if s.NotAfter != schedule.Forever {
		out.NotAfter = s.NotAfter.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Span) UnmarshalJSON(text []byte) error {
	var in spanJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	s.Window = schedule.Unbounded
	var err error
	if in.NotBefore != "" {
		if s.NotBefore, err = schedule.Parse(in.NotBefore); err != nil {
			return err
		}
	}
	if in.NotAfter != "" {
		s.NotAfter, err = schedule.Parse(in.NotAfter)
	}
	return err
}

// LimitRule denies its target beyond a number. Numbers that are nil limit nothing.
type LimitRule struct {
	Target
	MaxRowsPerRequest *int64 `json:"max_rows_per_request,omitempty"`
	// MaxRowsPerDay is over the last 24 hours, for one user, summed over the rule's target.
	MaxRowsPerDay *int64 `json:"max_rows_per_day,omitempty"`
	// MaxRecordsOwned is how many records of the object somebody may own after the request.
	MaxRecordsOwned *int64 `json:"max_records_owned,omitempty"`
}

// ApproveRule makes its target wait for one approver while everything that When names is so.
type ApproveRule struct {
	Target
	When ApproveWhen `json:"when,omitzero"`
	// By are who may approve; any of them.
	By []Approver `json:"by,omitempty"`
}

// ApproveWhen narrows an ApproveRule.
type ApproveWhen struct {
	// ScopeAtMost asks that the widest scope by which the subject may do it is at most this one; empty asks nothing.
	ScopeAtMost string `json:"scope_at_most,omitempty"`
	// OtherDepartment asks that the target is in another department than the record.
	OtherDepartment bool `json:"other_department,omitempty"`
	// RowsOver asks for more rows than this.
	RowsOver *int64 `json:"rows_over,omitempty"`
}

// Approver is who may approve: exactly one of its members is set.
type Approver struct {
	ManagerOfSubject bool   `json:"manager_of_subject,omitempty"`
	Role             string `json:"role,omitempty"`
	User             string `json:"user,omitempty"`
}

// CapRule is the highest level of fields, by class or by name, for everybody.
type CapRule struct {
	Objects []string `json:"objects"`
	Classes []string `json:"classes,omitempty"`
	Fields  []string `json:"fields,omitempty"`
	Level   string   `json:"level"`
}

// SeparateRule names duties that one person may not both exercise.
type SeparateRule struct {
	Duties []Duty `json:"duties"`
}

// Duty is an action on an object.
type Duty struct {
	Object string `json:"object"`
	Action string `json:"action"`
}

// AdmitRule says what a UserBinding or TemporaryGrant needs before it counts, while everything that When names is so.
type AdmitRule struct {
	When AdmitWhen `json:"when,omitzero"`
	// Approvals is how many different people must approve.
	Approvals int `json:"approvals,omitempty"`
	// By narrows who may approve; empty leaves it to the cluster's RBAC.
	By []Approver `json:"by,omitempty"`
	// MaxDuration is the longest a temporary grant may last; zero is without bound.
	MaxDuration time.Duration `json:"max_duration,omitempty"`
	// MinHolders and MaxHolders bound how many people hold each role concerned. Another number is a finding.
	MinHolders *int64 `json:"min_holders,omitempty"`
	MaxHolders *int64 `json:"max_holders,omitempty"`
}

// AdmitWhen narrows an AdmitRule. Empty members ask nothing.
type AdmitWhen struct {
	// PrivilegedRole asks that a role is given that is privileged or inherits from a privileged one.
	PrivilegedRole bool `json:"privileged_role,omitempty"`
	// Roles asks that one of these roles, or an heir of one, is given.
	Roles []string `json:"roles,omitempty"`
	// Temporary asks that it is a TemporaryGrant.
	Temporary bool `json:"temporary,omitempty"`
	// OtherDepartment asks that what a grant selects lies in another department than all of the subject's.
	OtherDepartment bool `json:"other_department,omitempty"`
	// External asks that the subject is an external user.
	External bool `json:"external,omitempty"`
}

// Approval is one person's yes or no to an effect. Whoever fills Declarations has made sure that it was made as
// admission asks; what is not known to be so must be left out.
type Approval struct {
	Name string
	For  Ref
	// Effect is the digest of the effect document, "sha256:…".
	Effect string
	// Denied says that the answer is no.
	Denied bool
	// Approver is the username under which the person was logged in.
	Approver string
	// Person is the user whom the approver was when the approval was first seen, where that is remembered. An identity
	// that has moved to another user since makes it nobody's.
	Person string
	// Document is the effect document where it is known: from the Approval itself, or kept by the store.
	Document []byte
}

// FormerSeparator parts the name of a revocation from the uid of its object, where another object of the same name has
// taken that one's place. No name holds it.
const FormerSeparator = "@"

// Revocation ends access at once. Whoever fills Declarations keeps those in whose object has disappeared.
type Revocation struct {
	// Name is unique among revocations: of a former one it is name@uid.
	Name string
	UID  string
	// Target is the User, UserBinding, TemporaryGrant or Role revoked.
	Target Ref
	Reason string
}

// ObjectName is the name that its object has or had.
func (r *Revocation) ObjectName() string {
	name, _, _ := strings.Cut(r.Name, FormerSeparator)
	return name
}
