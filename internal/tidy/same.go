package tidy

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
	kubeyaml "sigs.k8s.io/yaml"
)

// same says whether two texts of a document mean the same and hold the same comments. Every document is asked before its
// new form counts: what is written here decides who gets access.
func same(t reflect.Type, a, b string) bool {
	var before, after any
	if kubeyaml.Unmarshal([]byte(a), &before) != nil || kubeyaml.Unmarshal([]byte(b), &after) != nil {
		return false
	}
	return sameValue(t, before, after) && slices.Equal(commentsOf(a), commentsOf(b))
}

func sameValue(t reflect.Type, a, b any) bool {
	switch before := a.(type) {
	case map[string]any:
		after, ok := b.(map[string]any)
		return ok && sameMap(t, before, after)
	case []any:
		after, ok := b.([]any)
		return ok && sameList(shapeOf(t).item(), before, after)
	}
	return reflect.DeepEqual(a, b)
}

func sameMap(t reflect.Type, a, b map[string]any) bool {
	if t == reflect.TypeFor[listed]() {
		kind, _ := a["kind"].(string)
		t = kinds[kind]
	}
	s := shapeOf(t)
	for key, value := range a {
		other, ok := b[key]
		of := s.key(key)
		if shapeOf(of).isSet(s, key) {
			value, other = sortedTexts(value), sortedTexts(other)
		}
		if !ok || !sameValue(of, value, other) {
			return false
		}
	}
	return len(a) == len(b)
}

func sameList(item reflect.Type, a, b []any) bool {
	for i := range min(len(a), len(b)) {
		if !sameValue(item, a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// sortedTexts is a list of texts in order; anything else is returned as it is.
func sortedTexts(value any) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i], ok = item.(string); !ok {
			return value
		}
	}
	slices.Sort(texts)
	return texts
}

// commentsOf are the comments of a document in the order of the alphabet.
func commentsOf(body string) []string {
	var node yaml.Node
	if yaml.Unmarshal([]byte(body), &node) != nil || len(node.Content) == 0 {
		return nil
	}
	s, err := scan(body, node.Content[0])
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, c := range s.comments {
		if c.text != "" {
			out = append(out, c.text)
		}
	}
	slices.Sort(out)
	return out
}
