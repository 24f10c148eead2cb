package tidy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Removal is an object that leaves the files.
type Removal struct {
	Ref    access.Ref
	Source manifest.Source
	// Ended is when a temporary grant ended; of an approval, when what it approved did.
	Ended schedule.Instant
}

// Pruning is what is taken out of files, and how they read afterwards.
type Pruning struct {
	Removed []Removal
	// Kept say what could go and does not, and why.
	Kept []manifest.Note
	// Files are the files that change, with their new content; nil is a file that goes.
	Files map[string][]byte
}

// Prune takes the temporary grants that ended before an instant out of the files that they stand in, with the approvals
// of what they gave. A grant that a revocation names stays: the revocation outlives it, and must not be about nothing.
//
// Comments directly above a document, or in it, belong to it. Above the first of a file, only what an empty line divides
// from what heads the file does; where nothing divides them, the comment stays.
func Prune(trees []*manifest.Tree, before schedule.Instant, read func(string) ([]byte, error)) (*Pruning, error) {
	p := &Pruning{Files: make(map[string][]byte)}
	byFile := make(map[string][]Removal)
	for _, tree := range trees {
		for _, namespace := range slices.Sorted(maps.Keys(tree.Tenants)) {
			for _, removal := range p.ended(tree.Tenants[namespace], before) {
				byFile[removal.Source.File] = append(byFile[removal.Source.File], removal)
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		data, err := read(file)
		if err != nil {
			return nil, err
		}
		if err := p.file(file, data, byFile[file]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.Kept, func(a, b manifest.Note) int {
		return cmp.Or(cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line))
	})
	return p, nil
}

func (p *Pruning) keep(at manifest.Source, format string, args ...any) {
	p.Kept = append(p.Kept, manifest.Note{Source: at, Message: fmt.Sprintf(format, args...)})
}

// ended are the objects of a tenant that may go.
func (p *Pruning) ended(tenant *manifest.Tenant, before schedule.Instant) []Removal {
	revoked := make(map[access.Ref]string)
	for _, r := range tenant.Declarations.Revocations {
		revoked[r.Target] = r.Name
	}
	var out []Removal
	gone := make(map[access.Ref]schedule.Instant)
	for _, grant := range tenant.Declarations.TemporaryGrants {
		ref := access.Ref{Kind: access.KindTemporaryGrant, Name: grant.Name}
		switch by, ok := revoked[ref]; {
		case grant.Window.NotAfter >= before:
		case ok:
			p.keep(tenant.Sources[ref], "%s ended at %s and stays: Revocation/%s names it", ref, grant.Window.NotAfter, by)
		default:
			gone[ref] = grant.Window.NotAfter
			out = append(out, Removal{Ref: ref, Source: tenant.Sources[ref], Ended: grant.Window.NotAfter})
		}
	}
	for _, approval := range tenant.Declarations.Approvals {
		if ended, ok := gone[approval.For]; ok {
			ref := access.Ref{Kind: access.KindApproval, Name: approval.Name}
			out = append(out, Removal{Ref: ref, Source: tenant.Sources[ref], Ended: ended})
		}
	}
	return out
}

// file cuts objects out of one file.
func (p *Pruning) file(file string, data []byte, removals []Removal) error {
	t := readText(data)
	atLine := make(map[int]access.Ref, len(removals))
	for _, r := range removals {
		atLine[r.Source.Line] = r.Ref
	}
	cut := make([]bool, len(t.chunks))
	found := 0
	for i, c := range t.chunks {
		n, whole, err := c.cut(atLine)
		if err != nil {
			removals = p.spare(c, removals, err)
		}
		cut[i] = whole
		found += n
	}
	if found != len(removals) {
		return fmt.Errorf("%s has changed since it was read: nothing is removed, run this again", file)
	}
	if len(removals) == 0 {
		return nil
	}
	p.Removed = append(p.Removed, removals...)
	if t.withoutDocuments(cut) {
		p.Files[file] = nil
		return nil
	}
	p.Files[file] = t.bytes()
	return nil
}

// spare takes the removals out of the list that stand in a document which cannot be edited.
func (p *Pruning) spare(c *chunk, removals []Removal, why error) []Removal {
	return slices.DeleteFunc(slices.Clone(removals), func(r Removal) bool {
		inside := r.Source.Line >= c.first && r.Source.Line < c.first+max(1, strings.Count(c.body, "\n"))
		if inside {
			p.keep(r.Source, "%s ended at %s and stays: %v", r.Ref, r.Ended, why)
		}
		return inside
	})
}

var errInOneLine = errors.New("it stands in a list in {} or [], take it out by hand")

// cut takes the objects at the lines out of the document, and says how many, and whether that is the whole document, which
// is then for the caller to take out.
func (c *chunk) cut(atLine map[int]access.Ref) (n int, whole bool, err error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(c.body), &node); err != nil || len(node.Content) == 0 {
		return 0, false, nil //nolint:nilerr // the tree has loaded: what cannot be read here is no manifest
	}
	root := node.Content[0]
	if c.isAt(root, atLine) {
		return 1, true, nil
	}
	items := valueOf(root, "items")
	if items == nil || items.Kind != yaml.SequenceNode {
		return 0, false, nil
	}
	var gone []int
	for i, item := range items.Content {
		if c.isAt(item, atLine) {
			gone = append(gone, i)
		}
	}
	if len(gone) == 0 || len(gone) == len(items.Content) {
		return len(gone), len(gone) > 0, nil
	}
	if err := c.cutItems(root, gone); err != nil {
		return 0, false, err
	}
	return len(gone), false, nil
}

// isAt says whether a node is the object that was read at its line.
func (c *chunk) isAt(node *yaml.Node, atLine map[int]access.Ref) bool {
	name := valueOf(valueOf(node, "metadata"), "name")
	ref, ok := atLine[c.first+node.Line-1]
	return ok && name != nil && ref == access.Ref{Kind: access.Kind(kindOf(node)), Name: name.Value}
}

// cutItems takes items out of a list by their lines.
func (c *chunk) cutItems(root *yaml.Node, gone []int) error {
	if flow(root) || flow(valueOf(root, "items")) {
		return errInOneLine
	}
	d, err := readDocument(c.body, root)
	if err != nil {
		return err
	}
	var list *entry
	for _, e := range d.root.children {
		if e.key.Value == "items" {
			list = e
		}
	}
	lines := strings.SplitAfter(c.body, "\n")
	var kept strings.Builder
	next := 0 // the first line that is not decided about
	for _, i := range gone {
		first, end := d.linesOf(list.children[i])
		kept.WriteString(strings.Join(lines[next:first], ""))
		next = end
	}
	kept.WriteString(strings.Join(lines[next:], ""))
	c.body = kept.String()
	return nil
}

// linesOf are the lines of a list item with the comments directly above it, as indexes [first, end).
func (d *document) linesOf(item *entry) (first, end int) {
	first, end = d.commentsAbove(item), len(d.scanner.lines)
	for _, e := range d.block {
		if item.at.before(e.at) && !e.within(item) {
			end = d.commentsAbove(e)
			break
		}
	}
	return first, end
}

func (e *entry) within(other *entry) bool {
	for ; e != nil; e = e.parent {
		if e == other {
			return true
		}
	}
	return false
}

// commentsAbove is the index of the first of the comment lines that stand directly above an entry, or of its own line. A
// comment that is indented more belongs to what is above.
func (d *document) commentsAbove(e *entry) int {
	line := e.at.line - 1
	for line > 0 {
		text := string(d.scanner.lines[line-1])
		comment := strings.TrimLeft(text, " ")
		if !strings.HasPrefix(comment, "#") || len(text)-len(comment) >= e.at.column {
			break
		}
		line--
	}
	return line
}

// withoutDocuments takes documents out with the separators above them, and says whether nothing is left.
func (t *text) withoutDocuments(cut []bool) bool {
	left := false
	for i, c := range t.chunks {
		left = left || !cut[i] && !c.empty()
	}
	first := 0
	if t.chunks[0].empty() && len(cut) > 1 {
		first = 1
	}
	var start string
	if cut[first] {
		divided, undivided := t.chunks[first].heading()
		if divided == "" && left {
			divided = undivided
		}
		left = left || divided != ""
		start = t.chunks[first].separator + divided
	}
	var kept []*chunk
	for i, c := range t.chunks {
		if cut[i] {
			continue
		}
		if cut[first] && i > first && start != "" || cut[0] && len(kept) == 0 {
			c.startWith(start)
			start = ""
		}
		kept = append(kept, c)
	}
	if start != "" {
		kept = append(kept, &chunk{separator: start})
	}
	t.chunks = kept
	return !left
}

// startWith puts what heads the file above a document in place of its separator, unless that says something itself.
func (c *chunk) startWith(start string) {
	if c.separatorComment() == "" {
		c.separator = start
		return
	}
	c.separator = start + c.separator
}

// heading is what heads the file above its first document: the comments down to the last empty line. Where no empty line
// divides them, they are one, and may be about either.
func (c *chunk) heading() (divided, undivided string) {
	end, last := 0, 0
	for line := range strings.SplitAfterSeq(c.body, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			break
		}
		end += len(line)
		if trimmed == "" {
			last = end
		}
	}
	if strings.TrimSpace(c.body[:last]) == "" {
		return "", c.body[:end]
	}
	return c.body[:last], ""
}
