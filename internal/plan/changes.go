package plan

import (
	"cmp"
	"fmt"
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
	people := c.affected()
	rows := make([][]*Change, len(people))
	var workers sync.WaitGroup
	count := runtime.GOMAXPROCS(0)
	for worker := range count {
		workers.Go(func() {
			w := newWatcher(c)
			for i := worker; i < len(people); i += count {
				rows[i] = w.changesOf(&people[i])
				for _, row := range rows[i] {
					row.Causes = c.causesOf(row.People[0].Paths, people[i].user)
				}
			}
		})
	}
	workers.Wait()
	return grouped(slices.Concat(rows...))
}

// affected is somebody for whom something may differ. Nothing else than what they hold on the objects is compared: of a
// large organisation most people hold the same, and those who do not hold the same on most objects.
type affected struct {
	user    string
	objects []string // where the person stands elsewhere, all
}

// affected are the people of either state for whom something may differ, in order.
func (c *comparison) affected() (people []affected) {
	changed := c.changedBundles()
	for user := range c.base.users {
		if a := c.affects(user, changed); a != nil {
			people = append(people, *a)
		}
	}
	for user := range c.head.users {
		if !c.samePeople && c.base.users[user] == nil {
			people = append(people, affected{user: user})
		}
	}
	slices.SortFunc(people, func(a, b affected) int { return strings.Compare(a.user, b.user) })
	return people
}

// affects says what may differ for somebody of base; nil where nothing can.
func (c *comparison) affects(user string, changed map[string][]string) *affected {
	if !c.samePeople && (c.base.isActive(user) != c.head.isActive(user) || !c.stands(user)) {
		return &affected{user: user}
	}
	a := &affected{user: user}
	was, is := c.base.holders[user], c.head.holders[user]
	for i, h := range was {
		if i >= len(is) || !givesAlike(h, is[i]) {
			a.addUnlessAmong(h, is, c.base)
		}
		a.add(changed[h.Bundle]...)
	}
	for i, h := range is {
		if i >= len(was) || !givesAlike(h, was[i]) {
			a.addUnlessAmong(h, was, c.head)
		}
	}
	if len(a.objects) == 0 {
		return nil
	}
	return a
}

// givesAlike says whether two holdings give the same bundle for the same time, whoever says so.
func givesAlike(x, y *access.HolderFact) bool { return x.Bundle == y.Bundle && x.Window == y.Window }

// addUnlessAmong adds the objects of what is held on one side, unless it is held on the other as well.
func (a *affected) addUnlessAmong(h *access.HolderFact, others []*access.HolderFact, of *side) {
	if slices.ContainsFunc(others, func(other *access.HolderFact) bool { return givesAlike(h, other) }) {
		return
	}
	for _, t := range of.tuples[h.Bundle] {
		a.add(t.Object)
	}
}

func (a *affected) add(objects ...string) {
	for _, object := range objects {
		if !slices.Contains(a.objects, object) {
			a.objects = append(a.objects, object)
		}
	}
}

// changedBundles are the bundles that give something else, each with the objects on which it does: other tuples, tuples on an
// object that is declared otherwise, or on departments that have moved.
func (c *comparison) changedBundles() map[string][]string {
	changed, differs := make(map[string][]string), c.differingObjects()
	for bundle, was := range c.base.tuples {
		a, is := affected{}, c.head.tuples[bundle]
		for i, t := range was {
			if !isGivenBy(t, i, is) || differs[t.Object] || c.movesTree(t.Tuple) {
				a.add(t.Object)
			}
		}
		for i, t := range is {
			if !isGivenBy(t, i, was) {
				a.add(t.Object)
			}
		}
		if len(a.objects) > 0 {
			changed[bundle] = a.objects
		}
	}
	return changed
}

func (c *comparison) differingObjects() map[string]bool {
	differs := make(map[string]bool)
	for s := range states {
		for _, o := range c.side(s).Facts.Objects {
			differs[o.Object] = differs[o.Object] || differ(c.base.module(o.Object), c.head.module(o.Object))
		}
	}
	return differs
}

// isGivenBy says whether the tuple, the i-th of its bundle, is one of others, and looks first where it should be.
func isGivenBy(t *access.TupleFact, i int, others []*access.TupleFact) bool {
	return (i < len(others) && others[i].Digest == t.Digest) ||
		slices.ContainsFunc(others, func(other *access.TupleFact) bool { return other.Digest == t.Digest })
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

// changesOf are the rows of one person, object by object.
func (w *watcher) changesOf(a *affected) (rows []*Change) {
	var all [states][]*held
	for s := range states {
		all[s] = w.holdings(w.side(s), a)
	}
	for {
		var object string
		for s := range states {
			if len(all[s]) > 0 && (object == "" || all[s][0].Object < object) {
				object = all[s][0].Object
			}
		}
		if object == "" {
			return rows
		}
		var held [states][]*held
		for s := range states {
			held[s], all[s] = cutObject(all[s], object)
		}
		rows = append(rows, w.compare(a.user, object, held)...)
	}
}

// cutObject cuts what is held on the object off the front of what is held on all.
func cutObject(all []*held, object string) (of, rest []*held) {
	n := 0
	for n < len(all) && all[n].Object == object {
		n++
	}
	return all[:n:n], all[n:]
}

func (w *watcher) catalogue(object string) *catalogue {
	if w.catalogues[object] == nil {
		w.catalogues[object] = w.newCatalogue(object)
	}
	return w.catalogues[object]
}

// compare are the rows of one person on one object.
func (w *watcher) compare(user, object string, held [states][]*held) []*Change {
	v := &view{
		comparison: w.comparison, user: user, object: object, about: w.catalogue(object), held: held,
		sides: [states]*side{w.base, w.head}, sameLine: !w.moves.lines[user],
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
	var drafts []*draft
	for _, k := range v.kinds() {
		for _, stretch := range space.stretches(k, segments) {
			drafts = space.addRow(drafts, k, stretch)
		}
	}
	rows := make([]*Change, len(drafts))
	for i, d := range drafts {
		rows[i] = d.finish(v)
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

// draft is a row of one person under way, with the tuples that make the difference.
type draft struct {
	*Change
	key     string
	differs [states][]*held
}

// addRow tells a stretch of a kind: in a row that is so far the same, or in one of its own.
func (s *space) addRow(drafts []*draft, k *kind, st *stretch) []*draft {
	row := &Change{Sign: st.sign(), Object: s.view.object, Window: s.view.open(st.window)}
	if st.was != nil {
		was := s.view.open(*st.was)
		row.Was = &was
	}
	row.Before, row.After = s.shorten(before, st.taking[before]), s.shorten(after, st.taking[after])
	d := &draft{Change: row, key: row.key()}
	if i := slices.IndexFunc(drafts, func(other *draft) bool { return other.key == d.key }); i >= 0 {
		d = drafts[i]
	} else {
		drafts = append(drafts, d)
	}
	d.list(s.view.about, k, s.view)
	for _, of := range st.tellingStates() {
		d.differs[of] = append(d.differs[of], s.differing(of, st)...)
	}
	return drafts
}

// finish names the person and what the row comes from.
func (d *draft) finish(v *view) *Change {
	was, is := v.pathsOf(before, d.differs[before], d.Actions), v.pathsOf(after, d.differs[after], d.Actions)
	all := inOrder(slices.Concat(was, is))
	person := Person{User: v.user, DisplayName: v.displayName(), Paths: all}
	if d.Was != nil {
		person.Paths = inOrder(is)
	}
	d.People, d.Causes = []Person{person}, v.causesOf(all, v.user)
	return d.Change
}

func inOrder(paths []Path) []Path {
	slices.SortFunc(paths, comparePaths)
	return slices.Compact(paths)
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

// tellingStates are those whose tuples say why there is a difference: what gives it, or gave it.
func (s *stretch) tellingStates() []state {
	sign := s.sign()
	switch {
	case s.was != nil, sign == Shift:
		return []state{before, after}
	case sign == Gain:
		return []state{after}
	}
	return []state{before}
}

// pathsOf are the ways by which tuples are held.
func (v *view) pathsOf(s state, tuples []*held, actions []string) (paths []Path) {
	for _, h := range tuples {
		for _, by := range h.by {
			paths = append(paths, Path{
				Owner: by.owner, Roles: by.roles(), Grant: grantText(h.Tuple, actions), Until: h.window.NotAfter, Source: v.sides[s].Sources[by.owner],
			})
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

func comparePaths(x, y Path) int {
	return cmp.Or(
		cmp.Compare(x.Owner.Kind, y.Owner.Kind), cmp.Compare(x.Owner.Name, y.Owner.Name), cmp.Compare(x.Roles, y.Roles), cmp.Compare(x.Grant, y.Grant),
		cmp.Compare(x.Until, y.Until), cmp.Compare(x.Source.File, y.Source.File), cmp.Compare(x.Source.Line, y.Source.Line))
}
