package tidy

import (
	"bytes"
	"strings"
)

// text is a file cut into its documents. Line ends are \n inside; bytes() puts those of the file back.
type text struct {
	bom    bool
	crlf   bool
	chunks []*chunk
}

// chunk is what stands between two separators.
type chunk struct {
	// separator is the line above the chunk, with its line end; empty above the first.
	separator string
	body      string
	// first is the line of the file at which the body begins.
	first int
}

const byteOrderMark = "\xef\xbb\xbf"

// readText cuts a file at its lines ---, as package manifest does. A file that mixes line ends cannot be put together
// again byte by byte, so its \r stay where they are, inside the lines.
func readText(data []byte) *text {
	t := &text{bom: bytes.HasPrefix(data, []byte(byteOrderMark))}
	whole := strings.TrimPrefix(string(data), byteOrderMark)
	if strings.Contains(whole, "\r\n") && strings.Count(whole, "\r\n") == strings.Count(whole, "\n") {
		t.crlf = true
		whole = strings.ReplaceAll(whole, "\r\n", "\n")
	}
	current := &chunk{first: 1}
	number := 0
	var body strings.Builder
	for line := range strings.SplitAfterSeq(whole, "\n") {
		number++
		if !strings.HasPrefix(line, "---") {
			body.WriteString(line)
			continue
		}
		current.body = body.String()
		t.chunks = append(t.chunks, current)
		body.Reset()
		current = &chunk{separator: line, first: number + 1}
	}
	current.body = body.String()
	t.chunks = append(t.chunks, current)
	return t
}

// bytes puts the file together.
func (t *text) bytes() []byte {
	var b strings.Builder
	if t.bom {
		b.WriteString(byteOrderMark)
	}
	for _, c := range t.chunks {
		for _, part := range [...]string{c.separator, c.body} {
			if t.crlf {
				part = strings.ReplaceAll(part, "\n", "\r\n")
			}
			b.WriteString(part)
		}
	}
	return []byte(b.String())
}

// separatorComment is what stands behind the dashes.
func (c *chunk) separatorComment() string {
	return strings.TrimSpace(strings.TrimPrefix(c.separator, "---"))
}

func (c *chunk) empty() bool { return strings.TrimSpace(c.body) == "" }
