// Package terminal writes texts for terminals. Names come from files and servers that somebody else wrote: what a terminal
// would obey instead of show (escape sequences, line breaks, marks that turn the direction of writing), and what nobody sees
// (characters without a width), is written as an escape. Nothing here knows what the texts say.
package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Printable is a text without what a terminal obeys.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if clean = Shows(r); !clean {
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case Shows(r):
			b.WriteRune(r)
		case unicode.IsPrint(r): // strconv would leave it as it is
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// Shows says whether a terminal shows the character and nothing else happens. Some letters and marks are made to be left out
// of what is shown: fillers, joiners, selectors of variants.
func Shows(r rune) bool {
	if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return false
	}
	return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r))
}

// Columns is how many columns of a terminal a printable text takes: Chinese characters take two.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// WriteTable writes rows below a header, in columns as wide as they need to be. Nothing is written to the right of the last
// column.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	lines := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{header}, rows...) {
		line := make([]string, len(row))
		for i := range row {
			line[i] = Printable(row[i])
			widths[i] = max(widths[i], Columns(line[i]))
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-Columns(cell)+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes a value for programs. JSON escapes the control characters; the others that a terminal obeys stand in
// strings only, so they can be escaped where they stand.
func WriteJSON(w io.Writer, value any) error {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var b strings.Builder
	for _, r := range plain.String() {
		switch {
		case r == '\n' || Shows(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
