package command_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	run("show", "wang-yi", "-f", huayue).expect(t, 0, "wang-yi (王弈), Employee, 数据分析师: Active", "department: analytics (数据分析部)", "manager: zhou-lan (周岚)", "UserBinding/data-analysts > data-analyst", "amount read; paymentStatus read")
	run("show", "shen-yan", "-f", huayue).expect(t, 0, "no access: no binding or temporary grant gives any")
	run("show", "wangyi", "-f", huayue).expect(t, 2, `no user "wangyi" is declared; did you mean wang-yi?`)
	run("show", "zzzzzzzz", "-f", huayue).expect(t, 2, `no user "zzzzzzzz" is declared`)
	run("show", "wang-yi").expect(t, 2, "say with -f which manifests to read")
	run("show", "-f", huayue).expect(t, 2, "want 1 arguments (USER), got 0")
	run("show", "wang-yi", "-f", huayue, "--at", "now").expect(t, 2, "--at: ")
	run("show", "wang-yi", "-f", huayue, "-o", "yaml").expect(t, 2, "want text or json")
	run("show", "chen-mo", "-f", huayue, "--at", "2026-10-03T10:00:00+08:00").expect(t, 0, "departments sales-east-2", "2026-10-07T16:00:00Z", "changes by itself at 2026-10-07T16:00:00Z")
}

func TestShowSaysWhatWaitsWhatIsRevokedAndWhichRulesHold(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": approving})
	effect := regexp.MustCompile("effect sha256:[0-9a-f]{64}\n")
	for user, want := range map[string]string{
		"ann": `ann (Ann), Employee: Active
department: east (East)
manager: boss (The Boss)
at: 2026-11-21T02:00:00Z
OBJECT    ACTIONS  REACH  FIELDS  UNTIL  BY
customer  read     own    -       -      UserBinding/reps > rep
waits: TemporaryGrant/holiday: 0 of 1 approval, from boss; guardrail elsewhere; EFFECT
waits: UserBinding/admins: 0 of 2 approvals, from anybody whom the cluster lets approve it; guardrail privileged; EFFECT
`,
		"ben": `ben (Ben), Employee: Active
department: east (East)
manager: boss (The Boss)
at: 2026-11-21T02:00:00Z
no access: what there was is revoked
waits: TemporaryGrant/holiday: 0 of 1 approval, from boss; guardrail elsewhere; EFFECT
revoked: User/ben by Revocation/stop-ben (device stolen)
`,
	} {
		r := run("show", user, "-f", dir)
		if got := effect.ReplaceAllString(r.out, "EFFECT\n"); got != want {
			t.Errorf("shows\n%s\nwant\n%s", got, want)
		}
	}
	over := "2026-12-08T00:00:00Z"
	if r := run("show", "ann", "-f", dir, "--at", over); strings.Contains(r.out, "TemporaryGrant") {
		t.Errorf("waits for what is over: %s", r.out)
	}
	run("show", "li-ting", "-f", huayue).expect(t, 0,
		"guardrail customer-transfer: transfer on customer, lead needs approval by the subject's manager while the subject's widest scope is at most own\n",
		"guardrail secret-fields: caps @secret of every object at masked\n")
	run("show", "lin-che", "-f", huayue).expect(t, 0, "guardrail no-bulk-export: limits export on customer, contact, lead to 500 rows a request, 1000 rows in 24 hours\n",
		"guardrail no-bulk-export: denies export on customer, contact, lead while the channel is mobile\n")
	run("show", "feng-ke", "-f", huayue).expect(t, 0, "guardrail payment-duties: lets nobody do both on one record: create payment, approve payment\n")

	r := run("show", "ann", "-f", dir, "-o", "json")
	var got struct{ Waits []map[string]any }
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got.Waits) != 2 || got.Waits[1]["needed"] != 2.0 || got.Waits[1]["state"] != "Awaiting" || got.Waits[1]["guardrail"] != "privileged" {
		t.Errorf("%v: shows %s", err, r.out)
	}
}

func TestShowSaysWhatARevokedRoleOrBindingGave(t *testing.T) {
	emergency := crm + `kind: TemporaryGrant
metadata: {name: fire}
spec: {users: [ann], roles: [rep], notBefore: "2026-11-21T00:00:00Z", notAfter: "2026-11-21T03:00:00Z", reason: fire, requestedBy: ann, emergency: true}
`
	dir := write(t, map[string]string{"a.yaml": approving + "---\n" + emergency + "---\n" +
		crm + "kind: Revocation\nmetadata: {name: no-reps}\nspec: {role: rep, reason: wrong}\n---\n" +
		crm + "kind: Revocation\nmetadata: {name: no-fire}\nspec: {grant: fire, reason: \"no\\u202efire\"}\n"})
	run("show", "ann", "-f", dir).expect(t, 0, "no access: what there was is revoked", "waits: TemporaryGrant/fire (had in an emergency, for review): 0 of 1 approval",
		`revoked: TemporaryGrant/fire by Revocation/no-fire (no\u202efire)`, "revoked: Role/rep by Revocation/no-reps (wrong)")
	run("show", "chief", "-f", dir).expect(t, 0, "no access: no binding or temporary grant gives any")
}

func TestShowInJSONIsTheSameEveryTime(t *testing.T) {
	first := run("show", "lin-che", "-f", huayue, "-o", "json")
	first.expect(t, 0)
	var got struct {
		User   string           `json:"user"`
		Access []map[string]any `json:"access"`
	}
	if err := json.Unmarshal([]byte(first.out), &got); err != nil || got.User != "lin-che" || len(got.Access) < 20 {
		t.Errorf("%v: %d rows of %q", err, len(got.Access), got.User)
	}
	for range 5 {
		if again := run("show", "lin-che", "-f", huayue, "-o", "json"); again != first {
			t.Fatalf("shows %s, then %s", first.out, again.out)
		}
	}
}

func TestShowCutsLongSelectionsShort(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": `apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: lina}
spec: {displayName: Lina, type: Employee, state: Active}
---
apiVersion: crmaccess.io/v1alpha1
kind: ObjectType
metadata: {name: customer}
spec: {displayName: C, actions: [read], fields: [{name: region, class: public}]}
---
apiVersion: crmaccess.io/v1alpha1
kind: TemporaryGrant
metadata: {name: g}
spec:
  users: [lina]
  grants: [{object: customer, actions: [read], records: {ids: [a, b, c, d, e, f, g]}, where: [{field: region, operator: In, values: [east, west]}]}]
  notAfter: "2027-01-01T00:00:00Z"
  reason: r
  requestedBy: lina
`})
	run("show", "lina", "-f", dir).expect(t, 0, "ids a,b,c,d,e and 2 more where region In [east west]  -")
}

func TestLintEndsByWhatItFinds(t *testing.T) {
	run("lint", huayue).expect(t, 0, "UserBinding/crm-admins: spec.roles[0]: gives the privileged role crm-admin to deng-ning", "guardrails.yaml", "warning: Guardrail/payment-duties: spec.rules[0].separate: ", "errors: 0, warnings: 5, infos: 1")
	run("lint", filepath.Join(huayue, "none")).expect(t, 2, "none")
	run("lint").expect(t, 2, "want 1 arguments (DIR), got 0")
	run("lint", huayue, "-o", "yaml").expect(t, 2, "want text or json")

	dir := write(t, map[string]string{"a.yaml": "apiVersion: crmaccess.io/v1alpha1\nkind: UserBinding\nmetadata: {name: x}\nspec:\n  subjects: [{user: lina}]\n  roles: [rep]\n"})
	r := run("lint", dir)
	r.expect(t, 1, "errors: 2, warnings: 0, infos: 0")
	if want := filepath.Join(dir, "a.yaml") + ":5: error: UserBinding/x: spec.subjects[0].user: unknown user \"lina\": nobody gets a role by this line\n"; !strings.HasPrefix(r.out, want) {
		t.Errorf("says %q, want first %q", r.out, want)
	}
	r = run("lint", dir, "-o", "json")
	r.expect(t, 1)
	var report struct {
		Findings []map[string]any `json:"findings"`
		Errors   int              `json:"errors"`
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Errors != 2 || len(report.Findings) != 2 || report.Findings[1]["line"] != 6.0 {
		t.Errorf("%v: %+v", err, report)
	}
}

func TestLintShowsHostileNamesAndDoesNotObeyThem(t *testing.T) {
	dir := write(t, map[string]string{"a\x1b[2J.yaml": "apiVersion: crmaccess.io/v1alpha1\nkind: \"Ro\\u001b[2Jle\\nx\"\nmetadata: {name: \"a\\u001b\\nb\"}\nspec: {}\n"})
	for _, output := range []string{"text", "json"} {
		r := run("lint", dir, "-o", output)
		r.expect(t, 1)
		if strings.Contains(r.out+r.err, "\x1b") || strings.Count(r.out, "\n") > 1 && output == "text" {
			t.Errorf("prints %q", r.out)
		}
	}
}

func TestTheRootCommand(t *testing.T) {
	run("version").expect(t, 0, "kubectl-crmaccess v1.2.3\n")
	run().expect(t, 0, "kubectl crmaccess [command]", "lint", "approve", "revoke", "retire")
	run("cann").expect(t, 2, `unknown command "cann" for "kubectl crmaccess"`, "can")
	run("can", "--help").expect(t, 0, "kubectl crmaccess can USER ACTION OBJECT[/RECORD]", "--target-department")
}
