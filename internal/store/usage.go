package store

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// MaxRows bounds what one user may use in 24 hours altogether, so that no sum overflows, here or in JSON.
const MaxRows = 1<<53 - 1

// Limit bounds how many rows one user may use in the last 24 hours, summed over its objects and actions. access.Any
// among them stands for all.
type Limit struct {
	Objects []string `json:"objects"`
	Actions []string `json:"actions"`
	Max     int64    `json:"max"`
}

// Covers says whether the use of an object by an action counts.
func (l Limit) Covers(object, action string) bool {
	return names(l.Objects, object) && names(l.Actions, action)
}

func names(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, access.Any)
}

// Reservation is what a user is about to use. Names are taken as they are: another spelling is another user.
type Reservation struct {
	User, Object, Action string
	Rows                 int64
	// Limits are those that must hold. One that does not cover the object and the action is not touched by the
	// reservation, and cannot refuse it.
	Limits []Limit
}

// Check says what is wrong with a reservation: ErrRefused.
func (r Reservation) Check() error {
	if r.Rows < 1 || r.Rows > MaxRows {
		return fmt.Errorf("%w: %d rows cannot be reserved, only 1 to %d", ErrRefused, r.Rows, int64(MaxRows))
	}
	if r.User == "" || r.Object == "" || r.Action == "" {
		return fmt.Errorf("%w: a reservation names a user, an object and an action", ErrRefused)
	}
	return checkNames(append(limited(r.Limits), r.User, r.Object, r.Action))
}

// CheckUsed says what is wrong with a question for what a user has used: ErrRefused.
func CheckUsed(user string, limits []Limit) error { return checkNames(append(limited(limits), user)) }

func limited(limits []Limit) []string {
	var all []string
	for _, limit := range limits {
		all = append(append(all, limit.Objects...), limit.Actions...)
	}
	return all
}

// CheckNames refuses names that not every database can keep: ErrRefused.
func CheckNames(names ...string) error { return checkNames(names) }

// checkNames refuses what not every database can tell apart from another name.
func checkNames(all []string) error {
	for _, name := range all {
		if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return fmt.Errorf("%w: a name must be valid UTF-8 without the character U+0000", ErrRefused)
		}
	}
	return nil
}

// Reserved is what came of a Reservation.
type Reserved struct {
	// OK says that the rows were reserved.
	OK bool
	// Limit is the first of the limits that refused, by its place; it says nothing where none did.
	Limit int
	// Used is what the user has used of each limit in the last 24 hours, with the rows where they were reserved.
	Used []int64
}
