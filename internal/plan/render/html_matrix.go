package render

import (
	"maps"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// pageMatrix shows who may do what, before and after, in letters of scopes: people and objects against actions, or against
// levels of fields. A cell without a mark has not changed.
type pageMatrix struct {
	ID, Title, Hint string
	Header          []phrase
	Groups          []*matrixGroup
}

type matrixGroup struct {
	Who  phrase
	Rows []*matrixRow
}

type matrixRow struct {
	Object phrase
	Cells  [][]mark
}

// mark is a change in a cell: Mark for the eye, Spoken for the ear.
type mark struct {
	ID, Class, Mark string
	Spoken          phrase
}

// isLike says whether two marks say the same and lead to the same row.
func (m mark) isLike(other mark) bool { return m.ID == other.ID && m.Mark == other.Mark }

// square is where a change goes in a matrix.
type square struct{ object, column string }

func (r *report) matrices(t *tenant, s *section) (list []*pageMatrix) {
	actions, levels := make(map[string]phrase), make(map[string]phrase)
	for _, c := range t.Changes {
		for _, action := range c.Actions {
			actions[action] = phrase{name(action)}
		}
		for _, f := range c.Fields {
			levels[f.Level.String()] = phrase{say(r.Levels[f.Level])}
		}
	}
	list = r.matrix(list, t, s, r.Matrix, "actions", columnsOf(slices.Sorted(maps.Keys(actions)), actions), func(c *plan.Change) (squares []square) {
		for _, action := range c.Actions {
			squares = append(squares, square{c.Object, action})
		}
		return squares
	})
	order := []string{access.LevelNone.String(), access.LevelMasked.String(), access.LevelRead.String(), access.LevelEdit.String()}
	order = slices.DeleteFunc(order, func(level string) bool { return levels[level] == nil })
	return r.matrix(list, t, s, r.FieldMatrix, "fields", columnsOf(order, levels), func(c *plan.Change) (squares []square) {
		for _, f := range c.Fields {
			squares = append(squares, square{c.Object + "." + f.Field, f.Level.String()})
		}
		return squares
	})
}

type column struct {
	key   string
	title phrase
}

func columnsOf(keys []string, titles map[string]phrase) []column {
	return each(keys, func(key string) column { return column{key, titles[key]} })
}

// matrix adds one to the list, unless nothing stands in it.
func (r *report) matrix(list []*pageMatrix, t *tenant, s *section, title, kind string, columns []column, squares func(*plan.Change) []square) []*pageMatrix {
	if len(columns) == 0 {
		return list
	}
	m := &pageMatrix{ID: t.label + "-matrix-" + kind, Title: title, Header: []phrase{{say(capitalised(r.Who))}, {say(capitalised(r.Object))}}}
	for _, c := range columns {
		m.Header = append(m.Header, c.title)
	}
	if len(list) == 0 {
		m.Hint = r.Legend
	}
	groups, rows := make(map[string]*matrixGroup), make(map[[2]string]*matrixRow)
	for i, c := range t.Changes {
		row := s.rows[i]
		who := strings.Join(each(c.People, func(p plan.Person) string { return p.User }), "\x00")
		for _, q := range squares(c) {
			g := groups[who]
			if g == nil {
				g = &matrixGroup{Who: row.cells[atWho]}
				groups[who] = g
				m.Groups = append(m.Groups, g)
			}
			at := rows[[2]string{who, q.object}]
			if at == nil {
				at = &matrixRow{Object: phrase{name(q.object)}, Cells: make([][]mark, len(columns))}
				rows[[2]string{who, q.object}] = at
				g.Rows = append(g.Rows, at)
			}
			j := slices.IndexFunc(columns, func(c column) bool { return c.key == q.column })
			if next := r.mark(t.rowID(s, i), c, row); !slices.ContainsFunc(at.Cells[j], next.isLike) {
				at.Cells[j] = append(at.Cells[j], next) // to edit and to fill in are one level
			}
		}
	}
	return append(list, m)
}

func (r *report) mark(id string, c *plan.Change, row *row) mark {
	text := string(c.Sign) + " " + r.letters(c.Before) + "→" + r.letters(c.After)
	if c.Window.NotAfter != schedule.Forever || c.Window.NotBefore > r.plan.At {
		text += " " + r.Timed
	}
	spoken := joined([]phrase{row.cells[atSign], row.cells[atRecords], row.cells[atFrom], row.cells[atUntil]}, r.Clause)
	return mark{ID: id, Class: signClass(c.Sign), Mark: text, Spoken: spoken}
}

// letters are the scopes of some records, a letter each.
func (r *report) letters(records []plan.Records) string {
	if len(records) == 0 {
		return "–"
	}
	parts := make([]string, len(records))
	for i := range records {
		of := &records[i]
		for _, scope := range of.Scopes {
			parts[i] += r.Letters[scope]
		}
		if len(of.IDs)+len(of.Owners)+len(of.Participants)+len(of.Departments)+len(of.DepartmentTrees) > 0 {
			parts[i] += r.NamedLetter
		}
		if len(of.Where) > 0 {
			parts[i] += "*"
		}
	}
	return strings.Join(parts, "+")
}
