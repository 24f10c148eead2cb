package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const tenant = "huayue"

var (
	ours   = store.Owner{Cluster: "5e0ac3ad-0000-4000-8000-000000000001", Namespace: "7d1bb0cf-0000-4000-8000-00000000000a"}
	theirs = store.Owner{Cluster: "5e0ac3ad-0000-4000-8000-000000000002", Namespace: "7d1bb0cf-0000-4000-8000-00000000000b"}
)

// leader is a handle that has claimed the tenant, and what it knows.
type leader struct {
	store.Store
	tenant store.Tenant
	held   map[store.RowID]string
}

// lead opens a handle and claims the tenant.
func lead(t *testing.T, h Harness, name string) *leader {
	t.Helper()
	s := h.Open(t)
	claimed, err := s.Claim(t.Context(), name, ours, "")
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	l := &leader{Store: s, tenant: claimed}
	l.load(t)
	return l
}

// load reads everything, as at a leader's start.
func (l *leader) load(t testing.TB) {
	t.Helper()
	content, err := l.Load(context.Background(), l.tenant.Name)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	l.tenant = content.Tenant
	l.held = store.Index(content.Rows)
	if len(l.held) != len(content.Rows) {
		t.Fatalf("load: %d rows, of which %d are different", len(content.Rows), len(l.held))
	}
}

// write is the commit that makes the tenant what rows say.
func (l *leader) write(rows map[store.RowID]string) store.Commit {
	return store.Commit{Expect: l.tenant, Changes: store.Diff(l.held, rows), Cause: "pass", Brake: l.tenant.Brake}
}

// commit makes the tenant what rows say, and checks that a load finds it so.
func (l *leader) commit(t testing.TB, rows map[store.RowID]string) store.Committed {
	t.Helper()
	committed, err := l.Commit(context.Background(), l.write(rows))
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if len(committed.Refused) > 0 {
		t.Fatalf("commit: refused %v", committed.Refused)
	}
	l.load(t)
	sameRows(t, l.held, rows)
	sameTenant(t, committed.Tenant, l.tenant)
	return committed
}

func sameRows(t testing.TB, got, want map[store.RowID]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("rows in the store (-got +want):\n%s", cmp.Diff(got, want))
	}
}

// sameTenant compares all but the time of reading.
func sameTenant(t testing.TB, got, want store.Tenant) {
	t.Helper()
	got.Now = want.Now
	if diff := cmp.Diff(got, want); diff != "" {
		t.Fatalf("tenant row (-got +want):\n%s", diff)
	}
}

// rowsOf encodes facts and sources.
func rowsOf(t testing.TB, facts access.Facts, sources ...store.Row) map[store.RowID]string {
	t.Helper()
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	return store.Index(append(rows, sources...))
}

// with is a and b together.
func with(a map[store.RowID]string, b ...map[store.RowID]string) map[store.RowID]string {
	all := maps.Clone(a)
	for _, more := range b {
		maps.Copy(all, more)
	}
	return all
}

// without leaves out one object's rows.
func without(rows map[store.RowID]string, owner access.Ref) map[store.RowID]string {
	left := maps.Clone(rows)
	maps.DeleteFunc(left, func(id store.RowID, _ string) bool { return id.Owner == owner })
	return left
}

func source(t testing.TB, owner access.Ref, spec string) store.Row {
	t.Helper()
	row, err := store.SourceRow(owner, store.Source{UID: "uid-of-" + owner.Name, Spec: json.RawMessage(spec)})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func userRef(name string) access.Ref    { return access.Ref{Kind: access.KindUser, Name: name} }
func roleRef(name string) access.Ref    { return access.Ref{Kind: access.KindRole, Name: name} }
func bindingRef(name string) access.Ref { return access.Ref{Kind: access.KindUserBinding, Name: name} }
func guardrailRef(name string) access.Ref {
	return access.Ref{Kind: access.KindGuardrail, Name: name}
}
func approvalRef(name string) access.Ref { return access.Ref{Kind: access.KindApproval, Name: name} }
func grantRef(name string) access.Ref    { return access.Ref{Kind: access.KindTemporaryGrant, Name: name} }

// user is an account and its membership.
func user(name string) access.Facts {
	owner := userRef(name)
	return access.Facts{
		Users:       []access.UserFact{{Owner: owner, User: name, DisplayName: "用户 " + name, Type: access.UserEmployee, State: access.StateActive}},
		Memberships: []access.MembershipFact{{Owner: owner, User: name, Department: "sales", Primary: true}},
	}
}

// catalogue is the object customer with two fields, and the department sales.
func catalogue() access.Facts {
	object := access.Ref{Kind: access.KindObjectType, Name: "customer"}
	department := access.Ref{Kind: access.KindDepartment, Name: "sales"}
	return access.Facts{
		Objects: []access.ObjectFact{{Owner: object, Object: "customer", Enabled: true, OwnerField: "owner", DepartmentField: "ownerDept", LabelField: "name", Actions: []string{"read", "update"}}},
		Fields: []access.FieldFact{
			{Owner: object, Object: "customer", Field: "phone", Class: "confidential", Mask: access.Mask{Type: "Keep", KeepFirst: 3, KeepLast: 4}},
			{Owner: object, Object: "customer", Field: "name", Class: "public"},
		},
		Storages: []access.StorageFact{{Owner: object, Object: "customer", Table: "crm.customer", IDColumn: "id", OwnerColumn: "owner_id",
			DepartmentColumn: "owner_dept", TenantColumn: "org", TenantValue: "huayue", Columns: map[string]string{"phone": "phone_no"}}},
		Departments: []access.DepartmentFact{{Owner: department, Department: "sales", DisplayName: "销售部"}},
		Closure:     []access.ClosureFact{{Owner: department, Department: "sales", Ancestor: "sales"}},
	}
}

// rules are a guardrail of two rules, a role's ancestor, and an approval that was shown its document and one that was not.
func rules() access.Facts {
	limit := access.LimitRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}}
	approval := access.ApprovalFact{Owner: approvalRef("yes"), ForKind: access.KindTemporaryGrant, ForName: "yearend", Effect: "sha256:0a", Decision: "Approve",
		Approver: "chen-mo@huayue.example", Person: "chen-mo", Document: json.RawMessage(`{"person":"li-ting","tuples":[{"object":"<客户>"}]}`)}
	unseen := approval
	unseen.Owner, unseen.Document = approvalRef("unseen"), nil
	return access.Facts{
		Lineage: []access.LineageFact{{Owner: roleRef("sales-manager"), Role: "sales-manager", Ancestor: "sales-rep"}},
		Guardrails: []access.GuardrailFact{
			{Owner: guardrailRef("export"), Position: "000", Rule: access.GuardrailRule{Limit: &limit}},
			{Owner: guardrailRef("export"), Position: "001", Rule: access.GuardrailRule{Cap: &access.CapRule{Objects: []string{access.Any}, Level: "masked"}}},
		},
		Approvals: []access.ApprovalFact{approval, unseen},
	}
}

// role is a role's bundle: one tuple for each action.
func role(name string, actions ...string) access.Facts {
	var facts access.Facts
	for _, action := range actions {
		facts.Tuples = append(facts.Tuples, access.TupleFact{
			Owner: roleRef(name), Bundle: access.RoleBundle(name), Path: name, Tuple: &access.Tuple{
				Digest: "digest-" + action, Origin: name, Object: "customer", Actions: []string{action}, Scopes: []string{"own"},
				Where:  []access.WhereFact{{Field: "region", Operator: access.OperatorIn, Values: []string{"east"}}},
				Fields: []access.RuleFact{{Class: "confidential", Level: "read"}}},
		})
	}
	return facts
}

// binding gives users a role for good.
func binding(name, role string, users ...string) access.Facts {
	var facts access.Facts
	for _, user := range users {
		facts.Holders = append(facts.Holders, access.HolderFact{
			Owner: bindingRef(name), User: user, Bundle: access.RoleBundle(role), Role: role, Window: schedule.Unbounded})
	}
	return facts
}

// grant gives users a tuple of its own in a window.
func grant(name string, window schedule.Window, users ...string) access.Facts {
	bundle := "TemporaryGrant/" + name + "/0"
	facts := access.Facts{Tuples: []access.TupleFact{{
		Owner: grantRef(name), Bundle: bundle, Path: name, Tuple: &access.Tuple{Digest: "digest", Origin: name, Object: "customer",
			Actions: []string{"read"}, Owners: []string{"wang-lei"}, Restricted: true, OnlyFields: []string{"name"}},
	}}}
	for _, user := range users {
		facts.Holders = append(facts.Holders, access.HolderFact{Owner: grantRef(name), User: user, Bundle: bundle, Window: window})
	}
	return facts
}

// organisation is a bit of everything.
func organisation(t testing.TB) map[store.RowID]string {
	t.Helper()
	return with(rowsOf(t, catalogue(), source(t, roleRef("sales-rep"), `{"grants": [{"object": "customer"}]}`)),
		rowsOf(t, user("li-ting")), rowsOf(t, user("tang-yue")), rowsOf(t, role("sales-rep", "read", "update")),
		rowsOf(t, binding("reps", "sales-rep", "li-ting", "tang-yue")), rowsOf(t, rules()))
}

// many is a role held by n users, each declared.
func many(t testing.TB, n int) map[store.RowID]string {
	t.Helper()
	rows := rowsOf(t, role("sales-rep", "read"))
	for i := range n {
		name := fmt.Sprintf("user-%04d", i)
		rows = with(rows, rowsOf(t, user(name)), rowsOf(t, binding("binding-"+name, "sales-rep", name)))
	}
	return rows
}
