package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// questionsPerPair is how many of the questions that soak asks for stand for one pair of worlds, of which all is asked. In
// an everyday test all is asked about a few people.
const (
	questionsPerPair = 10_000
	everyday         = 20_000
	askedEveryday    = 16
)

func TestPlansAgreeWithAskingEverythingTwice(t *testing.T) {
	random, names := accesstest.Random(t), slices.Sorted(maps.Keys(edits))
	rows, asked, questions := 0, 0, accesstest.Questions(t)
	for pair := range max(1, questions/questionsPerPair) {
		base := accesstest.NewWorld(random, planned)
		head, made := edited(random, base, names, 6+random.IntN(6))
		at := accesstest.Start + schedule.Instant(random.IntN(accesstest.Span))
		tenant := compare(base, head, at)
		inquiry := newInquiry(random, base, head, at)
		if questions <= everyday {
			inquiry.users = inquiry.users[:askedEveryday]
		}
		if wrong := inquiry.disagreements(tenant.Changes); len(wrong) > 0 {
			t.Fatalf("pair %d at %d, after %q: %d disagreements, the first: %s", pair, at, made, len(wrong), wrong[0])
		}
		rows += len(tenant.Changes)
		asked += inquiry.asked
	}
	t.Logf("%d rows, %d questions", rows, asked)
}

func TestAPlanWithARowTooFewOrTooManyIsFoundOut(t *testing.T) {
	random := accesstest.Random(t)
	base := accesstest.NewWorld(random, planned)
	var head access.Declarations
	var rows []*Change
	tells := func(c *Change) bool {
		conditioned := slices.ContainsFunc(slices.Concat(c.Before, c.After), func(r Records) bool { return len(r.Where) > 0 })
		return len(c.Actions) > 0 && c.Window == schedule.Unbounded && !conditioned
	}
	for !slices.ContainsFunc(rows, tells) {
		head, _ = edited(random, base, []string{"a role's grant is another", "a user moves to another department"}, 6)
		rows = compare(base, head, accesstest.Start).Changes
	}
	i := slices.IndexFunc(rows, tells)
	wrong := func(rows []*Change) []string {
		q := newInquiry(random, base, head, accesstest.Start)
		q.users = []string{rows[0].People[0].User, rows[len(rows)-1].People[0].User}
		return q.disagreements(rows)
	}
	others := slices.Delete(slices.Clone(rows), i, i+1)
	invented := *rows[i]
	invented.Before, invented.After = nil, []Records{{Scopes: []string{"all"}}}
	invented.Actions = slices.DeleteFunc(slices.Clone(accesstest.Actions), func(a string) bool { return slices.Contains(rows[i].Actions, a) })
	missing := *rows[i]
	missing.Actions, missing.Fields, missing.Wider = nil, nil, nil
	if found := wrong(append(others, rows[i])); len(found) > 0 {
		t.Fatalf("the plan itself is wrong: %s", found[0])
	}
	if len(wrong(append(others, &missing))) == 0 {
		t.Errorf("nobody misses row %d: %s", i, line(rows[i]))
	}
	if len(wrong(append(others, rows[i], &invented))) == 0 {
		t.Errorf("nobody minds a row that is not so: %s", line(&invented))
	}
}

func compare(base, head access.Declarations, at schedule.Instant) *Tenant {
	tenant := Compare(State{Declarations: base}, State{Declarations: head}, Options{At: at})
	if tenant == nil {
		return &Tenant{}
	}
	return tenant
}

// inquiry asks everything of two worlds and holds the differences against a plan. It knows what rows mean from
// declarations alone.
type inquiry struct {
	random *rand.Rand
	worlds [2]access.Declarations
	at     schedule.Instant
	// policies are without approve rules, whose approvals somebody may have: with them, what is granted is allowed.
	policies [2]*access.Policy
	// widths are policies with nothing but one approve rule each that asks how widely an action is held, by rule.
	widths [2]map[string]*access.Policy

	// users are those who are asked about, in random order.
	users []string

	people map[string]*standing
	asked  int
	wrong  []string
}

func newInquiry(random *rand.Rand, base, head access.Declarations, at schedule.Instant) *inquiry {
	q := &inquiry{random: random, worlds: [2]access.Declarations{base, head}, at: at}
	q.users = q.everybody()
	random.Shuffle(len(q.users), func(i, j int) { q.users[i], q.users[j] = q.users[j], q.users[i] })
	for s, d := range q.worlds {
		facts := access.Resolve(d).Facts
		q.widths[s] = make(map[string]*access.Policy)
		rules := facts.Guardrails
		facts.Guardrails = slices.DeleteFunc(slices.Clone(rules), func(g access.GuardrailFact) bool { return g.Rule.Approve != nil })
		q.policies[s] = access.NewPolicy(facts)
		for _, g := range rules {
			if rule := g.Rule.Approve; rule != nil && rule.When.ScopeAtMost != "" {
				alone := *rule
				alone.When = access.ApproveWhen{ScopeAtMost: rule.When.ScopeAtMost}
				facts.Guardrails = []access.GuardrailFact{{Owner: g.Owner, Rule: access.GuardrailRule{Approve: &alone}}}
				q.widths[s][g.Owner.Name] = access.NewPolicy(facts)
			}
		}
	}
	return q
}

// disagreements are what the rows say and the answers do not, and the other way round.
func (q *inquiry) disagreements(rows []*Change) []string {
	q.people, q.wrong = make(map[string]*standing), nil
	byPerson := make(map[[2]string][]*Change)
	for _, row := range rows {
		for _, p := range row.People {
			byPerson[[2]string{p.User, row.Object}] = append(byPerson[[2]string{p.User, row.Object}], row)
		}
	}
	for _, user := range q.users {
		for _, object := range q.worlds[1].ObjectTypes {
			q.askAll(user, object.Name, byPerson[[2]string{user, object.Name}])
			if len(q.wrong) > 0 {
				return q.wrong
			}
		}
	}
	return q.wrong
}

func (q *inquiry) everybody() []string {
	names := make(map[string]bool)
	for _, d := range q.worlds {
		for _, u := range d.Users {
			names[u.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (q *inquiry) askAll(user, object string, rows []*Change) {
	records := q.records(user, object)
	for _, now := range q.instants(user) {
		for _, record := range records {
			q.ask(now, user, object, record, rows)
		}
	}
}

// instants are those at which a decision about the user may become another, and some between.
func (q *inquiry) instants(user string) []schedule.Instant {
	instants := []schedule.Instant{q.at}
	add := func(w schedule.Window) {
		for _, i := range [...]schedule.Instant{w.NotBefore - 1, w.NotBefore, w.NotAfter - 1, w.NotAfter} {
			if i > q.at {
				instants = append(instants, i)
			}
		}
	}
	for _, d := range q.worlds {
		for _, g := range d.TemporaryGrants {
			if slices.Contains(g.Users, user) {
				add(g.Window)
			}
		}
	}
	q.random.Shuffle(len(instants)-1, func(i, j int) { instants[i+1], instants[j+1] = instants[j+1], instants[i+1] })
	return instants[:min(len(instants), 6)]
}

// records differ in one fact each from one that nobody stands to, or in all of them.
func (q *inquiry) records(user, object string) (all []*access.Record) {
	add := func(change func(*access.Record)) {
		r := &access.Record{ID: "another", Creator: "somebody", Attributes: q.attributes(object)}
		r.Parent = &access.Record{ID: "parent"}
		decides := r
		if q.hasParent(object) {
			r.Owner, r.Department = q.anybody(), q.anywhere()
			decides = r.Parent
		}
		change(decides)
		if decides != r {
			r.ID = decides.ID
		}
		all = append(all, r)
	}
	add(func(*access.Record) {})
	add(func(r *access.Record) { r.Participants = []string{"nobody", user} })
	for i := range planned.Users {
		add(func(r *access.Record) { r.Owner = accesstest.Name("user", i) })
	}
	for i := range planned.Departments {
		add(func(r *access.Record) { r.Department = accesstest.Name("dept", i) })
		add(func(r *access.Record) { r.Department = accesstest.Name("dept", i) })
	}
	for i := range 20 {
		add(func(r *access.Record) { r.ID = accesstest.Name("record", i) })
	}
	for range 60 {
		add(func(r *access.Record) {
			r.Owner, r.Department, r.ID = q.anybody(), q.anywhere(), accesstest.Pick(q.random, "record", 30)
			if q.random.IntN(2) == 0 {
				r.Owner = user
			}
			if q.random.IntN(4) == 0 {
				r.Participants = []string{user}
			}
		})
	}
	return all
}

func (q *inquiry) anybody() string {
	return oneOf(q.random, []string{"", "stranger", accesstest.Pick(q.random, "user", planned.Users), accesstest.Pick(q.random, "user", planned.Users)})
}

func (q *inquiry) anywhere() string {
	return oneOf(q.random, []string{"", "nowhere", accesstest.Pick(q.random, "dept", planned.Departments), accesstest.Pick(q.random, "dept", planned.Departments)})
}

func (q *inquiry) hasParent(object string) bool {
	return objectOf(q.worlds[0], object).AccessFrom.Object != ""
}

// attributes are of what conditions ask for: missing, one value or two.
func (q *inquiry) attributes(object string) map[string][]string {
	attributes := make(map[string][]string)
	for _, field := range []string{"field_0", "field_1", "field_3", "field_4"} {
		values := []string{"east", "west", "north", "open", "won", accesstest.Pick(q.random, "dept", planned.Departments), accesstest.Pick(q.random, "user", planned.Users)}
		for range q.random.IntN(3) {
			attributes[field] = append(attributes[field], oneOf(q.random, values))
		}
	}
	return attributes
}

// answers are what both worlds say of one record.
type answers struct {
	allowed   map[string]bool
	levels    []access.Level
	shown     bool // whether the levels can be seen
	fillable  map[string]bool
	updatable map[string]bool
	narrow    map[string]bool // by rule and action, whether it waits for approval
}

var permissive = func() access.Context {
	zero := int64(0)
	return access.Context{Channel: "web", Device: "managed", Reason: "because", Rows: &zero, Used: &zero, Owned: &zero}
}()

func (q *inquiry) answersOf(s int, now schedule.Instant, user, object string, record *access.Record, fields []string) answers {
	a := answers{allowed: map[string]bool{}, fillable: map[string]bool{}, updatable: map[string]bool{}, narrow: map[string]bool{}}
	request := &access.Request{User: user, Object: object, Record: record, Context: permissive}
	decide := func(p *access.Policy, action string, fields []string, levels []access.Level) access.Effect {
		q.asked++
		request.Action, request.Fields = action, fields
		return p.Decide(now, request, levels)
	}
	for _, action := range accesstest.Actions {
		if a.allowed[action] = decide(q.policies[s], action, nil, nil) == access.Allow; !a.allowed[action] {
			continue
		}
		switch action {
		case access.ActionUpdate, access.ActionCreate:
			may := map[string]map[string]bool{access.ActionUpdate: a.updatable, access.ActionCreate: a.fillable}[action]
			for _, f := range fields {
				may[f] = decide(q.policies[s], action, []string{f}, nil) == access.Allow
			}
		case access.ActionUnmask:
		default:
			if !a.shown {
				a.levels = make([]access.Level, len(fields))
				a.shown = decide(q.policies[s], action, fields, a.levels) == access.Allow
			}
		}
		for rule, p := range q.widths[s] {
			a.narrow[rule+" "+action] = decide(p, action, nil, nil) == access.NeedsApproval
		}
	}
	return a
}

// ask asks everything about one record, and compares.
func (q *inquiry) ask(now schedule.Instant, user, object string, record *access.Record, rows []*Change) {
	fields := q.commonFields(object)
	var a [2]answers
	for s := range a {
		a[s] = q.answersOf(s, now, user, object, record, fields)
	}
	claims := q.claims(now, user, record, rows)
	check := func(about string, base, head bool) {
		claim, claimed := claims[about]
		if claimed && claim != [2]bool{base, head} || !claimed && base != head {
			q.wrong = append(q.wrong, fmt.Sprintf("%s %s of %s %+v (parent %+v) at %d: the worlds say %v and %v, the plan %v %v", user, about, object, *record, *record.Parent, now, base, head, claim, claimed))
		}
	}
	for _, action := range accesstest.Actions {
		check(action, a[0].allowed[action], a[1].allowed[action])
		for rule := range q.widths[0] {
			if key := rule + " " + action; a[0].allowed[action] && a[1].allowed[action] {
				if scope := q.asks(0, rule, object, action); scope != "" && q.asks(1, rule, object, action) == scope {
					check(action+" beyond "+scope, !a[0].narrow[key], !a[1].narrow[key])
				}
			}
		}
	}
	for i, field := range fields {
		switch {
		case a[0].shown && a[1].shown:
			for level := access.LevelMasked; level <= access.LevelEdit; level++ {
				check(fmt.Sprintf("%s at %s", field, level), a[0].levels[i] >= level, a[1].levels[i] >= level)
			}
		case a[0].allowed[access.ActionUpdate] && a[1].allowed[access.ActionUpdate]:
			check(fmt.Sprintf("%s at %s", field, access.LevelEdit), a[0].updatable[field], a[1].updatable[field])
		}
		if a[0].allowed[access.ActionCreate] && a[1].allowed[access.ActionCreate] {
			check(field+" to fill in", a[0].fillable[field], a[1].fillable[field])
		}
	}
}

// commonFields are those of both worlds: what one world does not know it denies by name.
func (q *inquiry) commonFields(object string) (fields []string) {
	head := objectOf(q.worlds[1], object)
	for _, f := range objectOf(q.worlds[0], object).Fields {
		if slices.ContainsFunc(head.Fields, func(other access.Field) bool { return other.Name == f.Name }) {
			fields = append(fields, f.Name)
		}
	}
	return fields
}

// asks is the scope by which a rule asks about an action; "" where it does not.
func (q *inquiry) asks(s int, rule, object, action string) string {
	for _, g := range q.worlds[s].Guardrails {
		if g.Name != rule {
			continue
		}
		approve := g.Rules[0].Approve
		names := func(list []string, name string) bool {
			return slices.Contains(list, name) || slices.Contains(list, access.Any)
		}
		if names(approve.Objects, object) && names(approve.Actions, action) {
			return approve.When.ScopeAtMost
		}
	}
	return ""
}

// claims are what rows say that differs on one record at one instant: whether it is so before, and after.
func (q *inquiry) claims(now schedule.Instant, user string, record *access.Record, rows []*Change) map[string][2]bool {
	claims := make(map[string][2]bool)
	for _, row := range rows {
		base, head := q.takes(0, row.Before, user, row.Object, record), q.takes(1, row.After, user, row.Object, record)
		if row.Was != nil {
			peakBefore, peakAfter := row.Was.Active(now), row.Window.Active(now)
			rest, peak := base, head
			switch {
			case peakBefore == peakAfter:
				continue
			case peakBefore:
				base, head = peak, rest
			}
		} else if !row.Window.Active(now) {
			continue
		}
		if base == head {
			continue
		}
		for _, about := range abouts(row) {
			if _, twice := claims[about]; twice {
				q.wrong = append(q.wrong, fmt.Sprintf("two rows say that %s of %s differs for %s at %d", about, row.Object, user, now))
			}
			claims[about] = [2]bool{base, head}
		}
	}
	return claims
}

// abouts are what a row is about.
func abouts(row *Change) (all []string) {
	all = slices.Clone(row.Actions)
	for _, w := range row.Wider {
		all = append(all, w.Action+" beyond "+w.Beyond)
	}
	for _, f := range row.Fields {
		if f.Proposed {
			all = append(all, f.Field+" to fill in")
			continue
		}
		for level := f.From + 1; level <= f.Level; level++ {
			all = append(all, fmt.Sprintf("%s at %s", f.Field, level))
		}
	}
	return all
}

// standing is what a world says of where somebody stands.
type standing struct {
	departments, below, subordinates map[string]bool
}

// takes says whether records take one in, as the words of a row mean it in a world.
func (q *inquiry) takes(s int, all []Records, user, object string, record *access.Record) bool {
	d := q.worlds[s]
	o := objectOf(d, object)
	decides := record
	if o.AccessFrom.Object != "" {
		decides = record.Parent
	}
	return slices.ContainsFunc(all, func(r Records) bool {
		meets := !slices.ContainsFunc(r.Where, func(w access.WhereFact) bool { return !meets(o, record, w) })
		if !meets {
			return false
		}
		at := q.standingOf(s, user)
		for _, scope := range r.Scopes {
			switch {
			case scope == "all",
				scope == "own" && decides.Owner == user,
				scope == "involved" && slices.Contains(decides.Participants, user),
				scope == "subordinates" && at.subordinates[decides.Owner],
				scope == "department" && at.departments[decides.Department],
				scope == "departmentAndBelow" && at.below[decides.Department]:
				return true
			}
		}
		return slices.Contains(r.IDs, record.ID) || slices.Contains(r.Owners, decides.Owner) || slices.Contains(r.Departments, decides.Department) ||
			slices.ContainsFunc(r.DepartmentTrees, func(root string) bool { return isBelow(d, decides.Department, root) })
	})
}

func (q *inquiry) standingOf(s int, user string) *standing {
	key := fmt.Sprint(s, user)
	if q.people[key] == nil {
		d := q.worlds[s]
		at := &standing{map[string]bool{}, map[string]bool{}, map[string]bool{}}
		for _, u := range d.Users {
			for boss := u.Manager; boss != "" && !at.subordinates[u.Name]; boss = managerOf(d, boss) {
				at.subordinates[u.Name] = boss == user
			}
			if u.Name != user {
				continue
			}
			for _, department := range u.Departments {
				at.departments[department] = true
				for _, other := range d.Departments {
					at.below[other.Name] = at.below[other.Name] || isBelow(d, other.Name, department)
				}
			}
		}
		q.people[key] = at
	}
	return q.people[key]
}

func managerOf(d access.Declarations, user string) string {
	for _, u := range d.Users {
		if u.Name == user {
			return u.Manager
		}
	}
	return ""
}

func isBelow(d access.Declarations, department, root string) bool {
	for department != "" {
		if department == root {
			return true
		}
		i := slices.IndexFunc(d.Departments, func(dep *access.Department) bool { return dep.Name == department })
		if i < 0 {
			return false
		}
		department = d.Departments[i].Parent
	}
	return false
}

func objectOf(d access.Declarations, name string) *access.ObjectType {
	return d.ObjectTypes[slices.IndexFunc(d.ObjectTypes, func(o *access.ObjectType) bool { return o.Name == name })]
}

// meets: a condition on the owner or department field looks at the record's own.
func meets(o *access.ObjectType, record *access.Record, w access.WhereFact) bool {
	values := record.Attributes[w.Field]
	switch w.Field {
	case o.OwnerField:
		values = slices.DeleteFunc([]string{record.Owner}, func(v string) bool { return v == "" })
	case o.DepartmentField:
		values = slices.DeleteFunc([]string{record.Department}, func(v string) bool { return v == "" })
	}
	in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(w.Values, v) })
	switch w.Operator {
	case access.OperatorIn:
		return in
	case access.OperatorNotIn:
		return len(values) > 0 && !in
	}
	return len(values) > 0
}
