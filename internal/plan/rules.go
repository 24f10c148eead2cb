package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// rules are the rules of guardrails whose change makes an answer differ, for people who hold the same in both states; and
// the rules of admission, which say what is given and what the next grants wait for.
func (c *comparison) rules() (rows []*RuleChange) {
	edits := c.ruleEdits()
	if len(edits) == 0 {
		return nil
	}
	p := newProber(c)
	for _, edit := range edits {
		switch rule := edit.either(); {
		case rule.Admit != nil:
			rows = append(rows, c.admissionRow(edit))
		case rule.Cap != nil:
			rows = append(rows, p.rowsOf(edit, p.ceilings(edit))...)
		case rule.Approve != nil:
			rows = append(rows, p.approving(edit)...)
		default:
			rows = append(rows, p.rowsOf(edit, p.denials(edit))...)
		}
	}
	return rows
}

// ruleEdit is a rule of a guardrail in the two states: nil where it is not there.
type ruleEdit struct {
	guardrail string
	rule      [states]*access.GuardrailRule
	place     int // in head, or in base where it is gone
}

func (e *ruleEdit) either() *access.GuardrailRule {
	if e.rule[after] != nil {
		return e.rule[after]
	}
	return e.rule[before]
}

// placedRule is a rule with its place.
type placedRule struct {
	guardrail string
	place     int
	rule      *access.GuardrailRule
	content   string
}

// ruleEdits are the rules that are not the same in both states. One that says the same in another guardrail is the same;
// of those left in one guardrail, a rule of the same form and about the same is the former one changed.
func (c *comparison) ruleEdits() (edits []*ruleEdit) {
	was, is := placedRules(c.base), placedRules(c.head)
	was, is = withoutPairs(was, is, func(x, y *placedRule) bool { return x.guardrail == y.guardrail && x.content == y.content })
	was, is = withoutPairs(was, is, func(x, y *placedRule) bool { return x.content == y.content })
	change := func(x, y *placedRule) *ruleEdit {
		return &ruleEdit{guardrail: y.guardrail, place: y.place, rule: [states]*access.GuardrailRule{x.rule, y.rule}}
	}
	pair := func(same func(x, y *placedRule) bool) {
		was, is = withoutPairs(was, is, func(x, y *placedRule) bool {
			if x.guardrail != y.guardrail || formOf(x.rule) != formOf(y.rule) || !same(x, y) {
				return false
			}
			edits = append(edits, change(x, y))
			return true
		})
	}
	pair(func(x, y *placedRule) bool { return aboutOf(x.rule) == aboutOf(y.rule) })
	pair(func(_, _ *placedRule) bool { return true })
	for _, x := range was {
		edits = append(edits, &ruleEdit{guardrail: x.guardrail, place: x.place, rule: [states]*access.GuardrailRule{before: x.rule}})
	}
	for _, y := range is {
		edits = append(edits, &ruleEdit{guardrail: y.guardrail, place: y.place, rule: [states]*access.GuardrailRule{after: y.rule}})
	}
	slices.SortStableFunc(edits, func(a, b *ruleEdit) int {
		return cmp.Or(cmp.Compare(a.guardrail, b.guardrail), cmp.Compare(a.place, b.place))
	})
	return edits
}

func placedRules(s *side) (rules []*placedRule) {
	for _, g := range s.Declarations.Guardrails {
		for i := range g.Rules {
			rules = append(rules, &placedRule{g.Name, i, &g.Rules[i], contentOf(&g.Rules[i])})
		}
	}
	slices.SortFunc(rules, func(a, b *placedRule) int {
		return cmp.Or(cmp.Compare(a.guardrail, b.guardrail), cmp.Compare(a.place, b.place))
	})
	return rules
}

// withoutPairs takes out of both lists what is the same, one against one.
func withoutPairs(was, is []*placedRule, same func(x, y *placedRule) bool) (_, _ []*placedRule) {
	is = slices.Clone(is)
	var left []*placedRule
	for _, x := range was {
		if i := slices.IndexFunc(is, func(y *placedRule) bool { return same(x, y) }); i >= 0 {
			is = slices.Delete(is, i, i+1)
		} else {
			left = append(left, x)
		}
	}
	return left, is
}

// contentOf is what a rule says, to the letter.
func contentOf(rule *access.GuardrailRule) string {
	text, err := json.Marshal(rule)
	if err != nil {
		return fmt.Sprintf("%+v", rule) // no rule has in it what JSON cannot say
	}
	return string(text)
}

func formOf(rule *access.GuardrailRule) string {
	switch {
	case rule.Deny != nil:
		return "deny"
	case rule.Limit != nil:
		return "limit"
	case rule.Approve != nil:
		return "approve"
	case rule.Cap != nil:
		return "cap"
	case rule.Separate != nil:
		return "separate"
	case rule.Admit != nil:
		return "admit"
	}
	return ""
}

// targetsOf are the actions on objects that a rule is about.
func targetsOf(rule *access.GuardrailRule) []access.Target {
	switch {
	case rule == nil:
	case rule.Deny != nil:
		return []access.Target{rule.Deny.Target}
	case rule.Limit != nil:
		return []access.Target{rule.Limit.Target}
	case rule.Approve != nil:
		return []access.Target{rule.Approve.Target}
	case rule.Separate != nil:
		var targets []access.Target
		for _, duty := range rule.Separate.Duties {
			targets = append(targets, access.Target{Objects: []string{duty.Object}, Actions: []string{duty.Action}})
		}
		return targets
	}
	return nil
}

// aboutOf is what a rule is about, whatever it says of it.
func aboutOf(rule *access.GuardrailRule) string {
	switch {
	case rule.Cap != nil:
		return fmt.Sprintf("%q %q %q", rule.Cap.Objects, rule.Cap.Classes, rule.Cap.Fields)
	case rule.Admit != nil:
		return fmt.Sprintf("%+v", rule.Admit.When)
	}
	return fmt.Sprintf("%q", targetsOf(rule))
}

// row is a row about the edit, yet without what it is about and whom.
func (c *comparison) row(e *ruleEdit, sign Sign) *RuleChange {
	ref := access.Ref{Kind: access.KindGuardrail, Name: e.guardrail}
	row := &RuleChange{Sign: sign, Guardrail: e.guardrail, Held: c.changed[ref] == Removed && !c.base.Lifted[ref], Was: e.rule[before], Is: e.rule[after]}
	for s, text := range [states]*string{&row.Before, &row.After} {
		if e.rule[s] != nil {
			*text = e.rule[s].Words()
		}
	}
	cause := Cause{Ref: ref, Verb: c.changed[ref]}
	side := c.head
	switch {
	case cause.Verb == Removed:
		side = c.base
	case cause.Verb == Changed && e.rule[after] != nil:
		cause.Field = fmt.Sprintf("spec.rules[%d]", e.place)
	case cause.Verb == Changed:
		cause.Field = "spec.rules"
	}
	cause.Source = side.locate(ref, cause.Field)
	row.Causes = []Cause{cause}
	return row
}

// rowsOf are the rows of an edit that makes these points differ: of each object one for all people of whom the same
// differs. Where none of them concerns anybody, the change is told all the same: it will concern whoever is next.
func (p *prober) rowsOf(e *ruleEdit, points []*point) (rows []*RuleChange) {
	if len(points) == 0 {
		return nil
	}
	byKey := make(map[string]*RuleChange)
	for _, crowd := range p.crowds(points) {
		rows = p.addCrowd(rows, byKey, e, crowd, points)
	}
	if len(rows) == 0 {
		return []*RuleChange{p.unconcerning(e, points)}
	}
	for _, row := range rows {
		sortPeople(row.People)
	}
	return rows
}

// addCrowd puts a crowd into the rows that are about the same, or into new ones.
func (p *prober) addCrowd(rows []*RuleChange, byKey map[string]*RuleChange, e *ruleEdit, crowd *crowd, points []*point) []*RuleChange {
	for _, found := range crowd.rows(points) {
		key := fmt.Sprintf("%s %s %q %v", found.Object, found.Sign, found.Actions, found.Fields)
		row := byKey[key]
		if row == nil {
			row = p.row(e, found.Sign)
			row.Object, row.Actions, row.Fields = found.Object, found.Actions, found.Fields
			byKey[key], rows = row, append(rows, row)
		}
		row.People = append(row.People, crowd.people...)
	}
	return rows
}

// unconcerning is the row of an edit that concerns nobody yet.
func (p *prober) unconcerning(e *ruleEdit, points []*point) *RuleChange {
	gains := slices.ContainsFunc(points, func(at *point) bool { return len(at.windows[gaining]) > 0 })
	losses := slices.ContainsFunc(points, func(at *point) bool { return len(at.windows[losing]) > 0 })
	row := p.row(e, signOf(gains, losses))
	var objects []string
	for _, at := range points {
		objects = append(objects, at.object)
		if at.action != "" {
			row.Actions = append(row.Actions, at.action)
		}
	}
	slices.Sort(objects)
	slices.Sort(row.Actions)
	row.Object, row.Actions = strings.Join(slices.Compact(objects), ", "), slices.Compact(row.Actions)
	return row
}

func signOf(gains, losses bool) Sign {
	switch {
	case gains && losses:
		return Shift
	case losses:
		return Loss
	}
	return Gain
}

func sortPeople(people []Person) {
	slices.SortFunc(people, func(a, b Person) int { return cmp.Compare(a.User, b.User) })
}
