package follow_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

func TestWhatIsAnnouncedIsAnsweredFromBeforeTheNextLookIsDue(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, open(t, d.dsn)) // whose clock stands: no look is ever due
	f.eventually(tenant, "ann", "allow")
	if got := f.reads(tenant, "bob"); got != "deny" {
		t.Errorf("bob gets %q", got)
	}
	d.lend(tenant, schedule.Unbounded, "bob")
	f.eventually(tenant, "bob", "allow")
	if got := f.reads(tenant, "ann"); got != "deny" {
		t.Errorf("ann, who lost it in the same commit, gets %q", got)
	}
}

func TestWithoutAnnouncementsTheNextLookFindsOut(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	d.lend(tenant, schedule.Unbounded, "bob")
	f.tick()
	f.eventually(tenant, "ann", "deny")
}

// A load takes longer than the time between two commits: what it has read is answered from all the same.
func TestATenantThatNeverRestsIsAnsweredFor(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	s := &overtaken{Store: d}
	f := newFollower(t, s)
	s.meanwhile = func() { // each load is overtaken by a commit, and by the look that sees it
		d.lend(tenant, schedule.Unbounded, "ann", fmt.Sprint("user-", s.reads.Load()))
		f.tick()
	}
	f.eventually(tenant, "ann", "allow")
	d.lend(tenant, schedule.Unbounded, "ann", "bob")
	for s.reads.Load() < 10 {
		f.tick()
		f.eventually(tenant, "ann", "allow")
	}
}

func TestListeningBeginsAnewWhenItsConnectionWasLost(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, open(t, d.dsn))
	f.eventually(tenant, "ann", "allow")
	const listeners = ` FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN crm_access'`
	listens := func() error {
		if d.psql(`SELECT count(*)`+listeners) != "1" {
			return errors.New("nobody listens")
		}
		return nil
	}
	f.until(listens)
	d.psql(`SELECT pg_terminate_backend(pid, 10000)` + listeners)
	d.lend(tenant, schedule.Unbounded, "bob") // nobody hears it
	f.tick()
	f.eventually(tenant, "bob", "allow")
	f.until(func() error { f.clock.Step(time.Second); return listens() })
	d.lend(tenant, schedule.Unbounded, "cleo")
	f.eventually(tenant, "cleo", "allow")
}

func TestAStoreThatIsAwayIsAnsweredForToTheAgeLimitAndNeverPastABoundary(t *testing.T) {
	server, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	dsn := server.DSN(pgtest.Superuser, "", "postgres")
	d := databaseOn(t, server, dsn)
	d.lend(tenant, schedule.Unbounded, "ann")
	now := d.now()
	d.lend(tenant, schedule.Window{NotBefore: now, NotAfter: now + 5}, "ann")
	d.lend("qingyun", schedule.Window{NotBefore: now + 6, NotAfter: now + 3600}, "ann")
	f := newFollower(t, open(t, dsn))
	f.eventually(tenant, "ann", "allow")
	f.eventually("qingyun", "ann", "deny")
	server.Stop(t)

	for range 6 {
		f.clock.Step(time.Second)
	}
	if got := f.reads(tenant, "ann"); got != "deny" {
		t.Errorf("past the end of the grant, ann gets %q", got)
	}
	if got := f.reads("qingyun", "ann"); got != "allow" {
		t.Errorf("past the start of the grant, ann gets %q", got)
	}
	f.clock.Step(5 * time.Second)
	for _, name := range []string{tenant, "qingyun"} {
		if got := f.reads(name, "ann"); !strings.HasPrefix(got, "refused: what is known of the tenant is too old") {
			t.Errorf("past the age limit %s answers %q", name, got)
		}
	}
	if err := f.Ready(); err == nil {
		t.Error("it says that it is ready")
	}
	handler := decisionapi.New(f.Follower, decisionapi.Options{})
	request := httptest.NewRequest("POST", "/"+tenant+"/access/v1/evaluation", strings.NewReader(
		`{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1"}}`))
	request.Header.Set("Content-Type", "application/json")
	reply := httptest.NewRecorder()
	if handler.ServeHTTP(reply, request); reply.Code != 503 {
		t.Errorf("over HTTP it answers %d %s", reply.Code, reply.Body)
	}

	server.Start(t)
	f.until(func() error { f.clock.Step(time.Second); return f.Ready() })
	f.eventually("qingyun", "ann", "allow")
}

// The store's clock decides. This process's may be anything, as long as it runs.
func TestTheProcessesClockDoesNotMatter(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	for what, by := range map[string]time.Duration{"ten minutes fast": 10 * time.Minute, "ten minutes slow": -10 * time.Minute} {
		t.Run(what, func(t *testing.T) {
			now := d.now()
			d.lend(tenant, schedule.Window{NotBefore: now, NotAfter: now + 300}, "ann")
			d.lend("later", schedule.Window{NotBefore: now + 300, NotAfter: now + 900}, "ann")
			f := newFollower(t, silent{d})
			f.clock.SetTime(time.Now().Add(by))
			f.until(func() error { f.clock.Step(time.Second); return f.Ready() }) // looks by the clock as it is now
			f.eventually(tenant, "ann", "allow")
			f.eventually("later", "ann", "deny")
		})
	}
}

// A store whose clock ran ahead has ended access by it, and does not begin anew when it is put right.
func TestAStoreClockThatIsAheadIsFollowed(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	now := d.now()
	d.lend(tenant, schedule.Window{NotBefore: now, NotAfter: now + 300}, "ann")
	d.lend("later", schedule.Window{NotBefore: now + 300, NotAfter: now + 3600}, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	d.psql(`UPDATE crm_access.tenant SET settled_through = settled_through + interval '10 minutes'`)
	f.tick()
	f.eventually(tenant, "ann", "deny")
	f.eventually("later", "ann", "allow")
	d.psql(`UPDATE crm_access.tenant SET settled_through = settled_through - interval '10 minutes'`)
	f.tick()
	if got := f.reads(tenant, "ann"); got != "deny" {
		t.Errorf("after the clock was put right, ann gets %q: time went back", got)
	}
}

func TestAClockThatIsSetWhileTheStoreIsAwayIsNotTrusted(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	f.stop()
	f.clock.SetTime(f.clock.Now().Add(-10 * time.Minute))
	if got := f.reads(tenant, "ann"); !strings.HasPrefix(got, "refused: this machine's clock was set") {
		t.Errorf("ann gets %q", got)
	}
}

func TestRowsThatSomebodyElseWroteGiveNothingBeforeTheOperatorHasLooked(t *testing.T) {
	const byHand = `INSERT INTO crm_access.holder (tenant, owner_kind, owner_name, key, user_name, bundle, role, revoked_by)
		SELECT tenant, owner_kind, owner_name, 'bob', 'bob', bundle, role, revoked_by FROM crm_access.holder WHERE user_name = 'ann';
		INSERT INTO crm_access.crm_user SELECT (jsonb_populate_record(u, '{"owner_name":"bob","key":"bob","user_name":"bob"}')).* FROM crm_access.crm_user AS u WHERE user_name = 'ann'`
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	d.psql(byHand)
	for range 3 {
		f.tick()
		if got := f.reads(tenant, "bob"); got != "deny" {
			t.Fatalf("bob gets %q by his own hand", got)
		}
	}
	if got := f.reads(tenant, "ann"); got != "allow" {
		t.Errorf("within the age limit ann gets %q from the last good state", got)
	}
	f.clock.Step(maxAge)
	if got := f.reads(tenant, "ann"); !strings.HasPrefix(got, "refused: ") {
		t.Errorf("past the age limit ann gets %q", got)
	}
	t.Run("nor does a follower that begins then answer", func(t *testing.T) {
		late := newFollower(t, silent{d})
		late.eventually(tenant, "bob", "refused: somebody else wrote")
	})
	d.repair(tenant)
	f.tick()
	f.eventually(tenant, "ann", "allow")
	f.eventually(tenant, "bob", "deny")

	d.psql(byHand) // and the operator, told to observe, lets it stand
	d.commit(tenant, currentRows(d), store.Commit{Cause: "pass"})
	f.tick()
	f.eventually(tenant, "bob", "allow")
}

func TestRowsThatCannotBeReadEndTheAnswersOfTheirTenantAlone(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	d.lend("qingyun", schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	f.eventually("qingyun", "ann", "allow")
	d.psql(`UPDATE crm_access.tenant SET writing = true; UPDATE crm_access.tuple SET field_rules = '[7]' WHERE tenant = 'huayue';
		UPDATE crm_access.tenant SET writing = false, revision = revision + (name = 'huayue')::integer`)
	f.tick()
	f.eventually(tenant, "ann", "refused: what the store holds of the tenant cannot be read")
	loads := f.metric("crmaccess_snapshot_loads_total")
	f.tick()
	f.tick()
	if again := f.metric("crmaccess_snapshot_loads_total"); again != loads {
		t.Errorf("what cannot be read was read %v times more", again-loads)
	}
	f.eventually("qingyun", "ann", "allow")
}

func TestSharesAreFollowedAndNothingElseIsLoadedForThem(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	s := &counting{Store: d}
	f := newFollower(t, s)
	f.eventually(tenant, guest, "deny")
	share, err := d.MakeShare(t.Context(), tenant, store.Share{Reason: "holiday", ShareFact: access.ShareFact{
		Maker: "ann", Recipient: guest, Object: "customer", Record: "c1", Actions: []string{"read"}, Level: access.LevelRead,
		Window: schedule.Window{NotBefore: d.now(), NotAfter: d.now() + 3600},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.tick()
	f.eventually(tenant, guest, "allow")
	if err := d.EndShare(t.Context(), tenant, share.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	f.tick()
	f.eventually(tenant, guest, "deny")
	if loads, commits := s.loads.Load(), s.commits.Load(); loads != 1 || commits != 0 {
		t.Errorf("the content was loaded %d times, want once, at the start, and commits were read %d times", loads, commits)
	}
}

func TestAShareGoesWithWhatItsMakerLoses(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	if _, err := d.MakeShare(t.Context(), tenant, store.Share{Reason: "holiday", ShareFact: access.ShareFact{
		Maker: "ann", Recipient: guest, Object: "customer", Record: "c1", Actions: []string{"read"}, Level: access.LevelRead,
		Window: schedule.Window{NotBefore: d.now(), NotAfter: d.now() + 3600},
	}}, nil); err != nil {
		t.Fatal(err)
	}
	f := newFollower(t, silent{d})
	f.eventually(tenant, guest, "allow")
	d.lend(tenant, schedule.Unbounded, "bob")
	f.tick()
	f.eventually(tenant, guest, "deny")
}

func TestARestoredBackupIsNotFollowedBeforeTheOperatorHasComparedIt(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann", "bob")
	backup := d.psql(`SELECT revision, ledger_head FROM crm_access.tenant`)
	_, head, _ := strings.Cut(backup, "|")
	was := d.held[tenant]
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "bob", "deny")
	f.eventually(tenant, "ann", "allow")
	restore(d, was, head)
	f.tick()
	f.eventually(tenant, "bob", "refused: the store is in a state from before")
	// Somebody commits something else there: its revision is the one that was answered from, and its history another.
	d.lend(tenant, schedule.Unbounded, "ann", "cleo")
	f.tick()
	f.eventually(tenant, "bob", "refused: the store is in a state from before")
	d.commit(tenant, d.held[tenant], store.Commit{Cause: "repair", RaiseEpoch: true})
	f.tick()
	f.eventually(tenant, "ann", "allow")
	f.eventually(tenant, "bob", "deny")
}

func TestATenantThatIsGoneIsNotAnsweredFor(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	d.lend("qingyun", schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	d.psql(`DELETE FROM crm_access.tenant WHERE name = 'huayue'`)
	f.tick()
	f.eventually(tenant, "ann", "refused: the store does not hold the tenant any more")
	f.eventually("qingyun", "ann", "allow")
}

func TestATenantOfAnotherOwnerIsNotAnsweredFor(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	ours := newFollower(t, silent{d}, func(o *follow.Options) { o.Owner = owner })
	ours.eventually(tenant, "ann", "allow")
	theirs := newFollower(t, silent{d}, func(o *follow.Options) { o.Owner = store.Owner{Cluster: "other", Namespace: "namespace"} })
	theirs.eventually(tenant, "ann", "refused: the tenant in this store belongs to another")
	if _, err := d.Claim(t.Context(), tenant, store.Owner{Cluster: "other", Namespace: "namespace"}, owner.String()); err != nil {
		t.Fatal(err)
	}
	ours.tick()
	ours.eventually(tenant, "ann", "refused: the tenant in this store belongs to another")
}

func TestTenantsAreFoundAsTheyComeOrAreJustThoseNamed(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	all := newFollower(t, silent{d})
	one := newFollower(t, silent{d}, func(o *follow.Options) { o.Tenants = []string{"qingyun"} })
	all.eventually(tenant, "ann", "allow")
	one.eventually("qingyun", "ann", "unread")
	d.lend("qingyun", schedule.Unbounded, "ann")
	for _, f := range []*follower{all, one} {
		f.tick()
		f.eventually("qingyun", "ann", "allow")
	}
	if got := strings.Join(all.Tenants(), " "); got != "huayue qingyun" {
		t.Errorf("followed: %s", got)
	}
	if got := one.reads(tenant, "ann"); got != "unread" || len(one.Tenants()) != 1 {
		t.Errorf("a tenant that was not named is followed: %s", got)
	}
}

func TestAFollowerGoesOnWithAnotherHandle(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	f.stop()
	if got := f.reads(tenant, "ann"); got != "allow" {
		t.Errorf("between two handles ann gets %q", got)
	}
	d.lend(tenant, schedule.Unbounded, "bob")
	f.run(open(t, d.dsn))
	f.eventually(tenant, "ann", "deny")
}
