package tidy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// KustomizationNames are the names by which kustomize knows its file, in the order in which it looks for them.
var KustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// Unlist takes the files that go out of the resources of a kustomization. Where it names one of them in another way, that
// file stays, without anything in it, which kustomize builds like a file that is not there.
func (p *Pruning) Unlist(file string, data []byte) error {
	t := readText(data)
	if len(t.chunks) != 1 {
		return nil // no kustomization that kustomize reads
	}
	c := t.chunks[0]
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(c.body), &node); err != nil || len(node.Content) == 0 {
		return err
	}
	root := node.Content[0]
	resources := valueOf(root, "resources")
	var listed []int
	for _, gone := range slices.Sorted(maps.Keys(p.Files)) {
		if p.Files[gone] != nil {
			continue
		}
		at := mentions(root, file, gone)
		if len(at) == 0 {
			continue
		}
		index := -1
		if len(at) == 1 && resources != nil && !flow(resources) {
			index = slices.Index(resources.Content, at[0])
		}
		if index < 0 {
			p.Files[gone] = []byte{}
			p.keep(manifest.Source{File: file, Line: at[0].Line}, "names %s, which stays, and is empty: take out both by hand", gone)
			continue
		}
		listed = append(listed, index)
	}
	if len(listed) == 0 {
		return nil
	}
	c.unlist(valueKeyLine(root, "resources"), resources, listed)
	p.Files[file] = t.bytes()
	return nil
}

// mentions are the values of a kustomization that are the path of a file.
func mentions(node *yaml.Node, kustomization, file string) []*yaml.Node {
	if node.Kind == yaml.ScalarNode {
		if node.Value != "" && filepath.Join(filepath.Dir(kustomization), filepath.FromSlash(node.Value)) == filepath.Clean(file) {
			return []*yaml.Node{node}
		}
		return nil
	}
	var out []*yaml.Node
	for _, child := range node.Content {
		out = append(out, mentions(child, kustomization, file)...)
	}
	return out
}

func valueKeyLine(node *yaml.Node, key string) int {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i].Line
		}
	}
	return 0
}

// unlist takes items out of the list of resources, a line each.
func (c *chunk) unlist(keyLine int, resources *yaml.Node, listed []int) {
	lines := strings.SplitAfter(c.body, "\n")
	for _, index := range listed {
		lines[resources.Content[index].Line-1] = ""
	}
	if len(listed) == len(resources.Content) {
		lines[keyLine-1] = strings.Replace(lines[keyLine-1], ":", ": []", 1)
	}
	c.body = strings.Join(lines, "")
}
