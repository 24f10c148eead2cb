package access

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// share is what of an offer counts in a window: a part of each gift.
type share struct {
	window schedule.Window
	parts  []part
}

// part is what counts of one gift.
type part struct {
	tuples []cut
	// holds says that the gift's role may count as held, if all of its tuples count as well.
	holds bool
}

// cut is what counts of one of the gift's tuples.
type cut struct {
	pathTuple
	of int // the gift's tuple
}

// maxCuts bounds into how many pieces approvals of other effects may cut one tuple; further ones do not count.
const maxCuts = 64

// all is everything that the offer offers.
func (o *offer) all() share {
	s := share{window: o.window, parts: make([]part, len(o.gifts))}
	for i, g := range o.gifts {
		s.parts[i] = part{tuples: make([]cut, len(g.tuples)), holds: true}
		for j, t := range g.tuples {
			s.parts[i].tuples[j] = cut{t, j}
		}
	}
	return s
}

// isWhole says whether all of the gift counts.
func (p *part) isWhole(g *gift) bool {
	if !p.holds {
		return false
	}
	uncut := make(map[int]bool, len(g.tuples))
	for _, t := range p.tuples {
		if t.Digest == g.tuples[t.of].Digest {
			uncut[t.of] = true
		}
	}
	return len(uncut) == len(g.tuples)
}

// isAll says whether the share is everything that is offered, in all of its window.
func (s *share) isAll(o *offer) bool {
	for i := range s.parts {
		if !s.parts[i].isWhole(&o.gifts[i]) {
			return false
		}
	}
	return s.window == o.window
}

// isNothing says whether nothing of the offer is in the share.
func (s *share) isNothing(o *offer) bool {
	for i := range s.parts {
		if len(s.parts[i].tuples) > 0 || s.parts[i].isWhole(&o.gifts[i]) {
			return false
		}
	}
	return true
}

// during is the share in a narrower window.
func (s share) during(w schedule.Window) share {
	s.window = intersection(s.window, w)
	return s
}

func intersection(a, b schedule.Window) schedule.Window {
	return schedule.Window{NotBefore: max(a.NotBefore, b.NotBefore), NotAfter: min(a.NotAfter, b.NotAfter)}
}

// bounds are the instants at which one of the windows begins or ends, in order.
func bounds(windows []schedule.Window) []schedule.Instant {
	instants := make([]schedule.Instant, 0, 2*len(windows))
	for _, w := range windows {
		instants = append(instants, w.NotBefore, w.NotAfter)
	}
	slices.Sort(instants)
	return slices.Compact(instants)
}

// settleShares brings shares into one form: windows that do not overlap, in order, each with all that counts in it. Which
// shares it was made from does not show.
func settleShares(o *offer, shares []share) (settled []share) {
	windows := make([]schedule.Window, len(shares))
	for i := range shares {
		windows[i] = shares[i].window
	}
	instants := bounds(windows)
	for i := 1; i < len(instants); i++ {
		span := schedule.Window{NotBefore: instants[i-1], NotAfter: instants[i]}
		one := share{window: span, parts: make([]part, len(o.gifts))}
		for j := range shares {
			if shares[j].window.Active(span.NotBefore) {
				for k := range one.parts {
					one.parts[k].tuples = append(one.parts[k].tuples, shares[j].parts[k].tuples...)
					one.parts[k].holds = one.parts[k].holds || shares[j].parts[k].holds
				}
			}
		}
		for k := range one.parts {
			one.parts[k].settle(&o.gifts[k])
		}
		last := len(settled) - 1
		switch {
		case one.isNothing(o):
		case last >= 0 && settled[last].window.NotAfter == span.NotBefore && settled[last].sameParts(&one):
			settled[last].window.NotAfter = span.NotAfter
		default:
			settled = append(settled, one)
		}
	}
	return settled
}

// settle sorts the cuts, and leaves away those that a larger one contains for certain: the tuple itself.
func (p *part) settle(g *gift) {
	slices.SortFunc(p.tuples, func(a, b cut) int { return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.Digest, b.Digest)) })
	uncut, count := make(map[int]bool), make(map[int]int)
	for _, t := range p.tuples {
		uncut[t.of] = uncut[t.of] || t.Digest == g.tuples[t.of].Digest
	}
	p.tuples = slices.CompactFunc(p.tuples, func(a, b cut) bool { return a.of == b.of && a.Digest == b.Digest })
	p.tuples = slices.DeleteFunc(p.tuples, func(t cut) bool {
		if uncut[t.of] {
			return t.Digest != g.tuples[t.of].Digest
		}
		count[t.of]++
		return count[t.of] > maxCuts
	})
}

func (s *share) sameParts(other *share) bool {
	return slices.EqualFunc(s.parts, other.parts, func(a, b part) bool {
		return a.holds == b.holds && slices.EqualFunc(a.tuples, b.tuples, func(x, y cut) bool { return x.of == y.of && x.Digest == y.Digest })
	})
}
