package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// commitRefused commits, and checks that exactly the refused objects' rows were left as they were, and that the ledger
// tells the same story.
func (l *leader) commitRefused(t *testing.T, rows map[store.RowID]string, refused ...access.Ref) store.Committed {
	t.Helper()
	want := rows
	for _, owner := range refused {
		want = without(want, owner)
		for id, body := range l.held {
			if id.Owner == owner {
				want[id] = body
			}
		}
	}
	got, err := l.Commit(t.Context(), l.write(rows))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Refused) != len(refused) {
		t.Errorf("refused: got %v, want %v", got.Refused, refused)
	}
	for _, owner := range refused {
		if !errors.Is(got.Refused[owner], store.ErrRefused) {
			t.Errorf("%s: got %v, want ErrRefused", owner, got.Refused[owner])
		}
	}
	if !equalChanges(got.Changes, store.Diff(l.held, want)) {
		t.Errorf("changes: got %v, want %v", got.Changes, store.Diff(l.held, want))
	}
	l.load(t)
	sameRows(t, l.held, want)
	sameTenant(t, got.Tenant, l.tenant)
	l.verify(t)
	return got
}

var refusing = []test{
	{"text with U+0000 is refused with its object, and the rest is kept", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		bad := user("han-dong")
		bad.Users[0].DisplayName = "nul\x00byte"
		l.commitRefused(t, with(organisation(t), rowsOf(t, bad)), userRef("han-dong"))
	}},
	{"U+0000 is refused wherever it stands", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		inKey, inList, inCondition, inName := binding("key", "sales-rep", "a\x00"), role("list", "read\x00"), role("condition", "read"), user("name\x00")
		inCondition.Tuples[0].Where[0].Values[0] = "\x00"
		inRule, inDocument := access.Facts{Guardrails: rules().Guardrails}, access.Facts{Approvals: rules().Approvals[:1]}
		inRule.Guardrails[0].Rule.Limit.Objects[0] = "\x00"
		inDocument.Approvals[0].Document = json.RawMessage(`{"person":"\u0000"}`)
		sourced := bindingRef("sourced")
		rows := with(organisation(t), rowsOf(t, inKey), rowsOf(t, inList), rowsOf(t, inCondition), rowsOf(t, inName),
			rowsOf(t, inRule), rowsOf(t, inDocument), rowsOf(t, access.Facts{}, source(t, sourced, `{"justification": "\u0000"}`)))
		l.commitRefused(t, rows, bindingRef("key"), roleRef("list"), roleRef("condition"), userRef("name\x00"), guardrailRef("export"), approvalRef("yes"), sourced)
	}},
	{"an object that is refused keeps the rows it had", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		bad := user("li-ting")
		bad.Users[0].State = access.StateSuspended
		bad.Users[0].DisplayName = "\x00"
		bad.Memberships[0].Department = "finance"
		l.commitRefused(t, with(without(organisation(t), userRef("tang-yue")), rowsOf(t, bad)), userRef("li-ting"))
	}},
	{"a rule of the database's own refuses an object, and the rest is kept", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		h.Forbid(t, "mallory")
		l.commitRefused(t, with(organisation(t), rowsOf(t, user("mallory"))), userRef("mallory"))
	}},
	{"of two hundred objects five are refused, and all others kept", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		rows := many(t, 200)
		var refused []access.Ref
		for _, i := range []int{0, 1, 77, 150, 199} {
			bad := user(fmt.Sprintf("user-%04d", i))
			bad.Memberships[0].Department = "\x00"
			rows = with(rows, rowsOf(t, bad))
			refused = append(refused, bad.Users[0].Owner)
		}
		l.commitRefused(t, rows, refused...)
	}},
	{"where everything is refused nothing is written", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		bad := user("han-dong\x00")
		l.commit(t, organisation(t))
		before := l.tenant
		got := l.commitRefused(t, with(organisation(t), rowsOf(t, bad)), bad.Users[0].Owner)
		sameTenant(t, got.Tenant, before)
		if entries := l.ledger(t); len(entries) != 1 {
			t.Errorf("%d ledger entries, want the first commit's alone", len(entries))
		}
	}},
	{"a brake is kept though everything is refused", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		bad := user("han-dong\x00")
		commit := l.write(rowsOf(t, bad))
		commit.Brake = "held"
		got, err := l.Commit(t.Context(), commit)
		if err != nil || len(got.Refused) != 1 {
			t.Fatalf("refused %v, %v", got.Refused, err)
		}
		l.load(t)
		if l.tenant.Brake != "held" || l.tenant.Revision.Number != 0 || l.tenant.Tampered != 0 {
			t.Errorf("tenant: %+v", l.tenant)
		}
	}},
}
