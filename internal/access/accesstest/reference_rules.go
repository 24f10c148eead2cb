package accesstest

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The guardrails of the reference: each rule of design §4 in plain words.

func (r Reference) rules() (rules []access.GuardrailRule) {
	for _, g := range r.Guardrails {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// about says whether a rule is about an action on an object.
func about(t access.Target, object *access.ObjectType, action string) bool {
	return (slices.Contains(t.Objects, object.Name) || slices.Contains(t.Objects, access.Any)) &&
		(slices.Contains(t.Actions, action) || slices.Contains(t.Actions, access.Any))
}

// forbidden names the form of the first rule that denies; empty where none does.
func (r Reference) forbidden(now schedule.Instant, user *access.User, object *access.ObjectType, q *access.Request) string {
	for _, rule := range r.rules() {
		switch {
		case rule.Deny != nil && about(rule.Deny.Target, object, q.Action) && denies(rule.Deny.When, now, q.Context):
			return "deny rule"
		case rule.Limit != nil && about(rule.Limit.Target, object, q.Action) && exceeds(rule.Limit, q.Context):
			return "limit rule"
		case rule.Separate != nil && separates(rule.Separate, user, object, q):
			return "separate rule"
		}
	}
	return ""
}

// denies: everything asked is so, or may be so because the context does not say, or says what nobody knows.
func denies(when access.DenyWhen, now schedule.Instant, c access.Context) bool {
	channel := len(when.Channels) == 0 || slices.Contains(when.Channels, c.Channel) || !slices.Contains(channels, c.Channel)
	device := len(when.Devices) == 0 || slices.Contains(when.Devices, c.Device) || !slices.Contains(devices, c.Device)
	reason := !when.ReasonMissing || c.Reason == ""
	window := len(when.Windows) == 0 || slices.ContainsFunc(when.Windows, func(w access.Span) bool { return w.NotBefore <= now && now < w.NotAfter })
	return channel && device && reason && window
}

func exceeds(limit *access.LimitRule, c access.Context) bool {
	return limit.MaxRowsPerRequest != nil && (c.Rows == nil || *c.Rows > *limit.MaxRowsPerRequest) ||
		limit.MaxRowsPerDay != nil && (c.Rows == nil || c.Used == nil || *c.Rows+*c.Used > *limit.MaxRowsPerDay) ||
		limit.MaxRecordsOwned != nil && (c.Owned == nil || *c.Owned+1 > *limit.MaxRecordsOwned)
}

// separates: whoever created the record, as far as is known, may not do the other duty to it.
func separates(rule *access.SeparateRule, user *access.User, object *access.ObjectType, q *access.Request) bool {
	does := q.Action != access.ActionCreate && slices.Contains(rule.Duties, access.Duty{Object: object.Name, Action: q.Action})
	creates := slices.Contains(rule.Duties, access.Duty{Object: object.Name, Action: access.ActionCreate})
	return does && creates && (q.Record == nil || q.Record.Creator == "" || q.Record.Creator == user.Name)
}

func (r Reference) cap(object *access.ObjectType, field *access.Field) access.Level {
	highest := access.LevelEdit
	for _, rule := range r.rules() {
		if c := rule.Cap; c != nil && (slices.Contains(c.Objects, object.Name) || slices.Contains(c.Objects, access.Any)) &&
			(slices.Contains(c.Classes, field.Class.String()) || slices.Contains(c.Fields, field.Name)) {
			level, _ := access.ParseLevel(c.Level)
			highest = min(highest, level)
		}
	}
	return highest
}

// unapproved names what asks for an approval that the context does not carry; empty where every rule that matches has an
// approver of its own. It tries every way of sharing the approvers out.
func (r Reference) unapproved(now schedule.Instant, user *access.User, object *access.ObjectType, q *access.Request, covering, answering []held) string {
	var needs []*access.ApproveRule
	for _, rule := range r.rules() {
		if rule.Approve != nil && about(rule.Approve.Target, object, q.Action) && r.asks(rule.Approve.When, object, q, answering) {
			needs = append(needs, rule.Approve)
		}
	}
	parties := r.partiesTo(user, object, q, covering, answering)
	var share func(needs []*access.ApproveRule, people []string) bool
	share = func(needs []*access.ApproveRule, people []string) bool {
		return len(needs) == 0 || slices.ContainsFunc(people, func(person string) bool {
			others := slices.DeleteFunc(slices.Clone(people), func(p string) bool { return p == person })
			return r.mayApprove(now, parties, person, needs[0].By) && share(needs[1:], others)
		})
	}
	if share(needs, q.Context.ApprovedBy) {
		return ""
	}
	return "approve rule"
}

func (r Reference) asks(when access.ApproveWhen, object *access.ObjectType, q *access.Request, answering []held) bool {
	switch {
	case when.RowsOver != nil && q.Context.Rows != nil && *q.Context.Rows <= *when.RowsOver:
		return false
	case when.OtherDepartment && r.staysInDepartment(object, q):
		return false
	}
	return when.ScopeAtMost == "" || r.widest(object, q.Record, answering) <= slices.Index(reaches, when.ScopeAtMost)
}

// staysInDepartment: all targets that were said lie in the record's department.
func (r Reference) staysInDepartment(object *access.ObjectType, q *access.Request) bool {
	record := q.Record
	for object.AccessFrom.Object != "" && record != nil {
		record, object = record.Parent, r.object(object.AccessFrom.Object)
	}
	c, target := q.Context, r.user(q.Context.TargetUser)
	return record != nil && (c.TargetDepartment != "" || c.TargetUser != "") &&
		(c.TargetDepartment == "" || c.TargetDepartment == record.Department) &&
		(c.TargetUser == "" || target != nil && slices.Contains(target.Departments, record.Department))
}

// reaches are the ways of taking a record in, from the narrowest; a selection of records counts as wider than any scope.
var reaches = []string{"own", "involved", "subordinates", "department", "departmentAndBelow", "all"}

func (r Reference) widest(object *access.ObjectType, record *access.Record, answering []held) int {
	widest := -1
	for _, h := range answering {
		ways := h.Records.Scopes.Names()
		if record != nil {
			ways = r.ways(h.by, object, h.Grant, record)
		}
		if h.Records.Scopes == 0 {
			return len(reaches)
		}
		for _, way := range ways {
			widest = max(widest, slices.Index(reaches, way))
		}
	}
	return widest
}

// partiesTo: the subject and whoever shares what answers where nothing of the subject's own does, or what raises a field
// that is asked for above the level of the subject's own.
func (r Reference) partiesTo(subject *access.User, object *access.ObjectType, q *access.Request, covering, answering []held) []*access.User {
	parties := []*access.User{subject}
	isOwn := func(h held) bool { return h.share == nil }
	if !slices.ContainsFunc(answering, isOwn) {
		for _, h := range answering {
			parties = append(parties, h.by)
		}
	}
	if q.Record == nil {
		return parties // a share of a list narrows its levels
	}
	own := slices.DeleteFunc(slices.Clone(covering), func(h held) bool { return !isOwn(h) })
	for _, h := range covering {
		for _, name := range q.Fields {
			f := *field(object, name)
			if !isOwn(h) && r.shown(object, f, q, append(slices.Clone(own), h), nil) > r.shown(object, f, q, own, nil) {
				parties = append(parties, h.by)
			}
		}
	}
	return parties
}

// mayApprove: an active person of the company, never a party, whom the rule names. The manager is the manager of each.
func (r Reference) mayApprove(now schedule.Instant, parties []*access.User, person string, by []access.Approver) bool {
	u := r.user(person)
	if u == nil || slices.Contains(parties, u) || !r.isApprover(u) {
		return false
	}
	return slices.ContainsFunc(by, func(a access.Approver) bool {
		switch {
		case a.ManagerOfSubject:
			return !slices.ContainsFunc(parties, func(party *access.User) bool {
				manager := r.user(party.Manager)
				for manager != nil && (slices.Contains(parties, manager) || !r.isApprover(manager)) {
					manager = r.user(manager.Manager)
				}
				return manager != u
			})
		case a.Role != "":
			return r.isHolder(u, a.Role, now)
		}
		return a.User == person
	})
}

func (r Reference) isApprover(u *access.User) bool {
	return u.State == access.StateActive && u.Type == access.UserEmployee && !r.isRevoked(access.KindUser, u.Name)
}
