package driver

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// UsageMinutes is for how many minutes after its own a use counts. It counts from the end of its minute, so that
// rounding frees nothing early.
const UsageMinutes = 24 * 60

// Minute numbers the minutes since 1970.
func Minute(now time.Time) int64 { return now.Unix() / 60 }

// Uses are what a user has used in the last 24 hours, as the table usage has it.
type Uses []Use

// Use is what a user has used of one object by one action.
type Use struct {
	Object, Action string
	Rows           int64
}

// Of sums what counts for each limit.
func (u Uses) Of(limits []store.Limit) []int64 {
	used := make([]int64, len(limits))
	for i, limit := range limits {
		for _, use := range u {
			if limit.Covers(use.Object, use.Action) {
				used[i] += use.Rows
			}
		}
	}
	return used
}

// everything is a limit of the store's own: no sum overflows while it holds.
var everything = store.Limit{Objects: []string{access.Any}, Actions: []string{access.Any}, Max: store.MaxRows}

// Bounds are the limits that a reservation must not exceed, as JSON for the statement that makes it.
func Bounds(r store.Reservation) (string, error) {
	bounds := []store.Limit{everything}
	for _, limit := range r.Limits {
		if limit.Covers(r.Object, r.Action) {
			bounds = append(bounds, limit)
		}
	}
	text, err := json.Marshal(bounds)
	return string(text), err
}

// Refusal says why a reservation was not made, from what the user had used. The second result is false where it fits.
func Refusal(r store.Reservation, uses Uses) (store.Reserved, bool, error) {
	refused := store.Reserved{Used: uses.Of(r.Limits)}
	for i, limit := range r.Limits {
		if limit.Covers(r.Object, r.Action) && refused.Used[i]+r.Rows > limit.Max {
			refused.Limit = i
			return refused, true, nil
		}
	}
	if total := uses.Of([]store.Limit{everything})[0]; total+r.Rows > everything.Max {
		return store.Reserved{}, true, fmt.Errorf("%w: nobody may use more than %d rows in 24 hours", store.ErrRefused, everything.Max)
	}
	return store.Reserved{}, false, nil
}

// ConsumptionBounds are the Bounds of a consumption's reservation, where it is one; else it says what is wrong with it.
func ConsumptionBounds(c store.Consumption) (string, error) {
	if err := c.Check(); err != nil || c.Reservation == nil {
		return "", err
	}
	return Bounds(*c.Reservation)
}
