package storetest

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// keysOf reads the tenant's keys, and checks that the newest alone has no end.
func keysOf(t *testing.T, s store.Store, name string, count int) []token.Key {
	t.Helper()
	keys, err := s.TokenKeys(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != count {
		t.Fatalf("%s has %d keys, want %d", name, len(keys), count)
	}
	for i, key := range keys {
		if (key.NotAfter == schedule.Forever) != (i == 0) {
			t.Errorf("the key in place %d ends at %s", i, key.NotAfter)
		}
	}
	return keys
}

func rotate(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.RotateTokenKey(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
}

func sameKey(a, b token.Key) bool { return bytes.Equal(a.Secret(), b.Secret()) }

var minting = []test{
	{"a tenant that nobody has claimed has no keys, and none can be made", func(t *testing.T, h Harness) {
		s := h.Open(t)
		if _, err := s.TokenKeys(t.Context(), tenant); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("keys: got %v, want ErrNoTenant", err)
		}
		if err := s.RotateTokenKey(t.Context(), tenant); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("rotate: got %v, want ErrNoTenant", err)
		}
	}},
	{"a claimed tenant has one key, which every handle reads and every later claim leaves as it is", func(t *testing.T, h Harness) {
		first := keysOf(t, lead(t, h, tenant), tenant, 1)
		again := keysOf(t, lead(t, h, tenant), tenant, 1)
		other := keysOf(t, lead(t, h, "qingyun"), "qingyun", 1)
		if !sameKey(first[0], again[0]) {
			t.Error("a second claim made another key")
		}
		if sameKey(first[0], other[0]) {
			t.Error("two tenants have one key")
		}
	}},
	{"a claim that is refused makes no key, and one that adopts keeps it", func(t *testing.T, h Harness) {
		before := keysOf(t, lead(t, h, tenant), tenant, 1)
		s := h.Open(t)
		if _, err := s.Claim(t.Context(), tenant, theirs, ""); !errors.Is(err, store.ErrOwnedElsewhere) {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), tenant, theirs, ours.String()); err != nil {
			t.Fatal(err)
		}
		if after := keysOf(t, s, tenant, 1); !sameKey(before[0], after[0]) {
			t.Error("adopting made another key")
		}
	}},
	{"a tenant whose key somebody took away gets another by the next claim", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		before := keysOf(t, l, tenant, 1)
		if err := h.Exec(t, `DELETE FROM `+h.Schema()+`token_key`); err != nil {
			t.Fatal(err)
		}
		keysOf(t, l, tenant, 0)
		if after := keysOf(t, lead(t, h, tenant), tenant, 1); sameKey(before[0], after[0]) {
			t.Error("the key came back")
		}
	}},
	{"a token of the former key is good for its whole life after a rotation, and the key for no longer", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		start := still(t, h, l)
		former := keysOf(t, l, tenant, 1)[0]
		longest, err := token.Mint(former, tenant, "li-ting", start, start+token.MaxLifetime)
		if err != nil {
			t.Fatal(err)
		}
		rotate(t, l)
		for _, step := range []struct {
			after schedule.Instant
			keys  int
			ok    bool
		}{{0, 2, true}, {3599, 2, true}, {3600, 2, false}, {3601, 1, false}} {
			h.Advance(t, tenant, start+step.after)
			keys := keysOf(t, l, tenant, step.keys)
			if sameKey(keys[0], former) {
				t.Error("the former key still mints")
			}
			if _, ok := token.Verify(keys, tenant, longest, l.now(t)); ok != step.ok {
				t.Errorf("%d seconds after the rotation: verified %t", step.after, ok)
			}
		}
	}},
	{"rotations leave one key that mints, however many rotate at once, and remove what has ended", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		start := still(t, h, l)
		var all sync.WaitGroup
		for range 4 {
			s := h.Open(t)
			all.Go(func() {
				if err := s.RotateTokenKey(t.Context(), tenant); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		keysOf(t, l, tenant, 5)
		h.Advance(t, tenant, start+2*token.MaxLifetime)
		rotate(t, l)
		keysOf(t, l, tenant, 2)
		if rows := h.Query(t, `SELECT number FROM `+h.Schema()+`token_key`); len(rows) != 2 {
			t.Errorf("%d keys are kept, want 2", len(rows))
		}
	}},
	{"a key is followed by another once it is so old, not before, and goes when it verifies no more", func(t *testing.T, h Harness) {
		const day = 24 * 3600
		l := lead(t, h, tenant)
		start := still(t, h, l)
		rotate(t, l) // at an instant that is known
		newest := keysOf(t, l, tenant, 2)[0]
		for _, step := range []struct {
			after   schedule.Instant
			rows    int
			rotated bool
		}{{0, 2, false}, {3600, 2, false}, {3601, 1, false}, {day - 1, 1, false}, {day, 2, true}, {day + 3600, 2, false}, {day + 3601, 1, false}, {2 * day, 2, true}} {
			h.Advance(t, tenant, start+step.after)
			if err := l.RenewTokenKey(t.Context(), tenant, day*time.Second); err != nil {
				t.Fatal(err)
			}
			keys, err := l.TokenKeys(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			if rotated := !sameKey(keys[0], newest); rotated != step.rotated {
				t.Errorf("%d seconds after: rotated %t", step.after, rotated)
			}
			if rows := h.Query(t, `SELECT number FROM `+h.Schema()+`token_key`); len(rows) != step.rows {
				t.Errorf("%d seconds after: %d keys are kept, want %d", step.after, len(rows), step.rows)
			}
			newest = keys[0]
		}
	}},
	{"a key of an age that is not known is followed at once", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		before := keysOf(t, l, tenant, 1)[0]
		if err := h.Exec(t, `UPDATE `+h.Schema()+`token_key SET made = NULL`); err != nil {
			t.Fatal(err)
		}
		if err := l.RenewTokenKey(t.Context(), tenant, time.Hour); err != nil {
			t.Fatal(err)
		}
		if keys := keysOf(t, l, tenant, 2); !sameKey(keys[1], before) {
			t.Error("the former key is gone, and tokens with it")
		}
		if err := h.Open(t).RenewTokenKey(t.Context(), "nobody", time.Hour); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("of a tenant that nobody has claimed: got %v, want ErrNoTenant", err)
		}
	}},
	{"keys are no content: a rotation changes no revision, and a load and the ledger hold none", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		before := l.tenant
		rotate(t, l)
		l.load(t)
		sameTenant(t, l.tenant, before)
		sameRows(t, l.held, organisation(t))
		l.verify(t)
		for _, entry := range l.ledger(t) {
			if strings.Contains(string(entry.Body), "token_key") {
				t.Errorf("the ledger tells of keys: %s", entry.Body)
			}
		}
		l.commit(t, map[store.RowID]string{}) // the fence and the head are as they were
	}},
}
