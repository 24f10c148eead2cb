package access_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestSharesAgreeWithTheReferenceOnRandomWorlds(t *testing.T) {
	random, questions := accesstest.Random(t), accesstest.Questions(t)
	counts, onlyShared := map[Effect]int{}, 0
	for asked := 0; asked < questions; {
		d := accesstest.NewWorld(random, accesstest.Small)
		shares := accesstest.NewShares(random, d, 40)
		own := NewPolicy(Resolve(d).Facts)
		policy, plain := own.WithShares(shares), accesstest.Reference{Declarations: d, Shares: shares}
		for range min(questionsPerWorld, questions-asked) {
			asked++
			now, q := accesstest.NewQuestionOfShares(random, d, shares)
			levels := make([]Level, len(q.Fields))
			effect, want := policy.Decide(now, q, levels), plain.Judge(now, q)
			if effect != want.Effect || !slices.Equal(levels, want.Levels) {
				t.Fatalf("question %d at %d: %+v record %+v: engine says %s %v, reference %s %v (%s)", asked, now, q, q.Record, effect, levels, want.Effect, want.Levels, want.By)
			}
			if e := policy.Explain(now, q); e.Effect != effect || !slices.Equal(e.Levels, levels) {
				t.Fatalf("question %d at %d: %+v: Explain says %s %v, Decide %s %v", asked, now, q, e.Effect, e.Levels, effect, levels)
			}
			counts[effect]++
			if effect == Allow && own.Decide(now, q, nil) != Allow {
				onlyShared++
			}
		}
	}
	t.Logf("decisions: %v, %d by shares alone", counts, onlyShared)
	if onlyShared < questions/20 || counts[Deny] < questions/4 {
		t.Errorf("the questions prove little: %v, %d by shares alone", counts, onlyShared)
	}
}

func TestAShareGivesNothingThatItsMakerLacks(t *testing.T) {
	random := accesstest.Random(t)
	given := 0
	for range 40 {
		d := accesstest.NewOrganisation(random, accesstest.Small)
		all := accesstest.NewShares(random, d, 40)
		facts := Resolve(d).Facts
		own := NewPolicy(facts)
		facts.Guardrails = nil
		unguarded := NewPolicy(facts)
		for range 200 {
			one := all[random.IntN(len(all))]
			policy := own.WithShares([]ShareFact{one})
			now, q := accesstest.NewQuestionOfShares(random, d, []ShareFact{one})
			if q.Record == nil || slices.Contains([]string{"update", "create", "unmask"}, q.Action) {
				continue // fields decide there, or levels rise
			}
			before, after, makers := make([]Level, len(q.Fields)), make([]Level, len(q.Fields)), make([]Level, len(q.Fields))
			was, is := own.Decide(now, q, before), policy.Decide(now, q, after)
			asMaker := *q
			asMaker.User = one.Maker
			has := own.Decide(now, &asMaker, makers)
			if is == Allow && was != Allow {
				given++
				if has != Allow || !one.Window.Active(now) {
					t.Fatalf("at %d %+v gives %+v, which the maker is answered with %s", now, one, q, has)
				}
			}
			for i := range after {
				if is == Allow && has == Allow && after[i] > max(before[i], makers[i], levelOf(unguarded, now, q, i)) {
					t.Fatalf("at %d %+v raises %s to %s, the maker has %s", now, one, q.Fields[i], after[i], makers[i])
				}
			}
		}
	}
	if given < 100 {
		t.Errorf("%d questions were answered by a share alone: this proves little", given)
	}
}

// levelOf is the most that somebody may have of a field by their own grants, whatever guardrails say of the actions. Whoever
// may update is asked no further: an update that names a field below edit is denied and does not tell its level.
func levelOf(unguarded *Policy, now schedule.Instant, q *Request, field int) Level {
	asked, levels := *q, []Level{LevelNone}
	asked.Action, asked.Fields = ActionUpdate, nil
	if unguarded.Decide(now, &asked, nil) == Allow {
		return LevelEdit
	}
	asked.Action, asked.Fields = ActionRead, q.Fields[field:field+1]
	unguarded.Decide(now, &asked, levels)
	return levels[0]
}

func TestAFilterTakesInJustTheRecordsThatAreSharedOrOnesOwn(t *testing.T) {
	random := accesstest.Random(t)
	in, shared := 0, 0
	for range 30 {
		d := accesstest.NewOrganisation(random, accesstest.Small)
		shares := accesstest.NewShares(random, d, 40)
		policy, plain := NewPolicy(Resolve(d).Facts).WithShares(shares), accesstest.Reference{Declarations: d, Shares: shares}
		for range 400 {
			now, q := accesstest.NewQuestionOfShares(random, d, shares)
			if q.Record == nil {
				continue
			}
			q.Action, q.Fields = ActionRead, nil
			want := plain.Judge(now, q)
			o := d.ObjectTypes[slices.IndexFunc(d.ObjectTypes, func(o *ObjectType) bool { return o.Name == q.Object })]
			f := policy.Filter(now, q)
			f.Clauses = slices.DeleteFunc(f.Clauses, func(c Clause) bool { return len(c.Among) > 0 && !slices.Contains(c.Among, q.Record.ID) })
			if got := takesIn(f, o, q.Record); got != (want.Effect == Allow) {
				t.Fatalf("at %d: %+v record %+v: the filter says %v, the reference %s: %+v", now, q, q.Record, got, want.Effect, f)
			} else if got {
				in++
			}
			if want.Effect == Allow && !slices.ContainsFunc(want.By, func(by string) bool { return by != "shared" }) {
				shared++
			}
		}
	}
	if shared < 100 {
		t.Errorf("%d of %d records were in a filter by a share alone: this proves little", shared, in)
	}
}

// sharing is ann's share of her customer c-1 with bob, until 100.
func sharing(change func(*ShareFact)) ShareFact {
	s := ShareFact{ID: "s-1", Maker: "ann", Recipient: "bob", Object: "customer", Record: "c-1", Actions: []string{"read", "update"}, Level: LevelRead,
		Window: schedule.Window{NotAfter: 100}}
	change(&s)
	return s
}

func TestShares(t *testing.T) {
	as := func(change func(*ShareFact)) ShareFact { return sharing(change) }
	plain := as(func(*ShareFact) {})
	none := func(*Declarations) {}
	for name, c := range map[string]struct {
		share  ShareFact
		world  func(*Declarations)
		ask    func(*Request)
		at     schedule.Instant
		want   Effect
		levels string
	}{
		"the recipient reads what the maker reads":              {share: plain, world: none, want: Allow, levels: "read masked none"},
		"a share of edit gives the edit of the maker":           {share: as(func(s *ShareFact) { s.Level = LevelEdit }), world: none, want: Allow, levels: "edit masked none"},
		"edit without update is read":                           {share: as(func(s *ShareFact) { s.Level, s.Actions = LevelEdit, []string{"read"} }), world: none, want: Allow, levels: "read masked none"},
		"only the fields that it names":                         {share: as(func(s *ShareFact) { s.Restricted, s.OnlyFields = true, []string{"phone"} }), world: none, want: Allow, levels: "none masked none"},
		"no more of them than its level":                        {share: as(func(s *ShareFact) { s.Level = LevelMasked }), world: none, want: Allow, levels: "masked masked none"},
		"an action that it does not name":                       {share: as(func(s *ShareFact) { s.Actions = []string{"update"} }), world: none, want: Deny},
		"an action that the maker does not have":                {share: as(func(s *ShareFact) { s.Actions = []string{"read", "delete"} }), world: none, ask: func(q *Request) { q.Action = "delete" }, want: Deny},
		"another record of the maker's":                         {share: plain, world: none, ask: func(q *Request) { q.Record.ID = "c-2" }, want: Deny},
		"a record without an id":                                {share: plain, world: none, ask: func(q *Request) { q.Record.ID = "" }, want: Deny},
		"another object with a record of that id":               {share: plain, world: holding("ann", Grant{Object: "lead", Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}}), ask: func(q *Request) { q.Object, q.Fields = "lead", nil }, want: Deny},
		"the record once it is somebody else's":                 {share: plain, world: none, ask: func(q *Request) { q.Record.Owner = "boss" }, want: Deny},
		"the last second":                                       {share: plain, world: none, at: 99, want: Allow, levels: "read masked none"},
		"the end":                                               {share: plain, world: none, at: 100, want: Deny},
		"a share that has not begun":                            {share: as(func(s *ShareFact) { s.Window.NotBefore = 1 }), world: none, want: Deny},
		"the maker is away":                                     {share: plain, world: userState("ann", StateSuspended), want: Deny},
		"the maker has left":                                    {share: plain, world: userState("ann", StateDeparted), want: Deny},
		"the maker is revoked":                                  {share: plain, world: revoked(KindUser, "ann"), want: Deny},
		"what the maker had it from is revoked":                 {share: plain, world: revoked(KindRole, "role-of-ann"), want: Deny},
		"the recipient is away":                                 {share: plain, world: userState("bob", StateSuspended), want: Deny},
		"the recipient is revoked":                              {share: plain, world: revoked(KindUser, "bob"), want: Deny},
		"somebody else":                                         {share: plain, world: none, ask: func(q *Request) { q.User = "eve" }, want: Deny},
		"an external without named fields":                      {share: as(func(s *ShareFact) { s.Recipient = "guest" }), world: none, ask: func(q *Request) { q.User = "guest" }, want: Deny},
		"an external with named fields":                         {share: as(func(s *ShareFact) { s.Recipient, s.Restricted, s.OnlyFields = "guest", true, []string{"name"} }), world: none, ask: func(q *Request) { q.User = "guest" }, want: Allow, levels: "read none none"},
		"what creates is not shared":                            {share: as(func(s *ShareFact) { s.Actions = []string{"create", "read"} }), world: none, ask: func(q *Request) { q.Action, q.Fields = "create", nil }, want: Deny},
		"sharing is not shared":                                 {share: as(func(s *ShareFact) { s.Actions = []string{"share", "read"} }), world: none, ask: func(q *Request) { q.Action = "share" }, want: Deny},
		"a guardrail denies the recipient":                      {share: plain, world: ruled(GuardrailRule{Deny: &DenyRule{Target: on("customer", "read"), When: DenyWhen{Channels: []string{"mobile"}}}}), ask: func(q *Request) { q.Context.Channel = "mobile" }, want: Deny},
		"a guardrail lets the recipient":                        {share: plain, world: ruled(GuardrailRule{Deny: &DenyRule{Target: on("customer", "read"), When: DenyWhen{Channels: []string{"mobile"}}}}), ask: func(q *Request) { q.Context.Channel = "web" }, want: Allow, levels: "read masked none"},
		"a cap holds for the recipient":                         {share: plain, world: ruled(GuardrailRule{Cap: &CapRule{Objects: []string{"customer"}, Fields: []string{"name"}, Level: "masked"}}), want: Allow, levels: "masked masked none"},
		"what the maker needs approval for, the recipient does": {share: plain, world: ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "read"), When: ApproveWhen{ScopeAtMost: "own"}, By: []Approver{{User: "boss"}}}}), want: NeedsApproval},
		"and not where somebody approved":                       {share: plain, world: ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "read"), When: ApproveWhen{ScopeAtMost: "own"}, By: []Approver{{User: "boss"}}}}), ask: func(q *Request) { q.Context.ApprovedBy = []string{"boss"} }, want: Allow, levels: "read masked none"},
		"a list that has the record":                            {share: plain, world: none, ask: func(q *Request) { q.Record = nil }, want: Allow, levels: "read masked none"},
		"a list of which the maker has nothing":                 {share: plain, world: revoked(KindRole, "role-of-ann"), ask: func(q *Request) { q.Record = nil }, want: Deny},
		"a list of an action that is not shared":                {share: plain, world: none, ask: func(q *Request) { q.Record, q.Action = nil, "export" }, want: Deny},
		"an object that is off":                                 {share: plain, world: func(d *Declarations) { d.ObjectTypes[0].Disabled = true }, want: Deny},
		"a maker whom nobody knows":                             {share: as(func(s *ShareFact) { s.Maker = "stranger" }), world: none, want: Deny},
		"with oneself":                                          {share: as(func(s *ShareFact) { s.Recipient = "ann" }), world: revoked(KindRole, "role-of-ann"), ask: func(q *Request) { q.User = "ann" }, want: Deny},
	} {
		d := officeThatShares()
		holding("ann", Grant{Object: "customer", Actions: []string{"read", "update", "share", "create"}, Records: Records{Scopes: ScopeOwn}})(&d)
		c.world(&d)
		q := &Request{User: "bob", Action: "read", Object: "customer", Record: &Record{ID: "c-1", Owner: "ann", Department: "east-1"}, Fields: []string{"name", "phone", "limit"}}
		if c.ask != nil {
			c.ask(q)
		}
		policy := NewPolicy(Resolve(d).Facts).WithShares([]ShareFact{c.share})
		levels := make([]Level, len(q.Fields))
		effect := policy.Decide(c.at, q, levels)
		if effect != c.want || (c.levels != "" && levelsText(levels) != c.levels) {
			t.Errorf("%s: %s %s, want %s %s", name, effect, levelsText(levels), c.want, c.levels)
		}
		if e := policy.Explain(c.at, q); e.Effect != effect {
			t.Errorf("%s: Explain says %s", name, e.Effect)
		}
	}
}

// TestWhoSharesDoesNotApproveWhatIsDoneByIt: ann reports to boss, and who works for her to ann.
func TestWhoSharesDoesNotApproveWhatIsDoneByIt(t *testing.T) {
	approve := func(by ...Approver) func(*Declarations) {
		return ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "transfer"), When: ApproveWhen{ScopeAtMost: "own"}, By: by}})
	}
	manager, anybody := approve(Approver{ManagerOfSubject: true}), approve(Approver{User: "ann"}, Approver{User: "boss"})
	nothing := func(*Declarations) {}
	owning := holding("works-for-ann", customers(ScopeSubordinates, "transfer"))
	reporting := func(user, manager string) func(*Declarations) {
		return func(d *Declarations) {
			d.Users[slices.IndexFunc(d.Users, func(u *User) bool { return u.Name == user })].Manager = manager
		}
	}
	for name, c := range map[string]struct {
		rule, world func(*Declarations)
		ask         func(*Request)
		approvers   []string
		needs       string
	}{
		"the maker as manager is passed over": {rule: manager, world: nothing, approvers: []string{"boss"}, needs: "needs boss, manager of works-for-ann and ann ("},
		"the maker by name":                   {rule: anybody, world: nothing, approvers: []string{"boss"}, needs: "needs ann or boss ("},
		"managers who are two":                {rule: manager, world: reporting("works-for-ann", "bob"), approvers: []string{}, needs: "needs the manager of works-for-ann and ann, who have none in common that may approve ("},
		"who has it themselves is the only party": {rule: approve(Approver{ManagerOfSubject: true}), world: func(d *Declarations) {
			reporting("ann", "works-for-ann")(d)
			reporting("works-for-ann", "boss")(d)
			owning(d)
		}, ask: func(q *Request) { q.Context.ApprovedBy = nil }, approvers: nil},
		"the maker for herself":                     {rule: manager, world: nothing, ask: func(q *Request) { q.User = "ann" }, approvers: []string{"boss"}, needs: "needs boss, manager of ann ("},
		"the manager of a maker who is the subject": {rule: manager, world: func(d *Declarations) { reporting("ann", "works-for-ann")(d); reporting("works-for-ann", "boss")(d) }, approvers: []string{"boss"}, needs: "needs boss, manager of works-for-ann and ann ("},
	} {
		d := officeThatShares()
		d.Users = append(d.Users, &User{Name: "works-for-ann", Type: UserEmployee, State: StateActive, Departments: []string{"east-1"}, Manager: "ann"})
		holding("ann", customers(ScopeOwn, "transfer", "share"))(&d)
		c.rule(&d)
		c.world(&d)
		policy := NewPolicy(Resolve(d).Facts).WithShares([]ShareFact{sharing(func(s *ShareFact) { s.Recipient, s.Actions = "works-for-ann", []string{"transfer"} })})
		q := &Request{User: "works-for-ann", Action: "transfer", Object: "customer", Record: &Record{ID: "c-1", Owner: "ann", Department: "east-1"}}
		if c.ask != nil {
			c.ask(q)
		}
		e := policy.Explain(0, q)
		if c.approvers == nil {
			if e.Effect != Allow {
				t.Errorf("%s: %s", name, e.Effect)
			}
			continue
		}
		if e.Effect != NeedsApproval || !slices.Equal(e.Obligations[0].Approvers, c.approvers) || !strings.HasPrefix(e.Causes[0].Text, c.needs) {
			t.Errorf("%s: %s %v %v, want %v and %q", name, e.Effect, e.Obligations, e.Causes, c.approvers, c.needs)
			continue
		}
		for _, person := range []string{"ann", "boss", "bob", "works-for-ann"} {
			want := slices.Contains(c.approvers, person)
			asked := *q
			asked.Context.ApprovedBy = []string{person}
			if effect := policy.Decide(0, &asked, nil); policy.MayApprove(0, q, person) != want || (effect == Allow) != want {
				t.Errorf("%s: with the yes of %s: %s, want %v", name, person, effect, want)
			}
		}
	}
}

func TestWhoSharesDoesNotApproveWhatIsDoneWithAFieldThatTheShareGives(t *testing.T) {
	d := officeThatShares()
	masked := customers(ScopeAll, "read", "update")
	masked.Fields = []FieldRule{{Field: "phone", Level: LevelMasked}, {Field: "name", Level: LevelEdit}}
	holding("bob", masked)(&d)
	whole := customers(ScopeOwn, "read", "update", "share")
	whole.Fields = []FieldRule{{Field: "phone", Level: LevelEdit}}
	holding("ann", whole)(&d)
	ruled(GuardrailRule{Approve: &ApproveRule{Target: on("customer", "update"), By: []Approver{{User: "ann"}, {User: "boss"}}}})(&d)
	shared := func(level Level, actions ...string) *Policy {
		return NewPolicy(Resolve(d).Facts).WithShares([]ShareFact{sharing(func(s *ShareFact) { s.Recipient, s.Actions, s.Level = "bob", actions, level })})
	}
	for name, c := range map[string]struct {
		policy *Policy
		fields []string
		want   Effect
	}{
		"a field that the share alone gives":         {shared(LevelEdit, "read", "update"), []string{"phone"}, NeedsApproval},
		"beside one of his own":                      {shared(LevelEdit, "read", "update"), []string{"name", "phone"}, NeedsApproval},
		"a field that he may edit himself":           {shared(LevelEdit, "read", "update"), []string{"name"}, Allow},
		"no field":                                   {shared(LevelEdit, "read", "update"), nil, Allow},
		"a share that gives no more than he has":     {shared(LevelMasked, "read", "update"), []string{"name"}, Allow},
		"a field that neither he nor the share give": {shared(LevelRead, "read"), []string{"phone"}, Deny},
	} {
		q := &Request{User: "bob", Action: "update", Object: "customer", Record: &Record{ID: "c-1", Owner: "ann", Department: "east-1"}, Fields: c.fields}
		q.Context.ApprovedBy = []string{"ann"}
		if got := c.policy.Decide(0, q, make([]Level, len(c.fields))); got != c.want {
			t.Errorf("%s, approved by the maker: %s, want %s", name, got, c.want)
		}
		q.Context.ApprovedBy = []string{"boss"}
		if got := c.policy.Decide(0, q, make([]Level, len(c.fields))); c.want != Deny && got != Allow {
			t.Errorf("%s, approved by somebody else: %s", name, got)
		}
	}
}

// officeThatShares is the office with what sharing needs.
func officeThatShares() Declarations {
	d := office()
	for _, o := range d.ObjectTypes {
		o.Actions, o.Disabled = append(slices.Clone(o.Actions), "delete", "share"), false
	}
	d.Users = append(d.Users, &User{Name: "eve", Type: UserEmployee, State: StateActive}, &User{Name: "guest", Type: UserExternal, State: StateActive})
	return d
}

func userState(name string, state UserState) func(*Declarations) {
	return func(d *Declarations) {
		d.Users[slices.IndexFunc(d.Users, func(u *User) bool { return u.Name == name })].State = state
	}
}

func revoked(kind Kind, name string) func(*Declarations) {
	return func(d *Declarations) {
		d.Revocations = append(d.Revocations, &Revocation{Name: "stop", Target: Ref{Kind: kind, Name: name}})
	}
}

func levelsText(levels []Level) string {
	var names []string
	for _, l := range levels {
		names = append(names, l.String())
	}
	return strings.Join(names, " ")
}

func TestSharesDoNotChain(t *testing.T) {
	d := officeThatShares()
	holding("ann", customers(ScopeOwn, "read", "share"))(&d)
	second := sharing(func(s *ShareFact) { s.ID, s.Maker, s.Recipient = "s-2", "bob", "boss" })
	q := &Request{User: "boss", Action: "read", Object: "customer", Record: &Record{ID: "c-1", Owner: "ann"}}
	policy := NewPolicy(Resolve(d).Facts).WithShares([]ShareFact{sharing(func(*ShareFact) {}), second})
	if got := policy.Decide(0, q, nil); got != Deny {
		t.Errorf("who was given a share passed it on: %s", got)
	}
	q.User = "bob"
	if got := policy.Decide(0, q, nil); got != Allow {
		t.Errorf("the first share: %s", got)
	}
	if got := policy.OwnActions(0, "bob", "customer", q.Record); len(got) != 0 {
		t.Errorf("bob may share %v", got)
	}
	if got := policy.OwnActions(0, "ann", "customer", q.Record); !slices.Equal(got, []string{"read", "share"}) {
		t.Errorf("ann may share %v", got)
	}
}

func TestAShareIsExplainedByItsMakersAccess(t *testing.T) {
	d := office()
	holding("ann", customers(ScopeOwn, "read"))(&d)
	policy := NewPolicy(Resolve(d).Facts)
	shares := []ShareFact{sharing(func(s *ShareFact) { s.Window.NotAfter = 1_800_000_000 })}
	q := &Request{User: "bob", Action: "read", Object: "customer", Record: &Record{ID: "c-1", Owner: "ann"}}
	e := policy.WithShares(shares).Explain(0, q)
	const want = "shared by ann until 2027-01-15T08:00:00Z, who has role-of-ann:read=own by UserBinding/binding-of-ann"
	if len(e.Causes) != 1 || e.Causes[0].Text != want || e.Causes[0].Owner != (Ref{KindShare, "s-1"}) || e.Causes[0].Until != 1_800_000_000 {
		t.Errorf("causes %+v, want %q", e.Causes, want)
	}
	q.Record.Owner = "boss"
	if e := policy.WithShares(shares).Explain(0, q); e.NearestMiss != "ann shares it, and does not hold read on it now" {
		t.Errorf("nearest miss %q", e.NearestMiss)
	}
	if e := policy.WithShares(shares).Explain(1_800_000_000, q); e.NearestMiss != "ann shared it until 2027-01-15T08:00:00Z" {
		t.Errorf("nearest miss %q", e.NearestMiss)
	}
}

func TestTheEndOfAShareIsABoundary(t *testing.T) {
	own := NewPolicy(Resolve(office()).Facts)
	policy := own.WithShares([]ShareFact{sharing(func(s *ShareFact) { s.Window.NotBefore = 10 })})
	for now, want := range map[schedule.Instant]schedule.Instant{9: 10, 10: 100, 99: 100, 100: schedule.Forever} {
		if got := policy.NextBoundary(now); got != want {
			t.Errorf("after %d: %s, want %s", now, got, want)
		}
	}
	if got := own.NextBoundary(9); got != schedule.Forever {
		t.Errorf("the policy without shares has a boundary at %s", got)
	}
}

func TestSharesDoNotAllocateAndLeaveThePolicyAsItWas(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d := accesstest.NewOrganisation(random, accesstest.Small)
	d.Guardrails = accesstest.NewGuardrails(random, d)
	shares := accesstest.NewShares(random, d, 100)
	own := NewPolicy(Resolve(d).Facts)
	policy := own.WithShares(shares)
	levels := make([]Level, 3)
	type asked struct {
		now schedule.Instant
		q   *Request
	}
	questions := make([]asked, 500)
	for i := range questions {
		now, q := accesstest.NewQuestionOfShares(random, d, shares)
		q.Context.ApprovedBy = nil
		questions[i] = asked{now, q}
	}
	i := 0
	if n := testing.AllocsPerRun(len(questions), func() { a := questions[i%len(questions)]; policy.Decide(a.now, a.q, levels); i++ }); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
	plain := accesstest.Reference{Declarations: d}
	for _, a := range questions {
		if want, _ := plain.Decide(a.now, a.q); own.Decide(a.now, a.q, levels) != want || policy.WithShares(nil).Decide(a.now, a.q, levels) != want {
			t.Fatalf("a share changed the policy that it was not given to: %+v", a.q)
		}
	}
}
