package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/storetest"
)

func BenchmarkSettle(b *testing.B) {
	storetest.BenchmarkSettle(b, func(b *testing.B) storetest.Bench { return newBench(b) })
}

func BenchmarkCommit(b *testing.B) {
	storetest.BenchmarkCommit(b, func(b *testing.B) storetest.Bench { return newBench(b) })
}

type bench struct {
	dsn  string
	hand *pgx.Conn
}

func newBench(b *testing.B) *bench {
	b.Helper()
	dsn := pgtest.Shared(b).Database(b)
	hand, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { hand.Close(context.Background()) })
	return &bench{dsn, hand}
}

func (h *bench) Open(b *testing.B) store.Store {
	b.Helper()
	s, err := postgres.Open(b.Context(), h.dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func (h *bench) Advance(b *testing.B, tenant string, to schedule.Instant) {
	b.Helper()
	_, err := h.hand.Exec(b.Context(), `UPDATE crm_access.tenant SET settled_through = greatest(settled_through, $1) WHERE name = $2`, to.Time(), tenant)
	if err != nil {
		b.Fatal(err)
	}
}

func (h *bench) BareUpdate(b *testing.B) {
	b.Helper()
	_, err := h.hand.PgConn().Exec(b.Context(), `
		BEGIN;
		SET LOCAL session_replication_role = replica;
		UPDATE crm_access.holder SET not_after = not_after;
		UPDATE crm_access.tuple SET restricted = NOT restricted;
		COMMIT`).ReadAll()
	if err != nil {
		b.Fatal(err)
	}
}
