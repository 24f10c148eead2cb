package plan

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// changes are the rows of effective access that differ, without their risk: those of each person, and then one of all
// people whose rows are the same for the same causes.
func (c *comparison) changes() []*Change {
	users := c.affected()
	rows := make([][]*Change, len(users))
	var workers sync.WaitGroup
	count := runtime.GOMAXPROCS(0)
	for worker := range count {
		workers.Go(func() {
			w := newWatcher(c)
			for i := worker; i < len(users); i += count {
				rows[i] = w.changesOf(users[i])
				for _, row := range rows[i] {
					row.Causes = c.causesOf(row.People[0].Paths, users[i])
				}
			}
		})
	}
	workers.Wait()
	return grouped(slices.Concat(rows...))
}

// affected are the people of either state for whom something may differ, in order.
func (c *comparison) affected() []string {
	users := make(map[string]bool)
	for s := range states {
		for user := range c.side(s).users {
			users[user] = true
		}
	}
	return slices.Sorted(maps.Keys(users))
}

// watcher compares people one after the other, and remembers what is the same for many.
type watcher struct {
	*comparison
	catalogues map[string]*catalogue
	given      [states]map[*access.Tuple]bitset
}

func newWatcher(c *comparison) *watcher {
	w := &watcher{comparison: c, catalogues: make(map[string]*catalogue)}
	for s := range states {
		w.given[s] = make(map[*access.Tuple]bitset)
	}
	return w
}

// changesOf are the rows of one person.
func (w *watcher) changesOf(user string) (rows []*Change) {
	objects := make(map[string]bool)
	for s := range states {
		side := w.side(s)
		for _, h := range side.holders[user] {
			for _, t := range side.tuples[h.Bundle] {
				objects[t.Object] = true
			}
		}
	}
	for _, object := range slices.Sorted(maps.Keys(objects)) {
		rows = append(rows, w.compare(user, object)...)
	}
	return rows
}

func (w *watcher) catalogue(object string) *catalogue {
	if w.catalogues[object] == nil {
		w.catalogues[object] = w.newCatalogue(object)
	}
	return w.catalogues[object]
}

// compare are the rows of one person on one object.
func (w *watcher) compare(user, object string) []*Change {
	v := &view{comparison: w.comparison, user: user, object: object, about: w.catalogue(object), sameLine: !w.moves.lines[user]}
	for s := range states {
		v.sides[s] = w.side(s)
		v.held[s] = w.holdings(v.sides[s], user, object)
	}
	if v.isSame() {
		return nil
	}
	for s := range states {
		for _, h := range v.held[s] {
			h.gives = w.gives(s, h.Tuple)
		}
	}
	space, segments := spaceOf(v), v.segments()
	var rows []*Change
	for _, k := range v.kinds() {
		for _, stretch := range space.stretches(k, segments) {
			rows = space.addRow(rows, k, stretch)
		}
	}
	return rows
}

func (w *watcher) gives(s state, t *access.Tuple) bitset {
	given := w.given[s][t]
	if given == nil {
		given = w.catalogue(t.Object).gives(w.side(s).module(t.Object), t)
		w.given[s][t] = given
	}
	return given
}

// addRow tells a stretch of a kind: in a row that is so far the same, or in one of its own.
func (s *space) addRow(rows []*Change, k *kind, st *stretch) []*Change {
	row := &Change{Sign: st.sign(), Object: s.view.object, Window: s.view.open(st.window)}
	if st.was != nil {
		was := s.view.open(*st.was)
		row.Was = &was
	}
	row.Before, row.After = s.shorten(before, st.taking[before]), s.shorten(after, st.taking[after])
	key := row.key()
	if i := slices.IndexFunc(rows, func(r *Change) bool { return r.key() == key }); i >= 0 {
		row = rows[i]
	} else {
		rows = append(rows, row)
		row.People = []Person{{User: s.view.user, DisplayName: s.view.displayName()}}
	}
	row.list(s.view.about, k, s.view)
	person := &row.People[0]
	person.Paths = mergedPaths(person.Paths, s.paths(row.Actions, st))
	return rows
}

// open leaves away the beginning of what begins where the comparison does.
func (c *comparison) open(w schedule.Window) schedule.Window {
	if w.NotBefore <= c.options.At {
		w.NotBefore = schedule.Always
	}
	return w
}

func (v *view) displayName() string {
	for _, s := range [...]state{after, before} {
		if u := v.sides[s].users[v.user]; u != nil && u.DisplayName != "" {
			return u.DisplayName
		}
	}
	return ""
}

// list adds the items of a kind to the row. Levels of one field that stand above one another are one.
func (r *Change) list(about *catalogue, k *kind, v *view) {
	for _, i := range k.items {
		it := &about.items[i]
		switch {
		case it.beyond != "":
			r.Wider = append(r.Wider, Reach{Action: it.action, Beyond: it.beyond})
		case it.action != "":
			r.Actions = append(r.Actions, it.action)
		default:
			r.Fields = append(r.Fields, FieldLevel{Field: it.field, Class: v.class(it.field), From: it.level - 1, Level: it.level, Proposed: it.proposed})
		}
	}
	slices.Sort(r.Actions)
	slices.SortFunc(r.Wider, func(x, y Reach) int { return cmp.Or(cmp.Compare(x.Action, y.Action), cmp.Compare(x.Beyond, y.Beyond)) })
	proposed := map[bool]int{true: 1}
	slices.SortFunc(r.Fields, func(x, y FieldLevel) int {
		return cmp.Or(cmp.Compare(proposed[x.Proposed], proposed[y.Proposed]), cmp.Compare(x.Field, y.Field), cmp.Compare(x.From, y.From))
	})
	joined := r.Fields[:0]
	for _, f := range r.Fields {
		if last := len(joined) - 1; last >= 0 && joined[last].Field == f.Field && joined[last].Proposed == f.Proposed && joined[last].Level == f.From {
			joined[last].Level = f.Level
		} else {
			joined = append(joined, f)
		}
	}
	r.Fields = joined
}

// class is a field's class in head; of a field that is gone, the one that it had.
func (v *view) class(field string) access.Class {
	if class := v.sides[after].module(v.object).Class(field); class != access.ClassUnset {
		return class
	}
	return v.sides[before].module(v.object).Class(field)
}

// key is all of a row but what may be done and by whom.
func (r *Change) key() string {
	was := schedule.Window{}
	if r.Was != nil {
		was = *r.Was
	}
	return fmt.Sprintf("%q %q %v %v %q %q", r.Object, r.Sign, r.Window, was, r.Before, r.After)
}

// grouped puts people into one row whose rows are the same.
func grouped(rows []*Change) (all []*Change) {
	byKey := make(map[string]*Change)
	for _, row := range rows {
		key := row.key() + fmt.Sprintf(" %q %v %v %v", row.Actions, row.Fields, row.Wider, row.Causes)
		if known := byKey[key]; known != nil {
			known.People = append(known.People, row.People...)
			continue
		}
		byKey[key] = row
		all = append(all, row)
	}
	return all
}

// paths are the ways by which what a stretch gives comes, or came where it takes.
func (s *space) paths(actions []string, st *stretch) (paths []Path) {
	var from []state
	switch st.sign() {
	case Gain:
		from = []state{after}
	case Loss:
		from = []state{before}
	case Shift:
		from = []state{after, before}
	}
	if st.was != nil {
		from = []state{after}
	}
	for _, of := range from {
		for _, h := range s.differing(of, st) {
			for _, by := range h.by {
				paths = append(paths, Path{
					Owner: by.owner, Roles: by.roles(), Grant: grantText(h.Tuple, actions), Until: h.window.NotAfter,
					Source: s.view.sides[of].Sources[by.owner],
				})
			}
		}
	}
	return paths
}

// differing are the tuples of a state that take in what the other state does not; all of them where none does by itself.
func (s *space) differing(of state, st *stretch) (tuples []*held) {
	other := st.taking[1-of].region
	for _, h := range st.gives[of] {
		if !s.taking(of, []*held{h}, st.taking[of].scopes).within(other) {
			tuples = append(tuples, h)
		}
	}
	if len(tuples) == 0 {
		return st.gives[of]
	}
	return tuples
}

// roles leads from the role that is held; a temporary grant's own access leads over none.
func (w way) roles() string {
	if w.owner.Kind == access.KindTemporaryGrant && w.path == w.owner.Name {
		return ""
	}
	return w.path
}

// grantText is a tuple in short, about the actions where it has some of them: sales-rep:read=own.
func grantText(t *access.Tuple, actions []string) string {
	does := slices.DeleteFunc(slices.Clone(t.Actions), func(action string) bool { return !slices.Contains(actions, action) })
	if len(does) == 0 {
		does = t.Actions
	}
	reach := strings.Join(t.Scopes, "|")
	for _, selection := range [...]struct {
		by    string
		names []string
	}{{"ids", t.IDs}, {"owners", t.Owners}, {"departments", t.Departments}, {"departmentTrees", t.DepartmentTrees}} {
		if reach == "" && len(selection.names) > 0 {
			reach = selection.by
		}
	}
	return fmt.Sprintf("%s:%s=%s", t.Origin, strings.Join(does, ","), reach)
}

// mergedPaths are both, in order and each once.
func mergedPaths(x, y []Path) []Path {
	all := slices.Concat(x, y)
	slices.SortFunc(all, func(x, y Path) int {
		return cmp.Or(cmp.Compare(x.Owner.String(), y.Owner.String()), cmp.Compare(x.Roles, y.Roles), cmp.Compare(x.Grant, y.Grant), cmp.Compare(x.Until, y.Until))
	})
	return slices.Compact(all)
}
