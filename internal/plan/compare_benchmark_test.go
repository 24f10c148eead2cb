package plan_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
)

// company is as large as an organisation gets: it is compared with itself, but for one role that 8,000 people are bound to, of
// whom more than 5,000 gain by it: the others are not active, or have it otherwise.
var company = accesstest.Size{Objects: 20, Departments: 1000, Users: 50_000, Roles: 2000, GrantsPerRole: 10, Bindings: 92_000, Temporary: 20_000, InheritEvery: 2}

// changedPeople are bound to the role that changes.
const changedPeople = 8000

// BenchmarkCompare is Compare after the trees are read: MB-trees is the heap with both of them, which are read apart and share
// nothing; MB-peak is the heap at its largest, with the trees in it.
func BenchmarkCompare(b *testing.B) {
	base, head := newCompany(), newCompany() // read apart: nothing is shared
	role := *head.Roles[0]
	role.Grants = append(slices.Clip(role.Grants), access.Grant{Object: "object-0", Actions: []string{"export"}, Records: access.Records{Scopes: access.ScopeOwn}})
	head.Roles[0] = &role
	trees := liveHeap()
	stop, peak := watchHeap()
	b.ResetTimer()
	people := 0
	for b.Loop() {
		b.StopTimer()
		runtime.GC() // as a command begins, without what the comparison before has left
		b.StartTimer()
		people = 0
		tenant := Compare(State{Declarations: base}, State{Declarations: head}, Options{At: accesstest.Start})
		for _, c := range tenant.Changes {
			people = max(people, len(c.People))
		}
	}
	b.StopTimer()
	stop()
	runtime.KeepAlive(base)
	runtime.KeepAlive(head)
	if people < 5000 {
		b.Fatalf("%d people are concerned, fewer than 5,000", people)
	}
	b.ReportMetric(float64(people), "people")
	b.ReportMetric(float64(trees)/1e6, "MB-trees")
	b.ReportMetric(float64(*peak)/1e6, "MB-peak")
}

func newCompany() access.Declarations {
	d := accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), company)
	d.Roles[0].Abstract = false
	for i := range changedPeople {
		d.UserBindings = append(d.UserBindings, &access.UserBinding{Name: accesstest.Name("changed", i), Subjects: []access.Subject{{User: accesstest.Name("user", i*6)}}, Roles: []string{d.Roles[0].Name}})
	}
	return d
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchHeap looks at the heap until it is stopped.
func watchHeap() (stop func(), peak *uint64) {
	peak = new(uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { close(done); <-ended }, peak
}
