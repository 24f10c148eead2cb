package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// mostCauses bounds how many declarations a row names as its cause where none of them stands out.
const mostCauses = 20

// declared finds the declarations of one side by name.
type declared struct {
	objects     map[string]*access.ObjectType
	departments map[string]*access.Department
	users       map[string]*access.User
	roles       map[string]*access.Role
	bindings    map[string]*access.UserBinding
	grants      map[string]*access.TemporaryGrant
	guardrails  map[string]*access.Guardrail
	approvals   map[string]*access.Approval
	revocations map[string]*access.Revocation
	logins      map[string][]string // the users who have a username
}

// newDeclared indexes declarations. What they have in common with others is looked up in the same index.
func newDeclared(d *access.Declarations, others *access.Declarations, as *declared) *declared {
	out := &declared{
		objects:     byName(d.ObjectTypes, others.ObjectTypes, as.objects, func(o *access.ObjectType) string { return o.Name }),
		departments: byName(d.Departments, others.Departments, as.departments, func(d *access.Department) string { return d.Name }),
		users:       byName(d.Users, others.Users, as.users, func(u *access.User) string { return u.Name }),
		roles:       byName(d.Roles, others.Roles, as.roles, func(r *access.Role) string { return r.Name }),
		bindings:    byName(d.UserBindings, others.UserBindings, as.bindings, func(b *access.UserBinding) string { return b.Name }),
		grants:      byName(d.TemporaryGrants, others.TemporaryGrants, as.grants, func(g *access.TemporaryGrant) string { return g.Name }),
		guardrails:  byName(d.Guardrails, others.Guardrails, as.guardrails, func(g *access.Guardrail) string { return g.Name }),
		approvals:   byName(d.Approvals, others.Approvals, as.approvals, func(a *access.Approval) string { return a.Name }),
		revocations: byName(d.Revocations, others.Revocations, as.revocations, func(r *access.Revocation) string { return r.Name }),
		logins:      make(map[string][]string),
	}
	if as.logins != nil && slices.Equal(d.Users, others.Users) {
		out.logins = as.logins
		return out
	}
	for _, u := range d.Users {
		for _, username := range u.Identities {
			out.logins[username] = append(out.logins[username], u.Name)
		}
	}
	return out
}

// byName indexes a list, unless it is one that has its index.
func byName[T any](list, other []*T, indexed map[string]*T, name func(*T) string) map[string]*T {
	if indexed != nil && slices.Equal(list, other) {
		return indexed
	}
	index := make(map[string]*T, len(list))
	for _, element := range list {
		index[name(element)] = element
	}
	return index
}

// lineAbove are the department's ancestors, itself first. A line that comes back to itself ends there.
func (d *declared) lineAbove(department string) (line []string) {
	for name := department; name != "" && d.departments[name] != nil && !slices.Contains(line, name); name = d.departments[name].Parent {
		line = append(line, name)
	}
	return line
}

// reportingLine is who stands above a user.
func (d *declared) reportingLine(user string) (line []string) {
	for u := d.users[user]; u != nil && u.Manager != "" && !slices.Contains(line, u.Manager); u = d.users[u.Manager] {
		line = append(line, u.Manager)
	}
	return line
}

// causing finds what rows come from. It is made once, for all rows.
type causing struct {
	base, head *declared
	once       sync.Once

	// below are the departments that were moved, by every department above them before or after; led are the users who were
	// put into another reporting line, by everybody in it.
	below, led map[string][]access.Ref
	// about are Approvals, Revocations and who approved, by what they are about.
	about map[access.Ref][]access.Ref
	// admitting are guardrails that say what of a binding or grant counts.
	admitting []access.Ref

	known sync.Map // causes that were told before, by declaration

	formerOwners map[string][]string // by login, see comparison.formerOwners
	loginsOnce   sync.Once
	chains       []chain // see comparison.chains
	chainsOnce   sync.Once
}

// causing indexes the changes by what they have an effect on.
func (c *comparison) causing() *causing {
	c.reasons.once.Do(func() { c.reasons.index(c) })
	return &c.reasons
}

func (r *causing) index(c *comparison) {
	r.base = newDeclared(&c.base.Declarations, &access.Declarations{}, &declared{})
	r.head = newDeclared(&c.head.Declarations, &c.base.Declarations, r.base)
	r.below, r.led = make(map[string][]access.Ref), make(map[string][]access.Ref)
	r.about = make(map[access.Ref][]access.Ref)
	for _, ref := range slices.SortedFunc(maps.Keys(c.changed), compareRefs) {
		switch ref.Kind {
		case access.KindDepartment:
			if before, after := r.base.departments[ref.Name], r.head.departments[ref.Name]; before == nil || after == nil || before.Parent != after.Parent {
				r.file(r.below, ref, r.base.lineAbove(ref.Name), r.head.lineAbove(ref.Name))
			}
		case access.KindUser:
			if before, after := r.base.users[ref.Name], r.head.users[ref.Name]; before == nil || after == nil || before.Manager != after.Manager {
				r.file(r.led, ref, r.base.reportingLine(ref.Name), r.head.reportingLine(ref.Name))
			}
		case access.KindGuardrail:
			if admits(r.base.guardrails[ref.Name]) || admits(r.head.guardrails[ref.Name]) {
				r.admitting = append(r.admitting, ref)
			}
		case access.KindRevocation:
			for _, side := range []*declared{r.base, r.head} {
				if revocation := side.revocations[ref.Name]; revocation != nil && !slices.Contains(r.about[revocation.Target], ref) {
					r.about[revocation.Target] = append(r.about[revocation.Target], ref)
				}
			}
		}
	}
	r.indexApprovals(c)
}

func (r *causing) file(index map[string][]access.Ref, ref access.Ref, lines ...[]string) {
	above := slices.Concat(lines...)
	slices.Sort(above)
	for _, name := range slices.Compact(above) {
		index[name] = append(index[name], ref)
	}
}

// indexApprovals files what changed of approvals: themselves, and who made them.
func (r *causing) indexApprovals(c *comparison) {
	for _, side := range []*declared{r.base, r.head} {
		for _, name := range slices.Sorted(maps.Keys(side.approvals)) {
			approval := side.approvals[name]
			refs := []access.Ref{{Kind: access.KindApproval, Name: name}}
			for _, user := range slices.Concat(r.base.logins[approval.Approver], r.head.logins[approval.Approver]) {
				refs = append(refs, access.Ref{Kind: access.KindUser, Name: user})
			}
			for _, ref := range refs {
				if c.changed[ref] != "" && !slices.Contains(r.about[approval.For], ref) {
					r.about[approval.For] = append(r.about[approval.For], ref)
				}
			}
		}
	}
}

func admits(g *access.Guardrail) bool {
	return g != nil && slices.ContainsFunc(g.Rules, func(r access.GuardrailRule) bool { return r.Admit != nil })
}

func compareRefs(a, b access.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// causesOf are the changed declarations that a user's access by these paths comes from, or came: what gives it, the roles
// on the way, what was approved or revoked of them, and where none of these says why, what makes them reach the user: the
// organisation tree, the reporting line, the guardrails.
func (c *comparison) causesOf(paths []Path, user string) []Cause {
	found := &collected{c: c, seen: make(map[access.Ref]bool)}
	found.account(user)
	for i := range paths {
		found.text(&paths[i])
	}
	for i := range paths {
		found.reach(&paths[i], user)
	}
	if len(found.causes) == 0 {
		for i := range paths {
			found.admission(paths[i].Owner)
		}
	}
	slices.SortFunc(found.causes, func(a, b Cause) int { return compareRefs(a.Ref, b.Ref) })
	return found.causes
}

// collected are causes, each once.
type collected struct {
	c      *comparison
	seen   map[access.Ref]bool
	causes []Cause
}

func (f *collected) add(refs ...access.Ref) {
	for _, ref := range refs {
		if f.c.changed[ref] != "" && !f.seen[ref] {
			f.seen[ref] = true
			f.causes = append(f.causes, f.c.knownCause(ref))
		}
	}
}

// account adds the user where it joins or leaves, or what its access depends on differs.
func (f *collected) account(user string) {
	ref, r := access.Ref{Kind: access.KindUser, Name: user}, f.c.causing()
	if f.c.changed[ref] != "" {
		before, after := r.base.users[user], r.head.users[user]
		if before == nil || after == nil || firstDifference(userText(before), userText(after)) != "" {
			f.add(ref)
		}
	}
	f.add(r.about[ref]...)
}

// text adds what stands on the path itself.
func (f *collected) text(path *Path) {
	r := f.c.causing()
	f.add(path.Owner)
	f.add(r.about[path.Owner]...)
	if path.Roles == "" {
		return
	}
	for name := range strings.SplitSeq(path.Roles, " > ") {
		role := access.Ref{Kind: access.KindRole, Name: name}
		f.add(role)
		f.add(r.about[role]...)
	}
}

// reach adds what makes the path reach the user and the records.
func (f *collected) reach(path *Path, user string) {
	r := f.c.causing()
	for _, side := range []*declared{r.base, r.head} {
		u := side.users[user]
		if u == nil {
			continue
		}
		for _, department := range u.Departments {
			if strings.Contains(path.Grant, access.ScopeDepartmentAndBelow.String()) {
				f.add(r.below[department]...)
			}
			if side.selectsTrees(path.Owner) {
				f.moved(side.lineAbove(department))
			}
		}
	}
	if strings.Contains(path.Grant, access.ScopeSubordinates.String()) {
		f.add(r.led[user]...)
	}
	if strings.Contains(path.Grant, "departmentTrees") {
		for _, root := range f.c.treesOf(path.Owner) {
			f.add(r.below[root]...)
		}
	}
}

// moved adds those of the departments that have another parent.
func (f *collected) moved(departments []string) {
	r := f.c.causing()
	for _, name := range departments {
		ref := access.Ref{Kind: access.KindDepartment, Name: name}
		if slices.Contains(r.below[name], ref) {
			f.add(ref)
		}
	}
}

// selectsTrees says whether a binding selects whole departments with what lies below.
func (d *declared) selectsTrees(owner access.Ref) bool {
	b := d.bindings[owner.Name]
	return owner.Kind == access.KindUserBinding && b != nil &&
		slices.ContainsFunc(b.Subjects, func(s access.Subject) bool { return s.Selector.DepartmentTree != "" })
}

// treesOf are the departments that a temporary grant selects records of, with what lies below.
func (c *comparison) treesOf(owner access.Ref) (roots []string) {
	for _, side := range []*declared{c.causing().base, c.causing().head} {
		if g := side.grants[owner.Name]; owner.Kind == access.KindTemporaryGrant && g != nil {
			for i := range g.Grants {
				roots = append(roots, g.Grants[i].Records.DepartmentTrees...)
			}
		}
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}

// admission adds the guardrails that say what of a binding or grant counts, where they have something to say.
func (f *collected) admission(owner access.Ref) {
	for s := range states {
		if side := f.c.side(s); len(side.Admissions[owner])+len(side.Findings[owner]) > 0 {
			f.add(f.c.causing().admitting...)
		}
	}
}

// knownCause is cause, told once: a role that changes is the cause of thousands of rows.
func (c *comparison) knownCause(ref access.Ref) Cause {
	if known, told := c.causing().known.Load(ref); told {
		return known.(Cause)
	}
	cause := c.cause(ref, "")
	c.causing().known.Store(ref, cause)
	return cause
}

// cause tells where a changed declaration differs; in a role or temporary grant, where it differs about an object.
func (c *comparison) cause(ref access.Ref, object string) Cause {
	cause := Cause{Ref: ref, Verb: c.changed[ref]}
	if cause.Verb == Changed {
		cause.Field = cmp.Or(c.difference(ref, object), c.difference(ref, ""))
	}
	side := c.head
	if cause.Verb == Removed {
		side = c.base
	}
	cause.Source = side.locate(ref, cause.Field)
	return cause
}

// locate is where a field of a declaration stands, or the declaration where that is not known.
func (s *side) locate(ref access.Ref, field string) manifest.Source {
	at := s.Sources[ref]
	if field == "" || s.Locate == nil || at == (manifest.Source{}) {
		return at
	}
	return s.Locate(at, field)
}

// locator finds the line of a field of a declaration, as State.Locate does.
type locator func(object manifest.Source, field string) manifest.Source

// oneAtATime lets people be compared side by side: who finds lines reads files, and remembers them.
func oneAtATime(base, head locator) (locator, locator) {
	var mutex sync.Mutex
	guarded := func(locate locator) locator {
		if locate == nil {
			return nil
		}
		return func(object manifest.Source, field string) manifest.Source {
			mutex.Lock()
			defer mutex.Unlock()
			return locate(object, field)
		}
	}
	return guarded(base), guarded(head)
}

// difference is the first place in which the two texts of a declaration differ.
func (c *comparison) difference(ref access.Ref, object string) string {
	before, after, name := c.causing().base, c.causing().head, ref.Name
	switch ref.Kind {
	case access.KindObjectType:
		return firstDifference(objectTypeText(before.objects[name]), objectTypeText(after.objects[name]))
	case access.KindDepartment:
		return firstDifference(departmentText(before.departments[name]), departmentText(after.departments[name]))
	case access.KindUser:
		return firstDifference(personText(before.users[name]), personText(after.users[name]))
	case access.KindRole:
		return firstDifference(roleText(before.roles[name], object), roleText(after.roles[name], object))
	case access.KindUserBinding:
		return firstDifference(bindingText(before.bindings[name]), bindingText(after.bindings[name]))
	case access.KindTemporaryGrant:
		return firstDifference(temporaryGrantText(before.grants[name], object), temporaryGrantText(after.grants[name], object))
	case access.KindGuardrail:
		return firstDifference(guardrailText(before.guardrails[name]), guardrailText(after.guardrails[name]))
	case access.KindRevocation:
		return firstDifference(revocationText(before.revocations[name]), revocationText(after.revocations[name]))
	case access.KindApproval:
		return firstDifference(approvalText(before.approvals[name]), approvalText(after.approvals[name]))
	}
	return ""
}

// explain completes the causes of a row, now that it is known which object it is about.
func (c *comparison) explain(row *Change) {
	for i, cause := range row.Causes {
		if cause.Verb == Changed && (cause.Ref.Kind == access.KindRole || cause.Ref.Kind == access.KindTemporaryGrant) {
			row.Causes[i] = c.cause(cause.Ref, row.Object)
		}
	}
	for _, object := range c.lineOfObjects(row.Object) {
		ref := access.Ref{Kind: access.KindObjectType, Name: object}
		if c.retypes(ref, row) && !slices.ContainsFunc(row.Causes, func(cause Cause) bool { return cause.Ref == ref }) {
			row.Causes = append(row.Causes, c.cause(ref, ""))
		}
	}
	if len(row.Causes) == 0 { // whatever it is, it is among these
		refs := slices.SortedFunc(maps.Keys(c.changed), compareRefs)
		for _, ref := range refs[:min(len(refs), mostCauses)] {
			row.Causes = append(row.Causes, c.cause(ref, row.Object))
		}
	}
	slices.SortFunc(row.Causes, func(a, b Cause) int { return compareRefs(a.Ref, b.Ref) })
}

// lineOfObjects are the object and those whose records decide about its own.
func (c *comparison) lineOfObjects(object string) (line []string) {
	for object != "" && !slices.Contains(line, object) {
		line = append(line, object)
		o := c.causing().head.objects[object]
		if o == nil {
			break
		}
		object = o.AccessFrom.Object
	}
	return line
}

// retypes says whether a change of the ObjectType is one that such a row can come from.
func (c *comparison) retypes(ref access.Ref, row *Change) bool {
	before, after := c.causing().base.objects[ref.Name], c.causing().head.objects[ref.Name]
	switch {
	case c.changed[ref] == "":
		return false
	case before == nil || after == nil || before.Disabled != after.Disabled || before.AccessFrom != after.AccessFrom:
		return true
	case ref.Name != row.Object:
		return false
	}
	if slices.ContainsFunc(row.Actions, func(a string) bool { return slices.Contains(before.Actions, a) != slices.Contains(after.Actions, a) }) {
		return true
	}
	return slices.ContainsFunc(row.Fields, func(f FieldLevel) bool {
		return classOf(before, f.Field) != classOf(after, f.Field) || before.OwnerField != after.OwnerField || before.DepartmentField != after.DepartmentField
	})
}

// classOf is the class of a field, or ClassUnset where the object does not have it.
func classOf(o *access.ObjectType, field string) access.Class {
	for i := range o.Fields {
		if o.Fields[i].Name == field {
			return o.Fields[i].Class
		}
	}
	return access.ClassUnset
}
