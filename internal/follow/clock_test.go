package follow

import (
	"errors"
	"testing"
	"time"
)

func TestTimeIsTheStoresAndNeverGoesBack(t *testing.T) {
	local := time.Unix(1000, 0)
	c := newStoreClock()
	if _, err := c.at(local); !errors.Is(err, errNoTime) {
		t.Errorf("before the first look: %v", err)
	}
	for _, step := range []struct {
		what         string
		store, asked int64 // a reading of the store's clock; none where store is 0
		at, want     int64
	}{
		{"as it was read", 5000, 1000, 1000, 5000},
		{"four seconds on", 0, 0, 1004, 5004},
		{"the store's clock was set back", 5001, 1004, 1004, 5004},
		{"it has caught up", 0, 0, 1008, 5005},
		{"the store's clock was set on", 9000, 1008, 1008, 9000},
	} {
		if step.store != 0 {
			if err := c.read(time.Unix(step.store, 0), time.Unix(step.asked, 0), time.Unix(step.asked, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if at, err := c.at(time.Unix(step.at, 0)); err != nil || int64(at) != step.want {
			t.Errorf("%s: it is %d, %v, want %d", step.what, at, err, step.want)
		}
	}
	if _, err := c.at(time.Unix(1001, 0)); !errors.Is(err, errClockSet) {
		t.Errorf("the local clock is before the last look: %v", err)
	}
}

// What passed while the store was asked may have passed before or after it read its clock: the later end is taken.
func TestAnEndIsNeverLateHoweverLongTheLookTook(t *testing.T) {
	c := newStoreClock()
	asked := time.Unix(1000, 0)
	if err := c.read(time.Unix(5000, 0), asked, asked.Add(maxRoundTrip)); err != nil {
		t.Fatal(err)
	}
	if at, err := c.at(asked.Add(maxRoundTrip)); err != nil || at != 5001 {
		t.Errorf("when the answer is there it is %d, %v, want the latest that it can be", at, err)
	}
	if err := c.read(time.Unix(9000, 0), asked, asked.Add(maxRoundTrip+1)); !errors.Is(err, errSlowAnswer) {
		t.Errorf("a look that took longer counts: %v", err)
	}
	if at, err := c.at(asked.Add(2 * time.Second)); err != nil || at != 5002 {
		t.Errorf("the reading before it is gone: %d, %v", at, err)
	}
}

func TestAMachineThatStoodStillOrWhoseClockWasSetIsNotTrusted(t *testing.T) {
	for what, c := range map[string]struct {
		monotonic, wall time.Duration
		trusted         bool
	}{
		"both went on":                   {5 * time.Second, 5*time.Second + time.Millisecond, true},
		"a correction of half a second":  {5 * time.Second, 4500 * time.Millisecond, true},
		"set ten minutes on":             {5 * time.Second, 605 * time.Second, false},
		"set ten minutes back":           {5 * time.Second, -595 * time.Second, false},
		"stood still for an hour":        {time.Second, time.Hour, false},
		"the monotonic one went back":    {-time.Second, -time.Second, false},
		"nothing has passed, by neither": {0, 0, true},
	} {
		passed, err := agreed(c.monotonic, c.wall)
		if (err == nil) != c.trusted || c.trusted && passed != c.monotonic {
			t.Errorf("%s: %s, %v", what, passed, err)
		}
	}
}
