package rivals

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

const (
	// checked is how many answers are compared before anything is timed.
	checked = 400
	// asked is how many questions there are to draw from, so that nobody answers from the last answer.
	asked = 10_000
	turns = 5
)

// BenchmarkRivals times the rivals in turns, each for a while, on organisations of growing size. What it prints is the
// table of docs/performance.md.
func BenchmarkRivals(b *testing.B) {
	for _, n := range []size{
		{users: 100, roles: 10, objects: 5, departments: 13},
		{users: 1000, roles: 100, objects: 10, departments: 40},
		{users: 10_000, roles: 1000, objects: 20, departments: 300},
	} {
		b.Run(fmt.Sprintf("%d users, %d roles", n.users, n.roles), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 1))
			d := newOrganisation(random, n)
			requests := newRequests(random, n, asked)
			contest(b, lineUp(b, d), requests)
		})
	}
}

type contestant struct {
	name   string
	answer rival
	took   []time.Duration // for one answer, by turn
}

func lineUp(b *testing.B, d access.Declarations) []*contestant {
	b.Helper()
	inCedar, err := newCedar(d)
	if err != nil {
		b.Fatal(err)
	}
	inOPA, err := newOPA(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	inCasbin, err := newCasbin(d)
	if err != nil {
		b.Fatal(err)
	}
	inOpenFGA, end, err := newOpenFGA(b.Context(), d)
	if end != nil {
		b.Cleanup(end)
	}
	if err != nil {
		b.Fatal(err)
	}
	return []*contestant{{name: "crmaccess", answer: newOurs(d)}, {name: "cedar-go", answer: inCedar}, {name: "OPA", answer: inOPA}, {name: "casbin", answer: inCasbin}, {name: "OpenFGA", answer: inOpenFGA}}
}

func contest(b *testing.B, all []*contestant, requests []*access.Request) {
	b.Helper()
	allowed := 0
	for _, q := range requests[:checked] {
		want, err := all[0].answer(q)
		if err != nil {
			b.Fatal(err)
		}
		if want {
			allowed++
		}
		for _, c := range all[1:] {
			if got, err := c.answer(q); err != nil || got != want {
				b.Fatalf("%+v %+v: %s says %v %v, ours %v", q, q.Record, c.name, got, err, want)
			}
		}
	}
	b.ResetTimer()
	for range turns {
		for _, c := range all {
			c.took = append(c.took, perAnswer(b, c.answer, requests))
		}
	}
	b.StopTimer()
	ours := median(all[0].took)
	b.ReportMetric(float64(ours.Nanoseconds()), "ns/decision")
	b.Logf("%d of %d allowed", allowed, checked)
	for _, c := range all {
		b.Logf("%-10s %12s a decision, %8.0f times ours", c.name, median(c.took), float64(median(c.took))/float64(ours))
	}
}

// perAnswer asks on and on for a while, looking at the clock ever more seldom.
func perAnswer(b *testing.B, answer rival, requests []*access.Request) time.Duration {
	b.Helper()
	const atLeast, most = 300 * time.Millisecond, 4096
	started, n := time.Now(), 0
	for batch := 1; time.Since(started) < atLeast; batch = min(2*batch, most) {
		for range batch {
			if _, err := answer(requests[n%len(requests)]); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	return time.Since(started) / time.Duration(n)
}

func median(took []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(took))[len(took)/2]
}
