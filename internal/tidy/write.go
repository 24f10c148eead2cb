package tidy

import (
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxWidth is how many characters a line may have for a map or list to stand in it.
const maxWidth = 132

// writer writes a document in canonical form.
type writer struct {
	strings.Builder
	scalars map[*yaml.Node]blockScalar
}

// write is the canonical form of a document whose entries have their shapes.
func (d *document) write() string {
	w := &writer{scalars: d.scanner.scalars}
	w.comments(0, withoutLeadingSpace(squeezed(d.head)))
	w.children(d.root, 0)
	foot := squeezed(d.foot)
	for len(foot) > 0 && foot[len(foot)-1] == "" {
		foot = foot[:len(foot)-1]
	}
	w.comments(0, foot)
	return w.String()
}

// squeezed are comments with no two empty lines in a row.
func squeezed(lines []string) []string {
	return slices.CompactFunc(slices.Clone(lines), func(a, b string) bool { return a == "" && b == "" })
}

func withoutLeadingSpace(lines []string) []string {
	if len(lines) > 0 && lines[0] == "" {
		return lines[1:]
	}
	return lines
}

func (w *writer) comments(indent int, lines []string) {
	for _, line := range lines {
		if line != "" {
			w.indent(indent)
		}
		w.line(line)
	}
}

func (w *writer) indent(n int) { w.WriteString(strings.Repeat(" ", n)) }

func (w *writer) line(s string) { w.WriteString(s + "\n") }

// children writes the keys of a map or the items of a list, a line each or more. No empty line stands above the first.
func (w *writer) children(e *entry, indent int) {
	for i, child := range e.children {
		head := squeezed(child.head)
		if i == 0 {
			head = withoutLeadingSpace(head)
		}
		if child.key == nil {
			w.item(child, head, indent)
		} else {
			w.comments(indent, head)
			w.indent(indent)
			w.value(child, scalar(child.key, inBlock)+":", indent)
		}
		w.comments(indent, squeezed(child.foot))
	}
}

// item writes one item of a list: in one line, or what is in it below each other, the first behind the dash.
func (w *writer) item(e *entry, head []string, indent int) {
	if w.inLine(e, indent+2) {
		w.comments(indent, head)
		w.indent(indent)
		w.value(e, "-", indent)
		return
	}
	if e.tail != "" {
		head = append(head, e.tail) // behind the dash stands the first key
	}
	w.comments(indent, head)
	below := &writer{scalars: w.scalars}
	below.children(e, indent+2)
	w.indent(indent)
	w.WriteString("- " + strings.TrimLeft(below.String(), " "))
}

// value writes what stands to the right of a label and below it.
func (w *writer) value(e *entry, label string, indent int) {
	tail := ""
	if e.tail != "" {
		tail = " " + e.tail
	}
	if block, ok := w.block(e.value); ok {
		w.line(label + " " + block.header + tail)
		for _, line := range block.lines {
			if line != "" {
				w.indent(indent + 2)
			}
			w.line(line)
		}
		return
	}
	if w.inLine(e, indent+utf8.RuneCountInString(label)+1) {
		w.line(strings.TrimRight(label+" "+oneLine(e, inBlock), " ") + tail)
		return
	}
	w.line(label + tail)
	if e.value.Kind == yaml.MappingNode {
		indent += 2
	}
	w.children(e, indent)
}

// block is the text of a block scalar that can be written again. One that states its indentation cannot.
func (w *writer) block(node *yaml.Node) (blockScalar, bool) {
	block, ok := w.scalars[node]
	return block, ok && !strings.ContainsAny(block.header, "123456789")
}

// inLine says whether a value stands in one line, to the right of what stands in the line already.
func (w *writer) inLine(e *entry, used int) bool {
	if len(e.children) == 0 {
		_, block := w.block(e.value)
		return !block
	}
	switch {
	case e.shape.opens() || e.commented() || w.holdsBlock(e):
		return false
	case e.key != nil && e.value.Kind == yaml.SequenceNode && slices.ContainsFunc(e.children, func(c *entry) bool { return len(c.children) > 0 }):
		return false // a list of maps has a line an item
	}
	return used+utf8.RuneCountInString(oneLine(e, inBlock)) <= maxWidth
}

func (w *writer) holdsBlock(e *entry) bool {
	return slices.ContainsFunc(e.children, func(c *entry) bool {
		_, block := w.block(c.value)
		return block || w.holdsBlock(c)
	})
}

// oneLine is a value in one line.
func oneLine(e *entry, in context) string {
	switch e.value.Kind {
	case yaml.MappingNode:
		pairs := make([]string, len(e.children))
		for i, child := range e.children {
			pairs[i] = scalar(child.key, inFlowCollection) + ": " + oneLine(child, inFlowCollection)
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	case yaml.SequenceNode:
		items := make([]string, len(e.children))
		for i, child := range e.children {
			items[i] = oneLine(child, inFlowCollection)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if instant(e.shape) && e.value.Tag != "!!null" {
		return quoted(e.value.Value)
	}
	return scalar(e.value, in)
}

// give gives every entry the shape of its type, and puts what is below it into canonical order.
func (e *entry) give(t reflect.Type) {
	if t == reflect.TypeFor[listed]() {
		t = kinds[kindOf(e.value)]
	}
	e.shape = shapeOf(t)
	for _, child := range e.children {
		if child.key != nil {
			child.give(e.shape.key(child.key.Value))
		} else {
			child.give(e.shape.item())
		}
	}
	switch {
	case e.value.Kind == yaml.MappingNode:
		slices.SortStableFunc(e.children, func(a, b *entry) int { return e.shape.compare(a.key.Value, b.key.Value) })
		e.raise()
	case e.isSet():
		slices.SortStableFunc(e.children, func(a, b *entry) int { return compareValues(e.shape.item(), a.value.Value, b.value.Value) })
	}
}

// raise moves what stands above the first key of a list item above the item: between dash and key there is no line.
func (e *entry) raise() {
	if e.key != nil || e.parent == nil || len(e.children) == 0 {
		return
	}
	first := e.children[0]
	e.head = append(e.head, withoutLeadingSpace(squeezed(first.head))...)
	first.head = nil
}

// isSet says whether the order of a list means nothing. Where comments or empty lines divide a list, somebody has put it
// in order.
func (e *entry) isSet() bool {
	return e.key != nil && e.value.Kind == yaml.SequenceNode && e.shape.isSet(e.parent.shape, e.key.Value) &&
		!slices.ContainsFunc(e.children, func(c *entry) bool { return c.value.Kind != yaml.ScalarNode || len(c.head)+len(c.foot) > 0 })
}
