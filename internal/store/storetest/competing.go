package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// version is n users that all bear the same number.
func version(t testing.TB, n, number int) map[store.RowID]string {
	t.Helper()
	rows := map[store.RowID]string{}
	for i := range n {
		account := user(fmt.Sprintf("user-%03d", i))
		account.Users[0].DisplayName = fmt.Sprintf("number %d", number)
		rows = with(rows, rowsOf(t, account))
	}
	return rows
}

var competing = []test{
	{"who reads while others commit sees whole commits only", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		known := sync.Map{} // revision number → the rows it has
		known.Store(int64(0), map[store.RowID]string{})
		const commits = 20
		for i := range commits {
			known.Store(int64(i+1), version(t, 20, i))
		}
		reader := h.Open(t)
		done := make(chan struct{})
		var reads sync.WaitGroup
		reads.Go(func() {
			for {
				content, err := reader.Load(context.Background(), tenant)
				if err != nil {
					t.Errorf("load: %v", err)
					return
				}
				want, _ := known.Load(content.Tenant.Revision.Number)
				if changes := store.Diff(store.Index(content.Rows), want.(map[store.RowID]string)); len(changes) > 0 {
					t.Errorf("revision %s is seen with %d rows of another", content.Tenant.Revision, len(changes))
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		for i := range commits {
			l.commit(t, version(t, 20, i))
		}
		close(done)
		reads.Wait()
	}},
	{"of two commits on one state one wins, and the other is stale", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		second := h.Open(t)
		for round := range 10 {
			commits := make([]store.Commit, 2)
			for i := range commits {
				commits[i] = l.write(rowsOf(t, user(fmt.Sprintf("round-%d-%d", round, i))))
			}
			errs := make([]error, 2)
			var both sync.WaitGroup
			for i, s := range []store.Store{l, second} {
				both.Go(func() { _, errs[i] = s.Commit(context.Background(), commits[i]) })
			}
			both.Wait()
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			if errs[winner] != nil || !errors.Is(errs[1-winner], store.ErrStale) {
				t.Fatalf("round %d: %v and %v, want one success and one ErrStale", round, errs[0], errs[1])
			}
			want := with(l.held)
			store.Apply(want, commits[winner].Changes)
			l.load(t)
			sameRows(t, l.held, want)
		}
		l.verify(t)
	}},
	{"of many claims at once each gets a fence of its own, and the last one alone can write", func(t *testing.T, h Harness) {
		const claims = 8
		claimed := make([]store.Tenant, claims)
		stores := make([]store.Store, claims)
		for i := range stores {
			stores[i] = h.Open(t)
		}
		var all sync.WaitGroup
		for i := range stores {
			all.Go(func() {
				var err error
				if claimed[i], err = stores[i].Claim(context.Background(), tenant, ours, ""); err != nil {
					t.Errorf("claim: %v", err)
				}
			})
		}
		all.Wait()
		fences := map[int64]bool{}
		for i, c := range claimed {
			fences[c.Fence] = true
			_, err := stores[i].Commit(t.Context(), store.Commit{Expect: c, Changes: store.Diff(nil, rowsOf(t, user("li-ting")))})
			if last := c.Fence == claims; last && err != nil || !last && !errors.Is(err, store.ErrFenced) {
				t.Errorf("fence %d of %d: commit got %v", c.Fence, claims, err)
			}
		}
		for fence := range int64(claims) {
			if !fences[fence+1] {
				t.Errorf("nobody got fence %d", fence+1)
			}
		}
	}},
	{"settling while another commits loses neither", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		second := h.Open(t)
		for round := range 10 {
			l.commit(t, with(organisation(t), rowsOf(t, grant("yearend", between(now, now+1), "li-ting"))))
			h.Advance(t, tenant, now+1)
			commit := l.write(with(l.held, rowsOf(t, user(fmt.Sprint("round-", round)))))
			var settleErr, commitErr error
			var both sync.WaitGroup
			both.Go(func() { _, settleErr = second.Settle(context.Background(), l.tenant) })
			both.Go(func() { _, commitErr = l.Commit(context.Background(), commit) })
			both.Wait()
			if settleErr != nil {
				t.Fatalf("settle: %v", settleErr)
			}
			want := organisation(t)
			switch {
			case commitErr == nil:
				want = with(want, rowsOf(t, user(fmt.Sprint("round-", round))))
			case !errors.Is(commitErr, store.ErrStale):
				t.Fatalf("commit: %v", commitErr)
			}
			l.load(t)
			sameRows(t, l.held, want)
		}
		l.verify(t)
	}},
	{"a call whose context has ended says so and writes nothing", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		before := h.State(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		calls := map[string]func() error{
			"tenant":  func() error { _, err := l.Tenant(ended, tenant); return err },
			"claim":   func() error { _, err := l.Claim(ended, tenant, ours, ""); return err },
			"load":    func() error { _, err := l.Load(ended, tenant); return err },
			"commit":  func() error { _, err := l.Commit(ended, l.write(organisation(t))); return err },
			"settle":  func() error { _, err := l.Settle(ended, l.tenant); return err },
			"reserve": func() error { _, err := l.Reserve(ended, tenant, export(1)); return err },
			"used":    func() error { _, err := l.Used(ended, tenant, "li-ting", nil); return err },
			"ledger":  func() error { _, err := l.Ledger(ended, tenant, store.Revision{}, 1); return err },
		}
		for what, call := range calls {
			if err := call(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want context.Canceled", what, err)
			}
		}
		if after := h.State(t); after != before {
			t.Error("the database was written")
		}
		l.commit(t, organisation(t))
	}},
}
