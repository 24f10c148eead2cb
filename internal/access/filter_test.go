package access_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// takesIn evaluates a filter as whoever holds the records would: on what the record says, knowing nothing of the policy.
func takesIn(f Filter, o *ObjectType, record *Record, depth int) bool {
	decides := record
	for range depth {
		if decides = decides.Parent; decides == nil {
			decides = &Record{}
		}
	}
	return slices.ContainsFunc(f.Clauses, func(c Clause) bool {
		for _, w := range c.Where {
			values := record.Attributes[w.Field]
			switch {
			case w.Field == o.OwnerField && record.Owner != "":
				values = []string{record.Owner}
			case w.Field == o.DepartmentField && record.Department != "":
				values = []string{record.Department}
			}
			in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(w.Values, v) })
			if len(values) == 0 || (w.Operator == OperatorIn && !in) || (w.Operator == OperatorNotIn && in) {
				return false
			}
		}
		return c.Everything || slices.Contains(c.IDs, record.ID) ||
			(decides.Owner != "" && slices.Contains(c.Owners, decides.Owner)) || slices.Contains(c.Departments, decides.Department) ||
			slices.ContainsFunc(decides.Participants, func(name string) bool { return slices.Contains(c.Participants, name) })
	})
}

func TestAFilterTakesInJustTheRecordsThatMayBeRead(t *testing.T) {
	const worlds, questions = 40, 600
	in, out := 0, 0
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 7))
		d := accesstest.NewOrganisation(random, accesstest.Small)
		policy, plain := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}
		for range questions {
			q := accesstest.NewRequest(random, d)
			if q.Record == nil {
				continue
			}
			q.Action, q.Fields = ActionRead, nil
			now := accesstest.Start + schedule.Instant(random.IntN(2*accesstest.Span))
			effect, _ := plain.Decide(now, q)
			object := d.ObjectTypes[slices.IndexFunc(d.ObjectTypes, func(o *ObjectType) bool { return o.Name == q.Object })]
			f, depth := policy.Filter(now, q), 0
			if f.Decides != q.Object {
				depth = 1
			}
			got := takesIn(f, object, q.Record, depth)
			if got != (effect == Allow) {
				t.Fatalf("world %d at %d: %+v record %+v: the filter says %v, the decision %s: %+v", seed, now, q, q.Record, got, effect, f)
			}
			if got {
				in++
			} else {
				out++
			}
		}
	}
	t.Logf("%d records in, %d out", in, out)
	if in < (in+out)/4 || out < (in+out)/4 {
		t.Errorf("the worlds are lopsided, and prove little: %d in, %d out", in, out)
	}
}

func TestAFilterIsNoWiderThanGuardrailsLet(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeAll, "read", "export"))(&d)
	ruled(GuardrailRule{Limit: &LimitRule{Target: on("customer", "export"), MaxRowsPerRequest: number(5)}},
		GuardrailRule{Approve: &ApproveRule{Target: on("customer", "read"), When: ApproveWhen{RowsOver: number(10)}, By: []Approver{{User: "boss"}}}})(&d)
	policy := NewPolicy(Resolve(d).Facts)
	for name, c := range map[string]struct {
		action string
		rows   int64
		want   Effect
	}{
		"too many rows to export":      {"export", 6, Deny},
		"as many as may be":            {"export", 5, Allow},
		"so many that somebody agrees": {"read", 11, NeedsApproval},
		"few to read":                  {"read", 10, Allow},
	} {
		f := policy.Filter(0, &Request{User: "ann", Action: c.action, Object: "customer", Context: Context{Rows: &c.rows}})
		if f.Effect != c.want || (len(f.Clauses) > 0) != (c.want == Allow) {
			t.Errorf("%s: %+v, want %s", name, f, c.want)
		}
	}
}
