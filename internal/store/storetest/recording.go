package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// ledger reads all entries, a few at a time.
func (l *leader) ledger(t testing.TB) []store.Entry {
	t.Helper()
	var all []store.Entry
	after := store.Revision{}
	for {
		entries, err := l.Ledger(t.Context(), l.tenant.Name, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		all = append(all, entries...)
		after = entries[len(entries)-1].Revision
	}
}

// verify checks the chain from its beginning to the tenant row's head, and that replaying it gives the rows there are.
func (l *leader) verify(t testing.TB) {
	t.Helper()
	entries := l.ledger(t)
	if err := ledger.Verify(entries); err != nil {
		t.Fatal(err)
	}
	head, replayed := "", map[store.RowID]string{}
	for i, entry := range entries {
		if i == 0 && entry.Previous != "" {
			t.Fatalf("the first entry follows %s", entry.Previous)
		}
		head = entry.Hash
		replay(t, replayed, entry)
	}
	if head != l.tenant.LedgerHead {
		t.Fatalf("the ledger ends with %s, the tenant row says %s", head, l.tenant.LedgerHead)
	}
	sameRows(t, replayed, l.held)
}

// replay applies an entry, read as anyone would who has the ledger alone.
func replay(t testing.TB, rows map[store.RowID]string, entry store.Entry) {
	t.Helper()
	var body struct {
		Changes []struct {
			Op            string
			Table         store.Table
			OwnerKind     access.Kind `json:"owner_kind"`
			OwnerName     string      `json:"owner_name"`
			Key           string
			Before, After json.RawMessage
		}
	}
	if err := json.Unmarshal(entry.Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, c := range body.Changes {
		id := store.RowID{Table: c.Table, Owner: access.Ref{Kind: c.OwnerKind, Name: c.OwnerName}, Key: c.Key}
		if rows[id] != string(c.Before) {
			t.Fatalf("%s %s %v: the ledger says it was %s, but it was %s", entry.Revision, c.Op, id, c.Before, rows[id])
		}
		store.Apply(rows, []store.Change{{RowID: id, Before: string(c.Before), After: string(c.After)}})
	}
}

var recording = []test{
	{"the ledger chains from the first commit to the tenant row, and replays to what is there", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.verify(t)
		rows := map[store.RowID]string{}
		for i := range 20 {
			rows = with(rows, rowsOf(t, user(fmt.Sprint("user-", i))), rowsOf(t, role("sales-rep", fmt.Sprint("action-", i))))
			if i%3 == 0 {
				rows = without(rows, userRef(fmt.Sprint("user-", i/2)))
			}
			l.commit(t, rows)
		}
		l.commit(t, hostileRows(t))
		l.verify(t)
		if entries := l.ledger(t); len(entries) != 21 {
			t.Errorf("%d entries, want 21", len(entries))
		}
	}},
	{"the ledger is read from any revision on, oldest first, as many as asked", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		for i := range 3 {
			l.commit(t, rowsOf(t, user(fmt.Sprint("user-", i))))
		}
		raised := l.write(l.held)
		raised.RaiseEpoch = true
		if _, err := l.Commit(t.Context(), raised); err != nil {
			t.Fatal(err)
		}
		l.load(t)
		l.commit(t, organisation(t))
		for _, c := range []struct {
			after store.Revision
			limit int
			want  string
		}{
			{store.Revision{}, 100, "[1.1 1.2 1.3 2.1 2.2]"},
			{store.Revision{}, 2, "[1.1 1.2]"},
			{store.Revision{Epoch: 1, Number: 2}, 2, "[1.3 2.1]"},
			{store.Revision{Epoch: 1, Number: 99}, 100, "[2.1 2.2]"},
			{store.Revision{Epoch: 2, Number: 2}, 100, "[]"},
		} {
			entries, err := l.Ledger(t.Context(), tenant, c.after, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			revisions := []store.Revision{}
			for _, e := range entries {
				revisions = append(revisions, e.Revision)
			}
			if got := fmt.Sprint(revisions); got != c.want {
				t.Errorf("after %s, %d: got %s, want %s", c.after, c.limit, got, c.want)
			}
		}
	}},
	{"the ledger refuses to be rewritten", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		for _, statement := range []string{
			`UPDATE ` + h.Schema() + `ledger SET cause = 'repair'`,
			`DELETE FROM ` + h.Schema() + `ledger`,
		} {
			if err := h.Exec(t, statement); err == nil {
				t.Errorf("%s: done", statement)
			}
		}
		l.verify(t)
	}},
	{"a ledger that was rewritten all the same does not verify, and names the place", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		for i := range 4 {
			l.commit(t, rowsOf(t, user(fmt.Sprint("user-", i))))
		}
		h.UnlockLedger(t)
		if err := h.Exec(t, `UPDATE `+h.Schema()+`ledger SET body = replace(body, 'user-1', 'user-9') WHERE revision = 2`); err != nil {
			t.Fatal(err)
		}
		var broken *ledger.BrokenLink
		if err := ledger.Verify(l.ledger(t)); !errors.As(err, &broken) || broken.Revision != (store.Revision{Epoch: 1, Number: 2}) {
			t.Errorf("rewritten: got %v, want revision 1.2", err)
		}
		if err := h.Exec(t, `DELETE FROM `+h.Schema()+`ledger WHERE revision = 2`); err != nil {
			t.Fatal(err)
		}
		if err := ledger.Verify(l.ledger(t)); !errors.As(err, &broken) || broken.Revision != (store.Revision{Epoch: 1, Number: 3}) {
			t.Errorf("removed: got %v, want revision 1.3", err)
		}
	}},
	{"a restored backup is seen by its revision, or by its ledger where it has come as far again", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		restore := h.Backup(t)
		before := lead(t, h, tenant)
		before.commit(t, rowsOf(t, user("bai-he")))
		seen := before.tenant
		restore()

		after := lead(t, h, tenant)
		if after.tenant.Revision.Compare(seen.Revision) >= 0 || after.tenant.LedgerHead == seen.LedgerHead {
			t.Errorf("the copy is at %s %s, and %s %s had been seen", after.tenant.Revision, after.tenant.LedgerHead, seen.Revision, seen.LedgerHead)
		}
		sameRows(t, after.held, organisation(t))
		commit := store.Commit{Expect: seen, Changes: store.Diff(before.held, nil)}
		commit.Expect.Fence = after.tenant.Fence
		if _, err := after.Commit(t.Context(), commit); !errors.Is(err, store.ErrStale) {
			t.Errorf("a commit on top of what was seen: got %v, want ErrStale", err)
		}
		after.commit(t, rowsOf(t, user("han-dong")))
		if after.tenant.Revision != seen.Revision || after.tenant.LedgerHead == seen.LedgerHead {
			t.Errorf("revision %s with head %s, had seen %s with %s", after.tenant.Revision, after.tenant.LedgerHead, seen.Revision, seen.LedgerHead)
		}
		if _, err := after.Commit(t.Context(), commit); !errors.Is(err, store.ErrStale) {
			t.Errorf("a commit on the same revision of the other life: got %v, want ErrStale", err)
		}
		raised := after.write(after.held)
		raised.RaiseEpoch = true
		if _, err := after.Commit(t.Context(), raised); err != nil {
			t.Fatal(err)
		}
		after.load(t)
		if after.tenant.Revision.Compare(seen.Revision) <= 0 {
			t.Errorf("revision %s after raising the epoch, had seen %s", after.tenant.Revision, seen.Revision)
		}
		after.verify(t)
	}},
}
