package plan

// bitset is a set of small numbers. Sets that are combined have the same length.
type bitset []uint64

func newBitset(size int) bitset { return make(bitset, (size+63)/64) }

// fullBitset has all elements below size.
func fullBitset(size int) bitset {
	b := newBitset(size)
	for i := range size {
		b.add(i)
	}
	return b
}

func (b bitset) add(i int) { b[i>>6] |= 1 << (i & 63) }

func (b bitset) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }

func (b bitset) addAll(other bitset) {
	for i, word := range other {
		b[i] |= word
	}
}

func (b bitset) keep(other bitset) {
	for i, word := range other {
		b[i] &= word
	}
}

// holds says whether every element of the other is in the set.
func (b bitset) holds(other bitset) bool {
	for i, word := range other {
		if word&^b[i] != 0 {
			return false
		}
	}
	return true
}

func (b bitset) isEmpty() bool {
	for _, word := range b {
		if word != 0 {
			return false
		}
	}
	return true
}
