package storetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

var living = []test{
	{"a grant is live from its first second to the last before its end", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		l.commit(t, with(rowsOf(t, catalogue()), rowsOf(t, user("li-ting")), rowsOf(t, grant("yearend", between(now+1000, now+2000), "li-ting"))))
		for _, step := range []struct {
			at   schedule.Instant
			want int
		}{{now, 0}, {now + 999, 0}, {now + 1000, 1}, {now + 1001, 1}, {now + 1999, 1}, {now + 2000, 0}, {now + 2001, 0}} {
			h.Advance(t, tenant, step.at)
			if got := live(t, h); len(got) != step.want {
				t.Errorf("%d seconds in: live %v, want %d", step.at-now, got, step.want)
			}
			if got := h.Query(t, `SELECT user_name FROM `+h.Schema()+`live_holders`); len(got) != step.want {
				t.Errorf("%d seconds in: live holders %v, want %d", step.at-now, got, step.want)
			}
		}
		// Nobody settled anything: the rows are still there.
		if rows := h.Query(t, `SELECT key FROM `+h.Schema()+`holder`); len(rows) != 1 {
			t.Errorf("%d holders, want the ended one", len(rows))
		}
	}},
	{"access without a start or an end is live", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		open := grant("from", between(now-10, schedule.Forever), "li-ting")
		until := grant("until", between(schedule.Always, now+1000), "li-ting")
		l.commit(t, with(organisation(t), rowsOf(t, open), rowsOf(t, until)))
		want := []string{
			"li-ting TemporaryGrant/from digest", "li-ting TemporaryGrant/until digest",
			"li-ting UserBinding/reps read", "li-ting UserBinding/reps update",
			"tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update",
		}
		if got := live(t, h); !slices.Equal(got, want) {
			t.Errorf("live\n got %q\nwant %q", got, want)
		}
	}},
	{"nobody's access is live but an active account's", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		for _, state := range []access.UserState{access.StateSuspended, access.StateDeparted, "active", ""} {
			account := user("li-ting")
			account.Users[0].State = state
			l.commit(t, with(organisation(t), rowsOf(t, account)))
			if got := live(t, h); !slices.Equal(got, []string{"tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update"}) {
				t.Errorf("%q: live %v", state, got)
			}
		}
		l.commit(t, without(organisation(t), userRef("li-ting")))
		if got := live(t, h); len(got) != 2 {
			t.Errorf("without the account: live %v", got)
		}
	}},
	{"nothing that a revocation in force ends is live", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		now := l.now(t)
		whole := func(revoke func(*access.Facts)) map[store.RowID]string {
			facts := role("sales-rep", "read", "update")
			facts.Users = append(user("li-ting").Users, user("tang-yue").Users...)
			facts.Holders = append(binding("reps", "sales-rep", "li-ting", "tang-yue").Holders, grant("yearend", between(now, now+3600), "li-ting").Holders...)
			facts.Tuples = append(facts.Tuples, grant("yearend", schedule.Unbounded).Tuples...)
			revoke(&facts)
			return with(rowsOf(t, catalogue()), rowsOf(t, facts))
		}
		for what, c := range map[string]struct {
			revoke func(*access.Facts)
			want   []string
		}{
			"nothing": {func(*access.Facts) {}, []string{"li-ting TemporaryGrant/yearend digest", "li-ting UserBinding/reps read", "li-ting UserBinding/reps update",
				"tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update"}},
			"a user": {func(f *access.Facts) { f.Users[0].RevokedBy = "lost-laptop" },
				[]string{"tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update"}},
			"a holder": {func(f *access.Facts) { f.Holders[0].RevokedBy = "lost-laptop" },
				[]string{"li-ting TemporaryGrant/yearend digest", "tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update"}},
			"a grant": {func(f *access.Facts) { f.Holders[2].RevokedBy = "lost-laptop" },
				[]string{"li-ting UserBinding/reps read", "li-ting UserBinding/reps update", "tang-yue UserBinding/reps read", "tang-yue UserBinding/reps update"}},
			"a tuple": {func(f *access.Facts) { f.Tuples[0].RevokedBy = "lost-laptop" },
				[]string{"li-ting TemporaryGrant/yearend digest", "li-ting UserBinding/reps update", "tang-yue UserBinding/reps update"}},
			"everything": {func(f *access.Facts) { f.Users[0].RevokedBy, f.Holders[1].RevokedBy = "a", "b" }, nil},
		} {
			l.commit(t, whole(c.revoke))
			if got := live(t, h); !slices.Equal(got, c.want) {
				t.Errorf("%s revoked: live\n got %q\nwant %q", what, got, c.want)
			}
			holders := map[string]bool{}
			for _, row := range h.Query(t, `SELECT user_name || ' ' || bundle FROM `+h.Schema()+`live_holders`) {
				holders[row[0]] = true
			}
			want := map[string]bool{}
			for _, grant := range c.want {
				parts := strings.Fields(grant)
				bundle := "Role/sales-rep"
				if strings.HasPrefix(parts[1], "TemporaryGrant") {
					bundle = parts[1] + "/0"
				}
				want[parts[0]+" "+bundle] = true
			}
			if !maps.Equal(holders, want) {
				t.Errorf("%s revoked: live holders %v, want %v", what, holders, want)
			}
		}
	}},
	{"nothing of an object that is off or not declared is live", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		off := catalogue()
		off.Objects[0].Enabled = false
		l.commit(t, with(organisation(t), rowsOf(t, off)))
		if got := live(t, h); len(got) != 0 {
			t.Errorf("switched off: live %v", got)
		}
		l.commit(t, without(organisation(t), off.Objects[0].Owner))
		if got := live(t, h); len(got) != 0 {
			t.Errorf("not declared: live %v", got)
		}
	}},
	{"a tenant's accounts and objects make nothing live in another", func(t *testing.T, h Harness) {
		a, b := lead(t, h, "huayue"), lead(t, h, "qingyun")
		a.commit(t, organisation(t))
		b.commit(t, with(rowsOf(t, binding("reps", "sales-rep", "li-ting")), rowsOf(t, role("other", "read"))))
		if got := h.Query(t, `SELECT DISTINCT tenant FROM `+h.Schema()+`live_grants`); len(got) != 1 || got[0][0] != "huayue" {
			t.Errorf("tenants with live access: %v", got)
		}
	}},
}
