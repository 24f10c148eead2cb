package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

func TestManyOpenersAtOnceMakeOneSchema(t *testing.T) {
	dsn := pgtest.Shared(t).Database(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := postgres.Open(t.Context(), dsn)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	all.Wait()
}

func TestASchemaThatIsNotThisProgramsIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	t.Run("a newer one", func(t *testing.T) {
		h := newHarness(t)
		h.must(t, `INSERT INTO crm_access.schema_version (version) VALUES (9999)`)
		if _, err := postgres.Open(t.Context(), h.dsn); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "version 9999") {
			t.Errorf("got %v, want ErrSchema naming version 9999", err)
		}
	})
	t.Run("one with a table of that name", func(t *testing.T) {
		dsn := server.Database(t)
		server.Psql(t, dsn, `CREATE SCHEMA crm_access; CREATE TABLE crm_access.tenant ()`)
		if _, err := postgres.Open(t.Context(), dsn); !errors.Is(err, store.ErrSchema) {
			t.Errorf("got %v, want ErrSchema", err)
		}
	})
	t.Run("one that went away", func(t *testing.T) {
		h := newHarness(t)
		s := h.Open(t)
		h.must(t, `DROP SCHEMA crm_access CASCADE`)
		if _, err := s.Tenant(t.Context(), tenant); !errors.Is(err, store.ErrSchema) {
			t.Errorf("got %v, want ErrSchema", err)
		}
	})
	t.Run("one in a database that cannot hold every text", func(t *testing.T) {
		server.Psql(t, server.DSN(pgtest.Superuser, "", "postgres"), `CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0`)
		t.Cleanup(func() {
			server.Psql(t, server.DSN(pgtest.Superuser, "", "postgres"), `DROP DATABASE latin WITH (FORCE)`)
		})
		if _, err := postgres.Open(t.Context(), server.DSN(pgtest.Superuser, "", "latin")); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "LATIN1") {
			t.Errorf("got %v, want ErrSchema naming the encoding", err)
		}
	})
}

func TestACommitIsAnnouncedAndAQuietOneIsNot(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	listener, err := pgx.Connect(t.Context(), h.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close(t.Context())
	if _, err := listener.Exec(t.Context(), `LISTEN crm_access`); err != nil {
		t.Fatal(err)
	}
	read := oneGrant(t, s, schedule.Unbounded)
	if _, err := s.Commit(t.Context(), store.Commit{Expect: read}); err != nil {
		t.Fatal(err)
	}
	// The next announcement after the first is this one's, not the quiet commit's.
	if _, err := s.Commit(t.Context(), store.Commit{Expect: read, Changes: store.Diff(grants(t, 1, schedule.Unbounded), nil)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{1, 2} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		heard, err := listener.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Tenant          string
			Epoch, Revision int64
		}
		if err := json.Unmarshal([]byte(heard.Payload), &got); err != nil || got.Tenant != tenant || got.Epoch != 1 || got.Revision != want {
			t.Errorf("heard %s (%v), want revision 1.%d of %s", heard.Payload, err, want, tenant)
		}
	}
}

func TestWhatReadsOrHasNothingToDoLocksNoRowAndUsesNoTransactionID(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	read := oneGrant(t, s, schedule.Unbounded)
	// xmax changes when a row is locked.
	locks := func() string { return h.State(t) + fmt.Sprint(h.Query(t, `SELECT xmax FROM crm_access.tenant`)) }
	before := locks()
	for what, call := range map[string]func() error{
		"open":            func() error { h.Open(t); return nil },
		"a poll":          func() error { _, err := s.Tenant(t.Context(), tenant); return err },
		"what was used":   func() error { _, err := s.Used(t.Context(), tenant, "li-ting", nil); return err },
		"a load":          func() error { _, err := s.Load(t.Context(), tenant); return err },
		"a quiet commit":  func() error { _, err := s.Commit(t.Context(), store.Commit{Expect: read}); return err },
		"an empty settle": func() error { _, err := s.Settle(t.Context(), read); return err },
		"the ledger":      func() error { _, err := s.Ledger(t.Context(), tenant, store.Revision{}, 1); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if locks() != before {
			t.Errorf("%s wrote or locked a row", what)
		}
	}
}

func TestAPoolAtRestSaysNothing(t *testing.T) {
	h := newHarness(t)
	s, err := postgres.Open(t.Context(), h.dsn+"&application_name=resting&pool_health_check_period=1ms")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	oneGrant(t, s, schedule.Unbounded)
	const sessions = `SELECT pid, query_start, state_change, state FROM pg_stat_activity WHERE application_name = 'resting' ORDER BY pid`
	before := h.Query(t, sessions)
	if len(before) == 0 {
		t.Fatal("no session to watch")
	}
	// A hundred rounds of the pool's own maintenance.
	h.must(t, `SELECT pg_sleep(0.1)`)
	if after := h.Query(t, sessions); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("sessions\nbefore %v\n after %v", before, after)
	}
}

func TestValuesThatOnlyThisDatabaseRefusesAreRefusedWithTheirObject(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	read := oneGrant(t, s, schedule.Unbounded)
	// A key does not fit an index page; incompressible, since an index compresses. Year 0 is no year.
	var long strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&long, "%x", i*2654435761)
	}
	ref := func(name string) access.Ref { return access.Ref{Kind: access.KindUserBinding, Name: name} }
	ancient, err := schedule.Parse("0000-06-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	facts := access.Facts{Holders: []access.HolderFact{
		{Owner: ref("long"), User: long.String(), Bundle: "b", Window: schedule.Unbounded},
		{Owner: ref("ancient"), User: "li-ting", Bundle: "b", Window: schedule.Window{NotBefore: ancient, NotAfter: schedule.Forever}},
		{Owner: ref("fine"), User: "li-ting", Bundle: "b", Window: schedule.Unbounded},
	}}
	rows, err := store.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Commit(t.Context(), store.Commit{Expect: read, Changes: store.Diff(nil, store.Index(rows))})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Refused) != 2 || !errors.Is(got.Refused[ref("long")], store.ErrRefused) || !errors.Is(got.Refused[ref("ancient")], store.ErrRefused) {
		t.Errorf("refused %v, want long and ancient", got.Refused)
	}
	for want, name := range map[string]string{"(54000)": "long", "(22008)": "ancient"} {
		if err := got.Refused[ref(name)]; err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if len(got.Changes) != 1 || got.Changes[0].Owner != ref("fine") {
		t.Errorf("changes %v, want the fine one", got.Changes)
	}
}

func TestALoadIsOneSnapshotHoweverLongItTakes(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	read := oneGrant(t, s, schedule.Unbounded)
	// The load reads the tenant row and then waits for the table it reads last, while another state is committed.
	h.must(t, `BEGIN; LOCK TABLE crm_access.holder IN ACCESS EXCLUSIVE MODE`)
	var content store.Content
	done := make(chan error)
	go func() {
		var err error
		content, err = s.Load(t.Context(), tenant)
		done <- err
	}()
	for waiting := "0"; waiting == "0"; {
		waiting = h.Query(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)[0][0]
	}
	h.must(t, `DELETE FROM crm_access.holder; UPDATE crm_access.tenant SET revision = 2; COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := grants(t, 1, schedule.Unbounded); content.Tenant.Revision != read.Revision || len(content.Rows) != len(want) {
		t.Errorf("revision %s with %d rows, want %s with %d", content.Tenant.Revision, len(content.Rows), read.Revision, len(want))
	}
}

func TestAnOutageIsUnavailableAtOnceAndOverWhenTheServerIsBack(t *testing.T) {
	server := pgtest.Shared(t)
	h := newHarness(t)
	s := h.Open(t)
	read := oneGrant(t, s, schedule.Unbounded)
	server.Stop(t)
	running := false
	defer func() {
		if !running {
			server.Start(t)
		}
	}()
	start := time.Now()
	for what, call := range map[string]func() error{
		"a poll":    func() error { _, err := s.Tenant(t.Context(), tenant); return err },
		"a claim":   func() error { _, err := s.Claim(t.Context(), tenant, owner, ""); return err },
		"a load":    func() error { _, err := s.Load(t.Context(), tenant); return err },
		"a commit":  func() error { _, err := s.Commit(t.Context(), store.Commit{Expect: read, Brake: "b"}); return err },
		"a settle":  func() error { _, err := s.Settle(t.Context(), read); return err },
		"an opener": func() error { _, err := postgres.Open(t.Context(), h.dsn); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", what, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("six calls took %s", took)
	}
	server.Start(t)
	running = true
	if got, err := s.Tenant(t.Context(), tenant); err != nil || got.Revision != read.Revision {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
	if _, err := s.Claim(t.Context(), tenant, owner, ""); err != nil {
		t.Errorf("a claim afterwards: %v", err)
	}
}

func TestAServerThatTakesTheCallAndSaysNothingIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	start := time.Now()
	_, err = postgres.Open(t.Context(), fmt.Sprintf("postgres://u@%s/d?sslmode=disable", listener.Addr()))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestATenantRowThatSomebodyKeepsLockedIsUnavailable(t *testing.T) {
	h := newHarness(t)
	oneGrant(t, h.Open(t), schedule.Unbounded)
	s, err := postgres.Open(t.Context(), h.dsn+"&lock_timeout=100ms")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.must(t, `BEGIN; SELECT FROM crm_access.tenant FOR UPDATE`)
	if _, err := s.Claim(t.Context(), tenant, owner, ""); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "55P03") {
		t.Errorf("write: got %v, want ErrUnavailable (55P03)", err)
	}
	if _, err := s.Tenant(t.Context(), tenant); err != nil {
		t.Errorf("read: %v", err)
	}
	h.must(t, `ROLLBACK`)
	if _, err := s.Claim(t.Context(), tenant, owner, ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tenant(t.Context(), tenant); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
