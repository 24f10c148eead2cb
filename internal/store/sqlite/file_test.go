package sqlite_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

var owner = store.Owner{Cluster: "cluster", Namespace: "namespace"}

func open(t *testing.T, file string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestTheFileAndItsCompanionsAreReadByTheirOwnerAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "permissions.db")
	s := open(t, file)
	if _, err := s.Claim(t.Context(), "huayue", owner, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(name), mode)
		}
	}
}

func TestAFileThatOthersMayReadIsNarrowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "permissions.db")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	open(t, file)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
}

func TestAFileNameIsAFileNameWhateverItHolds(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory", "a%20b.db", "a#b", "华悦.db", "a&b=c;d'e\"f"} {
		folder := t.TempDir()
		s := open(t, filepath.Join(folder, name))
		if _, err := s.Claim(t.Context(), "huayue", owner, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		files, err := fs.Glob(os.DirFS(folder), "*")
		if err != nil || len(files) != 1 || files[0] != name {
			t.Errorf("opening %q made %q (%v)", name, files, err)
		}
	}
}

func TestAStoreInMemoryKeepsItsContentUntilItIsClosed(t *testing.T) {
	s, other := open(t, sqlite.Memory), open(t, sqlite.Memory)
	claimed, err := s.Claim(t.Context(), "huayue", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if content, err := s.Load(t.Context(), "huayue"); err != nil || content.Tenant.Fence != claimed.Fence {
				t.Errorf("load: %+v, %v", content.Tenant, err)
			}
		})
	}
	all.Wait()
	if _, err := other.Tenant(t.Context(), "huayue"); !errors.Is(err, store.ErrNoTenant) {
		t.Errorf("another store in memory: got %v, want ErrNoTenant", err)
	}
}

func TestManyOpenersAtOnceMakeOneSchema(t *testing.T) {
	file := filepath.Join(t.TempDir(), "permissions.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := sqlite.Open(t.Context(), file)
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

func TestWhatIsNoStoreOfOursIsNotTouched(t *testing.T) {
	const canary = "canary-folder"
	folder := filepath.Join(t.TempDir(), canary)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		prepare func(file string) error
		kind    error
		want    string
	}{
		"a newer schema": {func(file string) error {
			return prepare(file, `CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (10)`)
		},
			store.ErrSchema, "version 10"},
		"another program's database": {func(file string) error { return prepare(file, `CREATE TABLE invoices (id INTEGER)`) }, store.ErrSchema, "another program's"},
		"something that is no database": {func(file string) error {
			return os.WriteFile(file, []byte(strings.Repeat("not a database ", 100)), 0o600)
		}, store.ErrSchema, "SQLITE_NOTADB"},
		"a folder":            {func(file string) error { return os.Mkdir(file, 0o755) }, store.ErrUnavailable, "cannot open"},
		"a folder that's not": {func(file string) error { return os.Remove(filepath.Dir(file)) }, store.ErrUnavailable, "folder does not exist"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder, strings.ReplaceAll(name, " ", "-"), "permissions.db")
			if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.prepare(file); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(file)
			_, err := sqlite.Open(t.Context(), file)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.want)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the error names the file: %v", err)
			}
			if after, _ := os.ReadFile(file); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func prepare(file, statements string) error {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statements)
	return err
}

func TestADatabaseThatAnotherKeepsLockedIsUnavailableAndComesBack(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	claimed, err := s.Claim(t.Context(), "huayue", owner, "")
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, `BEGIN IMMEDIATE`)
	if _, err := s.Claim(t.Context(), "huayue", owner, ""); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("write: got %v, want ErrUnavailable", err)
	}
	if _, err := s.Tenant(t.Context(), "huayue"); err != nil {
		t.Errorf("read: %v", err)
	}
	h.must(t, `ROLLBACK`)
	again, err := s.Claim(t.Context(), "huayue", owner, "")
	if err != nil || again.Fence != claimed.Fence+1 {
		t.Errorf("afterwards: fence %d, %v", again.Fence, err)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "permissions.db"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tenant(t.Context(), "huayue"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestATableThatIsGoneIsASchemaError(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	if _, err := s.Claim(t.Context(), "huayue", owner, ""); err != nil {
		t.Fatal(err)
	}
	h.must(t, `DROP VIEW live_grants; DROP VIEW live_holders; DROP TABLE tuple`)
	if _, err := s.Load(t.Context(), "huayue"); !errors.Is(err, store.ErrSchema) {
		t.Errorf("got %v, want ErrSchema", err)
	}
}

func TestWhoOnlyReadsMakesNothingAndChangesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "permissions.db")
	if _, err := sqlite.Attach(t.Context(), file); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("of a file that is not there: got %v, want ErrUnavailable", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	s := open(t, file)
	if _, err := s.Claim(t.Context(), "huayue", owner, ""); err != nil {
		t.Fatal(err)
	}
	reader, err := sqlite.Attach(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if content, err := reader.Load(t.Context(), "huayue"); err != nil || content.Tenant.Name != "huayue" {
		t.Errorf("reads %v, %v", content.Tenant, err)
	}
	if _, err := reader.Claim(t.Context(), "huayue", owner, ""); err == nil {
		t.Error("whoever only reads has claimed a tenant")
	}
	hand, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	if _, err := hand.ExecContext(t.Context(), `DELETE FROM schema_version WHERE version > 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Attach(t.Context(), file); !errors.Is(err, store.ErrSchema) {
		t.Errorf("of an older schema: got %v, want ErrSchema", err)
	}
}
