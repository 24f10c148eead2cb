// Package schedule knows windows of time and the next instant that matters. It is pure: every question takes the
// instant as an argument, and nothing here reads a clock.
//
// Instants are whole seconds (the manifests' grammar), held as Unix seconds. Flooring a clock to whole seconds is
// exact for such bounds: now < end holds for the floored instant just when it holds for the instant itself.
package schedule

import (
	"fmt"
	"math"
	"time"
)

// Instant is a point in time in whole Unix seconds.
type Instant int64

// Forever is later than every instant a manifest can name; Always is earlier.
const (
	Forever Instant = math.MaxInt64
	Always  Instant = math.MinInt64
)

// At floors t to the whole second it lies in.
func At(t time.Time) Instant { return Instant(t.Unix()) }

// Time returns the instant in UTC. Always and Forever have no time; callers test for them first.
func (i Instant) Time() time.Time { return time.Unix(int64(i), 0).UTC() }

// String is RFC 3339 in UTC, the form that the store and the ledger keep.
func (i Instant) String() string {
	switch i {
	case Always:
		return "always"
	case Forever:
		return "forever"
	}
	return i.Time().Format(time.RFC3339)
}

// Window is the half-open span [NotBefore, NotAfter).
type Window struct {
	NotBefore, NotAfter Instant
}

// Unbounded is the window of access without an end, as bindings give it.
var Unbounded = Window{NotBefore: Always, NotAfter: Forever}

// Active says whether now lies in the window.
func (w Window) Active(now Instant) bool { return w.NotBefore <= now && now < w.NotAfter }

// Ended says whether the window is over at now.
func (w Window) Ended(now Instant) bool { return w.NotAfter <= now }

// Empty says whether no instant lies in the window.
func (w Window) Empty() bool { return w.NotAfter <= w.NotBefore }

// Words is the window as people say it.
func (w Window) Words() string {
	from, until := "from now on", "without an end"
	if w.NotBefore != Always {
		from = "from " + w.NotBefore.String()
	}
	if w.NotAfter != Forever {
		until = "until " + w.NotAfter.String()
	}
	return from + ", " + until
}

// Next is the first bound of the window after now, or Forever.
func (w Window) Next(now Instant) Instant {
	switch {
	case w.Empty():
		return Forever
	case now < w.NotBefore:
		return w.NotBefore
	case now < w.NotAfter:
		return w.NotAfter
	}
	return Forever
}

// Parse reads an RFC 3339 instant in whole seconds. A fraction is refused: it would be a bound that cannot be kept.
func Parse(s string) (Instant, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("instant %q: want RFC 3339 such as 2026-12-31T09:00:00+08:00", s)
	}
	if t.Nanosecond() != 0 {
		return 0, fmt.Errorf("instant %q: want whole seconds", s)
	}
	return At(t), nil
}
