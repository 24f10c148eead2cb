package access

import "math/bits"

// names finds the index of a name among a few: the fields or actions of an object, the objects. It hashes the ends of
// the name into a table that is sparse enough to answer with one look. Go's map costs four times as much for so few,
// and a decision looks up five of them.
type names struct {
	list  []string
	slots []int16 // index + 1; linear probing
	mask  uint64
}

// maxNames bounds a list so that a slot can hold its index.
const maxNames = 1 << 14

// newNames indexes a list. Of equal names the first counts; names past the bound are not found.
func newNames(list []string) names {
	size := 8
	for size < 4*min(len(list), maxNames) {
		size *= 2
	}
	n := names{list: list, slots: make([]int16, size), mask: uint64(size - 1)}
	for i, name := range list[:min(len(list), maxNames)] {
		at := hashEnds(name) & n.mask
		for n.slots[at] != 0 && list[n.slots[at]-1] != name {
			at = (at + 1) & n.mask
		}
		if n.slots[at] == 0 {
			n.slots[at] = int16(i + 1)
		}
	}
	return n
}

func (n *names) find(name string) (int32, bool) {
	if len(n.slots) == 0 {
		return 0, false
	}
	for at := hashEnds(name) & n.mask; ; at = (at + 1) & n.mask {
		i := n.slots[at]
		if i == 0 {
			return 0, false
		}
		if n.list[i-1] == name {
			return int32(i - 1), true
		}
	}
}

// hashEnds mixes the first and last eight bytes and the length (the multiplication of wyhash).
func hashEnds(s string) uint64 {
	var a, b uint64
	switch n := len(s); {
	case n >= 8:
		a, b = eight(s), eight(s[n-8:])
	case n >= 4:
		a, b = four(s), four(s[n-4:])
	case n > 0:
		a = uint64(s[0])<<16 | uint64(s[n>>1])<<8 | uint64(s[n-1])
	}
	high, low := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db^uint64(len(s)))
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
