package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What declarations say, in words for people who decide about them. Nothing is left out: what is approved must be seen.

// grantWords is what a tuple lets somebody do.
func grantWords(t *access.Tuple) string {
	text := fmt.Sprintf("%s %s: %s", strings.Join(t.Actions, ", "), t.Object, recordWords(t))
	if where := whereWords(t.Where); len(where) > 0 {
		text += ", where " + strings.Join(where, " and ")
	}
	if t.Restricted {
		text += "; only the fields " + cmp.Or(strings.Join(t.OnlyFields, ", "), "(none)")
	}
	if len(t.Fields) > 0 {
		text += "; fields: " + strings.Join(ruleWords(t.Fields), ", ")
	}
	return text
}

// recordWords is which records a tuple takes in.
func recordWords(t *access.Tuple) string {
	all := func(names []string) string { return strings.Join(names, ", ") }
	switch {
	case len(t.IDs) > 0:
		return "the records " + all(t.IDs)
	case len(t.Owners) > 0:
		return "records owned by " + all(t.Owners)
	case len(t.Departments) > 0:
		return "records of the departments " + all(t.Departments)
	case len(t.DepartmentTrees) > 0:
		return "records of the departments " + all(t.DepartmentTrees) + " and those below"
	}
	return "records in scope " + all(t.Scopes)
}

func whereWords(conditions []access.WhereFact) []string {
	words := make([]string, len(conditions))
	for i, w := range conditions {
		words[i] = w.Field + " " + string(w.Operator)
		if len(w.Values) > 0 {
			words[i] += " [" + strings.Join(w.Values, " ") + "]"
		}
	}
	return words
}

// ruleWords are field rules; @class stands for all fields of a class.
func ruleWords(rules []access.RuleFact) []string {
	words := make([]string, len(rules))
	for i, rule := range rules {
		if rule.Field != "" {
			words[i] = rule.Field + " " + rule.Level
		} else {
			words[i] = "@" + rule.Class + " " + rule.Level
		}
	}
	return words
}

func windowWords(w schedule.Window) string {
	from, until := "from now on", "without an end"
	if w.NotBefore != schedule.Always {
		from = "from " + w.NotBefore.String()
	}
	if w.NotAfter != schedule.Forever {
		until = "until " + w.NotAfter.String()
	}
	return from + ", " + until
}

// guardrailWords is what a rule of a guardrail does.
func guardrailWords(rule *access.GuardrailRule) string {
	switch {
	case rule.Deny != nil:
		return "denies " + targetWords(rule.Deny.Target) + denyWords(&rule.Deny.When)
	case rule.Limit != nil:
		return "limits " + targetWords(rule.Limit.Target) + " to " + limitWords(rule.Limit)
	case rule.Approve != nil:
		return targetWords(rule.Approve.Target) + " needs approval by " + approverWords(rule.Approve.By) + approveWords(&rule.Approve.When)
	case rule.Cap != nil:
		return "caps " + capWords(rule.Cap) + " at " + rule.Cap.Level
	case rule.Separate != nil:
		duties := make([]string, len(rule.Separate.Duties))
		for i, duty := range rule.Separate.Duties {
			duties[i] = duty.Action + " " + duty.Object
		}
		return "lets nobody do both on one record: " + strings.Join(duties, ", ")
	case rule.Admit != nil:
		return admitWords(rule.Admit)
	}
	return "says nothing"
}

func targetWords(t access.Target) string {
	return anyWords(t.Actions, "every action") + " on " + anyWords(t.Objects, "every object")
}

func anyWords(names []string, every string) string {
	if len(names) == 1 && names[0] == access.Any {
		return every
	}
	return strings.Join(names, ", ")
}

func denyWords(when *access.DenyWhen) string {
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
		windows = append(windows, windowWords(w.Window))
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

func limitWords(limit *access.LimitRule) string {
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

func approveWords(when *access.ApproveWhen) string {
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

func approverWords(by []access.Approver) string {
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

func capWords(rule *access.CapRule) string {
	var fields []string
	for _, class := range rule.Classes {
		fields = append(fields, "@"+class)
	}
	fields = append(fields, rule.Fields...)
	return strings.Join(fields, ", ") + " of " + anyWords(rule.Objects, "every object")
}

func admitWords(rule *access.AdmitRule) string {
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
		asks = append(asks, fmt.Sprintf("%s by %s", counted(rule.Approvals, "approval"), approverWords(rule.By)))
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

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
