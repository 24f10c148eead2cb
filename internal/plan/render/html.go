package render

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"phrase": phrase.html}).Parse(pageText))

// HTML writes a plan as one page that needs nothing but itself: no script, no image, nothing from elsewhere, and a policy that
// forbids the browser all but its own style.
func HTML(w io.Writer, p *plan.Plan, o Options) error {
	if err := pageTemplate.Execute(w, newPage(newReport(p, o))); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// policy allows a style by its digest and nothing else.
func policy(style string) string {
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; form-action 'none'"
}

// html is the phrase with what is not ours apart: names as code, and each with a direction of writing of its own.
func (p phrase) html() template.HTML {
	var b strings.Builder
	for _, piece := range p {
		text := template.HTMLEscapeString(terminal.Printable(piece.text))
		switch piece.voice {
		case named:
			b.WriteString("<code>" + text + "</code>")
		case quoted:
			b.WriteString("<bdi>" + text + "</bdi>")
		case engine:
			b.WriteString(`<bdi lang="en">` + text + "</bdi>")
		case ours:
			b.WriteString(text)
		}
	}
	return template.HTML(b.String()) //nolint:gosec // each piece is escaped above
}

type page struct {
	*words
	Policy   string
	Style    template.CSS
	Headline string
	Compared phrase
	Risks    []pageRisk
	Tenants  []*pageTenant
}

type pageRisk struct {
	Class, Text string
	Number      int
}

type pageTenant struct {
	ID       string
	Name     phrase
	Contents []pageLink
	Lists    []*pageList
	Matrices []*pageMatrix
	Timeline *pageTimeline
	People   *pagePeople
}

// pageLink leads to a place in the page.
type pageLink struct {
	ID, Title string
	Number    int
	Text      phrase
}

// pageList is a section.
type pageList struct {
	ID, Title string
	Kind      sectionKind
	Header    []string
	Rows      []*pageRow
}

type pageRow struct {
	*words
	ID, Severity string
	Folds        bool
	Cells        []pageCell
	Notes        []pageNote
	Links        []pageLinks
	Command      string
}

type pageCell struct {
	Class, Label string
	Text         phrase
}

type pageNote struct {
	Label string
	Text  phrase
}

type pageLinks struct {
	Label string
	To    []pageLink
}

func newPage(r *report) *page {
	p := &page{
		words: r.words, Policy: policy(pageStyle), Style: template.CSS(pageStyle), //nolint:gosec // a file of this package
		Headline: terminal.Printable(r.headline), Compared: r.compared(),
	}
	n := tallyOf(r.plan)
	for s := plan.Critical; ; s-- {
		if n.severities[s] > 0 {
			p.Risks = append(p.Risks, pageRisk{s.String(), r.severity(s), n.severities[s]})
		}
		if s == plan.Low {
			break
		}
	}
	for _, t := range r.tenants {
		p.Tenants = append(p.Tenants, r.pageTenant(t))
	}
	return p
}

func (r *report) pageTenant(t *tenant) *pageTenant {
	p := &pageTenant{ID: t.label, Name: phrase{name(t.Namespace)}}
	index := indexed(t)
	for _, s := range t.sections {
		list := &pageList{ID: t.label + "-" + string(s.kind), Title: s.title, Kind: s.kind, Header: s.header}
		if s.kind == changes {
			list.Header = []string{r.Number, r.Sign, r.Risk, r.Who, r.May, r.Records, r.When}
		}
		for i, row := range s.rows {
			list.Rows = append(list.Rows, r.pageRow(t, index, s, i, row))
		}
		p.Lists = append(p.Lists, list)
		p.Contents = append(p.Contents, pageLink{ID: list.ID, Title: s.title, Number: len(s.rows)})
		if s.kind != changes {
			continue
		}
		p.Matrices, p.Timeline = r.matrices(t, s), r.timeline(t, s)
		for _, m := range p.Matrices {
			p.Contents = append(p.Contents, pageLink{ID: m.ID, Title: m.Title})
		}
		if p.Timeline != nil {
			p.Contents = append(p.Contents, pageLink{ID: p.Timeline.ID, Title: p.Timeline.Title, Number: len(p.Timeline.Spans)})
		}
	}
	if p.People = r.pagePeople(t, index); p.People != nil {
		p.Contents = append(p.Contents, pageLink{ID: p.People.ID, Title: p.People.Title, Number: len(index.people)})
	}
	return p
}

// rowID is the anchor of a row. Numbers of changes go through all tenants.
func (t *tenant) rowID(s *section, i int) string {
	if s.kind == changes {
		return fmt.Sprintf("c%d", s.rows[i].number)
	}
	return fmt.Sprintf("%s-%s-%d", t.label, s.kind, i+1)
}

func (r *report) pageRow(t *tenant, index *peopleIndex, s *section, i int, row *row) *pageRow {
	p := &pageRow{words: r.words, ID: t.rowID(s, i), Command: terminal.Printable(row.command)}
	if row.risk != nil {
		p.Severity = min(row.risk.Severity, plan.Critical).String()
	}
	for j, cell := range row.cells {
		p.Cells = append(p.Cells, pageCell{r.classOf(s.header[j], row), s.header[j], cell})
	}
	if s.kind == changes {
		when := append(append(slices.Clone(row.cells[atFrom]), say(" – ")), row.cells[atUntil]...)
		p.Cells = append(append(p.Cells[:atFrom:atFrom], p.Cells[atMay:]...), pageCell{"when", r.When, when})
	}
	for _, n := range row.notes {
		p.Notes = append(p.Notes, pageNote{n.label, n.text})
	}
	p.Folds = row.command == "" && len(p.Notes) > 0
	if len(row.people) > 0 && p.Folds {
		p.Links = []pageLinks{{r.Who, index.links(r.words, t, row)}}
	}
	return p
}

// classOf is what the style knows a cell by.
func (r *report) classOf(header string, row *row) string {
	switch header {
	case r.Number:
		return "number"
	case r.Sign:
		return "sign " + signClass(row.sign)
	case r.Risk:
		return "risk"
	case r.Who:
		return "who"
	case r.May:
		return "may"
	case r.Records:
		return "records"
	}
	return "other"
}

func signClass(sign plan.Sign) string {
	switch sign {
	case plan.Gain:
		return "gain"
	case plan.Loss:
		return "loss"
	}
	return "shift"
}
