package decisionapi

import (
	"errors"
	"fmt"
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
	scanner
	// path leads to the value that is being read, through the objects and lists around it.
	path []step
	// within is how many steps faults leave out: of one question among several, they are told within it.
	within int

	broken error
	fault  error

	values int
	spare  spare
	// names are those given so far, in NFC, in each of the objects that are being read: the innermost's come last.
	names []string
}

// step leads to a member by its name, or to an element by its index.
type step struct {
	name  string
	index int
}

// begin starts to read a body. The reader holds on to it until it is forgotten.
func (r *reader) begin(body []byte) {
	r.scanner = scanner{whole: string(body)}
	if r.space(); r.at == len(r.whole) {
		r.broken = &fault{what: "the body is empty: send a JSON object with subject, action and resource"}
	}
}

// forget lets go of the body that was read. What is spare is emptied when it is taken.
func (r *reader) forget() {
	clear(r.path[:cap(r.path)])
	clear(r.names[:cap(r.names)])
	r.scanner, r.within, r.broken, r.fault, r.values, r.path, r.names = scanner{}, 0, nil, nil, 0, r.path[:0], r.names[:0]
	if cap(r.names) > keptNames {
		r.names = nil
	}
	r.spare.giveBack()
}

// end says what was wrong with the body, or nothing.
func (r *reader) end() error {
	if r.broken == nil {
		if r.space(); r.at < len(r.whole) {
			r.breakOff()
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
func (r *reader) breakOff() {
	if r.broken == nil {
		r.broken = explain(r.whole)
	}
}

// explain says what is wrong with a text that is no JSON, or not only.
func explain(whole string) error {
	tokens := jsontext.NewDecoder(strings.NewReader(whole))
	_, err := tokens.ReadValue()
	if err == nil {
		_, err = tokens.ReadToken()
	}
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return &fault{what: fmt.Sprintf("the body is no valid JSON at byte %d: something follows the object", tokens.InputOffset())}
	case !errors.As(err, &syntax):
		return &fault{what: "the body is no valid JSON: it ends too early"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &fault{shownPointer(syntax.JSONPointer), "given twice"}
	}
	return syntaxFault(whole, syntax)
}

func syntaxFault(whole string, syntax *jsontext.SyntacticError) error {
	if at := invalidUTF8(whole); at >= 0 {
		return &fault{what: fmt.Sprintf("the body is not UTF-8 at byte %d", at)}
	}
	if strings.Contains(syntax.Err.Error(), "surrogate") {
		return &fault{shownPointer(syntax.JSONPointer), "holds half of a surrogate pair"}
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
func (r *reader) place() string {
	parts := make([]string, 0, len(r.path))
	for _, step := range r.path[min(r.within, len(r.path)):] {
		parts = append(parts, step.shown())
	}
	return strings.Join(parts, ".")
}

func (s step) shown() string {
	if s.index >= 0 {
		return strconv.Itoa(s.index)
	}
	return shown(s.name)
}

// shownPointer writes a JSON pointer as messages do: /subject/id is subject.id.
func shownPointer(pointer jsontext.Pointer) string {
	var parts []string
	for part := range pointer.Tokens() {
		parts = append(parts, shown(part))
	}
	return strings.Join(parts, ".")
}

// kind is that of the value that comes next; kindNone where there is none.
func (r *reader) kind() byte {
	if r.broken != nil {
		return kindNone
	}
	return r.scanner.kind()
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

// scalar reads a value that is no object and no list: what a text means, and others as they are written.
func (r *reader) scalar() (value string) {
	ok := false
	switch r.kind() {
	case kindText:
		value, ok = r.scanner.text()
	case kindNumber:
		value, ok = r.scanner.number()
	case kindNull, kindTrue, kindFalse:
		value, ok = r.literal()
	}
	if !ok {
		r.breakOff()
		return ""
	}
	r.count(0)
	return value
}

// skip reads past a value, whatever it is. What is in it is held to the same rules.
func (r *reader) skip() {
	switch r.kind() {
	case kindObject:
		for range r.members() {
			r.skip()
		}
	case kindList:
		for range r.elements() {
			r.skip()
		}
	default:
		r.scalar()
	}
}

// members goes through the members of an object by name. A value that is not read before the next name is skipped.
func (r *reader) members() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !r.enter(kindObject, "want an object") {
			return
		}
		given, going := names{from: len(r.names)}, true
		here := len(r.path)
		r.path = append(r.path, step{index: -1})
		for before := 0; r.more('}', before); before++ {
			r.path[here].name = r.name(&given)
			value := r.at
			if going = going && r.broken == nil && yield(r.path[here].name); r.broken != nil {
				return
			}
			if r.at == value {
				r.skip()
			}
		}
		r.path, r.names = r.path[:here], r.names[:given.from]
	}
}

// elements goes through a list by index. A value that is not read before the next is skipped.
func (r *reader) elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !r.enter(kindList, "want a list") {
			return
		}
		going := true
		here := len(r.path)
		r.path = append(r.path, step{})
		for i := 0; r.more(']', i); i++ {
			r.path[here].index = i
			value := r.at
			if going = going && yield(i); r.broken != nil {
				return
			}
			if r.at == value {
				r.skip()
			}
		}
		r.path = r.path[:here]
	}
}

// more says whether another value comes after so many in an object or list, and reads the comma before it; or the end, where
// none does.
func (r *reader) more(end byte, before int) bool {
	if r.broken != nil {
		return false
	}
	r.space()
	if r.take(end) {
		return false
	}
	if before > 0 && !r.take(',') {
		r.breakOff()
		return false
	}
	r.space()
	return true
}

// enter reads the start of an object or list. Another value is skipped; it is a fault unless it is null.
func (r *reader) enter(start byte, want string) bool {
	switch kind := r.kind(); {
	case kind == start:
		r.at++
		r.count(len(r.path) + 1)
		return r.broken == nil
	case r.broken == nil && len(r.path) == 0:
		r.refuse("want a JSON object with subject, action and resource")
	case kind == kindNull:
		r.scalar()
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

// names are those of one object: from where on they stand among the reader's.
type names struct {
	from int
	// many are the same once they are more than fewNames.
	many map[string]struct{}
}

const (
	// fewNames are compared one by one.
	fewNames = 16
	// keptNames is how many names' memory is kept for the next request.
	keptNames = 256
)

// name reads a member's name, in NFC, and the colon.
func (r *reader) name(given *names) string {
	if r.kind() != kindText {
		r.breakOff()
		return ""
	}
	written, ok := r.scanner.text()
	if !ok {
		r.breakOff()
		return ""
	}
	name := composed(written)
	r.path[len(r.path)-1].name = name
	// Whoever composes no texts reads another name than one that is plain only once it is composed.
	if other := name != written && isASCII(name); other || !given.add(r, name) {
		r.broken = &fault{r.place(), givenTwice(written)}
	}
	r.space()
	if r.broken == nil && !r.take(':') {
		r.breakOff()
	}
	r.space()
	return name
}

func givenTwice(written string) string {
	if isASCII(written) {
		return "given twice"
	}
	return "given twice, or spelt like another name"
}

// add notes a name, unless it has been given before.
func (n *names) add(r *reader, name string) bool {
	own := r.names[n.from:]
	if len(own) < fewNames {
		if slices.Contains(own, name) {
			return false
		}
		r.names = append(r.names, name)
		return true
	}
	if n.many == nil {
		n.many = make(map[string]struct{}, 4*fewNames)
		for _, before := range own {
			n.many[before] = struct{}{}
		}
	}
	_, before := n.many[name]
	n.many[name] = struct{}{}
	return !before
}

// composed is a text in NFC.
func composed(text string) string {
	if isASCII(text) {
		return text
	}
	return norm.NFC.String(text)
}

// text reads a text, in NFC; "" where it is null. The replacement character is what other readers make of what they cannot
// read: two different names would become equal.
func (r *reader) text() string {
	switch r.kind() {
	case kindText:
		text := r.scalar()
		if isASCII(text) {
			return text
		}
		if strings.ContainsRune(text, utf8.RuneError) {
			r.failf("holds the replacement character U+FFFD")
		}
		return norm.NFC.String(text)
	case kindNull:
		r.scalar()
	default:
		r.refuse("want a text")
	}
	return ""
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
	if kind := r.kind(); kind != kindList && kind != kindNull {
		r.refuse("want a list of texts")
		return nil
	}
	for range r.elements() {
		if r.kind() != kindText {
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
	case kindNull:
		r.scalar()
		return nil
	case kindNumber:
	default:
		r.refuse(want)
		return nil
	}
	whole, _, err := numberOf(r.scalar())
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
	case kindTrue, kindFalse:
		return r.scalar() == "true"
	case kindNull:
		r.scalar()
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
