package access_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

func TestDecidingDoesNotAllocate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d := accesstest.NewOrganisation(random, accesstest.Small)
	d.Guardrails = accesstest.NewGuardrails(random, d)
	policy := NewPolicy(Resolve(d).Facts)
	levels := make([]Level, 3)
	requests := make([]*Request, 500)
	for i := range requests {
		requests[i] = accesstest.NewRequest(random, d)
	}
	i := 0
	if n := testing.AllocsPerRun(len(requests), func() { policy.Decide(accesstest.Start+500, requests[i%len(requests)], levels); i++ }); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
}

var largeWorld = accesstest.Size{Objects: 20, Departments: 300, Users: 10000, Roles: 2000, GrantsPerRole: 200, Bindings: 40000}

// BenchmarkDecide asks about a record and three fields, each drawn uniformly anew for every decision, so that no part of
// the policy is warmer than another. Drawing is part of the figure; BenchmarkDraw says how much.
func BenchmarkDecide(b *testing.B) {
	draw := newDrawing(largeWorld)
	d := accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), largeWorld)
	policy, plain := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}
	levels := make([]Level, 3)
	counts := [3]int{}
	for range 300 {
		q := draw.next()
		effect := policy.Decide(accesstest.Start, q, levels)
		if want, wantLevels := plain.Decide(accesstest.Start, q); effect != want || !slices.Equal(levels, wantLevels) {
			b.Fatalf("engine says %s %v, reference %s %v", effect, levels, want, wantLevels)
		}
		counts[effect]++
	}
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		policy.Decide(accesstest.Start, draw.next(), levels)
	}
	b.ReportMetric(float64(counts[Allow])/3, "%allowed")
}

// BenchmarkDecideUnderGuardrails asks the same of the same policy with and without guardrails, in turns: rules of every
// form about every object and action, so that each question asks all of them, and none denies what is asked.
func BenchmarkDecideUnderGuardrails(b *testing.B) {
	d := accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), largeWorld)
	without := NewPolicy(Resolve(d).Facts)
	all := Target{Objects: []string{Any}, Actions: []string{Any}}
	ruled(GuardrailRule{Deny: &DenyRule{Target: all, When: DenyWhen{Channels: []string{"mobile"}}}},
		GuardrailRule{Deny: &DenyRule{Target: all, When: DenyWhen{ReasonMissing: true}}},
		GuardrailRule{Limit: &LimitRule{Target: all, MaxRowsPerRequest: number(500), MaxRowsPerDay: number(1000)}},
		GuardrailRule{Approve: &ApproveRule{Target: all, When: ApproveWhen{RowsOver: number(100)}}},
		GuardrailRule{Approve: &ApproveRule{Target: all, When: ApproveWhen{ScopeAtMost: "own", RowsOver: number(100)}}},
		GuardrailRule{Cap: &CapRule{Objects: []string{Any}, Classes: []string{"secret"}, Level: "masked"}})(&d)
	with := NewPolicy(Resolve(d).Facts)
	rows, used := int64(1), int64(0)
	context := Context{Channel: "web", Rows: &rows, Used: &used, Reason: "because", TargetDepartment: "dept-1"}
	levels := make([]Level, 3)
	const turn = 20000
	took := map[*Policy]time.Duration{}
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		for _, policy := range []*Policy{without, with} {
			draw := newDrawing(largeWorld)
			draw.request.Context = context
			started := time.Now()
			for range turn {
				policy.Decide(accesstest.Start, draw.next(), levels)
			}
			took[policy] += time.Since(started)
		}
	}
	b.ReportMetric(float64(took[with])/float64(took[without]), "with/without")
}

func BenchmarkDraw(b *testing.B) {
	draw := newDrawing(largeWorld)
	for b.Loop() {
		draw.next()
	}
}

// drawing fills one request with uniformly random names again and again.
type drawing struct {
	random                              *rand.PCG
	users, objects, departments, fields []string
	request                             Request
	record, parent                      Record
}

func newDrawing(n accesstest.Size) *drawing {
	names := func(prefix string, n int) (list []string) {
		for i := range n {
			list = append(list, accesstest.Name(prefix, i))
		}
		return list
	}
	var fields []string
	for _, f := range accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), accesstest.Size{Objects: 1}).ObjectTypes[0].Fields {
		fields = append(fields, f.Name)
	}
	d := &drawing{random: rand.NewPCG(3, 4), users: names("user", n.Users), objects: names("object", n.Objects), departments: names("dept", n.Departments), fields: fields}
	d.request.Fields = make([]string, 3)
	d.record.Attributes = map[string][]string{"field_3": {"east"}}
	d.record.Parent, d.request.Record = &d.parent, &d.record
	return d
}

func (d *drawing) next() *Request {
	bits := d.random.Uint64()
	take := func(list []string) string {
		i := bits % uint64(len(list))
		bits /= uint64(len(list))
		return list[i]
	}
	q := &d.request
	q.User, q.Object, q.Action = take(d.users), take(d.objects), accesstest.Actions[bits%3]
	q.Fields[0], q.Fields[1], q.Fields[2] = take(d.fields), take(d.fields), take(d.fields)
	bits = d.random.Uint64()
	d.record.Owner, d.record.Department = take(d.users), take(d.departments)
	d.parent.Owner, d.parent.Department = take(d.users), take(d.departments)
	if bits%3 == 0 {
		d.record.Owner = q.User
	}
	return q
}

func BenchmarkCompile(b *testing.B) {
	d := accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), largeWorld)
	b.ReportAllocs()
	for b.Loop() {
		NewPolicy(Resolve(d).Facts)
	}
}

// BenchmarkSnapshot measures what a policy keeps in memory once the declarations and facts that it was made from are gone.
func BenchmarkSnapshot(b *testing.B) {
	live := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := live()
		policy := NewPolicy(Resolve(accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), largeWorld)).Facts)
		b.ReportMetric(float64(live()-before)/1e6, "MB")
		runtime.KeepAlive(policy)
	}
}

// BenchmarkDecideWhileSwapped times single decisions in turns: at rest, and while one policy after another is compiled beside
// them and takes the place of the one that decides. Reading the clock is part of each figure.
func BenchmarkDecideWhileSwapped(b *testing.B) {
	const turn = 300_000
	world := accesstest.Size{Objects: 10, Departments: 40, Users: 1000, Roles: 100, GrantsPerRole: 50, Bindings: 4000}
	facts := Resolve(accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), world)).Facts
	var current atomic.Pointer[Policy]
	current.Store(NewPolicy(facts))
	var rest, swapped []time.Duration
	swaps := 0
	for b.Loop() {
		rest = append(rest, timeDecisions(&current, newDrawing(world), turn)...)
		stop, swapping := make(chan struct{}), sync.WaitGroup{}
		swapping.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					current.Store(NewPolicy(facts))
					swaps++
				}
			}
		})
		swapped = append(swapped, timeDecisions(&current, newDrawing(world), turn)...)
		close(stop)
		swapping.Wait()
	}
	slices.Sort(rest)
	slices.Sort(swapped)
	at := func(took []time.Duration, hundredths int) float64 { return float64(took[len(took)*hundredths/100]) }
	b.ReportMetric(at(rest, 50), "ns-p50")
	b.ReportMetric(at(rest, 99), "ns-p99")
	b.ReportMetric(at(swapped, 99), "ns-p99-swapped")
	b.ReportMetric(at(swapped, 99)/at(rest, 99), "swapped/rest")
	b.ReportMetric(float64(swaps), "swaps")
}

func timeDecisions(current *atomic.Pointer[Policy], draw *drawing, n int) []time.Duration {
	took, levels := make([]time.Duration, n), make([]Level, 3)
	for i := range took {
		q := draw.next()
		started := time.Now()
		current.Load().Decide(accesstest.Start, q, levels)
		took[i] = time.Since(started)
	}
	return took
}

// BenchmarkRevise measures what one changed user, and one temporary grant that comes or goes, costs a policy.
func BenchmarkRevise(b *testing.B) {
	for name, size := range map[string]accesstest.Size{
		"1000 users":  {Objects: 10, Departments: 40, Users: 1000, Roles: 100, GrantsPerRole: 20, Bindings: 2000, Temporary: 100},
		"10000 users": {Objects: 20, Departments: 200, Users: 10_000, Roles: 500, GrantsPerRole: 20, Bindings: 20_000, Temporary: 1000},
		"largest":     {Objects: 20, Departments: 300, Users: 10_000, Roles: 2000, GrantsPerRole: 200, Bindings: 40_000, Temporary: 1000},
	} {
		facts := Resolve(accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), size)).Facts
		lent := slices.IndexFunc(facts.Tuples, func(t TupleFact) bool { return t.Owner.Kind == KindTemporaryGrant })
		policy := NewPolicy(facts)
		b.Run(name+", a user", func(b *testing.B) {
			for b.Loop() {
				policy.Revise(facts, nil, nil)
			}
		})
		b.Run(name+", a grant", func(b *testing.B) {
			for b.Loop() {
				policy.Revise(facts, facts.Tuples[lent:lent+1], facts.Tuples[lent:lent+1])
			}
		})
	}
}
