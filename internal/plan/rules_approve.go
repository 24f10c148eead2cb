package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// What a rule of approval says depends on who asks: how widely they hold the action, who their manager is. So everybody
// concerned is asked in person.

// approving are the rows of an edit of an approve rule.
func (p *prober) approving(e *ruleEdit) []*RuleChange {
	p.askInPerson()
	a := &approvalProbe{prober: p, edit: e, alone: [states]*access.Policy{p.asked[after].Under(onlyRule(e.rule[before])), p.asked[after].Under(onlyRule(e.rule[after]))}}
	a.may = make(map[ruleAt][]string)
	points := p.pairs(e)
	given := p.givenBy(after, points)
	concerned := false
	byKey := make(map[string]*RuleChange)
	var rows []*RuleChange
	for _, user := range slices.Sorted(maps.Keys(p.head.holders)) {
		if !p.head.isActive(user) {
			continue
		}
		c := &crowd{differing: [directions]bitset{newBitset(len(points)), newBitset(len(points))}, people: []Person{{User: user, DisplayName: p.head.users[user].DisplayName}}}
		for i, at := range points {
			if !slices.ContainsFunc(p.head.holders[user], func(h *access.HolderFact) bool { return given[h.Bundle] != nil && given[h.Bundle].has(i) }) {
				continue
			}
			concerned = true
			for direction, differs := range a.ask(user, at) {
				if differs {
					c.differing[direction].add(i)
				}
			}
		}
		rows = p.addCrowd(rows, byKey, e, c, points)
	}
	if !concerned && !saysTheSameOfApproval(e) {
		return []*RuleChange{a.ofNobody(points)}
	}
	for _, row := range rows {
		sortPeople(row.People)
	}
	return rows
}

// ofNobody is the row of an edit about what nobody may do yet.
func (a *approvalProbe) ofNobody(points []*point) *RuleChange {
	for _, at := range points {
		if a.edit.rule[after] != nil {
			at.windows[losing] = a.spans
		}
		if a.edit.rule[before] != nil {
			at.windows[gaining] = a.spans
		}
	}
	return a.unconcerning(a.edit, points)
}

// saysTheSameOfApproval says whether only the order of names differs.
func saysTheSameOfApproval(e *ruleEdit) bool {
	if e.rule[before] == nil || e.rule[after] == nil {
		return false
	}
	inOrder := func(rule access.ApproveRule) string {
		rule.Objects, rule.Actions = slices.Sorted(slices.Values(rule.Objects)), slices.Sorted(slices.Values(rule.Actions))
		rule.By = slices.SortedFunc(slices.Values(rule.By), compareApprovers)
		text, _ := json.Marshal(rule) // no rule has in it what JSON cannot say
		return string(text)
	}
	return inOrder(*e.rule[before].Approve) == inOrder(*e.rule[after].Approve)
}

func compareApprovers(x, y access.Approver) int {
	return cmp.Or(cmp.Compare(x.Role, y.Role), cmp.Compare(x.User, y.User))
}

// askInPerson makes the policies that people are asked in.
func (p *prober) askInPerson() {
	if p.under != nil {
		return
	}
	p.asked = [states]*access.Policy{access.NewPolicy(p.base.Facts), access.NewPolicy(p.head.Facts)}
	p.under = p.asked[after].Under(p.base.Facts.Guardrails)
}

// approvalProbe asks people about one edit.
type approvalProbe struct {
	*prober
	edit  *ruleEdit
	alone [states]*access.Policy // who holds what in head, under the one rule
	// may are who may approve by a rule at an instant, whoever asks.
	may map[ruleAt][]string
}

type ruleAt struct {
	rule *access.ApproveRule
	now  schedule.Instant
}

// ask says in which directions the answers of a user about a point differ.
func (a *approvalProbe) ask(user string, at *point) (found [directions]bool) {
	records := a.records(user, at)
	for _, now := range a.instants(user, at) {
		contexts := a.contextsOf(now, at, user)
		for i := range records {
			for j := range contexts {
				request := &access.Request{User: user, Object: at.object, Action: at.action, Record: records[i], Context: contexts[j]}
				if direction, differs := a.differs(now, request); differs {
					found[direction] = true
				}
				if (found[gaining] || a.ruleOf(before) == nil) && (found[losing] || a.ruleOf(after) == nil) {
					return found // a rule that is new gives nothing, and one that is gone takes nothing
				}
			}
		}
	}
	return found
}

// differs says whether the states answer differently, also where grants are the same, and the rule takes part in it.
func (a *approvalProbe) differs(now schedule.Instant, request *access.Request) (direction int, differs bool) {
	total := compareEffects(a.under, a.asked[after], now, request)
	if total == 0 || compareEffects(a.asked[before], a.asked[after], now, request) != total {
		return gaining, false
	}
	direction, stricter := gaining, before
	if total > 0 {
		direction, stricter = losing, after
	}
	return direction, a.asks(stricter, now, request) && (a.namesOthers() || !a.asks(1-stricter, now, request))
}

// asks says whether the rule of a state, alone, asks for an approval. That it has one does not matter: each rule wants an
// approver of its own, so that those who are enough for every rule may be too few for all.
func (a *approvalProbe) asks(s state, now schedule.Instant, request *access.Request) bool {
	unapproved := *request
	unapproved.Context.ApprovedBy = nil
	return a.alone[s].Decide(now, &unapproved, nil) == access.NeedsApproval
}

// namesOthers says whether the rule lets others approve than it did.
func (a *approvalProbe) namesOthers() bool {
	was, is := a.ruleOf(before), a.ruleOf(after)
	return was != nil && is != nil && !(isAmong(was.By, is.By) && isAmong(is.By, was.By))
}

func compareEffects(x, y *access.Policy, now schedule.Instant, request *access.Request) int {
	return cmp.Compare(x.Decide(now, request, nil), y.Decide(now, request, nil))
}

// instants are those at which something begins that the point is held by, or a window of a rule, and now.
func (a *approvalProbe) instants(user string, at *point) []schedule.Instant {
	instants := []schedule.Instant{a.options.At}
	for _, span := range a.spans {
		instants = append(instants, span.NotBefore)
	}
	for _, h := range a.head.holders[user] {
		if h.Window.NotBefore > a.options.At && slices.ContainsFunc(a.head.tuples[h.Bundle], func(t *access.TupleFact) bool {
			return t.Object == at.object && slices.Contains(t.Actions, at.action)
		}) {
			instants = append(instants, h.Window.NotBefore)
		}
	}
	slices.Sort(instants)
	return slices.Compact(instants)
}

// records are those that the user's grants take in, each by one of their scopes alone as far as that can be, and the list.
func (a *approvalProbe) records(user string, at *point) (records []*access.Record) {
	if at.action == access.ActionRead || at.action == access.ActionExport {
		records = append(records, nil)
	}
	elsewhere := a.otherDepartment(user)
	seen := make(map[string]bool)
	add := func(record *access.Record) {
		if key := fmt.Sprintf("%+v %+v", record, record.Parent); !seen[key] {
			seen[key] = true
			records = append(records, record)
		}
	}
	for _, h := range a.head.holders[user] {
		for _, t := range a.head.tuples[h.Bundle] {
			if t.Object != at.object || !slices.Contains(t.Actions, at.action) {
				continue
			}
			for _, record := range a.taken(user, t.Tuple) {
				add(a.placed(at.object, t.Tuple, record))
				if record.Department == "" {
					away := *record
					away.Department = elsewhere
					add(a.placed(at.object, t.Tuple, &away))
				}
			}
		}
	}
	return records
}

// taken are records that a tuple takes in, one for each of its scopes and names.
func (a *approvalProbe) taken(user string, t *access.Tuple) (records []*access.Record) {
	for _, scope := range t.Scopes {
		record := &access.Record{}
		switch scope {
		case access.ScopeOwn.String():
			record.Owner = user
		case access.ScopeInvolved.String():
			record.Participants = []string{user}
		case access.ScopeSubordinates.String():
			led := a.head.org.Subordinates(user)
			if len(led) == 0 {
				continue
			}
			record.Owner = led[0]
		case access.ScopeDepartment.String(), access.ScopeDepartmentAndBelow.String():
			records = append(records, a.inDepartments(user, scope)...)
			continue
		}
		records = append(records, record)
	}
	for _, id := range firstOf(t.IDs) {
		records = append(records, &access.Record{ID: id})
	}
	for _, owner := range firstOf(t.Owners) {
		records = append(records, &access.Record{Owner: owner})
	}
	for _, department := range slices.Concat(firstOf(t.Departments), firstOf(t.DepartmentTrees)) {
		records = append(records, &access.Record{Department: department})
	}
	return records
}

// inDepartments are records of the user's own departments or, where the scope reaches below, also of one that is not.
func (a *approvalProbe) inDepartments(user, scope string) (records []*access.Record) {
	own := a.head.departments[user]
	for _, department := range own {
		if scope == access.ScopeDepartment.String() {
			records = append(records, &access.Record{Department: department})
			continue
		}
		below := slices.DeleteFunc(slices.Clone(a.head.below[department]), func(d string) bool { return slices.Contains(own, d) })
		for _, d := range append(firstOf(below), department) {
			records = append(records, &access.Record{Department: d})
		}
	}
	return records
}

// firstOf is a list of the first name, where there is one.
func firstOf(names []string) []string { return names[:min(len(names), 1)] }

// otherDepartment is one that is none of the user's, nor below one.
func (a *approvalProbe) otherDepartment(user string) string {
	var own []string
	for _, d := range a.head.departments[user] {
		own = append(own, a.head.below[d]...)
	}
	for i := range a.head.Facts.Departments {
		if d := a.head.Facts.Departments[i].Department; !slices.Contains(own, d) {
			return d
		}
	}
	return ""
}

// placed is a record with what the tuple's conditions ask of it. Of an object whose records a parent's decide about, it is a
// child of the record.
func (a *approvalProbe) placed(object string, t *access.Tuple, record *access.Record) *access.Record {
	placed := *record
	for range len(a.head.module(object).Decides()) / 2 {
		parent := placed
		placed = access.Record{ID: record.ID, Parent: &parent}
	}
	if placed.ID == "" {
		placed.ID = anyone
	}
	placed.Creator, placed.Attributes = "somebody", make(map[string][]string)
	for _, w := range t.Where {
		value := anyone
		if w.Operator == access.OperatorIn && len(w.Values) > 0 {
			value = w.Values[0]
		}
		placed.Attributes[w.Field] = append(placed.Attributes[w.Field], value)
		switch module := a.head.module(object); {
		case w.Field == module.OwnerField() && placed.Owner == "":
			placed.Owner = value
		case w.Field == module.DepartmentField() && placed.Department == "":
			placed.Department = value
		}
	}
	return &placed
}

// contextsOf are contexts in which no rule of either state denies, on either side of every number of rows, with targets in
// the record's department and in others, with and without approvals.
func (a *approvalProbe) contextsOf(now schedule.Instant, at *point, user string) (contexts []access.Context) {
	one := int64(1)
	rows, targets := []*int64{&one}, []string{""}
	rules := [states][]*access.ApproveRule{a.rulesAbout(before, at), a.rulesAbout(after, at)}
	for _, rule := range slices.Concat(rules[before], rules[after]) {
		rows = append(rows, around(rule.When.RowsOver)...)
		if rule.When.OtherDepartment {
			targets = append(targets, a.head.departments[user]...)
			targets = append(targets, a.otherDepartment(user))
		}
	}
	approvals := a.approvals(now, user, rules)
	slices.Sort(targets)
	for _, r := range rows {
		context, allowed := a.undenied(now, at, r)
		if !allowed {
			continue
		}
		for _, target := range slices.Compact(targets) {
			context.TargetDepartment = target
			for _, approved := range approvals {
				context.ApprovedBy = approved
				contexts = append(contexts, context)
			}
		}
	}
	return contexts
}

func (a *approvalProbe) ruleOf(s state) *access.ApproveRule {
	if a.edit.rule[s] == nil {
		return nil
	}
	return a.edit.rule[s].Approve
}

// rulesAbout are the approve rules of a state about a point.
func (a *approvalProbe) rulesAbout(s state, at *point) (rules []*access.ApproveRule) {
	for i := range a.side(s).Facts.Guardrails {
		if rule := a.side(s).Facts.Guardrails[i].Rule.Approve; rule != nil && names(rule.Objects, at.object) && names(rule.Actions, at.action) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// undenied is a context in which neither state's rules deny somebody who may do everything.
func (a *approvalProbe) undenied(now schedule.Instant, at *point, rows *int64) (access.Context, bool) {
	zero := int64(0)
	for _, channel := range a.channels {
		for _, device := range a.devices {
			request := access.Request{User: anyone, Object: at.object, Action: at.action, Record: &access.Record{ID: anyone, Creator: "somebody"}, Context: access.Context{
				Channel: channel, Device: device, Reason: "given", Rows: rows, Used: &zero, Owned: &zero,
			}}
			if a.anybody[before].Decide(now, &request, nil) != access.Deny && a.anybody[after].Decide(now, &request, nil) != access.Deny {
				return request.Context, true
			}
		}
	}
	return access.Context{}, false
}

// approvals are sets of people who have approved: nobody; one for each other rule that asks; and, where the rule itself names
// others than it did, each of these besides.
func (a *approvalProbe) approvals(now schedule.Instant, user string, rules [states][]*access.ApproveRule) (sets [][]string) {
	add := func(set []string) {
		slices.Sort(set)
		if !slices.ContainsFunc(sets, func(known []string) bool { return slices.Equal(known, set) }) {
			sets = append(sets, set)
		}
	}
	add(nil)
	for _, x := range append([]string{""}, a.differing(now, user)...) {
		for s := range states {
			var set []string
			if x != "" {
				set = append(set, x)
			}
			for _, rule := range rules[s] {
				if rule == a.ruleOf(before) || rule == a.ruleOf(after) {
					continue
				}
				if y := a.another(now, user, rule, set); y != "" {
					set = append(set, y)
				}
			}
			add(set)
			add(a.allBut(now, user, rules[s], 1-s, x))
		}
	}
	return sets
}

// allBut are who may approve by any other rule and not by the edited one of a state, with one more who may.
func (a *approvalProbe) allBut(now schedule.Instant, user string, rules []*access.ApproveRule, strict state, x string) (set []string) {
	without := a.mayApprove(a.ruleOf(strict), now)
	for _, rule := range rules {
		may := slices.Concat(a.managerOf(user), a.mayApprove(rule, now))
		for _, name := range may[:min(len(may), 2*mostToTry)] {
			if name != user && !slices.Contains(without, name) && rule != a.ruleOf(before) && rule != a.ruleOf(after) {
				set = append(set, name)
			}
		}
	}
	if x != "" {
		set = append(set, x)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// mostToTry is how many of those who may approve in the same way are tried: one of them may be the subject, and one the
// subject's manager.
const mostToTry = 3

// differing are some who may approve what a user asks by the rule of one state and not by that of the other, and one who
// may by both.
func (a *approvalProbe) differing(now schedule.Instant, user string) (try []string) {
	if !a.namesOthers() {
		return nil
	}
	add := func(names []string) {
		for _, name := range names[:min(len(names), mostToTry)] {
			if name != user && !slices.Contains(try, name) {
				try = append(try, name)
			}
		}
	}
	for s := range states {
		may, other := a.mayApprove(a.ruleOf(s), now), a.mayApprove(a.ruleOf(1-s), now)
		add(slices.DeleteFunc(slices.Clone(may), func(name string) bool { return slices.Contains(other, name) }))
		add(may)
	}
	add(a.managerOf(user))
	return try
}

// another is who may approve what a user asks by a rule besides those of the set: rather nobody who may by the edited rule,
// too.
func (a *approvalProbe) another(now schedule.Instant, user string, rule *access.ApproveRule, set []string) (found string) {
	may := a.mayApprove(rule, now)
	if slices.ContainsFunc(rule.By, func(by access.Approver) bool { return by.ManagerOfSubject }) {
		may = slices.Concat(a.managerOf(user), may)
	}
	for _, name := range may {
		if name == user || slices.Contains(set, name) {
			continue
		}
		if !slices.Contains(a.mayApprove(a.ruleOf(before), now), name) && !slices.Contains(a.mayApprove(a.ruleOf(after), now), name) {
			return name
		}
		found = cmp.Or(found, name)
	}
	return found
}

// managerOf is the next one up the line who may approve, where there is one.
func (a *approvalProbe) managerOf(user string) []string {
	passed := map[string]bool{user: true}
	for u := a.head.users[user]; u != nil && u.Manager != "" && !passed[u.Manager]; u = a.head.users[u.Manager] {
		passed[u.Manager] = true
		if a.isApproving(u.Manager) {
			return []string{u.Manager}
		}
	}
	return nil
}

func (a *approvalProbe) isApproving(user string) bool {
	return a.head.isActive(user) && a.head.users[user].Type == access.UserEmployee
}

// mayApprove are those who may approve by a rule at an instant whoever asks, by name or by role, in order.
func (a *approvalProbe) mayApprove(rule *access.ApproveRule, now schedule.Instant) (may []string) {
	if rule == nil {
		return nil
	}
	key := ruleAt{rule, now}
	if may, known := a.may[key]; known {
		return may
	}
	roles, users := make(map[string]bool), make(map[string]bool)
	for _, by := range rule.By {
		roles[by.Role], users[by.User] = by.Role != "", by.User != ""
	}
	for _, l := range a.head.Facts.Lineage {
		roles[l.Role] = roles[l.Role] || slices.ContainsFunc(rule.By, func(by access.Approver) bool { return by.Role == l.Ancestor })
	}
	for user, holders := range a.head.holders {
		users[user] = users[user] || slices.ContainsFunc(holders, func(h *access.HolderFact) bool {
			return h.Role != "" && roles[h.Role] && h.Window.Active(now)
		})
	}
	for user, is := range users {
		if is && a.isApproving(user) {
			may = append(may, user)
		}
	}
	slices.Sort(may)
	a.may[key] = may
	return may
}
