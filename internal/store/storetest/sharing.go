package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// shareUntil is li-ting's share of a customer with tang-yue.
func shareUntil(end schedule.Instant) store.Share {
	return store.Share{Reason: "holiday", ShareFact: access.ShareFact{
		Maker: "li-ting", Recipient: "tang-yue", Object: "customer", Record: "c-1", Actions: []string{"read", "update"}, Level: access.LevelMasked,
		Restricted: true, OnlyFields: []string{"name", "phone"}, Window: schedule.Window{NotAfter: end},
	}}
}

// staffed is a tenant in which those who share have accounts.
func staffed(t *testing.T, h Harness, name string, others ...string) *leader {
	t.Helper()
	l, rows := lead(t, h, name), map[store.RowID]string{}
	for _, person := range append([]string{"li-ting", "tang-yue", "chen-mo"}, others...) {
		rows = with(rows, rowsOf(t, user(person)))
	}
	l.commit(t, rows)
	return l
}

func makeShare(t *testing.T, s store.Store, share store.Share) store.Share {
	t.Helper()
	made, err := s.MakeShare(t.Context(), tenant, share, nil)
	if err != nil {
		t.Fatalf("make a share: %v", err)
	}
	return made
}

// shares reads the live shares and checks that the tenant row has the version that they are the state of.
func shares(t *testing.T, s store.Store) store.Shares {
	t.Helper()
	read, err := s.Shares(t.Context(), tenant)
	if err != nil {
		t.Fatalf("read the shares: %v", err)
	}
	if row, err := s.Tenant(t.Context(), tenant); err != nil || row.Runtime != read.Version {
		t.Errorf("the tenant row says version %d, %v, the shares %d", row.Runtime, err, read.Version)
	}
	return read
}

func ids(list []access.ShareFact) []string {
	var ids []string
	for _, share := range list {
		ids = append(ids, share.ID)
	}
	return ids
}

var sharing = []test{
	{"a share is read as it was made, from the store's now on", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		all := shareUntil(at + day)
		all.Restricted, all.OnlyFields = false, nil
		for _, share := range []store.Share{shareUntil(at + 31*day), all} {
			share.ID, share.EndedBy, share.Window.NotBefore = "mine", "somebody", at-5
			made := makeShare(t, l, share)
			share.ID, share.EndedBy, share.Window.NotBefore = made.ID, "", at
			if !reflect.DeepEqual(made, share) || len(made.ID) < 26 {
				t.Errorf("made %+v, want %+v", made, share)
			}
			if got := shares(t, h.Open(t)); !slices.ContainsFunc(got.List, func(f access.ShareFact) bool { return reflect.DeepEqual(f, share.ShareFact) }) {
				t.Errorf("read %+v, want %+v among them", got.List, share.ShareFact)
			}
			for _, person := range []string{"li-ting", "tang-yue"} {
				of, err := l.SharesOf(t.Context(), tenant, person, 10)
				if err != nil || !slices.ContainsFunc(of, func(s store.Share) bool { return reflect.DeepEqual(s, share) }) {
					t.Errorf("%s's: %+v, %v", person, of, err)
				}
			}
		}
		if of, err := l.SharesOf(t.Context(), tenant, "chen-mo", 10); err != nil || len(of) != 0 {
			t.Errorf("chen-mo's: %+v, %v", of, err)
		}
	}},
	{"every change of the shares is another version, and a share that ends by itself is none", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		seen := []int64{shares(t, l).Version}
		moved := func(what string) {
			t.Helper()
			version := shares(t, l).Version
			if slices.Contains(seen, version) {
				t.Errorf("%s: version %d again", what, version)
			}
			seen = append(seen, version)
		}
		first := makeShare(t, l, shareUntil(at+60))
		moved("a share")
		makeShare(t, h.Open(t), shareUntil(at+60))
		moved("another")
		if err := l.EndShare(t.Context(), tenant, first.ID, "li-ting"); err != nil {
			t.Fatal(err)
		}
		moved("an end")
		h.Advance(t, tenant, at+60)
		if got := shares(t, l); got.Version != seen[3] || len(got.List) != 0 {
			t.Errorf("after the end: %+v", got)
		}
	}},
	{"a share ends at its end, and at once where it is ended early", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		early, late := makeShare(t, l, shareUntil(at+60)), makeShare(t, l, shareUntil(at+60))
		h.Advance(t, tenant, at+10)
		if err := l.EndShare(t.Context(), tenant, early.ID, "chen-mo"); err != nil {
			t.Fatal(err)
		}
		if got := ids(shares(t, l).List); !slices.Equal(got, []string{late.ID}) {
			t.Errorf("live %v, want %s alone", got, late.ID)
		}
		h.Advance(t, tenant, at+59)
		if got := ids(shares(t, l).List); !slices.Equal(got, []string{late.ID}) {
			t.Errorf("live a second before the end: %v", got)
		}
		h.Advance(t, tenant, at+60)
		if got := shares(t, l).List; len(got) != 0 {
			t.Errorf("live at the end: %v", got)
		}
		of, err := l.SharesOf(t.Context(), tenant, "li-ting", 10)
		if err != nil || len(of) != 2 {
			t.Fatalf("li-ting's: %+v, %v", of, err)
		}
		for _, share := range of {
			want := late
			if share.ID == early.ID {
				want = early
				want.EndedBy, want.Window.NotAfter = "chen-mo", at+10
			}
			if !reflect.DeepEqual(share, want) {
				t.Errorf("got %+v, want %+v", share, want)
			}
		}
	}},
	{"what has ended is not ended again, and what is not there is not found", func(t *testing.T, h Harness) {
		l, other := staffed(t, h, tenant), staffed(t, h, "qingyun")
		at := still(t, h, l)
		share := makeShare(t, l, shareUntil(at+60))
		if err := other.EndShare(t.Context(), "qingyun", share.ID, "li-ting"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("in another tenant: %v", err)
		}
		if err := l.EndShare(t.Context(), tenant, share.ID, "li-ting"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{share.ID, share.ID + " ", "", "%"} {
			if err := l.EndShare(t.Context(), tenant, id, "li-ting"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("end %q: got %v, want ErrNotFound", id, err)
			}
		}
		if version := shares(t, l).Version; version != 2 {
			t.Errorf("version %d, want 2", version)
		}
	}},
	{"what is no share is refused, and writes nothing", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		bad := map[string]func(*store.Share){
			"no maker":              func(s *store.Share) { s.Maker = "" },
			"no recipient":          func(s *store.Share) { s.Recipient = "" },
			"with oneself":          func(s *store.Share) { s.Recipient = s.Maker },
			"no object":             func(s *store.Share) { s.Object = "" },
			"no record":             func(s *store.Share) { s.Record = "" },
			"no actions":            func(s *store.Share) { s.Actions = nil },
			"no reason":             func(s *store.Share) { s.Reason = "" },
			"no end":                func(s *store.Share) { s.Window.NotAfter = schedule.Forever },
			"an end that is now":    func(s *store.Share) { s.Window.NotAfter = at },
			"an end that is past":   func(s *store.Share) { s.Window.NotAfter = schedule.Always },
			"a second too long":     func(s *store.Share) { s.Window.NotAfter = at + 31*day + 1 },
			"no level":              func(s *store.Share) { s.Level = access.LevelEdit + 1 },
			"U+0000 in an action":   func(s *store.Share) { s.Actions = []string{"read\x00"} },
			"no UTF-8 in the field": func(s *store.Share) { s.OnlyFields = []string{"\xff"} },
		}
		for what, spoil := range bad {
			share := shareUntil(at + 60)
			spoil(&share)
			if got, err := l.MakeShare(t.Context(), tenant, share, nil); !errors.Is(err, store.ErrRefused) {
				t.Errorf("%s: got %+v, %v, want ErrRefused", what, got, err)
			}
		}
		if got := shares(t, l); got.Version != 0 || len(got.List) != 0 {
			t.Errorf("got %+v", got)
		}
	}},
	{"a share uses up the approvals that it counts on, each once, or is not made", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		approved, second, unanswered, refused, late := ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+1))
		of := requestUntil(at + 60)
		of.Subject = "tang-yue"
		others := ask(t, l, of)
		for _, id := range []string{approved.ID, second.ID, late.ID, others.ID} {
			say(t, l, id, "chen-mo", true)
		}
		say(t, l, refused.ID, "chen-mo", false)
		h.Advance(t, tenant, at+1)
		for what, ids := range map[string][]string{
			"unanswered": {unanswered.ID}, "refused": {refused.ID}, "ended": {late.ID}, "another's": {others.ID}, "none": {"0000"},
			"a good one and a bad one": {approved.ID, unanswered.ID},
		} {
			if _, err := l.MakeShare(t.Context(), tenant, shareUntil(at+60), ids); !errors.Is(err, store.ErrSpent) || !errors.Is(err, store.ErrRefused) {
				t.Errorf("%s: got %v, want ErrSpent", what, err)
			}
		}
		if got := shares(t, l); got.Version != 0 || len(got.List) != 0 || request(t, l, approved.ID).UsedAt != schedule.Forever {
			t.Errorf("a refusal left %+v", got)
		}
		bad := shareUntil(at + 60)
		bad.Recipient = bad.Maker
		if _, err := l.MakeShare(t.Context(), tenant, bad, []string{approved.ID}); err == nil || request(t, l, approved.ID).UsedAt != schedule.Forever {
			t.Errorf("what is no share used an approval up: %v", err)
		}
		for i := range 2 {
			_, err := l.MakeShare(t.Context(), tenant, shareUntil(at+60), []string{approved.ID, second.ID, approved.ID})
			if i == 0 && err != nil || i == 1 && !errors.Is(err, store.ErrSpent) {
				t.Errorf("time %d: %v", i, err)
			}
		}
		if got := shares(t, h.Open(t)); len(got.List) != 1 || request(t, l, approved.ID).UsedAt != at+1 || request(t, l, second.ID).UsedAt != at+1 {
			t.Errorf("got %+v", got)
		}
	}},
	{"hostile names are shared like others", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant, hostile...)
		at := still(t, h, l)
		for i, s := range hostile {
			if s == "" {
				continue
			}
			share := shareUntil(at + schedule.Instant(i+1))
			share.Maker, share.Object, share.Record, share.Actions, share.OnlyFields = s, s, s, []string{s, "read"}, []string{s}
			made := makeShare(t, l, share)
			if of, err := l.SharesOf(t.Context(), tenant, s, 10); err != nil || len(of) != 1 || !reflect.DeepEqual(of[0], made) {
				t.Errorf("%q: %+v, %v", s, of, err)
			}
		}
	}},
	{"a maker has so many live shares and no more", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		at := still(t, h, l)
		first := makeShare(t, l, shareUntil(at+60))
		for range store.MaxOpen - 1 {
			makeShare(t, l, shareUntil(at+60))
		}
		if _, err := l.MakeShare(t.Context(), tenant, shareUntil(at+60), nil); !errors.Is(err, store.ErrRefused) {
			t.Errorf("one more: got %v, want ErrRefused", err)
		}
		other := shareUntil(at + 60)
		other.Maker = "chen-mo"
		makeShare(t, l, other)
		if err := l.EndShare(t.Context(), tenant, first.ID, "li-ting"); err != nil {
			t.Fatal(err)
		}
		makeShare(t, l, shareUntil(at+60))
	}},
	{"shares made at once on two handles are all there, each with a version of its own", func(t *testing.T, h Harness) {
		people := make([]string, 20)
		for i := range people {
			people[i] = fmt.Sprint("user-", i)
		}
		l := staffed(t, h, tenant, people...)
		at := still(t, h, l)
		handles := []store.Store{l, h.Open(t)}
		var all sync.WaitGroup
		for i, person := range people {
			all.Go(func() {
				share := shareUntil(at + 60)
				share.Recipient = person
				if _, err := handles[i%2].MakeShare(context.Background(), tenant, share, nil); err != nil {
					t.Errorf("make a share: %v", err)
				}
			})
		}
		all.Wait()
		if got := shares(t, l); got.Version != 20 || len(got.List) != 20 {
			t.Errorf("%d shares at version %d, want 20 at 20", len(got.List), got.Version)
		}
	}},
	{"shares are no part of the content, and make no commit stale", func(t *testing.T, h Harness) {
		l := staffed(t, h, tenant)
		rows := with(organisation(t), l.held)
		commit := l.write(rows)
		makeShare(t, h.Open(t), shareUntil(l.now(t)+60))
		if _, err := l.Commit(t.Context(), commit); err != nil {
			t.Fatalf("commit after a share: %v", err)
		}
		l.load(t)
		sameRows(t, l.held, rows)
		if l.tenant.Tampered != 0 || len(l.ledger(t)) != 2 {
			t.Errorf("tampered %d, %d ledger entries", l.tenant.Tampered, len(l.ledger(t)))
		}
		l.commit(t, with(rowsOf(t, user("li-ting")), rowsOf(t, user("tang-yue"))))
		if got := shares(t, l).List; len(got) != 1 {
			t.Errorf("%d shares outlive the commits, want 1", len(got))
		}
	}},
	{"a share ends for good with the account of its maker or recipient, whoever has the name then", func(t *testing.T, h Harness) {
		rows := func(state access.UserState, uid string, others ...string) map[store.RowID]string {
			facts := user("li-ting")
			facts.Users[0].State = state
			row, err := store.SourceRow(userRef("li-ting"), store.Source{UID: uid, Spec: json.RawMessage(`{}`)})
			if err != nil {
				t.Fatal(err)
			}
			all := rowsOf(t, facts, row)
			for _, other := range others {
				all = with(all, rowsOf(t, user(other)))
			}
			return all
		}
		is := rows(access.StateActive, "1", "tang-yue", "chen-mo")
		for what, leaves := range map[string]map[store.RowID]string{
			"the account goes":                     without(is, userRef("li-ting")),
			"the person has left":                  rows(access.StateDeparted, "1", "tang-yue", "chen-mo"),
			"the person is suspended":              rows(access.StateSuspended, "1", "tang-yue", "chen-mo"),
			"another account has the name at once": rows(access.StateActive, "2", "tang-yue", "chen-mo"),
		} {
			name := "tenant of: " + what
			l := lead(t, h, name)
			l.commit(t, is)
			at := l.now(t)
			made := make(map[string]string)
			for _, between := range [][2]string{{"li-ting", "tang-yue"}, {"tang-yue", "li-ting"}, {"tang-yue", "chen-mo"}} {
				share := shareUntil(at + 3600)
				share.Maker, share.Recipient = between[0], between[1]
				kept, err := l.MakeShare(t.Context(), name, share, nil)
				if err != nil {
					t.Fatal(err)
				}
				made[kept.ID] = between[0] + " to " + between[1]
			}
			live := func() (all []string) {
				read, err := h.Open(t).Shares(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				for _, share := range read.List {
					all = append(all, made[share.ID])
				}
				slices.Sort(all)
				return all
			}
			other := user("tang-yue")
			other.Users[0].DisplayName, other.Users[0].Manager = "唐月", "chen-mo"
			l.commit(t, with(is, rowsOf(t, other)))
			if got := live(); len(got) != 3 {
				t.Errorf("%s: before, after what else is known of somebody has changed, %v are live", what, got)
			}
			version := l.tenant.Runtime
			l.commit(t, leaves)
			if got := live(); !slices.Equal(got, []string{"tang-yue to chen-mo"}) {
				t.Errorf("%s: %v are live", what, got)
			}
			if l.tenant.Runtime == version {
				t.Errorf("%s: the shares are of the version that they were", what)
			}
			l.commit(t, is)
			if got := live(); !slices.Equal(got, []string{"tang-yue to chen-mo"}) {
				t.Errorf("%s, and comes again: %v are live", what, got)
			}
		}
	}},
	{"nobody shares, and nobody is shared with, who has no account in use", func(t *testing.T, h Harness) {
		for what, users := range map[string]map[string]access.UserState{
			"there are none":             {},
			"there is no recipient":      {"li-ting": access.StateActive},
			"there is no maker":          {"tang-yue": access.StateActive},
			"the maker is suspended":     {"li-ting": access.StateSuspended, "tang-yue": access.StateActive},
			"the recipient has left":     {"li-ting": access.StateActive, "tang-yue": access.StateDeparted},
			"others alone have accounts": {"chen-mo": access.StateActive, "wang-lei": access.StateActive},
		} {
			name := "tenant where " + what
			l := lead(t, h, name)
			rows := map[store.RowID]string{}
			for person, state := range users {
				facts := user(person)
				facts.Users[0].State = state
				rows = with(rows, rowsOf(t, facts))
			}
			l.commit(t, rows)
			asked, err := l.Ask(t.Context(), name, requestUntil(l.now(t)+60))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Answer(t.Context(), name, asked.ID, store.Answer{Approver: "wang-lei", Approves: true}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.MakeShare(t.Context(), name, shareUntil(l.now(t)+60), []string{asked.ID}); !errors.Is(err, store.ErrNoAccount) {
				t.Errorf("%s: got %v, want ErrNoAccount", what, err)
			}
			if read, err := l.Requests(t.Context(), name, []string{asked.ID}); err != nil || read[0].UsedAt != schedule.Forever {
				t.Errorf("%s: the approval is used up for nothing: %v, %v", what, read, err)
			}
		}
	}},
	{"nothing is shared in a tenant that nobody has claimed", func(t *testing.T, h Harness) {
		s := h.Open(t)
		l := lead(t, h, "qingyun")
		if _, err := s.MakeShare(t.Context(), tenant, shareUntil(schedule.At(l.tenant.Now)+60), nil); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("make: got %v, want ErrNoTenant", err)
		}
		if _, err := s.Shares(t.Context(), tenant); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("read: got %v, want ErrNoTenant", err)
		}
	}},
}
