package accesstest

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Reference decides straight from the declarations, in the words of design §4, without indexes or facts. It is slow and
// short on purpose: every path is held against it on generated worlds, where every reference resolves. What a declaration
// needs before it counts (approvals of bindings and temporary grants) is settled before §4 and not asked here.
type Reference struct {
	access.Declarations
	// Shares are what people share at run-time.
	Shares []access.ShareFact
}

// Verdict is an answer and the rule that decided it.
type Verdict struct {
	Effect access.Effect
	// Levels are those of the fields asked for, in their order.
	Levels []access.Level
	// By says what decided, in a few words: of a deny the first no, of an allow all the ways in which grants take the
	// record in.
	By []string
}

// Decide answers a request at an instant.
func (r Reference) Decide(now schedule.Instant, q *access.Request) (access.Effect, []access.Level) {
	v := r.Judge(now, q)
	return v.Effect, v.Levels
}

// Judge is Decide with what decided. The stages are those of design §4, in their order.
func (r Reference) Judge(now schedule.Instant, q *access.Request) Verdict {
	deny := func(by string) Verdict {
		return Verdict{access.Deny, make([]access.Level, len(q.Fields)), []string{by}}
	}
	user := r.user(q.User)
	switch { // 0 revocation, 1 account
	case user != nil && r.isRevoked(access.KindUser, user.Name):
		return deny("user revoked")
	case user == nil:
		return deny("no account")
	case user.State != access.StateActive:
		return deny("account not active")
	}
	object := r.object(q.Object)
	switch { // 2 catalogue
	case object == nil:
		return deny("unknown object")
	case object.Disabled:
		return deny("object disabled")
	case !slices.Contains(object.Actions, q.Action):
		return deny("unknown action")
	case slices.ContainsFunc(q.Fields, func(name string) bool { return field(object, name) == nil }):
		return deny("unknown field")
	case q.Record == nil && q.Action != access.ActionRead && q.Action != access.ActionExport:
		return deny("no record")
	}
	if by := r.forbidden(now, user, object, q); by != "" { // 3 guardrails
		return deny(by)
	}
	covering := r.covering(now, user, object, q) // 4 grants
	answering := slices.DeleteFunc(slices.Clone(covering), func(h held) bool { return !h.does(q.Action) })
	if len(answering) == 0 {
		return deny("nothing covers")
	}
	levels := make([]access.Level, len(q.Fields)) // 6 fields, before 5: one below edit denies what nobody needs to approve then
	for i, name := range q.Fields {
		levels[i] = r.shown(object, *field(object, name), q, covering, answering)
		if (q.Action == access.ActionUpdate || q.Action == access.ActionCreate) && levels[i] < access.LevelEdit {
			return deny("field below edit")
		}
	}
	if by := r.unapproved(now, user, object, q, covering, answering); by != "" { // 5 approval
		return Verdict{access.NeedsApproval, make([]access.Level, len(q.Fields)), []string{by}}
	}
	v := Verdict{Effect: access.Allow, Levels: levels}
	for _, h := range answering {
		if h.share != nil {
			v.By = append(v.By, "shared")
			continue
		}
		v.By = append(v.By, r.ways(user, object, h.Grant, q.Record)...)
	}
	return v
}

// shown is what an answer tells of a field: not above what guardrails cap it at; unmask shows what is masked.
func (r Reference) shown(o *access.ObjectType, f access.Field, q *access.Request, covering, answering []held) access.Level {
	level := min(r.fieldLevel(o, f, q, covering, answering), r.cap(o, &f))
	if q.Action == access.ActionUnmask && level == access.LevelMasked {
		return access.LevelRead
	}
	return level
}

// fieldLevel: on a record the widest over all the tuples that cover it; of a list the narrowest over those that answer,
// which is what holds on every record of it.
func (r Reference) fieldLevel(o *access.ObjectType, f access.Field, q *access.Request, covering, answering []held) access.Level {
	if q.Record == nil {
		level := access.LevelEdit
		for _, h := range answering {
			level = min(level, h.level(o, f, access.ActionUpdate))
		}
		return level
	}
	level, editing := access.LevelNone, access.ActionUpdate
	if q.Action == access.ActionCreate {
		editing = access.ActionCreate
	}
	for _, h := range covering {
		level = max(level, h.level(o, f, editing))
	}
	return level
}

// levelBy is what one tuple gives a field: a field rule beats a class rule beats the class default, and onlyFields raises
// nothing. edit takes the editing action (update; on a proposed record create), read takes read or update.
func levelBy(g access.Grant, o *access.ObjectType, f access.Field, editing string) access.Level {
	level := map[access.Class]access.Level{access.ClassPublic: access.LevelEdit, access.ClassInternal: access.LevelEdit, access.ClassConfidential: access.LevelMasked}[f.Class]
	for _, rule := range g.Fields {
		if rule.Class == f.Class {
			level = rule.Level
		}
	}
	for _, rule := range g.Fields {
		if rule.Field == f.Name {
			level = rule.Level
		}
	}
	reads := slices.Contains(g.Actions, access.ActionRead) || slices.Contains(g.Actions, access.ActionUpdate)
	switch fixed := editing == access.ActionUpdate && (f.Name == o.OwnerField || f.Name == o.DepartmentField); {
	case g.OnlyFields != nil && !slices.Contains(g.OnlyFields, f.Name):
		return access.LevelNone
	case slices.Contains(g.Actions, editing) && !fixed:
		return level
	case slices.Contains(g.Actions, editing), reads:
		return min(level, access.LevelRead)
	}
	return access.LevelNone
}

// covering are the undivided tuples on the object that are live at now and take the record in: the user's own, and those of
// whoever shares the record with the user.
func (r Reference) covering(now schedule.Instant, user *access.User, o *access.ObjectType, q *access.Request) (all []held) {
	take := func(by *access.User, share *access.ShareFact) {
		for _, g := range r.grantsOf(by, now) {
			if g.Object == o.Name && len(g.Actions) > 0 && len(r.ways(by, o, g, q.Record)) > 0 {
				all = append(all, held{g, by, share})
			}
		}
	}
	take(user, nil)
	for _, s := range r.sharesFor(now, user, o, q) {
		take(r.user(s.Maker), s)
	}
	return all
}

// ways are the scopes and selections by which a tuple takes a record in, in the order of design §2.
func (r Reference) ways(user *access.User, o *access.ObjectType, g access.Grant, record *access.Record) (ways []string) {
	if record == nil {
		return []string{"a list"}
	}
	if slices.ContainsFunc(g.Where, func(c access.Condition) bool { return !holds(c, o, record) }) {
		return nil
	}
	scoped, decides := record, o
	for decides.AccessFrom.Object != "" && scoped != nil {
		scoped, decides = scoped.Parent, r.object(decides.AccessFrom.Object)
	}
	if scoped == nil {
		scoped = &access.Record{} // of a parent that is not there nothing is known
	}
	inTree := func(root string) bool { return r.inTree(scoped.Department, root) }
	for _, way := range []struct {
		name string
		so   bool
	}{
		{"own", g.Records.Scopes.Has(access.ScopeOwn) && scoped.Owner == user.Name},
		{"involved", g.Records.Scopes.Has(access.ScopeInvolved) && slices.Contains(scoped.Participants, user.Name)},
		{"subordinates", g.Records.Scopes.Has(access.ScopeSubordinates) && r.isAbove(user.Name, scoped.Owner)},
		{"department", g.Records.Scopes.Has(access.ScopeDepartment) && slices.Contains(user.Departments, scoped.Department)},
		{"departmentAndBelow", g.Records.Scopes.Has(access.ScopeDepartmentAndBelow) && slices.ContainsFunc(user.Departments, inTree)},
		{"all", g.Records.Scopes.Has(access.ScopeAll)},
		{"ids", slices.Contains(g.Records.IDs, record.ID)},
		{"owners", scoped.Owner != "" && slices.Contains(g.Records.Owners, scoped.Owner)},
		{"departments", slices.Contains(g.Records.Departments, scoped.Department)},
		{"departmentTrees", slices.ContainsFunc(g.Records.DepartmentTrees, inTree)},
	} {
		if way.so {
			ways = append(ways, way.name)
		}
	}
	return ways
}

// holds says whether a record meets a condition. A missing attribute makes every condition false.
func holds(c access.Condition, o *access.ObjectType, record *access.Record) bool {
	values := record.Attributes[c.Field]
	for name, fact := range map[string]string{o.OwnerField: record.Owner, o.DepartmentField: record.Department} {
		if c.Field == name {
			values = slices.DeleteFunc([]string{fact}, func(v string) bool { return v == "" })
		}
	}
	in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(c.Values, v) })
	switch {
	case len(values) == 0:
		return false
	case c.Operator == access.OperatorIn:
		return in
	case c.Operator == access.OperatorNotIn:
		return !in
	}
	return c.Operator == access.OperatorExists
}
