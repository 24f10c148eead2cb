package access

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// compileGrant turns a declared grant, the i-th of its declaration, into a tuple. A grant is undivided: where one of its
// names is unknown it confers nothing, but for an action that the object does not have, which is left out, since no
// decision could ask for it.
func (r *resolver) compileGrant(ref Ref, i int, g *Grant) (*Tuple, bool) {
	c := grantCompiler{resolver: r, ref: ref, index: i, grant: g}
	if r.objects[g.Object] == nil {
		c.unknown("object", "object", g.Object, "the grant confers nothing")
		return nil, false
	}
	c.tuple = &Tuple{Origin: ref.Name, Object: g.Object, Scopes: g.Records.Scopes.Names()}
	c.actions()
	selected := c.records()
	conditioned := c.conditions()
	ruled := c.fieldRules()
	if !selected || !conditioned || !ruled || len(c.tuple.Actions) == 0 {
		return nil, false
	}
	c.tuple.Digest = digestOf(c.tuple)
	return c.tuple, true
}

// grantCompiler is one grant under way.
type grantCompiler struct {
	*resolver
	ref   Ref
	index int
	grant *Grant
	tuple *Tuple
}

// at is where in the declaration's spec; it is spelled out only for findings.
func (c *grantCompiler) at(field string) string { return fmt.Sprintf("grants[%d].%s", c.index, field) }

func (c *grantCompiler) unknown(field, what, name, consequence string) {
	c.resolver.unknown(c.ref, c.at(field), what, name, consequence)
}

func (c *grantCompiler) actions() {
	known := c.resolver.actions[c.grant.Object]
	actions := make([]string, 0, len(c.grant.Actions))
	for i, action := range c.grant.Actions {
		if !known[action] {
			c.unknown(fmt.Sprintf("actions[%d]", i), "action of "+c.grant.Object, action, "it is left out of the grant")
			continue
		}
		actions = append(actions, action)
	}
	c.tuple.Actions = inOrder(actions)
}

// records copies the selection of records. Names that nobody declares are left out: they select nothing.
func (c *grantCompiler) records() bool {
	records, t := &c.grant.Records, c.tuple
	for i, owner := range records.Owners {
		if c.users[owner] == nil {
			c.unknown(fmt.Sprintf("records.owners[%d]", i), "user", owner, "it selects no record")
			continue
		}
		t.Owners = append(t.Owners, owner)
	}
	known := func(list string, names []string) (out []string) {
		for i, name := range names {
			if c.departments[name] == nil {
				c.unknown(fmt.Sprintf("records.%s[%d]", list, i), "department", name, "it selects no record")
				continue
			}
			out = append(out, name)
		}
		return inOrder(out)
	}
	t.IDs = sorted(records.IDs)
	t.Owners = inOrder(t.Owners)
	t.Departments = known("departments", records.Departments)
	t.DepartmentTrees = known("departmentTrees", records.DepartmentTrees)
	return len(t.Scopes)+len(t.IDs)+len(t.Owners)+len(t.Departments)+len(t.DepartmentTrees) > 0
}

func (c *grantCompiler) conditions() bool {
	ok := true
	for i, condition := range c.grant.Where {
		if !c.fields[c.grant.Object][condition.Field] {
			c.unknown(fmt.Sprintf("where[%d].field", i), "field of "+c.grant.Object, condition.Field, "the grant confers nothing")
			ok = false
		}
		c.tuple.Where = append(c.tuple.Where, WhereFact{Field: condition.Field, Operator: condition.Operator, Values: sorted(condition.Values)})
	}
	return ok
}

func (c *grantCompiler) fieldRules() bool {
	ok, t, known := true, c.tuple, c.fields[c.grant.Object]
	if len(c.grant.Fields) > 0 {
		t.Fields = make([]RuleFact, 0, len(c.grant.Fields))
	}
	for i, rule := range c.grant.Fields {
		if rule.Field != "" && !known[rule.Field] {
			c.unknown(fmt.Sprintf("fields[%d].field", i), "field of "+c.grant.Object, rule.Field, "the grant confers nothing")
			ok = false
		}
		compiled := RuleFact{Field: rule.Field, Class: rule.Class.String(), Level: rule.Level.String()}
		if slices.ContainsFunc(t.Fields, func(r RuleFact) bool { return r.Field == compiled.Field && r.Class == compiled.Class }) {
			c.find(c.ref, ReasonInvalid, c.at(fmt.Sprintf("fields[%d]", i)), "a second rule for %s%s in one grant: the grant confers nothing; keep one of them", compiled.Field, compiled.Class)
			ok = false
		}
		t.Fields = append(t.Fields, compiled)
	}
	slices.SortFunc(t.Fields, compareRules)
	t.Restricted = c.grant.OnlyFields != nil
	for i, name := range c.grant.OnlyFields {
		if !known[name] {
			c.unknown(fmt.Sprintf("onlyFields[%d]", i), "field of "+c.grant.Object, name, "it is left out of the list")
			continue
		}
		t.OnlyFields = append(t.OnlyFields, name)
	}
	t.OnlyFields = inOrder(t.OnlyFields)
	return ok
}

// digestOf identifies a tuple by its origin and content. Every string is preceded by its length, so that no two
// contents read the same.
func digestOf(t *Tuple) string {
	content := make([]byte, 0, 512)
	text := func(s string) {
		content = binary.AppendUvarint(content, uint64(len(s)))
		content = append(content, s...)
	}
	list := func(names []string) {
		content = binary.AppendUvarint(content, uint64(len(names)))
		for _, name := range names {
			text(name)
		}
	}
	text(t.Origin)
	text(t.Object)
	for _, names := range [...][]string{t.Actions, t.Scopes, t.IDs, t.Owners, t.Departments, t.DepartmentTrees} {
		list(names)
	}
	content = binary.AppendUvarint(content, uint64(len(t.Where)))
	for _, c := range t.Where {
		text(c.Field)
		text(string(c.Operator))
		list(c.Values)
	}
	content = binary.AppendUvarint(content, uint64(len(t.Fields)))
	for _, rule := range t.Fields {
		text(rule.Field)
		text(rule.Class)
		text(rule.Level)
	}
	if t.Restricted {
		content = append(content, 1)
		list(t.OnlyFields)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:12])
}

func (r *resolver) resolveBinding(b *UserBinding) {
	ref := Ref{KindUserBinding, b.Name}
	roles := r.bindableRoles(ref, b.Roles)
	h := handing{resolver: r, ref: ref, window: schedule.Unbounded, reason: b.Justification, requestedBy: b.RequestedBy}
	gifts := make([]gift, len(roles))
	for i, role := range roles {
		gifts[i] = r.giftOf(role)
	}
	rules := h.rulesAbout(gifts)
	var named map[string]bool // asked only where somebody may have to wait for approval
	if len(rules) > 0 {
		named = r.namedUsers(b)
	}
	seen := make(map[string]bool)
	for i, s := range b.Subjects {
		field := fmt.Sprintf("subjects[%d]", i)
		if s.User == "" {
			refused, by := 0, Ref{}
			r.selectUsers(ref, field+".selector", s.Selector, func(u *User) {
				asking := h.asking(rules, u, gifts)
				switch {
				case seen[u.Name]:
				case len(asking) == 0:
					seen[u.Name] = true
					h.hand(u, gifts)
				case !named[u.Name]:
					refused++
					by = asking[0].guardrail
				}
			})
			if refused > 0 {
				r.find(ref, ReasonNeedsNamedUsers, field+".selector", "%s asks for approvals, which are of people: the users whom this selector matches (%d) get nothing by it; name them", by, refused)
			}
			continue
		}
		switch u := r.users[s.User]; {
		case u == nil:
			r.unknown(ref, field+".user", "user", s.User, "nobody gets a role by this line")
		case u.Type == UserExternal:
			r.find(ref, ReasonExternalUser, field+".user", "user %q is external and holds no role: give a TemporaryGrant with onlyFields instead", s.User)
		case !seen[u.Name]:
			seen[u.Name] = true
			h.offer(rules, u, gifts)
		}
	}
}

// namedUsers are the binding's subjects by name.
func (r *resolver) namedUsers(b *UserBinding) map[string]bool {
	named := make(map[string]bool, len(b.Subjects))
	for _, s := range b.Subjects {
		named[s.User] = true
	}
	return named
}

// bindableRoles are the distinct roles of the list that exist and may be held.
func (r *resolver) bindableRoles(ref Ref, names []string) []string {
	var roles []string
	for i, name := range names {
		field := fmt.Sprintf("roles[%d]", i)
		switch node := r.roles[name]; {
		case node == nil:
			r.unknown(ref, field, "role", name, "it confers nothing")
		case node.role.Abstract:
			r.find(ref, ReasonAbstractRole, field, "role %q is abstract: it may be inherited, not held; name a role that inherits it", name)
		case node.broken:
			r.find(ref, ReasonInvalid, field, "role %q does not compile and confers nothing: see Role/%s", name, name)
		case !slices.Contains(roles, name):
			roles = append(roles, name)
		}
	}
	return roles
}

// selectUsers calls hold for everybody whom the selector matches exactly.
func (r *resolver) selectUsers(ref Ref, field string, s Selector, hold func(*User)) {
	name, list := s.Department, "department"
	if s.DepartmentTree != "" {
		name, list = s.DepartmentTree, "departmentTree"
	}
	if r.departments[name] == nil {
		r.unknown(ref, field+"."+list, "department", name, "the selector matches nobody")
		return
	}
	r.eachSelected(s, hold)
}

// eachSelected calls hold for everybody whom the selector matches. Externals hold no role, so none matches.
func (r *resolver) eachSelected(s Selector, hold func(*User)) {
	matches := func(u *User) bool { return u.Type != UserExternal && (s.Title == "" || u.Title == s.Title) }
	if s.DepartmentTree == "" {
		for _, u := range r.members[s.Department] {
			if matches(u) {
				hold(u)
			}
		}
		return
	}
	for _, u := range r.membersBelow(s.DepartmentTree) {
		if matches(u) {
			hold(u)
		}
	}
}

// membersBelow are the members of a department and of those below it, in the order of the declarations, each once.
func (r *resolver) membersBelow(root string) []*User {
	if r.below == nil {
		r.below = make(map[string][]*User, len(r.ancestors))
		for _, u := range r.declared.Users {
			for _, department := range u.Departments {
				for _, ancestor := range r.ancestors[department] {
					if list := r.below[ancestor]; len(list) == 0 || list[len(list)-1] != u {
						r.below[ancestor] = append(list, u)
					}
				}
			}
		}
	}
	return r.below[root]
}

func (r *resolver) resolveTemporaryGrant(g *TemporaryGrant) {
	ref := Ref{KindTemporaryGrant, g.Name}
	if g.Window.Empty() {
		r.find(ref, ReasonInvalid, "notAfter", "the grant ends at %s, not after its start at %s: it confers nothing", g.Window.NotAfter, g.Window.NotBefore)
		return
	}
	users := make(map[string]*User, len(g.Users))
	for i, name := range g.Users {
		if u := r.users[name]; u != nil {
			users[name] = u
		} else {
			r.unknown(ref, fmt.Sprintf("users[%d]", i), "user", name, "this name gets nothing")
		}
	}
	given := make(map[string][]gift, len(users))
	give := func(user string, one gift) {
		if !slices.ContainsFunc(given[user], func(g gift) bool { return g.bundle == one.bundle }) {
			given[user] = append(given[user], one)
		}
	}
	for _, role := range r.bindableRoles(ref, g.Roles) {
		for i, name := range g.Users {
			switch u := users[name]; {
			case u == nil:
			case u.Type == UserExternal:
				r.find(ref, ReasonExternalUser, fmt.Sprintf("users[%d]", i), "user %q is external and holds no role: grant with onlyFields instead", name)
			default:
				give(name, r.giftOf(role))
			}
		}
	}
	for i := range g.Grants {
		r.resolveEntry(ref, i, g, users, give)
	}
	h := handing{resolver: r, ref: ref, window: g.Window, reason: g.Reason, requestedBy: g.RequestedBy, temporary: true, emergency: g.Emergency}
	h.handAll(g.Users, given)
}

// resolveEntry gives one entry of a temporary grant to all of its users, or to those it narrows to.
func (r *resolver) resolveEntry(ref Ref, index int, g *TemporaryGrant, users map[string]*User, give func(string, gift)) {
	entry, field := &g.Grants[index], fmt.Sprintf("grants[%d]", index)
	t, ok := r.tupleOf(ref, index, entry)
	if !ok {
		return
	}
	one := gift{bundle: grantBundle(g.Name, t.Digest), label: t.Digest, tuples: []pathTuple{{Tuple: t, path: g.Name}}, records: entry.Records}
	names := entry.Users
	if len(names) == 0 {
		names = g.Users
	}
	for i, name := range names {
		switch u := users[name]; {
		case !slices.Contains(g.Users, name):
			r.find(ref, ReasonInvalid, fmt.Sprintf("%s.users[%d]", field, i), "user %q is not among the grant's users: this name gets nothing", name)
		case u == nil: // found among the grant's users
		case u.Type == UserExternal && !t.Restricted:
			r.find(ref, ReasonExternalUser, field+".onlyFields", "user %q is external: a grant without onlyFields gives this name nothing", name)
		default:
			give(name, one)
		}
	}
}
