package decisionapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
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

// reader reads one body strictly, in one pass: one JSON object, in UTF-8, without keys given twice (readers differ in
// which one they take, so what one of them checked is not what the other does). Each method reads the value that comes
// next; null counts as absent. Members in any order, and those that nobody knows are ignored:
//
//	for name := range r.members() {
//		switch name {
//		case "id":
//			id = r.text()
//		case "fields":
//			fields = r.texts()
//		}
//	}
//
// What is no valid JSON ends the reading. What is valid and not what it should be is a fault: the first is kept, with its
// place, and the reading goes on. end tells of both.
type reader struct {
	tokens *jsontext.Decoder
	source bytes.Buffer
	body   string
	// within is where faults are told from: of one question among several, within it.
	within int

	broken error
	fault  error

	values int
	spare  spare
	// spelled are the names so far, beyond ASCII, of the objects being read: two may be one in NFC.
	spelled []spelledName
}

type spelledName struct {
	depth int
	name  string
}

// begin starts to read a body. The reader holds on to it until it is forgotten.
func (r *reader) begin(body []byte) {
	r.body = string(body)
	if r.tokens == nil {
		r.tokens = new(jsontext.Decoder)
	}
	r.source = *bytes.NewBuffer(body)
	r.tokens.Reset(&r.source)
	if len(bytes.TrimSpace(body)) == 0 {
		r.broken = &fault{what: "the body is empty: send a JSON object with subject, action and resource"}
	}
}

// forget lets go of the body that was read.
func (r *reader) forget() {
	r.source, r.body, r.within, r.broken, r.fault, r.values, r.spelled = bytes.Buffer{}, "", 0, nil, nil, 0, r.spelled[:0]
	r.spare.giveBack()
}

// end says what was wrong with the body, or nothing.
func (r *reader) end() error {
	if r.broken == nil {
		if _, err := r.tokens.ReadToken(); !errors.Is(err, io.EOF) {
			r.breakOff(err)
		}
	}
	if r.broken != nil {
		return r.broken
	}
	return r.fault
}

// failf keeps the first fault, about the value that was read last.
func (r *reader) failf(format string, args ...any) {
	if r.fault == nil && r.broken == nil {
		r.fault = &fault{r.place(), fmt.Sprintf(format, args...)}
	}
}

// breakOff ends the reading: of broken JSON nothing is believed.
func (r *reader) breakOff(err error) {
	if r.broken != nil {
		return
	}
	var syntax *jsontext.SyntacticError
	var told *fault
	switch {
	case errors.As(err, &told):
		r.broken = told
	case err == nil:
		r.broken = &fault{what: fmt.Sprintf("the body is no valid JSON at byte %d: something follows the object", r.tokens.InputOffset())}
	case !errors.As(err, &syntax):
		r.broken = &fault{what: "the body is no valid JSON: it ends too early"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		r.broken = &fault{shownPointer(string(syntax.JSONPointer)), "given twice"}
	default:
		r.broken = r.syntaxFault(syntax)
	}
}

func (r *reader) syntaxFault(syntax *jsontext.SyntacticError) error {
	if at := invalidUTF8(r.body); at >= 0 {
		return &fault{what: fmt.Sprintf("the body is not UTF-8 at byte %d", at)}
	}
	if strings.Contains(syntax.Err.Error(), "surrogate") {
		return &fault{shownPointer(string(syntax.JSONPointer)), "holds half of a surrogate pair"}
	}
	return &fault{what: fmt.Sprintf("the body is no valid JSON at byte %d: %v", syntax.ByteOffset+1, syntax.Err)}
}

func invalidUTF8(body string) int {
	if utf8.ValidString(body) {
		return -1
	}
	for at := 0; at < len(body); {
		character, size := utf8.DecodeRuneInString(body[at:])
		if character == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// place is the path of the value that was read last.
func (r *reader) place() string { return shownPointer(string(r.tokens.StackPointer())[r.within:]) }

// shownPointer writes a JSON pointer as messages do: /subject/id is subject.id.
func shownPointer(pointer string) string {
	var path strings.Builder
	for part := range jsontext.Pointer(pointer).Tokens() {
		if path.Len() > 0 {
			path.WriteByte('.')
		}
		path.WriteString(shown(part))
	}
	return path.String()
}

// kind is that of the value that comes next: one of n t f " 0 { [, or another where there is none.
func (r *reader) kind() jsontext.Kind {
	if r.broken != nil {
		return jsontext.KindInvalid
	}
	return r.tokens.PeekKind()
}

// token reads what comes next, which is counted where it is a value.
func (r *reader) token() {
	if r.broken != nil {
		return
	}
	token, err := r.tokens.ReadToken()
	switch {
	case err != nil:
		r.breakOff(err)
	case token.Kind() != '}' && token.Kind() != ']':
		r.count(r.tokens.StackDepth())
	}
}

// count counts a value, at the depth that reading it leads to.
func (r *reader) count(depth int) {
	if r.values++; r.values > maxValues {
		r.broken = &fault{r.place(), fmt.Sprintf("more than %d values: ask a smaller question", maxValues)}
	}
	if depth > maxDepth {
		r.broken = &fault{r.place(), fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
}

// raw reads a value that is no object and no list, as it is written.
func (r *reader) raw() string {
	if r.broken != nil {
		return ""
	}
	value, err := r.tokens.ReadValue()
	if err != nil {
		r.breakOff(err)
		return ""
	}
	r.count(0)
	end := int(r.tokens.InputOffset())
	return r.body[end-len(value) : end]
}

// skip reads past a value, whatever it is. What is in it is held to the same rules.
func (r *reader) skip() {
	switch r.kind() {
	case '{':
		for range r.members() {
			r.skip()
		}
	case '[':
		for range r.elements() {
			r.skip()
		}
	default:
		r.raw()
	}
}

// members goes through the members of an object by name. A value that is not read before the next name is skipped.
func (r *reader) members() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !r.enter('{', "want an object") {
			return
		}
		depth, going := r.tokens.StackDepth(), true
		r.leaveNames(depth)
		for r.kind() == '"' {
			name := r.readName(depth)
			if going = going && r.broken == nil && yield(name); r.broken != nil {
				return
			}
			if _, length := r.tokens.StackIndex(depth); length%2 != 0 {
				r.skip()
			}
		}
		r.token() // the end of the object, or what is wrong there
	}
}

// elements goes through a list by index. A value that is not read before the next is skipped.
func (r *reader) elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !r.enter('[', "want a list") {
			return
		}
		depth, going := r.tokens.StackDepth(), true
		for i := 0; r.kind() != ']' && r.broken == nil; i++ {
			if going = going && yield(i); r.broken != nil {
				return
			}
			if _, length := r.tokens.StackIndex(depth); length == int64(i) {
				r.skip()
			}
		}
		r.token()
	}
}

// enter reads the start of an object or list. Another value is skipped; it is a fault unless it is null.
func (r *reader) enter(start jsontext.Kind, want string) bool {
	whole := r.broken == nil && r.tokens.StackDepth() == 0
	switch kind := r.kind(); {
	case kind == start:
		r.token()
		return r.broken == nil
	case whole:
		r.refuse("want a JSON object with subject, action and resource")
	case kind == 'n':
		r.raw()
	default:
		r.refuse(want)
	}
	return false
}

// refuse skips a value that is not what it should be.
func (r *reader) refuse(want string) {
	r.skip()
	r.failf("%s", want)
}

// readName reads a member's name, in NFC.
func (r *reader) readName(depth int) string {
	value, err := r.tokens.ReadValue()
	if err != nil {
		r.breakOff(err)
		return ""
	}
	end := int(r.tokens.InputOffset())
	name, plain := plainText(r.body[end-len(value) : end])
	if plain {
		return name
	}
	given := unquoted(r.body[end-len(value) : end])
	name = norm.NFC.String(given)
	if name == given && isASCII(name) {
		return name // it was written with escapes
	}
	if isASCII(name) || slices.Contains(r.spelled, spelledName{depth, name}) {
		r.breakOff(&fault{r.place(), "given twice, or spelt like another name"})
	}
	r.spelled = append(r.spelled, spelledName{depth, name})
	return name
}

// leaveNames forgets the names of objects that have ended.
func (r *reader) leaveNames(depth int) {
	for n := len(r.spelled); n > 0 && r.spelled[n-1].depth >= depth; n-- {
		r.spelled = r.spelled[:n-1]
	}
}

// text reads a text, in NFC; "" where it is null.
func (r *reader) text() string {
	switch r.kind() {
	case '"':
		return r.textOf(r.raw())
	case 'n':
		r.raw()
	default:
		r.refuse("want a text")
	}
	return ""
}

// textOf is what a text means that is written so. The replacement character is what other readers make of what they
// cannot read: two different names would become equal.
func (r *reader) textOf(raw string) string {
	if text, plain := plainText(raw); plain {
		return text
	}
	if raw == "" {
		return "" // the reading is over
	}
	text := unquoted(raw)
	if strings.ContainsRune(text, utf8.RuneError) {
		r.failf("holds the replacement character U+FFFD")
	}
	return norm.NFC.String(text)
}

// plainText takes the quotes off a text that means what is written.
func plainText(raw string) (string, bool) {
	if len(raw) < 2 {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	for i := range len(raw) {
		if raw[i] >= utf8.RuneSelf || raw[i] == '\\' {
			return "", false
		}
	}
	return raw, true
}

func unquoted(raw string) string {
	text, _ := jsontext.AppendUnquote(nil, raw) // it has been read: it is valid
	return string(text)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// texts reads a list of texts.
func (r *reader) texts() (list []string) {
	if kind := r.kind(); kind != '[' && kind != 'n' {
		r.refuse("want a list of texts")
		return nil
	}
	for range r.elements() {
		if r.kind() != '"' {
			r.refuse("want a text")
			continue
		}
		list = append(list, r.text())
	}
	return list
}

// amount reads how many of something there are; nil where it is null.
func (r *reader) amount() *int64 {
	const want = "want a whole number, zero or more"
	switch r.kind() {
	case 'n':
		r.raw()
		return nil
	case '0':
	default:
		r.refuse(want)
		return nil
	}
	whole, _, err := numberOf(r.raw())
	switch {
	case err != nil:
		r.failf("%v", err)
	case whole == nil || *whole < 0:
		r.failf(want)
	default:
		return whole
	}
	return nil
}

// numberOf reads a number: whole where it can be.
func numberOf(raw string) (whole *int64, broken float64, err error) {
	if i, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return &i, 0, nil
	}
	if broken, err = strconv.ParseFloat(raw, 64); err != nil {
		return nil, 0, errors.New("the number is out of range")
	}
	return nil, broken, nil
}

// truth reads true or false; false where it is null.
func (r *reader) truth() bool {
	switch r.kind() {
	case 't', 'f':
		return r.raw() == "true"
	case 'n':
		r.raw()
	default:
		r.refuse("want true or false")
	}
	return false
}

// instant reads an instant; nil where it is null or "". AuthZEN's own examples leave the seconds out.
func (r *reader) instant() *schedule.Instant {
	text := r.text()
	if text == "" {
		return nil
	}
	at, err := schedule.Parse(text)
	if err == nil {
		return &at
	}
	if minute, lenient := time.Parse("2006-01-02T15:04Z07:00", text); lenient == nil {
		at = schedule.At(minute)
		return &at
	}
	r.failf("%v", err)
	return nil
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
