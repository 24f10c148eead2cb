package command

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

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Names come from files and servers that somebody else wrote. What a terminal would obey instead of show (escape
// sequences, line breaks, marks that turn the direction of writing) is printed as an escape.

// printable is a text without what a terminal obeys.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if clean = shows(r); !clean {
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
		case shows(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// shows says whether a terminal shows the character and nothing else happens.
func shows(r rune) bool {
	return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r))
}

// printLine prints one line.
func printLine(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) // a reader that has gone away is told nothing
}

// printJSON prints a value for programs. JSON escapes the control characters; the others that a terminal obeys stand
// in strings only, so they can be escaped where they stand.
func printJSON(w io.Writer, value any) error {
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
		case r == '\n' || shows(r):
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

// reportError prints an error, one line for each of several faults in manifests.
func reportError(w io.Writer, err error) {
	if faults := manifest.Faults(err); len(faults) > 0 {
		for _, fault := range faults {
			printLine(w, "error: %v", fault)
		}
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = "error: " + line
		}
		printLine(w, "%s", strings.ReplaceAll(line, "\t", "  "))
	}
}

// printTable prints rows below a header, in columns as wide as they need to be. Nothing is printed to the right of the
// last column.
func printTable(w io.Writer, header []string, rows [][]string) {
	widths := make([]int, len(header))
	lines := append([][]string{header}, rows...)
	for _, line := range lines {
		for i := range line {
			line[i] = printable(line[i])
			widths[i] = max(widths[i], columns(line[i]))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(cell)+2))
			}
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(b.String(), " ")) // as in printLine
	}
}

// columns is how many columns of a terminal a text takes: Chinese characters take two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.Is(unicode.Mn, r):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// outputFlag checks the value of -o.
func outputFlag(value string) error {
	if value != "text" && value != "json" {
		return fmt.Errorf("unknown output %q: want text or json", value)
	}
	return nil
}
