package sqlite_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

func TestUsesOfOneMinuteAreOneAndOldOnesAreDropped(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	claimed, err := s.Claim(t.Context(), "huayue", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	at := (schedule.At(claimed.Now)/60 + 60) * 60
	for _, seconds := range []schedule.Instant{0, 59, 60, 86400 + 60} {
		h.Advance(t, "huayue", at+seconds)
		for _, action := range []string{"export", "read", "export"} {
			r := store.Reservation{User: "li-ting", Object: "customer", Action: action, Rows: 2}
			if got, err := s.Reserve(t.Context(), "huayue", r); err != nil || !got.OK {
				t.Fatal(got, err)
			}
		}
	}
	minute := int64(at / 60)
	want := [][]string{
		{fmt.Sprint(minute + 1), "customer", "export", "4"}, {fmt.Sprint(minute + 1), "customer", "read", "2"},
		{fmt.Sprint(minute + 1441), "customer", "export", "4"}, {fmt.Sprint(minute + 1441), "customer", "read", "2"},
	}
	if got := h.Query(t, `SELECT minute, object, action, rows FROM usage ORDER BY 1, 2, 3`); !reflect.DeepEqual(got, want) {
		t.Errorf("uses %v, want %v", got, want)
	}
}
