package decisionapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// branch is a company whose facts are kept in a store of its own: lina owns customers, boris is her manager and the lead of
// the department, cleo is in another, and gast is an External.
type branch struct {
	t       testing.TB
	store   store.Store
	handler http.Handler

	mu       sync.Mutex
	declared access.Declarations
	// ahead is by how much this API's time is ahead of the store's.
	ahead schedule.Instant
	away  bool
}

func openBranch(t testing.TB, change func(*Options)) *branch {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &branch{t: t, store: s, declared: branchDeclarations()}
	for _, tenant := range b.Tenants() {
		if _, err := s.Claim(t.Context(), tenant, store.Owner{Cluster: "c", Namespace: tenant}, ""); err != nil {
			t.Fatal(err)
		}
	}
	b.commit()
	options := Options{Facts: b}
	change(&options)
	b.handler = New(b, options)
	return b
}

func branchDeclarations() access.Declarations {
	all := []string{"create", "read", "update", "delete", "export", "transfer", "share"}
	limit, day := int64(500), int64(1000)
	return access.Declarations{
		ObjectTypes: []*access.ObjectType{
			{Name: "customer", Actions: all, Fields: []access.Field{{Name: "name", Class: access.ClassPublic}, {Name: "phone", Class: access.ClassConfidential}}},
			{Name: "payment", Actions: all, Fields: []access.Field{{Name: "amount", Class: access.ClassPublic}}},
		},
		Departments: []*access.Department{{Name: "east"}, {Name: "west"}},
		Users: []*access.User{
			{Name: "lina", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east"}, Manager: "boris"},
			{Name: "boris", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east"}},
			{Name: "cleo", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"west"}},
			{Name: "gast", Type: access.UserExternal, State: access.StateActive},
		},
		Roles: []*access.Role{
			{Name: "rep", Grants: []access.Grant{
				{Object: "customer", Actions: []string{"read", "update", "share", "transfer", "export"}, Records: access.Records{Scopes: access.ScopeOwn}},
				{Object: "payment", Actions: []string{"create"}, Records: access.Records{Scopes: access.ScopeOwn}},
			}},
			{Name: "lead", Grants: []access.Grant{{Object: "customer", Actions: []string{"read", "share", "transfer"}, Records: access.Records{Scopes: access.ScopeDepartment}}}},
		},
		UserBindings: []*access.UserBinding{
			{Name: "reps", Subjects: []access.Subject{{User: "lina"}}, Roles: []string{"rep"}},
			{Name: "leads", Subjects: []access.Subject{{User: "boris"}}, Roles: []string{"lead"}},
		},
		Guardrails: []*access.Guardrail{{Name: "care", Rules: []access.GuardrailRule{
			{Approve: &access.ApproveRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"transfer"}}, When: access.ApproveWhen{ScopeAtMost: "own"}, By: []access.Approver{{ManagerOfSubject: true}}}},
			{Approve: &access.ApproveRule{Target: access.Target{Objects: []string{"payment"}, Actions: []string{"create"}}, By: []access.Approver{{Role: "lead"}}}},
			{Limit: &access.LimitRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}, MaxRowsPerRequest: &limit, MaxRowsPerDay: &day}},
			{Approve: &access.ApproveRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}, When: access.ApproveWhen{RowsOver: new(int64)}, By: []access.Approver{{ManagerOfSubject: true}}}},
		}}},
	}
}

func (b *branch) Tenants() []string { return []string{"acme", "other"} }

func (b *branch) now() schedule.Instant {
	row, err := b.store.Tenant(context.Background(), "acme")
	if err != nil {
		b.t.Fatal(err)
	}
	return schedule.At(row.Now)
}

func (b *branch) Snapshot(tenant string) (Snapshot, bool) {
	shares, err := b.store.Shares(context.Background(), tenant)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	policy, ahead := access.NewPolicy(access.Resolve(b.declared).Facts).WithShares(shares.List), b.ahead
	return Snapshot{Policy: policy, Revision: "1.42", Now: func() (schedule.Instant, error) { return b.now() + ahead, nil }}, true
}

func (b *branch) Facts(string) Facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil
	}
	return b.store
}

func (b *branch) Changed(string) {}

// change changes the declarations, or the time.
func (b *branch) change(how func(*branch)) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	how(b)
	b.commit()
}

// commit writes what is declared to the store, as the operator does.
func (b *branch) commit() {
	b.t.Helper()
	rows, err := store.Encode(access.Resolve(b.declared).Facts)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, tenant := range b.Tenants() {
		held, err := b.store.Load(b.t.Context(), tenant)
		if err != nil {
			b.t.Fatal(err)
		}
		changes := store.Diff(store.Index(held.Rows), store.Index(rows))
		if _, err := b.store.Commit(b.t.Context(), store.Commit{Expect: held.Tenant, Changes: changes, Cause: "pass"}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// tokenOf is a person's token for an hour.
func (b *branch) tokenOf(tenant, person string) string {
	b.t.Helper()
	keys, err := b.store.TokenKeys(b.t.Context(), tenant)
	if err != nil {
		b.t.Fatal(err)
	}
	now := b.now()
	minted, err := token.Mint(keys[0], tenant, person, now, now+token.MaxLifetime)
	if err != nil {
		b.t.Fatal(err)
	}
	return minted
}

// as sends a request with a person's token.
func (b *branch) as(person, method, path, body string) (int, map[string]any) {
	b.t.Helper()
	bearer := ""
	if person != "" {
		bearer = b.tokenOf("acme", person)
	}
	return b.with(bearer, method, "/acme"+path, body)
}

func (b *branch) with(bearer, method, path, body string) (int, map[string]any) {
	b.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		request.Header.Set(HeaderSubject, bearer)
	}
	response := httptest.NewRecorder()
	b.handler.ServeHTTP(response, request)
	var reply map[string]any
	decoder := json.NewDecoder(bytes.NewReader(response.Body.Bytes()))
	if err := decoder.Decode(&reply); err != nil {
		b.t.Fatalf("%s %s: %q: %v", method, path, response.Body, err)
	}
	return response.Code, reply
}

// must is as, where the answer has to be 200.
func (b *branch) must(person, method, path, body string) map[string]any {
	b.t.Helper()
	status, reply := b.as(person, method, path, body)
	if status != http.StatusOK {
		b.t.Fatalf("%s: %s %s %s: %d %v", person, method, path, body, status, reply)
	}
	return reply
}

// decides is the decision of an evaluation.
func (b *branch) decides(person, action, resource, context string) bool {
	b.t.Helper()
	reply := b.must("", "POST", "/access/v1/evaluation", fmt.Sprintf(
		`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":%s,"context":{%s}}`, person, action, resource, context))
	return reply["decision"] == true
}

const linasCustomer = `{"type":"customer","id":"c-1","properties":{"owner":"lina","department":"east"}}`

// offer is a share of lina's customer with some members changed; "" takes one out.
func (b *branch) offer(changes ...string) string {
	members := map[string]string{
		"resource": linasCustomer, "recipient": `"cleo"`, "actions": `["read"]`, "reason": `"holiday"`, "until": fmt.Sprintf("%q", b.now()+3600),
	}
	for i := 0; i < len(changes); i += 2 {
		if members[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(members, changes[i])
		}
	}
	var list []string
	for name, value := range members {
		list = append(list, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(list, ",") + "}"
}

func TestASharedRecordIsReadUntilTheShareEnds(t *testing.T) {
	for name, end := range map[string]func(*branch, string){
		"its end":                     func(b *branch, _ string) { b.ahead = 3600 },
		"the maker has left":          func(b *branch, _ string) { b.declared.Users[0].State = access.StateDeparted },
		"the maker has lost the role": func(b *branch, _ string) { b.declared.UserBindings = b.declared.UserBindings[1:] },
		"the recipient is suspended":  func(b *branch, _ string) { b.declared.Users[2].State = access.StateSuspended },
		"a revocation of the maker": func(b *branch, _ string) {
			b.declared.Revocations = []*access.Revocation{{Name: "stop", Target: access.Ref{Kind: access.KindUser, Name: "lina"}}}
		},
		"the maker ends it":           nil,
		"the recipient gives it back": nil,
	} {
		b := openBranch(t, func(*Options) {})
		id := b.must("lina", "POST", "/v1/shares", b.offer())["id"].(string)
		if !b.decides("cleo", "read", linasCustomer, "") || b.decides("cleo", "update", linasCustomer, "") {
			t.Fatalf("%s: before, the share does not give just what it names", name)
		}
		switch {
		case end != nil:
			b.change(func(b *branch) { end(b, id) })
		case strings.HasPrefix(name, "the maker"):
			b.must("lina", "DELETE", "/v1/shares/"+id, "")
		default:
			b.must("cleo", "DELETE", "/v1/shares/"+id, "")
		}
		if b.decides("cleo", "read", linasCustomer, "") {
			t.Errorf("%s: cleo reads on", name)
		}
	}
}

func TestAShareIsRefused(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	now := b.now()
	for name, c := range map[string]struct {
		person string
		body   string
		status int
	}{
		"to somebody who does not exist":      {"lina", b.offer("recipient", `"nobody"`), 400},
		"to an External without named fields": {"lina", b.offer("recipient", `"gast"`), 400},
		"of a field that there is none of":    {"lina", b.offer("onlyFields", `["shoeSize"]`), 400},
		"with an end that is past":            {"lina", b.offer("until", fmt.Sprintf("%q", now-1)), 400},
		"for longer than 31 days":             {"lina", b.offer("until", fmt.Sprintf("%q", now+32*86400)), 400},
		"without an end":                      {"lina", b.offer("until", ""), 400},
		"without a reason":                    {"lina", b.offer("reason", ""), 400},
		"without actions":                     {"lina", b.offer("actions", ""), 400},
		"of the sharing itself":               {"lina", b.offer("actions", `["share"]`), 400},
		"of creating":                         {"lina", b.offer("actions", `["create"]`), 400},
		"of what the maker does not have":     {"lina", b.offer("actions", `["read","delete"]`), 403},
		"with a level that is none":           {"lina", b.offer("level", `"all"`), 400},
		"of a list":                           {"lina", b.offer("resource", `{"type":"customer"}`), 400},
		"by somebody without it":              {"cleo", b.offer("recipient", `"boris"`), 403},
		"by an External":                      {"gast", b.offer(), 403},
		"of another's record":                 {"lina", b.offer("resource", `{"type":"customer","id":"c-2","properties":{"owner":"cleo"}}`), 403},
		"in another's name":                   {"cleo", b.offer("subject", `{"type":"user","id":"lina"}`), 403},
		"with oneself":                        {"lina", b.offer("recipient", `"lina"`), 400},
		"by nobody":                           {"", b.offer(), 401},
	} {
		if status, reply := b.as(c.person, "POST", "/v1/shares", c.body); status != c.status {
			t.Errorf("a share %s: %d %v, want %d", name, status, reply, c.status)
		}
	}
	for name, body := range map[string]string{
		"with an External of named fields": b.offer("recipient", `"gast"`, "onlyFields", `["name"]`), "for 31 days": b.offer("until", fmt.Sprintf("%q", now+31*86400-60)),
		"in one's own name": b.offer("subject", `{"type":"user","id":"lina"}`), "of a level": b.offer("level", `"masked"`, "actions", `["read","update"]`),
	} {
		b.must("lina", "POST", "/v1/shares", body)
		t.Logf("a share %s is made", name)
	}
}

func TestWhoWasGivenAShareDoesNotPassItOn(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	b.must("lina", "POST", "/v1/shares", b.offer("actions", `["read","update"]`))
	if status, reply := b.as("cleo", "POST", "/v1/shares", b.offer("recipient", `"boris"`)); status != http.StatusForbidden {
		t.Errorf("cleo passes it on: %d %v", status, reply)
	}
	// The twin: who holds it by a role of their own may.
	b.must("boris", "POST", "/v1/shares", b.offer())
}

func TestSharesAreSeenAndEndedByWhomTheyConcern(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	id := b.must("lina", "POST", "/v1/shares", b.offer())["id"].(string)
	for person, n := range map[string]int{"lina": 1, "cleo": 1, "boris": 0} {
		if shares := b.must(person, "GET", "/v1/shares", "")["shares"].([]any); len(shares) != n {
			t.Errorf("%s sees %v", person, shares)
		}
	}
	_, unknown := b.as("boris", "DELETE", "/v1/shares/0000", "")
	status, others := b.as("boris", "DELETE", "/v1/shares/"+id, "")
	if status != http.StatusNotFound || fmt.Sprint(unknown) != fmt.Sprint(others) {
		t.Errorf("another's share: %d %v, one that is not there %v", status, others, unknown)
	}
	if status, _ := b.with(b.tokenOf("other", "lina"), "DELETE", "/other/v1/shares/"+id, ""); status != http.StatusNotFound {
		t.Errorf("from another tenant: %d", status)
	}
	b.must("lina", "DELETE", "/v1/shares/"+id, "")
	if status, _ := b.as("lina", "DELETE", "/v1/shares/"+id, ""); status != http.StatusNotFound {
		t.Errorf("again: %d", status)
	}
}

func TestOnlyAValidTokenOfTheTenantSaysWhoAsks(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	good := b.tokenOf("acme", "lina")
	for name, bearer := range map[string]string{
		"none": "", "a bare name": "lina", "another tenant's": b.tokenOf("other", "lina"), "another subject": strings.Replace(good, "lina", "boris", 1),
		"one that was cut": good[:len(good)-1], "somebody who is not there": b.tokenOf("acme", "stranger"),
	} {
		for _, path := range []string{"/v1/shares", "/v1/me", "/access/v1/requests?role=subject"} {
			if status, reply := b.with(bearer, "GET", "/acme"+path, ""); status != http.StatusUnauthorized {
				t.Errorf("%s: GET %s: %d %v", name, path, status, reply)
			}
		}
		if status, reply := b.with(bearer, "POST", "/acme/v1/shares", b.offer()); status != http.StatusUnauthorized {
			t.Errorf("%s: a share: %d %v", name, status, reply)
		}
	}
	if status, reply := b.with(good, "GET", "/acme/v1/shares", ""); status != http.StatusOK {
		t.Errorf("a good one: %d %v", status, reply)
	}
	b.change(func(b *branch) { b.ahead = token.MaxLifetime })
	if status, _ := b.with(good, "GET", "/acme/v1/shares", ""); status != http.StatusUnauthorized {
		t.Errorf("one that has expired: %d", status)
	}
	b.change(func(b *branch) { b.ahead, b.declared.Users[0].State = 0, access.StateDeparted })
	if status, _ := b.with(good, "POST", "/acme/v1/shares", b.offer()); status != http.StatusUnauthorized {
		t.Errorf("somebody who has left: %d", status)
	}
	bare := openBranch(t, func(o *Options) { o.BareSubject = true })
	if status, reply := bare.with("lina", "POST", "/acme/v1/shares", bare.offer()); status != http.StatusOK {
		t.Errorf("a bare name where it counts: %d %v", status, reply)
	}
}

const (
	transferToCleo = `"action":{"name":"transfer"},"resource":` + linasCustomer + `,"context":{"target":{"user":"cleo"},"reason":"moves"}`
	toCleo         = `"target":{"user":"cleo"},"reason":"moves"`
)

// approved is the id of a request of lina's that boris has approved.
func (b *branch) approved(question string) string {
	b.t.Helper()
	id := b.must("lina", "POST", "/access/v1/requests", "{"+question+"}")["id"].(string)
	b.must("boris", "POST", "/access/v1/requests/"+id+"/answers", `{"decision":true,"comment":"fine"}`)
	return id
}

func counting(id string, more ...string) string {
	return strings.Join(append(more, fmt.Sprintf(`"approval":%q`, id)), ",")
}

func TestAnApprovalLetsJustItsOperationThrough(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	id := b.approved(transferToCleo)
	if !b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) || !b.decides("lina", "transfer", linasCustomer, toCleo+`,"approval":["0000","`+id+`"]`) {
		t.Fatal("what was approved is not allowed")
	}
	for name, c := range map[string]struct{ person, resource, context string }{
		"without the approval": {"lina", linasCustomer, toCleo},
		"of one that is not":   {"lina", linasCustomer, counting("0000", toCleo)},
		"to another target":    {"lina", linasCustomer, counting(id, `"target":{"user":"boris"},"reason":"moves"`)},
		"to no target":         {"lina", linasCustomer, counting(id, `"reason":"moves"`)},
		"to a department, too": {"lina", linasCustomer, counting(id, `"target":{"user":"cleo","department":"west"},"reason":"moves"`)},
		"for another reason":   {"lina", linasCustomer, counting(id, `"target":{"user":"cleo"},"reason":"revenge"`)},
		"for no reason":        {"lina", linasCustomer, counting(id, `"target":{"user":"cleo"}`)},
		"by another channel":   {"lina", linasCustomer, counting(id, toCleo, `"channel":"mobile"`)},
		"from another device":  {"lina", linasCustomer, counting(id, toCleo, `"device":"unmanaged"`)},
		"of another record":    {"lina", `{"type":"customer","id":"c-2","properties":{"owner":"lina","department":"east"}}`, counting(id, toCleo)},
		"of more rows":         {"lina", linasCustomer, counting(id, toCleo, `"rows":7`)},
		"by somebody else":     {"cleo", linasCustomer, counting(id, toCleo)},
	} {
		if b.decides(c.person, "transfer", c.resource, c.context) {
			t.Errorf("a transfer %s is allowed", name)
		}
	}
	b.change(func(b *branch) { b.declared.Users[1].State = access.StateSuspended })
	if b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("it counts although the approver is suspended")
	}
	b.change(func(b *branch) { b.declared.Users[1].State, b.ahead = access.StateActive, 24*3600 })
	if b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("it counts after its end")
	}
}

func TestAnApprovalOfAProposedRecordIsAboutAllThatWasSaidOfIt(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	payment := func(amount int) string {
		return fmt.Sprintf(`{"type":"payment","id":"p-1","properties":{"owner":"lina","amount":"%d"}}`, amount)
	}
	id := b.approved(`"action":{"name":"create"},"resource":` + payment(10))
	if !b.decides("lina", "create", payment(10), counting(id)) {
		t.Error("what was approved is not allowed")
	}
	if b.decides("lina", "create", payment(1000000), counting(id)) {
		t.Error("another amount is allowed")
	}
}

func TestWhoApprovesIsShownWhatIsProposedAndFromWhere(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	create := func(properties string) string {
		return `{"action":{"name":"create"},"resource":{"type":"payment","id":"p-1","properties":{"owner":"lina",` + properties + `}},"context":{"channel":"mobile","device":"managed","reason":"rent"}}`
	}
	b.must("lina", "POST", "/access/v1/requests", create(`"amount":1000000.50,"note":"<\u00e9>","tags":["a","b"],"none":[],"open":true,"gone":null,"bank":{"id":"b-1","swift":"X"}`))
	shown := b.must("boris", "GET", "/access/v1/requests?role=approver", "")["requests"].([]any)[0].(map[string]any)
	got, err := json.Marshal(shown["resource"])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"p-1","properties":{"amount":1000000.5,"bank":{"id":"b-1","swift":"X"},"gone":null,"none":[],"note":"\u003c\u00e9\u003e","open":true,"owner":"lina","tags":["a","b"]},"type":"payment"}`
	if string(got) != strings.Replace(want, `\u00e9`, "\u00e9", 1) {
		t.Errorf("boris is shown %s, want %s", got, want)
	}
	if from := fmt.Sprint(shown["channel"], shown["device"], shown["reason"]); from != fmt.Sprint("mobile", "managed", "rent") {
		t.Errorf("boris is shown %s", from)
	}
	if status, reply := b.as("lina", "POST", "/access/v1/requests", create(`"unknown":[1]`)); status != http.StatusBadRequest {
		t.Errorf("what cannot be shown: %d %v", status, reply)
	}
	// Of a stored record what the caller says binds nobody, and is not shown as if it did.
	b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")
	for _, r := range b.must("boris", "GET", "/access/v1/requests?role=approver", "")["requests"].([]any) {
		if of := r.(map[string]any)["resource"].(map[string]any); of["type"] == "customer" && of["properties"] != nil {
			t.Errorf("of a stored record: %v", of)
		}
	}
}

func TestWhatWaitsForSomebodyIsFoundBehindWhateverWaitsForOthers(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	end := schedule.Window{NotAfter: b.now() + 3600}
	for i := range 2010 {
		other := store.Request{Operation: store.Operation{Subject: fmt.Sprint("other-", i/store.MaxOpen), Action: "transfer", Object: "customer"}, Question: []byte("{}"), Window: end}
		if _, err := b.store.Ask(t.Context(), "acme", other); err != nil {
			t.Fatal(err)
		}
	}
	id := b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")["id"]
	var found []any
	pages := 0
	for next := any(""); next != nil; pages++ {
		page := b.must("boris", "GET", "/access/v1/requests?role=approver&page="+url.QueryEscape(next.(string)), "")
		for _, r := range page["requests"].([]any) {
			found = append(found, r.(map[string]any)["id"])
		}
		next = page["next"]
	}
	if len(found) != 1 || found[0] != id || pages != 2 {
		t.Errorf("%d pages with %v, want two with %v", pages, found, id)
	}
	if me := b.must("boris", "GET", "/v1/me", ""); me["waitingNext"] == nil {
		t.Errorf("nothing says that more waits: %v", me)
	}
	for _, page := range []string{"x", "2026-11-24T10:00:00Z", "yesterday.1", "2026-11-24T10:00:00Z.%00", "2026-11-24T10:00:00Z.%ff"} {
		if status, reply := b.as("boris", "GET", "/access/v1/requests?role=approver&page="+page, ""); status != http.StatusBadRequest {
			t.Errorf("page %s: %d %v", page, status, reply)
		}
	}
}

func TestARequestIsAnsweredByThoseWhomTheEngineNamesNow(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	asked := b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")
	id := asked["id"].(string)
	if approvers := asked["obligations"].([]any)[0].(map[string]any)["approvers"]; fmt.Sprint(approvers) != "[boris]" {
		t.Errorf("approvers %v", approvers)
	}
	answer := func(person, id string) (int, map[string]any) {
		return b.as(person, "POST", "/access/v1/requests/"+id+"/answers", `{"decision":true}`)
	}
	_, unknown := answer("boris", "0000")
	for _, person := range []string{"lina", "cleo", "gast"} {
		if status, reply := answer(person, id); status != http.StatusNotFound || fmt.Sprint(reply) != fmt.Sprint(unknown) {
			t.Errorf("%s answers: %d %v, an unknown id %v", person, status, reply, unknown)
		}
		if list := b.must(person, "GET", "/access/v1/requests?role=approver", "")["requests"].([]any); len(list) != 0 {
			t.Errorf("%s is shown %v", person, list)
		}
	}
	b.change(func(b *branch) { b.declared.Users[0].Manager = "cleo" })
	if status, _ := answer("boris", id); status != http.StatusNotFound {
		t.Error("who is not the manager any more answers")
	}
	b.change(func(b *branch) { b.declared.Users[0].Manager = "boris" })
	if list := b.must("boris", "GET", "/access/v1/requests?role=approver", "")["requests"].([]any); len(list) != 1 {
		t.Errorf("boris is shown %v", list)
	}
	if status, reply := answer("boris", id); status != http.StatusOK {
		t.Errorf("boris: %d %v", status, reply)
	}
	if status, _ := answer("boris", id); status != http.StatusNotFound {
		t.Error("boris answers twice")
	}
	if list := b.must("lina", "GET", "/access/v1/requests?role=subject", "")["requests"].([]any); len(list) != 1 || list[0].(map[string]any)["state"] != "open" {
		t.Errorf("lina is shown %v", list)
	}
}

func TestANoEndsARequest(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	id := b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")["id"].(string)
	b.must("boris", "POST", "/access/v1/requests/"+id+"/answers", `{"decision":false,"comment":"not now"}`)
	if b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("what was refused is allowed")
	}
}

func TestOnlyWhatNeedsApprovalIsAskedFor(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	for name, c := range map[string]struct {
		person, question string
		status           int
	}{
		"what is allowed":   {"lina", `"action":{"name":"read"},"resource":` + linasCustomer, 409},
		"what is denied":    {"lina", `"action":{"name":"delete"},"resource":` + linasCustomer, 403},
		"for somebody else": {"cleo", `"subject":{"type":"user","id":"lina"},` + transferToCleo, 403},
		"too long":          {"lina", transferToCleo + fmt.Sprintf(`,"until":%q`, b.now()+8*86400), 400},
		"it":                {"lina", transferToCleo + fmt.Sprintf(`,"until":%q`, b.now()+7*86400-60), 200},
	} {
		if status, reply := b.as(c.person, "POST", "/access/v1/requests", "{"+c.question+"}"); status != c.status {
			t.Errorf("asking for %s: %d %v, want %d", name, status, reply, c.status)
		}
	}
}

func TestAnApprovalIsUsedUpOnce(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	id := b.approved(transferToCleo)
	question := strings.Replace("{"+transferToCleo+"}", `"reason":"moves"`, `"reason":"moves","approval":"`+id+`"`, 1)
	if reply := b.must("lina", "POST", "/v1/usage", question); reply["decision"] != true || fmt.Sprint(reply["spent"]) != "["+id+"]" {
		t.Fatalf("the use: %v", reply)
	}
	if reply := b.must("lina", "POST", "/v1/usage", question); reply["decision"] != false {
		t.Errorf("the use again: %v", reply)
	}
	if b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("what was used up is allowed once more")
	}
	if status, _ := b.as("boris", "POST", "/access/v1/requests/"+id+"/answers", `{"decision":true}`); status != http.StatusNotFound {
		t.Error("what was used up is answered")
	}
}

func TestRowsAreUsedUpWithinTheLimitsAndTheApproval(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	list := `"action":{"name":"export"},"resource":{"type":"customer"}`
	use := func(context string) map[string]any {
		return b.must("lina", "POST", "/v1/usage", `{`+list+`,"context":{`+context+`}}`)
	}
	if reply := use(`"rows":400`); reply["decision"] != false || reply["context"] == nil {
		t.Errorf("without approval: %v", reply)
	}
	var ids []string
	for range 3 {
		ids = append(ids, b.approved(list+`,"context":{"rows":400}`))
	}
	if reply := use(`"rows":401,"approval":"` + ids[0] + `"`); reply["decision"] != false {
		t.Errorf("more rows than approved: %v", reply)
	}
	if reply := use(`"rows":400,"used":999,"approval":"` + ids[0] + `"`); reply["decision"] != true || fmt.Sprint(reply["used"], reply["limits"]) != "[400] [1000]" {
		t.Errorf("as many as approved, whatever the caller says was used: %v", reply)
	}
	if reply := use(`"rows":400,"used":0,"approval":"` + ids[1] + `"`); reply["decision"] != true {
		t.Errorf("and again: %v", reply)
	}
	if reply := use(`"rows":400,"used":0,"approval":"` + ids[2] + `"`); reply["decision"] != false {
		t.Errorf("beyond the day's limit, whatever the caller says was used: %v", reply)
	}
	if b.decides("lina", "export", `{"type":"customer"}`, `"rows":201,"approval":"`+ids[2]+`"`) {
		t.Error("an evaluation does not know what was used")
	}
	if reply := use(`"rows":200,"approval":"` + ids[2] + `"`); reply["decision"] != true || fmt.Sprint(reply["used"]) != "[1000]" {
		t.Errorf("what is left: %v", reply)
	}
}

func TestAFilterKnowsSharesAndApprovals(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	filter := func(person, action, context string) map[string]any {
		return b.must("", "POST", "/v1/filter", fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{"type":"customer"},"context":{%s}}`, person, action, context))
	}
	if reply := filter("cleo", "read", ""); reply["decision"] != false {
		t.Errorf("before the share: %v", reply)
	}
	b.must("lina", "POST", "/v1/shares", b.offer())
	if reply := filter("cleo", "read", ""); reply["decision"] != true || fmt.Sprint(reply["sql"].(map[string]any)["parameters"]) != "[[c-1] [lina]]" {
		t.Errorf("with the share: %v", reply)
	}
	id := b.approved(`"action":{"name":"export"},"resource":{"type":"customer"},"context":{"rows":400}`)
	for context, want := range map[string]bool{`"rows":400`: false, `"rows":400,"approval":"` + id + `"`: true, `"rows":401,"approval":"` + id + `"`: false} {
		if reply := filter("lina", "export", context); reply["decision"] != want {
			t.Errorf("an export with %s: %v", context, reply)
		}
	}
}

func TestOneSeesOfOneselfWhatOneMayDoAndWhatWaits(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")
	b.must("lina", "POST", "/v1/shares", b.offer("recipient", `"boris"`))
	me := b.must("boris", "GET", "/v1/me", "")
	if len(me["waiting"].([]any)) != 1 || len(me["shares"].([]any)) != 1 || fmt.Sprint(me["rights"]) !=
		"[map[action:read object:customer scopes:[department]] map[action:share object:customer scopes:[department]] map[action:transfer object:customer scopes:[department]]]" {
		t.Errorf("boris sees %v", me)
	}
	if want := "[map[most:map[name:read phone:masked] object:customer onLists:map[name:read phone:masked]]]"; fmt.Sprint(me["fields"]) != want {
		t.Errorf("boris sees of fields %v, want %s", me["fields"], want)
	}
	if me := b.must("cleo", "GET", "/v1/me", ""); len(me["rights"].([]any))+len(me["fields"].([]any))+len(me["waiting"].([]any))+len(me["shares"].([]any)) != 0 {
		t.Errorf("cleo sees %v", me)
	}
}

func TestWithoutAStoreNothingIsMadeAndNoApprovalCounts(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	id := b.approved(transferToCleo)
	bearer, offer := b.tokenOf("acme", "lina"), b.offer()
	b.change(func(b *branch) { b.away = true })
	if status, reply := b.with(bearer, "POST", "/acme/v1/shares", offer); status != http.StatusServiceUnavailable {
		t.Errorf("a share: %d %v", status, reply)
	}
	if b.decides("lina", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("an approval counts that nobody could look at")
	}
	if !b.decides("lina", "read", linasCustomer, "") {
		t.Error("what needs no store is denied")
	}
}

// logs is a branch with a log of decisions, and reads a person's part of it.
func logs(t *testing.T, sample int) (*branch, *DecisionLog, func(person string) []store.Decision) {
	t.Helper()
	var log *DecisionLog
	var b *branch
	b = openBranch(t, func(o *Options) {
		log = NewDecisionLog(LogOptions{Facts: factsOf(func(tenant string) Facts { return b.Facts(tenant) }), SampleReads: sample, Log: logr.Discard()})
		o.Log = log
	})
	return b, log, func(person string) []store.Decision {
		t.Helper()
		all, err := b.store.Logged(context.Background(), "acme", person, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
}

type factsOf func(string) Facts

func (f factsOf) Facts(tenant string) Facts { return f(tenant) }
func (f factsOf) Changed(string)            {}

func TestALogIsCompleteButForSampledReads(t *testing.T) {
	b, log, logged := logs(t, 10)
	for range 30 {
		b.decides("lina", "read", linasCustomer, "")
		b.decides("cleo", "read", linasCustomer, "")
		b.decides("lina", "update", linasCustomer, "")
	}
	b.decides("lina", "transfer", linasCustomer, toCleo)
	b.must("", "POST", "/v1/filter", `{"subject":{"type":"user","id":"cleo"},"action":{"name":"export"},"resource":{"type":"customer"}}`)
	b.must("lina", "POST", "/v1/shares", b.offer())
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, d := range append(logged("lina"), logged("cleo")...) {
		count[strings.Join([]string{d.Subject, d.Action, d.Object, d.Record, d.Effect, strings.Join(d.Reasons, "+"), fmt.Sprint(d.StandsFor)}, " ")]++
	}
	want := map[string]int{
		"lina read customer c-1 ALLOW allowed 10": 3, "cleo read customer c-1 DENY grants 1": 30, "lina update customer c-1 ALLOW allowed 1": 30,
		"lina transfer customer c-1 APPROVAL approval 1": 1, "lina share customer c-1 ALLOW shared 1": 1,
		"cleo export customer  DENY guardrails 1": 1,
	}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("logged %v\nwant %v", count, want)
	}
	if status, _ := b.as("", "POST", "/access/v1/evaluation", `{"subject":{"type":"user","id":"cleo"},"action":{"name":"delete"},"resource":`+linasCustomer+`}`); status != http.StatusServiceUnavailable {
		t.Errorf("a deny that could not be logged is answered with %d", status)
	}
}

func TestWhileTheStoreIsAwayDecisionsWaitForTheLogAndThenAreRefused(t *testing.T) {
	b, log, logged := logs(t, 1)
	b.change(func(b *branch) { b.away = true })
	deny := `{"subject":{"type":"user","id":"cleo"},"action":{"name":"read"},"resource":` + linasCustomer + `}`
	answered := 0
	for {
		status, _ := b.as("", "POST", "/access/v1/evaluation", deny)
		if status == http.StatusServiceUnavailable {
			break
		}
		answered++
	}
	if answered < 4000 {
		t.Errorf("refused after %d decisions", answered)
	}
	b.change(func(b *branch) { b.away = false })
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := log.Close(within); err != nil {
		t.Fatal(err)
	}
	all, err := b.store.Logged(t.Context(), "acme", "cleo", 0, 10000)
	if err != nil || len(all) != answered {
		t.Errorf("%d logged of %d answered, %v", len(all), answered, err)
	}
	_ = logged
}

// TestNothingIsMadeThatCannotBeLogged is also about whoever is told no, and has lost rows and an approval by it.
func TestNothingIsMadeThatCannotBeLogged(t *testing.T) {
	b, log, logged := logs(t, 1)
	kept := fmt.Sprint(b.must("lina", "POST", "/v1/shares", b.offer())["id"])
	id := b.approved(transferToCleo)
	use := strings.Replace("{"+transferToCleo+"}", `"reason":"moves"`, `"reason":"moves","approval":"`+id+`"`, 1)
	open := fmt.Sprint(b.must("lina", "POST", "/access/v1/requests", "{"+transferToCleo+"}")["id"])
	state := func() string {
		return fmt.Sprint(b.must("lina", "GET", "/v1/shares", ""), b.must("lina", "GET", "/access/v1/requests?role=subject", ""))
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, entries := state(), len(logged("lina"))+len(logged("boris"))
	for name, ask := range map[string][]string{
		"a share":   {"lina", "POST", "/v1/shares", b.offer()},
		"its end":   {"lina", "DELETE", "/v1/shares/" + kept, ""},
		"a request": {"lina", "POST", "/access/v1/requests", strings.Replace("{"+transferToCleo+"}", "c-1", "c-2", 1)},
		"an answer": {"boris", "POST", "/access/v1/requests/" + open + "/answers", `{"decision":true}`},
		"a usage":   {"lina", "POST", "/v1/usage", use},
	} {
		if status, reply := b.as(ask[0], ask[1], ask[2], ask[3]); status != http.StatusServiceUnavailable {
			t.Errorf("%s without a log: %d %v", name, status, reply)
		}
	}
	if after := state(); after != before || len(logged("lina"))+len(logged("boris")) != entries {
		t.Errorf("was refused, and made:\n%s\nwas\n%s", after, before)
	}
}

func TestWhatTheStoreRefusesGivesItsPlaceInTheLogBack(t *testing.T) {
	b, log, logged := logs(t, 1)
	tooLong := b.offer("until", fmt.Sprintf("%q", b.now()+40*24*3600))
	for range 3 {
		if status, reply := b.as("lina", "POST", "/v1/shares", tooLong); status != http.StatusBadRequest {
			t.Fatalf("a share of 40 days: %d %v", status, reply)
		}
	}
	b.must("lina", "POST", "/v1/shares", b.offer())
	if err := log.Close(t.Context()); err != nil { // waits for places that are taken
		t.Fatal(err)
	}
	if entries := logged("lina"); len(entries) != 1 {
		t.Errorf("logged %v", entries)
	}
}

// countingRecords has every record be lina's, and counts how often it is asked for one.
type countingRecords struct {
	asked   int
	forever bool
}

func (c *countingRecords) Record(ctx context.Context, _, id string) (*access.Record, error) {
	c.asked++
	if _, ends := ctx.Deadline(); !ends {
		c.forever = true
	}
	return &access.Record{ID: id, Owner: "lina", Department: "east"}, nil
}

func (*countingRecords) Page(context.Context, string, *access.Filter, string, int) ([]*access.Record, error) {
	return nil, nil
}

// storedBranch is a branch of which the records are stored.
type storedBranch struct {
	*branch
	records Records
}

func (s storedBranch) Snapshot(tenant string) (Snapshot, bool) {
	snapshot, ok := s.branch.Snapshot(tenant)
	snapshot.Records = s.records
	return snapshot, ok
}

func TestOneRequestDoesNotCostAQueryForEachOfItsItems(t *testing.T) {
	b, records := openBranch(t, func(*Options) {}), &countingRecords{}
	b.handler = New(storedBranch{b, records}, Options{Facts: b})
	ask := func(more, items string) (int, map[string]any, int) {
		records.asked = 0
		status, reply := b.as("", "POST", "/access/v1/evaluations", `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"c-1"}`+more+`,"evaluations":[`+items+`]}`)
		return status, reply, records.asked
	}
	status, reply, lookups := ask("", strings.Repeat("{},", 9999)+"{}")
	if list, _ := reply["evaluations"].([]any); status != http.StatusOK || len(list) != 10000 || lookups != 1 {
		t.Errorf("10,000 questions about one record: %d, %d answers, %d looked up", status, len(list), lookups)
	}
	var different []string
	for i := range 1001 {
		different = append(different, fmt.Sprintf(`{"resource":{"type":"customer","id":"c-%d"}}`, i))
	}
	if status, reply, lookups = ask("", strings.Join(different[:1000], ",")); status != http.StatusOK || lookups != 1000 {
		t.Errorf("1,000 records: %d %v, %d looked up", status, reply["error"], lookups)
	}
	if status, reply, lookups = ask("", strings.Join(different, ",")); status != http.StatusBadRequest || lookups != 1000 {
		t.Errorf("1,001 records: %d %v, %d looked up", status, reply["error"], lookups)
	}
	if status, reply, _ = ask(`,"context":{"approval":"a"}`, strings.Repeat("{},", 1001)+"{}"); status != http.StatusBadRequest {
		t.Errorf("1,002 questions with an approval: %d %v", status, reply["error"])
	}
	if records.forever {
		t.Error("looks up without an end")
	}
}

func TestWhoMayApproveNothingCostsNoLookups(t *testing.T) {
	b, records := openBranch(t, func(*Options) {}), &countingRecords{}
	for i := range 20 {
		b.must("lina", "POST", "/access/v1/requests", strings.Replace("{"+transferToCleo+"}", "c-1", fmt.Sprintf("c-%d", i), 1))
	}
	b.handler = New(storedBranch{b, records}, Options{Facts: b})
	b.must("cleo", "GET", "/v1/me", "")
	b.must("cleo", "GET", "/access/v1/requests?role=approver", "")
	if records.asked != 0 {
		t.Errorf("%d records are looked up for somebody who may approve nothing", records.asked)
	}
	if waiting, _ := b.must("boris", "GET", "/v1/me", "")["waiting"].([]any); len(waiting) != 20 || records.asked != 20 {
		t.Errorf("%d wait for the manager, %d looked up", len(waiting), records.asked)
	}
}

func TestWhoSharesDoesNotApproveWhatTheRecipientDoes(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	b.change(func(b *branch) {
		b.declared.Users = append(b.declared.Users, &access.User{Name: "sub", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"east"}, Manager: "lina"})
	})
	b.must("lina", "POST", "/v1/shares", b.offer("recipient", `"sub"`, "actions", `["read","transfer"]`))
	id := b.must("sub", "POST", "/access/v1/requests", "{"+transferToCleo+"}")["id"].(string)
	if status, answer := b.as("lina", "POST", "/access/v1/requests/"+id+"/answers", `{"decision":true}`); status == 200 {
		t.Errorf("lina approves what sub does by her share: %v", answer)
	}
	if b.decides("sub", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("sub transfers what lina may not without boris")
	}
	b.must("boris", "POST", "/access/v1/requests/"+id+"/answers", `{"decision":true}`)
	if !b.decides("sub", "transfer", linasCustomer, counting(id, toCleo)) {
		t.Error("sub does not transfer with the yes of boris, to whom lina reports")
	}
}
