package postgres_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

func TestAnApprovalIsSpentByWhatItAllowsAndByNothingElse(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	become(t, s, access.Resolve(office()).Facts)
	app := application(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	say(t, app, "token", made)
	say(t, h.hand, "token", made)
	approved := func() string {
		asked, err := s.Ask(t.Context(), tenant, store.Request{
			Operation: store.Operation{Subject: "li-ting", Action: "delete", Object: "customer", Record: "c-1"},
			Question:  json.RawMessage(`{}`), Window: schedule.Window{NotBefore: now, NotAfter: now + 3600}, UsedAt: schedule.Forever,
		})
		if err == nil {
			err = s.Answer(t.Context(), tenant, asked.ID, store.Answer{Approver: "chen-mo", Approves: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		say(t, app, "context", fmt.Sprintf(`{"approval": %q}`, asked.ID))
		say(t, h.hand, "context", fmt.Sprintf(`{"approval": %q}`, asked.ID))
		return asked.ID
	}
	use := func(call, want string) {
		t.Helper()
		if got, _ := decide(t, app, call); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}

	approved()
	use(`decide('delete', 'customer', `+hers+`)`, "allow")
	use(`use('read', 'customer', `+hers+`)`, "allow") // needs none
	use(`use('delete', 'customer', '{"id": "c-7", "owner": "li-ting"}')`, "needs-approval")
	use(`use('delete', 'customer', `+theirs+`)`, "deny")
	use(`use('delete', 'customer', `+hers+`, context => '"x"')`, "deny")
	use(`use('delete', 'customer', `+hers+`)`, "allow")
	use(`use('delete', 'customer', `+hers+`)`, "needs-approval")
	use(`decide('delete', 'customer', `+hers+`)`, "needs-approval")

	// What is rolled back was not done.
	approved()
	for range 2 {
		if _, err := app.Exec(t.Context(), `BEGIN`); err != nil {
			t.Fatal(err)
		}
		use(`use('delete', 'customer', `+hers+`)`, "allow")
		if _, err := app.Exec(t.Context(), `ROLLBACK`); err != nil {
			t.Fatal(err)
		}
	}

	// What a trigger lets through spends it, too.
	const write = `SELECT crm_access.require('` + tenant + `', 'customer', 'delete', ` + hers + `, '{}', NULL)`
	if _, err := h.hand.Exec(t.Context(), write); err != nil {
		t.Error(err)
	}
	if _, err := h.hand.Exec(t.Context(), write); err == nil {
		t.Error("a trigger lets through what was spent")
	}

	// Of two at once one is first.
	id := approved()
	if _, err := h.hand.Exec(t.Context(), `BEGIN; UPDATE crm_access.request SET used_at = date_trunc('second', now()) WHERE id = '`+id+`'`); err != nil {
		t.Fatal(err)
	}
	second := make(chan string)
	go func() {
		var got string
		_ = app.QueryRow(t.Context(), `SELECT decision FROM crm_access.use('delete', 'customer', `+hers+`)`).Scan(&got)
		second <- got
	}()
	waitForALock(t, h)
	if _, err := h.hand.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if got := <-second; got != "needs-approval" {
		t.Errorf("the second is told %q", got)
	}
}

// waitForALock returns when somebody stands in line.
func waitForALock(t *testing.T, h *harness) {
	t.Helper()
	for range 10_000 {
		var waits bool
		if err := h.hand.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
	}
	t.Fatal("nobody waits")
}
