package access_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// takesIn evaluates a filter as whoever holds the records would: on what the record says, knowing nothing of the policy.
func takesIn(f Filter, o *ObjectType, record *Record) bool {
	decides := record
	if f.Decides != o.Name {
		decides = record.Parent
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

// askAboutLists asks as many questions as a test is to ask of what may be listed, and tells whether the filter takes the
// record in and what the reference says of it.
func askAboutLists(t *testing.T, newWorld func(*rand.Rand, accesstest.Size) Declarations, tell func(in bool, want accesstest.Verdict, question string)) {
	t.Helper()
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	for asked := 0; asked < questions; {
		d := newWorld(random, accesstest.Small)
		policy, plain := NewPolicy(Resolve(d).Facts), accesstest.Reference{Declarations: d}
		for range min(questionsPerWorld, questions-asked) {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			o := slices.IndexFunc(d.ObjectTypes, func(o *ObjectType) bool { return o.Name == q.Object })
			if q.Record == nil || o < 0 {
				continue
			}
			if q.Fields = nil; q.Action != ActionExport {
				q.Action = ActionRead
			}
			f := policy.Filter(now, q)
			tell(takesIn(f, d.ObjectTypes[o], q.Record), plain.Judge(now, q), fmt.Sprintf("question %d at %d: %+v record %+v filter %+v", asked, now, q, q.Record, f))
		}
	}
}

func TestAFilterAgreesWithTheReferenceAboutEveryRecord(t *testing.T) {
	in, out := 0, 0
	askAboutLists(t, accesstest.NewOrganisation, func(is bool, want accesstest.Verdict, question string) {
		if is != (want.Effect == Allow) {
			t.Fatalf("%s: the filter says %v, the reference %s", question, is, want.Effect)
		}
		if is {
			in++
		} else {
			out++
		}
	})
	t.Logf("%d records in, %d out", in, out)
	if in < (in+out)/4 || out < (in+out)/4 {
		t.Errorf("the worlds are lopsided, and prove little: %d in, %d out", in, out)
	}
}

func TestAFilterUnderGuardrailsAgreesToNoMoreThanTheReference(t *testing.T) {
	in, missing := 0, 0
	askAboutLists(t, accesstest.NewWorld, func(is bool, want accesstest.Verdict, question string) {
		switch {
		case is && want.Effect != Allow:
			t.Fatalf("%s: the filter takes it in, the reference says %s (%s)", question, want.Effect, want.By)
		case is:
			in++
		case want.Effect == Allow: // a rule about single records took the whole list
			missing++
		}
	})
	t.Logf("%d records in, %d left out that may be read one by one", in, missing)
	if missing > in/4 {
		t.Errorf("the filters are too narrow, and prove little: %d in, %d left out", in, missing)
	}
}

func TestAFilterLeavesOutWhatIsCoveredSoNarrowlyThatItNeedsApproval(t *testing.T) {
	for name, c := range map[string]struct {
		approvedBy []string
		want       []Clause
	}{
		"nobody has approved": {nil, []Clause{{Departments: []string{"east-1"}}}},
		"the boss has":        {[]string{"boss"}, []Clause{{Departments: []string{"east-1"}, Owners: []string{"ann"}}}},
		"somebody else has":   {[]string{"bob"}, []Clause{{Departments: []string{"east-1"}}}},
	} {
		d := office()
		holding("ann", customers(ScopeOwn|ScopeDepartment, "read"))(&d)
		ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "read"), When: ApproveWhen{ScopeAtMost: "own"}, By: []Approver{{User: "boss"}}}})(&d)
		f := NewPolicy(Resolve(d).Facts).Filter(0, &Request{User: "ann", Action: "read", Object: "customer", Context: Context{ApprovedBy: c.approvedBy}})
		if f.Effect != Allow || !reflect.DeepEqual(f.Clauses, c.want) {
			t.Errorf("%s: %+v, want %+v", name, f, c.want)
		}
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
