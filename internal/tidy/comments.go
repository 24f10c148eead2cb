package tidy

import (
	"errors"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// position is a place in a document: lines and columns (in characters) count from 1, as in yaml.Node.
type position struct{ line, column int }

func (p position) before(q position) bool {
	return p.line < q.line || p.line == q.line && p.column < q.column
}

// comment is one comment of a document, or an empty line (its text is then empty).
type comment struct {
	at   position
	text string
	// alone says that nothing else stands in its line.
	alone bool
}

// blockScalar is the text of a value written with | or >, as it stands in the file but for its indentation.
type blockScalar struct {
	header string
	lines  []string
}

// scanner finds what yaml.Node does not tell: where comments stand, where flow collections end, how a block scalar is
// written. Where quoted and block scalars begin it knows from the nodes, so nothing in them is taken for a comment.
type scanner struct {
	lines  [][]rune
	starts map[position]*yaml.Node
	indent map[*yaml.Node]int // of a block scalar: the indentation of the key or dash that it belongs to

	open     []*yaml.Node
	ends     map[*yaml.Node]position
	scalars  map[*yaml.Node]blockScalar
	comments []comment
}

// errKeepsUnchanged is why a document is left as it is: it holds something that another form would lose.
var errKeepsUnchanged = errors.New("left as it is")

func scan(body string, root *yaml.Node) (*scanner, error) {
	s := &scanner{
		starts:  make(map[position]*yaml.Node),
		indent:  make(map[*yaml.Node]int),
		ends:    make(map[*yaml.Node]position),
		scalars: make(map[*yaml.Node]blockScalar),
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(body, "\n"), "\n") {
		s.lines = append(s.lines, []rune(line))
	}
	s.mark(root, 0)
	at := position{1, 1}
	for at.line <= len(s.lines) {
		next := s.step(at)
		if !at.before(next) {
			return nil, errKeepsUnchanged
		}
		at = next
	}
	if len(s.open) > 0 {
		return nil, errKeepsUnchanged
	}
	return s, nil
}

// mark notes the nodes whose text needs care. indent is that of the block around.
func (s *scanner) mark(node *yaml.Node, indent int) {
	at := position{node.Line, node.Column}
	switch {
	case node.Kind == yaml.ScalarNode && node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		s.starts[at] = node
	case node.Kind == yaml.ScalarNode && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s.starts[at] = node
		s.indent[node] = indent
	case flow(node):
		s.starts[at] = node
	case node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode:
		indent = node.Column
	}
	for _, child := range node.Content {
		s.mark(child, indent)
	}
}

func flow(node *yaml.Node) bool {
	return (node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode) && node.Style&yaml.FlowStyle != 0
}

// step reads what stands at a place and returns where to read on.
func (s *scanner) step(at position) position {
	line := s.lines[at.line-1]
	if at.column > len(line) {
		if len(strings.TrimSpace(string(line))) == 0 {
			s.comments = append(s.comments, comment{at: position{at.line, 1}, alone: true})
		}
		return position{at.line + 1, 1}
	}
	if node := s.starts[at]; node != nil {
		return s.special(node, at)
	}
	switch r := line[at.column-1]; {
	case r == '#' && (at.column == 1 || unicode.IsSpace(line[at.column-2])):
		s.comment(at)
		return position{at.line + 1, 1}
	case (r == ']' || r == '}') && len(s.open) > 0:
		s.ends[s.open[len(s.open)-1]] = at
		s.open = s.open[:len(s.open)-1]
	}
	return position{at.line, at.column + 1}
}

func (s *scanner) comment(at position) {
	line := s.lines[at.line-1]
	s.comments = append(s.comments, comment{
		at:    at,
		text:  strings.TrimRightFunc(string(line[at.column-1:]), unicode.IsSpace),
		alone: len(strings.TrimSpace(string(line[:at.column-1]))) == 0,
	})
}

func (s *scanner) special(node *yaml.Node, at position) position {
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		return s.quoted(at, '"')
	case node.Style&yaml.SingleQuotedStyle != 0:
		return s.quoted(at, '\'')
	case node.Kind == yaml.ScalarNode:
		return s.block(node, at)
	}
	s.open = append(s.open, node)
	return position{at.line, at.column + 1}
}

// quoted is the place behind a quoted scalar.
func (s *scanner) quoted(at position, quote rune) position {
	column := at.column // of the opening quote; as an index it is that of the next character
	for number := at.line; number <= len(s.lines); number++ {
		line := s.lines[number-1]
		for i := column; i < len(line); i++ {
			switch {
			case line[i] == '\\' && quote == '"':
				i++
			case line[i] == quote && quote == '\'' && i+1 < len(line) && line[i+1] == quote:
				i++
			case line[i] == quote:
				return position{number, i + 2}
			}
		}
		column = 0
	}
	return at // no end: scan gives up
}

// block is the place behind a block scalar: the first line that is not indented more than what it belongs to.
func (s *scanner) block(node *yaml.Node, at position) position {
	header, rest, _ := strings.Cut(string(s.lines[at.line-1][at.column-1:]), "#")
	if rest != "" {
		s.comment(position{at.line, at.column + len([]rune(header))})
	}
	end, indent := at.line+1, 0
	for ; end <= len(s.lines); end++ {
		line := s.lines[end-1]
		used := len(line) - len([]rune(strings.TrimLeft(string(line), " ")))
		if used == len(line) {
			continue
		}
		if indent == 0 {
			indent = used
		}
		if used < indent || used < s.indent[node] {
			break
		}
	}
	scalar := blockScalar{header: strings.TrimSpace(header)}
	for _, line := range s.lines[at.line : end-1] {
		scalar.lines = append(scalar.lines, string(line[min(indent, len(line)):]))
	}
	for last := len(scalar.lines) - 1; last >= 0 && strings.TrimSpace(scalar.lines[last]) == "" && !strings.Contains(header, "+"); last-- {
		scalar.lines = scalar.lines[:last]
	}
	s.scalars[node] = scalar
	return position{end, 1}
}
