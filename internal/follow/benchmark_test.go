package follow_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// BenchmarkChange measures from before a commit to the first answer from it, of one user's state changed in a tenant of a size.
func BenchmarkChange(b *testing.B) {
	for name, size := range map[string]accesstest.Size{
		"100 users":   {Objects: 10, Departments: 20, Users: 100, Roles: 20, GrantsPerRole: 20, Bindings: 200},
		"1000 users":  {Objects: 10, Departments: 40, Users: 1000, Roles: 100, GrantsPerRole: 20, Bindings: 2000},
		"10000 users": {Objects: 20, Departments: 200, Users: 10_000, Roles: 500, GrantsPerRole: 20, Bindings: 20_000},
	} {
		b.Run(name+", announced", func(b *testing.B) { benchmarkChange(b, size, func(s store.Store) follow.Store { return s }) })
		b.Run(name+", looked for", func(b *testing.B) {
			benchmarkChange(b, size, func(s store.Store) follow.Store { return silent{s} })
		})
	}
}

func benchmarkChange(b *testing.B, size accesstest.Size, seen func(store.Store) follow.Store) {
	s, err := postgres.Open(b.Context(), pgtest.Shared(b).Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	claimed, err := s.Claim(b.Context(), tenant, owner, "")
	if err != nil {
		b.Fatal(err)
	}
	facts := access.Resolve(accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), size)).Facts
	rows, err := store.Encode(facts)
	if err != nil {
		b.Fatal(err)
	}
	held := store.Index(rows)
	committed, err := s.Commit(b.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, held), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		b.Fatal(err, committed.Refused)
	}
	f := follow.New(follow.Options{MaxAge: time.Minute, Clock: clock.RealClock{}, Log: logr.Discard(), Metrics: follow.NewMetrics(prometheus.NewRegistry())})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx, seen(s)) }()
	b.Cleanup(func() { stop(); <-done })
	arrived := func(revision string) {
		for {
			if snapshot, ok := f.Snapshot(tenant); ok && snapshot.Revision == revision {
				return
			}
			time.Sleep(200 * time.Microsecond) //nolint:forbidigo // a figure needs real time
		}
	}
	arrived(committed.Tenant.Revision.String())
	random := rand.New(rand.NewPCG(2, 2))
	var took []time.Duration
	for b.Loop() {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond / 4) //nolint:forbidigo // looks come every second: at any time between two
		user := &facts.Users[random.IntN(len(facts.Users))]
		user.DisplayName += "x"
		changed, err := store.Encode(access.Facts{Users: []access.UserFact{*user}})
		if err != nil {
			b.Fatal(err)
		}
		change := store.Change{RowID: changed[0].RowID, Before: held[changed[0].RowID], After: changed[0].Body}
		held[change.RowID] = change.After
		began := time.Now()
		if committed, err = s.Commit(b.Context(), store.Commit{Expect: committed.Tenant, Changes: []store.Change{change}, Cause: "pass"}); err != nil {
			b.Fatal(err)
		}
		arrived(committed.Tenant.Revision.String())
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(len(rows)), "rows")
	b.ReportMetric(0, "ns/op")
}
