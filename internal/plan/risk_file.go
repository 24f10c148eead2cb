package plan

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// RulesFile is where a repository keeps its risk rules, from its root.
const RulesFile = ".crmaccess/risk.yaml"

// maxRulesFile bounds the size of a file of risk rules, in bytes.
const maxRulesFile = 1 << 20

// ruleFile is a file of risk rules.
type ruleFile struct {
	// Silence takes rules out of DefaultRules.
	Silence []string `yaml:"silence"`
	// Rules replace the default rules of their names; other names come behind them.
	Rules []Rule `yaml:"rules"`
}

// ParseRules reads a file of risk rules and returns the rules that then hold. It is strict, so that a misspelt rule is not
// one that never applies: what it does not know it refuses, with the line.
func ParseRules(r io.Reader) ([]Rule, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRulesFile+1))
	if err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	if len(text) > maxRulesFile {
		return nil, fmt.Errorf("read risk rules: the file is larger than %d MiB", maxRulesFile>>20)
	}
	root, err := oneDocument(string(text))
	if err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	if root == nil {
		return DefaultRules(), nil
	}
	var file ruleFile
	if err := checkMembers(root, reflect.TypeFor[ruleFile](), "the file"); err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	if err := root.Decode(&file); err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	rules, err := file.merge(root)
	if err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	return rules, nil
}

// oneDocument is the file's only document; nil where there is nothing in it but comments.
func oneDocument(text string) (*yamlv3.Node, error) {
	decoder := yamlv3.NewDecoder(strings.NewReader(text))
	var first, second yamlv3.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: a second document: keep all rules in one", max(second.Line, first.Line))
	}
	if root := first.Content[0]; root.Tag != "!!null" {
		return root, nil
	}
	return nil, nil
}

// checkMembers refuses members that the type does not have.
func checkMembers(node *yamlv3.Node, of reflect.Type, where string) error {
	switch {
	case node.Kind == yamlv3.AliasNode:
		return fmt.Errorf("line %d: %s: aliases are not understood: write it out", node.Line, where)
	case node.Tag == "!!null":
		return fmt.Errorf("line %d: %s: a value is missing; write ~ in quotes", node.Line, where)
	case of.Kind() == reflect.Slice:
		for i, item := range node.Content {
			if err := checkMembers(item, of.Elem(), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	case of.Kind() != reflect.Struct:
		return nil
	case node.Kind != yamlv3.MappingNode:
		return fmt.Errorf("line %d: %s: want members, as in name: value", node.Line, where)
	}
	var known []string
	types := make(map[string]reflect.Type)
	for i := range of.NumField() {
		name := of.Field(i).Tag.Get("yaml")
		known, types[name] = append(known, name), of.Field(i).Type
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		member, is := types[key.Value]
		if !is {
			return fmt.Errorf("line %d: %s has no member %q%s; it has %s", key.Line, where, key.Value, didYouMean(key.Value, known), strings.Join(known, ", "))
		}
		if err := checkMembers(node.Content[i+1], member, key.Value); err != nil {
			return err
		}
	}
	return nil
}

// merge puts the file's rules over the default ones.
func (f *ruleFile) merge(root *yamlv3.Node) ([]Rule, error) {
	rules := DefaultRules()
	for i, name := range f.Silence {
		at := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("line %d: silence: no default rule %q%s", lineOf(root, "silence", i, ""), name, didYouMean(name, namesOfRules(DefaultRules())))
		}
		rules = slices.Delete(rules, at, at+1)
	}
	seen := make(map[string]bool, len(f.Rules))
	for i := range f.Rules {
		rule := f.Rules[i]
		if member, err := rule.check(seen, f.Silence); err != nil {
			return nil, fmt.Errorf("line %d: rules[%d]: %w", lineOf(root, "rules", i, member), i, err)
		}
		seen[rule.Name] = true
		if at := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == rule.Name }); at >= 0 {
			rules[at] = rule
		} else {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

func namesOfRules(rules []Rule) []string {
	names := make([]string, len(rules))
	for i := range rules {
		names[i] = rules[i].Name
	}
	return names
}

// check says what is wrong with a rule, and at which member.
func (r *Rule) check(seen map[string]bool, silenced []string) (member string, err error) {
	switch {
	case r.Name == "":
		return "", errors.New("a rule needs a name")
	case slices.Contains(severityNames, r.Name):
		return "name", fmt.Errorf("a rule must not have the name of a severity, %q", r.Name)
	case seen[r.Name]:
		return "name", fmt.Errorf("a second rule %q: keep one of them", r.Name)
	case slices.Contains(silenced, r.Name):
		return "name", fmt.Errorf("rule %q is silenced above: a rule of its name replaces it already", r.Name)
	}
	return r.When.check()
}

func (w *When) check() (member string, err error) {
	words := [...]struct {
		member string
		said   []string
		known  []string
	}{
		{"signs", textsOf(w.Signs), []string{string(Gain), string(Loss), string(Shift)}},
		{"scopes", w.Scopes, allScopes.Names()},
		{"classes", w.Classes, classNames()},
		{"level", nonEmpty(w.Level), levelNames()},
		{"happens", w.Happens, happenings},
	}
	for _, list := range words {
		for _, word := range list.said {
			if !slices.Contains(list.known, word) {
				return list.member, fmt.Errorf("%s: unknown word %q: want one of %q, in quotes where YAML reads them otherwise", list.member, word, list.known)
			}
		}
	}
	switch {
	case w.Level != "" && len(w.Classes) == 0:
		return "level", errors.New("level: narrows classes, and there are none")
	case w.MoreThan < 0:
		return "moreThan", fmt.Errorf("moreThan: is %d: want 0 or more", w.MoreThan)
	case len(w.Happens) > 0 && !w.asksOnlyPeople():
		return "happens", errors.New("happens: such a rule is about an account, and asks nothing of rows of access: make it two rules")
	case w.LongerThan != "":
		if duration, err := time.ParseDuration(w.LongerThan); err != nil || duration <= 0 {
			return "longerThan", fmt.Errorf("longerThan: %q: want a length of time in hours, minutes and seconds, such as 720h", w.LongerThan)
		}
	}
	return "", nil
}

// asksOnlyPeople says whether a rule with Happens asks nothing else than what an account can answer.
func (w *When) asksOnlyPeople() bool {
	rest := *w
	rest.Happens, rest.External = nil, false
	return reflect.ValueOf(rest).IsZero()
}

const allScopes = access.ScopeAll<<1 - 1

func classNames() (names []string) {
	for class := access.ClassPublic; class <= access.ClassSecret; class++ {
		names = append(names, class.String())
	}
	return names
}

func levelNames() (names []string) {
	for level := access.LevelMasked; level <= access.LevelEdit; level++ {
		names = append(names, level.String())
	}
	return names
}

func textsOf[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, text := range list {
		texts[i] = string(text)
	}
	return texts
}

func nonEmpty(word string) []string {
	if word == "" {
		return nil
	}
	return []string{word}
}

// lineOf is the line of an item of one of the file's lists, or of a member in it or in its when.
func lineOf(root *yamlv3.Node, list string, index int, member string) int {
	node := valueOf(root, list)
	if node == nil || index >= len(node.Content) {
		return root.Line
	}
	item := node.Content[index]
	for _, in := range []*yamlv3.Node{item, valueOf(item, "when")} {
		if value := valueOf(in, member); value != nil {
			return value.Line
		}
	}
	return item.Line
}

func valueOf(node *yamlv3.Node, key string) *yamlv3.Node {
	if node == nil || node.Kind != yamlv3.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}
