package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Bench is one database to measure.
type Bench interface {
	Open(b *testing.B) store.Store
	Advance(b *testing.B, tenant string, to schedule.Instant)
	// BareUpdate updates all holders and tuples in one transaction, without triggers, ledger or lock: what the machine
	// needs at least to touch the rows.
	BareUpdate(b *testing.B)
}

// grantsOf are n holders: of grants with that many users each, every grant with a tuple of its own.
func grantsOf(b *testing.B, n, users int, window schedule.Window) map[store.RowID]string {
	b.Helper()
	var facts access.Facts
	for i := range n / users {
		name := fmt.Sprintf("grant-%05d", i)
		bundle := "TemporaryGrant/" + name + "/0a1b2c3d4e5f60718293a4b5c6d7e8f9"
		facts.Tuples = append(facts.Tuples, access.TupleFact{Owner: grantRef(name), Bundle: bundle, Path: name, Tuple: &access.Tuple{
			Digest: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", Origin: name, Object: "customer", Actions: []string{"read", "update"},
			Owners: []string{"wang-lei"}, Fields: []access.RuleFact{{Class: "confidential", Level: "masked"}},
		}})
		for j := range users {
			facts.Holders = append(facts.Holders, access.HolderFact{Owner: grantRef(name), User: fmt.Sprintf("user-%05d", j), Bundle: bundle, Window: window})
		}
	}
	return rowsOf(b, facts)
}

// BenchmarkSettle measures the end of 10,000 grants, and in interleaved pairs how it compares with a bare UPDATE of the
// same rows. The budget is three times that.
func BenchmarkSettle(b *testing.B, bench func(*testing.B) Bench) {
	for _, shape := range []struct {
		name  string
		users int
	}{{"a user each", 1}, {"a hundred users each", 100}} {
		b.Run(shape.name, func(b *testing.B) {
			settled, updated := prepare(b, bench(b), "settled", shape.users), prepare(b, bench(b), "updated", shape.users)
			b.Run("settle", func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					settled.fill(b)
					b.StartTimer()
					settled.settle(b)
				}
			})
			b.Run("bare-update", func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					updated.fill(b)
					b.StartTimer()
					updated.bench.BareUpdate(b)
				}
			})
			b.Run("ratio", func(b *testing.B) {
				var settling, updating time.Duration
				for range b.N {
					settled.fill(b)
					updated.fill(b)
					start := time.Now()
					updated.bench.BareUpdate(b)
					middle := time.Now()
					settled.settle(b)
					updating += middle.Sub(start)
					settling += time.Since(middle)
				}
				b.ReportMetric(float64(settling)/float64(updating), "settle/bare-update")
			})
		})
	}
}

// BenchmarkCommit measures a first commit of 10,000 grants, the load of them, and the commit that takes them away.
func BenchmarkCommit(b *testing.B, bench func(*testing.B) Bench) {
	p := prepare(b, bench(b), "committed", 1)
	var insert, load, remove time.Duration
	for range b.N {
		p.empty(b)
		start := time.Now()
		p.write(b, grantsOf(b, thousands, 1, schedule.Unbounded))
		inserted := time.Now()
		p.load(b)
		loaded := time.Now()
		p.write(b, nil)
		insert, load, remove = insert+inserted.Sub(start), load+loaded.Sub(inserted), remove+time.Since(loaded)
	}
	b.ReportMetric(float64(insert.Milliseconds())/float64(b.N), "ms/insert")
	b.ReportMetric(float64(load.Milliseconds())/float64(b.N), "ms/load")
	b.ReportMetric(float64(remove.Milliseconds())/float64(b.N), "ms/delete")
}

const thousands = 10_000

// prepared is a tenant that is filled and emptied again and again.
type prepared struct {
	*leader
	bench Bench
	users int
}

func prepare(b *testing.B, bench Bench, name string, users int) *prepared {
	b.Helper()
	s := bench.Open(b)
	claimed, err := s.Claim(b.Context(), name, ours, "")
	if err != nil {
		b.Fatal(err)
	}
	return &prepared{&leader{Store: s, tenant: claimed}, bench, users}
}

// fill makes 10,000 holders whose windows are over.
func (p *prepared) fill(b *testing.B) {
	b.Helper()
	p.empty(b)
	now := p.now(b)
	p.write(b, grantsOf(b, thousands, p.users, schedule.Window{NotBefore: now, NotAfter: now + 60}))
	p.bench.Advance(b, p.tenant.Name, now+60)
}

func (p *prepared) empty(b *testing.B) {
	b.Helper()
	p.load(b)
	p.write(b, nil)
}

func (p *prepared) write(b *testing.B, rows map[store.RowID]string) {
	b.Helper()
	committed, err := p.Commit(b.Context(), p.leader.write(rows))
	if err != nil || len(committed.Refused) > 0 {
		b.Fatal(err, committed.Refused)
	}
	p.tenant, p.held = committed.Tenant, rows
}

func (p *prepared) settle(b *testing.B) {
	b.Helper()
	committed, err := p.Settle(b.Context(), p.tenant)
	if err != nil {
		b.Fatal(err)
	}
	if want := thousands + thousands/p.users; len(committed.Changes) != want {
		b.Fatalf("%d rows settled, want %d", len(committed.Changes), want)
	}
}
