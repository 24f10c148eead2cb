package render

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const (
	// longest is how many records, owners or departments a cell lists before it counts them; a note below has them all.
	longest = 8
	// fewPeople are named in the row itself. More have a list of their own, which each row about them refers to.
	fewPeople = 3
	// fewFields are named in the row itself, more in a note below.
	fewFields = 2
)

// names lists names.
func (w *words) names(list []string) phrase { return w.first(len(list), list) }

// first lists the first names, and says how many more there are.
func (w *words) first(most int, list []string) (p phrase) {
	shown := list[:min(len(list), most)]
	for i, n := range shown {
		if i > 0 {
			p = append(p, say(w.Comma))
		}
		p = append(p, name(n))
	}
	if more := len(list) - len(shown); more > 0 {
		p = append(p, say(w.Clause+w.MoreNames.of(more)))
	}
	return p
}

// union is which records a change is about, before or after, with the first names of each list.
func (w *words) union(records []plan.Records, most int) phrase {
	if len(records) == 0 {
		return phrase{say(w.Nothing)}
	}
	parts := make([]phrase, len(records))
	for i := range records {
		parts[i] = w.selection(&records[i], most)
	}
	return joined(parts, w.Semicolon)
}

func (w *words) selection(r *plan.Records, most int) phrase {
	var ways []phrase
	for _, scope := range r.Scopes {
		ways = append(ways, w.scope(scope))
	}
	for _, list := range []struct {
		around around
		names  []string
	}{{w.IDs, r.IDs}, {w.Owners, r.Owners}, {w.Participants, r.Participants}, {w.Departments, r.Departments}, {w.Trees, r.DepartmentTrees}} {
		if len(list.names) > 0 {
			ways = append(ways, list.around.put(w.first(most, list.names)))
		}
	}
	p := joined(ways, w.Or)
	for i, condition := range r.Where {
		between := w.And
		if i == 0 {
			between = w.Where
		}
		p = append(append(p, say(between)), w.condition(condition, most)...)
	}
	return p
}

// scope is a scope in words; one that they lack stands as it is.
func (w *words) scope(scope string) phrase {
	if text, known := w.Scopes[scope]; known {
		return phrase{say(text)}
	}
	return phrase{name(scope)}
}

func (w *words) condition(c access.WhereFact, most int) phrase {
	p := phrase{name(c.Field)}
	operator, known := w.Operators[c.Operator]
	if !known {
		return append(p, say(" "), name(string(c.Operator)+" "+strings.Join(c.Values, " ")))
	}
	p = append(p, say(operator))
	if len(c.Values) > 0 {
		p = append(p, w.List.put(w.first(most, c.Values))...)
	}
	return p
}

// difference is which records it was about, and which it is about: once, where only the time changes.
func (w *words) difference(before, after []plan.Records, most int) phrase {
	if reflect.DeepEqual(before, after) {
		return w.union(after, most)
	}
	return joined([]phrase{w.union(before, most), w.union(after, most)}, " → ")
}

// isLong says whether a list is longer than a cell shows.
func isLong(unions ...[]plan.Records) bool {
	for _, records := range unions {
		for i := range records {
			r := &records[i]
			lists := [][]string{r.IDs, r.Owners, r.Participants, r.Departments, r.DepartmentTrees}
			for _, condition := range r.Where {
				lists = append(lists, condition.Values)
			}
			if slices.ContainsFunc(lists, func(list []string) bool { return len(list) > longest }) {
				return true
			}
		}
	}
	return false
}

// permission is what may be done to which object, and which fields are reached; or how many, where a note names them.
func (w *words) permission(object string, actions []string, fields []plan.FieldLevel, wider []plan.Reach) phrase {
	var parts []phrase
	if len(actions) > 0 {
		parts = append(parts, w.names(actions))
	}
	if len(fields) > fewFields {
		parts = append(parts, phrase{say(w.FieldCount.of(len(fields)))})
	} else {
		parts = append(parts, w.fields(fields)...)
	}
	parts = append(parts, w.wider(wider)...)
	return joined([]phrase{{name(object)}, joined(parts, w.Semicolon)}, w.Colon)
}

// fields are levels of fields, the widest first, each with the fields of one class that reach it from the same level.
func (w *words) fields(fields []plan.FieldLevel) (parts []phrase) {
	kindOf := func(f plan.FieldLevel) plan.FieldLevel { f.Field = ""; return f }
	var kinds []plan.FieldLevel
	for _, f := range fields {
		if !slices.Contains(kinds, kindOf(f)) {
			kinds = append(kinds, kindOf(f))
		}
	}
	slices.SortFunc(kinds, func(a, b plan.FieldLevel) int {
		if a.Proposed != b.Proposed {
			return map[bool]int{false: -1, true: 1}[a.Proposed]
		}
		return cmp.Or(-cmp.Compare(a.Level, b.Level), -cmp.Compare(a.Class, b.Class), cmp.Compare(a.From, b.From))
	})
	for _, kind := range kinds {
		var of []string
		for _, f := range fields {
			if kindOf(f) == kind {
				of = append(of, f.Field)
			}
		}
		parts = append(parts, append(phrase{say(w.level(kind) + w.Colon)}, w.names(of)...))
	}
	return parts
}

// level is what is reached, of which class of fields, and from where.
func (w *words) level(f plan.FieldLevel) string {
	text := w.Levels[f.Level]
	if f.Proposed {
		text = w.FillIn
	}
	var more []string
	if f.Class != access.ClassUnset {
		more = append(more, w.Classes[f.Class])
	}
	if f.From != access.LevelNone {
		more = append(more, w.FromLevels[f.From])
	}
	if len(more) == 0 {
		return text
	}
	return text + w.Open + strings.Join(more, w.Comma) + w.Close
}

// wider are actions that need no approval any more, or need one, where they are held more widely than a guardrail asks about.
func (w *words) wider(reaches []plan.Reach) (parts []phrase) {
	for _, r := range reaches {
		parts = append(parts, joined([]phrase{{name(r.Action)}, {say(w.WithoutApproval)}, w.scope(r.Beyond)}, " "))
	}
	return parts
}

// from is the start of a window, and until its end. What has begun by then begins at once.
func (w *words) from(window schedule.Window, at schedule.Instant) string {
	if window.NotBefore <= at {
		return w.AtOnce
	}
	return window.NotBefore.String()
}

func (w *words) until(window schedule.Window) string {
	if window.NotAfter == schedule.Forever {
		return w.NoEnd
	}
	return window.NotAfter.String()
}

func (w *words) span(window schedule.Window, at schedule.Instant) string {
	return w.from(window, at) + " – " + w.until(window)
}

// person is a user with the display name that people know.
func (w *words) person(user, display string) phrase {
	p := phrase{name(user)}
	if display != "" && display != user {
		p = append(p, say(w.Open), piece{display, quoted}, say(w.Close))
	}
	return p
}

func (w *words) persons(people []plan.Person) phrase {
	return joined(each(people, func(p plan.Person) phrase { return w.person(p.User, p.DisplayName) }), w.Comma)
}

// place is where something stands; nothing where that is not known.
func (w *words) place(source manifest.Source) phrase {
	if source.File == "" {
		return nil
	}
	return phrase{say(w.Open), name(source.String()), say(w.Close)}
}

func (w *words) cause(c plan.Cause) phrase {
	return append(append(w.declaration(c.Ref, c.Field), say(" "+w.Verbs[c.Verb])), w.place(c.Source)...)
}

// declaration is a declaration, or a field of it.
func (w *words) declaration(ref access.Ref, field string) phrase {
	p := phrase{name(ref.String())}
	if field != "" {
		p = append(p, say(" "), name(field))
	}
	return p
}

// way is a path that access comes by, with the people who have it by this one.
type way struct {
	plan.Path
	people []plan.Person
}

// waysOf are the distinct paths of some people, in the order in which they occur.
func waysOf(people []plan.Person) (ways []*way) {
	known := make(map[plan.Path]*way)
	for _, person := range people {
		for _, path := range person.Paths {
			w := known[path]
			if w == nil {
				w = &way{Path: path}
				known[path] = w
				ways = append(ways, w)
			}
			if n := len(w.people); n == 0 || w.people[n-1].User != person.User {
				w.people = append(w.people, person)
			}
		}
	}
	return ways
}

// path is a way in words: UserBinding/sales-directors > sales-director > regional-manager: regional-manager:read=all.
func (w *words) path(path plan.Path) phrase {
	steps := path.Owner.String()
	if path.Roles != "" {
		steps += " > " + path.Roles
	}
	p := phrase{name(steps)}
	if path.Grant != "" {
		p = append(p, say(w.Colon), name(path.Grant))
	}
	if path.Until != schedule.Forever {
		p = append(p, say(w.Clause+fmt.Sprintf(w.UntilThen, path.Until)))
	}
	return append(p, w.place(path.Source)...)
}
