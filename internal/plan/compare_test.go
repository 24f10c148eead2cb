package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	. "github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

const now = schedule.Instant(1_800_000_000)

func TestARoleThatGivesMoreIsOneRowForAllWhoHoldIt(t *testing.T) {
	rows(t, func(d *access.Declarations) {
		d.Roles[0].Grants = append(d.Roles[0].Grants, access.Grant{Object: "customer", Actions: []string{"export"}, Records: in(access.ScopeOwn)})
	}, "+ customer export [] -> [own] always li-ting,tang-yue by UserBinding/reps rep rep:export=own")
}

func TestAGrantThatOnlyRepeatsWhatAnotherGivesIsNoChange(t *testing.T) {
	rows(t, func(d *access.Declarations) {
		d.Roles[0].Grants = append(d.Roles[0].Grants, access.Grant{Object: "customer", Actions: []string{"read"}, Records: in(access.ScopeOwn)})
		d.UserBindings = append(d.UserBindings, &access.UserBinding{Name: "again", Subjects: []access.Subject{{User: "li-ting"}}, Roles: []string{"rep"}})
	})
}

func TestAFieldThatARuleIsAboutOnceItIsOfAnotherClassIsARow(t *testing.T) {
	base, head := smallOrganisation(), smallOrganisation()
	for _, d := range [...]*access.Declarations{&base, &head} {
		d.Roles[0].Grants[0].Fields = []access.FieldRule{{Field: "phone", Level: access.LevelEdit}}
		d.Guardrails = []*access.Guardrail{{Name: "care", Rules: []access.GuardrailRule{
			{Cap: &access.CapRule{Objects: []string{"customer"}, Classes: []string{"restricted"}, Level: "masked"}},
		}}}
	}
	head.ObjectTypes[0].Fields[1].Class = access.ClassRestricted
	rowsBetween(t, base, head, "- customer phone:masked>edit [own department] -> [] always li-ting,tang-yue by UserBinding/reps rep rep:read,update=own|department")
	rowsBetween(t, head, base, "+ customer phone:masked>edit [] -> [own department] always li-ting,tang-yue by UserBinding/reps rep rep:read,update=own|department")
}

// rows compares the small organisation with what a change makes of it.
func rows(t *testing.T, change func(*access.Declarations), want ...string) {
	t.Helper()
	base, head := smallOrganisation(), smallOrganisation()
	change(&head)
	rowsBetween(t, base, head, want...)
}

func rowsBetween(t *testing.T, base, head access.Declarations, want ...string) {
	t.Helper()
	var got []string
	if tenant := Compare(State{Declarations: base}, State{Declarations: head}, Options{At: now}); tenant != nil {
		for _, c := range tenant.Changes {
			got = append(got, line(c))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// line is a row in words.
func line(c *Change) string {
	does := slices.Clone(c.Actions)
	for _, f := range c.Fields {
		does = append(does, fmt.Sprintf("%s:%s>%s", f.Field, f.From, f.Level))
		if f.Proposed {
			does[len(does)-1] += "!"
		}
	}
	var people []string
	for _, p := range c.People {
		people = append(people, p.User)
	}
	when := "always"
	if c.Window != schedule.Unbounded {
		when = fmt.Sprintf("%d..%d", c.Window.NotBefore-now, c.Window.NotAfter-now)
	}
	text := fmt.Sprintf("%s %s %s %s -> %s %s %s", c.Sign, c.Object, strings.Join(does, ","), recordsText(c.Before), recordsText(c.After), when, strings.Join(people, ","))
	for _, p := range c.People[0].Paths {
		text += fmt.Sprintf(" by %s %s %s", p.Owner, p.Roles, p.Grant)
	}
	return text
}

func recordsText(list []Records) string {
	var all []string
	for _, r := range list {
		names := slices.Clone(r.Scopes)
		for _, l := range [][]string{r.IDs, r.Owners, r.Departments, r.DepartmentTrees} {
			names = append(names, l...)
		}
		for _, w := range r.Where {
			names = append(names, fmt.Sprintf("where %s %s %s", w.Field, w.Operator, strings.Join(w.Values, "|")))
		}
		all = append(all, strings.Join(names, " "))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func in(scopes access.Scopes) access.Records { return access.Records{Scopes: scopes} }

// smallOrganisation is a sales team: chen-mo leads li-ting and tang-yue, who may read and update customers of their
// department.
func smallOrganisation() access.Declarations {
	return access.Declarations{
		ObjectTypes: []*access.ObjectType{{
			Name: "customer", OwnerField: "owner", DepartmentField: "dept",
			Fields:  []access.Field{{Name: "name", Class: access.ClassPublic}, {Name: "phone", Class: access.ClassConfidential}, {Name: "owner", Class: access.ClassPublic}, {Name: "region", Class: access.ClassPublic}},
			Actions: []string{"create", "read", "update", "delete", "export", "transfer"},
		}},
		Departments: []*access.Department{{Name: "sales"}, {Name: "east", Parent: "sales"}, {Name: "west", Parent: "sales"}},
		Users: []*access.User{
			{Name: "chen-mo", Type: access.UserEmployee, State: access.StateActive, Departments: []string{"sales"}},
			{Name: "li-ting", Type: access.UserEmployee, State: access.StateActive, Manager: "chen-mo", Departments: []string{"east"}},
			{Name: "tang-yue", Type: access.UserEmployee, State: access.StateActive, Manager: "chen-mo", Departments: []string{"east"}},
		},
		Roles:        []*access.Role{{Name: "rep", Grants: []access.Grant{{Object: "customer", Actions: []string{"read", "update"}, Records: in(access.ScopeDepartment | access.ScopeOwn)}}}},
		UserBindings: []*access.UserBinding{{Name: "reps", Subjects: []access.Subject{{User: "li-ting"}, {User: "tang-yue"}}, Roles: []string{"rep"}}},
	}
}
