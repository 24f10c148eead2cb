package postgres

import (
	"bytes"
	"encoding/json"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// canonicalFragments brings jsonb, which has its own order of keys, into the spelling of the canonical body. Few
// spellings make up most of a tenant's rows, so each is worked out once.
type canonicalFragments map[fragment]string

// verbatim are the columns of type json: they are as they were written.
var verbatim = map[string]bool{"spec": true, "rule": true, "document": true}

type fragment struct{ column, text string }

func (f canonicalFragments) of(column string, raw []byte) string {
	if raw == nil || verbatim[column] {
		return string(raw)
	}
	if known, ok := f[fragment{column, string(raw)}]; ok {
		return known
	}
	text := string(raw)
	canonical := spell(column, raw)
	f[fragment{column, text}] = canonical
	return canonical
}

// spell keeps what it does not understand as it is: a hand wrote it, and it shows as a difference.
func spell(column string, raw []byte) string {
	var err error
	var value any
	switch column {
	case "mask":
		value, err = strict[access.Mask](raw)
	case "conditions":
		value, err = strict[[]access.WhereFact](raw)
	case "field_rules":
		value, err = strict[[]access.RuleFact](raw)
	case "columns":
		value, err = strict[map[string]string](raw)
	case "logins":
		value, err = strict[[]access.Login](raw)
	case "variants":
		value, err = strict[[]access.Variant](raw)
	}
	if err != nil || value == nil {
		return string(raw)
	}
	var canonical bytes.Buffer
	encoder := json.NewEncoder(&canonical)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return string(raw)
	}
	return string(bytes.TrimSuffix(canonical.Bytes(), []byte("\n")))
}

func strict[T any](raw []byte) (T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&value)
	return value, err
}
