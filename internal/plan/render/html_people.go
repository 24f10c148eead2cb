package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/plan"
)

// pagePeople leads from a person to the rows about them. People whom the same rows are about stand together.
type pagePeople struct {
	ID, Title, Hint string
	Alike, Groups   []pageAlike
}

type pageAlike struct {
	ID     string
	Title  phrase
	People []pageLink
	Rows   []pageLink
}

// peopleIndex is who is in which rows of a tenant.
type peopleIndex struct {
	people []plan.Person // by name
	ids    map[string]string
	rows   map[string][]pageLink
}

func indexed(t *tenant) *peopleIndex {
	x := &peopleIndex{ids: make(map[string]string), rows: make(map[string][]pageLink)}
	for _, s := range t.sections {
		for i, row := range s.rows {
			for _, person := range row.people {
				if x.rows[person.User] == nil {
					x.people = append(x.people, person)
				}
				x.rows[person.User] = append(x.rows[person.User], pageLink{ID: t.rowID(s, i), Text: row.summary(s)})
			}
		}
	}
	slices.SortFunc(x.people, func(a, b plan.Person) int { return cmp.Compare(a.User, b.User) })
	for i, person := range x.people {
		x.ids[person.User] = fmt.Sprintf("%s-p%d", t.label, i+1)
	}
	return x
}

// summary is a row in short.
func (r *row) summary(s *section) phrase {
	if s.kind == changes {
		return joined([]phrase{r.cells[atNumber], r.cells[atSign], r.cells[atMay], r.cells[atRecords]}, " ")
	}
	return joined(append([]phrase{{say(s.title)}}, r.cells[:min(3, len(r.cells))]...), " ")
}

// links lead to the people of a row, or to the list that names them.
func (x *peopleIndex) links(w *words, t *tenant, row *row) []pageLink {
	if row.group != nil {
		return []pageLink{{ID: groupID(t, row.group), Text: phrase{say(row.group.label + w.Clause + w.PeopleCount.of(len(row.people)))}}}
	}
	return x.named(w, row.people)
}

func (x *peopleIndex) named(w *words, people []plan.Person) []pageLink {
	return each(people, func(p plan.Person) pageLink {
		return pageLink{ID: x.ids[p.User], Text: w.person(p.User, p.DisplayName)}
	})
}

func groupID(t *tenant, g *group) string { return t.label + "-" + strings.ToLower(g.label) }

func (r *report) pagePeople(t *tenant, index *peopleIndex) *pagePeople {
	if len(index.people) == 0 {
		return nil
	}
	p := &pagePeople{ID: t.label + "-people", Title: r.Groups, Hint: r.PeopleHint}
	known := make(map[string]int)
	for _, person := range index.people {
		var key strings.Builder
		for _, row := range index.rows[person.User] {
			key.WriteString(row.ID + " ")
		}
		i, there := known[key.String()]
		if !there {
			i = len(p.Alike)
			known[key.String()] = i
			p.Alike = append(p.Alike, pageAlike{ID: fmt.Sprintf("%s-a%d", t.label, i+1), Rows: index.rows[person.User]})
		}
		p.Alike[i].People = append(p.Alike[i].People, pageLink{ID: index.ids[person.User], Text: r.person(person.User, person.DisplayName)})
	}
	for i := range p.Alike {
		a := &p.Alike[i]
		who := phrase{say(r.PeopleCount.of(len(a.People)))}
		if len(a.People) <= fewPeople {
			who = joined(each(a.People, func(l pageLink) phrase { return l.Text }), r.Comma)
		}
		a.Title = append(who, say(r.Colon+r.RowCount.of(len(a.Rows))))
	}
	for _, g := range t.groups {
		title := phrase{say(g.label + r.Clause + r.PeopleCount.of(len(g.people)))}
		p.Groups = append(p.Groups, pageAlike{ID: groupID(t, g), Title: title, People: index.named(r.words, g.people)})
	}
	return p
}
