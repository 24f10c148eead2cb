package manifest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

func TestLoadRecords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "records.yaml")
	write(t, file, `# records
- object: customer
  id: cust-1
  owner: li-ting
  department: east
  creator: li-ting
  participants: [wang-lei]
  attributes:
    name: `+decomposed+`
    level: 7
    rate: 0.5
    won: true
    since: 2026-01-01
    tags: [a, `+decomposed+`]
    nothing: null
    none: []
- {object: lead, id: cust-1}
`)
	records, err := LoadRecords(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := records[1].Source.String(); len(records) != 2 || got != file+":17" {
		t.Errorf("the second of %d records stands at %s, want line 17", len(records), got)
	}
	want := &access.Record{
		ID: "cust-1", Owner: "li-ting", Department: "east", Creator: "li-ting", Participants: []string{"wang-lei"},
		Attributes: map[string][]string{
			"name": {composed}, "level": {"7"}, "rate": {"0.5"}, "won": {"true"}, "since": {"2026-01-01"}, "tags": {"a", composed},
			"nothing": nil, "none": nil,
		},
	}
	if diff := cmp.Diff(want, records[0].Fact()); diff != "" {
		t.Errorf("the record as a fact (-want +got):\n%s", diff)
	}
}

func TestLoadRecordsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a file that is no list":        {"object: a\n", []string{"r.yaml:1: want a list of records"}},
		"an entry that is no record":    {"- a\n", []string{"r.yaml:1: [0]: want a record"}},
		"a record without id":           {"- {object: a}\n", []string{"r.yaml:1: a record needs object and id"}},
		"an unknown field":              {"- object: a\n  id: b\n  ownr: c\n", []string{"r.yaml:3: [0].ownr: unknown field; did you mean owner?"}},
		"an id that YAML reads as 7":    {"- {object: a, id: 7}\n", []string{"r.yaml:1: [0].id: want a text, not 7: put it in quotes"}},
		"a record given twice":          {"- {object: a, id: b}\n- {object: a, id: b}\n", []string{"r.yaml:2: record b of object a stands already at r.yaml:1"}},
		"a participant that is none":    {"- {object: a, id: b, participants: [1]}\n", []string{"r.yaml:1: [0].participants: want a list of user names"}},
		"participants that are no list": {"- {object: a, id: b, participants: c}\n", []string{"r.yaml:1: [0].participants: want a list of user names"}},
		"attributes that are a list":    {"- {object: a, id: b, attributes: [c]}\n", []string{"r.yaml:1: [0].attributes: want fields and their values"}},
		"an attribute that is a map":    {"- object: a\n  id: b\n  attributes:\n    c: {d: e}\n    f: [[g]]\n", []string{"r.yaml:4: [0].attributes.c: want a text", "r.yaml:5: [0].attributes.f: a list holds texts only"}},
		"a key given twice":             {"- object: a\n  id: b\n  id: c\n", []string{`r.yaml:3: key "id" is given twice`}},
		"every fault and not the first": {"- {id: 1}\n- {object: a, id: b, x: y}\n", []string{"r.yaml:1: [0].id: want a text", "r.yaml:2: [1].x: unknown field"}},
	} {
		t.Run(name, func(t *testing.T) {
			records, err := parseRecords("r.yaml", []byte(c.text))
			faults := Faults(err)
			if len(faults) != len(c.want) || records != nil {
				t.Fatalf("got %v and %d faults, want %d:\n%v", records, len(faults), len(c.want), err)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(faults[i].Error(), want) {
					t.Errorf("got  %s\nwant %s", faults[i], want)
				}
			}
		})
	}
}

func TestTheSamplesRecordsLoad(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	records, err := LoadRecords(filepath.Join(root, "config", "samples", "huayue", "records.yaml"))
	if err != nil || len(records) < 14 {
		t.Errorf("got %d records, %v", len(records), err)
	}
}
