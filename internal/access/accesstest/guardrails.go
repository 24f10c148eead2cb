package accesstest

import (
	"math/rand/v2"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

var (
	channels = []string{"api", "batch", "desktop", "mobile", "web"}
	devices  = []string{"managed", "unmanaged"}
)

// NewGuardrails makes rules of every form that a decision asks, each about a few objects and actions.
func NewGuardrails(random *rand.Rand, d access.Declarations) (all []*access.Guardrail) {
	for i := range 14 {
		rule := newRule(random, d, i%7)
		all = append(all, &access.Guardrail{Name: Name("guardrail", i), Rules: []access.GuardrailRule{rule}})
	}
	return all
}

// newLongest is a rule by which some temporary grants last too long.
func newLongest() *access.Guardrail {
	rule := access.AdmitRule{When: access.AdmitWhen{Temporary: true}, MaxDuration: (Span - Span/5) * time.Second}
	return &access.Guardrail{Name: "guardrail-longest", Rules: []access.GuardrailRule{{Admit: &rule}}}
}

func newRule(random *rand.Rand, d access.Declarations, form int) (rule access.GuardrailRule) {
	target := newTarget(random, d)
	byRole := access.Approver{Role: oneOf(random, d.Roles).Name}
	switch form {
	case 0:
		rule.Deny = &access.DenyRule{Target: target, When: newDenyWhen(random)}
	case 1:
		rule.Limit = &access.LimitRule{Target: target, MaxRowsPerRequest: number(random, 30, 100), MaxRowsPerDay: number(random, 60, 200)}
	case 2:
		rule.Approve = &access.ApproveRule{Target: target, When: newApproveWhen(random), By: []access.Approver{{ManagerOfSubject: true}, byRole}}
	case 3:
		rule.Cap = &access.CapRule{Objects: target.Objects, Classes: []string{access.Class(1 + random.IntN(5)).String()}, Level: access.Level(random.IntN(3)).String()}
		if random.IntN(2) == 0 {
			rule.Cap.Classes, rule.Cap.Fields = nil, []string{fieldName(random.IntN(Fields))}
		}
	case 4:
		rule.Separate = newSeparate(random, d)
	case 5:
		rule.Approve = &access.ApproveRule{Target: target, When: access.ApproveWhen{RowsOver: number(random, 0, 60)}, By: []access.Approver{{User: oneOf(random, d.Users).Name}, byRole}}
	case 6:
		rule.Limit = &access.LimitRule{Target: target, MaxRecordsOwned: number(random, 30, 100)}
	}
	return rule
}

// newSeparate parts the creation of records of a few objects from what else is done to them.
func newSeparate(random *rand.Rand, d access.Declarations) *access.SeparateRule {
	var rule access.SeparateRule
	for range 3 {
		object := oneOf(random, d.ObjectTypes).Name
		rule.Duties = append(rule.Duties, access.Duty{Object: object, Action: access.ActionCreate}, access.Duty{Object: object, Action: Actions[1+random.IntN(5)]})
	}
	return &rule
}

func newTarget(random *rand.Rand, d access.Declarations) access.Target {
	if random.IntN(4) == 0 {
		return access.Target{Objects: []string{access.Any}, Actions: []string{oneOf(random, Actions)}}
	}
	return access.Target{Objects: []string{oneOf(random, d.ObjectTypes).Name}, Actions: []string{oneOf(random, Actions), access.ActionRead}}
}

// newDenyWhen asks something of every kind, alone or together.
func newDenyWhen(random *rand.Rand) (when access.DenyWhen) {
	if random.IntN(2) == 0 {
		start := Start + schedule.Instant(random.IntN(Span))
		when.Windows = []access.Span{{Window: schedule.Window{NotBefore: start, NotAfter: start + 300}}}
	}
	switch random.IntN(4) {
	case 0:
		when.Channels = []string{"mobile"}
	case 1:
		when.Devices = []string{"unmanaged"}
	case 2:
		when.ReasonMissing = true
	case 3:
		when.Channels, when.ReasonMissing = []string{"batch", "api"}, true
	}
	return when
}

func newApproveWhen(random *rand.Rand) (when access.ApproveWhen) {
	switch random.IntN(3) {
	case 0:
		when.ScopeAtMost = []string{"own", "department", "all"}[random.IntN(3)]
	case 1:
		when.OtherDepartment = true
	}
	return when
}

// number is at least the least and less than the most.
func number(random *rand.Rand, least, most int64) *int64 {
	n := least + random.Int64N(most-least)
	return &n
}
