package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Severity says how closely a reviewer should look.
type Severity uint8

// The severities, in ascending order.
const (
	Low Severity = iota
	Medium
	High
	Critical
)

var severityNames = []string{"low", "medium", "high", "critical"}

// String is the severity as rules and reports name it.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("unknown(%d)", uint8(s))
}

// MarshalText writes the severity by its name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames, string(text))
	if i < 0 {
		return fmt.Errorf("unknown severity %q: want one of %s", text, strings.Join(severityNames, ", "))
	}
	*s = Severity(i)
	return nil
}

// Rule says which changes are how risky. A change has the severity of the most severe rule that applies to it, and low
// where none does.
type Rule struct {
	Name     string   `json:"name" yaml:"name"`
	Severity Severity `json:"severity" yaml:"severity"`
	// Forbid makes the plan forbidden (exit code 3) when the rule applies.
	Forbid bool `json:"forbid,omitempty" yaml:"forbid"`
	// Why tells a reviewer in one sentence what to look at.
	Why  string `json:"why,omitempty" yaml:"why"`
	When When   `json:"when" yaml:"when"`
}

// When narrows a rule: all that it names must be so. Empty members ask nothing. A rule is about rows of access and about
// guardrails; one that names Happens is about people instead.
type When struct {
	// Signs are the directions of change that the rule is about; empty means gains and shifts.
	Signs []Sign `json:"signs,omitempty" yaml:"signs"`
	// Objects, Actions, Scopes and Classes ask for one of theirs. Scopes are those of the records after the change, before it
	// where it is a loss.
	Objects []string `json:"objects,omitempty" yaml:"objects"`
	Actions []string `json:"actions,omitempty" yaml:"actions"`
	Scopes  []string `json:"scopes,omitempty" yaml:"scopes"`
	Classes []string `json:"classes,omitempty" yaml:"classes"`
	// Level narrows Classes to fields at this level or a wider one.
	Level string `json:"level,omitempty" yaml:"level"`
	// PrivilegedRole asks that a path leads through a privileged role, External that somebody concerned is external.
	PrivilegedRole bool `json:"privilegedRole,omitempty" yaml:"privilegedRole"`
	External       bool `json:"external,omitempty" yaml:"external"`
	// WeakerGuardrail asks that a guardrail is removed or lets people do more.
	WeakerGuardrail bool `json:"weakerGuardrail,omitempty" yaml:"weakerGuardrail"`
	// LongerThan asks for a temporary grant that lasts longer, such as 720h, or has no start. Unexplained asks for a temporary
	// grant without a reason or a binding without a justification, that is new or changed.
	LongerThan  string `json:"longerThan,omitempty" yaml:"longerThan"`
	Unexplained bool   `json:"unexplained,omitempty" yaml:"unexplained"`
	// Emergency asks for an emergency grant, which nobody has approved.
	Emergency bool `json:"emergency,omitempty" yaml:"emergency"`
	// Consecutive asks for temporary grants that follow one another, and together last longer than a guardrail allows one.
	Consecutive bool `json:"consecutive,omitempty" yaml:"consecutive"`
	// Reclassified asks that an ObjectType gives a field of the row a less sensitive class.
	Reclassified bool `json:"reclassified,omitempty" yaml:"reclassified"`
	// MoreThan asks that more people than this are concerned.
	MoreThan int `json:"moreThan,omitempty" yaml:"moreThan"`
	// Happens asks that one of these happens to somebody's account, such as logins.
	Happens []string `json:"happens,omitempty" yaml:"happens"`
}

// DefaultRules are the rules that hold where a repository says nothing else. docs/plan.md lists them.
func DefaultRules() []Rule {
	return []Rule{
		{Name: "login-taken", Severity: Critical, When: When{Happens: []string{TakesLogin}},
			Why: "Whoever has somebody else's login approves, and is decided about, as that person."},
		{Name: "privileged-role", Severity: Critical, When: When{PrivilegedRole: true},
			Why: "The role is marked privileged: it gives the power over others' access or over the whole tenant."},
		{Name: "secret-fields", Severity: Critical, When: When{Classes: []string{access.ClassSecret.String()}, Level: access.LevelRead.String()},
			Why: "Fields of class secret become readable."},
		{Name: "weaker-guardrail", Severity: Critical, When: When{WeakerGuardrail: true},
			Why: "A rule that nobody is above lets people do more, in every role at once."},
		{Name: "delete", Severity: High, When: When{Actions: []string{"delete"}},
			Why: "What is deleted is gone from the CRM."},
		{Name: "export", Severity: High, When: When{Actions: []string{access.ActionExport}},
			Why: "What is exported leaves the CRM, and every later revocation with it."},
		{Name: "unmask", Severity: High, When: When{Actions: []string{access.ActionUnmask}},
			Why: "Masked values are shown in full."},
		{Name: "restricted-fields", Severity: High, When: When{Classes: []string{access.ClassRestricted.String()}, Level: access.LevelRead.String()},
			Why: "Fields of class restricted become readable."},
		{Name: "reclassified-field", Severity: High, When: When{Reclassified: true},
			Why: "A field has a less sensitive class: grants, and approvals given before, now reach it."},
		{Name: "external", Severity: High, When: When{External: true},
			Why: "Somebody outside the company gets access."},
		{Name: "emergency", Severity: High, When: When{Emergency: true},
			Why: "An emergency grant counts before anybody has approved it."},
		{Name: "consecutive-grants", Severity: High, When: When{Consecutive: true},
			Why: "Temporary grants follow one another, and together last longer than a guardrail allows one of them."},
		{Name: "login-changed", Severity: High, When: When{Happens: []string{ChangesLogins}},
			Why: "Approvals are counted by logins: a change of them is worth as much as an approval."},
		{Name: "all-records", Severity: Medium, When: When{Scopes: []string{access.ScopeAll.String()}},
			Why: "The scope is every record of the tenant."},
		{Name: "long-grant", Severity: Medium, When: When{LongerThan: "720h"},
			Why: "A temporary grant lasts longer than 30 days, or has no start: a role may say it better."},
		{Name: "unexplained", Severity: Medium, When: When{Unexplained: true},
			Why: "The grant or binding does not say why."},
		{Name: "many-people", Severity: Medium, When: When{MoreThan: 50},
			Why: "More than 50 people are concerned at once."},
		{Name: "account-returns", Severity: Medium, When: When{Happens: []string{Returns, Released}},
			Why: "An account that was closed has all its access again."},
	}
}

// CheckRuleName says whether a name, as somebody may wait for it in CI, is a severity or one of the rules.
func CheckRuleName(rules []Rule, name string) error {
	known := slices.Clone(severityNames)
	for i := range rules {
		known = append(known, rules[i].Name)
	}
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("no risk rule and no severity %q%s: severities are %s, and rules %s", name, didYouMean(name, known),
		strings.Join(severityNames, ", "), strings.Join(known[len(severityNames):], ", "))
}

func didYouMean(name string, known []string) string {
	if near := access.Nearest(name, slices.Values(known)); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}
