package postgres_test

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

func export(rows, most int64) store.Reservation {
	return store.Reservation{User: "li-ting", Object: "customer", Action: "export", Rows: rows,
		Limits: []store.Limit{{Objects: []string{"customer"}, Actions: []string{"*"}, Max: most}}}
}

func TestAReservationThatWaitedForAnotherSeesWhatItHasLeft(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	if got, err := s.Reserve(t.Context(), tenant, export(4, 10)); err != nil || !got.OK {
		t.Fatal(got, err)
	}
	for _, c := range []struct {
		held string
		ok   bool
		used int64
	}{{"10", false, 10}, {"9", true, 10}} {
		h.must(t, `BEGIN; UPDATE crm_access.usage SET rows = ARRAY[`+c.held+`]`)
		var got store.Reserved
		var err error
		var waiting sync.WaitGroup
		waiting.Go(func() { got, err = s.Reserve(context.Background(), tenant, export(1, 10)) })
		awaitLock(t, h)
		h.must(t, `COMMIT`)
		waiting.Wait()
		if err != nil || got.OK != c.ok || got.Used[0] != c.used {
			t.Errorf("after %s were used: got %+v, %v, want %t with %d used", c.held, got, err, c.ok, c.used)
		}
	}
}

// awaitLock waits until somebody waits for a lock.
func awaitLock(t *testing.T, h *harness) {
	t.Helper()
	for waiting := "0"; waiting == "0"; {
		waiting = h.Query(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)[0][0]
	}
}

func TestUsesOfOneMinuteAreOneAndOldOnesAreDropped(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	read, err := s.Tenant(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	at := (schedule.At(read.Now)/60 + 60) * 60
	for _, seconds := range []schedule.Instant{0, 59, 60, 86400 + 60} {
		h.Advance(t, tenant, at+seconds)
		for _, action := range []string{"export", "read", "export"} {
			r := export(2, 100)
			r.Action = action
			if got, err := s.Reserve(t.Context(), tenant, r); err != nil || !got.OK {
				t.Fatal(got, err)
			}
		}
	}
	const uses = `
SELECT e.minute, e.object, e.action, e.rows
FROM crm_access.usage AS u, unnest(u.minutes, u.objects, u.actions, u.rows) AS e (minute, object, action, rows)
ORDER BY 1, 2, 3`
	minute := int64(at / 60)
	want := [][]string{
		{fmt.Sprint(minute + 1), "customer", "export", "4"}, {fmt.Sprint(minute + 1), "customer", "read", "2"},
		{fmt.Sprint(minute + 1441), "customer", "export", "4"}, {fmt.Sprint(minute + 1441), "customer", "read", "2"},
	}
	if got := h.Query(t, uses); !reflect.DeepEqual(got, want) {
		t.Errorf("uses %v, want %v", got, want)
	}
}

func TestReservationsStandInLineWhateverTheDatabasesDefaultIsolation(t *testing.T) {
	h := newHarness(t)
	h.must(t, fmt.Sprintf(`ALTER DATABASE %s SET default_transaction_isolation = 'serializable'`, pgx.Identifier{h.hand.Config().Database}.Sanitize()))
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if got, err := s.Reserve(context.Background(), tenant, export(1, 40)); err != nil || !got.OK {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	all.Wait()
}

func TestATenantWhoseRowIsLockedCanStillReserve(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	oneGrant(t, s, schedule.Unbounded)
	h.must(t, `BEGIN; SELECT FROM crm_access.tenant FOR UPDATE`)
	if got, err := s.Reserve(t.Context(), tenant, export(1, 10)); err != nil || !got.OK {
		t.Errorf("got %+v, %v", got, err)
	}
	h.must(t, `ROLLBACK`)
}
