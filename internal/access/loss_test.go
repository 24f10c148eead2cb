package access_test

import (
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
)

func TestLosersAreThoseWhoHaveLess(t *testing.T) {
	whole := func() Declarations {
		d := office()
		holding("ann", customers(ScopeOwn, "read", "update"))(&d)
		holding("bob", customers(ScopeAll, "read"))(&d)
		holding("boss", customers(ScopeDepartmentAndBelow, "read"))(&d)
		lending(customers(ScopeAll, "read"), "ann")(&d)
		return d
	}
	for name, c := range map[string]struct {
		change func(*Declarations)
		want   []string
	}{
		"nothing is gone":             {func(*Declarations) {}, nil},
		"a role is gone":              {func(d *Declarations) { d.Roles = d.Roles[1:] }, []string{"ann"}},
		"a binding is gone":           {func(d *Declarations) { d.UserBindings = d.UserBindings[:2] }, []string{"boss"}},
		"a grant is gone":             {func(d *Declarations) { d.TemporaryGrants = nil }, []string{"ann"}},
		"a user is gone":              {func(d *Declarations) { d.Users = slices.Delete(d.Users, 2, 3) }, []string{"bob"}},
		"a departed user is gone":     {func(d *Declarations) { d.Users = slices.Delete(d.Users, 3, 4) }, nil},
		"a department below is gone":  {func(d *Declarations) { d.Departments = slices.Delete(d.Departments, 2, 3) }, []string{"ann", "boss"}},
		"the object is gone":          {func(d *Declarations) { d.ObjectTypes = d.ObjectTypes[1:] }, []string{"ann", "bob", "boss"}},
		"a role that nobody holds":    {func(d *Declarations) { d.Roles = append(d.Roles, &Role{Name: "spare"}) }, nil},
		"somebody leaves by the text": {func(d *Declarations) { gone := *d.Users[1]; gone.State = StateDeparted; d.Users[1] = &gone }, []string{"ann"}},
	} {
		d := whole()
		c.change(&d)
		if got := Losers(Resolve(whole()).Facts, Resolve(d).Facts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatEndedIsLeftOutOfTheFacts(t *testing.T) {
	d := office()
	holding("bob", customers(ScopeAll, "read"))(&d)
	lending(customers(ScopeAll, "read"), "ann")(&d)
	facts := Resolve(d).Facts
	if live := facts.WithoutEnded(199); len(live.Holders) != 2 || len(live.Tuples) != 2 {
		t.Errorf("just before the end: %d holders, %d tuples, want 2 and 2", len(live.Holders), len(live.Tuples))
	}
	if live := facts.WithoutEnded(200); len(live.Holders) != 1 || len(live.Tuples) != 1 {
		t.Errorf("at the end: %d holders, %d tuples, want 1 and 1", len(live.Holders), len(live.Tuples))
	}
	if next := NewPolicy(facts).NextBoundary(50); next != 100 {
		t.Errorf("the next boundary is %d, want 100", next)
	}
	if next := NewPolicy(facts).NextBoundary(100); next != 200 {
		t.Errorf("the next boundary is %d, want 200", next)
	}
}
