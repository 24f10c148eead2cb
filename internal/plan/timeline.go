package plan

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// kind is the items that the same tuples give, under the same guardrails: where one of them differs, all do.
type kind struct {
	items []int
	first *item
	gives [states][]*held
}

// kinds sorts the items of a view by what gives them. What nothing gives is left out.
func (v *view) kinds() (all []*kind) {
	byKey := make(map[string]*kind)
	var key []byte
	for i := range v.about.items {
		key = v.givers(key[:0], i)
		if len(key) == int(states) {
			continue
		}
		key = v.about.guarded(key, i)
		known := byKey[string(key)]
		if known == nil {
			known = v.newKind(i)
			byKey[string(key)] = known
			all = append(all, known)
		}
		known.items = append(known.items, i)
	}
	return all
}

// givers appends the places of the tuples that give an item, and the end of each state's list.
func (v *view) givers(key []byte, item int) []byte {
	for s := range states {
		for place, h := range v.held[s] {
			if h.gives.has(item) {
				key = binary.AppendUvarint(key, uint64(place)+1)
			}
		}
		key = append(key, 0)
	}
	return key
}

// guarded appends what else makes items differ: how guardrails look at them.
func (c *catalogue) guarded(key []byte, i int) []byte {
	it := &c.items[i]
	if it.field != "" && c.hidden {
		key = append(key, "hidden"...)
	}
	if it.beyond == "" && len(it.denied[before])+len(it.denied[after]) == 0 {
		return key
	}
	return fmt.Append(key, it.beyond, it.asked, it.reclassified, it.denied)
}

func (v *view) newKind(i int) *kind {
	k := &kind{first: &v.about.items[i]}
	for s := range states {
		for _, h := range v.held[s] {
			if h.gives.has(i) {
				k.gives[s] = append(k.gives[s], h)
			}
		}
	}
	return k
}

// stretch is a span in which a kind of items is there on other records.
type stretch struct {
	window schedule.Window
	was    *schedule.Window
	taking [states]taking
	// gives are the tuples that give the kind in it, at any time.
	gives [states][]*held
}

// taking is a region, and the tuples that come to it by these of their scopes.
type taking struct {
	region
	tuples []*held
	scopes access.Scopes
}

func (s *stretch) isEqual() bool { return s.taking[before].equal(s.taking[after].region) }

// stretches are the spans of time in which the two states differ in a kind.
func (s *space) stretches(k *kind, segments []schedule.Window) (all []*stretch) {
	profile := make([]*stretch, len(segments))
	for i, segment := range segments {
		profile[i] = s.at(k, segment)
	}
	if !k.isGuarded() && !s.view.about.hidden {
		if moved := shift(profile); moved != nil {
			return []*stretch{moved}
		}
	}
	for _, p := range profile {
		last := len(all) - 1
		switch {
		case p.isEqual():
		case last >= 0 && all[last].window.NotAfter == p.window.NotBefore && all[last].isLike(p):
			all[last].extend(p)
		default:
			all = append(all, p)
		}
	}
	return all
}

func (k *kind) isGuarded() bool { return len(k.first.denied[before])+len(k.first.denied[after]) > 0 }

// at is what there is of a kind in a segment. Where what is granted is the same there is no difference of grants, whatever
// guardrails leave of it: what they leave differs because they do, and their rows tell it. Of a field of another class it
// differs although they are as they were.
func (s *space) at(k *kind, segment schedule.Window) *stretch {
	p := &stretch{window: segment}
	for of := range states {
		for _, h := range k.gives[of] {
			if h.window.Active(segment.NotBefore) {
				p.gives[of] = append(p.gives[of], h)
			}
		}
		p.taking[of] = s.taking(of, p.gives[of], k.first.scopes())
	}
	if p.isEqual() && !k.first.reclassified {
		return p
	}
	for of := range states {
		p.taking[of] = s.left(of, k, p.taking[of], segment.NotBefore)
	}
	return p
}

// taking is what tuples take in together, by these of their scopes.
func (s *space) taking(of state, tuples []*held, scopes access.Scopes) taking {
	r := s.nothing()
	for _, h := range tuples {
		own, _ := access.ParseScopes(h.Scopes) // compiled before
		r.widen(s.taken(of, h.Tuple, own&scopes))
	}
	s.settle(r)
	return taking{r, tuples, scopes}
}

// left is what guardrails leave to be seen of what is granted.
func (s *space) left(of state, k *kind, granted taking, now schedule.Instant) taking {
	switch {
	case isIn(k.first.denied[of], now):
		return taking{region: s.nothing()}
	case k.first.beyond != "" && !k.first.asked[of]:
		return s.taking(of, granted.tuples, anyScope) // no rule of this state asks how widely
	case k.first.field == "" || !s.view.about.hidden:
		return granted
	}
	return s.seen(of, granted, now)
}

// seen is where a level of a field can be seen: on records on which something may be done. Where that is neither all of
// them nor just as many as may be seen, all are told.
func (s *space) seen(of state, granted taking, now schedule.Instant) taking {
	var doing []*held
	for _, h := range s.view.held[of] {
		if h.window.Active(now) && s.view.about.allowsAny(of, h, now) {
			doing = append(doing, h)
		}
	}
	if done := s.taking(of, doing, anyScope); done.within(granted.region) {
		return done
	}
	return granted
}

// shift finds a single span that both states have, each at its own time, besides what they have at all other times.
func shift(profile []*stretch) *stretch {
	rest := profile[len(profile)-1].taking[before]
	if !profile[len(profile)-1].isEqual() {
		return nil
	}
	was, is := peakOf(profile, before, rest.region), peakOf(profile, after, rest.region)
	if was == nil || is == nil || was.window == is.window || !was.taking[before].equal(is.taking[after].region) {
		return nil
	}
	moved := &stretch{window: is.window, was: &was.window}
	moved.taking = [states]taking{rest, is.taking[after]}
	moved.gives = [states][]*held{was.gives[before], is.gives[after]}
	return moved
}

// peakOf is the single span in which a state has something else than at rest; nil where there is none, or more.
func peakOf(profile []*stretch, of state, rest region) (peak *stretch) {
	for _, p := range profile {
		switch {
		case p.taking[of].equal(rest):
		case peak == nil:
			copied := *p
			peak = &copied
		case peak.window.NotAfter == p.window.NotBefore && peak.taking[of].equal(p.taking[of].region):
			peak.extend(p)
		default:
			return nil
		}
	}
	return peak
}

// isLike says whether the other stretch is of the same records.
func (s *stretch) isLike(other *stretch) bool {
	return s.taking[before].equal(other.taking[before].region) && s.taking[after].equal(other.taking[after].region)
}

func (s *stretch) extend(next *stretch) {
	s.window.NotAfter = next.window.NotAfter
	for of := range states {
		for _, h := range next.gives[of] {
			if !slices.Contains(s.gives[of], h) {
				s.gives[of] = append(slices.Clip(s.gives[of]), h)
			}
		}
	}
}

// sign says in which direction a stretch goes.
func (s *stretch) sign() Sign {
	less, more := s.taking[before].region, s.taking[after].region
	if s.was != nil {
		switch {
		case !less.within(more):
			return Shift
		case covers(s.window, *s.was):
			return Gain
		case covers(*s.was, s.window):
			return Loss
		}
		return Shift
	}
	switch {
	case less.within(more):
		return Gain
	case more.within(less):
		return Loss
	}
	return Shift
}

func covers(w, other schedule.Window) bool {
	return w.NotBefore <= other.NotBefore && other.NotAfter <= w.NotAfter
}
