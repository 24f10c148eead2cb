package tidy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Format returns a file in canonical form, and notes on the documents that keep another one. A file that cannot be read
// has faults (see manifest.Faults) and is not formatted at all.
//
// Documents of other API groups, JSON files and documents with anchors, aliases or tags keep every byte.
func Format(file string, data []byte) ([]byte, []manifest.Note, error) {
	if err := manifest.CheckText(file, data); err != nil {
		return nil, nil, err
	}
	if strings.HasSuffix(file, ".json") {
		return data, nil, nil
	}
	t := readText(data)
	var notes []manifest.Note
	formatted := make([]bool, len(t.chunks))
	for i, c := range t.chunks {
		body, err := formatDocument(c.body)
		switch {
		case errors.Is(err, errKeepsUnchanged):
			notes = append(notes, manifest.Note{Source: manifest.Source{File: file, Line: c.first}, Message: err.Error()})
		case err != nil:
			return nil, nil, fmt.Errorf("format %s: the document at line %d: %w", file, c.first, err)
		case body != "":
			c.body, formatted[i] = body, true
		}
	}
	if !slices.Contains(formatted, true) {
		return data, notes, nil
	}
	t.join(formatted)
	return t.bytes(), notes, nil
}

// join writes the separators anew around what is formatted: one between two documents, none above the first. Empty
// documents go; a comment behind the dashes moves below them.
func (t *text) join(formatted []bool) {
	var kept []*chunk
	for i, c := range t.chunks {
		comment := c.separatorComment()
		if c.empty() && comment == "" {
			continue
		}
		if formatted[i] {
			if comment != "" {
				c.body = comment + "\n" + c.body
			}
			c.separator = "---\n"
			t.bom = t.bom && len(kept) > 0
		}
		if len(kept) == 0 && formatted[i] {
			c.separator = ""
		}
		if len(kept) > 0 && !strings.HasSuffix(kept[len(kept)-1].body, "\n") {
			c.separator = "\n" + c.separator
		}
		kept = append(kept, c)
	}
	t.chunks = kept
}

// formatDocument is a document in canonical form; empty where it is none of ours.
func formatDocument(body string) (string, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(body), &node); err != nil {
		return "", err
	}
	if len(node.Content) == 0 {
		return "", nil
	}
	root := node.Content[0]
	t := typeOf(root)
	if t == nil {
		return "", nil
	}
	d, err := readDocument(body, root)
	if err != nil {
		return "", err
	}
	d.root.give(t)
	out := d.write()
	if !same(t, body, out) {
		return "", fmt.Errorf("another form of it would say something else: %w", errKeepsUnchanged)
	}
	return out, nil
}

// list is a List of our objects, or one of our own lists.
type list struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []listed `json:"items"`
}

// listed stands for the type that an item of a list names itself.
type listed struct{}

// typeOf is the type of an object of the API, or of a list of nothing but such objects; nil of everything else.
func typeOf(node *yaml.Node) reflect.Type {
	version, kind := valueOf(node, "apiVersion"), valueOf(node, "kind")
	if version == nil || kind == nil {
		return nil
	}
	element, isList := strings.CutSuffix(kind.Value, "List")
	switch {
	case version.Value == v1alpha1.GroupVersion.String() && kinds[kind.Value] != nil:
		return kinds[kind.Value]
	case isList && (version.Value == "v1" && element == "" || version.Value == v1alpha1.GroupVersion.String() && kinds[element] != nil):
		items := valueOf(node, "items")
		if items != nil && len(items.Content) > 0 && !slices.ContainsFunc(items.Content, func(n *yaml.Node) bool { return kinds[kindOf(n)] == nil }) {
			return reflect.TypeFor[list]()
		}
	}
	return nil
}

// kindOf is the kind of an object of the API; empty of everything else.
func kindOf(node *yaml.Node) string {
	version, kind := valueOf(node, "apiVersion"), valueOf(node, "kind")
	if version == nil || kind == nil || version.Value != v1alpha1.GroupVersion.String() {
		return ""
	}
	return kind.Value
}

// valueOf is the value below a key; nil where there is none.
func valueOf(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}
