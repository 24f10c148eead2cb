package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// now is the store's clock in whole seconds.
func (l *leader) now(t testing.TB) schedule.Instant {
	t.Helper()
	read, err := l.Tenant(t.Context(), l.tenant.Name)
	if err != nil {
		t.Fatal(err)
	}
	return schedule.At(read.Now)
}

func between(from, to schedule.Instant) schedule.Window {
	return schedule.Window{NotBefore: from, NotAfter: to}
}

// settle settles, and checks that what is left is exactly rows.
func (l *leader) settle(t *testing.T, rows map[store.RowID]string) store.Committed {
	t.Helper()
	held := l.held
	got, err := l.Settle(t.Context(), l.tenant)
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	if !equalChanges(got.Changes, store.Diff(held, rows)) {
		t.Errorf("changes: got %v, want %v", got.Changes, store.Diff(held, rows))
	}
	l.load(t)
	sameRows(t, l.held, rows)
	sameTenant(t, got.Tenant, l.tenant)
	l.verify(t)
	return got
}

var settling = []test{
	{"settling removes what ended, the tuples nobody holds any more, and nothing else", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		lasting := with(organisation(t), rowsOf(t, grant("later", between(now, now+7200), "li-ting")),
			rowsOf(t, grant("other-users", between(now, now+7200), "tang-yue")))
		// Of this grant one user's window ends and the other's does not: the tuple stays.
		half := grant("other-users", between(now, now+3600), "li-ting")
		l.commit(t, with(lasting, rowsOf(t, half), rowsOf(t, grant("yearend", between(now-60, now+3600), "li-ting", "tang-yue"))))
		h.Advance(t, tenant, now+3600)
		got := l.settle(t, lasting)
		if len(got.Changes) != 4 {
			t.Errorf("%d rows removed, want three holders and one tuple", len(got.Changes))
		}
		if got.Tenant.SettledThrough < now+3600 {
			t.Errorf("settled through %s, want at least %s", got.Tenant.SettledThrough, now+3600)
		}
		entries := l.ledger(t)
		if last := entries[len(entries)-1]; last.Cause != "settle" || last.Revision != got.Tenant.Revision || last.At != got.Tenant.SettledThrough {
			t.Errorf("the last ledger entry is %s %s at %s", last.Revision, last.Cause, last.At)
		}
		if l.tenant.Tampered != 0 {
			t.Error("settling counts as tampering")
		}
	}},
	{"a window is over at its end and not a second before", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		rows := with(rowsOf(t, grant("a", between(now, now+3600), "li-ting")), rowsOf(t, grant("b", between(now, now+3601), "li-ting")))
		l.commit(t, rows)
		h.Advance(t, tenant, now+3599)
		l.settle(t, rows)
		h.Advance(t, tenant, now+3600)
		l.settle(t, without(rows, grantRef("a")))
	}},
	{"settling twice changes nothing the second time", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		l.commit(t, with(organisation(t), rowsOf(t, grant("yearend", between(now, now+60), "li-ting"))))
		h.Advance(t, tenant, now+60)
		l.settle(t, organisation(t))
		before := h.State(t)
		again, err := l.Settle(t.Context(), l.tenant)
		if err != nil || len(again.Changes) != 0 {
			t.Errorf("changes %v, %v", again.Changes, err)
		}
		sameTenant(t, again.Tenant, l.tenant)
		if after := h.State(t); after != before {
			t.Error("the database was written")
		}
	}},
	{"settling needs no knowledge of the content", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		l.commit(t, with(organisation(t), rowsOf(t, grant("yearend", between(now, now+60), "li-ting"))))
		h.Advance(t, tenant, now+60)
		s := h.Open(t)
		claimed, err := s.Claim(t.Context(), tenant, ours, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Settle(t.Context(), claimed); err != nil || len(got.Changes) != 2 {
			t.Errorf("changes %v, %v", got.Changes, err)
		}
		l.load(t)
		sameRows(t, l.held, organisation(t))
	}},
	{"an old leader settles nothing", func(t *testing.T, h Harness) {
		old := lead(t, h, tenant)
		now := old.now(t)
		rows := with(organisation(t), rowsOf(t, grant("yearend", between(now, now+60), "li-ting")))
		old.commit(t, rows)
		young := lead(t, h, tenant)
		h.Advance(t, tenant, now+60)
		before := h.State(t)
		if _, err := old.Settle(t.Context(), old.tenant); !errors.Is(err, store.ErrFenced) {
			t.Errorf("got %v, want ErrFenced", err)
		}
		if after := h.State(t); after != before {
			t.Error("a fenced leader wrote")
		}
		young.settle(t, organisation(t))
	}},
	{"settling one tenant leaves the others'", func(t *testing.T, h Harness) {
		a, b := lead(t, h, "huayue"), lead(t, h, "qingyun")
		now := a.now(t)
		rows := with(organisation(t), rowsOf(t, grant("yearend", between(now, now+60), "li-ting")))
		a.commit(t, rows)
		b.commit(t, rows)
		h.Advance(t, "huayue", now+60)
		a.settle(t, organisation(t))
		b.load(t)
		sameRows(t, b.held, rows)
	}},
	{"what has no end is never settled, nor a role's tuples that nobody holds", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		bound := binding("until", "sales-rep", "li-ting")
		bound.Holders[0].Window = between(schedule.Always, now+60)
		rows := rowsOf(t, role("sales-rep", "read"))
		endless := binding("endless", "other", "li-ting")
		endless.Holders[0].Window = between(now, schedule.Forever)
		rows = with(rows, rowsOf(t, endless))
		l.commit(t, with(rows, rowsOf(t, bound)))
		h.Advance(t, tenant, now+3600)
		l.settle(t, rows)
	}},
	{"three hundred grants of two users end in one revision", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		rows := organisation(t)
		for i := range 300 {
			rows = with(rows, rowsOf(t, grant(fmt.Sprintf("grant-%03d", i), between(now, now+60), "li-ting", "tang-yue")))
		}
		l.commit(t, rows)
		h.Advance(t, tenant, now+60)
		l.settle(t, organisation(t))
		if want := (store.Revision{Epoch: 1, Number: 2}); l.tenant.Revision != want {
			t.Errorf("revision %s, want %s", l.tenant.Revision, want)
		}
	}},
	{"the store's clock never runs backwards, for any tenant, on any handle", func(t *testing.T, h Harness) {
		a, b := lead(t, h, "huayue"), lead(t, h, "qingyun")
		ahead := a.now(t) + 86400
		h.Advance(t, "huayue", ahead)
		for _, l := range []*leader{a, b, lead(t, h, "huayue"), lead(t, h, "new")} {
			if now := l.now(t); now < ahead {
				t.Errorf("%s reads %s after the clock stood at %s", l.tenant.Name, now, ahead)
			}
		}
		b.load(t)
		b.commit(t, organisation(t))
		if b.tenant.SettledThrough < ahead {
			t.Errorf("a commit settled through %s, earlier than the clock's %s", b.tenant.SettledThrough, ahead)
		}
		entries := b.ledger(t)
		if at := entries[len(entries)-1].At; at != b.tenant.SettledThrough {
			t.Errorf("the ledger says %s, the tenant row %s", at, b.tenant.SettledThrough)
		}
	}},
	{"the engine and the store agree on what has ended", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		facts := role("sales-rep", "read")
		for i := range schedule.Instant(10) {
			more := grant(fmt.Sprint("grant-", i), between(now+i, now+600+i), "li-ting", "tang-yue")
			facts.Tuples = append(facts.Tuples, more.Tuples...)
			facts.Holders = append(facts.Holders, more.Holders...)
		}
		l.commit(t, rowsOf(t, facts))
		h.Advance(t, tenant, now+604)
		l.settle(t, rowsOf(t, facts.WithoutEnded(now+604)))
		decoded, _, err := store.Decode(rowsIn(l.held))
		if err != nil {
			t.Fatal(err)
		}
		if left := decoded.WithoutEnded(now + 604); len(left.Holders) != len(decoded.Holders) || len(left.Tuples) != len(decoded.Tuples) {
			t.Error("the engine finds more ended")
		}
	}},
}

func rowsIn(index map[store.RowID]string) []store.Row {
	rows := make([]store.Row, 0, len(index))
	for id, body := range index {
		rows = append(rows, store.Row{RowID: id, Body: body})
	}
	return rows
}
