package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

func TestWorkThatTakesTooLongIsUnavailableUnlessTheCallerEndedIt(t *testing.T) {
	dsn := pgtest.Shared(t).Database(t)
	opened, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*db)
	owner := store.Owner{Cluster: "cluster", Namespace: "namespace"}
	claimed, err := s.Claim(t.Context(), "huayue", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	hand, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close(t.Context())
	if _, err := hand.PgConn().Exec(t.Context(), `BEGIN; LOCK TABLE crm_access.tenant, crm_access.holder, crm_access.ledger IN ACCESS EXCLUSIVE MODE`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"claim":  func(ctx context.Context) error { _, err := s.Claim(ctx, "huayue", owner, ""); return err },
		"load":   func(ctx context.Context) error { _, err := s.Load(ctx, "huayue"); return err },
		"settle": func(ctx context.Context) error { _, err := s.Settle(ctx, claimed); return err },
		"commit": func(ctx context.Context) error {
			_, err := s.Commit(ctx, store.Commit{Expect: claimed, RaiseEpoch: true})
			return err
		},
		"ledger": func(ctx context.Context) error { _, err := s.Ledger(ctx, "huayue", store.Revision{}, 1); return err },
	}
	for what, call := range calls {
		s.workTimeout = 50 * time.Millisecond
		if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, our patience: got %v, want ErrUnavailable", what, err)
		}
		s.workTimeout = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, the caller's patience: got %v, want the context's error", what, err)
		}
		cancel()
	}
}
