package postgres

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

// customers is a table of the CRM's, with names that have to be quoted.
const customers = `
CREATE SCHEMA "Crm";
CREATE TABLE "Crm"."customer's" (
	"Id" bigint PRIMARY KEY, "owner""id" varchar(40), dept text, people text[], maker text, org text NOT NULL,
	region text, size numeric(10, 2), vip boolean, tags jsonb, parent text);
INSERT INTO "Crm"."customer's" VALUES
	(7, 'ann', 'east', '{bob,cleo}', 'dan', 'huayue', 'north', 7.50, true, '["a","b"]', 'p1'),
	(8, NULL, NULL, NULL, NULL, 'huayue', NULL, NULL, NULL, NULL, NULL),
	(9, 'ann', 'west', '{}', 'ann', 'qingyun', 'north', 1200.00, false, '{"id": 5}', 'p1'),
	(10, 'bob', 'west', '{ann,NULL}', 'bob', 'huayue', 'south', 100, false, '["a",1]', 'p2'),
	(11, 'cleo', 'east', '{}', 'bob', 'huayue', '', 0.05, false, '"x"', 'p2')`

var place = store.RecordPlace{
	StorageFact: access.StorageFact{
		Object: "customer", Table: "Crm.customer's", IDColumn: "Id", OwnerColumn: `owner"id`, DepartmentColumn: "dept",
		ParticipantsColumn: "people", CreatorColumn: "maker", TenantColumn: "org", TenantValue: "huayue", Columns: map[string]string{"area": "region"},
	},
	Fields: []string{"area", "size", "vip", "tags"},
}

func recordStore(t *testing.T) (*db, string) {
	t.Helper()
	dsn := pgtest.Shared(t).Database(t)
	opened, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	pgtest.Shared(t).Psql(t, dsn, customers)
	return opened.(*db), dsn
}

func TestARecordIsWhatItsRowSays(t *testing.T) {
	s, _ := recordStore(t)
	for id, want := range map[string]*access.Record{
		"7": {ID: "7", Owner: "ann", Department: "east", Participants: []string{"bob", "cleo"}, Creator: "dan",
			Attributes: map[string][]string{"area": {"north"}, "size": {"7.5"}, "vip": {"true"}, "tags": {"a", "b"}}},
		"8": {ID: "8"},
		"10": {ID: "10", Owner: "bob", Department: "west", Participants: []string{"ann"}, Creator: "bob",
			Attributes: map[string][]string{"area": {"south"}, "size": {"100"}, "vip": {"false"}}},
		"11": {ID: "11", Owner: "cleo", Department: "east", Creator: "bob",
			Attributes: map[string][]string{"area": {""}, "size": {"0.05"}, "vip": {"false"}, "tags": {"x"}}},
		"9": nil, // another tenant's
		"1": nil, "": nil, "seven": nil, "07": nil, " 7": nil, "7; DROP TABLE x": nil, "99999999999999999999": nil,
	} {
		got, err := s.Record(t.Context(), place, id)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v, want %+v", id, got, err, want)
		}
	}
}

func TestAnAttributeIsWhatTheDatabaseComparesIt(t *testing.T) {
	s, dsn := recordStore(t)
	for _, value := range []string{
		`"a"`, `""`, `true`, `7`, `7.50`, `7.00`, `100`, `0.050`, `-3.10`, `1e3`, `null`, `[]`, `["a","b"]`, `["a",1]`, `[null]`, `{"id":"x"}`, `{"id":7.0}`, `{"id":{"id":1}}`, `{}`,
		"\"Zu\u0308rich\"", "[\"Zu\u0308rich\"]", "{\"id\":\"Zu\u0308rich\"}",
	} {
		want := pgtest.Shared(t).Psql(t, dsn, fmt.Sprintf(`SELECT coalesce(array_length(v, 1), 0) || coalesce('|' || nullif(array_to_string(v, '|'), ''), '') FROM crm_access.attribute_values('%s'::jsonb) AS v`, value))
		var text []byte
		if err := s.pool.QueryRow(t.Context(), `SELECT $1::text::jsonb`, value).Scan(&text); err != nil {
			t.Fatal(err)
		}
		list := attributeOf(text)
		got := fmt.Sprint(len(list))
		for i, v := range list {
			if v != "" || i > 0 {
				got += "|" + v
			}
		}
		if got != want {
			t.Errorf("%s is %q, and %q to the database", value, got, want)
		}
	}
}

func TestAPageHoldsWhatTheFilterReachesInTheOrderOfIDs(t *testing.T) {
	s, _ := recordStore(t)
	filter := func(clauses ...access.Clause) *access.Filter {
		return &access.Filter{Effect: access.Allow, Decides: "customer", Clauses: clauses}
	}
	for what, c := range map[string]struct {
		filter *access.Filter
		after  string
		limit  int
		want   string
	}{
		"no filter":                 {nil, "", 10, "[7 8 10 11]"},
		"everything":                {filter(access.Clause{Owners: []string{"x"}}, access.Clause{Everything: true}), "", 10, "[7 8 10 11]"},
		"an owner's":                {filter(access.Clause{Owners: []string{"ann"}}), "", 10, "[7]"},
		"a participant's or an id":  {filter(access.Clause{Participants: []string{"ann"}}, access.Clause{IDs: []string{"8", "9"}}), "", 10, "[8 10]"},
		"departments'":              {filter(access.Clause{Departments: []string{"east", "west"}}), "", 10, "[7 10 11]"},
		"nothing":                   {filter(), "", 10, "[]"},
		"conditions leave it as is": {filter(access.Clause{Owners: []string{"bob"}, Where: []access.WhereFact{{Field: "area", Operator: access.OperatorIn, Values: []string{"north"}}}}), "", 10, "[10]"},
		"another object decides":    {&access.Filter{Decides: "account", Clauses: []access.Clause{{Owners: []string{"ann"}}}}, "", 10, "[7 8 10 11]"},
		"two of them":               {nil, "", 2, "[7 8]"},
		"the next, 10 behind 8":     {nil, "8", 10, "[10 11]"},
		"the last":                  {nil, "11", 10, "[]"},
	} {
		page, err := s.Page(t.Context(), place, c.filter, c.after, c.limit)
		ids := make([]string, len(page))
		for i, record := range page {
			ids[i] = record.ID
		}
		if got := fmt.Sprint(ids); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", what, got, err, c.want)
		}
	}
}

func TestATableThatIsNotThereOrMayNotBeReadIsAnErrorAndNoRecord(t *testing.T) {
	s, dsn := recordStore(t)
	missing := place
	missing.Table = "Crm.customer"
	if record, err := s.Record(t.Context(), missing, "7"); record != nil || !errors.Is(err, store.ErrSchema) {
		t.Errorf("a table that is not there gives %+v, %v", record, err)
	}
	server := pgtest.Shared(t)
	server.Psql(t, dsn, `CREATE ROLE blind LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA crm_access, "Crm" TO blind; GRANT SELECT ON ALL TABLES IN SCHEMA crm_access TO blind`)
	t.Cleanup(func() { server.Psql(t, dsn, `DROP OWNED BY blind; DROP ROLE blind`) })
	opened, err := Attach(t.Context(), server.DSN("blind", "p", server.Psql(t, dsn, `SELECT current_database()`)))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if record, err := opened.(*db).Record(t.Context(), place, "7"); record != nil || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without the right to read there is %+v, %v", record, err)
	}
}
