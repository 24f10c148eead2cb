package access

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Canonical JSON after RFC 8785, of strings, arrays, objects and booleans only: without numbers there is nothing in it
// that two languages print differently.

// jsonObject is a JSON object under way. Its values are of the types that appendCanonical knows.
type jsonObject map[string]any

// encoded is a value that is canonical JSON already.
type encoded string

func (o jsonObject) text(key, value string) {
	if value != "" {
		o[key] = value
	}
}

// names adds a list of strings, sorted and distinct, where there are any.
func (o jsonObject) names(key string, list []string) {
	if len(list) > 0 {
		o[key] = nameList(sorted(list))
	}
}

// list adds a list of encoded values, sorted and distinct, where there are any.
func (o jsonObject) list(key string, values []string) {
	if len(values) > 0 {
		o[key] = encodedList(values)
	}
}

func (o jsonObject) document(kind EffectKind) []byte {
	o["apiVersion"], o["kind"] = EffectVersion, string(kind)
	return appendCanonical(nil, o)
}

func nameList(list []string) []any {
	values := make([]any, len(list))
	for i, name := range list {
		values[i] = name
	}
	return values
}

func encodedList(list []string) []any {
	list = sorted(list)
	values := make([]any, len(list))
	for i, value := range list {
		values[i] = encoded(value)
	}
	return values
}

func appendCanonical(out []byte, value any) []byte {
	switch v := value.(type) {
	case encoded:
		return append(out, v...)
	case string:
		return appendString(out, v)
	case bool:
		if v {
			return append(out, "true"...)
		}
		return append(out, "false"...)
	case []any:
		out = append(out, '[')
		for i, element := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendCanonical(out, element)
		}
		return append(out, ']')
	case map[string]any:
		return appendCanonical(out, jsonObject(v))
	case jsonObject:
		out = append(out, '{')
		// RFC 8785 sorts keys by UTF-16 units. Ours are ASCII, for which that is the order of bytes.
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, key), ':')
			out = appendCanonical(out, v[key])
		}
		return append(out, '}')
	}
	return append(out, "null"...) // read from a document that is refused for it
}

// appendString escapes what JSON demands and nothing else, in the shortest way (RFC 8785 §3.2.2.2). What is no UTF-8
// becomes the replacement character, as wherever JSON is written.
func appendString(out []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= ' ':
			out = append(out, c)
		default:
			if short := strings.IndexByte("\b\t\n\f\r", c); short >= 0 {
				out = append(out, '\\', "btnfr"[short])
			} else {
				out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
	}
	return append(out, '"')
}

// checkPlain refuses numbers and null.
func checkPlain(value any) error {
	switch v := value.(type) {
	case string, bool:
		return nil
	case []any:
		for _, element := range v {
			if err := checkPlain(element); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, member := range v {
			if err := checkPlain(member); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("effect document: only strings, lists, objects, true and false may stand in it; a number is written as a string")
}

// plainValue is a rule as the store keeps it, with its numbers as strings and without what is null.
func plainValue(rule GuardrailRule) any {
	text, err := json.Marshal(rule)
	if err != nil {
		return err.Error() // no member of a rule can fail; if one ever does, the document is nobody's to approve
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return err.Error()
	}
	return withoutNumbers(tree)
}

func withoutNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		return v.String()
	case []any:
		for i := range v {
			v[i] = withoutNumbers(v[i])
		}
	case map[string]any:
		for key, member := range v {
			if member == nil {
				delete(v, key)
				continue
			}
			v[key] = withoutNumbers(member)
		}
	}
	return value
}

// parseSpan reads the ends of a window, where empty means without bound.
func parseSpan(notBefore, notAfter string) (schedule.Window, error) {
	window := schedule.Unbounded
	var err error
	if notBefore != "" {
		if window.NotBefore, err = schedule.Parse(notBefore); err != nil {
			return window, err
		}
	}
	if notAfter != "" {
		window.NotAfter, err = schedule.Parse(notAfter)
	}
	return window, err
}
