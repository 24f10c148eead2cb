package access_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// shop is small enough to know by heart: ada holds read and update on own orders and, from 100 to 200, read on ben's.
func shop() Declarations {
	return Declarations{
		ObjectTypes: []*ObjectType{
			{Name: "order", Actions: []string{"read", "update", "delete"}, Fields: []Field{{Name: "total", Class: ClassPublic}, {Name: "price", Class: ClassRestricted}}},
			{Name: "line", Actions: []string{"read"}, Fields: []Field{{Name: "of", Class: ClassPublic}}, AccessFrom: AccessFrom{Object: "order", Field: "of"}},
			{Name: "secret", Actions: []string{"read"}, Disabled: true, Fields: []Field{{Name: "x", Class: ClassPublic}}},
		},
		Users: []*User{
			{Name: "ada", Type: UserEmployee, State: StateActive, Title: "clerk"}, {Name: "ben", Type: UserEmployee, State: StateActive},
			{Name: "gone", Type: UserEmployee, State: StateDeparted},
		},
		Roles: []*Role{
			{Name: "base", Grants: []Grant{{Object: "order", Actions: []string{"read", "update"}, Records: Records{Scopes: ScopeOwn}, Fields: []FieldRule{
				{Class: ClassRestricted, Level: LevelRead}, {Field: "total", Level: LevelEdit}, {Field: "price", Level: LevelMasked},
			}}}},
			{Name: "clerk", Inherits: []Inheritance{{Role: "base"}}, Grants: []Grant{{Object: "secret", Actions: []string{"read"}, Records: Records{Scopes: ScopeAll}}}},
		},
		UserBindings: []*UserBinding{{Name: "clerks", Subjects: []Subject{{User: "ada"}, {User: "gone"}}, Roles: []string{"clerk"}}},
		TemporaryGrants: []*TemporaryGrant{{Name: "cover", Users: []string{"ada"}, Window: schedule.Window{NotBefore: 100, NotAfter: 200}, Grants: []Grant{
			{Object: "order", Actions: []string{"read"}, Records: Records{Owners: []string{"ben"}}, OnlyFields: []string{"total"}, Fields: []FieldRule{{Field: "price", Level: LevelRead}}},
		}}},
	}
}

func TestNearMisses(t *testing.T) {
	policy := NewPolicy(Resolve(shop()).Facts)
	bens := &Record{ID: "o1", Owner: "ben"}
	for name, c := range map[string]struct {
		at      schedule.Instant
		request Request
		want    []string
	}{
		"the nearest comes first": {50, Request{User: "ada", Action: "read", Object: "order", Record: bens}, []string{
			"TemporaryGrant/cover would cover it from 1970-01-01T00:01:40Z",
			"holds read on own (base by UserBinding/clerks); the record belongs to ben",
		}},
		"another action is told where the one asked for is not held": {50, Request{User: "ada", Action: "delete", Object: "order", Record: bens}, []string{
			"holds read, update on order, not delete",
		}},
		"of an account that is gone, what would cover": {50, Request{User: "gone", Action: "read", Object: "order", Record: &Record{Owner: "gone"}}, []string{
			"base:read=own by UserBinding/clerks covers it, and alone is not enough",
		}},
		"an unknown user":            {0, Request{User: "adda", Action: "read", Object: "order"}, []string{`user "adda" is not declared; did you mean ada?`}},
		"an unknown object":          {0, Request{User: "ada", Action: "read", Object: "orders"}, []string{`object "orders" is not declared; did you mean order?`}},
		"an unknown action":          {0, Request{User: "ada", Action: "raed", Object: "order"}, []string{`action "raed" is not declared; did you mean read?`}},
		"an unknown field":           {0, Request{User: "ada", Action: "read", Object: "order", Fields: []string{"totals"}}, []string{`field "totals" is not declared; did you mean total?`}},
		"a name that resembles none": {0, Request{User: "zzzzzz", Action: "read", Object: "order"}, nil},
		"a missing record":           {0, Request{User: "ada", Action: "update", Object: "order"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := policy.NearMisses(c.at, &c.request); !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"sales-rep", "sales-reps", "sales-manager", "li-ting", "a"}
	for word, want := range map[string]string{
		"sale-rep": "sales-rep", "Sales-Rep": "sales-rep", "li-tign": "li-ting", "sales-rep2": "sales-rep", "marketing": "", "": "",
		"b": "a", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(word, slices.Values(known)); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestTheNearestNameIsOfTheSameKind(t *testing.T) {
	d := shop()
	for unknown, want := range map[Name]string{
		{What: "role", Name: "clark"}:               "clerk",
		{What: "user", Name: "bem"}:                 "ben",
		{What: "title", Name: "clark"}:              "clerk",
		{What: "object", Name: "oder"}:              "order",
		{What: "field of order", Name: "prise"}:     "price",
		{What: "field of line", Name: "price"}:      "",
		{What: "action of order", Name: "updaet"}:   "update",
		{What: "action of nothing", Name: "updaet"}: "",
		{What: "department", Name: "sales"}:         "",
	} {
		if got := d.Nearest(unknown); got != want {
			t.Errorf("%v: %q, want %q", unknown, got, want)
		}
	}
}

func TestEntitlements(t *testing.T) {
	facts := Resolve(shop()).Facts
	if got := facts.Entitlements("ada", 50); len(got) != 1 {
		t.Fatalf("before the grant ada holds %d things, want her role's orders and nothing of a disabled object", len(got))
	}
	got := facts.Entitlements("ada", 100)
	if len(got) != 2 {
		t.Fatalf("during the grant ada holds %d things, want 2", len(got))
	}
	grant, role := got[0], got[1]
	if role.Path != "clerk > base" || role.Owner.String() != "UserBinding/clerks" || role.Window != schedule.Unbounded {
		t.Errorf("the role's: %+v", role)
	}
	if want := []RuleFact{{Field: "price", Level: "masked"}, {Class: "restricted", Level: "read"}}; !slices.Equal(role.Beyond, want) {
		t.Errorf("beyond the defaults: %v, want %v: total is edit anyway, price differs from the rule of its class", role.Beyond, want)
	}
	if grant.Owner.String() != "TemporaryGrant/cover" || grant.Window.NotAfter != 200 || len(grant.Beyond) != 0 {
		t.Errorf("the grant's: %+v; a rule outside of onlyFields says nothing", grant)
	}
	if facts.Entitlements("ada", 200)[0].Owner.Kind == KindTemporaryGrant {
		t.Error("the grant is held at its end")
	}
}

func TestTheCatalogueSaysWhoseRecordDecides(t *testing.T) {
	policy := NewPolicy(Resolve(shop()).Facts)
	if got, want := policy.AccessFrom("line"), (AccessFrom{Object: "order", Field: "of"}); got != want {
		t.Errorf("line: %v, want %v", got, want)
	}
	if got := policy.AccessFrom("order"); got != (AccessFrom{}) {
		t.Errorf("order: %v, want its own", got)
	}
	if got := policy.AccessFrom("nothing"); got != (AccessFrom{}) || policy.HasField("nothing", "of") {
		t.Errorf("an unknown object: %v", got)
	}
	if !policy.HasField("line", "of") || policy.HasField("line", "total") {
		t.Error("line has the field of and no other")
	}
}
