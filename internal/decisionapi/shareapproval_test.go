package decisionapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// guarded is a branch where a share of a customer needs the approval of the maker's manager.
func guarded(t *testing.T, when access.ApproveWhen) *branch {
	b := openBranch(t, func(*Options) {})
	b.declared.Guardrails[0].Rules = append(b.declared.Guardrails[0].Rules, access.GuardrailRule{Approve: &access.ApproveRule{
		Target: access.Target{Objects: []string{"customer"}, Actions: []string{"share"}}, When: when, By: []access.Approver{{ManagerOfSubject: true}},
	}})
	return b
}

// wish is a request of lina's to share her customer with cleo until an instant, with some terms changed.
func (b *branch) wish(until string, changes ...string) string {
	terms := `{"recipient":"cleo","actions":["read","update"],"level":"masked","onlyFields":["name","phone"],"until":` + until + `}`
	return `"action":{"name":"share"},"resource":` + linasCustomer + `,"context":{"reason":"holiday"},"share":` + strings.NewReplacer(changes...).Replace(terms)
}

func TestAnApprovedShareIsMadeOnItsTermsAndOnce(t *testing.T) {
	b := guarded(t, access.ApproveWhen{})
	until := fmt.Sprintf("%q", b.now()+3600)
	approved := []string{"actions", `["update","read"]`, "level", `"masked"`, "onlyFields", `["phone","name"]`, "until", until}
	with := func(id string, changes ...string) string {
		return b.offer(append(append(approved, "context", `{"approval":"`+id+`"}`), changes...)...)
	}
	if status, reply := b.as("lina", "POST", "/v1/shares", b.offer(approved...)); status != http.StatusForbidden {
		t.Fatalf("without approval: %d %v", status, reply)
	}
	id, transfer := b.approved(b.wish(until)), b.approved(transferToCleo)
	for name, offer := range map[string]string{
		"with another recipient":                with(id, "recipient", `"boris"`),
		"with an External":                      with(id, "recipient", `"gast"`),
		"of another record":                     with(id, "resource", `{"type":"customer","id":"c-2","properties":{"owner":"lina","department":"east"}}`),
		"of an action more":                     with(id, "actions", `["read","update","transfer"]`),
		"of an action less":                     with(id, "actions", `["read"]`),
		"of a higher level":                     with(id, "level", `"edit"`),
		"of the level that is the default":      with(id, "level", ""),
		"of every field":                        with(id, "onlyFields", ""),
		"of a field less":                       with(id, "onlyFields", `["name"]`),
		"of no field":                           with(id, "onlyFields", `[]`),
		"for a second longer":                   with(id, "until", fmt.Sprintf("%q", b.now()+3601)),
		"for another reason":                    with(id, "reason", `"they pay me"`),
		"by an approval of something else":      with(transfer),
		"by an approval that there is none of":  with("0000"),
		"for a reason that only the share says": with(id, "context", `{"approval":"`+id+`","reason":"holiday"}`, "reason", `"they pay me"`),
	} {
		if status, reply := b.as("lina", "POST", "/v1/shares", offer); status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("a share %s: %d %v", name, status, reply)
		}
	}
	b.must("lina", "POST", "/v1/shares", with(id))
	if !b.decides("cleo", "update", linasCustomer, "") {
		t.Error("what was approved and made gives nothing")
	}
	if status, reply := b.as("lina", "POST", "/v1/shares", with(id)); status != http.StatusForbidden {
		t.Errorf("once more: %d %v", status, reply)
	}
	if requests := b.must("lina", "GET", "/access/v1/requests?role=subject", "")["requests"].([]any); !strings.Contains(fmt.Sprint(requests), "state:used") {
		t.Errorf("the request was not used up: %v", requests)
	}
	if shares := b.must("lina", "GET", "/v1/shares", "")["shares"].([]any); len(shares) != 1 {
		t.Errorf("shares %v", shares)
	}
}

func TestOfManySharesAtOnceByOneApprovalOneIsMade(t *testing.T) {
	b := guarded(t, access.ApproveWhen{})
	until := fmt.Sprintf("%q", b.now()+3600)
	id, bearer := b.approved(b.wish(until)), b.tokenOf("acme", "lina")
	offer := b.offer("actions", `["read","update"]`, "level", `"masked"`, "onlyFields", `["name","phone"]`, "until", until, "context", `{"approval":"`+id+`"}`)
	var made atomic.Int64
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if status, _ := b.with(bearer, "POST", "/acme/v1/shares", offer); status == http.StatusOK {
				made.Add(1)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d were made, want 1", made.Load())
	}
}

func TestWhoApprovesAShareIsShownItsTerms(t *testing.T) {
	b := guarded(t, access.ApproveWhen{})
	until := fmt.Sprintf("%q", b.now()+3600)
	b.must("lina", "POST", "/access/v1/requests", "{"+b.wish(until)+"}")
	shown := b.must("boris", "GET", "/access/v1/requests?role=approver", "")["requests"].([]any)[0].(map[string]any)
	if got, want := fmt.Sprint(shown["share"]), "map[actions:[read update] level:masked onlyFields:[name phone] recipient:cleo until:"+strings.Trim(until, `"`)+"]"; got != want {
		t.Errorf("boris is shown %s, want %s", got, want)
	}
	for name, c := range map[string]struct {
		question string
		status   int
	}{
		"without its terms":            {`"action":{"name":"share"},"resource":` + linasCustomer, 400},
		"without an end":               {b.wish(until, `,"until":`+until, ""), 400},
		"with nobody":                  {b.wish(until, "cleo", "nobody"), 400},
		"with an External, of all":     {b.wish(until, "cleo", "gast", `"onlyFields":["name","phone"],`, ""), 400},
		"of what she does not have":    {b.wish(until, `"update"`, `"delete"`), 403},
		"of a list":                    {strings.Replace(b.wish(until), `"c-1"`, `""`, 1), 400},
		"with an External, of a field": {b.wish(until, "cleo", "gast"), 200},
	} {
		if status, reply := b.as("lina", "POST", "/access/v1/requests", "{"+c.question+"}"); status != c.status {
			t.Errorf("asking for a share %s: %d %v, want %d", name, status, reply, c.status)
		}
	}
}

func TestTheRecipientOfAShareIsItsTarget(t *testing.T) {
	b := guarded(t, access.ApproveWhen{OtherDepartment: true})
	for name, c := range map[string]struct {
		recipient, context string
		status             int
	}{
		"in another department":                             {"cleo", ``, 403},
		"in another department, who is the target":          {"cleo", `"target":{"user":"cleo"}`, 403},
		"in another department, and a colleague is said":    {"cleo", `"target":{"user":"boris"}`, 400},
		"in another department, and one's own is said":      {"cleo", `"target":{"department":"east"}`, 400},
		"in another department, and both are said":          {"cleo", `"target":{"user":"boris","department":"east"}`, 400},
		"in one's own department":                           {"boris", ``, 200},
		"in one's own department, who is the target, again": {"boris", `"target":{"user":"boris"}`, 200},
	} {
		if status, reply := b.as("lina", "POST", "/v1/shares", b.offer("recipient", `"`+c.recipient+`"`, "context", `{`+c.context+`}`)); status != c.status {
			t.Errorf("with somebody %s: %d %v, want %d", name, status, reply, c.status)
		}
	}
	if b.decides("cleo", "read", linasCustomer, "") {
		t.Error("cleo reads what nobody approved")
	}
}

func TestWhoMayNotShareLearnsNothingOfOthers(t *testing.T) {
	b := openBranch(t, func(*Options) {})
	answers := map[string]bool{}
	for _, recipient := range []string{`"nobody"`, `"boris"`, `"gast"`, `"cleo"`} {
		status, reply := b.as("gast", "POST", "/v1/shares", b.offer("recipient", recipient))
		answers[fmt.Sprint(status, reply)] = true
	}
	if len(answers) != 1 {
		t.Errorf("gast is answered %v", answers)
	}
	// The twin: who may share is told what is wrong with the recipient.
	if status, reply := b.as("lina", "POST", "/v1/shares", b.offer("recipient", `"nobody"`)); status != http.StatusBadRequest {
		t.Errorf("lina: %d %v", status, reply)
	}
}
