package lint

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Lines knows at which line of a file of manifests a field stands.
type Lines struct{ documents []*yaml.Node }

// ReadLines reads a file, in YAML or JSON. What cannot be read has no lines.
func ReadLines(data []byte) *Lines {
	l := &Lines{}
	// Tabs are white space in JSON and are not in YAML; in YAML manifests that load there are none before a field.
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.ReplaceAll(data, []byte("\t"), []byte(" "))))
	for {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return l
		}
		l.documents = append(l.documents, &document)
	}
}

// Find is the place of a field of the object that stands at a place, or of the nearest thing around it.
func (l *Lines) Find(object manifest.Source, field string) manifest.Source {
	if l == nil {
		return object
	}
	for _, document := range l.documents {
		if node := objectAt(document, object.Line); node != nil {
			return manifest.Source{File: object.File, Line: lineOf(node, field)}
		}
	}
	return object
}

// objectAt is the outermost object that begins at the line: a document, or an item of a list.
func objectAt(node *yaml.Node, line int) *yaml.Node {
	if node.Kind == yaml.MappingNode && node.Line == line {
		return node
	}
	for _, child := range node.Content {
		if found := objectAt(child, line); found != nil {
			return found
		}
	}
	return nil
}

// lineOf follows a path such as spec.grants[2].actions[0] as far as it goes.
func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		next, at := member(node, step)
		if next == nil {
			return line
		}
		node, line = next, at
	}
	return line
}

func member(node *yaml.Node, step string) (next *yaml.Node, line int) {
	switch node.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i].Line
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	}
	return nil, 0
}
