package access

import (
	"cmp"
	"fmt"
	"strings"
)

// Words is what the rule does, for people who decide about it. Nothing is left out.
func (r *GuardrailRule) Words() string {
	switch {
	case r.Deny != nil:
		return "denies " + targetWords(r.Deny.Target) + denyWords(&r.Deny.When)
	case r.Limit != nil:
		return "limits " + targetWords(r.Limit.Target) + " to " + limitWords(r.Limit)
	case r.Approve != nil:
		return targetWords(r.Approve.Target) + " needs approval by " + approverWords(r.Approve.By) + approveWords(&r.Approve.When)
	case r.Cap != nil:
		return "caps " + capWords(r.Cap) + " at " + r.Cap.Level
	case r.Separate != nil:
		duties := make([]string, len(r.Separate.Duties))
		for i, duty := range r.Separate.Duties {
			duties[i] = duty.Action + " " + duty.Object
		}
		return "lets nobody do both on one record: " + strings.Join(duties, ", ")
	case r.Admit != nil:
		return admitWords(r.Admit)
	}
	return "says nothing"
}

func targetWords(t Target) string {
	return anyWords(t.Actions, "every action") + " on " + anyWords(t.Objects, "every object")
}

func anyWords(names []string, every string) string {
	if len(names) == 1 && names[0] == Any {
		return every
	}
	return strings.Join(names, ", ")
}

func denyWords(when *DenyWhen) string {
	var asked []string
	if len(when.Channels) > 0 {
		asked = append(asked, "the channel is "+strings.Join(when.Channels, " or "))
	}
	if len(when.Devices) > 0 {
		asked = append(asked, "the device is "+strings.Join(when.Devices, " or "))
	}
	if when.ReasonMissing {
		asked = append(asked, "no reason is given")
	}
	var windows []string
	for _, w := range when.Windows {
		windows = append(windows, w.Words())
	}
	if len(windows) > 0 {
		asked = append(asked, "it is "+strings.Join(windows, " or "))
	}
	return whileWords(asked)
}

func whileWords(asked []string) string {
	if len(asked) == 0 {
		return ""
	}
	return " while " + strings.Join(asked, " and ")
}

func limitWords(limit *LimitRule) string {
	var numbers []string
	for _, n := range []struct {
		number *int64
		of     string
	}{{limit.MaxRowsPerRequest, "rows a request"}, {limit.MaxRowsPerDay, "rows in 24 hours"}, {limit.MaxRecordsOwned, "records owned"}} {
		if n.number != nil {
			numbers = append(numbers, fmt.Sprintf("%d %s", *n.number, n.of))
		}
	}
	return strings.Join(numbers, ", ")
}

func approveWords(when *ApproveWhen) string {
	var asked []string
	if when.ScopeAtMost != "" {
		asked = append(asked, "the subject's widest scope is at most "+when.ScopeAtMost)
	}
	if when.OtherDepartment {
		asked = append(asked, "the target is in another department")
	}
	if when.RowsOver != nil {
		asked = append(asked, fmt.Sprintf("it is about more than %d rows", *when.RowsOver))
	}
	return whileWords(asked)
}

func approverWords(by []Approver) string {
	words := make([]string, len(by))
	for i, a := range by {
		words[i] = "the subject's manager"
		switch {
		case a.Role != "":
			words[i] = "role " + a.Role
		case a.User != "":
			words[i] = a.User
		}
	}
	return cmp.Or(strings.Join(words, " or "), "anybody whom the cluster lets approve")
}

func capWords(rule *CapRule) string {
	var fields []string
	for _, class := range rule.Classes {
		fields = append(fields, "@"+class)
	}
	fields = append(fields, rule.Fields...)
	return strings.Join(fields, ", ") + " of " + anyWords(rule.Objects, "every object")
}

func admitWords(rule *AdmitRule) string {
	var when, asks []string
	if rule.When.PrivilegedRole {
		when = append(when, "it gives a privileged role")
	}
	if len(rule.When.Roles) > 0 {
		when = append(when, "it gives the role "+strings.Join(rule.When.Roles, " or "))
	}
	if rule.When.Temporary {
		when = append(when, "it is temporary")
	}
	if rule.When.OtherDepartment {
		when = append(when, "it reaches into another department")
	}
	if rule.When.External {
		when = append(when, "the subject is external")
	}
	if rule.Approvals > 0 {
		asks = append(asks, fmt.Sprintf("%s by %s", approvalWords(rule.Approvals), approverWords(rule.By)))
	}
	if rule.MaxDuration > 0 {
		asks = append(asks, "an end within "+rule.MaxDuration.String())
	}
	if rule.MinHolders != nil {
		asks = append(asks, fmt.Sprintf("at least %d holders", *rule.MinHolders))
	}
	if rule.MaxHolders != nil {
		asks = append(asks, fmt.Sprintf("at most %d holders", *rule.MaxHolders))
	}
	return "a grant or binding needs " + strings.Join(asks, ", ") + whileWords(when)
}

func approvalWords(n int) string {
	if n == 1 {
		return "1 approval"
	}
	return fmt.Sprintf("%d approvals", n)
}
