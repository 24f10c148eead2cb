package decisionapi

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner reads a JSON text from its beginning, piece by piece, as strictly as jsontext does: fuzzing holds the two together.
// It says that something is wrong and not what: explain does.
type scanner struct {
	whole string
	// at is where the next piece begins.
	at int
}

// The kinds of a value. Those of the literals are how they begin; that of a number is '0'.
const (
	kindNone   = 0
	kindText   = '"'
	kindNumber = '0'
	kindNull   = 'n'
	kindTrue   = 't'
	kindFalse  = 'f'
	kindObject = '{'
	kindList   = '['
)

// next is the byte that comes next; 0 at the end.
func (s *scanner) next() byte {
	if s.at < len(s.whole) {
		return s.whole[s.at]
	}
	return 0
}

// space reads white space.
func (s *scanner) space() {
	for s.at < len(s.whole) {
		switch s.whole[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take reads one byte if it is the one that is wanted.
func (s *scanner) take(want byte) bool {
	if s.next() != want {
		return false
	}
	s.at++
	return true
}

// text reads a text, and gives what it means.
func (s *scanner) text() (text string, ok bool) {
	start := s.at
	plain, escaped := true, false
	for at := start + 1; at < len(s.whole); at++ {
		switch c := s.whole[at]; {
		case c == '"':
			s.at = at + 1
			return meant(s.whole[start:s.at], plain, escaped)
		case c < ' ':
			return "", false
		case c == '\\':
			plain, escaped = false, true
			at++ // what is escaped ends no text
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return "", false
}

// meant is what a text means that is written so, with its quotes.
func meant(written string, plain, escaped bool) (text string, ok bool) {
	inner := written[1 : len(written)-1]
	switch {
	case plain:
		return inner, true
	case !escaped:
		return inner, utf8.ValidString(inner)
	}
	unquoted, err := jsontext.AppendUnquote(nil, written)
	return string(unquoted), err == nil
}

// number reads a number, as it is written.
func (s *scanner) number() (written string, ok bool) {
	start := s.at
	s.take('-')
	if !s.take('0') && !s.digits() {
		return "", false
	}
	if s.take('.') && !s.digits() {
		return "", false
	}
	if c := s.next(); c == 'e' || c == 'E' {
		s.at++
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return "", false
		}
	}
	return s.whole[start:s.at], true
}

// digits reads one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for c := s.next(); '0' <= c && c <= '9'; c = s.next() {
		s.at++
	}
	return s.at > start
}

// literal reads null, true or false.
func (s *scanner) literal() (written string, ok bool) {
	rest := s.whole[s.at:]
	for _, word := range [...]string{"null", "true", "false"} {
		if strings.HasPrefix(rest, word) {
			s.at += len(word)
			return word, true
		}
	}
	return "", false
}

// kind is that of the value that comes next; kindNone where there is none.
func (s *scanner) kind() byte {
	switch c := s.next(); c {
	case '"', '{', '[', 'n', 't', 'f':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return kindNumber
	}
	return kindNone
}
