package manifest

import (
	"path/filepath"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Rendered is an object that was made of what stands in files, such as by kustomize.
type Rendered struct {
	Object map[string]any
	// File is where the object comes from, by its name in messages, and Kind and Name what it is called there.
	File, Kind, Name string
}

// Render adds objects that were made of files. What is said about them points to where they come from.
func (g *Reading) Render(objects []Rendered, read func(file string) ([]byte, error)) {
	origins := origins{read: read, files: map[string][]*document{}}
	for _, o := range objects {
		d, node := origins.of(o)
		f := &fileReader{checks: g.reader.checks}
		f.object(d, node, o.Object)
		g.found = append(g.found, foundFile{o.File, &f.file})
	}
}

// origins finds where rendered objects stand.
type origins struct {
	read  func(file string) ([]byte, error)
	files map[string][]*document
}

// of is the document and the node that an object was made of; one without lines where it is not found.
func (origins *origins) of(o Rendered) (*document, *yamlv3.Node) {
	documents, known := origins.files[o.File]
	if !known {
		if data, err := origins.read(o.File); err == nil {
			documents, _ = readDocuments("", forms[filepath.Ext(o.File)], data) // who rendered it has said what is wrong
		}
		origins.files[o.File] = documents
	}
	for _, d := range documents {
		if node := objectIn(d.root, o.Kind, o.Name); node != nil {
			return d, node
		}
	}
	return &document{first: 1}, &yamlv3.Node{}
}

// objectIn is the object of that kind and name: the document, or an item of a list.
func objectIn(node *yamlv3.Node, kind, name string) *yamlv3.Node {
	if textAt(node, "kind") == kind {
		if metadata, _ := child(node, step{key: "metadata", index: -1}); metadata != nil && textAt(metadata, "name") == name {
			return node
		}
	}
	items, _ := child(node, step{key: "items", index: -1})
	if items == nil {
		return nil
	}
	for _, item := range items.Content {
		if found := objectIn(item, kind, name); found != nil {
			return found
		}
	}
	return nil
}

func textAt(node *yamlv3.Node, key string) string {
	if found, _ := child(node, step{key: key, index: -1}); found != nil {
		return found.Value
	}
	return ""
}
