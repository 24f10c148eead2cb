package tidy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// untidy writes a document as nobody should: any order of keys, any style, any quotes, comments wherever one can stand.
type untidy struct {
	*rand.Rand
	comments bool
	written  int
}

func (u *untidy) one(n int) bool { return u.IntN(n) == 0 }

// remark is perhaps a comment line or an empty one above what follows.
func (u *untidy) remark(b *strings.Builder, indent int) {
	for u.comments && u.one(4) {
		if u.one(3) {
			b.WriteString("\n")
			continue
		}
		u.written++
		fmt.Fprintf(b, "%s# remark %d: \"it's\" [one] {of} many # of\n", strings.Repeat(" ", indent), u.written)
	}
}

func (u *untidy) tail() string {
	if !u.comments || !u.one(4) {
		return "\n"
	}
	u.written++
	return fmt.Sprintf("  # beside %d: '\n", u.written)
}

func (u *untidy) document(node *yaml.Node) string {
	var b strings.Builder
	u.block(&b, node, 0)
	u.remark(&b, 0)
	return b.String()
}

// block writes a map or list below its key.
func (u *untidy) block(b *strings.Builder, node *yaml.Node, indent int) {
	order := make([]int, 0, len(node.Content))
	width := 1
	if node.Kind == yaml.MappingNode {
		width = 2
	}
	for i := 0; i < len(node.Content); i += width {
		order = append(order, i)
	}
	if node.Kind == yaml.MappingNode {
		u.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	for n, i := range order {
		if n > 0 || indent == 0 {
			u.remark(b, indent)
		}
		if n > 0 || node.Kind == yaml.SequenceNode || indent == 0 || strings.HasSuffix(b.String(), "\n") {
			b.WriteString(strings.Repeat(" ", indent))
		}
		if node.Kind == yaml.MappingNode {
			b.WriteString(u.scalar(node.Content[i], inBlock) + ":")
			u.value(b, node.Content[i+1], indent)
			continue
		}
		b.WriteString("-")
		u.item(b, node.Content[i], indent)
	}
}

func (u *untidy) item(b *strings.Builder, node *yaml.Node, indent int) {
	if len(node.Content) == 0 || u.one(3) {
		b.WriteString(" " + u.flow(node, indent) + u.tail())
		return
	}
	spaces := 1 + u.IntN(3)
	b.WriteString(strings.Repeat(" ", spaces))
	u.block(b, node, indent+1+spaces)
}

func (u *untidy) value(b *strings.Builder, node *yaml.Node, indent int) {
	if len(node.Content) == 0 || u.one(3) {
		b.WriteString(" " + u.flow(node, indent) + u.tail())
		return
	}
	b.WriteString(u.tail())
	deeper := 1 + u.IntN(4)
	if node.Kind == yaml.SequenceNode && u.one(2) {
		deeper = 0
	}
	u.remark(b, indent+deeper)
	u.block(b, node, indent+deeper)
}

// flow writes a value in brackets, over one line or several.
func (u *untidy) flow(node *yaml.Node, indent int) string {
	if node.Kind == yaml.ScalarNode {
		return u.scalar(node, inFlowCollection)
	}
	lineBreak := ""
	if u.one(4) {
		lineBreak = "\n" + strings.Repeat(" ", indent+3)
	}
	width, brackets := 1, "[]"
	if node.Kind == yaml.MappingNode {
		width, brackets = 2, "{}"
	}
	var parts []string
	for i := 0; i < len(node.Content); i += width {
		part := u.flow(node.Content[i], indent+3)
		if width == 2 {
			part += ": " + u.flow(node.Content[i+1], indent+3)
		}
		parts = append(parts, part)
	}
	if width == 2 {
		u.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	}
	var b strings.Builder
	b.WriteString(brackets[:1])
	for i, part := range parts {
		if i > 0 {
			b.WriteString(", ")
		}
		if lineBreak != "" {
			end := u.tail()
			b.WriteString(strings.TrimSuffix(end, "\n") + lineBreak)
		}
		b.WriteString(part)
	}
	if lineBreak != "" {
		b.WriteString(lineBreak)
	}
	return b.String() + brackets[1:]
}

func (u *untidy) scalar(node *yaml.Node, in context) string {
	if node.Tag != "!!str" && node.Tag != "!!timestamp" || u.one(2) {
		return scalar(node, in)
	}
	if u.one(2) && !strings.ContainsAny(node.Value, "'\n") {
		return "'" + node.Value + "'"
	}
	return quoted(node.Value)
}

// However a manifest is written, its canonical form is the same, and no comment is lost.
func TestEveryFormOfAManifestComesToTheSame(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	documents := documentsOf(t)
	for range 1000 {
		body := documents[random.IntN(len(documents))]
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(body), &node); err != nil {
			t.Fatal(err)
		}
		root := node.Content[0]
		bare, _ := formatted(t, (&untidy{Rand: random}).document(root))
		if other, notes := formatted(t, (&untidy{Rand: random}).document(root)); other != bare || len(notes) > 0 {
			t.Fatalf("two forms of one manifest come to\n%s\nand\n%s\nnotes: %v", bare, other, notes)
		}
		u := &untidy{Rand: random, comments: true}
		in := u.document(root)
		out, notes := formatted(t, in)
		if len(notes) > 0 {
			t.Fatalf("%v, of\n%s", notes, in)
		}
		if got := len(commentsOf(out)); got != u.written {
			t.Fatalf("%d of %d comments are left of\n%s\nin\n%s", got, u.written, in, out)
		}
		if again, _ := formatted(t, out); again != out {
			t.Fatalf("comes to, the second time,\n%s\nand the first\n%s\nof\n%s", again, out, in)
		}
		if !same(kinds[kindOf(root)], body, withoutRemarks(out)+originalComments(body)) {
			t.Fatalf("another object comes out of\n%s\nnamely\n%s", body, out)
		}
	}
}

// withoutRemarks takes the comments that untidy made out again.
func withoutRemarks(s string) string {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(s), &node); err != nil {
		return err.Error()
	}
	strip(&node)
	out, err := yaml.Marshal(node.Content[0])
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func strip(node *yaml.Node) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	for _, child := range node.Content {
		strip(child)
	}
}

func originalComments(body string) string { return strings.Join(commentsOf(body), "\n") }

func TestEveryKindHasAShape(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		spec := shapeOf(shapeOf(kinds[kind]).key("spec"))
		if len(spec.fields) == 0 || !spec.opens() {
			t.Errorf("%s: fields %v", kind, spec.fields)
		}
		if kinds[kind].Kind() != reflect.Struct {
			t.Errorf("%s is a %v", kind, kinds[kind])
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, body := range documentsOf(f) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _, err := Format("fuzz.yaml", data)
		if err != nil {
			return
		}
		again, _, err := Format("fuzz.yaml", out)
		if err != nil || string(again) != string(out) {
			t.Errorf("%q comes to %q, and that to %q, %v", data, out, again, err)
		}
	})
}
