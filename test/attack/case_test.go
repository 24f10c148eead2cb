package attack

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

var update = flag.Bool("update", false, "write README.md anew, for the cases that there are now")

// attack is one case as a reader goes through them.
type attack struct {
	// name is what somebody tries, and twin the step beside it that has to succeed.
	name, twin string
	// rule is what stops it.
	rule string
}

func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	os.Exit(pgtest.Main(m))
}

// groups are all cases, in the order of README.md.
func groups() []group {
	engine := func(title string, cases []scenario) group {
		g := group{title: title, ground: "declarations, by the engine"}
		for _, c := range cases {
			g.cases = append(g.cases, c.attack)
		}
		return g
	}
	stores, cluster := group{title: "What was used", ground: "the stores: SQLite and PostgreSQL"}, group{title: "In a cluster", ground: "an API server with config/default applied, and an operator under its own ClusterRole"}
	for _, c := range storeCases {
		stores.cases = append(stores.cases, c.attack)
	}
	for _, c := range clusterCases {
		cluster.cases = append(cluster.cases, c.attack)
	}
	fresh := group{title: "In a cluster made anew", ground: "a second API server"}
	for _, c := range freshCases {
		fresh.cases = append(fresh.cases, c.attack)
	}
	return []group{
		engine("Who approves", whoApproves), engine("What was approved", whatWasApproved), engine("Roles, grants and people", rolesAndPeople),
		engine("Guardrails at a decision", guardrailsAtADecision), engine("Revocations", revocations), stores, cluster, fresh,
	}
}

type group struct {
	title, ground string
	cases         []attack
}

func TestReadmeListsEveryCase(t *testing.T) {
	want := readme()
	if *update {
		if err := os.WriteFile("README.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("README.md is not the list of the cases: go test ./test/attack -run TestReadme -update")
	}
	var names []string
	for _, g := range groups() {
		for _, c := range g.cases {
			if c.name == "" || c.twin == "" || c.rule == "" || slices.Contains(names, c.name) {
				t.Errorf("a case without name, twin or rule, or one that is there twice: %+v", c)
			}
			names = append(names, c.name)
		}
	}
	if len(names) < 40 {
		t.Errorf("%d cases, want at least 40", len(names))
	}
}

func readme() []byte {
	var out bytes.Buffer
	out.WriteString("# Attacks\n\nHow somebody might get, or keep, access that they should not have. No attack gives any; its twin, one step away, does.\n" +
		"This list is made from the cases: `go test ./test/attack -run TestReadme -update`.\n")
	number := 0
	for _, g := range groups() {
		fmt.Fprintf(&out, "\n## %s\n\nGround: %s.\n\n| | attack | twin | the rule it attacks |\n|---|---|---|---|\n", g.title, g.ground)
		for _, c := range g.cases {
			number++
			fmt.Fprintf(&out, "| %d | %s | %s | %s |\n", number, cell(c.name), cell(c.twin), cell(c.rule))
		}
	}
	return out.Bytes()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
