package manifest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// readsTheSame: a value that is read without kubectl's code is the one that kubectl's code reads.
func readsTheSame(t *testing.T, text string) (sure bool) {
	t.Helper()
	var root yamlv3.Node
	if yamlv3.Unmarshal([]byte(text), &root) != nil || len(root.Content) == 0 {
		return false
	}
	d := document{root: root.Content[0]}
	if len(d.repeatedKeys(d.root)) > 0 {
		return false
	}
	got, sure := valueOf(d.root)
	if !sure {
		return false
	}
	want, err := asKubectlReads([]byte(text))
	if err != nil {
		t.Errorf("%q is read as %#v, and kubectl refuses it: %v", text, got, err)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%q is read as %#v, and by kubectl as %#v", text, got, want)
	}
	return true
}

func TestBothReadingsOfAManifestAgree(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	fast, all := 0, 0
	for _, folder := range []string{"config", "api", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".yaml" {
				return err
			}
			data, err := os.ReadFile(name)
			chunks, _ := split(name, data)
			for _, c := range chunks {
				all++
				if readsTheSame(t, string(c.text)) {
					fast++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range testenv.Grammar(t) {
		data, err := yamlv3.Marshal(c.Object.Object)
		if err != nil {
			t.Fatal(err)
		}
		readsTheSame(t, string(data))
	}
	if fast < all/2 {
		t.Errorf("%d of %d documents are read without kubectl's code: that is what makes reading fast", fast, all)
	}
}

// Scalars that one YAML or the other takes for something else than text.
func TestBothReadingsOfAScalarAgree(t *testing.T) {
	scalars := strings.Fields(`y Y yes Yes YES yEs n N no No NO on On ON off Off OFF true True TRUE tRue false False FALSE null Null NULL ~ nan NaN .nan .NaN
		inf .inf -.inf .Inf 0 7 07 0o7 0x1F 0b1 -7 +7 1_000 1e3 1E3 1.5 1. .5 -0 9007199254740993 999999999999999 9999999999999999999 18446744073709551616
		190:20:30 1:2 2026-12-31 2026-12-31T09:00:00Z 2026-12-31T09:00:00+08:00 2026-1-1 <<  = ! !!str !!int a:b a#b é 中 𝒳 Infinity _ -a --- ... . .. @a %a a@b a%b
		"yes" 'no' "7" "\x41" "\u00e9" "\U0001F600" '' "" '''' "a\tb" 0.0 00 08 09 0777 12e03 0x 0xg e3`)
	for _, scalar := range scalars {
		for _, text := range []string{scalar + "\n", "a: " + scalar + "\n", scalar + ": a\n", "- " + scalar + "\n", "{a: [" + scalar + "]}\n", "a:\n  " + scalar + "\n  b\n"} {
			readsTheSame(t, text)
		}
	}
	for text, want := range map[string]any{"sales": "sales", "true": true, "42": int64(42), `"42"`: "42", "李婷": "李婷"} {
		var root yamlv3.Node
		if err := yamlv3.Unmarshal([]byte(text), &root); err != nil {
			t.Fatal(err)
		}
		if got, sure := valueOf(root.Content[0]); !sure || got != want {
			t.Errorf("%s is read as %#v (%t), want %#v", text, got, sure, want)
		}
	}
}

func FuzzBothReadings(f *testing.F) {
	for _, text := range []string{department, "a: [b, {c: d}, 7]\n", "a: 'b\n  c'\n", "? a\n: b\n", "a: \"b\\\n  c\"\n", "[a, b]: c\n", "a: b # c\n", "%YAML 1.2\n", "a: b\n...\n", "- - a\n  - b\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkText("", []byte(text)) == nil && !strings.Contains(text, "---") {
			readsTheSame(t, text)
		}
	})
}
