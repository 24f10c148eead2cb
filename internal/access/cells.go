package access

import "math/bits"

// A cell is what a bundle gives on an object, laid out for the common question: one about a record, without an
// explanation. Tuples that select by scopes alone are summed up a scope: whatever record the scope takes in, all of them
// cover it, so the union of their gains is what they give it. That merges nothing across records. Tuples with conditions
// or selections follow one by one.
//
// In Policy.cells a cell is a header, a row of gains for each scope that it has, narrowest first, and then for each
// special tuple a header and a row.

// cellHeader packs the scopes that have rows and the number of special tuples.
type cellHeader uint64

func newCellHeader(scopes Scopes, special int) cellHeader {
	return cellHeader(scopes) | cellHeader(special)<<8
}

func (h cellHeader) scopes() Scopes { return Scopes(h) }

func (h cellHeader) special() int { return int(h >> 8) }

// specialHeader packs a special tuple's scopes, condition and selection; the latter are one more than their index, zero
// where there is none.
type specialHeader uint64

func newSpecialHeader(t *tuple) specialHeader {
	return specialHeader(t.scopes) | specialHeader(t.condition+1)<<8 | specialHeader(t.selection+1)<<36
}

func (h specialHeader) scopes() Scopes { return Scopes(h) }

func (h specialHeader) condition() int32 { return int32(h>>8&(1<<28-1)) - 1 }

func (h specialHeader) selection() int32 { return int32(h>>36) - 1 }

// recordState says whether a record is stored, or proposed to be created; a tuple gives different levels on them.
type recordState uint8

const (
	stored recordState = iota
	proposed
	recordStates
)

// appendCell sums up the plain tuples and lists the special ones that stand behind them.
func (p *Policy) appendCell(o *object, state recordState, plain, special []tuple) {
	var scopes Scopes
	for i := range plain {
		scopes |= plain[i].scopes
	}
	p.cells = append(p.cells, uint64(newCellHeader(scopes, len(special))))
	for scope := ScopeOwn; scope <= ScopeAll; scope <<= 1 {
		if !scopes.Has(scope) {
			continue
		}
		var sum gains
		for i := range plain {
			if plain[i].scopes.Has(scope) {
				sum.widen(p.gainsOf(o, plain[i].gains[state]))
			}
		}
		p.cells = append(p.cells, sum[:o.words]...)
	}
	for i := range special {
		p.cells = append(p.cells, uint64(newSpecialHeader(&special[i])))
		p.cells = append(p.cells, p.gainsOf(o, special[i].gains[state])...)
	}
}

func (p *Policy) gainsOf(o *object, at uint32) []uint64 { return p.gains[at : int(at)+o.words] }

// sumGrants is walkGrants for a question with a record and without a trace. It goes through the holdings eight at a time
// and fetches all their headers before it looks at one: the cells lie far apart in memory, and so the processor waits
// for them together and not one after the other.
func (q *question) sumGrants() Effect {
	p := q.policy
	cellOf := p.cellOf[q.state]
	var (
		found   [8]uint32
		headers [8]cellHeader
	)
	for held := p.holdingsOf(q.user); len(held) > 0; held = held[min(len(held), len(found)):] {
		n := 0
		for _, h := range held[:min(len(held), len(found))] {
			if h.window == none || p.windows[h.window].Active(q.now) {
				found[n] = cellOf[int(h.bundle)*len(p.objects)+int(q.objectID)]
				n++
			}
		}
		for i, at := range found[:n] {
			headers[i] = cellHeader(p.cells[at])
		}
		for i, at := range found[:n] {
			q.sumCell(headers[i], p.cells[at+1:])
		}
	}
	if !q.gained.has(int(q.action)) {
		return Deny
	}
	return Allow
}

// sumCell adds what a cell gives on the record.
func (q *question) sumCell(header cellHeader, rows []uint64) {
	words, scopes := q.object.words, header.scopes()
	if scopes.Has(ScopeSubordinates) && !q.knowsLine {
		q.standsAbove()
	}
	for hit := scopes & q.covered; hit != 0; hit &= hit - 1 {
		row := words * bits.OnesCount8(uint8(scopes&(hit&-hit-1)))
		q.gained.widen(rows[row : row+words])
	}
	rows = rows[words*bits.OnesCount8(uint8(scopes)):]
	for range header.special() {
		if h := specialHeader(rows[0]); q.takesIn(h.scopes(), h.condition(), h.selection()) {
			q.gained.widen(rows[1 : 1+words])
		}
		rows = rows[1+words:]
	}
}
