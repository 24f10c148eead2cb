package decisionapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// desk is a tenant that is asked in other names than its own: tickets have a recycle bin, their fields holder and team say who
// owns them, and its users log in elsewhere. Ann may trash and close her own; ben shares a login with her, and has one that
// is her name.
func desk() *source {
	public := func(name string) access.Field { return access.Field{Name: name, Class: access.ClassPublic} }
	declared := access.Declarations{
		ObjectTypes: []*access.ObjectType{{
			Name: "ticket", OwnerField: "holder", DepartmentField: "team", Fields: []access.Field{public("holder"), public("team")},
			Actions:  []string{"read", "delete", "trash", "close"},
			Variants: []access.Variant{{Action: "trash", Of: "delete", Property: "soft", Value: "true"}},
		}},
		Departments: []*access.Department{{Name: "help"}},
		Users: []*access.User{
			{Name: "ann", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"help"}, Logins: []access.Login{
				{Issuer: "https://a", Subject: "CiRmZDA2", Username: "ann@desk"}, {Issuer: "https://a", Subject: "17"}}},
			{Name: "ben", Type: access.UserEmployee, State: access.StateActive, Logins: []access.Login{
				{Issuer: "https://b", Subject: "17", Username: "ben@desk"}, {Issuer: "https://b", Subject: "ann"}}},
		},
		Roles: []*access.Role{{Name: "agent", Grants: []access.Grant{
			{Object: "ticket", Actions: []string{"trash", "close"}, Records: access.Records{Scopes: access.ScopeOwn}},
			{Object: "ticket", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeDepartment}},
		}}},
		UserBindings: []*access.UserBinding{{Name: "agents", Subjects: []access.Subject{{User: "ann"}}, Roles: []string{"agent"}}},
	}
	return &source{names: []string{"desk"}, policy: access.NewPolicy(access.Resolve(declared).Facts), now: noon}
}

func TestQuestionsMayUseNamesOfTheApplication(t *testing.T) {
	const (
		ann   = `{"type":"user","id":"ann"}`
		trash = `{"name":"trash"}`
		hers  = `{"type":"ticket","id":"t1","properties":{"owner":"ann"}}`
	)
	for name, c := range map[string]struct {
		subject, action, resource string
		want                      bool
	}{
		"the names that are declared":                        {ann, trash, hers, true},
		"a property makes another action of it":              {ann, `{"name":"delete","properties":{"soft":true}}`, hers, true},
		"as text, too":                                       {ann, `{"name":"delete","properties":{"soft":"true"}}`, hers, true},
		"another value does not":                             {ann, `{"name":"delete","properties":{"soft":false}}`, hers, false},
		"nor a property that cannot be read":                 {ann, `{"name":"delete","properties":{"soft":[[true]]}}`, hers, false},
		"nor null":                                           {ann, `{"name":"delete","properties":{"soft":null}}`, hers, false},
		"and of no other action":                             {ann, `{"name":"close","properties":{"soft":true}}`, hers, true},
		"a login's subject names the user":                   {`{"type":"user","id":"CiRmZDA2"}`, trash, hers, true},
		"its username does":                                  {`{"type":"user","id":"ann@desk"}`, trash, hers, true},
		"another user's login names another":                 {`{"type":"user","id":"ben@desk"}`, trash, hers, false},
		"a login of two names nobody":                        {`{"type":"user","id":"17"}`, trash, hers, false},
		"an identity is named by a login":                    {`{"type":"identity","id":"CiRmZDA2"}`, trash, hers, true},
		"at its issuer, where the question says so":          {`{"type":"identity","id":"17","properties":{"issuer":"https://a"}}`, trash, hers, true},
		"at another issuer it is somebody else":              {`{"type":"identity","id":"17","properties":{"issuer":"https://b"}}`, trash, hers, false},
		"at a third it is nobody":                            {`{"type":"identity","id":"17","properties":{"issuer":"https://c"}}`, trash, hers, false},
		"an identity is not named by a user's name":          {`{"type":"identity","id":"ann"}`, trash, hers, false},
		"nor where nobody has such a login":                  {`{"type":"identity","id":"ann","properties":{"issuer":"https://a"}}`, trash, hers, false},
		"the owner may be named by a login":                  {ann, trash, `{"type":"ticket","id":"t1","properties":{"owner":"ann@desk"}}`, true},
		"and by the object's own field":                      {ann, trash, `{"type":"ticket","id":"t1","properties":{"holder":"ann"}}`, true},
		"where owner does not say it":                        {ann, trash, `{"type":"ticket","id":"t1","properties":{"holder":"ann","owner":"ben"}}`, false},
		"the department by its field":                        {ann, `{"name":"read"}`, `{"type":"ticket","id":"t1","properties":{"team":"help"}}`, true},
		"a list owns nothing":                                {ann, trash, `{"type":"ticket","id":"t1","properties":{"holder":["ann"]}}`, false},
		"an owner that logs in as two people is nobody":      {ann, trash, `{"type":"ticket","id":"t1","properties":{"owner":"17"}}`, false},
		"what a subject says of itself still confers nought": {`{"type":"user","id":"ben","properties":{"role":"agent","department":"help"}}`, trash, hers, false},
	} {
		response := post(t, New(desk(), fixedID), "/access/v1/evaluation", `{"subject":`+c.subject+`,"action":`+c.action+`,"resource":`+c.resource+`}`)
		want := `{"decision":false}`
		if c.want {
			want = `{"decision":true}`
		}
		if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != want {
			t.Errorf("%s: answers %d %s, want %s", name, response.Code, got, want)
		}
	}
}

func TestSearchesFindUsersByTypeUserAlone(t *testing.T) {
	for kind, want := range map[string]string{"user": `"results":[{"id":"ann","type":"user"}]`, "identity": `"results":[]`} {
		response := post(t, New(desk(), fixedID), "/access/v1/search/subject",
			`{"subject":{"type":"`+kind+`"},"action":{"name":"delete","properties":{"soft":true}},"resource":{"type":"ticket","id":"t1","properties":{"owner":"ann@desk"}}}`)
		if response.Code != http.StatusOK || !strings.Contains(response.Body.String(), want) {
			t.Errorf("type %s: answers %d %s, want %s", kind, response.Code, response.Body, want)
		}
	}
}

// A PEP that forgets the id is told so: it would take an answer about some record for one about the record it meant.
func TestTheRecordIsNamedOrLeftOutOnPurpose(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		want       int
	}{
		"read without an id":                {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"ticket"}}`, 400},
		"with null for it":                  {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"ticket","id":null}}`, 400},
		"with properties and no id":         {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"ticket","properties":{"owner":"ann"}}}`, 400},
		"with an empty one, of any record":  {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"ticket","id":""}}`, 200},
		"create, whose record has none yet": {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"create"},"resource":{"type":"ticket","properties":{"owner":"ann"}}}`, 200},
		"export, which is of many":          {"evaluation", `{"subject":{"type":"user","id":"ann"},"action":{"name":"export"},"resource":{"type":"ticket"}}`, 200},
		"a search for subjects":             {"search/subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"ticket"}}`, 400},
		"a search for actions":              {"search/action", `{"subject":{"type":"user","id":"ann"},"resource":{"type":"ticket"}}`, 400},
	} {
		response := post(t, New(desk(), fixedID), "/access/v1/"+c.path, c.body)
		if response.Code != c.want || (c.want == http.StatusBadRequest) != strings.Contains(response.Body.String(), "resource.id: is missing") {
			t.Errorf("%s: answers %d %s, want %d", name, response.Code, response.Body, c.want)
		}
	}
	response := post(t, New(desk(), fixedID), "/access/v1/evaluations", `{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"evaluations":[{"resource":{"type":"ticket"}}]}`)
	if want := `{"evaluations":[{"decision":false,"context":{"error":{"status":400,"message":"resource.id: is missing"}}}]}`; strings.TrimSpace(response.Body.String()) != want {
		t.Errorf("among several it is %s, want %s", response.Body, want)
	}
}
