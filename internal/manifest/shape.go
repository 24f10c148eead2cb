package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/environment"
)

// shape is a schema made ready to say of most objects that they are admitted. The API server's own code finds out what is
// wrong, and takes most of the time that reading a tree takes; an object that a shape admits need not go through it. A shape
// errs on one side only: what it is not sure of (a null, a keyword that it does not know, an object so large that its rules
// may cost more than the server allows) it leaves to the server's code. That both agree is tested on every kind's grammar and
// on what chance makes of it.
type shape struct {
	// odd is a schema that uses what is not understood here; trusted is one that is not looked at, as it is checked elsewhere.
	odd, trusted bool

	kind       string
	properties map[string]*shape
	defaults   map[string]any
	additional *shape
	items      *shape
	required   []string
	enum       []string
	pattern    *regexp.Regexp
	set        bool
	short      bool // a number of 32 bits
	minimum    *float64
	maximum    *float64
	// shortest and longest are runes of a text, entries of a list, members of an object; longest is -1 where there is no limit.
	shortest, longest int64
	rules             []cel.Program
}

// The largest object whose rules are evaluated here: those that compare every entry with every other stay a thousand times
// below what the server lets a rule cost.
const (
	manyValues = 256
	muchText   = 16 << 10
)

// newObjectShape is the shape of a kind. Metadata are the same for all kinds, and a status there is only as a default.
func newObjectShape(schema *structuralschema.Structural, env *cel.Env) *shape {
	s := newShape(schema, env)
	s.properties["metadata"], s.properties["status"] = &shape{trusted: true}, &shape{trusted: true}
	return s
}

// newShape reads a schema, and compiles its rules for values without a type: what a rule says does not depend on it.
func newShape(schema *structuralschema.Structural, env *cel.Env) *shape {
	s := &shape{kind: schema.Type, longest: -1}
	e := schema.Extensions
	s.odd = schema.Nullable || e.XPreserveUnknownFields || e.XEmbeddedResource || e.XIntOrString
	if e.XListType != nil {
		s.set = *e.XListType == "set"
		s.odd = s.odd || *e.XListType == "map"
	}
	if schema.Items != nil {
		s.items = newShape(schema.Items, env)
	}
	if schema.AdditionalProperties != nil {
		s.odd = s.odd || schema.AdditionalProperties.Structural == nil
		if !s.odd {
			s.additional = newShape(schema.AdditionalProperties.Structural, env)
		}
	}
	s.properties = make(map[string]*shape, len(schema.Properties))
	s.defaults = map[string]any{}
	for name := range schema.Properties {
		property := schema.Properties[name]
		s.properties[name] = newShape(&property, env)
		if property.Default.Object != nil {
			s.defaults[name] = property.Default.Object
		}
	}
	s.limits(schema.ValueValidation)
	s.compile(schema, env)
	return s
}

// limits takes what a schema says of values.
func (s *shape) limits(v *structuralschema.ValueValidation) {
	if v == nil {
		return
	}
	s.odd = s.odd || len(v.AllOf)+len(v.AnyOf)+len(v.OneOf) > 0 || v.Not != nil || v.UniqueItems || v.MultipleOf != nil ||
		v.MinProperties != nil || v.ExclusiveMinimum || v.ExclusiveMaximum ||
		!slices.Contains([]string{"", "int32", "int64"}, v.Format) || (v.Enum != nil && s.kind != "string")
	s.required = v.Required
	for _, value := range v.Enum {
		text, ok := value.Object.(string)
		s.odd = s.odd || !ok
		s.enum = append(s.enum, text)
	}
	if v.Pattern != "" {
		pattern, err := regexp.Compile(v.Pattern)
		s.odd = s.odd || err != nil
		s.pattern = pattern
	}
	s.minimum, s.maximum = v.Minimum, v.Maximum
	s.short = v.Format == "int32"
	least, most := v.MinLength, v.MaxLength
	switch s.kind {
	case "array":
		least, most = v.MinItems, v.MaxItems
	case "object":
		least, most = nil, v.MaxProperties
	}
	if least != nil {
		s.shortest = *least
	}
	if most != nil {
		s.longest = *most
	}
}

func (s *shape) compile(schema *structuralschema.Structural, env *cel.Env) {
	for _, rule := range schema.XValidations {
		ast, issues := env.Compile(rule.Rule)
		if issues.Err() != nil && comparesWithBefore(rule, env) {
			continue // as the server does with a new object
		}
		// A member named by an escape is resolved by the type of self.
		if issues.Err() != nil || strings.Contains(rule.Rule, "__") {
			s.odd = true
			return
		}
		program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			s.odd = true
			return
		}
		s.rules = append(s.rules, program)
	}
}

// comparesWithBefore says whether a rule that does not compile for self alone is about what was there before, too.
func comparesWithBefore(rule apiextensionsv1.ValidationRule, env *cel.Env) bool {
	if rule.OptionalOldSelf != nil && *rule.OptionalOldSelf {
		return false // it is evaluated for a new object as well
	}
	env, err := env.Extend(cel.Variable("oldSelf", cel.DynType))
	if err != nil {
		return false
	}
	_, issues := env.Compile(rule.Rule)
	return issues.Err() == nil
}

// ruleEnvironment is the API server's language of rules, for a self of no certain type.
func ruleEnvironment() (*cel.Env, error) {
	env, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).StoredExpressionsEnv().Extend(cel.Variable("self", cel.DynType))
	if err != nil {
		return nil, fmt.Errorf("make the language of rules: %w", err)
	}
	return env, nil
}

// visit is one object on its way through a shape.
type visit struct{ values, text int }

// admits says whether the server would surely admit the object, and completes it with the defaults if so. If not it may have
// completed a part of it, as the server would have done.
func (s *shape) admits(object map[string]any) bool {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok || !admitsMetadata(metadata) {
		return false
	}
	v := &visit{}
	return v.fits(s, object)
}

// admitsMetadata takes names and labels only: everything else is rare.
func admitsMetadata(metadata map[string]any) bool {
	name, _ := metadata["name"].(string)
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return false
	}
	for key, value := range metadata {
		switch key {
		case "name":
		case "namespace":
			namespace, _ := value.(string)
			if len(apivalidation.ValidateNamespaceName(namespace, false)) > 0 {
				return false
			}
		case "labels":
			labels, ok := textsOf(value)
			if !ok || len(metav1validation.ValidateLabels(labels, field.NewPath("labels"))) > 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func textsOf(value any) (map[string]string, bool) {
	members, ok := value.(map[string]any)
	texts := make(map[string]string, len(members))
	for key, member := range members {
		text, isText := member.(string)
		ok = ok && isText
		texts[key] = text
	}
	return texts, ok
}

func (v *visit) fits(s *shape, value any) bool {
	if s.odd || s.trusted {
		return s.trusted
	}
	v.values++
	switch value := value.(type) {
	case string:
		v.text += len(value)
		return s.kind == "string" && s.fitsText(value) && v.obeys(s, value)
	case bool:
		return s.kind == "boolean" && v.obeys(s, value)
	case int64:
		return s.kind == "integer" && s.fitsNumber(value) && v.obeys(s, value)
	case []any:
		return s.kind == "array" && v.list(s, value) && v.obeys(s, value)
	case map[string]any:
		return s.kind == "object" && v.members(s, value) && v.obeys(s, value)
	}
	return false
}

func (s *shape) fitsText(text string) bool {
	length := int64(utf8.RuneCountInString(text))
	return length >= s.shortest && (s.longest < 0 || length <= s.longest) &&
		(s.enum == nil || slices.Contains(s.enum, text)) && (s.pattern == nil || s.pattern.MatchString(text))
}

func (s *shape) fitsNumber(number int64) bool {
	if s.short && int64(int32(number)) != number {
		return false
	}
	return (s.minimum == nil || float64(number) >= *s.minimum) && (s.maximum == nil || float64(number) <= *s.maximum)
}

func (v *visit) list(s *shape, list []any) bool {
	length := int64(len(list))
	if s.items == nil || length < s.shortest || (s.longest >= 0 && length > s.longest) || length > manyValues {
		return false
	}
	for i, item := range list {
		if !v.fits(s.items, item) {
			return false
		}
		if s.set {
			if _, isText := item.(string); !isText || slices.Contains(list[:i], item) {
				return false
			}
		}
	}
	return true
}

// members completes an object with the defaults, and checks its members.
func (v *visit) members(s *shape, object map[string]any) bool {
	for name, value := range s.defaults {
		if _, given := object[name]; !given {
			object[name] = runtime.DeepCopyJSONValue(value)
		}
	}
	if s.longest >= 0 && int64(len(object)) > s.longest {
		return false
	}
	for name, value := range object {
		member := s.properties[name]
		if member == nil {
			member = s.additional
			v.text += len(name)
		}
		if member == nil || !v.fits(member, value) {
			return false
		}
	}
	for _, name := range s.required {
		if _, given := object[name]; !given {
			return false
		}
	}
	return true
}

// obeys says whether every rule about the value holds. It comes after everything inside the value.
func (v *visit) obeys(s *shape, value any) bool {
	if len(s.rules) == 0 {
		return true
	}
	if v.values > manyValues || v.text > muchText {
		return false
	}
	self := map[string]any{"self": value}
	for _, rule := range s.rules {
		holds, _, err := rule.Eval(self)
		if err != nil {
			return false
		}
		if answer, ok := holds.Value().(bool); !ok || !answer {
			return false
		}
	}
	return true
}
