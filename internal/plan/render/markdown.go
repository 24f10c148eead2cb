package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

const (
	// Marker is the first line of a comment. Nobody sees it; a bot finds its own comment by it, and writes it anew.
	Marker = "<!-- kubectl-crmaccess-plan -->"
	// commentBytes is how long a comment may be: GitHub takes 65,536 characters, and others more.
	commentBytes = 65536
	// longestName is how much a comment shows of one name.
	longestName = 200
)

// cut says how much of a plan a comment tells: of how many tenants, how many rows of each section, how many of those with
// their ways, and how many names of each list of people.
type cut struct{ tenants, rows, ways, names int }

const all = 1 << 30

// cuts are tried in this order until the comment is short enough. What a reviewer can do without goes first.
var cuts = []cut{
	{all, all, all, all}, {all, all, all, 200}, {all, all, 200, 50}, {all, all, 50, 0}, {all, all, 0, 0},
	{all, 500, 0, 0}, {all, 250, 0, 0}, {all, 120, 0, 0}, {50, 60, 0, 0}, {20, 60, 0, 0}, {20, 30, 0, 0}, {10, 15, 0, 0}, {10, 5, 0, 0}, {5, 1, 0, 0}, {},
}

// Markdown writes a plan as the comment of a pull request. Where a host has no room for all of it, it says what it leaves out,
// and where that is.
func Markdown(w io.Writer, p *plan.Plan, o Options) error {
	r := newReport(p, o)
	var text string
	for _, cut := range cuts {
		c := &comment{report: r, cut: cut}
		if text = c.write(o.Whole); len(text) <= commentBytes {
			break
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

// comment is one under way.
type comment struct {
	*report
	cut  cut
	out  strings.Builder
	left leftOut
}

// leftOut counts what a comment does not tell.
type leftOut struct {
	tenants, ways, names int
	rows                 map[sectionKind]int
	severities           [plan.Critical + 1]int
}

func (c *comment) write(whole string) string {
	c.left.rows = make(map[sectionKind]int)
	for i, t := range c.tenants {
		if c.isFull() {
			break // the next cut takes more away
		}
		if i < c.cut.tenants {
			c.tenant(t)
			continue
		}
		c.left.tenants++
		for _, s := range t.sections {
			c.leave(s, s.rows)
		}
	}
	head := Marker + "\n## " + capitalised(c.headline) + "\n\n" + c.compared().markdown() + "\n"
	if notice := c.left.notice(c.words); notice != "" {
		head += "\n> **" + c.CutShort + "** " + notice + "\n>\n> " + c.whole(whole) + "\n"
	}
	return head + c.out.String()
}

// whole says where all of the plan is.
func (c *comment) whole(place string) string {
	if place == "" {
		return fmt.Sprintf(c.WholeByCommand, code("-o html"))
	}
	return fmt.Sprintf(c.WholeAt, code(place))
}

// isFull says that the comment is too long already, and need not be finished.
func (c *comment) isFull() bool { return c.out.Len() > commentBytes }

func (c *comment) line(format string, args ...any) { fmt.Fprintf(&c.out, format+"\n", args...) }

func (c *comment) tenant(t *tenant) {
	c.line("\n### %s", code(t.Namespace))
	for _, s := range t.sections {
		rows := s.rows[:min(len(s.rows), c.cut.rows)]
		c.leave(s, s.rows[len(rows):])
		if len(rows) == 0 {
			continue
		}
		c.line("\n**%s**\n", capitalised(s.title))
		if s.kind == approvals {
			c.approvals(s, rows)
			continue
		}
		c.table(s, rows)
		c.ways(rows)
	}
	c.groups(t.groups)
}

func (c *comment) leave(s *section, rows []*row) {
	c.left.rows[s.kind] += len(rows)
	for _, r := range rows {
		if s.kind == changes {
			c.left.severities[min(r.risk.Severity, plan.Critical)]++
		}
	}
}

// table writes rows with their causes. The rules of risk stand beside the risk.
func (c *comment) table(s *section, rows []*row) {
	header, causes := c.header(s), slices.ContainsFunc(rows, func(r *row) bool { return len(r.about(c.Because)) > 0 })
	if causes {
		header = append(header, capitalised(c.Because))
	}
	c.line("| %s |", strings.Join(header, " | "))
	c.line("|%s", strings.Repeat("---|", len(header)))
	risk := slices.Index(s.header, c.Risk)
	for _, r := range rows {
		if c.isFull() {
			return
		}
		cells := make([]string, len(r.cells))
		for i, cell := range r.cells {
			cells[i] = cell.markdown()
		}
		if risk >= 0 && len(r.risk.Rules) > 0 {
			cells[risk] += c.Colon + c.names(r.risk.Rules).markdown()
		}
		if s.kind == changes {
			cells = ofChange(r, cells, c.words)
		}
		if causes {
			cells = append(cells, c.because(r))
		}
		c.line("| %s |", strings.Join(cells, " | "))
	}
}

// header is a section's: a change has its number and direction, and its times, in one column each.
func (c *comment) header(s *section) []string {
	header := s.header
	if s.kind == changes {
		header = []string{c.Number, c.Risk, c.Who, c.May, c.Records, c.When}
	}
	return each(header, capitalised)
}

func ofChange(r *row, cells []string, w *words) []string {
	when := cells[atFrom] + " – " + cells[atUntil]
	for _, was := range r.about(w.Was) {
		when += w.Semicolon + w.Was + " " + was.markdown()
	}
	return []string{"**" + cells[atNumber] + "** " + cells[atSign], cells[atRisk], cells[atWho], cells[atMay], cells[atRecords], when}
}

// because is the first cause, and how many there are beside it.
func (c *comment) because(r *row) string {
	causes := r.about(c.Because)
	if len(causes) == 0 {
		return "–"
	}
	text := causes[0].markdown()
	if more := len(causes) - 1; more > 0 {
		text += c.Clause + c.MoreNames.of(more)
	}
	return text
}

// about are the texts of the notes with a label.
func (r *row) about(label string) (texts []phrase) {
	for _, n := range r.notes {
		if n.label == label {
			texts = append(texts, n.text)
		}
	}
	return texts
}

// ways are the notes of the rows, folded.
func (c *comment) ways(rows []*row) {
	told := rows[:min(len(rows), c.cut.ways)]
	for _, r := range rows[len(told):] {
		c.left.ways += min(len(r.notes), 1)
	}
	if !slices.ContainsFunc(told, func(r *row) bool { return len(r.notes) > 0 }) {
		return
	}
	c.fold(capitalised(c.Ways))
	for _, r := range told {
		if len(r.notes) == 0 || c.isFull() {
			continue
		}
		c.line("- **%s**", r.title.markdown())
		for _, n := range r.notes {
			c.line("  - %s%s%s", n.label, c.Colon, n.text.markdown())
		}
	}
	c.line("\n</details>")
}

func (c *comment) fold(summary string) {
	c.line("\n<details><summary>%s</summary>\n", summary)
}

// approvals are told with the digest that an approver compares, and with what he types.
func (c *comment) approvals(s *section, rows []*row) {
	for _, r := range rows {
		cells := make([]string, 0, len(r.cells))
		for i, cell := range r.cells {
			text := cell.markdown()
			if i > 0 {
				text = s.header[i] + c.Colon + text
			}
			cells = append(cells, text)
		}
		c.line("- %s", strings.Join(cells, c.Semicolon))
		for _, n := range r.notes {
			c.line("  - %s%s%s", n.label, c.Colon, n.text.markdown())
		}
		c.line("\n  ```sh\n  %s\n  ```", terminal.Printable(r.command))
	}
}

// groups names everybody of the lists that rows refer to.
func (c *comment) groups(groups []*group) {
	for _, g := range groups {
		shown := g.people[:min(len(g.people), c.cut.names)]
		c.left.names += len(g.people) - len(shown)
		if len(shown) == 0 || c.isFull() {
			continue
		}
		c.fold(g.label + c.Clause + c.PeopleCount.of(len(g.people)))
		named := each(shown, func(p plan.Person) string { return c.person(p.User, p.DisplayName).markdown() })
		if more := len(g.people) - len(shown); more > 0 {
			named = append(named, c.MoreNames.of(more))
		}
		c.line("%s\n\n</details>", strings.Join(named, c.Comma))
	}
}

// notice says what is left out; nothing, where nothing is.
func (l *leftOut) notice(w *words) string {
	var parts []string
	for _, part := range []tallied{
		{l.tenants, w.LeftTenants}, {l.rows[changes], w.LeftChanges}, {l.rows[rules], w.LeftRules}, {l.rows[approvals], w.LeftApprovals},
		{l.rows[accounts], w.LeftAccounts}, {l.rows[upcoming], w.LeftUpcoming}, {l.rows[findings], w.LeftFindings}, {l.ways, w.LeftWays}, {l.names, w.LeftNames},
	} {
		if part.number == 0 {
			continue
		}
		text := part.words.of(part.number)
		if part.words == w.LeftChanges {
			text += w.Open + l.risks(w) + w.Close
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, w.Semicolon)
}

// risks counts the changes left out, severity by severity.
func (l *leftOut) risks(w *words) string {
	var parts []string
	for s := plan.Critical; ; s-- {
		if n := l.severities[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.severity(s)))
		}
		if s == plan.Low {
			return strings.Join(parts, w.Comma)
		}
	}
}

func capitalised(s string) string {
	for i, r := range s {
		return string(unicode.ToUpper(r)) + s[i+len(string(r)):]
	}
	return s
}

// markdown is the phrase for a cell of a table. All that is not ours stands as code: no host looks for links, mentions or
// numbers of issues in it.
func (p phrase) markdown() string {
	var b strings.Builder
	for _, piece := range p {
		if piece.voice == ours {
			b.WriteString(piece.text)
		} else {
			b.WriteString(code(piece.text))
		}
	}
	return b.String()
}

// code is a text as code. Between backticks nothing is read but backticks and, in a table, bars and the backslashes before
// them; a text with one of these becomes an element whose characters are all written by number.
func code(s string) string {
	s = clipped(terminal.Printable(s))
	if s != "" && strings.TrimSpace(s) == s && !strings.ContainsAny(s, "`|\\") {
		return "`" + s + "`"
	}
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range s {
		switch {
		case r == '@': // alone in its element it begins no mention and is in no address
			b.WriteString("<span>&#64;</span>")
		case r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ' ':
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("</code>")
	return b.String()
}

// clipped is the beginning of a text that is too long for a comment, and says so.
func clipped(s string) string {
	runes := []rune(s)
	if len(runes) <= longestName {
		return s
	}
	return string(runes[:longestName]) + "…"
}
