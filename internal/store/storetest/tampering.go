package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/driver"
)

// byHand are the ways to change a table by hand. Each touches rows of the tenant alone.
func byHand(h Harness, table store.Table) map[string]string {
	name := h.Schema() + string(table)
	var columns []string
	for _, column := range driver.Columns(table) {
		columns = append(columns, column.Name)
	}
	list := strings.Join(columns, ", ")
	return map[string]string{
		"insert": fmt.Sprintf(`INSERT INTO %s (tenant, owner_kind, owner_name, key, %s)
			SELECT tenant, owner_kind, owner_name || '-by-hand', key, %s FROM %s WHERE tenant = '%s'`, name, list, list, name, tenant),
		"update": fmt.Sprintf(`UPDATE %s SET %s = %s, key = key || '-by-hand' WHERE tenant = '%s'`, name, columns[0], columns[0], tenant),
		"delete": fmt.Sprintf(`DELETE FROM %s WHERE tenant = '%s'`, name, tenant),
	}
}

var tampering = []test{
	{"rows written by hand are marked on each table, make a commit stale, and are repaired from a load", func(t *testing.T, h Harness) {
		l, other := lead(t, h, tenant), lead(t, h, "qingyun")
		rows := organisation(t)
		l.commit(t, rows)
		other.commit(t, rows)
		for _, table := range store.Tables {
			for what, statement := range byHand(h, table) {
				if err := h.Exec(t, statement); err != nil {
					t.Fatalf("%s %s: %v", what, table, err)
				}
				marked, err := l.Tenant(t.Context(), tenant)
				if err != nil {
					t.Fatal(err)
				}
				if marked.Tampered <= l.tenant.Tampered {
					t.Errorf("%s %s: not marked", what, table)
				}
				if _, err := l.Commit(t.Context(), l.write(with(rows, rowsOf(t, user("bai-he"))))); !errors.Is(err, store.ErrStale) {
					t.Errorf("%s %s: commit got %v, want ErrStale", what, table, err)
				}
				l.load(t)
				if len(store.Diff(l.held, rows)) == 0 {
					t.Errorf("%s %s: a load sees no difference", what, table)
				}
				tampered := l.tenant.Tampered
				l.commit(t, rows)
				if l.tenant.Tampered != tampered {
					t.Errorf("%s %s: the repair counts as tampering", what, table)
				}
			}
		}
		other.load(t)
		if other.tenant.Tampered != 0 {
			t.Errorf("the other tenant is marked %d times", other.tenant.Tampered)
		}
		sameRows(t, other.held, rows)
	}},
	{"rows moved by hand to another tenant mark both", func(t *testing.T, h Harness) {
		a, b := lead(t, h, tenant), lead(t, h, "qingyun")
		a.commit(t, organisation(t))
		for _, table := range store.Tables {
			if err := h.Exec(t, fmt.Sprintf(`UPDATE %s%s SET tenant = 'qingyun'`, h.Schema(), table)); err != nil {
				t.Fatal(err)
			}
			marked := [2]int64{a.tenant.Tampered, b.tenant.Tampered}
			a.load(t)
			b.load(t)
			if a.tenant.Tampered <= marked[0] || b.tenant.Tampered <= marked[1] {
				t.Errorf("%s: marks went from %v to %d and %d", table, marked, a.tenant.Tampered, b.tenant.Tampered)
			}
		}
		sameRows(t, b.held, organisation(t))
		b.commit(t, map[store.RowID]string{})
		a.commit(t, organisation(t))
	}},
	{"a commit of one tenant does not hide what is done to another by hand", func(t *testing.T, h Harness) {
		a, b := lead(t, h, tenant), lead(t, h, "qingyun")
		a.commit(t, organisation(t))
		b.commit(t, organisation(t))
		if err := h.Exec(t, fmt.Sprintf(`DELETE FROM %sholder WHERE tenant = 'qingyun'`, h.Schema())); err != nil {
			t.Fatal(err)
		}
		a.commit(t, map[store.RowID]string{})
		b.load(t)
		if a.tenant.Tampered != 0 || b.tenant.Tampered == 0 {
			t.Errorf("marks: %d and %d, want none and some", a.tenant.Tampered, b.tenant.Tampered)
		}
	}},
	{"the mark of an own write is never seen from outside, nor left behind", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		l.commit(t, with(organisation(t), rowsOf(t, grant("yearend", between(now, now+60), "li-ting"))))
		bad := user("han-dong")
		bad.Users[0].DisplayName = "\x00"
		l.commitRefused(t, with(l.held, rowsOf(t, bad)), userRef("han-dong"))
		h.Advance(t, tenant, now+60)
		l.settle(t, organisation(t))
		got := h.Query(t, `SELECT name FROM `+h.Schema()+`tenant WHERE NOT writing`)
		if len(got) != 1 || got[0][0] != tenant {
			t.Errorf("tenants that are not being written: %v", got)
		}
	}},
	{"a tenant row that is gone takes no rows along: who claims anew finds and removes them", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		if err := h.Exec(t, `DELETE FROM `+h.Schema()+`tenant`); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Commit(t.Context(), l.write(nil)); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("commit: got %v, want ErrNoTenant", err)
		}
		again := lead(t, h, tenant)
		sameRows(t, again.held, organisation(t))
	}},
	{"a tenant row that is gone, once or again, begins after what its ledger has, and the chain goes on", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		l.commit(t, rowsOf(t, user("li-ting")))
		lead(t, h, "qingyun").commit(t, organisation(t))
		for epoch := range int64(3) {
			if err := h.Exec(t, fmt.Sprintf(`DELETE FROM %stenant WHERE name = '%s'`, h.Schema(), tenant)); err != nil {
				t.Fatal(err)
			}
			entries := len(l.ledger(t))
			l = lead(t, h, tenant)
			if want := (store.Revision{Epoch: epoch + 2}); l.tenant.Revision != want {
				t.Errorf("claimed anew at %s, want %s", l.tenant.Revision, want)
			}
			if l.tenant.Tampered != 1 {
				t.Errorf("claimed anew with %d foreign writes, want the one that took the row", l.tenant.Tampered)
			}
			l.verify(t)
			l.commit(t, rowsOf(t, user(fmt.Sprint("user-", epoch))))
			l.verify(t)
			if got := len(l.ledger(t)); got != entries+1 {
				t.Errorf("%d ledger entries, want %d", got, entries+1)
			}
		}
		if other := lead(t, h, "new"); other.tenant.Revision != (store.Revision{Epoch: 1}) || other.tenant.Tampered != 0 {
			t.Errorf("a tenant without a ledger begins at %s with %d foreign writes", other.tenant.Revision, other.tenant.Tampered)
		}
	}},
}
