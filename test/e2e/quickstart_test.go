package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheQuickStartShowsAnApprovalAndGrantsThatEnd(t *testing.T) {
	if err := setUp(); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", "./hack/quickstart", "-once", "-dir", filepath.Join(t.TempDir(), "quickstart"), "-programs", programs)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, shown := range []string{
		"gao-yuan@huayue.example approves 5 effects of the sample", "zhou-lan@huayue.example approves 2 effects of the sample",
		"/huayue/access/v1/evaluation", `{"decision":true,"context":{"reasons":["sales-rep:read=own by UserBinding/sales-reps"]`, "24 people and their roles", "chen-mo", "han-dong     sales-east-1  Departed", "deng-ning    it            Active    crm-admin",
		"guardrail no-bulk-export (20000 > 500 rows)",
		"rows of demo-with-operator that are live in the store: 1", "rows of demo-with-operator that are live in the store: 0",
		"rows of demo-without-operator that are live in the store: 0", "Access has ended though nobody was there to end it",
	} {
		if !strings.Contains(string(out), shown) {
			t.Errorf("the quick start does not show %q:\n%s", shown, out)
		}
	}
	// One approval from waiting to active to its end, in this order.
	steps := []string{
		`TemporaryGrant/demo-approval`,
		`can li-ting read customer/cust-bolan\n    DENY\n`,
		`waiting for 1 of 1 approvals, from chen-mo or a regional-manager; effect (sha256:[0-9a-f]{64})\n`,
		`approve temporarygrant/demo-approval`,
		`effect: (sha256:[0-9a-f]{64})\n`,
		`approved: Approval/demo-approval-chen-mo-`,
		`can li-ting read customer/cust-bolan\n    ALLOW\n`,
		`rows of demo-approval that are live in the store: 1\n`,
		`rows of demo-approval that are live in the store: 0\n`,
		`can li-ting read customer/cust-bolan\n    DENY\n`,
	}
	rest, digests := string(out), make(map[string]bool)
	for _, step := range steps {
		at := regexp.MustCompile(step).FindStringSubmatchIndex(rest)
		if at == nil {
			t.Fatalf("the quick start does not show %q after the steps before it:\n%s", step, out)
		}
		if len(at) > 2 {
			digests[rest[at[2]:at[3]]] = true
		}
		rest = rest[at[1]:]
	}
	if len(digests) != 1 {
		t.Errorf("the operator's status and the approver name different effects: %v", digests)
	}
}
