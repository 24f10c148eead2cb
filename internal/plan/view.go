package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// view is what one person holds on one object in the two states.
type view struct {
	*comparison
	user   string
	object string
	sides  [states]*side
	held   [states][]*held
	// sameLine says that the person leads the same people in both states.
	sameLine bool
	about    *catalogue
}

// held is a tuple that is held in a window, for one or more reasons.
type held struct {
	*access.Tuple
	window schedule.Window
	by     []way
	gives  bitset
}

// way is a declaration by which a tuple is held, and the roles that lead to it.
type way struct {
	owner access.Ref
	path  string
}

// holdings are what somebody holds on the objects on which it may differ, object by object. A window that has begun has no
// beginning.
func (c *comparison) holdings(s *side, a *affected) []*held {
	if !s.isActive(a.user) {
		return nil
	}
	var all []*held
	for _, h := range s.holders[a.user] {
		window := c.open(h.Window)
		for _, t := range s.tuples[h.Bundle] {
			if a.objects == nil || slices.Contains(a.objects, t.Object) {
				all = append(all, &held{Tuple: t.Tuple, window: window, by: []way{{h.Owner, t.Path}}})
			}
		}
	}
	slices.SortFunc(all, compareHeld)
	return slices.CompactFunc(all, func(kept, next *held) bool {
		same := kept.Digest == next.Digest && kept.window == next.window
		if same {
			kept.by = append(kept.by, next.by...)
		}
		return same
	})
}

func compareHeld(x, y *held) int {
	if x.Digest != y.Digest {
		return cmp.Or(strings.Compare(x.Object, y.Object), strings.Compare(x.Digest, y.Digest))
	}
	return cmp.Or(cmp.Compare(x.window.NotBefore, y.window.NotBefore), cmp.Compare(x.window.NotAfter, y.window.NotAfter), compareWays(x.by[0], y.by[0]))
}

func compareWays(x, y way) int {
	return cmp.Or(strings.Compare(string(x.owner.Kind), string(y.owner.Kind)), strings.Compare(x.owner.Name, y.owner.Name), strings.Compare(x.path, y.path))
}

func sameHoldings(x, y []*held) bool {
	return slices.EqualFunc(x, y, func(x, y *held) bool { return x.Digest == y.Digest && x.window == y.window })
}

// isSame says that what is held is the same and means the same.
func (v *view) isSame() bool {
	return sameHoldings(v.held[before], v.held[after]) && !v.about.differs && v.stands(v.user) &&
		!slices.ContainsFunc(v.held[before], func(h *held) bool { return v.movesTree(h.Tuple) })
}

// segments are the spans between instants at which something of the view may change by itself.
func (v *view) segments() []schedule.Window {
	instants := []schedule.Instant{v.options.At, schedule.Forever}
	add := func(w schedule.Window) {
		for _, i := range [...]schedule.Instant{w.NotBefore, w.NotAfter} {
			if i > v.options.At {
				instants = append(instants, i)
			}
		}
	}
	for s := range states {
		for _, h := range v.held[s] {
			add(h.window)
		}
	}
	for i := range v.about.items {
		for s := range states {
			for _, w := range v.about.items[i].denied[s] {
				add(w)
			}
		}
	}
	slices.Sort(instants)
	instants = slices.Compact(instants)
	windows := make([]schedule.Window, len(instants)-1)
	for i := range windows {
		windows[i] = schedule.Window{NotBefore: instants[i], NotAfter: instants[i+1]}
	}
	return windows
}
