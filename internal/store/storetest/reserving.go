package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const day = 86400

// still advances the store's clock to the beginning of a minute ahead, where it stands until it is advanced again.
func still(t *testing.T, h Harness, l *leader) schedule.Instant {
	t.Helper()
	at := (l.now(t)/60 + 60) * 60
	h.Advance(t, tenant, at)
	return at
}

func exports(most int64) store.Limit {
	return store.Limit{Objects: []string{"customer"}, Actions: []string{"export"}, Max: most}
}

// export is li-ting's export of customers.
func export(rows int64, limits ...store.Limit) store.Reservation {
	return store.Reservation{User: "li-ting", Object: "customer", Action: "export", Rows: rows, Limits: limits}
}

// reserve reserves, and checks that exactly these amounts are used of the limits afterwards.
func reserve(t *testing.T, s store.Store, r store.Reservation, used ...int64) {
	t.Helper()
	if got := answer(t, s, r, used); !got.OK {
		t.Errorf("%d rows of %s refused at %v", r.Rows, r.Object, got.Used)
	}
}

// refuse tries to reserve, checks that these amounts are used of the limits before and after, and returns the limit that
// refused.
func refuse(t *testing.T, s store.Store, r store.Reservation, used ...int64) int {
	t.Helper()
	got := answer(t, s, r, used)
	if got.OK {
		t.Errorf("%d rows of %s reserved: %v", r.Rows, r.Object, got.Used)
	}
	return got.Limit
}

func answer(t *testing.T, s store.Store, r store.Reservation, used []int64) store.Reserved {
	t.Helper()
	got, err := s.Reserve(t.Context(), tenant, r)
	if err != nil {
		t.Fatalf("reserve %d: %v", r.Rows, err)
	}
	read, err := s.Used(t.Context(), tenant, r.User, r.Limits)
	if err != nil || !slices.Equal(read, used) || !slices.Equal(got.Used, used) {
		t.Errorf("used: answered %v, read %v, %v, want %v", got.Used, read, err, used)
	}
	return got
}

var reserving = []test{
	{"a limit may be reached and not passed by one row", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		refuse(t, l, export(11, exports(10)), 0)
		reserve(t, l, export(6, exports(10)), 6)
		refuse(t, l, export(5, exports(10)), 6)
		reserve(t, l, export(4, exports(10)), 10)
		refuse(t, l, export(1, exports(10)), 10)
		reserve(t, l, export(1, exports(11)), 11)
		refuse(t, l, export(1, exports(0)), 11)
		refuse(t, l, export(1, exports(-1)), 11)
		refuse(t, l, export(10, exports(10)), 11)
	}},
	{"a limit sums over its objects and actions, and over nothing else", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		both := store.Limit{Objects: []string{"customer", "lead"}, Actions: []string{"export"}, Max: 10}
		whatever := store.Limit{Objects: []string{"customer"}, Actions: []string{"*"}, Max: 100}
		everywhere := store.Limit{Objects: []string{"*"}, Actions: []string{"read"}, Max: 100}
		all := []store.Limit{both, whatever, everywhere}
		of := func(object, action string, rows int64) store.Reservation {
			return store.Reservation{User: "li-ting", Object: object, Action: action, Rows: rows, Limits: all}
		}
		reserve(t, l, of("customer", "export", 6), 6, 6, 0)
		refuse(t, l, of("lead", "export", 5), 6, 6, 0)
		reserve(t, l, of("lead", "export", 4), 10, 6, 0)
		refuse(t, l, of("lead", "export", 1), 10, 6, 0)
		reserve(t, l, of("lead", "read", 50), 10, 6, 50)
		reserve(t, l, of("customer", "read", 50), 10, 56, 100)
		reserve(t, l, of("customer", "update", 44), 10, 100, 100)
		refuse(t, l, of("customer", "update", 1), 10, 100, 100)
		// No limit covers these, so none refuses.
		reserve(t, l, of("lead", "update", 1000), 10, 100, 100)
		reserve(t, l, of("Customer", "export", 1000), 10, 100, 100)
		reserve(t, l, of("customers", "Export", 1000), 10, 100, 100)
	}},
	{"all limits hold together, and the first that refuses is named", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		none := store.Limit{Max: 0}
		other := store.Limit{Objects: []string{"lead"}, Actions: []string{"*"}, Max: 0}
		reserve(t, l, export(10, none, other, exports(20), exports(10)), 0, 0, 10, 10)
		if limit := refuse(t, l, export(1, none, other, exports(20), exports(10)), 0, 0, 10, 10); limit != 3 {
			t.Errorf("limit %d refused, want 3", limit)
		}
		if limit := refuse(t, l, export(11, none, other, exports(20), exports(10)), 0, 0, 10, 10); limit != 2 {
			t.Errorf("limit %d refused, want 2", limit)
		}
		reserve(t, l, export(10, exports(20)), 20)
		reserve(t, l, export(5))
		reserve(t, l, export(1, exports(26)), 26)
	}},
	{"what was used counts for 24 hours from the end of its minute, by the store's clock", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		reserve(t, l, export(1, exports(10)), 1)
		h.Advance(t, tenant, at+59)
		reserve(t, l, export(2, exports(10)), 3)
		h.Advance(t, tenant, at+60)
		reserve(t, l, export(3, exports(10)), 6)
		h.Advance(t, tenant, at+day)
		reserve(t, l, export(4, exports(10)), 10)
		h.Advance(t, tenant, at+day+59)
		refuse(t, l, export(1, exports(10)), 10)
		h.Advance(t, tenant, at+day+60)
		refuse(t, l, export(4, exports(10)), 7)
		reserve(t, l, export(3, exports(10)), 10)
		h.Advance(t, tenant, at+day+119)
		refuse(t, l, export(1, exports(10)), 10)
		h.Advance(t, tenant, at+day+120)
		reserve(t, l, export(3, exports(10)), 10)
		h.Advance(t, tenant, at+10*day)
		reserve(t, l, export(10, exports(10)), 10)
		refuse(t, l, export(1, exports(10)), 10)
	}},
	{"of fifty reservations at once on two handles as many succeed as fit", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		still(t, h, l)
		handles := []store.Store{l, h.Open(t)}
		limit := store.Limit{Objects: []string{"customer", "lead"}, Actions: []string{"*"}, Max: 100}
		for round := range 3 {
			var won atomic.Int64
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					r := export(3, limit)
					r.User, r.Object = fmt.Sprint("user-", round), []string{"customer", "lead"}[i/2%2]
					got, err := handles[i%2].Reserve(context.Background(), tenant, r)
					switch {
					case err != nil:
						t.Errorf("reserve: %v", err)
					case got.OK:
						won.Add(1)
					case got.Used[0] != 99:
						t.Errorf("refused with %d used", got.Used[0])
					}
				})
			}
			all.Wait()
			if won.Load() != 33 {
				t.Errorf("%d reservations of 3 rows succeeded, want 33", won.Load())
			}
			if used, err := l.Used(t.Context(), tenant, fmt.Sprint("user-", round), []store.Limit{limit}); err != nil || used[0] != 99 {
				t.Errorf("used %v, %v", used, err)
			}
		}
	}},
	{"a refusal writes nothing", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		reserve(t, l, export(5, exports(10)), 5)
		other := export(11, exports(10))
		other.User = "tang-yue"
		before := h.State(t)
		refuse(t, l, export(6, exports(10)), 5)
		refuse(t, l, other, 0)
		if after := h.State(t); after != before {
			t.Error("the database was written")
		}
	}},
	{"what was used outlives handles, guardrails, accounts and commits, and is no part of the content", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		before := l.tenant
		reserve(t, l, export(7, exports(10)), 7)
		l.load(t)
		sameRows(t, l.held, organisation(t))
		sameTenant(t, l.tenant, before)
		if entries := l.ledger(t); len(entries) != 1 {
			t.Errorf("%d ledger entries, want the commit's alone", len(entries))
		}
		l.commit(t, without(without(organisation(t), guardrailRef("export")), userRef("li-ting")))
		l.commit(t, map[store.RowID]string{})
		l.commit(t, organisation(t))
		again := h.Open(t)
		refuse(t, again, export(4, exports(10)), 7)
		reserve(t, again, export(3, exports(10)), 10)
		l.verify(t)
	}},
	{"neither tenants nor users share what they use, however alike their names", func(t *testing.T, h Harness) {
		l, other := lead(t, h, tenant), lead(t, h, "qingyun")
		reserve(t, l, export(10, exports(10)), 10)
		for _, name := range []string{"Li-Ting", "li-ting ", "li–ting", "li-tin", "li_ting", "%"} {
			r := export(10, exports(10))
			r.User = name
			reserve(t, l, r, 10)
		}
		if got, err := other.Reserve(t.Context(), "qingyun", export(10, exports(10))); err != nil || !got.OK {
			t.Errorf("another tenant: %+v, %v", got, err)
		}
	}},
	{"hostile names are names like others", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		still(t, h, l)
		for i, s := range hostile {
			if s == "" {
				continue
			}
			rows := int64(i + 1)
			limits := []store.Limit{
				{Objects: []string{"", s}, Actions: []string{s}, Max: 2 * rows}, {Objects: []string{"*"}, Actions: []string{s, s}, Max: 2 * rows},
				{Objects: []string{s + s}, Actions: []string{s}, Max: 0},
			}
			r := store.Reservation{User: s, Object: s, Action: s, Rows: rows, Limits: limits}
			reserve(t, l, r, rows, rows, 0)
			reserve(t, l, r, 2*rows, 2*rows, 0)
			refuse(t, l, r, 2*rows, 2*rows, 0)
		}
	}},
	{"what is no reservation is refused", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		reserve(t, l, export(1))
		before := h.State(t)
		unlimited := store.Limit{Objects: []string{"*"}, Actions: []string{"*"}, Max: 1<<63 - 1}
		bad := map[string]store.Reservation{
			"no rows": export(0), "fewer than none": export(-5, exports(10)), "the fewest": export(-1 << 63), "the most": export(1<<63-1, unlimited),
			"more than may ever be": export(store.MaxRows + 1), "more than are left": export(store.MaxRows, unlimited),
			"nobody": {Object: "customer", Action: "export", Rows: 1}, "no object": {User: "li-ting", Action: "export", Rows: 1},
			"no action": {User: "li-ting", Object: "customer", Rows: 1},
			"U+0000":    {User: "li-ting\x00", Object: "customer", Action: "export", Rows: 1},
			"no UTF-8":  {User: "li-ting", Object: "customer\xff", Action: "export", Rows: 1},
			"a limit":   export(1, store.Limit{Objects: []string{"*", "\x00"}, Actions: []string{"*"}, Max: 10}),
		}
		for what, r := range bad {
			if got, err := l.Reserve(t.Context(), tenant, r); !errors.Is(err, store.ErrRefused) || got.OK {
				t.Errorf("%s: got %+v, %v, want ErrRefused", what, got, err)
			}
		}
		if _, err := l.Used(t.Context(), tenant, "li-ting\x00", nil); !errors.Is(err, store.ErrRefused) {
			t.Errorf("used: got %v, want ErrRefused", err)
		}
		if after := h.State(t); after != before {
			t.Error("the database was written")
		}
		reserve(t, l, export(store.MaxRows-1, unlimited), store.MaxRows)
		if _, err := l.Reserve(t.Context(), tenant, export(1)); !errors.Is(err, store.ErrRefused) || strings.Contains(err.Error(), "li-ting") {
			t.Errorf("one too many: got %v, want ErrRefused without a name", err)
		}
	}},
	{"nothing is reserved in a tenant that nobody has claimed", func(t *testing.T, h Harness) {
		s := h.Open(t)
		lead(t, h, "qingyun")
		if got, err := s.Reserve(t.Context(), tenant, export(1)); !errors.Is(err, store.ErrNoTenant) || got.OK {
			t.Errorf("got %+v, %v, want ErrNoTenant", got, err)
		}
		if _, err := s.Used(t.Context(), tenant, "li-ting", nil); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("used: got %v, want ErrNoTenant", err)
		}
		if got := h.Query(t, `SELECT user_name FROM `+h.Schema()+`usage`); len(got) != 0 {
			t.Errorf("used: %v", got)
		}
	}},
	{"who holds no fence may reserve, and makes no commit stale", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		commit := l.write(organisation(t))
		reserve(t, h.Open(t), export(1))
		if _, err := l.Commit(t.Context(), commit); err != nil {
			t.Errorf("commit after a reservation: %v", err)
		}
	}},
}
