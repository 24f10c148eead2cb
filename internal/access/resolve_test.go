package access_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

func TestWhatDoesNotCompileConfersNothingAndSaysSo(t *testing.T) {
	grant := Grant{Object: "customer", Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}}
	changed := func(change func(*Grant)) func(*Declarations) {
		g := grant
		change(&g)
		return holding("ann", g)
	}
	for name, c := range map[string]struct {
		given  func(*Declarations)
		reason Reason
		says   string
		effect Effect
	}{
		"an unknown object":          {changed(func(g *Grant) { g.Object = "custmer" }), ReasonUnknownReference, `Role/role-of-ann: spec.grants[0].object: unknown object "custmer": the grant confers nothing`, Deny},
		"an unknown field in a rule": {changed(func(g *Grant) { g.Fields = []FieldRule{{Field: "fax", Level: LevelNone}} }), ReasonUnknownReference, `spec.grants[0].fields[0].field: unknown field of customer "fax"`, Deny},
		"an unknown field in a condition": {changed(func(g *Grant) { g.Where = []Condition{{Field: "fax", Operator: OperatorExists}} }), ReasonUnknownReference,
			`spec.grants[0].where[0].field: unknown field of customer "fax"`, Deny},
		"two rules for one class": {changed(func(g *Grant) { g.Fields = []FieldRule{level(ClassPublic, LevelRead), level(ClassPublic, LevelNone)} }), ReasonInvalid, "a second rule for public", Deny},
		"only the unknown action": {changed(func(g *Grant) { g.Actions = []string{"read", "burn"} }), ReasonUnknownReference, `unknown action of customer "burn": it is left out`, Allow},
		"an unknown user in a binding": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.UserBindings[0].Subjects = append(d.UserBindings[0].Subjects, Subject{User: "nemo"})
		}, ReasonUnknownReference, `spec.subjects[1].user: unknown user "nemo"`, Allow},
		"an unknown department in a selector": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.UserBindings[0].Subjects[0] = Subject{Selector: Selector{Department: "atlantis"}}
		}, ReasonUnknownReference, `unknown department "atlantis": the selector matches nobody`, Deny},
		"an abstract role in a binding": {func(d *Declarations) { holding("ann", grant)(d); d.Roles[0].Abstract = true }, ReasonAbstractRole, "may be inherited, not held", Deny},
		"a misspelt mute, which would take nothing away": {func(d *Declarations) {
			holding("ann")(d)
			d.Roles[0].Inherits = []Inheritance{{Role: "base", Mute: []Mute{{Object: "customer", Actions: []string{"raed"}}}}}
			d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{grant}})
		}, ReasonUnknownReference, `unknown action of customer "raed": nothing is inherited from base`, Deny},
		"a missing parent, and keeps its own": {func(d *Declarations) { holding("ann", grant)(d); d.Roles[0].Inherits = []Inheritance{{Role: "base"}} }, ReasonUnknownReference, `unknown role "base"`, Allow},
		"a cycle of roles, named": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.Roles[0].Inherits = []Inheritance{{Role: "a"}}
			d.Roles = append(d.Roles, &Role{Name: "a", Inherits: []Inheritance{{Role: "b"}}}, &Role{Name: "b", Inherits: []Inheritance{{Role: "role-of-ann"}}})
		}, ReasonInheritanceCycle, "inheritance cycle role-of-ann > a > b > role-of-ann: the role confers nothing", Deny},
		"an object whose accessFrom leads back": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.ObjectTypes[0].AccessFrom = AccessFrom{Object: "contact", Field: "name"}
		}, ReasonReferenceCycle, "ObjectType/customer: spec.accessFrom.object: cycle customer > contact > customer", Deny},
		"a storage whose columns name an unknown field": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.ObjectTypes[0].Storage = Storage{Table: "crm.customer", ID: "id", Columns: map[string]string{"fax": "fax_no"}}
		}, ReasonUnknownReference, `ObjectType/customer: spec.storage.columns.fax: unknown field of customer "fax": every action on the object is denied`, Deny},
		"a storage with two facts in one column": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.ObjectTypes[0].Storage = Storage{Table: "crm.customer", ID: "id", Owner: "who", Creator: "who"}
		}, ReasonInvalid, `spec.storage.creator: column "who" is given twice, here and by spec.storage.owner: every action on the object is denied`, Deny},
		"a storage with two fields in one column, of which one may be more open": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.ObjectTypes[0].Storage = Storage{Table: "crm.customer", ID: "id", Columns: map[string]string{d.ObjectTypes[0].Fields[0].Name: d.ObjectTypes[0].Fields[1].Name}}
		}, ReasonInvalid, "is given twice, here and by field", Deny},
		"a storage whose owner is a field that an update may write": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.ObjectTypes[0].OwnerField = ""
			d.ObjectTypes[0].Storage = Storage{Table: "crm.customer", ID: "id", Owner: d.ObjectTypes[0].Fields[0].Name}
		}, ReasonInvalid, "is given twice, here and by spec.storage.owner", Deny},
		"an external user in a binding": {func(d *Declarations) {
			holding("ann", grant)(d)
			d.UserBindings[0].Subjects = []Subject{{User: "agency"}}
		}, ReasonExternalUser, "give a TemporaryGrant with onlyFields instead", Deny},
	} {
		t.Run(name, func(t *testing.T) {
			d := office()
			c.given(&d)
			resolution := Resolve(d)
			var said []string
			for _, findings := range resolution.Findings {
				for _, f := range findings {
					if f.Reason == c.reason {
						said = append(said, f.String())
					}
				}
			}
			if !strings.Contains(strings.Join(said, "\n"), c.says) {
				t.Errorf("says %q, not %q", said, c.says)
			}
			if effect := NewPolicy(resolution.Facts).Decide(0, &Request{User: "ann", Action: "read", Object: "customer", Record: bobsInNorth}, nil); effect != c.effect {
				t.Errorf("decides %s, want %s", effect, c.effect)
			}
		})
	}
}

func TestAStorageIsKnownToThePolicy(t *testing.T) {
	d := office()
	holding("ann", Grant{Object: "customer", Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}})(&d)
	customer := d.ObjectTypes[0]
	customer.OwnerField, customer.Storage = customer.Fields[0].Name, Storage{
		Table: "crm.customer", ID: "id", Owner: "owner_id", Columns: map[string]string{customer.Fields[0].Name: "owner_id"}}
	resolution := Resolve(d)
	if findings := resolution.Findings[Ref{KindObjectType, "customer"}]; len(findings) > 0 {
		t.Errorf("finds %v", findings)
	}
	policy := NewPolicy(resolution.Facts)
	storage, has := policy.Storage("customer")
	if !has || storage.Table != "crm.customer" || storage.Column(customer.Fields[0].Name) != "owner_id" || storage.Column("region") != "region" {
		t.Errorf("storage %+v, %t", storage, has)
	}
	if _, has := policy.Storage("contact"); has {
		t.Error("an object without storage has one")
	}
	if effect := policy.Decide(0, &Request{User: "ann", Action: "read", Object: "customer", Record: bobsInNorth}, nil); effect != Allow {
		t.Errorf("decides %s", effect)
	}
	twice := resolution.Facts
	twice.Storages = append(slices.Clone(twice.Storages), StorageFact{Object: "customer", Table: "public.forged", IDColumn: "id"})
	if effect := NewPolicy(twice).Decide(0, &Request{User: "ann", Action: "read", Object: "customer", Record: bobsInNorth}, nil); effect != Deny {
		t.Errorf("with two storages, decides %s", effect)
	}
}

func TestAMuteTakesAwayInItsEntryAlone(t *testing.T) {
	mute := []Mute{{Object: "customer", Actions: []string{"read"}}}
	for name, c := range map[string]struct {
		inherits []Inheritance
		want     Effect
	}{
		"nothing muted":                {[]Inheritance{{Role: "left"}, {Role: "right"}}, Allow},
		"muted in one, not the other":  {[]Inheritance{{Role: "left", Mute: mute}, {Role: "right"}}, Allow},
		"muted in both":                {[]Inheritance{{Role: "left", Mute: mute}, {Role: "right", Mute: mute}}, Deny},
		"muted in one, and no other":   {[]Inheritance{{Role: "left", Mute: mute}}, Deny},
		"muted on the way to the base": {[]Inheritance{{Role: "middle"}}, Deny},
	} {
		d := office()
		holding("ann")(&d)
		d.Roles[0].Inherits = c.inherits
		d.Roles = append(d.Roles, &Role{Name: "left", Grants: []Grant{customers(ScopeAll, "read", "update")}}, &Role{Name: "right", Grants: []Grant{customers(ScopeOwn, "read")}},
			&Role{Name: "middle", Inherits: []Inheritance{{Role: "left", Mute: mute}}})
		if got := NewPolicy(Resolve(d).Facts).Decide(0, &Request{User: "ann", Action: "read", Object: "customer", Record: annsInEast1}, nil); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestInheritanceGoesTenStepsAndNoFurther(t *testing.T) {
	for steps, want := range map[int]Effect{10: Allow, 11: Deny} {
		d := office()
		holding("ann")(&d)
		d.Roles[0].Inherits = []Inheritance{{Role: "r1"}}
		for i := 1; i <= steps; i++ {
			role := &Role{Name: fmt.Sprintf("r%d", i)}
			if i < steps {
				role.Inherits = []Inheritance{{Role: fmt.Sprintf("r%d", i+1)}}
			} else {
				role.Grants = []Grant{customers(ScopeAll, "read")}
			}
			d.Roles = append(d.Roles, role)
		}
		if got := NewPolicy(Resolve(d).Facts).Decide(0, &Request{User: "ann", Action: "read", Object: "customer"}, nil); got != want {
			t.Errorf("over %d steps: %s, want %s", steps, got, want)
		}
	}
}

func TestALatticeOfRolesStaysSmall(t *testing.T) {
	d := office()
	d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{customers(ScopeOwn, "create", "read", "update", "export", "transfer", "unmask")}})
	for layer := range 10 {
		for i := range 6 {
			role := &Role{Name: fmt.Sprintf("l%d-%d", layer, i)}
			for j := range 6 {
				below := "base"
				if layer > 0 {
					below = fmt.Sprintf("l%d-%d", layer-1, j)
				}
				role.Inherits = append(role.Inherits, Inheritance{Role: below, Mute: []Mute{{Object: "customer", Actions: []string{"read", "update", "export", "transfer", "unmask", "create"}[j : j+1]}}})
			}
			d.Roles = append(d.Roles, role)
		}
	}
	if n := len(Resolve(d).Facts.Tuples); n > 61*64 {
		t.Errorf("six to the power of ten paths come to %d tuples", n)
	}
}

func TestTheOrderOfDeclarationsChangesNothing(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 9))
		d := accesstest.NewOrganisation(random, accesstest.Small)
		d.Roles[3].Inherits = append(d.Roles[3].Inherits, Inheritance{Role: "role-9"}, Inheritance{Role: "role-3"})
		d.Departments[2].Parent = "dept-2"
		want := sortedFacts(Resolve(d))
		shuffle(random, d.ObjectTypes)
		shuffle(random, d.Departments)
		shuffle(random, d.Users)
		shuffle(random, d.Roles)
		shuffle(random, d.UserBindings)
		shuffle(random, d.TemporaryGrants)
		if got := sortedFacts(Resolve(d)); !slices.Equal(got, want) {
			t.Fatalf("seed %d: the facts differ by order", seed)
		}
	}
}

// sortedFacts prints every fact and finding, in order.
func sortedFacts(r Resolution) []string {
	var lines []string
	facts := reflect.ValueOf(r.Facts)
	for i := range facts.NumField() {
		for j := range facts.Field(i).Len() {
			fact := facts.Field(i).Index(j).Interface()
			if t, ok := fact.(TupleFact); ok {
				lines = append(lines, fmt.Sprintf("%v %s %s %+v", t.Owner, t.Bundle, t.Path, *t.Tuple))
				continue
			}
			lines = append(lines, fmt.Sprintf("%T %+v", fact, fact))
		}
	}
	for _, findings := range r.Findings {
		for _, f := range findings {
			lines = append(lines, f.String())
		}
	}
	slices.Sort(lines)
	return lines
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestABindingNeverTakesAccessAway(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		d := accesstest.NewOrganisation(random, accesstest.Small)
		fewer := d
		fewer.UserBindings = d.UserBindings[:len(d.UserBindings)/2]
		fewer.TemporaryGrants = d.TemporaryGrants[:len(d.TemporaryGrants)/2]
		less, more := NewPolicy(Resolve(fewer).Facts), NewPolicy(Resolve(d).Facts)
		for range 300 {
			q := accesstest.NewRequest(random, d)
			if q.Record == nil {
				continue // a list's level is the narrowest of its grants, and more grants show more records
			}
			now := accesstest.Start + schedule.Instant(random.IntN(accesstest.Span))
			before, after := make([]Level, len(q.Fields)), make([]Level, len(q.Fields))
			was, is := less.Decide(now, q, before), more.Decide(now, q, after)
			if is < was {
				t.Fatalf("seed %d: %+v was %s and is %s", seed, q, was, is)
			}
			for i := range before {
				if after[i] < before[i] {
					t.Fatalf("seed %d: %+v: field %s was %s and is %s", seed, q, q.Fields[i], before[i], after[i])
				}
			}
		}
	}
}
