package plan_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/plan"
)

func TestAFileOfRiskRules(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want func([]Rule) bool
	}{
		"that says nothing leaves the default rules": {"# nothing yet\n", func(rules []Rule) bool {
			return reflect.DeepEqual(rules, DefaultRules())
		}},
		"replaces a default rule in its place": {"rules: [{name: export, severity: critical, forbid: true, when: {actions: [export], objects: [customer]}}]", func(rules []Rule) bool {
			at := slices.IndexFunc(DefaultRules(), named("export"))
			return len(rules) == len(DefaultRules()) && reflect.DeepEqual(rules[at],
				Rule{Name: "export", Severity: Critical, Forbid: true, When: When{Actions: []string{"export"}, Objects: []string{"customer"}}})
		}},
		"adds a rule behind the default ones": {"rules:\n- {name: payments, severity: high, when: {signs: [\"~\", \"-\"], objects: [payment]}}", func(rules []Rule) bool {
			return len(rules) == len(DefaultRules())+1 && rules[len(rules)-1].Name == "payments"
		}},
		"silences a default rule": {"silence: [many-people]", func(rules []Rule) bool {
			return len(rules) == len(DefaultRules())-1 && !slices.ContainsFunc(rules, named("many-people"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := ParseRules(strings.NewReader(c.text))
			if err != nil || !c.want(rules) {
				t.Errorf("rules %+v, error %v", rules, err)
			}
		})
	}
}

func named(name string) func(Rule) bool { return func(r Rule) bool { return r.Name == name } }

func TestAFileOfRiskRulesIsRefusedWithTheLineOf(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown member of the file":   {"\nrule: []", `line 2: the file has no member "rule"; did you mean rules?`},
		"an unknown member of a rule":     {"rules:\n- name: a\n  severty: high", `line 3: rules[0] has no member "severty"; did you mean severity?`},
		"an unknown member of when":       {"rules:\n- name: a\n  when:\n    action: [export]", `line 4: when has no member "action"; did you mean actions?`},
		"an unknown severity":             {"rules:\n- name: a\n  severity: grave", `unknown severity "grave"`},
		"an unknown scope":                {"rules:\n- name: a\n  when:\n    scopes: [everything]", `line 4: rules[0]: scopes: unknown word "everything"`},
		"a tilde that YAML reads as null": {"rules:\n- name: a\n  when:\n    signs: [~]", "line 4: signs[0]: a value is missing; write ~ in quotes"},
		"a length of time without a unit": {"rules:\n- name: a\n  when:\n    longerThan: 30d", `line 4: rules[0]: longerThan: "30d"`},
		"a level without classes":         {"rules:\n- name: a\n  when:\n    level: read", "line 4: rules[0]: level: narrows classes"},
		"an account and rows of access":   {"rules:\n- name: a\n  when:\n    happens: [logins]\n    actions: [export]", "line 4: rules[0]: happens: such a rule is about an account"},
		"a rule without a name":           {"rules:\n- severity: high", "line 2: rules[0]: a rule needs a name"},
		"two rules of one name":           {"rules:\n- name: a\n- name: a", `line 3: rules[1]: a second rule "a"`},
		"a rule named like a severity":    {"rules:\n- name: high", "line 2: rules[0]: a rule must not have the name of a severity"},
		"a rule that is silenced, too":    {"silence: [export]\nrules:\n- name: export", `line 3: rules[0]: rule "export" is silenced above`},
		"silence of a rule nobody knows":  {"silence:\n- exports", `line 2: silence: no default rule "exports"; did you mean export?`},
		"a member given twice":            {"silence: []\nsilence: []", "line 2"},
		"a second document":               {"silence: []\n---\nsilence: []", "a second document"},
		"a list in place of members":      {"- name: a", "line 1: the file: want members"},
		"an alias":                        {"rules: &a\n- name: a\nsilence: *a", "line 3: silence: aliases are not understood"},
		"text that is no YAML":            {"rules: [", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if rules, err := ParseRules(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("rules %v, error %v, want one with %q", rules, err, c.want)
			}
		})
	}
}

func TestAFileOfRiskRulesHasABound(t *testing.T) {
	if _, err := ParseRules(strings.NewReader(strings.Repeat("# \n", 1<<20))); err == nil {
		t.Error("a file of 3 MiB was read")
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add("rules: [{name: a, severity: high, when: {actions: [export]}}]")
	f.Add("silence: [export]\n---\n")
	f.Add("rules: [{when: {signs: [~]}}]")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRules(strings.NewReader(text))
		if (err == nil) == (rules == nil) {
			t.Errorf("rules %v and error %v", rules, err)
		}
	})
}

func TestASeverityIsWrittenByItsName(t *testing.T) {
	for _, severity := range []Severity{Low, Medium, High, Critical} {
		text, err := severity.MarshalText()
		var read Severity
		if err != nil || read.UnmarshalText(text) != nil || read != severity {
			t.Errorf("%s is read as %s", text, read)
		}
	}
}

func TestEveryDefaultRuleSaysWhy(t *testing.T) {
	for _, rule := range DefaultRules() {
		if rule.Why == "" || !strings.HasSuffix(rule.Why, ".") {
			t.Errorf("rule %s says %q", rule.Name, rule.Why)
		}
	}
}

func TestANameThatCIWaitsForIsOneOfTheRulesOrASeverity(t *testing.T) {
	for _, name := range []string{"export", "critical"} {
		if err := CheckRuleName(DefaultRules(), name); err != nil {
			t.Error(err)
		}
	}
	if err := CheckRuleName(DefaultRules(), "exprot"); err == nil || !strings.Contains(err.Error(), "did you mean export?") {
		t.Errorf("got %v", err)
	}
}
