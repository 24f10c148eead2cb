package render_test

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	xhtml "golang.org/x/net/html"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	. "github.com/crmaccess/crm-access-operator/internal/plan/render"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// hostile are texts that try to be something else than a text.
var hostile = []string{
	"<script>alert(1)</script>", "</code></td></table><h1>owned</h1>", "<img src=x onerror=alert(1)>", "<!-- a comment", "--> no comment", "]]>",
	"</style><style>*{display:none}", "</title><base href=//evil.example>", `" onmouseover="alert(1)`, "' autofocus onfocus='alert(1)", "javascript:alert(1)", "{{.Plan}}",
	"a | b", `a \| b`, `a \\| b`, `ends with \`, "a ` b", "``` \n# heading", "`", "|", `\`, " padded ", "\n\n# heading\n", "\r\n| a | b |\r\n|---|---|",
	"@everybody", "see #1, !2, $3, ~4, %5 and org/repo#6", "ann@evil.example", "https://evil.example/?a=b", "www.evil.example", "[link](https://evil.example)",
	"![image](https://evil.example/x.png)", "**bold** _em_ ~~gone~~", "[^1]: note", "$`x`$", "- [ ] task", "> quote", "&lt;b&gt; &#60;b&#62; &copy;", ":tada:",
	"\x1b[2J\x1b]0;title\x07", "\u202egnp.exe\u202c", "zero\u200bwidth\u2060\ufeff", "\u2066isolate", "nul\x00byte", "broken\xff\xfe", "\u0085next\u2028line\u2029", "李婷\u3164", "",
	Marker, "</details>", "<details open>", "$(reboot)", "'; reboot; '", strings.Repeat("long ", 200),
}

// with replaces every text of a plan that is not one of the plan's own words.
func with(text string) *plan.Plan {
	p := everything()
	replaceTexts(reflect.ValueOf(p).Elem(), text)
	return p
}

func replaceTexts(v reflect.Value, text string) {
	switch v.Type() {
	case reflect.TypeFor[plan.Sign](), reflect.TypeFor[plan.Verb](), reflect.TypeFor[access.Operator]():
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			replaceTexts(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if v.Type().Elem().Kind() != reflect.Uint8 {
				replaceTexts(v.Index(i), text)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			replaceTexts(v.Field(i), text)
		}
	}
}

func TestANameObeyedByATerminalIsShownInstead(t *testing.T) {
	for _, text := range hostile {
		for _, lang := range []Lang{English, Chinese} {
			out := string(told(t, Table, with(text), lang))
			if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !terminal.Shows(r) }); i >= 0 {
				t.Errorf("%q: at %d stands what a terminal does not show: %q", text, i, out[i:min(len(out), i+20)])
			}
			harmless := strings.Repeat("a", terminal.Columns(terminal.Printable(text)))
			if lines, want := strings.Count(out, "\n"), strings.Count(string(told(t, Table, with(harmless), lang)), "\n"); lines != want {
				t.Errorf("%q: %d lines, want %d", text, lines, want)
			}
		}
	}
}

// asHosts reads Markdown as GitHub does: tables, links of bare addresses, HTML as it stands.
var asHosts = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(html.WithUnsafe()))

func page(t *testing.T, comment []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := asHosts.Convert(comment, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// skeleton is a page's elements and attributes without its texts; spans, which only part texts, are left out.
func skeleton(t *testing.T, page string) (elements []string) {
	t.Helper()
	z := xhtml.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			return elements
		case xhtml.TextToken:
		default:
			if token := z.Token(); token.Data != "span" || len(token.Attr) > 0 {
				elements = append(elements, token.String())
			}
		}
	}
}

func TestANameInACommentIsNothingButText(t *testing.T) {
	want := skeleton(t, page(t, told(t, Markdown, with("ann"), English)))
	for _, text := range hostile {
		if text == "" {
			continue // an absent text has no element
		}
		comment := told(t, Markdown, with(text), English)
		if n := bytes.Count(comment, []byte(Marker)); n != 1 && text != Marker {
			t.Errorf("%q: the marker stands there %d times", text, n)
		}
		told := page(t, comment)
		got := skeleton(t, told)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%q: element %d is %s, want %s:\n%s", text, i, got[i], want[i], strings.Join(got[max(0, i-5):i+1], ""))
			}
		}
		if len(got) != len(want) {
			t.Errorf("%q: %d elements, want %d", text, len(got), len(want))
		}
		if n := strings.Count(textOf(t, told, "code"), shownIn(text)); n < 100 {
			t.Errorf("%q stands there %d times", text, n)
		}
	}
}

// shownIn is how much of a text a comment shows.
func shownIn(text string) string {
	text = terminal.Printable(text)
	return strings.TrimSpace(text[:min(len(text), 190)])
}

// textOf is all text within an element, which is what hosts look for no mentions in.
func textOf(t *testing.T, page, element string) string {
	t.Helper()
	var b strings.Builder
	depth := 0
	z := xhtml.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			return b.String()
		}
		token := z.Token()
		switch {
		case kind == xhtml.StartTagToken && token.Data == element:
			depth++
		case kind == xhtml.EndTagToken && token.Data == element:
			depth--
			b.WriteByte('\n')
		case kind == xhtml.TextToken && depth > 0:
			b.WriteString(token.Data)
		case kind == xhtml.TextToken && strings.ContainsAny(token.Data, "@#!$%`"):
			t.Errorf("%q stands outside of %s", token.Data, element)
		}
	}
}

// commands are the blocks that people copy from.
var commands = regexp.MustCompile(`(?s)<pre>.*?</pre>`)

func TestMentionsAndAddressesInCodeArePartedEvenThere(t *testing.T) {
	for _, text := range []string{`a|@everybody`, `\ann@evil.example`} {
		got := commands.ReplaceAllString(page(t, told(t, Markdown, with(text), English)), "")
		if strings.Contains(got, "mailto") || strings.Contains(strings.ReplaceAll(got, "<span>@</span>", ""), "@") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestACommandThatIsCopiedRunsNothingElse(t *testing.T) {
	p := everything()
	p.Tenants[0].Approvals[0].User = "ann'; reboot #"
	p.Tenants[0].Approvals[0].Ref.Name = "$(reboot)"
	want := `kubectl crmaccess approve 'temporarygrant/$(reboot)' -n huayue --user 'ann'\''; reboot #' --effect sha256:`
	for ending, f := range map[string]form{"txt": Table, "md": Markdown} {
		if out := string(told(t, f, p, English)); !strings.Contains(out, want) {
			t.Errorf("%s: %s is not there:\n%s", ending, want, out)
		}
	}
}

// numbered are n changes of falling risk, each about people of its own.
func numbered(changes, people int) *plan.Plan {
	p := everything()
	one := p.Tenants[0].Changes[1]
	p.Tenants[0].Changes = nil
	for i := range changes {
		c := *one
		c.Object = fmt.Sprintf("object-%d", i+1)
		c.Risk.Severity = plan.Severity(3 - 4*i/changes)
		c.People = crowd(people+i%3, one.People[0].Paths...)
		p.Tenants[0].Changes = append(p.Tenants[0].Changes, &c)
	}
	return p
}

func TestACommentFitsAndSaysWhatItLeavesOut(t *testing.T) {
	for _, size := range []struct{ changes, people int }{{1, 4000}, {10, 2000}, {200, 400}, {3000, 1}} {
		for _, lang := range []Lang{English, Chinese} {
			p := numbered(size.changes, size.people)
			comment := string(told(t, Markdown, p, lang))
			if len(comment) > 65536 {
				t.Errorf("%+v: %d bytes", size, len(comment))
			}
			if !strings.Contains(comment, "`-o html`") || !strings.HasPrefix(comment, Marker+"\n") {
				t.Errorf("%+v: it does not say what is left out, or where it is:\n%.300s", size, comment)
			}
			if !strings.Contains(comment, "object-1") {
				t.Errorf("%+v: the riskiest change is not there", size)
			}
			told := strings.Count(comment, "\n| **")
			if want := fmt.Sprintf("%d changes of access (", size.changes-told); lang == English && told < size.changes && !strings.Contains(comment, want) {
				t.Errorf("%+v: %d changes are told, and it does not say %q: %.700s", size, told, want, comment)
			}
		}
	}
	many := numbered(1, 1)
	for i := range 3000 {
		tenant := *many.Tenants[0]
		tenant.Namespace = fmt.Sprintf("tenant-%d", i)
		many.Tenants = append(many.Tenants, &tenant)
	}
	if comment := told(t, Markdown, many, English); len(comment) > 65536 || !bytes.Contains(comment, []byte("2981 tenants")) {
		t.Errorf("%d bytes: %.600s", len(comment), comment)
	}
}

func TestACommentWithRoomLeavesNothingOut(t *testing.T) {
	comment := string(told(t, Markdown, everything(), English))
	if strings.Contains(comment, "Cut to") {
		t.Errorf("something is left out:\n%s", comment)
	}
	for _, person := range crowd(12) {
		if !strings.Contains(comment, "`"+person.User+"`") {
			t.Errorf("%s is not named", person.User)
		}
	}
}

func TestWhereAllOfItIsCanBeSaid(t *testing.T) {
	var out bytes.Buffer
	if err := Markdown(&out, numbered(200, 400), Options{Whole: "https://ci.example/run/7?a=|"}); err != nil || !strings.Contains(out.String(), "All of it: <code>https&#58;") {
		t.Errorf("%v: %.600s", err, out.String())
	}
}
