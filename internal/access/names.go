package access

import "math/bits"

// names finds the index of a name: of a user, a department, an object, a field or action of it. A decision looks up seven
// or eight of them, and each waits for memory. So the table is sparse enough to answer with one look, and a slot holds
// so much of the name that one of up to sixteen bytes is compared without reading it anywhere else.
type names struct {
	list  []string
	slots []nameSlot // linear probing
	mask  uint64
}

type nameSlot struct {
	key    nameKey
	length int32
	index  int32 // one more than it; zero where the slot is free
}

// newNames indexes a list. Of equal names the first counts.
func newNames(list []string) names {
	size := 4
	for size < 2*len(list) {
		size *= 2
	}
	n := names{list: list, slots: make([]nameSlot, size), mask: uint64(size - 1)}
	for i, name := range list {
		if _, known := n.find(name); known {
			continue
		}
		key, hash := keyOf(name)
		at := hash & n.mask
		for n.slots[at].index != 0 {
			at = (at + 1) & n.mask
		}
		n.slots[at] = nameSlot{key, int32(len(name)), int32(i + 1)}
	}
	return n
}

func (n *names) find(name string) (int32, bool) {
	key, hash := keyOf(name)
	for at := hash & n.mask; ; at++ {
		slot := &n.slots[at&n.mask]
		if slot.index == 0 {
			return none, false
		}
		if slot.key == key && int(slot.length) == len(name) && (len(name) <= keyBytes || n.list[slot.index-1] == name) {
			return slot.index - 1, true
		}
	}
}

// nameKey is the last sixteen bytes of a name, or all of a shorter one. With the length it is the name itself, if that is
// not longer.
type nameKey struct{ a, b uint64 }

const keyBytes = 16

// keyOf also hashes the name, sixteen bytes at a time (the multiplication of wyhash).
func keyOf(s string) (key nameKey, hash uint64) {
	hash = uint64(len(s))
	for ; len(s) > keyBytes; s = s[8:] {
		hash = mix(hash^eight(s), hash)
	}
	switch n := len(s); {
	case n >= 4: // both ends and, from eight bytes on, what lies between: parts may overlap, none is left out
		middle := n >> 3 << 2
		key.a = four(s)<<32 | four(s[middle:])
		key.b = four(s[n-4:])<<32 | four(s[n-4-middle:])
	case n > 0:
		key.a = uint64(s[0])<<16 | uint64(s[n>>1])<<8 | uint64(s[n-1])
	}
	return key, mix(key.a^hash, key.b)
}

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return high ^ low
}

func four(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

func eight(s string) uint64 { return four(s) | four(s[4:])<<32 }
