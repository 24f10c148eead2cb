package decisionapi

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

func TestAnAttributeIsReadFromARequestAsFromAFileOfRecords(t *testing.T) {
	policy := access.NewPolicy(access.Resolve(access.Declarations{ObjectTypes: []*access.ObjectType{
		{Name: "customer", Actions: []string{"read"}, Fields: []access.Field{{Name: "region", Class: access.ClassPublic}}},
	}, Roles: []*access.Role{{Name: "asks", Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeAll}, Where: []access.Condition{{Field: "region", Operator: access.OperatorExists}}}}}}}).Facts)
	for _, text := range []string{
		`null`, `"east"`, `"cafe\u0301"`, `""`, `7`, `-7`, `7.0`, `1e3`, `0.1`, `9223372036854775807`, `9223372036854776000`, `-0`, `true`, `false`,
		`[]`, `["a","b"]`, `["e\u0301"]`, `[1]`, `[["a"]]`, `[null]`, `["a",true]`, `1e400`,
	} {
		var r reader
		r.begin([]byte(`{"properties":{"region":` + text + `}}`))
		s := r.resource()
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		record, err := new(drafts).recordOf(policy, "customer", s.properties, "resource.properties")
		want, wrong := attributeOfFile(text)
		if (err != nil) != (wrong != nil) || (err == nil && !slices.Equal(record.Attributes["region"], want)) {
			t.Errorf("%s is read as %v (%v), from a file as %q (%v)", text, record, err, want, wrong)
		}
	}
}

// attributeOfFile is what a file of records makes of a value: numbers are int64 where they can be.
func attributeOfFile(text string) ([]string, error) {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, err
	}
	var whole int64
	if json.Unmarshal([]byte(text), &whole) == nil && value != nil {
		value = whole
	}
	return manifest.AttributeValues(value)
}

func TestANumberIsComparedAsItWasSaidOrNotAtAll(t *testing.T) {
	for text, want := range map[string]string{
		"7": "7", "-0": "0", "0e5": "0", "0.0": "0", "7.50": "7.5", "1e3": "1000", "0.30000000000000004": "0.30000000000000004", "9223372036854776000": "9223372036854776000", "9223372036854775808": "",
		"12345678901234567890": "", "0.1000000000000000055": "", "1e-400": "", "1e-999999999": "", "1e400": "", "9007199254740993.5": "",
	} {
		var r reader
		r.begin([]byte(text))
		if got := r.number(); got != want {
			t.Errorf("%s is compared as %q, want %q", text, got, want)
		}
	}
}
