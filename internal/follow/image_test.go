package follow_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// loadedWhole is the policy of what the store holds.
func loadedWhole(t *testing.T, s store.Store) *access.Policy {
	t.Helper()
	content, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	facts, _, err := store.Decode(content.Rows)
	if err != nil {
		t.Fatal(err)
	}
	return access.NewPolicy(facts)
}

// followed waits until the newest revision is answered from.
func (f *follower) followed(s store.Store) *access.Policy {
	f.t.Helper()
	row, err := s.Tenant(f.t.Context(), tenant)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Look(tenant)
	var policy *access.Policy
	f.until(func() error {
		snapshot, ok := f.Snapshot(tenant)
		if !ok || snapshot.Revision != row.Revision.String() {
			return errors.New("revision " + row.Revision.String() + " is not answered from")
		}
		policy = snapshot.Policy
		return nil
	})
	return policy
}

// alike compares two policies, by their fingerprints and by what they answer.
func alike(t *testing.T, random *rand.Rand, d access.Declarations, got, want *access.Policy) {
	t.Helper()
	if got.Fingerprint() != want.Fingerprint() {
		t.Fatal("what commits made of what was loaded before is another policy than what is loaded whole")
	}
	for range 20 {
		now, request := accesstest.NewQuestion(random, d)
		if got, want := got.Explain(now, request), want.Explain(now, request); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v at %s (-followed +loaded whole)\n%s", request, now, cmp.Diff(got, want))
		}
	}
}

func TestWhatCommitsMakeEqualsWhatIsLoadedWhole(t *testing.T) {
	for name, opened := range map[string]func(*testing.T) store.Store{
		"postgres": func(t *testing.T) store.Store { return open(t, pgtest.Shared(t).Database(t)) },
		"sqlite": func(t *testing.T) store.Store {
			s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t)
			random := accesstest.Random(t)
			counted := &counting{Store: s}
			d := accesstest.NewWorld(random, accesstest.Small)
			commitWorld(t, s, d)
			f := newFollower(t, counted)
			alike(t, random, d, f.followed(s), loadedWhole(t, s))
			catalogue := 0
			for range 12 {
				d = accesstest.Redraw(random, d, accesstest.Small)
				if random.IntN(10) == 0 {
					d.Departments = append(d.Departments, &access.Department{Name: accesstest.Name("new", catalogue)})
					catalogue++
				}
				for range 1 + random.IntN(3) { // several commits at once
					commitWorld(t, s, accesstest.Thinned(random, d))
					d = accesstest.Redraw(random, d, accesstest.Small)
				}
				alike(t, random, d, f.followed(s), loadedWhole(t, s))
				if random.IntN(3) == 0 {
					settle(t, s)
					alike(t, random, d, f.followed(s), loadedWhole(t, s))
				}
			}
			if loads := int(counted.loads.Load()); loads > 1+catalogue+3 {
				t.Errorf("loaded whole %d times, where %d changes asked for it", loads, catalogue)
			}
			if f.metric("crmaccess_snapshot_differences_total") != 0 {
				t.Error("what was made of commits differed")
			}
		})
	}
}

// commitWorld makes the tenant what declarations say, with windows around the store's now.
func commitWorld(t *testing.T, s store.Store, d access.Declarations) {
	t.Helper()
	claimed, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	facts := access.Resolve(d).Facts
	shift := schedule.At(claimed.Now) - accesstest.Start - accesstest.Span/2
	for i := range facts.Holders {
		if w := &facts.Holders[i].Window; *w != schedule.Unbounded {
			w.NotBefore, w.NotAfter = w.NotBefore+shift, w.NotAfter+shift
		}
	}
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	content, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Commit(t.Context(), store.Commit{
		Expect: content.Tenant, Changes: store.Diff(store.Index(content.Rows), store.Index(rows)), Cause: "pass", Brake: content.Tenant.Brake,
	})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
}

func settle(t *testing.T, s store.Store) {
	t.Helper()
	row, err := s.Tenant(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotUnderstoodIsLoadedWhole(t *testing.T) {
	const silently = `SET session_replication_role = replica; ` // past the triggers, as somebody who means it
	type scene struct {
		*database
		f *follower
	}
	for name, happens := range map[string]func(scene){
		"a gap in the ledger": func(s scene) {
			s.lend(tenant, schedule.Unbounded, "ann", "cleo")
			s.lend(tenant, schedule.Unbounded, "bob")
			s.psql(silently + `DELETE FROM crm_access.ledger WHERE revision = 2`)
		},
		"an entry that was rewritten": func(s scene) {
			s.lend(tenant, schedule.Unbounded, "bob")
			s.psql(silently + `UPDATE crm_access.ledger SET body = replace(body, 'bob', 'eve') WHERE revision = 2`)
		},
		"an entry that was rewritten with its hash": func(s scene) {
			s.lend(tenant, schedule.Unbounded, "bob")
			s.psql(silently + `UPDATE crm_access.ledger SET body = b.body, hash = 'sha256:' || encode(sha256(convert_to(b.body, 'UTF8')), 'hex')
				FROM (SELECT replace(body, 'bob', 'eve') AS body FROM crm_access.ledger WHERE revision = 2) AS b WHERE revision = 2`)
		},
		"a row that comes to nobody's knowledge, and goes again by a commit": func(s scene) {
			s.psql(silently + `INSERT INTO crm_access.holder (tenant, owner_kind, owner_name, key, user_name, bundle, role, revoked_by)
				SELECT tenant, owner_kind, owner_name, 'bob', 'bob', bundle, role, revoked_by FROM crm_access.holder WHERE user_name = 'ann'`)
			s.lend(tenant, schedule.Unbounded, "bob")
		},
		"rows that others wrote, and the operator has looked at": func(s scene) {
			s.psql(`DELETE FROM crm_access.holder`)
			s.lend(tenant, schedule.Unbounded, "bob")
		},
		"a new epoch": func(s scene) {
			s.lend(tenant, schedule.Unbounded, "bob")
			s.commit(tenant, s.held[tenant], store.Commit{Cause: "repair", RaiseEpoch: true})
		},
		"an adopted store": func(s scene) {
			other := store.Owner{Cluster: "other", Namespace: "namespace"}
			if _, err := s.Claim(s.t.Context(), tenant, other, owner.String()); err != nil {
				s.t.Fatal(err)
			}
			s.lend(tenant, schedule.Unbounded, "bob")
		},
		"more commits than are caught up with": func(s scene) {
			for range 101 {
				s.lend(tenant, schedule.Unbounded, "cleo")
				s.lend(tenant, schedule.Unbounded, "bob")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t)
			d.lend(tenant, schedule.Unbounded, "ann")
			s := &counting{Store: d}
			f := newFollower(t, s)
			f.eventually(tenant, "ann", "allow")
			happens(scene{d, f})
			f.tick()
			f.eventually(tenant, "ann", "deny")
			f.eventually(tenant, "bob", "allow")
			f.eventually(tenant, "eve", "deny")
			if loads := s.loads.Load(); loads != 2 {
				t.Errorf("loaded whole %d times, want once at the start and once more", loads)
			}
			d.lend(tenant, schedule.Unbounded, "dora")
			f.tick()
			f.eventually(tenant, "bob", "deny")
			f.eventually(tenant, "dora", "allow")
			if loads := s.loads.Load(); loads != 2 {
				t.Errorf("loaded whole %d times; the next commit is one like others", loads)
			}
		})
	}
}

func TestCommitsAreAppliedToWhatWasLoaded(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	s := &counting{Store: d}
	f := newFollower(t, s)
	f.eventually(tenant, "ann", "allow")
	now := d.now()
	d.lend(tenant, schedule.Window{NotBefore: now - 20, NotAfter: now + 3600}, "bob")
	d.lend(tenant, schedule.Window{NotBefore: now - 20, NotAfter: now - 10}, "bob")
	d.lend(tenant, schedule.Window{NotBefore: now - 20, NotAfter: now + 3600}, "bob")
	f.tick()
	f.eventually(tenant, "bob", "allow")
	f.eventually(tenant, "ann", "deny")
	d.lend(tenant, schedule.Window{NotBefore: now - 20, NotAfter: now - 10}, "bob")
	settle(t, d)
	f.tick()
	f.eventually(tenant, "bob", "deny")
	if loads, commits := s.loads.Load(), s.commits.Load(); loads != 1 || commits != 2 {
		t.Errorf("loaded whole %d times, read commits %d times, want once and twice", loads, commits)
	}
}

func TestACatalogueThatChangesIsLoadedWhole(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	f := newFollower(t, silent{d})
	f.eventually(tenant, "ann", "allow")
	rows := currentRows(d)
	for id, body := range rows {
		if id.Table == store.TableObject {
			rows[id] = strings.Replace(body, `"enabled":true`, `"enabled":false`, 1)
		}
	}
	d.commit(tenant, rows, store.Commit{Cause: "pass"})
	f.tick()
	f.eventually(tenant, "ann", "deny")
}

func TestEverythingIsLoadedAndComparedEveryHour(t *testing.T) {
	d := newDatabase(t)
	d.lend(tenant, schedule.Unbounded, "ann")
	s := &counting{Store: d}
	f := newFollower(t, s)
	f.eventually(tenant, "ann", "allow")
	anHourLater := func(differences float64) {
		t.Helper()
		loads := s.loads.Load()
		f.clock.Step(time.Hour)
		f.until(func() error {
			if s.loads.Load() == loads {
				f.clock.Step(time.Second)
				return errors.New("nothing was loaded")
			}
			return nil
		})
		f.until(func() error {
			if got := f.metric("crmaccess_snapshot_differences_total"); got != differences {
				return errors.New("it counts another number of differences")
			}
			return nil
		})
	}
	d.lend(tenant, schedule.Unbounded, "ann", "bob")
	f.tick()
	f.eventually(tenant, "bob", "allow")
	anHourLater(0)
	f.eventually(tenant, "bob", "allow")
	d.psql(`SET session_replication_role = replica; DELETE FROM crm_access.holder WHERE user_name = 'bob'`)
	f.tick()
	if got := f.reads(tenant, "bob"); got != "allow" {
		t.Errorf("within the hour bob gets %q: nothing says that something has changed", got)
	}
	anHourLater(1)
	f.eventually(tenant, "bob", "deny")
	f.eventually(tenant, "ann", "allow")
	anHourLater(1)
}
