package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
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

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
