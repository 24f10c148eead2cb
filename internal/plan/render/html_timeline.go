package render

import (
	"cmp"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	day = 24 * 3600
	// longestAxis is how far ahead a timeline shows: what ends later would make a day too small to see.
	longestAxis = 400 * day
	// axisUnits is how wide the drawing is.
	axisUnits = 1000
)

// pageTimeline draws the changes that begin or end at a time.
type pageTimeline struct {
	ID, Title, Hint string
	Axis            []string
	Spans           []pageSpan
}

type pageSpan struct {
	ID, Number, Class, Spoken string
	Text                      phrase
	Bar                       bar
	Was                       []bar
}

// bar is a span of the drawing.
type bar struct{ X, Width int }

// timeline is nil where every change holds from now on for good.
func (r *report) timeline(t *tenant, s *section) *pageTimeline {
	at := r.plan.At
	var timed []int
	end := at + day
	for i, c := range t.Changes {
		if c.Window.NotBefore <= at && c.Window.NotAfter == schedule.Forever && c.Was == nil {
			continue
		}
		timed = append(timed, i)
		for _, w := range windowsOf(c) {
			for _, bound := range []schedule.Instant{w.NotBefore, w.NotAfter} {
				if bound != schedule.Forever {
					end = max(end, bound)
				}
			}
		}
	}
	if len(timed) == 0 {
		return nil
	}
	end = min(end, at+longestAxis)
	slices.SortStableFunc(timed, func(a, b int) int {
		x, y := t.Changes[a].Window, t.Changes[b].Window
		return cmp.Or(cmp.Compare(x.NotBefore, y.NotBefore), cmp.Compare(x.NotAfter, y.NotAfter))
	})
	line := &pageTimeline{ID: t.label + "-timeline", Title: r.Timeline, Hint: r.TimelineHint}
	for i := range schedule.Instant(3) {
		line.Axis = append(line.Axis, (at + (end-at)*i/2).String()[:len("2006-01-02")])
	}
	for _, i := range timed {
		line.Spans = append(line.Spans, r.pageSpan(t, s, i, end))
	}
	return line
}

func windowsOf(c *plan.Change) []schedule.Window {
	if c.Was == nil {
		return []schedule.Window{c.Window}
	}
	return []schedule.Window{c.Window, *c.Was}
}

func (r *report) pageSpan(t *tenant, s *section, i int, end schedule.Instant) pageSpan {
	c, row := t.Changes[i], s.rows[i]
	place := func(w schedule.Window) bar {
		from, until := min(max(w.NotBefore, r.plan.At), end)-r.plan.At, min(w.NotAfter, end)-r.plan.At
		x := int(from * axisUnits / (end - r.plan.At))
		return bar{x, max(int(until*axisUnits/(end-r.plan.At))-x, 2)}
	}
	when := r.span(c.Window, r.plan.At)
	p := pageSpan{ID: t.rowID(s, i), Number: row.cells[atNumber].plain(), Class: signClass(c.Sign), Bar: place(c.Window)}
	if c.Was != nil {
		when += r.Clause + r.Was + " " + r.span(*c.Was, r.plan.At)
		p.Was = []bar{place(*c.Was)}
	}
	p.Spoken = when
	p.Text = joined([]phrase{joined([]phrase{row.cells[atSign], row.cells[atWho], row.cells[atMay]}, " "), {say(when)}}, r.Colon)
	return p
}
