package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// firstVersion is li-ting's access as the first version of the schema kept it.
const firstVersion = `
INSERT INTO @tenant (name, cluster_uid, namespace_uid, fence, epoch, revision, settled_through)
VALUES ('huayue', '5e0ac3ad-0000-4000-8000-000000000001', '7d1bb0cf-0000-4000-8000-00000000000a', 1, 1, 0, '2026-01-01T00:00:00Z');
UPDATE @tenant SET writing = true;
INSERT INTO @object_type (tenant, owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object, parent_field)
VALUES ('huayue', 'ObjectType', 'customer', 'customer', 'customer', true, '', '', '', '', '');
INSERT INTO @crm_user (tenant, owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor)
VALUES ('huayue', 'User', 'li-ting', 'li-ting', 'li-ting', '', 'Employee', 'Active', '', '');
INSERT INTO @tuple (tenant, owner_kind, owner_name, key, bundle, path, digest, origin, object, restricted)
VALUES ('huayue', 'Role', 'sales-rep', 'Role/sales-rep d', 'Role/sales-rep', 'sales-rep', 'd', 'sales-rep', 'customer', false);
INSERT INTO @holder (tenant, owner_kind, owner_name, key, user_name, bundle)
VALUES ('huayue', 'UserBinding', 'reps', 'li-ting Role/sales-rep', 'li-ting', 'Role/sales-rep');
UPDATE @tenant SET writing = false;`

// Upgrade is the contract for a database that the first version of the schema was made in: it is opened with its rows.
func Upgrade(t *testing.T, h Harness) {
	if err := h.Exec(t, strings.ReplaceAll(firstVersion, "@", h.Schema())); err != nil {
		t.Fatal(err)
	}
	facts := access.Facts{
		Objects: []access.ObjectFact{{Owner: access.Ref{Kind: access.KindObjectType, Name: "customer"}, Object: "customer", Enabled: true}},
		Users:   []access.UserFact{{Owner: userRef("li-ting"), User: "li-ting", Type: access.UserEmployee, State: access.StateActive}},
		Tuples: []access.TupleFact{{Owner: roleRef("sales-rep"), Bundle: "Role/sales-rep", Path: "sales-rep", Tuple: &access.Tuple{
			Digest: "d", Origin: "sales-rep", Object: "customer"}}},
		Holders: []access.HolderFact{{Owner: bindingRef("reps"), User: "li-ting", Bundle: "Role/sales-rep", Window: schedule.Unbounded}},
	}
	l := lead(t, h, tenant)
	sameRows(t, l.held, rowsOf(t, facts))
	if l.tenant.Tampered != 0 {
		t.Errorf("the upgrade counts as tampering %d times", l.tenant.Tampered)
	}
	if got, want := live(t, h), []string{"li-ting UserBinding/reps d"}; !slices.Equal(got, want) {
		t.Errorf("live %q, want %q", got, want)
	}
	facts.Holders[0].Role, facts.Users[0].RevokedBy = "sales-rep", "lost-laptop"
	if got := l.commit(t, with(rowsOf(t, facts), rowsOf(t, rules()))); got.Tenant.Revision != (store.Revision{Epoch: 1, Number: 1}) {
		t.Errorf("the first commit made revision %s", got.Tenant.Revision)
	}
	if got := live(t, h); len(got) != 0 {
		t.Errorf("live %q after the revocation", got)
	}
	reserve(t, l, export(1, exports(1)), 1)
}
