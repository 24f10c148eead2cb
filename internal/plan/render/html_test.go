package render_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	xhtml "golang.org/x/net/html"

	. "github.com/crmaccess/crm-access-operator/internal/plan/render"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// nodes are the elements of a page in its order.
func nodes(t *testing.T, page []byte) (all []*xhtml.Node) {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(string(page)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == xhtml.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *xhtml.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *xhtml.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == xhtml.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func TestANameInAPageIsNothingButText(t *testing.T) {
	withoutName := func(elements []string) []string {
		for i, e := range elements {
			if strings.HasPrefix(e, "<svg") || strings.HasPrefix(e, "<rect") {
				elements[i] = e[:4] // only what we drew
			}
		}
		return elements
	}
	want := withoutName(skeleton(t, string(told(t, HTML, with("ann"), English))))
	for _, text := range hostile {
		if text == "" {
			continue
		}
		page := string(told(t, HTML, with(text), English))
		if got := withoutName(skeleton(t, page)); !slices.Equal(got, want) {
			t.Errorf("%q changes the elements of the page", text)
		}
		if i := strings.IndexFunc(page, func(r rune) bool { return r != '\n' && !terminal.Shows(r) }); i >= 0 {
			t.Errorf("%q: at %d stands what nobody sees: %q", text, i, page[i:i+10])
		}
	}
}

func TestAPageNeedsNothingButItself(t *testing.T) {
	for _, page := range [][]byte{told(t, HTML, everything(), English), told(t, HTML, with("https://evil.example/x.js"), Chinese)} {
		for _, n := range nodes(t, page) {
			if slices.Contains([]string{"script", "link", "img", "iframe", "object", "form", "base", "video"}, n.Data) {
				t.Errorf("there is an element %s", n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
				}
			}
		}
		if style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(page); regexp.MustCompile(`url\(|@import|expression`).Match(style[1]) {
			t.Error("the style asks for something from elsewhere")
		}
	}
}

func TestThePolicyOfAPageAllowsItsOwnStyleAlone(t *testing.T) {
	all := nodes(t, told(t, HTML, everything(), English))
	i := slices.IndexFunc(all, func(n *xhtml.Node) bool { return attribute(n, "http-equiv") == "Content-Security-Policy" })
	j := slices.IndexFunc(all, func(n *xhtml.Node) bool { return n.Data == "style" })
	digest := sha256.Sum256([]byte(text(all[j])))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; form-action 'none'"
	if got := attribute(all[i], "content"); i > j || got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
}

func TestAPageCanBeReadWithoutEyes(t *testing.T) {
	for lang, tag := range map[Lang]string{English: "en", Chinese: "zh-CN"} {
		ids, last, count := map[string]int{}, 0, map[string]int{}
		var links []string
		for _, n := range nodes(t, told(t, HTML, everything(), lang)) {
			count[n.Data]++
			if id := attribute(n, "id"); id != "" {
				ids[id]++
			}
			if href := attribute(n, "href"); href != "" {
				links = append(links, href[1:])
			}
			if label := attribute(n, "aria-labelledby"); label != "" {
				links = append(links, label)
			}
			switch n.Data {
			case "html":
				if got := attribute(n, "lang"); got != tag {
					t.Errorf("the page is in %q, want %q", got, tag)
				}
			case "h1", "h2", "h3", "h4":
				level := int(n.Data[1] - '0')
				if level > last+1 {
					t.Errorf("heading %q is of level %d below %d", text(n), level, last)
				}
				last = level
			case "th":
				if attribute(n, "scope") == "" {
					t.Errorf("header %q has no scope", text(n))
				}
			case "svg":
				if attribute(n, "role") != "img" || attribute(n, "aria-label") == "" {
					t.Error("a drawing has no text")
				}
			}
		}
		if count["main"] != 1 || count["header"] != 1 || count["nav"] != 1 || count["h1"] != 1 || count["svg"] == 0 || count["table"] != 2 {
			t.Errorf("%s: %v", lang, count)
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%d elements are called %s", n, id)
			}
		}
		for _, link := range links {
			if ids[link] == 0 {
				t.Errorf("a link leads to %s, which is not there", link)
			}
		}
	}
}

func TestAPageSaysNothingInAnotherLanguage(t *testing.T) {
	all := nodes(t, told(t, HTML, everything(), Chinese))
	for _, n := range all {
		if slices.Contains([]string{"code", "bdi", "style", "head", "html", "body"}, n.Data) {
			continue
		}
		for c := range n.ChildNodes() {
			if c.Type == xhtml.TextNode {
				inChinese(t, c.Data)
			}
		}
		inChinese(t, attribute(n, "aria-label"))
	}
}

var marks = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\bG\d+\b`)

// inChinese complains of letters that are not: but of instants, and of labels of lists.
func inChinese(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(marks.ReplaceAllString(text, ""), func(r rune) bool { return r < 0x80 && unicode.IsLetter(r) }) {
		t.Errorf("%q is no Chinese", text)
	}
}

func TestACommentSaysNothingInAnotherLanguage(t *testing.T) {
	for _, p := range []int{1, 200} {
		comment := string(told(t, Markdown, numbered(p, 400), Chinese))
		comment = strings.TrimPrefix(comment, Marker)
		comment = regexp.MustCompile("(?s)```sh.*?```|`[^`]*`|<[^>]*>").ReplaceAllString(comment, "")
		inChinese(t, comment)
	}
}

func TestTwoHundredChangesForFourHundredPeopleStaySmall(t *testing.T) {
	page := told(t, HTML, numbered(200, 400), English)
	t.Logf("the page has %d KiB", len(page)/1024)
	if len(page) > 1<<20 {
		t.Errorf("%d bytes", len(page))
	}
}

// A browser opens the fold that a place lies in, and not one that is the place itself.
func TestALinkLeadsIntoAFoldAndNotToAClosedOne(t *testing.T) {
	all := nodes(t, told(t, HTML, everything(), English))
	folds := make(map[string]bool)
	for _, n := range all {
		if id := attribute(n, "id"); n.Data == "details" && id != "" {
			folds["#"+id] = true
		}
	}
	for _, n := range all {
		if href := attribute(n, "href"); folds[href] {
			t.Errorf("%q leads to the closed fold %s", text(n), href)
		}
	}
}

func TestACellOfAMatrixSaysTheSameOnce(t *testing.T) {
	for _, n := range nodes(t, told(t, HTML, everything(), English)) {
		if n.Data != "td" {
			continue
		}
		said := make(map[string]bool)
		for link := range n.ChildNodes() {
			if key := attribute(link, "href") + text(link); said[key] {
				t.Errorf("twice %q", key)
			} else {
				said[key] = true
			}
		}
	}
}
