package schedule_test

import (
	"testing"
	"time"

	. "github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestAWindowIsOpenFromItsStartUntilJustBeforeItsEnd(t *testing.T) {
	w := Window{NotBefore: 100, NotAfter: 200}
	for now, want := range map[Instant]bool{99: false, 100: true, 199: true, 200: false} {
		if got := w.Active(now); got != want {
			t.Errorf("at %d: active %v, want %v", now, got, want)
		}
		if ended := w.Ended(now); ended != (now >= 200) {
			t.Errorf("at %d: ended %v", now, ended)
		}
	}
	if !Unbounded.Active(0) || Unbounded.Ended(1<<62) {
		t.Error("an unbounded window is always open")
	}
}

func TestNextIsTheFirstBoundAhead(t *testing.T) {
	for name, c := range map[string]struct {
		window Window
		now    Instant
		want   Instant
	}{
		"before the start":        {Window{100, 200}, 50, 100},
		"at the start":            {Window{100, 200}, 100, 200},
		"just before the end":     {Window{100, 200}, 199, 200},
		"at the end":              {Window{100, 200}, 200, Forever},
		"without a start":         {Window{Always, 200}, 0, 200},
		"without bounds":          {Unbounded, 0, Forever},
		"an end before its start": {Window{200, 100}, 50, Forever},
	} {
		if got := c.window.Next(c.now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFlooringAClockKeepsBoundsExact(t *testing.T) {
	end := time.Date(2026, 12, 31, 9, 0, 0, 0, time.FixedZone("", 8*3600))
	w := Window{NotBefore: Always, NotAfter: At(end)}
	if !w.Active(At(end.Add(-time.Nanosecond))) || w.Active(At(end)) {
		t.Error("the window must close at its end, not a second around it")
	}
	before1970 := time.Date(1969, 12, 31, 23, 59, 59, 5e8, time.UTC)
	if At(before1970) != -1 {
		t.Errorf("half a second before 1970 floors to %d, want -1", At(before1970))
	}
}

func TestParseTakesWholeSecondsOnly(t *testing.T) {
	if got, err := Parse("2026-12-31T09:00:00+08:00"); err != nil || got.String() != "2026-12-31T01:00:00Z" {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{"", "tomorrow", "2026-12-31", "2026-12-31T09:00:00", "2026-12-31T09:00:00.5Z", "2026-02-30T00:00:00Z"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
