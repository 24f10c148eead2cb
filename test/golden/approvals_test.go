package golden

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

var update = flag.Bool("update", false, "write the sample's approvals anew, for the effects that it has now")

// approvers are who has approved what of the sample, in the order of the file.
var approvers = []struct {
	of   access.Ref
	user string
	by   []string
}{
	{access.Ref{Kind: access.KindTemporaryGrant, Name: "holiday-chen-mo"}, "chen-mo", []string{"gao-yuan"}},
	{access.Ref{Kind: access.KindTemporaryGrant, Name: "q4-campaign"}, "zheng-ke", []string{"gao-yuan"}},
	{access.Ref{Kind: access.KindTemporaryGrant, Name: "q4-campaign"}, "bai-he", []string{"gao-yuan"}},
	{access.Ref{Kind: access.KindUserBinding, Name: "crm-admins"}, "deng-ning", []string{"zhou-lan", "gao-yuan"}},
	{access.Ref{Kind: access.KindUserBinding, Name: "permission-admins"}, "gu-yan", []string{"zhou-lan", "gao-yuan"}},
}

// TestTheSampleCarriesTheApprovalsOfItsEffects holds approvals.yaml to the effects that the sample has now: a change of a
// role or grant that somebody has to approve again shows here. With -update the file is written anew.
func TestTheSampleCarriesTheApprovalsOfItsEffects(t *testing.T) {
	file := filepath.Join(sampleFolder(t), "approvals.yaml")
	tree, err := manifest.Load(sampleFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	resolution := access.Resolve(tree.Tenants["huayue"].Declarations)
	want := writeApprovals(t, resolution)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("written; run again without -update")
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the effects of the sample ask for: run this test with -update, and let people look at the difference", file)
	}
	for ref, admissions := range resolution.Admissions {
		for _, a := range admissions {
			if a.State != access.Admitted {
				t.Errorf("%s for %s: %s, %d of %d approvals", ref, a.User, a.State, a.Have, a.Needed)
			}
		}
	}
}

func writeApprovals(t *testing.T, resolution access.Resolution) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("# Who has approved what. In a cluster an Approval is made by the person who approves, not by whoever syncs this folder, so\n" +
		"# the kustomization leaves this file out; offline commands read it.\n")
	for i, a := range approvers {
		effect := ""
		for _, admission := range resolution.Admissions[a.of] {
			if admission.User == a.user {
				effect = admission.Effect
			}
		}
		if effect == "" {
			t.Errorf("nothing of %s asks for an approval for %s", a.of, a.user)
		}
		for j, by := range a.by {
			if i+j > 0 {
				out.WriteString("---\n")
			}
			name := strings.TrimSuffix(a.of.Name, "-"+a.user) + "-" + a.user + "-" + by
			fmt.Fprintf(&out, `apiVersion: crmaccess.io/v1alpha1
kind: Approval
metadata:
  name: %s
  namespace: huayue
spec:
  for: {kind: %s, name: %s}
  effect: %s
  decision: Approve
  approver: %s@huayue.example
  comment: %s gets what the manifest says
`, name, a.of.Kind, a.of.Name, effect, by, a.user)
		}
	}
	return out.Bytes()
}
