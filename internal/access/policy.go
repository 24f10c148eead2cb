package access

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Policy is the immutable, indexed form of facts that decisions are made from. It is safe for concurrent use.
//
// Names become small numbers and each list one slice, so that a decision touches a few cache lines: the user's
// holdings, for each the span of its bundle's tuples on the object, and the tuples. What facts name but nobody declared
// is left out: a policy can only be narrower than the facts it was made from.
type Policy struct {
	users       names // in the order of their accounts
	logins      map[loginKey]int32
	departments names
	objectIDs   names

	storages map[string]StorageFact // by object

	accounts    []account
	inOrder     []int32   // accounts in the order of their names, each name once
	memberships []int32   // the accounts' departments
	ancestors   [][]int32 // by department, itself among them
	objects     []object
	unruled     []object // as they are without guardrails; see Revise
	bundles     map[bundle]int32
	holdings    []holding // the accounts' bundles
	windows     []schedule.Window

	cells   []cell                             // bundle × object; see cells.go
	rows    [recordStates][scopeCount][]uint64 // the cells' plain tuples
	special []uint64                           // the cells' special tuples

	spans      []span   // bundle × object → tuples
	tuples     []tuple  // by bundle and object
	left       int      // tuples that no span has any more; see Revise
	gains      []uint64 // what the tuples give; see gains.go
	selections []selection

	sources    []tupleSource // of tuples, for explanations
	owners     []Ref         // of holdings, for explanations
	boundaries []schedule.Instant

	// What only some guardrails and explanations ask.
	people            []person            // of accounts
	roles             []string            // of holdings, which role is held whole by it
	lineage           map[string][]string // by role, what it inherits, in order
	channels, devices []string            // that are known, in order
	revoked           *Policy             // see setAside; nil where nothing is

	received *received // see WithShares; nil where nothing is shared
}

// person is what is known of an account besides its access.
type person struct {
	state     UserState
	userType  UserType
	manager   int32 // none at the top
	revokedBy string
}

// none is the index of what is not there.
const none int32 = -1

// account is a user. The accounts stand in the order of the reporting lines: those whose line contains an account are
// just those after it, before last. The holdings and memberships stand in the order of the accounts, so those of one end
// where the next one's begin; there is one account more than users.
type account struct {
	holdings    uint32
	memberships uint32
	last        int32
	active      bool
}

func (p *Policy) holdingsOf(user int32) []holding {
	return p.holdings[p.accounts[user].holdings:p.accounts[user+1].holdings]
}

func (p *Policy) ownersOf(user int32) []Ref {
	return p.owners[p.accounts[user].holdings:p.accounts[user+1].holdings]
}

func (p *Policy) departmentsOf(user int32) []int32 {
	return p.memberships[p.accounts[user].memberships:p.accounts[user+1].memberships]
}

// span is a run of tuples.
type span struct{ start, end uint32 }

type object struct {
	name                        string
	enabled                     bool
	parent                      int32
	parentField                 string
	ownerField, departmentField string
	actions                     names     // in the order of their bits
	variants                    []Variant // in the order in which they are tried
	update, create, read        uint64    // action bits, zero where the object lacks the action

	fields  names
	classes []Class // by field
	fixed   []bool  // by field: the owner and the department
	words   int     // of gains

	// conditions are the distinct sets of conditions of the object's tuples.
	conditions [][]WhereFact
	compared   []string // the fields that these ask for, in order

	guards   []guards  // by action; nil where no rule is about the object
	ceiling  []uint64  // of gains, which no tuple reaches above; nil where nothing is capped
	ceilings []ceiling // by field, for explanations
}

type holding struct {
	bundle int32
	window int32 // of windows; none for ever
}

type tuple struct {
	actions   uint64
	gains     [recordStates]uint32 // where they start
	selection int32                // none where scopes alone select
	condition int32                // of the object's conditions; none where there is none
	scopes    Scopes
}

// selection is what a temporary grant selects by instead of scopes.
type selection struct {
	ids, owners []string
	departments []int32
	trees       []int32
}

// tupleSource says where a tuple comes from, and what it is.
type tupleSource struct {
	origin, path, digest string
}

// bundle names what can be held: the tuples of a bundle that are in force or, for explanations, those that a revocation
// ends.
type bundle struct{ name, endedBy string }

// maxActions is how many actions an object can have: one bit each.
const maxActions = 64

// NewPolicy indexes facts.
func NewPolicy(f Facts) *Policy {
	b := newPolicyBuilder(f)
	b.indexDepartments()
	b.indexObjects()
	b.indexStorages()
	b.indexTuples()
	b.policy.unruled = b.policy.objects
	b.indexPeople()
	return b.policy
}

// indexPeople does what comes after catalogue and tuples: it takes little of the time, and is done anew for a revision.
func (b *policyBuilder) indexPeople() {
	b.policy.objects = slices.Clone(b.policy.unruled)
	b.indexUsers()
	b.indexHoldings()
	b.indexGuardrails()
	b.sortBoundaries()
}

// find is the account of a name.
func (p *Policy) find(user string) (int32, bool) {
	return p.users.find(user)
}

type policyBuilder struct {
	facts      Facts
	policy     *Policy
	conditions map[string]int32 // by object and text
	ruled      []Level          // of the tuple under way; see object.ruled
}

func newPolicyBuilder(f Facts) *policyBuilder {
	return &policyBuilder{
		facts:      f,
		policy:     &Policy{bundles: make(map[bundle]int32)},
		conditions: make(map[string]int32),
	}
}

func (b *policyBuilder) indexDepartments() {
	p := b.policy
	list := make([]string, len(b.facts.Departments))
	for i, d := range b.facts.Departments {
		list[i] = d.Department
	}
	p.departments = newNames(list)
	p.ancestors = make([][]int32, len(list))
	for _, c := range b.facts.Closure {
		department, known := p.departments.find(c.Department)
		ancestor, knownToo := p.departments.find(c.Ancestor)
		if known && knownToo {
			p.ancestors[department] = append(p.ancestors[department], ancestor)
		}
	}
}

// indexObjects numbers objects and fields in the order of their names: that of facts is the database's, which may tell
// the same ones in another.
func (b *policyBuilder) indexObjects() {
	p := b.policy
	facts := slices.SortedStableFunc(slices.Values(b.facts.Objects), func(x, y ObjectFact) int { return cmp.Compare(x.Object, y.Object) })
	list := make([]string, len(facts))
	for i, o := range facts {
		list[i] = o.Object
	}
	p.objectIDs = newNames(list)
	fields := make([][]FieldFact, len(list))
	for _, f := range slices.SortedStableFunc(slices.Values(b.facts.Fields), func(x, y FieldFact) int { return cmp.Compare(x.Field, y.Field) }) {
		if id, known := p.objectIDs.find(f.Object); known {
			fields[id] = append(fields[id], f)
		}
	}
	p.objects = make([]object, len(list))
	for i := range p.objects {
		p.objects[i] = newObject(&facts[i], fields[i])
		if parent := facts[i].ParentObject; parent != "" {
			id, known := p.objectIDs.find(parent)
			if p.objects[i].parent = id; !known {
				p.objects[i].parent, p.objects[i].enabled = none, false
			}
		}
	}
}

// indexStorages keeps of two storages of one object, which facts have only when tampered with, none: who knows which of
// the tables is the CRM's.
func (b *policyBuilder) indexStorages() {
	twice := make(map[string]bool)
	b.policy.storages = make(map[string]StorageFact, len(b.facts.Storages))
	for _, s := range b.facts.Storages {
		if _, seen := b.policy.storages[s.Object]; seen {
			twice[s.Object] = true
		}
		b.policy.storages[s.Object] = s
	}
	for object := range twice {
		delete(b.policy.storages, object)
		if id, known := b.policy.objectIDs.find(object); known {
			b.policy.objects[id].enabled = false
		}
	}
}

func newObject(fact *ObjectFact, fields []FieldFact) object {
	o := object{
		name: fact.Object, enabled: fact.Enabled, parent: none, parentField: fact.ParentField,
		ownerField: fact.OwnerField, departmentField: fact.DepartmentField,
		actions: newNames(fact.Actions[:min(len(fact.Actions), maxActions)]), variants: fact.Variants,
	}
	o.update, o.create, o.read = o.bit(ActionUpdate), o.bit(ActionCreate), o.bit(ActionRead)
	fields = fields[:min(len(fields), maxFields)]
	list := make([]string, len(fields))
	for i, f := range fields {
		class, err := ParseClass(f.Class)
		if err != nil {
			class = ClassSecret // what cannot be read is guarded best
		}
		list[i] = f.Field
		o.classes = append(o.classes, class)
		o.fixed = append(o.fixed, f.Field == o.ownerField || f.Field == o.departmentField)
	}
	o.fields = newNames(list)
	o.words = (len(o.actions.list) + 3*len(o.fields.list) + 63) / 64
	return o
}

func (o *object) bit(action string) uint64 {
	if i, known := o.actions.find(action); known {
		return 1 << i
	}
	return 0
}

func (b *policyBuilder) indexUsers() {
	p := b.policy
	p.memberships = nil
	order, last := reportingOrder(b.facts.Users)
	list := make([]string, len(order))
	p.accounts = make([]account, len(order)+1)
	p.people = make([]person, len(order))
	for i, fact := range order {
		u := &b.facts.Users[fact]
		list[i], p.people[i] = u.User, person{u.State, u.Type, none, u.RevokedBy}
		p.accounts[i].active, p.accounts[i].last = u.State == StateActive && u.RevokedBy == "", last[i]
	}
	p.users = newNames(list)
	p.logins = make(map[loginKey]int32)
	for i, fact := range order {
		p.indexLogins(int32(i), b.facts.Users[fact].Logins)
		if manager, known := p.users.find(b.facts.Users[fact].Manager); known {
			p.people[i].manager = manager
		}
	}
	p.inOrder = inNameOrder(list)
	departments := make([][]int32, len(order))
	for _, m := range b.facts.Memberships {
		user, known := p.users.find(m.User)
		department, knownToo := p.departments.find(m.Department)
		if known && knownToo {
			departments[user] = append(departments[user], department)
		}
	}
	for user, list := range departments {
		p.memberships = append(p.memberships, list...)
		p.accounts[user+1].memberships = uint32(len(p.memberships))
	}
}

// inNameOrder are the indexes of names in the order of the names. Of equal names the first counts.
func inNameOrder(list []string) []int32 {
	order := make([]int32, len(list))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(x, y int32) int { return strings.Compare(list[x], list[y]) })
	return slices.CompactFunc(order, func(x, y int32) bool { return list[x] == list[y] })
}

// reportingOrder walks every reporting line from the top: behind a user come all whose line contains it, as far as last
// says, so that "contains in its line" is a comparison of numbers. Who is on a cycle or reports to one, which facts have
// only when tampered with, is reached from no top; these come at the end, above and below nobody.
func reportingOrder(users []UserFact) (order, last []int32) {
	list := make([]string, len(users))
	for i := range users {
		list[i] = users[i].User
	}
	index := newNames(list)
	reports := make([][]int32, len(users))
	var tops []int32
	for i := range users {
		if manager, known := index.find(users[i].Manager); known && users[i].Manager != "" {
			reports[manager] = append(reports[manager], int32(i))
		} else {
			tops = append(tops, int32(i))
		}
	}
	reached := make([]bool, len(users))
	last = make([]int32, len(users))
	var visit func(int32)
	visit = func(user int32) {
		at := len(order)
		order, reached[user] = append(order, user), true
		for _, report := range reports[user] {
			visit(report)
		}
		last[at] = int32(len(order))
	}
	for _, top := range tops {
		visit(top)
	}
	for i := range users {
		if !reached[i] {
			order = append(order, int32(i))
			last[len(order)-1] = int32(len(order))
		}
	}
	return order, last
}

func (b *policyBuilder) sortBoundaries() {
	p := b.policy
	slices.Sort(p.boundaries)
	p.boundaries = slices.DeleteFunc(slices.Compact(p.boundaries), func(i schedule.Instant) bool { return i == schedule.Always || i == schedule.Forever })
}

// window is the span of time that a holding is live in.
func (p *Policy) window(h holding) schedule.Window {
	if h.window == none {
		return schedule.Unbounded
	}
	return p.windows[h.window]
}

// NextBoundary is the first instant after now at which a decision may change by itself, or Forever.
func (p *Policy) NextBoundary(now schedule.Instant) schedule.Instant {
	next := firstFrom(p.boundaries, now+1)
	if p.received != nil {
		next = min(next, firstFrom(p.received.boundaries, now+1))
	}
	return next
}

func firstFrom(instants []schedule.Instant, from schedule.Instant) schedule.Instant {
	i, _ := slices.BinarySearch(instants, from)
	if i == len(instants) {
		return schedule.Forever
	}
	return instants[i]
}
