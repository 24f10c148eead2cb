package decisionapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxBody is the largest body that is read, in bytes.
	MaxBody = 1 << 20
	// maxDepth and maxValues bound what a body may unfold to in memory.
	maxDepth  = 16
	maxValues = 20000
)

// fault is what is wrong with a question, and where.
type fault struct{ at, what string }

func (f *fault) Error() string {
	if f.at == "" {
		return f.what
	}
	return f.at + ": " + f.what
}

// decode reads a body strictly: one JSON object, in UTF-8, without keys given twice (readers differ in which one they
// take, so what one of them checked is not what the other does). Texts become NFC, as the engine compares them; numbers
// are int64 where they can be, float64 otherwise.
func decode(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, &fault{what: "the body is empty: send a JSON object with subject, action and resource"}
	}
	if at := invalidUTF8(body); at >= 0 {
		return nil, &fault{what: fmt.Sprintf("the body is not UTF-8 at byte %d", at)}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, &fault{what: fmt.Sprintf("the body is no valid JSON at byte %d: %v", syntax.Offset, err)}
		}
		return nil, &fault{what: fmt.Sprintf("the body is no valid JSON: %v", err)}
	}
	d := decoder{tokens: json.NewDecoder(bytes.NewReader(body))}
	d.tokens.UseNumber()
	value, err := d.value()
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &fault{what: "want a JSON object with subject, action and resource"}
	}
	return object, nil
}

func invalidUTF8(body []byte) int {
	if utf8.Valid(body) {
		return -1
	}
	for at := 0; at < len(body); {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// decoder builds values from tokens that are known to be valid JSON.
type decoder struct {
	tokens *json.Decoder
	path   []string // where it is
	values int
}

func (d *decoder) fault(what string) error { return &fault{at: strings.Join(d.path, "."), what: what} }

func (d *decoder) value() (any, error) {
	if d.values++; d.values > maxValues {
		return nil, d.fault(fmt.Sprintf("more than %d values: ask a smaller question", maxValues))
	}
	token, err := d.tokens.Token()
	if err != nil {
		return nil, d.fault(err.Error())
	}
	switch t := token.(type) {
	case json.Delim:
		if len(d.path) >= maxDepth {
			return nil, d.fault(fmt.Sprintf("nested deeper than %d levels", maxDepth))
		}
		if t == '{' {
			return d.object()
		}
		return d.list()
	case string:
		return d.text(t)
	case json.Number:
		return d.number(t)
	}
	return token, nil // true, false, null
}

func (d *decoder) object() (any, error) {
	object := make(map[string]any)
	for d.tokens.More() {
		token, err := d.tokens.Token()
		if err != nil {
			return nil, d.fault(err.Error())
		}
		name, _ := token.(string)
		d.path = append(d.path, shown(name))
		name, err = d.text(name)
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, d.fault("given twice")
		}
		if object[name], err = d.value(); err != nil {
			return nil, err
		}
		d.path = d.path[:len(d.path)-1]
	}
	_, err := d.tokens.Token()
	return object, err
}

func (d *decoder) list() (any, error) {
	list := []any{}
	for d.tokens.More() {
		d.path = append(d.path, strconv.Itoa(len(list)))
		value, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, value)
		d.path = d.path[:len(d.path)-1]
	}
	_, err := d.tokens.Token()
	return list, err
}

// text normalises a text. The replacement character is what half of a surrogate pair (\ud800) is read as: two
// different names would become equal.
func (d *decoder) text(s string) (string, error) {
	if strings.ContainsRune(s, utf8.RuneError) {
		return "", d.fault("holds half of a surrogate pair, or the replacement character U+FFFD")
	}
	return norm.NFC.String(s), nil
}

func (d *decoder) number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, d.fault("the number is out of range")
	}
	return f, nil
}

// shown is a name as a message quotes it: short, and in plain characters where it holds others.
func shown(name string) string {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}
