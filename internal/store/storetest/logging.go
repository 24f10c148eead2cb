package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// decision is one about li-ting.
func decision(at schedule.Instant, record string) store.Decision {
	return store.Decision{
		At: at, Application: "crm", Subject: "li-ting", Action: "read", Object: "customer", Record: record, Effect: "DENY",
		Reasons: []string{"grants", "guardrails"}, Revision: "1.7", RequestID: "r-1", StandsFor: 1,
	}
}

// logged are the records of a subject's decisions before one, the newest first.
func logged(t *testing.T, s store.Store, subject string, before int64, limit int) (records []string, last int64) {
	t.Helper()
	read, err := s.Logged(t.Context(), tenant, subject, before, limit)
	if err != nil {
		t.Fatalf("read the log: %v", err)
	}
	for _, d := range read {
		records, last = append(records, d.Record), d.ID
	}
	return records, last
}

var logging = []test{
	{"decisions are read as they were logged, the newest first, page by page", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := l.now(t)
		var want []string
		for batch := range 3 {
			var list []store.Decision
			for i := range 4 {
				record := fmt.Sprint("c-", 4*batch+i)
				want = append([]string{record}, want...)
				list = append(list, decision(at, record))
			}
			other := decision(at, "other")
			other.Subject = "tang-yue"
			if err := l.Log(t.Context(), tenant, append(list, other)); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for before, pages := int64(0), 0; pages < 3; pages++ {
			var records []string
			records, before = logged(t, h.Open(t), "li-ting", before, 5)
			got = append(got, records...)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		read, err := l.Logged(t.Context(), tenant, "li-ting", 0, 1)
		if err != nil || len(read) != 1 {
			t.Fatal(read, err)
		}
		first := decision(at, "c-11")
		first.ID = read[0].ID
		if !reflect.DeepEqual(read[0], first) || first.ID == 0 {
			t.Errorf("got %+v, want %+v", read[0], first)
		}
	}},
	{"what no database would keep does not keep the rest out of the log", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		d := decision(l.now(t), "c\x00\xff\\u0000")
		d.Reasons, d.Application, d.StandsFor = nil, strings.Repeat("客", 1000), 0
		list := []store.Decision{d}
		for _, s := range hostile {
			d.Record = s
			list = append(list, d)
		}
		if err := l.Log(t.Context(), tenant, list); err != nil {
			t.Fatal(err)
		}
		read, err := l.Logged(t.Context(), tenant, "li-ting", 0, 100)
		if err != nil || len(read) != len(list) {
			t.Fatalf("%d logged, %v, want %d", len(read), err, len(list))
		}
		last := read[len(read)-1]
		if last.Record != "c\uFFFD\uFFFD\\u0000" || len(last.Application) > 300 || last.StandsFor != 1 || last.Reasons != nil {
			t.Errorf("got %+v", last)
		}
	}},
	{"no log is kept of a tenant that nobody has claimed, or of another", func(t *testing.T, h Harness) {
		s := h.Open(t)
		l := lead(t, h, "qingyun")
		if err := s.Log(t.Context(), tenant, []store.Decision{decision(schedule.At(l.tenant.Now), "c")}); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("got %v, want ErrNoTenant", err)
		}
		if err := s.Log(t.Context(), "qingyun", []store.Decision{decision(schedule.At(l.tenant.Now), "c")}); err != nil {
			t.Error(err)
		}
		if got, _ := logged(t, s, "li-ting", 0, 10); len(got) != 0 {
			t.Errorf("got %v", got)
		}
		if err := s.Log(t.Context(), tenant, nil); err != nil {
			t.Errorf("nothing to log: %v", err)
		}
	}},
	{"what ended and what was logged is forgotten after its time, and not a second before", func(t *testing.T, h Harness) {
		l, other := staffed(t, h, tenant), lead(t, h, "qingyun")
		at := still(t, h, l)
		makeShare(t, l, shareUntil(at+10))
		makeShare(t, l, shareUntil(at+31*day))
		short, long := ask(t, l, requestUntil(at+10)), ask(t, l, requestUntil(at+7*day))
		say(t, l, short.ID, "chen-mo", true)
		say(t, l, long.ID, "chen-mo", true)
		if err := l.Log(t.Context(), tenant, []store.Decision{decision(at, "old"), decision(at+50, "young")}); err != nil {
			t.Fatal(err)
		}
		if err := other.Log(t.Context(), "qingyun", []store.Decision{decision(at, "old")}); err != nil {
			t.Fatal(err)
		}
		version := shares(t, l).Version
		keep := store.Retention{Ended: 100 * time.Second, Logged: 200 * time.Second}
		for _, step := range []struct {
			at        schedule.Instant
			forgotten int64
		}{{at + 109, 0}, {at + 110, 3}, {at + 110, 0}, {at + 199, 0}, {at + 200, 1}} {
			h.Advance(t, tenant, step.at)
			before := h.State(t)
			if n, err := l.Forget(t.Context(), tenant, keep); err != nil || n != step.forgotten {
				t.Errorf("%d seconds on: forgot %d, %v, want %d", step.at-at, n, err, step.forgotten)
			}
			if after := h.State(t); (after != before) != (step.forgotten > 0) {
				t.Errorf("%d seconds on: written %t", step.at-at, after != before)
			}
		}
		if got := shares(t, l); len(got.List) != 1 || got.Version != version {
			t.Errorf("shares %+v", got)
		}
		if got, err := l.Requests(t.Context(), tenant, []string{short.ID, long.ID}); err != nil || len(got) != 1 || len(got[0].Answers) != 1 {
			t.Errorf("requests %+v, %v", got, err)
		}
		if got, _ := logged(t, l, "li-ting", 0, 10); !reflect.DeepEqual(got, []string{"young"}) {
			t.Errorf("log %v", got)
		}
		if read, err := other.Logged(t.Context(), "qingyun", "li-ting", 0, 10); err != nil || len(read) != 1 {
			t.Errorf("another tenant's log: %v, %v", read, err)
		}
	}},
}
