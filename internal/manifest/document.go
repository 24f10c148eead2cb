package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
)

// document is one YAML or JSON document of a file. Its value is what kubectl reads; its nodes say at which line everything
// stands.
type document struct {
	file  string
	first int // the line of the file at which the document begins
	root  *yamlv3.Node
	value any
}

// source is where a path inside the document stands, or the nearest thing around it that stands anywhere.
func (d *document) source(root *yamlv3.Node, path string) Source {
	return Source{File: d.file, Line: d.line(lineOf(root, parsePath(path)))}
}

func (d *document) line(inDocument int) int { return d.first + inDocument - 1 }

// form is how the text of a file is written.
type form uint8

const (
	asYAML form = iota
	asJSON
)

// forms are the endings of the names of files that are read.
var forms = map[string]form{".yaml": asYAML, ".yml": asYAML, ".json": asJSON}

// readDocuments splits a file and reads every document of it. The faults are about what cannot be read; the documents
// around it are returned all the same.
func readDocuments(file string, form form, data []byte) ([]*document, []*Fault) {
	if fault := checkText(file, data); fault != nil {
		return nil, []*Fault{fault}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if form == asJSON {
		// Tabs are white space in JSON, where no string may hold one raw, and are not in YAML.
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	}
	chunks, faults := split(file, data)
	var documents []*document
	for _, c := range chunks {
		d, found := readDocument(file, c)
		faults = append(faults, found...)
		if d != nil {
			documents = append(documents, d)
		}
	}
	return documents, faults
}

// checkText refuses what is no text, and text that a merge left unfinished.
func checkText(file string, data []byte) *Fault {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return &Fault{Source: Source{File: file}, Message: "is UTF-16: save it as UTF-8"}
	}
	if bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) {
		return &Fault{Source: Source{File: file, Line: 1}, Message: "is a pointer of Git LFS, and not the file itself: keep manifests in Git (git lfs untrack), or pull the file (git lfs pull) and compare folders"}
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return &Fault{Source: Source{File: file, Line: lineAt(data, at)}, Message: "is not a text file: it holds a NUL byte"}
	}
	if utf8.Valid(data) && !bytes.Contains(data, []byte("<<<<<<<")) && !bytes.Contains(data, []byte(">>>>>>>")) {
		return nil
	}
	for number, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			return &Fault{Source: Source{File: file, Line: number + 1}, Message: "is not UTF-8: save the file as UTF-8"}
		}
		if conflictMarker.Match(line) {
			return &Fault{Source: Source{File: file, Line: number + 1}, Message: "holds a merge conflict: resolve it and take out the lines with <<<<<<<, ======= and >>>>>>>"}
		}
	}
	return nil
}

var conflictMarker = regexp.MustCompile(`^(<{7}|>{7})( |\r?$)`)

func lineAt(data []byte, offset int) int { return bytes.Count(data[:offset], []byte("\n")) + 1 }

type chunk struct {
	first int
	text  []byte
}

// split cuts a file at its lines ---, with nothing but a comment behind them, as kubectl does.
func split(file string, data []byte) ([]chunk, []*Fault) {
	var chunks []chunk
	var faults []*Fault
	start, first, number, at := 0, 1, 0, 0
	for line := range bytes.Lines(data) {
		number, at = number+1, at+len(line)
		rest, separator := bytes.CutPrefix(line, []byte("---"))
		if !separator {
			continue
		}
		if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] != '#' {
			faults = append(faults, &Fault{Source: Source{File: file, Line: number}, Message: "put the document below the line ---, not behind it"})
		}
		chunks = append(chunks, chunk{first, data[start : at-len(line)]})
		start, first = at, number+1
	}
	return append(chunks, chunk{first, data[start:]}), faults
}

func readDocument(file string, c chunk) (*document, []*Fault) {
	d := &document{file: file, first: c.first}
	decoder := yamlv3.NewDecoder(bytes.NewReader(c.text))
	var root, second yamlv3.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, nil // nothing but comments
	} else if err != nil {
		return nil, []*Fault{d.unreadable(c, err)}
	}
	if err := decoder.Decode(&second); err != nil && !errors.Is(err, io.EOF) {
		return nil, []*Fault{d.unreadable(c, err)}
	}
	if len(root.Content) == 0 {
		return nil, nil
	}
	d.root = root.Content[0]
	if faults := d.repeatedKeys(d.root); len(faults) > 0 {
		return nil, faults
	}
	var sure bool
	if d.value, sure = valueOf(d.root); sure {
		return d, nil
	}
	var err error
	if d.value, err = asKubectlReads(c.text); err != nil {
		return nil, []*Fault{d.unreadable(c, err)}
	}
	return d, nil
}

var yamlLine = regexp.MustCompile(`line (\d+)(: )?`)

// unreadable says why the document is no YAML, at the line of the file rather than of the document.
func (d *document) unreadable(c chunk, err error) *Fault {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = strings.Replace(message, m[0], "", 1)
	}
	if strings.Contains(message, "<document start>") {
		message = "a second document begins here: put a line --- above it"
	}
	for number, text := range strings.Split(string(c.text), "\n") {
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if strings.Contains(indent, "\t") {
			line, message = number+1, "is indented with a tab: YAML wants spaces"
			break
		}
	}
	return &Fault{Source: Source{File: d.file, Line: d.line(line)}, Message: "is no valid YAML: " + message}
}

// repeatedKeys finds keys that are given twice. YAML readers take the last one, so the first would be silently lost.
func (d *document) repeatedKeys(node *yamlv3.Node) []*Fault {
	var faults []*Fault
	if node.Kind == yamlv3.MappingNode {
		seen := make(map[string]int, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if line, ok := seen[key.Value]; ok {
				faults = append(faults, &Fault{Source: Source{File: d.file, Line: d.line(key.Line)},
					Message: fmt.Sprintf("key %q is given twice; it stands already in line %d", key.Value, d.line(line))})
				continue
			}
			seen[key.Value] = key.Line
		}
	}
	for _, child := range node.Content {
		faults = append(faults, d.repeatedKeys(child)...)
	}
	return faults
}

// step is one step of a path: a key, or the index of a list (key is then empty).
type step struct {
	key   string
	index int
}

// parsePath reads the paths of the API's errors: spec.grants[3].scopes, metadata.annotations[example.com/x].
func parsePath(path string) []step {
	var steps []step
	for path != "" {
		if path[0] == '[' {
			inside, rest, ok := strings.Cut(path[1:], "]")
			if !ok {
				return append(steps, step{key: path, index: -1})
			}
			if i, err := strconv.Atoi(inside); err == nil && i >= 0 {
				steps = append(steps, step{index: i})
			} else {
				steps = append(steps, step{key: inside, index: -1})
			}
			path = rest
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			steps = append(steps, step{key: path[:end], index: -1})
		}
		path = path[end:]
	}
	return steps
}

// cutPath divides a path into its last key and the steps before it. The key of {"": …} is empty, as is its path.
func cutPath(path string) (before []step, key string) {
	steps := parsePath(path)
	if len(steps) == 0 {
		return nil, ""
	}
	return steps[:len(steps)-1], steps[len(steps)-1].key
}

// lineOf is the line of the key or list entry that the steps lead to, or of the last one on the way that exists.
func lineOf(node *yamlv3.Node, steps []step) int {
	line := node.Line
	for _, s := range steps {
		for node.Kind == yamlv3.AliasNode {
			node = node.Alias
		}
		next, at := child(node, s)
		if next == nil {
			return line
		}
		node, line = next, at
	}
	return line
}

func child(node *yamlv3.Node, s step) (next *yamlv3.Node, line int) {
	switch node.Kind {
	case yamlv3.SequenceNode:
		if s.index >= 0 && s.index < len(node.Content) {
			return node.Content[s.index], node.Content[s.index].Line
		}
	case yamlv3.MappingNode:
		key := s.key
		if s.index >= 0 {
			key = strconv.Itoa(s.index)
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	}
	return nil, 0
}
