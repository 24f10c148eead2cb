package access

// A cell is what a bundle gives on an object, laid out for the common question: one about a record, without an
// explanation. Tuples that select by scopes alone are summed up a scope: whatever record the scope takes in, all of them
// cover it, so the union of their gains is what they give it. That merges nothing across records. Tuples with conditions
// or selections follow one by one.
//
// The cells lie far apart in memory, and a question has as many as the user has bundles. So each scope has a table of
// rows of its own: the question stands to the record by few scopes, mostly by all alone, and reads a row of these from
// each cell, and of the others nothing.
//
// In Policy.special a tuple is a header and a row of gains for each state of a record. Before those of a cell stands how
// many words they are.

// cell says where a bundle's rows on an object start, in each of the tables alike, and where its special tuples, or 0 where
// there are none. Bundles that have nothing on an object share the rows at the start.
type cell struct{ rows, special uint32 }

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

func (b *policyBuilder) startCells() {
	p := b.policy
	b.makeRoom()
	p.special = []uint64{0}
	words := 0
	for i := range p.objects {
		words = max(words, p.objects[i].words)
	}
	b.growRows(words)
}

// makeRoom makes a span and a cell for every pair of bundle and object.
func (b *policyBuilder) makeRoom() {
	p := b.policy
	pairs := len(p.bundles) * len(p.objects)
	p.spans = append(p.spans, make([]span, pairs-len(p.spans))...)
	p.cells = append(p.cells, make([]cell, pairs-len(p.cells))...)
}

// growRows appends an empty row to every table, and says where it starts.
func (b *policyBuilder) growRows(words int) (at uint32) {
	var empty gains
	for state := range b.policy.rows {
		for scope, rows := range b.policy.rows[state] {
			at = uint32(len(rows))
			b.policy.rows[state][scope] = append(rows, empty[:words]...)
		}
	}
	return at
}

// addCell sums up the plain tuples and lists the special ones that stand behind them.
func (b *policyBuilder) addCell(pair int32, plain, special []tuple) {
	p := b.policy
	if p.cells[pair] = (cell{}); len(plain)+len(special) == 0 {
		return
	}
	o := &p.objects[int(pair)%len(p.objects)]
	at := b.growRows(o.words)
	p.cells[pair].rows = at
	for i := range plain {
		for state, start := range plain[i].gains {
			given := p.gainsOf(o, start)
			for left := plain[i].scopes; left != 0; left &= left - 1 {
				widen(p.rows[state][left.narrowest()][at:], given)
			}
		}
	}
	if len(special) == 0 {
		return
	}
	p.cells[pair].special = uint32(len(p.special))
	p.special = append(p.special, uint64(len(special)*(1+int(recordStates)*o.words)))
	for i := range special {
		p.special = append(p.special, uint64(newSpecialHeader(&special[i])))
		for _, start := range special[i].gains {
			p.special = append(p.special, p.gainsOf(o, start)...)
		}
	}
}

func (p *Policy) gainsOf(o *object, at uint32) []uint64 { return p.gains[at : int(at)+o.words] }

// sumGrants is walkGrants for a question with a record and without a trace.
func (q *question) sumGrants() Effect {
	q.sumHoldings()
	if q.policy.received.concern(q.user) {
		q.sumReceived()
	}
	if !q.gained.has(int(q.action)) {
		return Deny
	}
	return Allow
}

// sumHoldings goes through the holdings eight at a time and finds all their cells before it looks into one, so that the
// processor waits for them together and not one after the other.
func (q *question) sumHoldings() {
	p, words := q.policy, q.object.words
	var found [8]cell
	for held := p.holdingsOf(q.user); len(held) > 0; held = held[min(len(held), len(found)):] {
		n := 0
		for _, h := range held[:min(len(held), len(found))] {
			if h.window == none || p.windows[h.window].Active(q.now) {
				found[n] = p.cells[int(h.bundle)*len(p.objects)+int(q.objectID)]
				n++
			}
		}
		for left := q.covered; left != 0; left &= left - 1 {
			rows := p.rows[q.state][left.narrowest()]
			for _, at := range found[:n] {
				q.gained.widen(rows[at.rows:][:words])
			}
		}
		for _, at := range found[:n] {
			if at.special != 0 {
				q.sumSpecial(p.special[at.special+1:][:p.special[at.special]])
			}
		}
	}
}

// sumSpecial adds what the special tuples of a cell give on the record. Of one that gives nothing more it does not ask
// whether it covers the record: conditions cost more than all else.
func (q *question) sumSpecial(tuples []uint64) {
	words := q.object.words
	for ; len(tuples) > 0; tuples = tuples[1+int(recordStates)*words:] {
		given := tuples[1+int(q.state)*words:][:words]
		if !q.gained.lacks(given) {
			continue
		}
		if h := specialHeader(tuples[0]); q.takesIn(h.scopes(), h.condition(), h.selection()) {
			q.gained.widen(given)
		}
	}
}
