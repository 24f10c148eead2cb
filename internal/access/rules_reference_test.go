package access_test

import (
	"math/rand/v2"
	"slices"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The guardrails of the reference: each rule of design §4 in plain words.

func (r reference) rules(object, action string, about func(GuardrailRule) *Target) (rules []GuardrailRule) {
	for _, g := range r.d.Guardrails {
		for _, rule := range g.Rules {
			target := about(rule)
			if target != nil && (slices.Contains(target.Objects, object) || slices.Contains(target.Objects, "*")) &&
				(slices.Contains(target.Actions, action) || slices.Contains(target.Actions, "*")) {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

func (r reference) forbidden(now schedule.Instant, user *User, object *ObjectType, q *Request) bool {
	c := q.Context
	for _, rule := range r.rules(object.Name, q.Action, func(g GuardrailRule) *Target {
		if g.Deny != nil {
			return &g.Deny.Target
		}
		return nil
	}) {
		when := rule.Deny.When
		channel := len(when.Channels) == 0 || slices.Contains(when.Channels, c.Channel) || !slices.Contains(worldChannels, c.Channel)
		reason := !when.ReasonMissing || c.Reason == ""
		window := len(when.Windows) == 0
		for _, w := range when.Windows {
			window = window || (w.NotBefore <= now && now < w.NotAfter)
		}
		if channel && reason && window {
			return true
		}
	}
	for _, rule := range r.rules(object.Name, q.Action, func(g GuardrailRule) *Target {
		if g.Limit != nil {
			return &g.Limit.Target
		}
		return nil
	}) {
		limit := rule.Limit
		if limit.MaxRowsPerRequest != nil && (c.Rows == nil || *c.Rows > *limit.MaxRowsPerRequest) ||
			limit.MaxRowsPerDay != nil && (c.Rows == nil || c.Used == nil || *c.Rows+*c.Used > *limit.MaxRowsPerDay) ||
			limit.MaxRecordsOwned != nil && (c.Owned == nil || *c.Owned+1 > *limit.MaxRecordsOwned) {
			return true
		}
	}
	for _, g := range r.d.Guardrails {
		for _, rule := range g.Rules {
			if rule.Separate == nil || q.Action == ActionCreate {
				continue
			}
			does := slices.Contains(rule.Separate.Duties, Duty{Object: object.Name, Action: q.Action})
			created := slices.Contains(rule.Separate.Duties, Duty{Object: object.Name, Action: ActionCreate})
			if does && created && (q.Record == nil || q.Record.Creator == "" || q.Record.Creator == user.Name) {
				return true
			}
		}
	}
	return false
}

func (r reference) cap(object *ObjectType, field *Field) Level {
	highest := LevelEdit
	for _, g := range r.d.Guardrails {
		for _, rule := range g.Rules {
			if c := rule.Cap; c != nil && (slices.Contains(c.Objects, object.Name) || slices.Contains(c.Objects, "*")) &&
				(slices.Contains(c.Classes, field.Class.String()) || slices.Contains(c.Fields, field.Name)) {
				level, _ := ParseLevel(c.Level)
				highest = min(highest, level)
			}
		}
	}
	return highest
}

// approved says whether every rule that matches has an approver of its own: it tries every way of sharing them out.
func (r reference) approved(now schedule.Instant, user *User, object *ObjectType, q *Request) bool {
	var needs []ApproveRule
	for _, rule := range r.rules(object.Name, q.Action, func(g GuardrailRule) *Target {
		if g.Approve != nil {
			return &g.Approve.Target
		}
		return nil
	}) {
		if r.asks(now, user, object, rule.Approve.When, q) {
			needs = append(needs, *rule.Approve)
		}
	}
	var share func(needs []ApproveRule, people []string) bool
	share = func(needs []ApproveRule, people []string) bool {
		if len(needs) == 0 {
			return true
		}
		for i, person := range people {
			others := slices.DeleteFunc(slices.Clone(people), func(p string) bool { return p == people[i] })
			if r.fits(now, user, person, needs[0].By) && share(needs[1:], others) {
				return true
			}
		}
		return false
	}
	return share(needs, q.Context.ApprovedBy)
}

func (r reference) asks(now schedule.Instant, user *User, object *ObjectType, when ApproveWhen, q *Request) bool {
	c := q.Context
	if when.RowsOver != nil && c.Rows != nil && *c.Rows <= *when.RowsOver {
		return false
	}
	if when.OtherDepartment {
		scoped, o := q.Record, object
		for o.AccessFrom.Object != "" && scoped != nil {
			scoped, o = scoped.Parent, r.object(o.AccessFrom.Object)
		}
		target := r.user(c.TargetUser)
		stays := scoped != nil && (c.TargetDepartment != "" || c.TargetUser != "") &&
			(c.TargetDepartment == "" || c.TargetDepartment == scoped.Department) &&
			(c.TargetUser == "" || target != nil && slices.Contains(target.Departments, scoped.Department))
		if stays {
			return false
		}
	}
	if when.ScopeAtMost == "" {
		return true
	}
	order := []string{"own", "involved", "subordinates", "department", "departmentAndBelow", "all"}
	widest := -1
	for _, g := range r.grantsOf(user, now) {
		if g.Object != object.Name || !slices.Contains(g.Actions, q.Action) || !r.covers(user, object, g, q.Record) {
			continue
		}
		for i := range order {
			alone := g
			alone.Records = Records{Scopes: g.Records.Scopes & (1 << i)}
			if alone.Records.Scopes != 0 && r.covers(user, object, alone, q.Record) {
				widest = max(widest, i)
			}
		}
		if g.Records.Scopes == 0 {
			widest = len(order)
		}
	}
	return widest <= slices.Index(order, when.ScopeAtMost)
}

func (r reference) fits(now schedule.Instant, subject *User, person string, by []Approver) bool {
	u := r.user(person)
	if u == nil || u.Name == subject.Name || u.State != StateActive || u.Type != UserEmployee {
		return false
	}
	for _, a := range by {
		switch {
		case a.User != "" && a.User == person, a.Role != "" && slices.Contains(r.rolesOf(u, now), a.Role):
			return true
		case a.ManagerOfSubject:
			manager := r.user(subject.Manager)
			for manager != nil && (manager.State != StateActive || manager.Type != UserEmployee) {
				manager = r.user(manager.Manager)
			}
			if manager == u {
				return true
			}
		}
	}
	return false
}

// rolesOf are the roles that somebody holds, and all that these inherit.
func (r reference) rolesOf(user *User, now schedule.Instant) (roles []string) {
	for _, b := range r.d.UserBindings {
		if slices.ContainsFunc(b.Subjects, func(s Subject) bool { return r.isSubject(user, s) }) {
			roles = append(roles, b.Roles...)
		}
	}
	for _, t := range r.d.TemporaryGrants {
		if slices.Contains(t.Users, user.Name) && t.Window.Active(now) {
			roles = append(roles, t.Roles...)
		}
	}
	roles = slices.DeleteFunc(roles, func(name string) bool {
		return slices.ContainsFunc(r.d.Roles, func(role *Role) bool { return role.Name == name && role.Abstract })
	})
	for i := 0; i < len(roles); i++ {
		for _, role := range r.d.Roles {
			if role.Name != roles[i] {
				continue
			}
			for _, entry := range role.Inherits {
				if !slices.Contains(roles, entry.Role) {
					roles = append(roles, entry.Role)
				}
			}
		}
	}
	return roles
}

var worldChannels = []string{"api", "batch", "desktop", "mobile", "web"}

// newGuardrails makes rules of every form that a decision asks, each about a few objects and actions.
func newGuardrails(random *rand.Rand, n size) (all []*Guardrail) {
	number := func(most int64) *int64 { v := random.Int64N(most); return &v }
	for i := range 12 {
		target := Target{Objects: []string{pick(random, "object", n.objects)}, Actions: []string{worldActions[random.IntN(len(worldActions))], ActionRead}}
		if random.IntN(4) == 0 {
			target = Target{Objects: []string{Any}, Actions: []string{worldActions[random.IntN(len(worldActions))]}}
		}
		var rule GuardrailRule
		switch i % 6 {
		case 0:
			rule.Deny = &DenyRule{Target: target, When: DenyWhen{Channels: []string{"mobile"}, ReasonMissing: random.IntN(2) == 0}}
			if random.IntN(2) == 0 {
				start := worldStart + schedule.Instant(random.IntN(worldSpan))
				rule.Deny.When.Windows = []Span{{Window: schedule.Window{NotBefore: start, NotAfter: start + 300}}}
			}
		case 1:
			rule.Limit = &LimitRule{Target: target, MaxRowsPerRequest: number(100), MaxRowsPerDay: number(200)}
		case 2:
			rule.Approve = &ApproveRule{Target: target, By: []Approver{{ManagerOfSubject: true}, {Role: pick(random, "role", n.roles)}}}
			switch random.IntN(3) {
			case 0:
				rule.Approve.When.ScopeAtMost = []string{"own", "department", "all"}[random.IntN(3)]
			case 1:
				rule.Approve.When.OtherDepartment = true
			}
		case 3:
			rule.Cap = &CapRule{Objects: target.Objects, Classes: []string{Class(1 + random.IntN(5)).String()}, Level: Level(random.IntN(3)).String()}
		case 4:
			object := pick(random, "object", n.objects)
			rule.Separate = &SeparateRule{Duties: []Duty{{object, ActionCreate}, {object, worldActions[1+random.IntN(5)]}}}
		case 5:
			rule.Approve = &ApproveRule{Target: target, When: ApproveWhen{RowsOver: number(100)}, By: []Approver{{User: pick(random, "user", n.users)}, {Role: pick(random, "role", n.roles)}}}
		}
		all = append(all, &Guardrail{Name: name("guardrail", i), Rules: []GuardrailRule{rule}})
	}
	return all
}

// newContext says something of everything most of the time.
func newContext(random *rand.Rand, n size) (c Context) {
	if random.IntN(8) > 0 {
		c.Channel = append(worldChannels, "web", "web", "web", "fax")[random.IntN(9)]
	}
	if random.IntN(8) > 0 {
		rows, used := random.Int64N(60), random.Int64N(60)
		c.Rows, c.Used = &rows, &used
	}
	if random.IntN(3) > 0 {
		c.Reason = "because"
	}
	switch random.IntN(3) {
	case 0:
		c.TargetUser = pick(random, "user", n.users)
	case 1:
		c.TargetDepartment = pick(random, "dept", n.departments)
	}
	for range random.IntN(8) {
		c.ApprovedBy = append(c.ApprovedBy, pick(random, "user", n.users))
	}
	return c
}
