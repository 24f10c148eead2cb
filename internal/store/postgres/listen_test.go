package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

// ear listens to a database, and is deaf to nothing.
type ear struct {
	*db
	dsn   string
	heard chan string
	ended chan error
	stop  context.CancelFunc
}

func listening(t *testing.T, silence time.Duration) *ear {
	t.Helper()
	dsn := pgtest.Shared(t).Database(t)
	opened, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	e := &ear{db: opened.(*db), dsn: dsn, heard: make(chan string, 100), ended: make(chan error, 1)}
	e.silence = silence
	ctx, stop := context.WithCancel(t.Context())
	e.stop = stop
	go func() { e.ended <- e.Listen(ctx, func(tenant string) { e.heard <- tenant }) }()
	t.Cleanup(stop)
	if first := e.next(t); first != "" {
		t.Fatalf("it begins with %q, want to be told that it listens now", first)
	}
	return e
}

func (e *ear) next(t *testing.T) string {
	t.Helper()
	select {
	case tenant := <-e.heard:
		return tenant
	case err := <-e.ended:
		t.Fatalf("it listens no more: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
	}
	return ""
}

// commit changes a tenant.
func (e *ear) commit(t *testing.T, tenant string) {
	t.Helper()
	claimed, err := e.Claim(t.Context(), tenant, store.Owner{Cluster: "cluster", Namespace: tenant}, "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Encode(access.Facts{Users: []access.UserFact{{Owner: access.Ref{Kind: access.KindUser, Name: "li-ting"}, User: "li-ting"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "pass"}); err != nil {
		t.Fatal(err)
	}
}

func (e *ear) psql(t *testing.T, script string) { pgtest.Shared(t).Psql(t, e.dsn, script) }

func TestEachCommitIsHeardWithItsTenant(t *testing.T) {
	e := listening(t, time.Minute)
	for _, tenant := range []string{"huayue", "qingyun"} {
		if e.commit(t, tenant); e.next(t) != tenant {
			t.Errorf("the commit of %s was announced as another's", tenant)
		}
	}
}

func TestWhatIsNoAnnouncementIsNotHeard(t *testing.T) {
	e := listening(t, time.Minute)
	e.psql(t, `NOTIFY crm_access; NOTIFY crm_access, 'huayue'; NOTIFY crm_access, '{"tenant": 7}'; NOTIFY crm_access, '[]'; NOTIFY other, '{"tenant":"other"}'`)
	if e.commit(t, "huayue"); e.next(t) != "huayue" {
		t.Error("something else was heard first")
	}
}

func TestAConnectionThatLivesIsKeptThroughALongSilence(t *testing.T) {
	e := listening(t, time.Millisecond)
	e.psql(t, `SELECT pg_sleep(0.1)`)
	if e.commit(t, "huayue"); e.next(t) != "huayue" {
		t.Error("something else was heard")
	}
	if got := len(e.heard); got != 0 {
		t.Errorf("%d more were heard", got)
	}
}

func TestALostConnectionEndsTheListening(t *testing.T) {
	e := listening(t, time.Minute)
	e.psql(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN crm_access'`)
	if err := <-e.ended; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("it ended with %v, want ErrUnavailable", err)
	}
}

func TestListeningEndsWithItsContextAndLeavesNoConnection(t *testing.T) {
	e := listening(t, time.Minute)
	e.stop()
	if err := <-e.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	conn, err := pgx.Connect(t.Context(), e.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const listeners = `SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN crm_access'`
	for n, deadline := 1, time.Now().Add(10*time.Second); n > 0; { // the server ends it when it gets to it
		if err := conn.QueryRow(t.Context(), listeners).Scan(&n); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d connections listen, %v", n, err)
		}
	}
}

func TestAStoreThatIsAwayCannotBeListenedTo(t *testing.T) {
	server, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	opened, err := Open(t.Context(), server.DSN(pgtest.Superuser, "", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	server.Stop(t)
	if err := opened.(*db).Listen(t.Context(), func(string) { t.Error("something was heard") }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
