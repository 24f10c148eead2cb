package follow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	tenant = "huayue"
	maxAge = 10 * time.Second
)

// guest has an account in every tenant, and no grant.
const guest = "guest"

var owner = store.Owner{Cluster: "cluster", Namespace: "namespace"}

// database is a store, and the operator that writes it.
type database struct {
	store.Store
	t      *testing.T
	server *pgtest.Server
	dsn    string
	rows   map[string]store.Tenant
	held   map[string]map[store.RowID]string
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	return databaseOn(t, pgtest.Shared(t), pgtest.Shared(t).Database(t))
}

func databaseOn(t *testing.T, server *pgtest.Server, dsn string) *database {
	t.Helper()
	return &database{Store: open(t, dsn), t: t, server: server, dsn: dsn, rows: make(map[string]store.Tenant), held: make(map[string]map[store.RowID]string)}
}

func open(t *testing.T, dsn string) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (d *database) psql(script string) string {
	d.t.Helper()
	return d.server.Psql(d.t, d.dsn, script)
}

// lend makes a tenant's access just this: readers may read every customer in a window.
func (d *database) lend(name string, window schedule.Window, readers ...string) {
	d.t.Helper()
	ref := func(kind access.Kind, name string) access.Ref { return access.Ref{Kind: kind, Name: name} }
	facts := access.Facts{
		Objects: []access.ObjectFact{{Owner: ref(access.KindObjectType, "customer"), Object: "customer", Enabled: true, Actions: []string{"read"}}},
		Tuples: []access.TupleFact{{Owner: ref(access.KindTemporaryGrant, "loan"), Bundle: "TemporaryGrant/loan/0", Path: "loan", Tuple: &access.Tuple{
			Digest: "0a1b2c3d4e5f", Origin: "loan", Object: "customer", Actions: []string{"read"}, Scopes: []string{"all"},
		}}},
	}
	for _, user := range append(readers, guest) {
		facts.Users = append(facts.Users, access.UserFact{Owner: ref(access.KindUser, user), User: user, Type: access.UserEmployee, State: access.StateActive})
	}
	for _, user := range readers {
		facts.Holders = append(facts.Holders, access.HolderFact{Owner: ref(access.KindTemporaryGrant, "loan"), User: user, Bundle: "TemporaryGrant/loan/0", Window: window})
	}
	rows, err := store.Encode(facts)
	if err != nil {
		d.t.Fatal(err)
	}
	d.commit(name, store.Index(rows), store.Commit{Cause: "pass"})
}

// commit writes as the operator does, which remembers that it has looked at all foreign writes.
func (d *database) commit(name string, rows map[store.RowID]string, commit store.Commit) {
	d.t.Helper()
	if d.rows[name].Name == "" {
		claimed, err := d.Claim(d.t.Context(), name, owner, "")
		if err != nil {
			d.t.Fatal(err)
		}
		d.rows[name] = claimed
	}
	content, err := d.Load(d.t.Context(), name)
	if err != nil {
		d.t.Fatal(err)
	}
	commit.Expect, commit.Changes = content.Tenant, store.Diff(store.Index(content.Rows), rows)
	commit.Brake = fmt.Sprintf(`{"tampered":%d}`, content.Tenant.Tampered)
	committed, err := d.Commit(d.t.Context(), commit)
	if err != nil || len(committed.Refused) > 0 {
		d.t.Fatal(err, committed.Refused)
	}
	d.rows[name], d.held[name] = committed.Tenant, rows
}

// repair makes the tenant what it was by the last commit.
func (d *database) repair(name string) {
	d.t.Helper()
	d.commit(name, d.held[name], store.Commit{Cause: "repair"})
}

// now is the store's clock.
func (d *database) now() schedule.Instant {
	d.t.Helper()
	row, err := d.Tenant(d.t.Context(), tenant)
	if err != nil {
		d.t.Fatal(err)
	}
	return schedule.At(row.Now)
}

// silent is a store behind a pooler that swallows announcements.
type silent struct{ follow.Store }

// counting counts how often content is loaded, and how often commits are read.
type counting struct {
	follow.Store
	loads, commits atomic.Int64
}

func (c *counting) Load(ctx context.Context, tenant string) (store.Content, error) {
	c.loads.Add(1)
	return c.Store.Load(ctx, tenant)
}

func (c *counting) Ledger(ctx context.Context, tenant string, after store.Revision, limit int) ([]store.Entry, error) {
	c.commits.Add(1)
	return c.Store.Ledger(ctx, tenant, after, limit)
}

// overtaken is a store in which something happens between the reading of what was committed and its end.
type overtaken struct {
	follow.Store
	reads     atomic.Int64
	meanwhile func()
}

func (o *overtaken) Ledger(ctx context.Context, tenant string, after store.Revision, limit int) ([]store.Entry, error) {
	entries, err := o.Store.Ledger(ctx, tenant, after, limit)
	if o.reads.Add(1) < 10 {
		o.meanwhile()
	}
	return entries, err
}

// follower follows a store, by a clock that stands until the test moves it.
type follower struct {
	*follow.Follower
	t        *testing.T
	clock    *clocktesting.FakeClock
	registry *prometheus.Registry
	stop     func()
}

func newFollower(t *testing.T, s follow.Store, changes ...func(*follow.Options)) *follower {
	t.Helper()
	f := &follower{t: t, clock: clocktesting.NewFakeClock(time.Now()), registry: prometheus.NewRegistry()}
	options := follow.Options{MaxAge: maxAge, Clock: f.clock, Log: logr.Discard(), Metrics: follow.NewMetrics(f.registry)}
	for _, change := range changes {
		change(&options)
	}
	f.Follower = follow.New(options)
	f.run(s)
	return f
}

func (f *follower) run(s follow.Store) {
	ctx, stop := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx, s) }()
	f.stop = func() { stop(); <-done }
	f.t.Cleanup(f.stop)
}

// reads says whether a user may read a customer, or that nothing is answered.
func (f *follower) reads(name, user string) string {
	snapshot, ok := f.Snapshot(name)
	if !ok {
		return "unread"
	}
	now, err := snapshot.Now()
	if err != nil {
		return "refused: " + err.Error()
	}
	request := &access.Request{User: user, Action: "read", Object: "customer", Record: &access.Record{ID: "c1"}}
	if snapshot.Policy.Decide(now, request, nil) == access.Allow {
		return "allow"
	}
	return "deny"
}

// eventually waits until a user's answer begins so. What another goroutine or process does takes time of its own.
func (f *follower) eventually(name, user, want string) {
	f.t.Helper()
	f.until(func() error {
		if got := f.reads(name, user); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%s in %s gets %q, want %q", user, name, got, want)
		}
		return nil
	})
}

func (f *follower) until(check func() error) {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			f.t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tick lets a second pass and waits for the look that it brings, which the metrics count.
func (f *follower) tick() {
	f.t.Helper()
	before := f.metric("crmaccess_snapshot_looks_total")
	f.clock.Step(time.Second)
	f.until(func() error {
		if f.metric("crmaccess_snapshot_looks_total") <= before {
			return errors.New("nothing looks")
		}
		return nil
	})
}

// metric is the sum of a metric over its labels.
func (f *follower) metric(name string) (sum float64) {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// currentRows are the tenant's rows as they are, whoever wrote them.
func currentRows(d *database) map[store.RowID]string {
	d.t.Helper()
	content, err := d.Load(d.t.Context(), tenant)
	if err != nil {
		d.t.Fatal(err)
	}
	return store.Index(content.Rows)
}

// restore puts the tenant back where it was one revision ago, as a backup does.
func restore(d *database, rows map[store.RowID]string, head string) {
	d.t.Helper()
	last := d.rows[tenant]
	d.commit(tenant, rows, store.Commit{Cause: "pass"})
	d.psql(fmt.Sprintf(`ALTER TABLE crm_access.ledger DISABLE TRIGGER USER;
		DELETE FROM crm_access.ledger WHERE revision >= %[1]d; UPDATE crm_access.tenant SET revision = %[1]d - 1, ledger_head = '%[2]s'`,
		last.Revision.Number, head))
}
