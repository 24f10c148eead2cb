package tidy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a map with its value, or one item of a list, with the comments that belong to it.
type entry struct {
	key   *yaml.Node // nil in lists
	value *yaml.Node
	at    position
	// head stands above it, foot below all of its value, tail at the end of its line. An empty text is an empty line.
	head, foot []string
	tail       string

	parent   *entry
	children []*entry
	shape    shape
	inFlow   bool
}

// document is a document as a tree of entries.
type document struct {
	root *entry
	// head stands above everything, foot below.
	head, foot []string
	scanner    *scanner
	// block are the entries outside flow collections, as they stand in the file.
	block []*entry
}

// readDocument reads a document of which another form can be written. The error says why there is none.
func readDocument(body string, root *yaml.Node) (*document, error) {
	if err := expressible(body, root); err != nil {
		return nil, err
	}
	s, err := scan(body, root)
	if err != nil {
		return nil, err
	}
	d := &document{scanner: s, root: &entry{value: root}}
	if !flow(root) {
		root.Line, root.Column = 1, 1
	}
	d.grow(d.root)
	for _, c := range s.comments {
		d.attach(c)
	}
	return d, nil
}

// expressible says why a document cannot be written in another form without losing something that it says.
func expressible(body string, node *yaml.Node) error {
	if strings.ContainsAny(body, "\r\u0085\u2028\u2029") {
		return fmt.Errorf("it mixes line ends: %w", errKeepsUnchanged)
	}
	if strings.HasPrefix(body, "%") || strings.Contains(body, "\n...") || strings.Contains(body, "\n%") {
		return fmt.Errorf("it has a directive or an end of document: %w", errKeepsUnchanged)
	}
	return expressibleNode(node)
}

func expressibleNode(node *yaml.Node) error {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return fmt.Errorf("line %d has an anchor or alias: %w", node.Line, errKeepsUnchanged)
	case node.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d has a tag: %w", node.Line, errKeepsUnchanged)
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i]; key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || strings.Contains(key.Value, "\n") {
				return fmt.Errorf("line %d has a key that is no plain text: %w", key.Line, errKeepsUnchanged)
			}
		}
	}
	for _, child := range node.Content {
		if err := expressibleNode(child); err != nil {
			return err
		}
	}
	return nil
}

// grow adds the entries below one.
func (d *document) grow(parent *entry) {
	node := parent.value
	for i := 0; i < len(node.Content); i++ {
		child := &entry{parent: parent, value: node.Content[i], inFlow: parent.inFlow || flow(node)}
		child.at = position{child.value.Line, child.value.Column}
		switch {
		case node.Kind == yaml.MappingNode:
			child.key, child.value = node.Content[i], node.Content[i+1]
			i++
		case !child.inFlow:
			child.at = d.dash(node.Column, child.value.Line)
		}
		parent.children = append(parent.children, child)
		if !child.inFlow {
			d.block = append(d.block, child)
		}
		d.grow(child)
	}
}

// dash is where the dash of a list item stands whose value begins in a line.
func (d *document) dash(column, line int) position {
	for ; line > 1; line-- {
		if text := d.scanner.lines[line-1]; len(text) >= column && text[column-1] == '-' {
			break
		}
	}
	return position{line, column}
}

// attach gives a comment to the entry that it stands with.
func (d *document) attach(c comment) {
	index, _ := slices.BinarySearchFunc(d.block, c.at, func(e *entry, at position) int {
		if e.at.before(at) {
			return -1
		}
		return 1
	})
	last, next := d.root, (*entry)(nil)
	if index > 0 {
		last = d.block[index-1]
	}
	if index < len(d.block) {
		next = d.block[index]
	}
	if in := d.flowAround(last, c.at); in != nil {
		attachInFlow(in, c)
		return
	}
	switch {
	case !c.alone && last != d.root:
		last.tail = c.text
	case last == d.root && (next != nil || len(d.block) == 0 && c.at.line <= d.root.value.Line):
		d.head = append(d.head, c.text)
	case next == nil && (c.text == "" || c.at.column == 1 || last == d.root):
		d.foot = append(d.foot, c.text)
	case next == nil || c.text != "" && c.at.column > next.at.column:
		below := last.reaching(c.at.column)
		below.foot = append(below.foot, c.text)
	default:
		next.head = append(next.head, c.text)
	}
}

// flowAround is the entry at or below this one whose value is the innermost flow collection around a place; nil where
// there is none.
func (d *document) flowAround(e *entry, at position) *entry {
	begin := position{e.value.Line, e.value.Column}
	if !flow(e.value) || !begin.before(at) || !at.before(d.scanner.ends[e.value]) {
		return nil
	}
	for _, child := range e.children {
		if in := d.flowAround(child, at); in != nil {
			return in
		}
	}
	return e
}

// reaching is the innermost entry around this one that a comment at the column stands below.
func (e *entry) reaching(column int) *entry {
	for e.at.column > column && e.parent != nil && e.parent.parent != nil {
		e = e.parent
	}
	return e
}

func attachInFlow(in *entry, c comment) {
	if c.text == "" {
		return
	}
	var last *entry
	for _, e := range in.children {
		switch {
		case e.at.before(c.at):
			last = e
		case c.alone || last == nil:
			e.head = append(e.head, c.text)
			return
		}
	}
	switch {
	case last == nil:
		in.foot = append(in.foot, c.text)
	case c.alone || last.tail != "":
		last.foot = append(last.foot, c.text)
	default:
		last.tail = c.text
	}
}

// commented says whether a comment stands inside the value, so that it cannot be one line.
func (e *entry) commented() bool {
	return slices.ContainsFunc(e.children, func(c *entry) bool {
		return slices.ContainsFunc(c.head, isComment) || len(c.foot) > 0 || c.tail != "" || c.commented()
	})
}

func isComment(s string) bool { return s != "" }
