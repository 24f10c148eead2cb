package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
	"github.com/crmaccess/crm-access-operator/internal/store/storetest"
)

func BenchmarkSettle(b *testing.B) {
	storetest.BenchmarkSettle(b, func(b *testing.B) storetest.Bench { return newBench(b) })
}

func BenchmarkCommit(b *testing.B) {
	storetest.BenchmarkCommit(b, func(b *testing.B) storetest.Bench { return newBench(b) })
}

type bench struct {
	file string
	hand *sql.DB
	bare bool
}

func newBench(b *testing.B) *bench {
	b.Helper()
	h := &bench{file: filepath.Join(b.TempDir(), "permissions.db")}
	var err error
	if h.hand, err = sql.Open("sqlite", h.file+"?_busy_timeout=5000"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.hand.Close() })
	return h
}

func (h *bench) Open(b *testing.B) store.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), h.file)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func (h *bench) Advance(b *testing.B, tenant string, to schedule.Instant) {
	b.Helper()
	if _, err := h.hand.Exec(`UPDATE tenant SET settled_through = max(settled_through, ?) WHERE name = ?`, to.String(), tenant); err != nil {
		b.Fatal(err)
	}
}

func (h *bench) BareUpdate(b *testing.B) {
	b.Helper()
	if !h.bare {
		if _, err := h.hand.Exec(`DROP TRIGGER holder_updated; DROP TRIGGER tuple_updated`); err != nil {
			b.Fatal(err)
		}
		h.bare = true
	}
	if _, err := h.hand.Exec(`BEGIN; UPDATE holder SET not_after = not_after; UPDATE tuple SET restricted = NOT restricted; COMMIT`); err != nil {
		b.Fatal(err)
	}
}
