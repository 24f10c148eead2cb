package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheQuickStartShowsAGrantThatEnds(t *testing.T) {
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
		"24 people and their roles", "chen-mo", "han-dong     sales-east-1  Departed",
		"rows of demo-with-operator that are live in the store: 1", "rows of demo-with-operator that are live in the store: 0",
		"rows of demo-without-operator that are live in the store: 0", "Access has ended though nobody was there to end it",
	} {
		if !strings.Contains(string(out), shown) {
			t.Errorf("the quick start does not show %q:\n%s", shown, out)
		}
	}
}
