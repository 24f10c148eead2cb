package decisionapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	noon    = schedule.Instant(1_800_000_000)
	tonight = noon + 8*3600
)

// company is small: lina owns customers of department east, boris leads the department, and cleo may read by a grant that
// ends tonight. Contacts take their access from the customer, notes from the contact.
func company() *access.Policy {
	public, phone := access.Field{Name: "name", Class: access.ClassPublic}, access.Field{Name: "phone", Class: access.ClassConfidential}
	region := access.Field{Name: "region", Class: access.ClassPublic}
	declared := access.Declarations{
		ObjectTypes: []*access.ObjectType{
			{Name: "customer", Actions: []string{"create", "read", "update", "export", "unmask"}, Fields: []access.Field{public, phone, region, {Name: "café", Class: access.ClassPublic}}},
			{Name: "contact", Actions: []string{"read"}, Fields: []access.Field{public, {Name: "of", Class: access.ClassPublic}}, AccessFrom: access.AccessFrom{Object: "customer", Field: "of"}},
			{Name: "note", Actions: []string{"read"}, Fields: []access.Field{{Name: "about", Class: access.ClassPublic}}, AccessFrom: access.AccessFrom{Object: "contact", Field: "about"}},
		},
		Departments: []*access.Department{{Name: "east"}, {Name: "west"}},
		Users: []*access.User{
			{Name: "lina", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east"}},
			{Name: "boris", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east"}},
			{Name: "cleo", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"west"}},
		},
		Roles: []*access.Role{
			{Name: "rep", Grants: []access.Grant{
				{Object: "customer", Actions: []string{"create", "read", "update"}, Records: access.Records{Scopes: access.ScopeOwn | access.ScopeInvolved}},
				{Object: "contact", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeOwn}},
				{Object: "note", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeOwn}},
			}},
			{Name: "lead", Grants: []access.Grant{
				{Object: "customer", Actions: []string{"read", "export"}, Records: access.Records{Scopes: access.ScopeDepartment}, Where: []access.Condition{{Field: "region", Operator: access.OperatorIn, Values: []string{"7", "café"}}}},
			}},
		},
		UserBindings: []*access.UserBinding{
			{Name: "reps", Subjects: []access.Subject{{User: "lina"}}, Roles: []string{"rep"}},
			{Name: "leads", Subjects: []access.Subject{{User: "boris"}}, Roles: []string{"lead"}},
		},
		TemporaryGrants: []*access.TemporaryGrant{{
			Name: "help", Users: []string{"cleo"}, Window: schedule.Window{NotBefore: schedule.Always, NotAfter: tonight},
			Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeAll}}},
		}},
	}
	return access.NewPolicy(access.Resolve(declared).Facts)
}

// source serves the company under the names given.
type source struct {
	names  []string
	policy *access.Policy
	now    schedule.Instant
	old    error
	unread bool
}

func (s *source) Tenants() []string { return s.names }

func (s *source) Snapshot(tenant string) (Snapshot, bool) {
	return Snapshot{Policy: s.policy, Revision: "1.42", Now: func() (schedule.Instant, error) { return s.now, s.old }}, !s.unread && slices.Contains(s.names, tenant)
}

func oneTenant() *source { return &source{names: []string{"acme"}, policy: company(), now: noon} }

var fixedID = Options{NewID: func() string { return "decision-1" }}

func post(t testing.TB, handler http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response
}

func TestEvaluation(t *testing.T) {
	const readCustomer = `"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1"`
	for name, c := range map[string]struct{ body, want string }{
		"the reply is the decision alone": {
			`{` + readCustomer + `,"properties":{"owner":"lina"}}}`, `{"decision":true}`},
		"context is optional, and may be null": {
			`{` + readCustomer + `,"properties":{"owner":"lina"}},"context":null}`, `{"decision":true}`},
		"a record without facts is nobody's own": {
			`{` + readCustomer + `}}`, `{"decision":false}`},
		"unknown members are ignored everywhere": {
			`{"x":1,` + readCustomer + `,"colour":"red","properties":{"owner":"lina","weather":{"a":[[{}]]}}},"context":{"mood":{"x":1},"device":"phone"}}`, `{"decision":true}`},
		"a participant is involved": {
			`{` + readCustomer + `,"properties":{"owner":"boris","participants":["cleo","lina"]}}}`, `{"decision":true}`},
		"with fields it tells their levels": {
			`{` + readCustomer + `,"properties":{"owner":"lina"}},"context":{"fields":["phone","name"]}}`,
			`{"decision":true,"context":{"fields":{"name":"edit","phone":"masked"}}}`},
		"the fields of a deny are none": {
			`{` + readCustomer + `},"context":{"fields":["phone"]}}`, `{"decision":false,"context":{"fields":{"phone":"none"}}}`},
		"with explain it says why": {
			`{` + readCustomer + `,"properties":{"owner":"lina"}},"context":{"explain":true}}`,
			`{"decision":true,"context":{"reasons":["rep:read=own by UserBinding/reps"],"causes":[{"text":"rep:read=own by UserBinding/reps","from":"UserBinding/reps","path":"rep"}]}}`},
		"a deny explains the nearest miss": {
			`{` + readCustomer + `,"properties":{"owner":"boris"}},"context":{"explain":true}}`,
			`{"decision":false,"context":{"reasons":["no grant covers read on customer"],"causes":[{"text":"no grant covers read on customer"}],` +
				`"nearestMiss":"holds read on own|involved (rep by UserBinding/reps); the record belongs to boris","nearMisses":["holds read on own|involved (rep by UserBinding/reps); the record belongs to boris"]}}`},
		"a grant's end is part of its cause": {
			`{"subject":{"type":"user","id":"cleo"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1"},"context":{"explain":true}}`,
			`{"decision":true,"context":{"reasons":["help:read=all by TemporaryGrant/help, until 2027-01-15T16:00:00Z"],` +
				`"causes":[{"text":"help:read=all by TemporaryGrant/help, until 2027-01-15T16:00:00Z","from":"TemporaryGrant/help","path":"help","until":"2027-01-15T16:00:00Z"}]}}`},
		"a resource without id and properties asks of any record": {
			`{"subject":{"type":"user","id":"boris"},"action":{"name":"export"},"resource":{"type":"customer","properties":{}},"context":{"rows":10,"used":0,"channel":"web","reason":"audit","target":{"user":"lina","department":"west"}}}`, `{"decision":true}`},
		"create takes the proposed record": {
			`{"subject":{"type":"user","id":"lina"},"action":{"name":"create"},"resource":{"type":"customer","properties":{"owner":"lina"}}}`, `{"decision":true}`},
		"create without one is denied": {
			`{"subject":{"type":"user","id":"lina"},"action":{"name":"create"},"resource":{"type":"customer"}}`, `{"decision":false}`},
		"a condition reads an attribute": {
			`{"subject":{"type":"user","id":"boris"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"department":"east","region":7}}}`, `{"decision":true}`},
		"two spellings of a character are equal": {
			`{"subject":{"type":"user","id":"boris"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"department":"east","region":"cafe\u0301"}},"context":{"fields":["cafe\u0301"]}}`,
			`{"decision":true,"context":{"fields":{"café":"read"}}}`},
		"an attribute that is missing meets no condition": {
			`{"subject":{"type":"user","id":"boris"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"department":"east","region":null}}}`, `{"decision":false}`},
		"departments and roles of the subject come from the policy": {
			`{"subject":{"type":"user","id":"cleo","properties":{"department":"east","roles":["lead"]}},"action":{"name":"export"},"resource":{"type":"customer","id":"c1","properties":{"department":"east","region":7}}}`, `{"decision":false}`},
		"the parent's facts decide about its child": {
			`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"contact","id":"p1","properties":{"owner":"boris","of":{"id":"c1","owner":"lina"}}}}`, `{"decision":true}`},
		"and its grandchild": {
			`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"note","id":"n1","properties":{"about":{"id":"p1","of":{"owner":"lina"}}}}}`, `{"decision":true}`},
		"a child without its parent's facts is nobody's own": {
			`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"contact","id":"p1","properties":{"owner":"lina","of":"c1"}}}`, `{"decision":false}`},
		"an unknown user is a deny": {
			`{"subject":{"type":"user","id":"linn"},"action":{"name":"read"},"resource":{"type":"customer","id":""},"context":{"explain":true}}`,
			`{"decision":false,"context":{"reasons":["no account \"linn\""],"causes":[{"text":"no account \"linn\""}],"nearestMiss":"user \"linn\" is not declared; did you mean lina?","nearMisses":["user \"linn\" is not declared; did you mean lina?"]}}`},
		"so is a subject that is no user": {
			`{"subject":{"type":"group","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":""},"context":{"explain":true,"fields":["name"]}}`,
			`{"decision":false,"context":{"fields":{"name":"none"},"reasons":["unknown subject type group; it has user"],"causes":[{"text":"unknown subject type group; it has user"}]}}`},
		"the caller's time is not believed": {
			`{"subject":{"type":"user","id":"cleo"},"action":{"name":"read"},"resource":{"type":"customer","id":""},"context":{"time":"2030-01-01T00:00:00Z"}}`, `{"decision":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			handler := New(oneTenant(), fixedID)
			response := post(t, handler, "/acme/access/v1/evaluation", c.body)
			if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != c.want {
				t.Errorf("answers %d %s\nwant %s", response.Code, got, c.want)
			}
			if again := post(t, handler, "/access/v1/evaluation", c.body); again.Body.String() != response.Body.String() {
				t.Errorf("an equal question gets another body: %s", again.Body)
			}
		})
	}
}

func TestQuestionsThatCannotBeRead(t *testing.T) {
	nested := strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)
	question := func(member string) string {
		return `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1"},` + member + `}`
	}
	for name, c := range map[string]struct{ body, want string }{
		"nothing":                                {"", "the body is empty"},
		"white space":                            {" \n", "the body is empty"},
		"no JSON":                                {"hello", "no valid JSON at byte 1"},
		"half of it":                             {`{"subject":`, "no valid JSON"},
		"two objects":                            {`{} {}`, "no valid JSON"},
		"a list":                                 {`[]`, "want a JSON object"},
		"not UTF-8":                              {"{\"subject\":\"\xff\"}", "not UTF-8 at byte 12"},
		"half of a surrogate pair":               {`{"subject":{"id":"\ud800"}}`, "subject.id: holds half of a surrogate pair"},
		"a key twice":                            {`{"subject":{"type":"user","id":"lina","id":"boris"}}`, "subject.id: given twice"},
		"a key twice, spelt apart":               {`{"caf\u00e9":1,"cafe\u0301":1}`, "given twice"},
		"deep nesting":                           {question(`"x":` + nested), "nested deeper than"},
		"too many values":                        {question(`"x":[` + strings.Repeat("0,", 20000) + `0]`), "more than 20000 values"},
		"an oversized body":                      {question(`"x":"` + strings.Repeat("a", MaxBody) + `"`), "larger than 1 MiB"},
		"no subject":                             {`{"action":{"name":"read"},"resource":{"type":"customer"}}`, "subject: is missing"},
		"a subject without id":                   {`{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"customer"}}`, "subject.id: is missing"},
		"a subject of no type":                   {`{"subject":{"id":"lina"},"action":{"name":"read"},"resource":{"type":"customer"}}`, "subject.type: is missing"},
		"a subject that is a text":               {`{"subject":"lina","action":{"name":"read"},"resource":{"type":"customer"}}`, "subject: want an object"},
		"an action without name":                 {`{"subject":{"type":"user","id":"lina"},"action":{},"resource":{"type":"customer"}}`, "action.name: is missing"},
		"no resource":                            {`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"}}`, "resource: is missing"},
		"a number as id":                         {`{"subject":{"type":"user","id":7},"action":{"name":"read"},"resource":{"type":"customer"}}`, "subject.id: want a text"},
		"negative rows":                          {question(`"context":{"rows":-1}`), "context.rows: want a whole number"},
		"half a row":                             {question(`"context":{"rows":1.5}`), "context.rows: want a whole number"},
		"a number beyond all bounds":             {question(`"context":{"rows":1e999}`), "context.rows: the number is out of range"},
		"fields that are no list":                {question(`"context":{"fields":"name"}`), "context.fields: want a list of texts"},
		"a field that is no text":                {question(`"context":{"fields":["name",1]}`), "context.fields.1: want a text"},
		"explain that is a text":                 {question(`"context":{"explain":"yes"}`), "context.explain: want true or false"},
		"a list of lists":                        {`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","properties":{"region":[["x"]]}}}`, "resource.properties.region.0: a list holds texts only"},
		"an owner that is an object":             {`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","properties":{"owner":{}}}}`, "resource.properties.owner: want a text"},
		"a parent's owner":                       {`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"contact","properties":{"of":{"owner":1}}}}`, "resource.properties.of.owner: want a text"},
		"a list, then more":                      {`{"x":[1`, "no valid JSON"},
		"too large inside":                       {question(`"x":{"y":[1,2,{"z":1,"z":2}]}`), "x.y.2.z: given twice"},
		"a surrogate in what counts for nothing": {question(`"x":["\ud800"]`), "x.0: holds half of a surrogate pair"},
		"a name spelt like another":              {"{\"\u212aey\":1}", "given twice, or spelt like another name"},
		"something behind":                       {`{} x`, "no valid JSON at byte 4"},
		"null":                                   {`null`, "want a JSON object"},
		"a text":                                 {`"subject"`, "want a JSON object"},
		"not a number":                           {question(`"context":{"rows":NaN}`), "no valid JSON at byte"},
		"infinity":                               {question(`"x":Infinity`), "no valid JSON at byte"},
		"minus infinity":                         {question(`"x":-Infinity`), "no valid JSON at byte"},
		"a comma too many":                       {`{"a":1,}`, "no valid JSON at byte"},
		"the replacement character":              {`{"subject":{"type":"user","id":"\ufffd"},"action":{"name":"read"},"resource":{"type":"customer"}}`, "subject.id: holds the replacement character"},
		"a hostile name":                         {"{\"\\u001b[2J\":{\"a\":1,\"a\":2}}", `"\x1b[2J".a: given twice`},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, New(oneTenant(), fixedID), "/acme/access/v1/evaluation", c.body)
			var reply struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal(response.Body.Bytes(), &reply); err != nil {
				t.Fatal(err)
			}
			if response.Code != http.StatusBadRequest || !strings.Contains(reply.Error, c.want) {
				t.Errorf("answers %d %q, want 400 with %q", response.Code, reply.Error, c.want)
			}
			if response.Header().Get(HeaderDecisionID) != "" {
				t.Error("a refused question has a decision id")
			}
		})
	}
}

func TestRequestsThatAreNoQuestions(t *testing.T) {
	const body = `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":""}}`
	two := oneTenant()
	two.names = []string{"acme", "other"}
	old := oneTenant()
	old.old = errors.New("the store has not been heard of for 40s")
	unread := oneTenant()
	unread.unread = true
	for name, c := range map[string]struct {
		source       *source
		method, path string
		contentType  string
		status       int
		header       [2]string
	}{
		"GET":                           {oneTenant(), "GET", "/acme/access/v1/evaluation", "application/json", 405, [2]string{"Allow", "POST"}},
		"OPTIONS, as a browser asks":    {oneTenant(), "OPTIONS", "/acme/access/v1/evaluation", "", 405, [2]string{"Access-Control-Allow-Origin", ""}},
		"no content type":               {oneTenant(), "POST", "/acme/access/v1/evaluation", "", 400, [2]string{}},
		"a form":                        {oneTenant(), "POST", "/acme/access/v1/evaluation", "application/x-www-form-urlencoded", 400, [2]string{}},
		"a text":                        {oneTenant(), "POST", "/acme/access/v1/evaluation", "text/plain", 400, [2]string{}},
		"a content type with a charset": {oneTenant(), "POST", "/acme/access/v1/evaluation", "Application/JSON; charset=utf-8", 200, [2]string{HeaderRevision, "1.42"}},
		"an unknown tenant":             {oneTenant(), "POST", "/other/access/v1/evaluation", "application/json", 404, [2]string{}},
		"an unknown path":               {oneTenant(), "POST", "/acme/access/v1/evaluate", "application/json", 404, [2]string{}},
		"a path with an empty tenant":   {oneTenant(), "POST", "//access/v1/evaluation", "application/json", 404, [2]string{}},
		"a path below":                  {oneTenant(), "POST", "/acme/access/v1/evaluation/", "application/json", 404, [2]string{}},
		"the only tenant unnamed":       {oneTenant(), "POST", "/access/v1/evaluation", "application/json", 200, [2]string{HeaderDecisionID, "decision-1"}},
		"one of two tenants unnamed":    {two, "POST", "/access/v1/evaluation", "application/json", 404, [2]string{}},
		"one of two tenants named":      {two, "POST", "/other/access/v1/evaluation", "application/json", 200, [2]string{HeaderTime, "2027-01-15T08:00:00Z"}},
		"a snapshot that is too old":    {old, "POST", "/acme/access/v1/evaluation", "application/json", 503, [2]string{"Retry-After", "1"}},
		"a tenant not read yet":         {unread, "POST", "/acme/access/v1/evaluation", "application/json", 503, [2]string{"Retry-After", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(c.method, "http://example.test"+c.path, strings.NewReader(body))
			if c.contentType != "" {
				request.Header.Set("Content-Type", c.contentType)
			}
			request.Header.Set(HeaderRequestID, "r-1")
			response := httptest.NewRecorder()
			New(c.source, fixedID).ServeHTTP(response, request)
			if response.Code != c.status {
				t.Errorf("answers %d %s, want %d", response.Code, response.Body, c.status)
			}
			if got := response.Header().Get(c.header[0]); c.header[0] != "" && got != c.header[1] {
				t.Errorf("header %s is %q, want %q", c.header[0], got, c.header[1])
			}
			if got := response.Header().Get(HeaderRequestID); got != "r-1" {
				t.Errorf("the request id comes back as %q", got)
			}
			if got := response.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("the reply is %s", got)
			}
		})
	}
}

func TestTheCallersTimeDecidesWhereThatIsAskedFor(t *testing.T) {
	handler := New(oneTenant(), Options{HonourTime: true})
	ask := func(at string) *httptest.ResponseRecorder {
		return post(t, handler, "/acme/access/v1/evaluation", `{"subject":{"type":"user","id":"cleo"},"action":{"name":"read"},"resource":{"type":"customer","id":""},"context":{"time":"`+at+`"}}`)
	}
	for at, want := range map[string]string{
		tonight.String():       `{"decision":false}`,
		(tonight - 1).String(): `{"decision":true}`,
		"":                     `{"decision":true}`,
	} {
		if got := strings.TrimSpace(ask(at).Body.String()); got != want {
			t.Errorf("at %q: %s, want %s", at, got, want)
		}
	}
	if got := ask("tomorrow"); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "context.time: ") {
		t.Errorf("at tomorrow: %d %s", got.Code, got.Body)
	}
}

func TestDecisionsHaveNamesOfTheirOwn(t *testing.T) {
	handler := New(oneTenant(), Options{})
	seen := map[string]bool{}
	for range 100 {
		id := post(t, handler, "/access/v1/evaluation", `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":""}}`).Header().Get(HeaderDecisionID)
		if id == "" || seen[id] {
			t.Fatalf("decision id %q comes twice or is empty", id)
		}
		seen[id] = true
	}
}

// FuzzEvaluation: whatever is sent, the answer is a decision or says what is wrong, and an allow follows from what the
// policy gives, never from what cannot be read.
func FuzzEvaluation(f *testing.F) {
	for _, seed := range []string{
		`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"lina","participants":["x"],"region":7}},"context":{"fields":["phone"],"explain":true,"rows":3,"time":"2027-01-15T08:00:00Z","target":{"user":"x"}}}`,
		`{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"note","id":"n1","properties":{"about":{"id":"p1","of":{"owner":"lina"}}}}}`,
		`{"subject":{"type":"user","id":"\ud83d\ude00"},"action":{"name":"read"},"resource":{"type":"customer","id":""},"context":null}`,
		`{"subject":{"type":"user","id":"lina"},"evaluations":[{},{"action":{"name":"read"},"resource":{"type":"customer"}},7],"options":{"evaluations_semantic":"permit_on_first_permit"},"page":{"limit":2,"token":"e30"}}`,
		`{"a":1,"a":2}`, `[[[[`, `{"subject":"\ud800"}`, "\xff", ``, `null`, `1e999`,
	} {
		f.Add([]byte(seed))
	}
	handler := New(archive{source: oneTenant(), customers: 5}, Options{HonourTime: true, NewID: fixedID.NewID})
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/access/v1/evaluations", "/access/v1/search/subject", "/access/v1/search/resource", "/access/v1/search/action", "/v1/filter"} {
			if response := post(t, handler, path, string(body)); !json.Valid(response.Body.Bytes()) || (response.Code != http.StatusOK && response.Code != http.StatusBadRequest) {
				t.Fatalf("%s answers %d %s", path, response.Code, response.Body)
			}
		}
		response := post(t, handler, "/access/v1/evaluation", string(body))
		switch response.Code {
		case http.StatusOK:
			var reply Reply
			if err := json.Unmarshal(response.Body.Bytes(), &reply); err != nil {
				t.Fatalf("the reply cannot be read: %v: %s", err, response.Body)
			}
			if reply.Decision && !strings.Contains(string(body), "user") && !strings.Contains(string(body), `\u`) {
				t.Fatalf("allowed a question without a user: %q", body)
			}
		case http.StatusBadRequest:
			var reply map[string]string
			if err := json.Unmarshal(response.Body.Bytes(), &reply); err != nil || reply["error"] == "" {
				t.Fatalf("does not say what is wrong: %s", response.Body)
			}
		default:
			t.Fatalf("answers %d %s", response.Code, response.Body)
		}
	})
}
