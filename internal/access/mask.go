package access

import (
	"strings"
	"unicode/utf8"
)

// The types of masks, as manifests name them.
const (
	MaskKeep   = "Keep"
	MaskEmail  = "Email"
	MaskYear   = "Year"
	MaskListed = "Listed"
)

// hidden stands for what a mask leaves away. It is always as long, so that it does not say how long that was.
const hidden = "****"

// Show is what somebody with level masked sees of a value, and whether anything at all: Full, and a type that cannot be
// read, show nothing. Of a value that is empty there is nothing to hide.
func (m Mask) Show(value string) (shown string, something bool) {
	switch {
	case value == "":
		return "", true
	case m.Type == MaskKeep:
		return m.keep([]rune(value)), true
	case m.Type == MaskEmail:
		return maskedEmail(value), true
	case m.Type == MaskYear:
		return maskedYear(value), true
	case m.Type == MaskListed:
		return hidden, true
	}
	return "", false
}

// keep leaves nothing of a value that is no longer than what would stay of it.
func (m Mask) keep(value []rune) string {
	if len(value) <= m.KeepFirst+m.KeepLast {
		return hidden
	}
	return string(value[:m.KeepFirst]) + hidden + string(value[len(value)-m.KeepLast:])
}

// maskedEmail keeps two characters of a name that has more, and the domain.
func maskedEmail(value string) string {
	name, domain, found := strings.Cut(value, "@")
	if !found || name == "" || domain == "" || strings.Contains(domain, "@") {
		return hidden
	}
	if utf8.RuneCountInString(name) <= 2 {
		return hidden + "@" + domain
	}
	return string([]rune(name)[:2]) + hidden + "@" + domain
}

// maskedYear keeps the year of a date that begins with it.
func maskedYear(value string) string {
	if len(value) < 5 || value[4] != '-' || strings.Trim(value[:4], "0123456789") != "" {
		return hidden
	}
	return value[:4]
}
