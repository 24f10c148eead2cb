package access

import (
	"math"
	"slices"
)

// What a tuple gives on an object is packed into bits: one for each action, then three planes of one bit for each
// field, saying whether its level is at least masked, at least read, edit. The union of several tuples' actions and the
// widest of their levels is then an OR of a few words (one, for an object of up to sixteen fields), and the narrowest an
// AND.

// maxFields bounds the fields of an object; further ones would have no level.
const maxFields = 512

// maxWords is how many words the widest object needs.
const maxWords = (maxActions + 3*maxFields) / 64

// gains is the packed form; an object uses the first object.words of it.
type gains [maxWords]uint64

func (g *gains) add(bit int) { g[bit>>6] |= 1 << (bit & 63) }

func (g *gains) bit(bit int) uint64 { return g[bit>>6] >> (bit & 63) & 1 }

func (g *gains) has(bit int) bool { return g.bit(bit) != 0 }

func (g *gains) widen(words []uint64) { widen(g[:], words) }

func widen(sum, words []uint64) {
	for i, word := range words {
		sum[i] |= word
	}
}

// lacks says whether the words would add something.
func (g *gains) lacks(words []uint64) bool {
	for i, word := range words {
		if word&^g[i] != 0 {
			return true
		}
	}
	return false
}

func (g *gains) narrow(words []uint64) {
	for i, word := range words {
		g[i] &= word
	}
}

// widest is every field at edit.
var widest = func() (g gains) {
	for i := range g {
		g[i] = math.MaxUint64
	}
	return g
}()

// levelBit is where it stands whether the field is at least at the level.
func (o *object) levelBit(field int32, level Level) int {
	return len(o.actions.list) + (int(level)-1)*len(o.fields.list) + int(field)
}

// level reads a field's level: as many of the planes have its bit, for who reaches a level reaches those below.
func (o *object) level(g *gains, field int32) Level {
	return Level(g.bit(o.levelBit(field, LevelMasked)) + g.bit(o.levelBit(field, LevelRead)) + g.bit(o.levelBit(field, LevelEdit)))
}

// pack writes the tuple's gains on a stored and on a proposed record, and says where they start.
func (b *policyBuilder) pack(o *object, actions uint64, fact *Tuple) (at [recordStates]uint32) {
	b.ruled = o.ruled(b.ruled[:0], fact)
	at[stored] = b.packOn(stored, o, actions)
	if actions&(o.create|o.update) == 0 {
		at[proposed] = at[stored] // nothing reaches edit on either
		return at
	}
	at[proposed] = b.packOn(proposed, o, actions)
	return at
}

func (b *policyBuilder) packOn(state recordState, o *object, actions uint64) uint32 {
	g := gains{0: actions}
	for field, level := range b.ruled {
		for l := o.reached(state, actions, field, level); l > LevelNone; l-- {
			g.add(o.levelBit(int32(field), l))
		}
	}
	p := b.policy
	p.gains = append(p.gains, g[:o.words]...)
	return uint32(len(p.gains) - o.words)
}

// reached is how much of a field's level the actions reach: edit only by update (create on a proposed record), read only
// by read or update.
func (o *object) reached(state recordState, actions uint64, field int, level Level) Level {
	if state == stored && o.fixed[field] {
		level = min(level, LevelRead) // transfer and assign change owner and department
	}
	editing := o.update
	if state == proposed {
		editing = o.create
	}
	switch {
	case actions&editing != 0:
		return level
	case actions&(o.read|o.update) != 0:
		return min(level, LevelRead)
	}
	return LevelNone
}

// ruled appends what the tuple's rules say of each field: a field rule beats a class rule beats the class's default. A
// rule that cannot be read gives nothing.
func (o *object) ruled(levels []Level, fact *Tuple) []Level {
	var byClass [classes]Level
	for class := range byClass {
		byClass[class] = Class(class).defaultLevel()
	}
	for i := len(fact.Fields) - 1; i >= 0; i-- {
		if rule := &fact.Fields[i]; rule.Field == "" {
			if class, err := ParseClass(rule.Class); err == nil {
				byClass[class], _ = ParseLevel(rule.Level)
			}
		}
	}
	for _, class := range o.classes {
		levels = append(levels, byClass[class])
	}
	for i := len(fact.Fields) - 1; i >= 0; i-- {
		rule := &fact.Fields[i]
		if field, known := o.fields.find(rule.Field); known && rule.Field != "" {
			levels[field], _ = ParseLevel(rule.Level)
		}
	}
	if fact.Restricted {
		for field, name := range o.fields.list {
			if !slices.Contains(fact.OnlyFields, name) {
				levels[field] = LevelNone
			}
		}
	}
	return levels
}
