package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

var claiming = []test{
	{"a tenant that nobody has claimed is not there", func(t *testing.T, h Harness) {
		s := h.Open(t)
		if _, err := s.Tenant(t.Context(), tenant); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("tenant: got %v, want ErrNoTenant", err)
		}
		if _, err := s.Load(t.Context(), tenant); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("load: got %v, want ErrNoTenant", err)
		}
		if _, err := s.Settle(t.Context(), store.Tenant{Name: tenant, Owner: ours, Fence: 1}); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("settle: got %v, want ErrNoTenant", err)
		}
		for _, c := range []store.Commit{
			{Expect: store.Tenant{Name: tenant, Owner: ours, Fence: 1}},
			{Expect: store.Tenant{Name: tenant, Owner: ours, Fence: 1}, Changes: store.Diff(nil, organisation(t))},
		} {
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, store.ErrNoTenant) {
				t.Errorf("commit of %d changes: got %v, want ErrNoTenant", len(c.Changes), err)
			}
		}
	}},
	{"the first claim makes the tenant, at revision 1.0 and fence 1", func(t *testing.T, h Harness) {
		s := h.Open(t)
		claimed, err := s.Claim(t.Context(), tenant, ours, "")
		if err != nil {
			t.Fatal(err)
		}
		sameTenant(t, claimed, store.Tenant{Name: tenant, Owner: ours, Fence: 1, Revision: store.Revision{Epoch: 1}, SettledThrough: claimed.SettledThrough})
		read, err := s.Tenant(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		sameTenant(t, read, claimed)
		if read.SettledThrough > schedule.At(read.Now) || schedule.At(read.Now)-read.SettledThrough > 60 {
			t.Errorf("settled through %s, read at %s", read.SettledThrough, read.Now)
		}
	}},
	{"all tenants are read at once, or those named, in the order of their names", func(t *testing.T, h Harness) {
		s := h.Open(t)
		if all, err := s.Tenants(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("in an empty store there are %v, %v", all, err)
		}
		for _, name := range []string{"qingyun", "huayue", "Zhongxin"} {
			lead(t, h, name).commit(t, organisation(t))
		}
		for _, c := range []struct{ ask, want []string }{
			{nil, []string{"Zhongxin", "huayue", "qingyun"}},
			{[]string{"qingyun", "huayue", "nobody"}, []string{"huayue", "qingyun"}},
			{[]string{"nobody", "'; DROP TABLE tenant"}, nil},
		} {
			all, err := s.Tenants(t.Context(), c.ask...)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, read := range all {
				names = append(names, read.Name)
				alone, err := s.Tenant(t.Context(), read.Name)
				if err != nil {
					t.Fatal(err)
				}
				sameTenant(t, read, alone)
				if since := alone.Now.Sub(read.Now); since < 0 || since > time.Minute {
					t.Errorf("%s: the clock went from %s to %s", read.Name, read.Now, alone.Now)
				}
			}
			if !slices.Equal(names, c.want) {
				t.Errorf("asked for %q there are %q, want %q", c.ask, names, c.want)
			}
		}
	}},
	{"each claim of the owner raises the fence by one and changes nothing else", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		again, err := h.Open(t).Claim(t.Context(), tenant, ours, theirs.String())
		if err != nil {
			t.Fatal(err)
		}
		want := l.tenant
		want.Fence = 2
		want.SettledThrough = again.SettledThrough
		sameTenant(t, again, want)
	}},
	{"another owner's claim is refused, names the owner, and writes nothing", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		before := h.State(t)
		for _, adopt := range []string{"", theirs.String(), ours.Cluster, "*"} {
			_, err := h.Open(t).Claim(t.Context(), tenant, theirs, adopt)
			if !errors.Is(err, store.ErrOwnedElsewhere) {
				t.Errorf("adopting %q: got %v, want ErrOwnedElsewhere", adopt, err)
			}
		}
		elsewhere := store.Owner{Cluster: ours.Cluster, Namespace: theirs.Namespace}
		if _, err := h.Open(t).Claim(t.Context(), tenant, elsewhere, ""); !errors.Is(err, store.ErrOwnedElsewhere) {
			t.Errorf("a namespace made anew: got %v, want ErrOwnedElsewhere", err)
		}
		if after := h.State(t); after != before {
			t.Error("a refused claim wrote")
		}
		l.commit(t, organisation(t))
	}},
	{"adopting raises the epoch, forgets the resource version, keeps the rows, and fences the former owner off", func(t *testing.T, h Harness) {
		former := lead(t, h, tenant)
		commit := former.write(organisation(t))
		commit.ResourceVersion = 4711
		if _, err := former.Commit(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		former.load(t)
		s := h.Open(t)
		adopted, err := s.Claim(t.Context(), tenant, theirs, ours.String())
		if err != nil {
			t.Fatal(err)
		}
		want := former.tenant
		want.Owner, want.Fence, want.Revision, want.ResourceVersion = theirs, 2, store.Revision{Epoch: 2}, 0
		want.SettledThrough = adopted.SettledThrough
		sameTenant(t, adopted, want)
		if _, err := former.Commit(t.Context(), former.write(nil)); !errors.Is(err, store.ErrFenced) {
			t.Errorf("the former owner's commit: got %v, want ErrFenced", err)
		}
		latter := &leader{Store: s, tenant: adopted}
		latter.load(t)
		sameRows(t, latter.held, organisation(t))
		if got := latter.commit(t, with(organisation(t), rowsOf(t, user("bai-he")))); got.Tenant.Revision != (store.Revision{Epoch: 2, Number: 1}) {
			t.Errorf("first revision after adopting: %s", got.Tenant.Revision)
		}
	}},
	{"an old leader that wakes up can write no more, whatever it tries", func(t *testing.T, h Harness) {
		old := lead(t, h, tenant)
		old.commit(t, organisation(t))
		young := lead(t, h, tenant)
		before := h.State(t)
		braked := old.write(old.held)
		braked.Brake = "held"
		raised := old.write(old.held)
		raised.RaiseEpoch = true
		for what, commit := range map[string]store.Commit{
			"a change": old.write(nil), "no change": old.write(old.held), "a brake": braked, "an epoch": raised,
		} {
			if _, err := old.Commit(t.Context(), commit); !errors.Is(err, store.ErrFenced) {
				t.Errorf("%s: got %v, want ErrFenced", what, err)
			}
		}
		if _, err := old.Settle(t.Context(), old.tenant); !errors.Is(err, store.ErrFenced) {
			t.Errorf("settle with nothing overdue: got %v, want ErrFenced", err)
		}
		if after := h.State(t); after != before {
			t.Error("a fenced leader wrote")
		}
		young.commit(t, with(organisation(t), rowsOf(t, user("bai-he"))))
	}},
	{"a tenant that another owner holds by the same fence cannot be written either", func(t *testing.T, h Harness) {
		// As after a restore: another cluster's row, with a fence that happens to be ours.
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		if err := h.Exec(t, `UPDATE `+h.Schema()+`tenant SET cluster_uid = 'another'`); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Commit(t.Context(), l.write(nil)); !errors.Is(err, store.ErrFenced) {
			t.Errorf("commit: got %v, want ErrFenced", err)
		}
		if _, err := l.Settle(t.Context(), l.tenant); !errors.Is(err, store.ErrFenced) {
			t.Errorf("settle: got %v, want ErrFenced", err)
		}
	}},
	{"tenants do not see each other", func(t *testing.T, h Harness) {
		a, b := lead(t, h, "huayue"), lead(t, h, "qingyun")
		a.commit(t, organisation(t))
		b.load(t)
		sameRows(t, b.held, map[store.RowID]string{})
		b.commit(t, organisation(t))
		a.commit(t, map[store.RowID]string{})
		b.load(t)
		sameRows(t, b.held, organisation(t))
	}},
}
