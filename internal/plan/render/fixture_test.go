package render_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

var update = flag.Bool("update", false, "write testdata anew, as plans are told now")

// held compares with a file of testdata: go test ./internal/plan/render -update writes it.
func held(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s holds something else than is told now: run this test with -update and read the difference", path)
	}
}

func instant(s string) schedule.Instant {
	i, err := schedule.Parse(s)
	if err != nil {
		panic(err)
	}
	return i
}

var (
	now     = instant("2026-11-21T01:00:00Z")
	always  = schedule.Window{NotBefore: now, NotAfter: schedule.Forever}
	yearEnd = schedule.Window{NotBefore: instant("2026-12-28T01:00:00Z"), NotAfter: instant("2026-12-31T01:00:00Z")}
)

func from(ref access.Ref, roles, grant, file string, line int) plan.Path {
	return plan.Path{Owner: ref, Roles: roles, Grant: grant, Until: schedule.Forever, Source: manifest.Source{File: file, Line: line}}
}

func binding(name string) access.Ref { return access.Ref{Kind: access.KindUserBinding, Name: name} }
func role(name string) access.Ref    { return access.Ref{Kind: access.KindRole, Name: name} }
func temporary(name string) access.Ref {
	return access.Ref{Kind: access.KindTemporaryGrant, Name: name}
}

// crowd are n people who have it by the same path.
func crowd(n int, paths ...plan.Path) []plan.Person {
	people := make([]plan.Person, n)
	for i := range people {
		people[i] = plan.Person{User: fmt.Sprintf("rep-%03d", i+1), DisplayName: fmt.Sprintf("代表%03d", i+1), Paths: paths}
	}
	return people
}

// everything is a plan in which each member of each type is told at least once.
func everything() *plan.Plan {
	export := from(binding("marketing-specialists"), "marketing-specialist", "marketing-specialist:export=all", "bindings.yaml", 82)
	yearend := plan.Path{Owner: temporary("yearend-li-ting"), Grant: "yearend-li-ting:read=owners", Until: yearEnd.NotAfter, Source: manifest.Source{File: "grants.yaml", Line: 4}}
	zhengKe := plan.Person{User: "zheng-ke", DisplayName: "郑可", Paths: []plan.Path{export}}
	liTing := plan.Person{User: "li-ting", DisplayName: "李婷", Paths: []plan.Path{yearend}}
	reps := crowd(12, from(binding("sales-reps"), "sales-rep", "sales-rep:read=department", "roles/sales-rep.yaml", 17))
	reps[3].Paths = append(reps[3].Paths, from(binding("second-hat"), "sales-manager > sales-rep", "sales-rep:read=department", "roles/sales-rep.yaml", 17))
	return &plan.Plan{Base: "main", Head: "feature/wider", At: now, Rules: []plan.Rule{{Name: "export", Severity: plan.High, Forbid: true, Why: "records leave the system"}}, Tenants: []*plan.Tenant{{
		Namespace: "huayue",
		Changes: []*plan.Change{
			{
				Sign: plan.Gain, Risk: plan.Risk{Severity: plan.Critical, Rules: []string{"export", "all-scope"}, Forbidden: true},
				Object: "customer", Actions: []string{"export"}, After: []plan.Records{{Scopes: []string{"all"}}}, Window: always, People: []plan.Person{zhengKe},
				Causes: []plan.Cause{{Ref: role("marketing-specialist"), Verb: plan.Changed, Field: "spec.grants[2].actions", Source: manifest.Source{File: "roles/marketing-specialist.yaml", Line: 19}}},
			},
			{
				Sign: plan.Gain, Risk: plan.Risk{Severity: plan.High, Rules: []string{"wider-scope"}},
				Object: "customer", Actions: []string{"read", "share", "update"},
				Fields: []plan.FieldLevel{
					{Field: "creditLimit", Class: access.ClassRestricted, Level: access.LevelMasked},
					{Field: "email", Class: access.ClassConfidential, From: access.LevelMasked, Level: access.LevelEdit}, {Field: "phone", Class: access.ClassConfidential, Level: access.LevelEdit, Proposed: true}, {Field: "phone", Class: access.ClassConfidential, Level: access.LevelEdit},
				},
				Before: []plan.Records{{Scopes: []string{"own"}}}, After: []plan.Records{{Scopes: []string{"department"}}}, Window: always, People: reps,
				Causes: []plan.Cause{{Ref: role("sales-rep"), Verb: plan.Changed, Field: "spec.grants[1].scopes", Source: manifest.Source{File: "roles/sales-rep.yaml", Line: 17}}},
			},
			{
				Sign: plan.Shift, Risk: plan.Risk{Severity: plan.Medium, Rules: []string{"long-grant"}},
				Object: "customer", Actions: []string{"read"}, Wider: []plan.Reach{{Action: "transfer", Beyond: "own"}}, Before: []plan.Records{{Owners: []string{"wang-lei"}}}, After: []plan.Records{{Owners: []string{"wang-lei"}}},
				Window: schedule.Window{NotBefore: yearEnd.NotBefore, NotAfter: instant("2027-03-31T01:00:00Z")}, Was: &yearEnd, People: []plan.Person{liTing},
				Causes: []plan.Cause{{Ref: temporary("yearend-li-ting"), Verb: plan.Changed, Field: "spec.notAfter", Source: manifest.Source{File: "grants.yaml", Line: 17}}},
			},
			{
				Sign: plan.Loss, Risk: plan.Risk{Severity: plan.Low},
				Object: "ticket", Actions: []string{"create", "read"}, Before: []plan.Records{
					{Scopes: []string{"involved", "subordinates"}, Where: []access.WhereFact{{Field: "severity", Operator: access.OperatorIn, Values: []string{"high", "low"}}, {Field: "region", Operator: access.OperatorExists}}},
					{IDs: []string{"t-1", "t-2", "t-3", "t-4", "t-5", "t-6", "t-7", "t-8", "t-9"}, Departments: []string{"service"}, DepartmentTrees: []string{"sales"}, Participants: []string{"xu-nuo"}, Where: []access.WhereFact{{Field: "status", Operator: access.OperatorNotIn, Values: []string{"closed"}}}},
				},
				Window: always, People: []plan.Person{{User: "bai-he", DisplayName: "白鹤", Paths: []plan.Path{from(binding("agency"), "service-agent", "service-agent:read=involved", "bindings.yaml", 9)}}},
				Causes: []plan.Cause{{Ref: binding("agency"), Verb: plan.Removed, Source: manifest.Source{File: "bindings.yaml", Line: 9}}},
			},
		},
		Rules: []*plan.RuleChange{{
			Sign: plan.Gain, Risk: plan.Risk{Severity: plan.Critical, Rules: []string{"weaker-guardrail"}}, Guardrail: "no-bulk-export",
			Before: "limits export on customer to 500 rows a request", After: "limits export on customer to 50000 rows a request",
			Object: "customer", Actions: []string{"export"}, People: []plan.Person{zhengKe},
			Causes: []plan.Cause{{Ref: access.Ref{Kind: access.KindGuardrail, Name: "no-bulk-export"}, Verb: plan.Changed, Field: "spec.rules[0].limit.maxRowsPerRequest", Source: manifest.Source{File: "guardrails.yaml", Line: 11}}},
		}, {
			Sign: plan.Shift, Guardrail: "secret-fields", Held: true, After: "caps @secret of every object at none", Before: "caps @secret of every object at masked",
			Object: "customer", Fields: []plan.FieldLevel{{Field: "idNumber", Class: access.ClassSecret, Level: access.LevelMasked}}, People: reps,
		}},
		People: []*plan.PersonChange{
			{User: "zhao-xiaoyu", DisplayName: "赵小雨", What: "moves", From: "sales-east-1", To: "sales-north", Risk: plan.Risk{Severity: plan.Medium, Rules: []string{"moved"}}, Causes: []plan.Cause{{Ref: access.Ref{Kind: access.KindUser, Name: "zhao-xiaoyu"}, Verb: plan.Changed, Field: "spec.department", Source: manifest.Source{File: "users.yaml", Line: 120}}}},
			{User: "new-one", What: "joins", To: "sales"},
		},
		Approvals: []*plan.Approval{
			{Ref: temporary("q4-campaign"), User: "bai-he", Effect: "sha256:0f5c3b1e2d4a69788796a5b4c3d2e1f00f5c3b1e2d4a69788796a5b4c3d2e1f0", Rule: "temporary-access", Needed: 1, From: []string{"zhou-lan", "a regional-manager"}, Document: []byte(`{"kind":"access"}`), Source: manifest.Source{File: "grants.yaml", Line: 41}},
			{Ref: access.Ref{Kind: access.KindGuardrail, Name: "no-bulk-export"}, Effect: "sha256:00", Needed: 2, Have: 1},
		},
		Upcoming: []*plan.Upcoming{{At: instant("2026-12-15T16:00:00Z"), Sign: plan.Loss, Ref: temporary("q4-campaign"), People: []plan.Person{zhengKe}, Grant: "q4-campaign:read=ids", Source: manifest.Source{File: "grants.yaml", Line: 41}}},
		Findings: []*plan.Finding{
			{Ref: role("sales-rep"), Field: "spec.grants[9].object", Message: `no object type "invoice" is declared`, Source: manifest.Source{File: "roles/sales-rep.yaml", Line: 50}},
			{Message: "a file of records is no manifest and is left out", Advice: true, Source: manifest.Source{File: "records.yaml"}},
		},
	}}}
}
