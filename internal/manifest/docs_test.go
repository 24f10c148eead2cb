package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// Whoever copies an example from docs/spec can apply it.
func TestTheExamplesOfTheDocumentationLoad(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "spec", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			example, _, _ := strings.Cut(block, "```")
			if !strings.HasPrefix(example, "apiVersion: ") {
				continue // a part of an object
			}
			tree, err := LoadFS(fstest.MapFS{"example.yaml": {Data: []byte(example)}})
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
			loaded += len(tree.Tenants)
		}
	}
	if loaded != 10 {
		t.Errorf("%d examples load, want one a kind: 10", loaded)
	}
}
