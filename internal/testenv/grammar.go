package testenv

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// GrammarCase is one sentence of the kinds' grammar: an object, and the words that refuse it (none: it is accepted).
type GrammarCase struct {
	Name    string
	Object  *unstructured.Unstructured
	Refused string
}

// Grammar reads every case of api/v1alpha1/testdata/grammar.yaml. The unchanged objects come first, as cases that are
// accepted.
func Grammar(t testing.TB) []GrammarCase {
	t.Helper()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "api", "v1alpha1", "testdata", "grammar.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Objects map[string]map[string]any `json:"objects"`
		Cases   []struct {
			Name    string         `json:"name"`
			Kind    string         `json:"kind"`
			Set     map[string]any `json:"set"`
			Refused string         `json:"refused"`
		} `json:"cases"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		t.Fatal(err)
	}
	var cases []GrammarCase
	for kind := range file.Objects {
		cases = append(cases, GrammarCase{Name: "the example of " + kind + " is accepted", Object: example(file.Objects, kind)})
	}
	sort.Slice(cases, func(i, j int) bool { return cases[i].Name < cases[j].Name })
	for _, c := range file.Cases {
		object := example(file.Objects, c.Kind)
		for _, path := range sortedPaths(c.Set) {
			Set(t, object, path, c.Set[path])
		}
		cases = append(cases, GrammarCase{Name: c.Name, Object: object, Refused: c.Refused})
	}
	return cases
}

// Set changes the object at a path such as spec.grants.0.object; nil takes the field away. In the value,
// {repeat: x, times: n} is a long text and {copies: n, of: x} a long list.
func Set(t testing.TB, object *unstructured.Unstructured, path string, value any) {
	t.Helper()
	steps := strings.Split(path, ".")
	last := steps[len(steps)-1]
	var at any = object.Object
	for _, step := range steps[:len(steps)-1] {
		switch node := at.(type) {
		case map[string]any:
			at = node[step]
		case []any:
			at = node[index(t, path, step, len(node))]
		default:
			t.Fatalf("%s: nothing at %q", path, step)
		}
	}
	switch node := at.(type) {
	case map[string]any:
		if value == nil {
			delete(node, last)
		} else {
			node[last] = expand(value)
		}
	case []any:
		node[index(t, path, last, len(node))] = expand(value)
	default:
		t.Fatalf("%s: nothing to set %q in", path, last)
	}
}

func example(objects map[string]map[string]any, kind string) *unstructured.Unstructured {
	content := runtime.DeepCopyJSON(objects[kind])
	content["apiVersion"] = "crmaccess.io/v1alpha1"
	content["kind"] = kind
	return &unstructured.Unstructured{Object: expand(content).(map[string]any)}
}

// expand writes the long texts and lists out, and makes whole numbers integers as JSON's readers do.
func expand(value any) any {
	switch v := value.(type) {
	case float64:
		return int64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = expand(v[i])
		}
		return out
	case map[string]any:
		if text, ok := v["repeat"].(string); ok {
			return strings.Repeat(text, int(v["times"].(float64)))
		}
		if copies, ok := v["copies"].(float64); ok {
			out := make([]any, int(copies))
			for i := range out {
				out[i] = expand(v["of"])
			}
			return out
		}
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = expand(v[key])
		}
		return out
	}
	return value
}

func index(t testing.TB, path, step string, length int) int {
	t.Helper()
	i, err := strconv.Atoi(step)
	if err != nil || i < 0 || i >= length {
		t.Fatalf("%s: no entry %q in a list of %d", path, step, length)
	}
	return i
}

func sortedPaths(set map[string]any) []string {
	paths := make([]string, 0, len(set))
	for path := range set {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}
