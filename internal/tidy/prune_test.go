package tidy

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// cutoff is the instant before which a grant must have ended.
const cutoff = "2026-11-01T00:00:00Z"

func grant(name, notAfter string) string {
	return top + "kind: TemporaryGrant\nmetadata: {name: " + name + ", namespace: tenant}\nspec: {users: [u], roles: [r], notAfter: \"" + notAfter + "\", reason: r}\n"
}

var (
	old   = grant("old", "2026-10-31T23:59:59Z")
	older = grant("older", "2025-01-01T00:00:00Z")
	live  = grant("live", "2026-11-01T00:00:00Z")
)

func approval(name, grant string) string {
	return top + "kind: Approval\nmetadata: {name: " + name + ", namespace: tenant}\nspec: {for: {kind: TemporaryGrant, name: " + grant + "}, effect: \"sha256:" +
		strings.Repeat("0", 64) + "\", decision: Approve, approver: boss}\n"
}

// pruned prunes files in a folder, and returns them as they are afterwards, and what is said.
func pruned(t *testing.T, files map[string]string) (after map[string]string, removed, kept []string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := pruneFolder(t, dir)
	for _, r := range p.Removed {
		removed = append(removed, strings.TrimPrefix(r.Source.String(), dir+"/")+" "+r.Ref.String())
	}
	for _, note := range p.Kept {
		kept = append(kept, strings.ReplaceAll(note.String(), dir+"/", ""))
	}
	after = make(map[string]string)
	for name := range files {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			after[name] = string(data)
		}
	}
	return after, removed, kept
}

func pruneFolder(t *testing.T, dir string) *Pruning {
	t.Helper()
	tree, err := manifest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, err := schedule.Parse(cutoff)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prune([]*manifest.Tree{tree}, before, Read)
	if err != nil {
		t.Fatal(err)
	}
	kustomizations, err := p.Kustomizations([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range kustomizations {
		data, err := Read(file)
		if err == nil {
			err = p.Unlist(file, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPruneTakesEndedGrantsOutAndKeepsEveryOtherByte(t *testing.T) {
	role := top + "metadata:   {name: r, namespace: tenant}\nkind: Role   # odd\nspec: {}\n"
	for name, c := range map[string]struct{ in, want string }{
		"in the middle, with its comments":                {live + "---\n# about old\n" + old + "# below old\n---\n# about r\n" + role, live + "---\n# about r\n" + role},
		"at the end":                                      {live + "---\n" + old, live},
		"at the start, whose comment may head the file":   {"# heads\n" + old + "---\n# about live\n" + live, "# heads\n# about live\n" + live},
		"at the start, whose comment a line divides":      {"# heads\n\n# about old\n" + old + "---\n" + live, "# heads\n\n" + live},
		"at the start, below a line ---":                  {"---\n# heads\n\n# about old\n" + old + "---\n" + live, "---\n# heads\n\n" + live},
		"at the start, below a comment of its own":        {"# heads\n---\n# about old\n" + old + "---\n" + live, "# heads\n---\n" + live},
		"at the start, before a separator with a comment": {old + "--- # about live\n" + live, "--- # about live\n" + live},
		"the first two":                                   {"# heads\n" + old + "---\n" + older + "---\n" + live, "# heads\n" + live},
		"all, below what heads the file":                  {"# heads\n\n" + old + "---\n# about older\n" + older, "# heads\n\n"},
		"beside documents of others":                      {"kind:   Pod\napiVersion:  v1\n---\n" + old + "---\nfree:   text", "kind:   Pod\napiVersion:  v1\n---\nfree:   text"},
		"with the line ends of Windows":                   {strings.ReplaceAll("# heads\n\n"+old+"---\n"+live, "\n", "\r\n"), strings.ReplaceAll("# heads\n\n"+live, "\n", "\r\n")},
		"with a mark at the start":                        {"\xef\xbb\xbf" + old + "---\n" + live, "\xef\xbb\xbf" + live},
	} {
		t.Run(name, func(t *testing.T) {
			after, removed, _ := pruned(t, map[string]string{"a.yaml": c.in})
			if after["a.yaml"] != c.want || len(removed) == 0 {
				t.Errorf("comes to\n%s\nwant\n%s\nremoved: %v", after["a.yaml"], c.want, removed)
			}
		})
	}
}

func TestPruneTakesItemsOutOfLists(t *testing.T) {
	item := func(s string) string {
		return "- " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n"
	}
	list := "kind: List\napiVersion: v1\nitems:\n# first\n" + item(live) + "# about old\n" + item(old) + "  # below old\n# about role\n" +
		item(top+"kind: Role\nmetadata: {name: r, namespace: tenant}\nspec: {}") + "metadata: {}\n"
	want := "kind: List\napiVersion: v1\nitems:\n# first\n" + item(live) + "# about role\n" + item(top+"kind: Role\nmetadata: {name: r, namespace: tenant}\nspec: {}") + "metadata: {}\n"
	if after, removed, kept := pruned(t, map[string]string{"a.yaml": list}); after["a.yaml"] != want || len(removed) != 1 {
		t.Errorf("comes to\n%s\nwant\n%s\n%v %v", after["a.yaml"], want, removed, kept)
	}
	all := "kind: List\napiVersion: v1\nitems:\n" + item(old) + item(older)
	if after, removed, _ := pruned(t, map[string]string{"a.yaml": all}); len(after) != 0 || len(removed) != 2 {
		t.Errorf("comes to %q, %v", after, removed)
	}
	inOneLine := `{"kind": "List", "apiVersion": "v1", "items": [{"kind": "TemporaryGrant", "apiVersion": "crmaccess.io/v1alpha1", "metadata": {"name": "old", "namespace": "tenant"},
 "spec": {"users": ["u"], "roles": ["r"], "notAfter": "2026-01-01T00:00:00Z", "reason": "r"}}, {"kind": "Role", "apiVersion": "crmaccess.io/v1alpha1", "metadata": {"name": "r", "namespace": "tenant"}, "spec": {}}]}`
	after, removed, kept := pruned(t, map[string]string{"a.json": inOneLine})
	if after["a.json"] != inOneLine || len(removed) != 0 || len(kept) != 1 ||
		kept[0] != "a.json:1: TemporaryGrant/old ended at 2026-01-01T00:00:00Z and stays: it stands in a list in {} or [], take it out by hand" {
		t.Errorf("comes to %q, %v, %v", after, removed, kept)
	}
}

func TestPruneTakesTheApprovalsOfWhatItRemoves(t *testing.T) {
	after, removed, _ := pruned(t, map[string]string{
		"grants.yaml":    old + "---\n" + live,
		"approvals.yaml": approval("a", "live") + "---\n" + approval("b", "old") + "---\n" + strings.ReplaceAll(approval("c", "old"), "namespace: tenant", "namespace: other"),
	})
	if want := []string{"approvals.yaml:6 Approval/b", "grants.yaml:1 TemporaryGrant/old"}; !slices.Equal(removed, want) {
		t.Errorf("removed %v, want %v", removed, want)
	}
	if strings.Contains(after["approvals.yaml"], "name: b") || !strings.Contains(after["approvals.yaml"], "namespace: other") {
		t.Errorf("comes to %q", after["approvals.yaml"])
	}
}

func TestPruneKeepsAGrantThatARevocationNames(t *testing.T) {
	files := map[string]string{"a.yaml": old + "---\n" + approval("a", "old") + "---\n" + top + "kind: Revocation\nmetadata: {name: stop, namespace: tenant}\nspec: {grant: old, reason: r}\n"}
	after, removed, kept := pruned(t, files)
	if after["a.yaml"] != files["a.yaml"] || len(removed) != 0 ||
		!slices.Equal(kept, []string{"a.yaml:1: TemporaryGrant/old ended at 2026-10-31T23:59:59Z and stays: Revocation/stop names it"}) {
		t.Errorf("comes to %q, %v, %v", after, removed, kept)
	}
}

func TestAFileThatHeldNothingElseGoesAndNoKustomizationListsIt(t *testing.T) {
	const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	for name, c := range map[string]struct {
		kustomization, want string
		stays               bool
		note                string
	}{
		"a line of it":                  {head + "resources:\n- other.yaml # one\n# old things\n- g/old.yaml # two\n- ./g\n", head + "resources:\n- other.yaml # one\n# old things\n- ./g\n", false, ""},
		"all that it lists":             {head + "resources: # all\n  - ./g/../g/old.yaml\n", head + "resources: [] # all\n", false, ""},
		"a list in one line":            {head + "resources: [other.yaml, g/old.yaml]\n", head + "resources: [other.yaml, g/old.yaml]\n", true, "kustomization.yaml:3: names g/old.yaml, which stays, and is empty: take out both by hand"},
		"named for another reason, too": {head + "resources:\n- g/old.yaml\npatches:\n- path: g/old.yaml\n", head + "resources:\n- g/old.yaml\npatches:\n- path: g/old.yaml\n", true, "kustomization.yaml:4: names g/old.yaml, which stays, and is empty: take out both by hand"},
		"not named":                     {head + "resources: [other.yaml]\n", head + "resources: [other.yaml]\n", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			after, removed, kept := pruned(t, map[string]string{"kustomization.yaml": c.kustomization, "g/old.yaml": "# about old\n" + old, "other.yaml": live})
			content, stays := after["g/old.yaml"]
			if after["kustomization.yaml"] != c.want || stays != c.stays || content != "" || len(removed) != 1 {
				t.Errorf("comes to %q, want %q; removed %v", after, c.want, removed)
			}
			if c.note != strings.Join(kept, "") {
				t.Errorf("says %q, want %q", kept, c.note)
			}
		})
	}
}

// Whatever stands in a file, in whatever order: what is left of it declares what it declared, less what had ended.
func TestPruneLeavesWhatItIsNotAboutAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	parts := []string{old, older, live, approval("a", "old"), approval("b", "live"), top + "kind: Role\nmetadata: {name: r, namespace: tenant}\nspec: {}\n", "kind: Pod\napiVersion: v1\n", "# nothing\n", ""}
	for range 300 {
		random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var b strings.Builder
		b.WriteString([]string{"", "---\n", "# heads\n\n", "# heads\n"}[random.IntN(4)])
		for i, part := range parts[:1+random.IntN(len(parts))] {
			if i > 0 {
				b.WriteString([]string{"---\n", "--- # next\n"}[random.IntN(2)])
			}
			b.WriteString([]string{"", "# above\n", "\n# above\n\n"}[random.IntN(3)] + part)
		}
		in := b.String()
		after, _, _ := pruned(t, map[string]string{"a.yaml": in})
		for name, present := range map[string]bool{"name: old,": false, "name: older,": false, "name: a,": strings.Contains(in, "name: a,") && !strings.Contains(in, "name: old,"),
			"name: live,": strings.Contains(in, "name: live,"), "name: b,": strings.Contains(in, "name: b,"), "name: r,": strings.Contains(in, "name: r,"), "kind: Pod": strings.Contains(in, "kind: Pod")} {
			if strings.Contains(after["a.yaml"], name) != present {
				t.Fatalf("%s: %v, in\n%s\nof\n%s", name, !present, after["a.yaml"], in)
			}
		}
		if err := manifest.CheckText("a.yaml", []byte(after["a.yaml"])); err != nil {
			t.Fatalf("%v, in\n%s\nof\n%s", err, after["a.yaml"], in)
		}
	}
}
