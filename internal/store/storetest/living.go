package storetest

import (
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
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
