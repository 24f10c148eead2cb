package follow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// company has customers in a table, their contacts in another, and notes and leads in none. ann owns and boris sees
// everything; contacts take their access from the customer, and so do notes.
func company() access.Declarations {
	object := func(name, table, from string) *access.ObjectType {
		o := &access.ObjectType{Name: name, Actions: []string{"create", "read", "update"}, Fields: []access.Field{{Name: "of", Class: access.ClassPublic}, {Name: "region", Class: access.ClassPublic}}}
		if table != "" {
			o.Storage = access.Storage{Table: table, ID: "id", Owner: "owner", Columns: map[string]string{"of": "customer"}}
		}
		if from != "" {
			o.AccessFrom = access.AccessFrom{Object: from, Field: "of"}
		}
		return o
	}
	role := func(name string, scopes access.Scopes, where ...access.Condition) *access.Role {
		r := &access.Role{Name: name}
		for _, object := range []string{"customer", "contact", "note", "lead"} {
			r.Grants = append(r.Grants, access.Grant{Object: object, Actions: []string{"create", "read", "update"}, Records: access.Records{Scopes: scopes}, Where: where})
		}
		return r
	}
	user := func(name string) *access.User {
		return &access.User{Name: name, Type: access.UserEmployee, State: access.StateActive}
	}
	return access.Declarations{
		ObjectTypes: []*access.ObjectType{object("customer", "customer", ""), object("contact", "contact", "customer"), object("note", "", "customer"), object("lead", "", "")},
		Users:       []*access.User{user("ann"), user("boris"), user("cleo"), user("dora")},
		Roles: []*access.Role{
			role("owners", access.ScopeOwn), role("all", access.ScopeAll),
			role("northerners", access.ScopeAll, access.Condition{Field: "region", Operator: access.OperatorIn, Values: []string{"north"}}),
		},
		UserBindings: []*access.UserBinding{
			{Name: "owners", Subjects: []access.Subject{{User: "ann"}, {User: "cleo"}}, Roles: []string{"owners"}},
			{Name: "all", Subjects: []access.Subject{{User: "boris"}}, Roles: []string{"all"}},
			{Name: "north", Subjects: []access.Subject{{User: "dora"}}, Roles: []string{"northerners"}},
		},
	}
}

// ask puts a question to the decision API over a follower.
func (f *follower) ask(path, body string) (int, string) {
	f.t.Helper()
	request := httptest.NewRequest(http.MethodPost, "/"+tenant+path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	reply := httptest.NewRecorder()
	decisionapi.New(f.Follower, decisionapi.Options{}).ServeHTTP(reply, request)
	return reply.Code, strings.TrimSpace(reply.Body.String())
}

func followedCompany(t *testing.T) (*database, *follower) {
	t.Helper()
	d := newDatabase(t)
	d.psql(`CREATE TABLE customer (id text PRIMARY KEY, owner text, region text, customer text);
		CREATE TABLE contact (id bigint PRIMARY KEY, owner text, region text, customer text);
		INSERT INTO customer VALUES ('c1', 'ann', 'north'), ('c2', 'boris', 'south'), ('c3', NULL, 'north');
		INSERT INTO contact VALUES (1, 'cleo', 'south', 'c1'), (2, 'ann', 'north', 'c2'), (3, 'ann', NULL, NULL)`)
	rows, err := store.Encode(access.Resolve(company()).Facts)
	if err != nil {
		t.Fatal(err)
	}
	d.commit(tenant, store.Index(rows), store.Commit{Cause: "pass"})
	f := newFollower(t, open(t, d.dsn))
	f.until(f.Ready)
	return d, f
}

func TestOfAStoredRecordTheTableCountsAndNotTheCallersWord(t *testing.T) {
	_, f := followedCompany(t)
	const mine = `"properties":{"owner":"ann","region":"north"}`
	for name, c := range map[string]struct{ user, action, resource, want string }{
		"her own, without a word":                 {"ann", "read", `"type":"customer","id":"c1"`, "true"},
		"her own, said to be another's":           {"ann", "read", `"type":"customer","id":"c1","properties":{"owner":"boris"}`, "true"},
		"another's, said to be her own":           {"ann", "read", `"type":"customer","id":"c2",` + mine, "false"},
		"nobody's, said to be her own":            {"ann", "read", `"type":"customer","id":"c3",` + mine, "false"},
		"one that is not there, said to be hers":  {"ann", "read", `"type":"customer","id":"c9",` + mine, "false"},
		"one that is not there, for who sees all": {"boris", "read", `"type":"customer","id":"c9"`, "true"},
		"one without an id, said to be hers":      {"ann", "read", `"type":"customer","id":"",` + mine, "false"},
		"a condition by the table":                {"dora", "read", `"type":"customer","id":"c1"`, "true"},
		"a condition by the caller":               {"dora", "read", `"type":"customer","id":"c2",` + mine, "false"},
		"a contact of her customer":               {"ann", "read", `"type":"contact","id":"1"`, "true"},
		"her contact of another's customer":       {"ann", "read", `"type":"contact","id":"2","properties":{"of":{"id":"c1","owner":"ann"}}`, "false"},
		"a contact of no customer":                {"ann", "read", `"type":"contact","id":"3"`, "false"},
		"an id that the table cannot have":        {"ann", "read", `"type":"contact","id":"one",` + mine, "false"},
		"a note, of her customer":                 {"ann", "read", `"type":"note","id":"n","properties":{"of":"c1"}`, "true"},
		"a note, of a customer said to be hers":   {"ann", "read", `"type":"note","id":"n","properties":{"of":{"id":"c2","owner":"ann"}}`, "false"},
		"a note, of a customer without an id":     {"ann", "read", `"type":"note","id":"n","properties":{"of":{"owner":"ann"}}`, "false"},
		"a new contact of her customer":           {"ann", "create", `"type":"contact","properties":{"of":"c1"}`, "true"},
		"a new contact of another's customer":     {"ann", "create", `"type":"contact","properties":{"owner":"ann","of":{"id":"c2","owner":"ann"}}`, "false"},
		"a new customer of her own":               {"ann", "create", `"type":"customer",` + mine, "true"},
		"a lead, which has no table":              {"ann", "read", `"type":"lead","id":"l",` + mine, "true"},
	} {
		code, body := f.ask("/access/v1/evaluation", fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{%s}}`, c.user, c.action, c.resource))
		if code != http.StatusOK || body != `{"decision":`+c.want+`}` {
			t.Errorf("%s: answers %d %s, want %s", name, code, body, c.want)
		}
	}
}

func TestASearchFindsJustWhatIsAllowedOfWhatIsStored(t *testing.T) {
	_, f := followedCompany(t)
	for _, c := range []struct{ user, action, object, want string }{
		{"ann", "read", "customer", "c1"}, {"boris", "read", "customer", "c1 c2 c3"}, {"cleo", "read", "customer", ""}, {"dora", "read", "customer", "c1 c3"},
		{"ann", "update", "customer", "c1"}, {"ann", "read", "contact", "1"}, {"cleo", "read", "contact", ""}, {"boris", "read", "contact", "1 2 3"},
		{"dora", "read", "contact", "2"}, {"boris", "read", "lead", ""},
	} {
		code, body := f.ask("/access/v1/search/resource", fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{"type":%q}}`, c.user, c.action, c.object))
		var found decisionapi.Found
		if err := json.Unmarshal([]byte(body), &found); err != nil || code != http.StatusOK {
			t.Fatal(code, body, err)
		}
		var ids []string
		for _, entity := range found.Results {
			ids = append(ids, entity["id"].(string))
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s may %s %s %q, want %q", c.user, c.action, c.object, got, c.want)
		}
	}
	code, body := f.ask("/access/v1/search/subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"cleo"}}}`)
	if code != http.StatusOK || strings.Contains(body, "cleo") || !strings.Contains(body, `"ann"`) {
		t.Errorf("who may read c1: %d %s", code, body)
	}
}

func TestATableThatCannotBeReadIsAnswered503(t *testing.T) {
	d, f := followedCompany(t)
	const question = `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"%s","id":"c1","properties":{"owner":"ann"}}}`
	d.psql(`ALTER TABLE customer RENAME TO gone`)
	if code, body := f.ask("/access/v1/evaluation", fmt.Sprintf(question, "customer")); code != http.StatusServiceUnavailable || strings.Contains(body, "gone") {
		t.Errorf("answers %d %s", code, body)
	}
	if code, body := f.ask("/access/v1/evaluation", fmt.Sprintf(question, "lead")); code != http.StatusOK || body != `{"decision":true}` {
		t.Errorf("of an object without a table it answers %d %s", code, body)
	}
}
