package command_test

import (
	"os"
	"path/filepath"
	"testing"
)

const endedGrant = crm + `kind: TemporaryGrant
metadata: {name: over, namespace: tenant}
spec: {users: [ann], roles: [rep], notBefore: "2026-10-01T00:00:00Z", notAfter: "2026-10-15T00:00:00Z", reason: r}
`

func TestPruneExpiredSaysWhatItRemoves(t *testing.T) {
	dir := write(t, map[string]string{"over.yaml": endedGrant, "role.yaml": crm + "kind: Role\nmetadata: {name: rep, namespace: tenant}\nspec: {}\n",
		"kustomization.yaml": "resources:\n- over.yaml\n- role.yaml\n"})
	over := filepath.Join(dir, "over.yaml")
	run("prune-expired", "--dry-run", dir).expect(t, 0,
		over+":1: TemporaryGrant/over, ended at 2026-10-15T00:00:00Z, would be removed\n", over+": held nothing else and would be deleted\n", "would be removed: 1\n")
	if r := run("prune-expired", "--older-than", "60d", dir); r.code != 0 || r.out != "" || r.err != "removed: 0\n" || content(t, over) != endedGrant {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	run("prune-expired", "--at", "2026-11-15T00:00:01Z", dir).expect(t, 0,
		over+":1: TemporaryGrant/over, ended at 2026-10-15T00:00:00Z, removed\n", over+": held nothing else and is deleted\n", "removed: 1\n")
	if _, err := os.Stat(over); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if got := content(t, filepath.Join(dir, "kustomization.yaml")); got != "resources:\n- role.yaml\n" {
		t.Errorf("the kustomization is %q", got)
	}
}

func TestPruneExpiredTouchesNothingWhereManifestsHaveFaults(t *testing.T) {
	dir := write(t, map[string]string{"over.yaml": endedGrant, "bad.yaml": crm + "kind: Rule\n"})
	run("prune-expired", dir).expect(t, 2, "bad.yaml:2: unknown kind \"Rule\"")
	if content(t, filepath.Join(dir, "over.yaml")) != endedGrant {
		t.Error("something was removed")
	}
}

func TestPruneExpiredWantsAPathAndAnAge(t *testing.T) {
	run("prune-expired").expect(t, 2, "error: name the files or folders to prune")
	run("prune-expired", "--older-than", "soon", ".").expect(t, 2, `--older-than: "soon": want days, such as 30d, or hours, such as 12h`)
	run("prune-expired", "--older-than", "-3d", ".").expect(t, 2, `--older-than: "-3d": want days`)
	run("prune-expired", "--at", "yesterday", ".").expect(t, 2, "--at: ")
	run("prune-expired", huayue, huayue).expect(t, 2, "lies below two of the paths: name it once")
}
