package follow

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	// maxRoundTrip is how long a look may take whose reading of the store's clock counts: the store's time is known to
	// that much.
	maxRoundTrip = time.Second
	// maxDisagreement is how far this machine's two clocks may part between two readings. They do where the machine stood
	// still, which the monotonic one does not count, or where somebody has set the other.
	maxDisagreement = time.Second
)

var (
	errClockSet   = errors.New("this machine's clock was set, or the machine stood still: the store's time must be read anew")
	errNoTime     = errors.New("the store's time is not known yet")
	errSlowAnswer = fmt.Errorf("the store took longer than %s to answer: its time is not known well enough", maxRoundTrip)
)

// elapsed is what has passed between two readings of this machine's clock.
func elapsed(from, to time.Time) (time.Duration, error) {
	return agreed(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// agreed is what has passed by the monotonic clock, if the other one says much the same.
func agreed(passed, wall time.Duration) (time.Duration, error) {
	if passed < 0 || (passed-wall).Abs() > maxDisagreement {
		return 0, errClockSet
	}
	return passed, nil
}

// storeClock tells the store's time between looks, without a lock.
type storeClock struct {
	reading atomic.Pointer[reading]
	// latest is the latest instant that was told: time never goes back behind it.
	latest atomic.Int64
}

// reading is the store's clock, read after the local instant asked: the store's time is at most store and what has passed
// since asked. That bound is taken, so that access never ends late.
type reading struct {
	store, asked time.Time
}

func newStoreClock() *storeClock {
	c := &storeClock{}
	c.latest.Store(int64(schedule.Always))
	return c
}

// read takes what a look has found. A look that took long tells too little.
func (c *storeClock) read(store, asked, received time.Time) error {
	took, err := elapsed(asked, received)
	if err != nil {
		return err
	}
	if took > maxRoundTrip {
		return errSlowAnswer
	}
	c.reading.Store(&reading{store, asked})
	return nil
}

// at is the store's time at a local instant.
func (c *storeClock) at(local time.Time) (schedule.Instant, error) {
	r := c.reading.Load()
	if r == nil {
		return 0, errNoTime
	}
	passed, err := elapsed(r.asked, local)
	if err != nil {
		return 0, err
	}
	now := int64(schedule.At(r.store.Add(passed)))
	for {
		latest := c.latest.Load()
		if now <= latest {
			return schedule.Instant(latest), nil
		}
		if c.latest.CompareAndSwap(latest, now) {
			return schedule.Instant(now), nil
		}
	}
}
