package driver_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

// full is one row of each table with every column set.
func full(t *testing.T) []store.Row {
	t.Helper()
	list := []string{"a", "<b>"}
	rows, err := store.Encode(access.Facts{
		Objects: []access.ObjectFact{{Object: "o", Enabled: true, OwnerField: "p", DepartmentField: "q", LabelField: "r", ParentObject: "s", ParentField: "t",
			Actions: list, Variants: []access.Variant{{Action: "a"}}}},
		Fields: []access.FieldFact{{Object: "o", Field: "p", Class: "q", Mask: access.Mask{Type: "Keep", KeepFirst: 1, KeepLast: 2}}},
		Storages: []access.StorageFact{{Object: "o", Table: "p", IDColumn: "q", OwnerColumn: "r", DepartmentColumn: "s", ParticipantsColumn: "t",
			CreatorColumn: "u", TenantColumn: "v", TenantValue: "w", Columns: map[string]string{"phone": "phone_no", "a": "b"}}},
		Departments: []access.DepartmentFact{{Department: "o", DisplayName: "p", Parent: "q", Manager: "r"}},
		Closure:     []access.ClosureFact{{Department: "o", Ancestor: "p"}},
		Users: []access.UserFact{{User: "o", DisplayName: "p", Type: "q", State: "r", Manager: "s", Successor: "t", RevokedBy: "u",
			Logins: []access.Login{{Subject: "<"}}}},
		Memberships: []access.MembershipFact{{User: "o", Department: "p", Primary: true}},
		Lineage:     []access.LineageFact{{Role: "o", Ancestor: "p"}},
		Tuples: []access.TupleFact{{Bundle: "o", Path: "p", RevokedBy: "x", Tuple: &access.Tuple{Digest: "q", Origin: "r", Object: "s", Actions: list, Scopes: list, IDs: list,
			Owners: list, Departments: list, DepartmentTrees: list, Where: []access.WhereFact{{Field: "f"}}, Fields: []access.RuleFact{{Field: "f"}},
			Restricted: true, OnlyFields: list}}},
		Holders: []access.HolderFact{{User: "o", Bundle: "p", Role: "q", RevokedBy: "r",
			Window: schedule.Window{NotBefore: 1_800_000_000, NotAfter: schedule.Forever}}},
		Guardrails: []access.GuardrailFact{{Position: "000", Rule: access.GuardrailRule{Cap: &access.CapRule{}}}},
		Approvals: []access.ApprovalFact{{ForKind: "o", ForName: "p", Effect: "q", Decision: "r", Approver: "s", Person: "t",
			Document: json.RawMessage(`{"a":"<"}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	source, err := store.SourceRow(access.Ref{}, store.Source{UID: "u", Spec: json.RawMessage(`{"b": 1, "a": "<"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return append(rows, source)
}

func TestColumnsAreTheBodysMembersInTheirOrder(t *testing.T) {
	tables := map[store.Table]bool{}
	for _, row := range full(t) {
		tables[row.Table] = true
		decoder := json.NewDecoder(bytes.NewReader([]byte(row.Body)))
		token(t, decoder)
		for _, column := range driver.Columns(row.Table) {
			if name := token(t, decoder); name != column.Name {
				t.Errorf("%s: got member %v, want column %s", row.Table, name, column.Name)
			}
			var value any
			if err := decoder.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
		if end := token(t, decoder); end != json.Delim('}') {
			t.Errorf("%s: member %v has no column", row.Table, end)
		}
	}
	if len(tables) != len(store.Tables) {
		t.Errorf("%d tables, want %d", len(tables), len(store.Tables))
	}
}

func token(t *testing.T, decoder *json.Decoder) json.Token {
	t.Helper()
	token, err := decoder.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestABodyBuiltFromColumnsIsTheEncodedOne(t *testing.T) {
	var body driver.Body
	for _, row := range full(t) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(row.Body), &members); err != nil {
			t.Fatal(err)
		}
		for _, column := range driver.Columns(row.Table) {
			add(t, &body, column, members[column.Name])
		}
		if got := body.String(); got != row.Body {
			t.Errorf("%s:\n got %s\nwant %s", row.Table, got, row.Body)
		}
	}
}

// add decodes a member as what its column's kind says it is; decoding fails where the kind is wrong.
func add(t *testing.T, body *driver.Body, column driver.Column, member json.RawMessage) {
	t.Helper()
	var text string
	var flag bool
	var list []string
	var err error
	switch column.Kind {
	case driver.Text:
		err = json.Unmarshal(member, &text)
		body.Text(column.Name, text)
	case driver.Flag:
		err = json.Unmarshal(member, &flag)
		body.Flag(column.Name, flag)
	case driver.List:
		err = json.Unmarshal(member, &list)
		body.List(column.Name, list)
	case driver.Fragment:
		body.Fragment(column.Name, string(member))
	case driver.Bound:
		instant := schedule.Forever
		if string(member) != "null" {
			if err = json.Unmarshal(member, &text); err == nil {
				instant, err = schedule.Parse(text)
			}
		}
		body.Bound(column.Name, instant)
	}
	if err != nil {
		t.Errorf("column %s: %v", column.Name, err)
	}
}

func TestEmptyListsAndFragmentsAreAbsent(t *testing.T) {
	var body driver.Body
	body.Text("a", "")
	body.List("b", []string{})
	body.Fragment("c", "")
	body.List("d", []string{""})
	if got, want := body.String(), `{"a":"","d":[""]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
