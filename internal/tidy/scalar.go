package tidy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	kubeyaml "sigs.k8s.io/yaml"
)

// context is where a scalar stands; what may stand there without quotes differs.
type context uint8

const (
	inBlock context = iota
	inFlowCollection
)

// scalar writes a value in one line. What the file wrote without quotes and is no text (a number, a yes, nothing) stays as it is
// written; text has quotes only where it needs them.
func scalar(node *yaml.Node, in context) string {
	if node.Tag == "!!null" && node.Value == "" && in == inFlowCollection {
		return "null"
	}
	written := node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if written && mayStandPlain(node.Value, in) {
		return node.Value
	}
	if !written && plainText(node.Value, in) {
		return node.Value
	}
	return quoted(node.Value)
}

// mayStandPlain says whether what stood without quotes somewhere may do so here.
func mayStandPlain(s string, in context) bool {
	if strings.Contains(s, "\n") {
		return false
	}
	return in == inBlock || s != "" && !strings.ContainsAny(s, ",[]{}") && !strings.HasSuffix(s, ":")
}

var (
	word = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_.-]*$`)
	// otherwise are the words that some reader of YAML takes for something else than text.
	otherwise = regexp.MustCompile(`^(?i:y|yes|n|no|on|off|true|false|null|nan|inf)$`)
)

// plainText says whether a text, written without quotes, is read as the same text by every reader that we have.
func plainText(s string, in context) bool {
	if word.MatchString(s) {
		return !otherwise.MatchString(s)
	}
	if s == "" || strings.ContainsFunc(s, needsEscape) || strings.TrimSpace(s) != s || strings.ContainsRune("-?:,[]{}#&*!|>'\"%@`=<~.+", rune(s[0])) ||
		strings.Contains(s, ": ") || strings.HasSuffix(s, ":") || strings.Contains(s, " #") ||
		in == inFlowCollection && strings.ContainsAny(s, ",[]{}") {
		return false
	}
	var v3 yaml.Node
	if err := yaml.Unmarshal([]byte("- "+s), &v3); err != nil || len(v3.Content) == 0 || len(v3.Content[0].Content) != 1 {
		return false
	}
	if read := v3.Content[0].Content[0]; read.Kind != yaml.ScalarNode || read.Tag != "!!str" || read.Value != s {
		return false
	}
	var v2 []any
	return kubeyaml.Unmarshal([]byte("- "+s), &v2) == nil && len(v2) == 1 && v2[0] == any(s)
}

func needsEscape(r rune) bool { return !unicode.IsPrint(r) }

// quoted writes a text in quotes: in double ones, or in single ones where that spares escapes.
func quoted(s string) string {
	if strings.ContainsAny(s, `"\`) && !strings.ContainsRune(s, '\'') && !strings.ContainsFunc(s, needsEscape) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case !needsEscape(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
