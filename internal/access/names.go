package access

import (
	"math/bits"
	"strings"
)

// names finds the index of a name: a user, a department, an object, a field or action of it. A decision looks up seven
// or eight of them. The table is sparse enough to answer with one look, and a slot tells by the hash whether the name is
// worth comparing. The names' letters stand one after the other, not where each was read, so that they share cache lines.
type names struct {
	list  []string
	slots []nameSlot // linear probing
	mask  uint64
}

// nameSlot is empty where its index is none.
type nameSlot struct {
	hash  uint32 // the half that does not choose the slot
	index int32
}

// newNames indexes a list. Of equal names the first counts.
func newNames(list []string) names {
	size := 4
	for size < 2*len(list) {
		size *= 2
	}
	n := names{list: together(list), slots: make([]nameSlot, size), mask: uint64(size - 1)}
	for at := range n.slots {
		n.slots[at].index = none
	}
	for i, name := range list {
		if _, known := n.find(name); known {
			continue
		}
		hash := hashName(name)
		at := hash & n.mask
		for n.slots[at].index != none {
			at = (at + 1) & n.mask
		}
		n.slots[at] = nameSlot{uint32(hash >> 32), int32(i)}
	}
	return n
}

// together copies the names into one string, and cuts them out of it.
func together(list []string) []string {
	all := strings.Join(list, "")
	copied := make([]string, len(list))
	for i, name := range list {
		copied[i], all = all[:len(name)], all[len(name):]
	}
	return copied
}

func (n *names) find(name string) (int32, bool) {
	hash := hashName(name)
	for at := hash & n.mask; ; at++ {
		slot := n.slots[at&n.mask]
		if slot.index == none {
			return none, false
		}
		if slot.hash == uint32(hash>>32) && n.list[slot.index] == name {
			return slot.index, true
		}
	}
}

// hashName mixes sixteen bytes at a time, and of what is left the first and last ones (the multiplication of wyhash).
func hashName(s string) uint64 {
	hash := uint64(len(s))
	for ; len(s) > 16; s = s[16:] {
		hash = mix(eight(s)^hash, eight(s[8:]))
	}
	var a, b uint64
	switch n := len(s); {
	case n >= 4: // two pairs of four bytes: for eight bytes and more they do not overlap
		middle := n >> 3 << 2
		a = four(s)<<32 | four(s[middle:])
		b = four(s[n-4:])<<32 | four(s[n-4-middle:])
	case n > 0:
		a = uint64(s[0])<<16 | uint64(s[n>>1])<<8 | uint64(s[n-1])
	}
	return mix(a^hash, b)
}

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return high ^ low
}

func four(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
