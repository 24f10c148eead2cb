package render_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	. "github.com/crmaccess/crm-access-operator/internal/plan/render"
)

// described is the documented schema, made strict: what it does not name must not be there, and what it names must.
func described(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../../docs/plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	var tighten func(any)
	tighten = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if properties, isObject := v["properties"].(map[string]any); isObject && v["type"] == "object" {
				objects++
				v["additionalProperties"] = false
				if required, _ := v["required"].([]any); len(required) != len(properties) {
					t.Errorf("%v: %d members are required, of %d", v["description"], len(required), len(properties))
				}
			}
			for _, member := range v {
				tighten(member)
			}
		case []any:
			for _, element := range v {
				tighten(element)
			}
		}
	}
	tighten(document)
	if objects < 15 {
		t.Errorf("the schema has %d objects: are they found?", objects)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("plan.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestTheJSONIsWhatTheSchemaSays(t *testing.T) {
	schema := described(t)
	plans := map[string]*plan.Plan{"everything": everything(), "nothing": {Base: "a", Head: "b", At: now}, "an empty tenant": {At: now, Tenants: []*plan.Tenant{{
		Changes: []*plan.Change{{Sign: plan.Gain}}, Rules: []*plan.RuleChange{{Sign: plan.Loss}}, People: []*plan.PersonChange{{}},
		Approvals: []*plan.Approval{{}}, Upcoming: []*plan.Upcoming{{At: now, Sign: plan.Gain}}, Findings: []*plan.Finding{{}},
	}}}}
	for _, text := range hostile {
		plans[text] = with(text)
	}
	for name, p := range plans {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(told(t, JSON, p, English)))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheJSONIsTheSameInEveryLanguage(t *testing.T) {
	if !bytes.Equal(told(t, JSON, everything(), English), told(t, JSON, everything(), Chinese)) {
		t.Error("it is not")
	}
}

func TestTheDocumentOfAnEffectKeepsItsDigest(t *testing.T) {
	p := everything()
	p.Tenants[0].Approvals[0].Document = []byte("{\"reason\":\"a\u202eb <&> 李婷\"}")
	var read struct {
		Tenants []struct{ Approvals []struct{ Document string } }
	}
	if err := json.Unmarshal(told(t, JSON, p, English), &read); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256([]byte(read.Tenants[0].Approvals[0].Document)) != sha256.Sum256(p.Tenants[0].Approvals[0].Document) {
		t.Errorf("the document became %s", read.Tenants[0].Approvals[0].Document)
	}
}

func TestEachPathStandsOnceAndIsFoundAtEachPerson(t *testing.T) {
	type row struct {
		People []struct {
			User  string
			Paths []int
		}
		Paths []struct{ Owner string }
	}
	var read struct{ Tenants []struct{ Changes []row } }
	if err := json.Unmarshal(told(t, JSON, everything(), English), &read); err != nil {
		t.Fatal(err)
	}
	got := read.Tenants[0].Changes[1]
	if len(got.Paths) != 2 || !slices.Equal(got.People[0].Paths, []int{0}) || !slices.Equal(got.People[3].Paths, []int{0, 1}) || got.Paths[1].Owner != "UserBinding/second-hat" {
		t.Errorf("got %+v", got)
	}
}
