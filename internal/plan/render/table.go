package render

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// lineWidth is how wide a list of names becomes, in columns of a terminal.
const lineWidth = 100

// Table writes a plan for a terminal: a line for each change, the riskiest first, and below it why it is there. Up to three
// people stand in the line; more stand once below the tenant, in a list that the lines refer to.
func Table(w io.Writer, p *plan.Plan, o Options) error {
	r := newReport(p, o)
	var out bytes.Buffer
	line(&out, "%s", r.headline)
	line(&out, "%s", r.compared().plain())
	for _, t := range r.tenants {
		for _, s := range t.sections {
			line(&out, "\n%s", phrase{name(t.Namespace), say(r.Colon + s.title)}.plain())
			r.table(&out, s)
		}
		if len(t.groups) > 0 {
			line(&out, "\n%s", phrase{name(t.Namespace), say(r.Colon + r.Groups)}.plain())
		}
		for _, g := range t.groups {
			r.list(&out, g)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func line(out *bytes.Buffer, format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }

// compared says which states were compared, and from when on.
func (r *report) compared() phrase {
	return joined([]phrase{
		{name(r.plan.Base), say(" → "), name(r.plan.Head)},
		{say(fmt.Sprintf(r.Since, r.plan.At))},
	}, r.Clause)
}

// table writes a section: its rows in columns, and the notes of each below it.
func (r *report) table(out *bytes.Buffer, s *section) {
	cells := make([][]string, len(s.rows))
	for i, row := range s.rows {
		cells[i] = make([]string, len(row.cells))
		for j, cell := range row.cells {
			cells[i][j] = cell.plain()
		}
	}
	var columns bytes.Buffer
	_ = terminal.WriteTable(&columns, s.header, cells) // into memory
	lines := slices.Collect(strings.Lines(columns.String()))
	out.WriteString(strings.ToUpper(lines[0]))
	for i, row := range s.rows {
		out.WriteString(lines[i+1])
		r.notes(out, row)
	}
}

func (r *report) notes(out *bytes.Buffer, row *row) {
	widest := 0
	for _, n := range row.notes {
		widest = max(widest, terminal.Columns(n.label))
	}
	for _, n := range row.notes {
		line(out, "     %s%s  %s", n.label, strings.Repeat(" ", widest-terminal.Columns(n.label)), n.text.plain())
	}
	if row.command != "" {
		line(out, "     $ %s", terminal.Printable(row.command))
	}
}

// list names everybody of a group, in lines that fit a terminal.
func (r *report) list(out *bytes.Buffer, g *group) {
	text := g.label + r.Clause + r.PeopleCount.of(len(g.people)) + r.Colon
	column := 0
	for i := -1; i < len(g.people); i++ {
		if i >= 0 {
			text = r.person(g.people[i].User, g.people[i].DisplayName).plain()
			if i < len(g.people)-1 {
				text += r.Comma
			}
		}
		if column+terminal.Columns(strings.TrimRight(text, " ")) > lineWidth {
			out.Truncate(len(bytes.TrimRight(out.Bytes(), " ")))
			out.WriteString("\n    ")
			column = 4
		}
		out.WriteString(text)
		column += terminal.Columns(text)
	}
	out.WriteString("\n")
}
