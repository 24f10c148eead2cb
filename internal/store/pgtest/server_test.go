//go:build unix

package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// orphan, where set, makes this test program a process that starts a cluster and waits to be killed.
const orphan = "PGTEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphan) != "" {
		server, err := New()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(server.folder)
		select {}
	}
	os.Exit(Main(m))
}

func TestEachDatabaseIsFreshAndGoneAfterItsTest(t *testing.T) {
	server := Shared(t)
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = server.Database(t)
		server.Psql(t, dsn, `CREATE TABLE t (n integer); INSERT INTO t VALUES (1), (2)`)
		if got := server.Psql(t, dsn, `SELECT n, n + 1 FROM t ORDER BY n`); got != "1|2\n2|3" {
			t.Errorf("got %q", got)
		}
		if got := server.Psql(t, server.Database(t), `SELECT count(*) FROM pg_class WHERE relname = 't'`); got != "0" {
			t.Errorf("another database has %s tables t", got)
		}
	})
	if _, err := server.TryPsql(dsn, `SELECT 1`); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test: got %v", err)
	}
}

func TestTheServerListensOnASocketAloneAndChecksPasswords(t *testing.T) {
	server := Shared(t)
	dsn := server.Database(t)
	if got := server.Psql(t, dsn, `SHOW listen_addresses`); got != "" {
		t.Errorf("it listens on %q", got)
	}
	server.Psql(t, dsn, `CREATE ROLE clerk LOGIN PASSWORD 'right'`)
	t.Cleanup(func() { server.Psql(t, dsn, `DROP ROLE clerk`) })
	if _, err := server.TryPsql(server.DSN("clerk", "wrong", "postgres"), `SELECT 1`); err == nil {
		t.Error("a wrong password was taken")
	}
	if got := server.Psql(t, server.DSN("clerk", "right", "postgres"), `SELECT current_user`); got != "clerk" {
		t.Errorf("logged in as %s", got)
	}
}

func TestAFailingScriptIsAnError(t *testing.T) {
	server := Shared(t)
	if _, err := server.TryPsql(server.Database(t), "SELECT 1;\nSELECT 1/0;\nSELECT 2"); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("got %v", err)
	}
}

func TestAStoppedServerComesBackWithItsDatabases(t *testing.T) {
	server := Shared(t)
	dsn := server.Database(t)
	server.Psql(t, dsn, `CREATE TABLE t AS SELECT 1 AS n`)
	server.Stop(t)
	if _, err := server.TryPsql(dsn, `SELECT 1`); err == nil {
		t.Error("it answers while it is stopped")
	}
	server.Start(t)
	if got := server.Psql(t, dsn, `SELECT n FROM t`); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestATestThatIsKilledLeavesNothingBehind(t *testing.T) {
	killed := exec.Command(os.Args[0])
	killed.Env = append(os.Environ(), orphan+"=1")
	output, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	folder := strings.TrimSpace(line)
	if err != nil || !filepath.IsAbs(folder) {
		t.Fatalf("it said %q, %v", line, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "data", "postmaster.pid")); err != nil {
		t.Fatalf("no server runs: %v", err)
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	deadline := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(folder); os.IsNotExist(err) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", folder)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestMissingProgramsAreSaidWithTheirPackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findPrograms(t.TempDir()); !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "Debian package postgresql") {
		t.Errorf("got %v", err)
	}
}

func TestTheNewestPackagedServerIsTaken(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	packaged := t.TempDir()
	for version, programs := range map[string][]string{
		"9": {"initdb", "pg_ctl", "postgres", "psql"}, "15": {"initdb", "pg_ctl", "postgres", "psql"}, "17": {"psql"},
	} {
		bin := filepath.Join(packaged, version, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			if err := os.WriteFile(filepath.Join(bin, program), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := findPrograms(packaged); err != nil || got != filepath.Join(packaged, "15", "bin") {
		t.Errorf("got %s, %v; want version 15's: 17 has no server", got, err)
	}
}
