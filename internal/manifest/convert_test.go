package manifest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// é as two characters, as some keyboards and file systems give it, and as one.
const (
	decomposed = "e\u0301"
	composed   = "\u00e9"
)

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

func TestDeclare(t *testing.T) {
	var got access.Declarations
	for _, object := range []v1alpha1.Object{
		&v1alpha1.Role{ObjectMeta: named("sales-manager"), Spec: v1alpha1.RoleSpec{
			DisplayName: decomposed, Abstract: true, Privileged: true,
			Inherits: []v1alpha1.Inheritance{{Role: "sales-rep", Mute: []v1alpha1.Mute{{Object: "customer", Actions: []v1alpha1.Identifier{"share"}}}}},
			Grants: []v1alpha1.RoleGrant{{
				Object: "customer", Actions: []v1alpha1.Identifier{"read"}, Scopes: []v1alpha1.Scope{"department", "own"},
				Where:  []v1alpha1.Condition{{Field: "region", Operator: "In", Values: []v1alpha1.Value{decomposed}}},
				Fields: []v1alpha1.FieldRule{{Class: "confidential", Level: "read"}, {Field: "creditLimit", Level: "none"}},
			}},
		}},
		&v1alpha1.UserBinding{ObjectMeta: named("reps"), Spec: v1alpha1.UserBindingSpec{
			Subjects: []v1alpha1.Subject{{User: "tang-yue"}, {Selector: &v1alpha1.UserSelector{Department: "east", Title: decomposed}}, {Selector: &v1alpha1.UserSelector{DepartmentTree: "sales"}}},
			Roles:    []v1alpha1.Reference{"sales-rep"}, Justification: "CHG-1",
		}},
		&v1alpha1.TemporaryGrant{ObjectMeta: named("yearend"), Spec: v1alpha1.TemporaryGrantSpec{
			Users: []v1alpha1.Reference{"li-ting", "bai-he"}, Roles: []v1alpha1.Reference{"sales-rep"},
			Grants: []v1alpha1.TemporaryGrantEntry{{
				Object: "customer", Actions: []v1alpha1.Identifier{"read"}, Records: v1alpha1.RecordSelector{IDs: []v1alpha1.RecordID{decomposed}},
				OnlyFields: []v1alpha1.Identifier{"name"}, Users: []v1alpha1.Reference{"bai-he"},
			}},
			NotBefore: "2026-12-28T09:00:00+08:00", NotAfter: "2026-12-31T09:00:00+08:00",
			Reason: "push", RequestedBy: "lin-che", Ticket: "CHG-2", Emergency: true,
		}},
		&v1alpha1.User{ObjectMeta: named("li-ting"), Spec: v1alpha1.UserSpec{
			DisplayName: "李婷", Title: decomposed, Type: "Service", State: "Suspended", Department: "east", OtherDepartments: []v1alpha1.Reference{"north", "east"},
			Manager: "chen-mo", Successor: "wang-lei", Identities: []v1alpha1.Identity{{Issuer: "https://sso", Subject: decomposed, Username: "li-ting@crm"}},
		}},
		&v1alpha1.User{ObjectMeta: named("plain")},
		&v1alpha1.Department{ObjectMeta: named("east"), Spec: v1alpha1.DepartmentSpec{DisplayName: decomposed, Parent: "sales", Manager: "chen-mo"}},
		&v1alpha1.ObjectType{ObjectMeta: named("customer"), Spec: v1alpha1.ObjectTypeSpec{
			DisplayName: "客户", State: "Disabled", LabelField: "name", OwnerField: "owner", DepartmentField: "ownerDept",
			Fields:  []v1alpha1.Field{{Name: "phone", Class: "confidential", Mask: &v1alpha1.Mask{Type: "Keep", KeepFirst: 3, KeepLast: 4}}, {Name: "name", Class: "public"}},
			Actions: []v1alpha1.Identifier{"read"}, AccessFrom: &v1alpha1.AccessFrom{Object: "account", Field: "accountId"},
			Storage: &v1alpha1.Storage{Table: "crm.customer", ID: "id", Owner: "owner_id", Department: "dept", Participants: "team", Creator: "made_by",
				Tenant: &v1alpha1.TenantColumn{Column: "org", Value: decomposed}, Columns: map[string]v1alpha1.Column{"phone": "phone_no"}},
			Variants: []v1alpha1.Variant{{Action: "trash", Of: "delete", Property: "soft", Value: v1alpha1.Value(decomposed)}},
		}},
		&v1alpha1.ObjectType{ObjectMeta: named("plain"), Spec: v1alpha1.ObjectTypeSpec{Actions: []v1alpha1.Identifier{"read"}}},
		&v1alpha1.PermissionStore{ObjectMeta: named("default")},
	} {
		if err := Declare(&got, object); err != nil {
			t.Fatal(err)
		}
	}
	want := access.Declarations{
		Roles: []*access.Role{{
			Name: "sales-manager", DisplayName: composed, Abstract: true, Privileged: true,
			Inherits: []access.Inheritance{{Role: "sales-rep", Mute: []access.Mute{{Object: "customer", Actions: []string{"share"}}}}},
			Grants: []access.Grant{{
				Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeDepartment | access.ScopeOwn},
				Where:  []access.Condition{{Field: "region", Operator: access.OperatorIn, Values: []string{composed}}},
				Fields: []access.FieldRule{{Class: access.ClassConfidential, Level: access.LevelRead}, {Field: "creditLimit", Level: access.LevelNone}},
			}},
		}},
		UserBindings: []*access.UserBinding{{
			Name:     "reps",
			Subjects: []access.Subject{{User: "tang-yue"}, {Selector: access.Selector{Department: "east", Title: composed}}, {Selector: access.Selector{DepartmentTree: "sales"}}},
			Roles:    []string{"sales-rep"}, Justification: "CHG-1",
		}},
		TemporaryGrants: []*access.TemporaryGrant{{
			Name: "yearend", Users: []string{"li-ting", "bai-he"}, Roles: []string{"sales-rep"},
			Grants: []access.Grant{{
				Object: "customer", Actions: []string{"read"}, Records: access.Records{IDs: []string{composed}},
				OnlyFields: []string{"name"}, Users: []string{"bai-he"},
			}},
			Window: schedule.Window{
				NotBefore: schedule.At(time.Date(2026, 12, 28, 1, 0, 0, 0, time.UTC)),
				NotAfter:  schedule.At(time.Date(2026, 12, 31, 1, 0, 0, 0, time.UTC)),
			},
			Reason: "push", RequestedBy: "lin-che", Ticket: "CHG-2", Emergency: true,
		}},
		Users: []*access.User{
			{Name: "li-ting", DisplayName: "李婷", Title: composed, Type: access.UserService, State: access.StateSuspended, Manager: "chen-mo", Successor: "wang-lei", Departments: []string{"east", "north"},
				Identities: []string{"li-ting@crm"}, Logins: []access.Login{{Issuer: "https://sso", Subject: composed, Username: "li-ting@crm"}}},
			{Name: "plain", Type: access.UserEmployee, State: access.StateActive},
		},
		Departments: []*access.Department{{Name: "east", DisplayName: composed, Parent: "sales", Manager: "chen-mo"}},
		ObjectTypes: []*access.ObjectType{
			{
				Name: "customer", DisplayName: "客户", Disabled: true, LabelField: "name", OwnerField: "owner", DepartmentField: "ownerDept",
				Fields:  []access.Field{{Name: "phone", Class: access.ClassConfidential, Mask: access.Mask{Type: "Keep", KeepFirst: 3, KeepLast: 4}}, {Name: "name", Class: access.ClassPublic}},
				Actions: []string{"read"}, AccessFrom: access.AccessFrom{Object: "account", Field: "accountId"},
				Storage: access.Storage{Table: "crm.customer", ID: "id", Owner: "owner_id", Department: "dept", Participants: "team", Creator: "made_by",
					TenantColumn: "org", TenantValue: composed, Columns: map[string]string{"phone": "phone_no"}},
				Variants: []access.Variant{{Action: "trash", Of: "delete", Property: "soft", Value: composed}},
			},
			{Name: "plain", Actions: []string{"read"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("declarations (-want +got):\n%s", diff)
	}
}

// An object may be older than the rule that refuses it. Half of it must not confer anything, so it declares nothing.
func TestWhatIsFaultyDeclaresNothing(t *testing.T) {
	grantOf := func(change func(*v1alpha1.TemporaryGrantSpec)) *v1alpha1.TemporaryGrant {
		spec := v1alpha1.TemporaryGrantSpec{Users: []v1alpha1.Reference{"a"}, Roles: []v1alpha1.Reference{"r"}, NotAfter: "2026-12-31T09:00:00Z"}
		change(&spec)
		return &v1alpha1.TemporaryGrant{ObjectMeta: named("g"), Spec: spec}
	}
	entry := func(e v1alpha1.TemporaryGrantEntry) *v1alpha1.TemporaryGrant {
		return grantOf(func(s *v1alpha1.TemporaryGrantSpec) { s.Grants = []v1alpha1.TemporaryGrantEntry{e} })
	}
	role := func(g v1alpha1.RoleGrant) *v1alpha1.Role {
		return &v1alpha1.Role{ObjectMeta: named("r"), Spec: v1alpha1.RoleSpec{Grants: []v1alpha1.RoleGrant{{}, g}}}
	}
	for want, object := range map[string]v1alpha1.Object{
		`Role/r: spec.grants[1].scopes: unknown scope "every"`:                                             role(v1alpha1.RoleGrant{Scopes: []v1alpha1.Scope{"every"}}),
		`Role/r: spec.grants[1].where[0].operator: unknown operator "in": want one of In, NotIn, Exists`:   role(v1alpha1.RoleGrant{Where: []v1alpha1.Condition{{Operator: "in"}}}),
		`Role/r: spec.grants[1].where[0].values: operator NotIn needs at least one value`:                  role(v1alpha1.RoleGrant{Where: []v1alpha1.Condition{{Operator: "NotIn"}}}),
		`Role/r: spec.grants[1].where[0].values: operator Exists takes no values`:                          role(v1alpha1.RoleGrant{Where: []v1alpha1.Condition{{Operator: "Exists", Values: []v1alpha1.Value{"a"}}}}),
		`Role/r: spec.grants[1].fields[0]: needs exactly one of field and class`:                           role(v1alpha1.RoleGrant{Fields: []v1alpha1.FieldRule{{Level: "read"}}}),
		`Role/r: spec.grants[1].fields[0].level: unknown field level "write"`:                              role(v1alpha1.RoleGrant{Fields: []v1alpha1.FieldRule{{Field: "a", Level: "write"}}}),
		`Role/r: spec.grants[1].fields[0].class: unknown sensitivity class "pii"`:                          role(v1alpha1.RoleGrant{Fields: []v1alpha1.FieldRule{{Class: "pii", Level: "read"}}}),
		`UserBinding/b: spec.subjects[0]: needs exactly one of user and selector`:                          &v1alpha1.UserBinding{ObjectMeta: named("b"), Spec: v1alpha1.UserBindingSpec{Subjects: []v1alpha1.Subject{{}}}},
		`UserBinding/b: spec.subjects[0].selector: needs exactly one of department and departmentTree`:     &v1alpha1.UserBinding{ObjectMeta: named("b"), Spec: v1alpha1.UserBindingSpec{Subjects: []v1alpha1.Subject{{Selector: &v1alpha1.UserSelector{Title: "a"}}}}},
		`TemporaryGrant/g: spec.notAfter: instant "": want RFC 3339`:                                       grantOf(func(s *v1alpha1.TemporaryGrantSpec) { s.NotAfter = "" }),
		`TemporaryGrant/g: spec.notAfter: instant "2026-12-31T09:00:00.5Z": want whole seconds`:            grantOf(func(s *v1alpha1.TemporaryGrantSpec) { s.NotAfter = "2026-12-31T09:00:00.5Z" }),
		`TemporaryGrant/g: spec.notBefore: instant "now": want RFC 3339`:                                   grantOf(func(s *v1alpha1.TemporaryGrantSpec) { s.NotBefore = "now" }),
		`TemporaryGrant/g: spec.notAfter: 2026-12-31T09:00:00Z is not later than notBefore, 2027-01-01T00`: grantOf(func(s *v1alpha1.TemporaryGrantSpec) { s.NotBefore = "2027-01-01T00:00:00Z" }),
		`TemporaryGrant/g: spec.grants[0].records: needs exactly one of ids`:                               entry(v1alpha1.TemporaryGrantEntry{}),
		`TemporaryGrant/g: spec.grants[0].users[0]: "b" is not among spec.users`:                           entry(v1alpha1.TemporaryGrantEntry{Users: []v1alpha1.Reference{"b"}, Records: v1alpha1.RecordSelector{IDs: []v1alpha1.RecordID{"x"}}}),
		`User/u: spec.state: unknown value "Retired": want one of Active, Suspended, Departed`:             &v1alpha1.User{ObjectMeta: named("u"), Spec: v1alpha1.UserSpec{State: "Retired"}},
		`User/u: spec.type: unknown value "Robot": want one of Employee, External, Service`:                &v1alpha1.User{ObjectMeta: named("u"), Spec: v1alpha1.UserSpec{Type: "Robot"}},
		`ObjectType/o: spec.state: unknown value "Off": want one of Enabled, Disabled`:                     &v1alpha1.ObjectType{ObjectMeta: named("o"), Spec: v1alpha1.ObjectTypeSpec{State: "Off"}},
		`ObjectType/o: spec.fields[0].class: unknown sensitivity class ""`:                                 &v1alpha1.ObjectType{ObjectMeta: named("o"), Spec: v1alpha1.ObjectTypeSpec{Fields: []v1alpha1.Field{{Name: "a"}}}},
		`ObjectType/o: spec.fields[0].mask.type: unknown value "Hash"`:                                     &v1alpha1.ObjectType{ObjectMeta: named("o"), Spec: v1alpha1.ObjectTypeSpec{Fields: []v1alpha1.Field{{Name: "a", Class: "public", Mask: &v1alpha1.Mask{Type: "Hash"}}}}},
	} {
		t.Run(want, func(t *testing.T) {
			var got access.Declarations
			err := Declare(&got, object)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(access.Declarations{}, got); diff != "" {
				t.Errorf("it declares all the same:\n%s", diff)
			}
		})
	}
}

func TestOnlyFieldsOfNoFieldStillRestricts(t *testing.T) {
	grant, err := TemporaryGrant(&v1alpha1.TemporaryGrant{ObjectMeta: named("g"), Spec: v1alpha1.TemporaryGrantSpec{
		Users: []v1alpha1.Reference{"a"}, NotAfter: "2026-12-31T09:00:00Z",
		Grants: []v1alpha1.TemporaryGrantEntry{
			{Records: v1alpha1.RecordSelector{IDs: []v1alpha1.RecordID{"x"}}, OnlyFields: []v1alpha1.Identifier{}},
			{Records: v1alpha1.RecordSelector{IDs: []v1alpha1.RecordID{"x"}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if grant.Grants[0].OnlyFields == nil || grant.Grants[1].OnlyFields != nil {
		t.Errorf("onlyFields are %#v and %#v, want an empty list and none", grant.Grants[0].OnlyFields, grant.Grants[1].OnlyFields)
	}
}

func TestAGrantWithoutABeginningIsAlwaysOpenUntilItsEnd(t *testing.T) {
	grant, err := TemporaryGrant(&v1alpha1.TemporaryGrant{ObjectMeta: named("g"), Spec: v1alpha1.TemporaryGrantSpec{NotAfter: "2026-12-31T09:00:00Z"}})
	if err != nil {
		t.Fatal(err)
	}
	end := schedule.At(time.Date(2026, 12, 31, 9, 0, 0, 0, time.UTC))
	if want := (schedule.Window{NotBefore: schedule.Always, NotAfter: end}); grant.Window != want {
		t.Errorf("window is %v, want %v", grant.Window, want)
	}
}
