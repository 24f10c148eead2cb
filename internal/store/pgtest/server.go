//go:build unix

// Package pgtest runs a private PostgreSQL cluster for tests: in a temporary folder, on a Unix socket, as a user that is
// not root, and gone when the tests are over, however they end. It uses the server's own programs and no driver, so every
// test may use it:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
//	dsn := pgtest.Shared(t).Database(t)
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Superuser may do everything, without a password; every other role needs its own.
const Superuser = "postgres"

// Server is one cluster.
type Server struct {
	programs string
	folder   string
	account  *syscall.Credential
	// janitor stops the server and removes the folder when alive is closed, be it by the end of this process.
	janitor   *exec.Cmd
	alive     io.Closer
	databases atomic.Int64
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared is the cluster of this test package, started on first use. The package's TestMain must be Main.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		server, err := New()
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	return shared.server
}

// Main runs a package's tests, and ends the shared cluster after them. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return code
	}
	if err := shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// New makes a cluster and starts it.
func New() (*Server, error) {
	programs, err := findPrograms(debian)
	if err != nil {
		return nil, err
	}
	account, err := unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := makeFolder(account)
	if err != nil {
		return nil, err
	}
	s := &Server{programs: programs, folder: folder, account: account}
	if err := s.hireJanitor(); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	if err := s.initialise(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// hireJanitor starts a shell that outlives this process where it must: a test that panics or is killed leaves no server
// and no folder behind. It waits for its input to end, in a process group of its own, out of the terminal's reach.
func (s *Server) hireJanitor() error {
	input, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	const script = `cat >/dev/null
if [ -f "$2/postmaster.pid" ]; then "$1/pg_ctl" stop -D "$2" -m immediate -w; fi
rm -rf "$3"`
	s.janitor = s.command("/bin/sh", "-c", script, "janitor", s.programs, s.data(), s.folder)
	s.janitor.SysProcAttr.Setpgid = true
	s.janitor.Stdin = input
	if err := s.janitor.Start(); err != nil {
		_ = alive.Close()
		return fmt.Errorf("start the janitor: %w", err)
	}
	s.alive = alive
	return nil
}

func (s *Server) initialise() error {
	if err := s.run("initdb", "-D", s.data(), "-U", Superuser, "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"); err != nil {
		return err
	}
	access := fmt.Sprintf("local all %s trust\nlocal all all scram-sha-256\n", Superuser)
	settings := fmt.Sprintf("listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nfull_page_writes = off\nmax_connections = 200\n", s.folder)
	for name, content := range map[string]string{"pg_hba.conf": access, "postgresql.auto.conf": settings} {
		if err := os.WriteFile(filepath.Join(s.data(), name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return s.start()
}

func (s *Server) start() error {
	return s.run("pg_ctl", "start", "-D", s.data(), "-l", filepath.Join(s.folder, "log"), "-w", "-t", "60")
}

// Stop stops the server as an outage does: connections are cut. Start it again before the test ends.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", "stop", "-D", s.data(), "-m", "fast", "-w"); err != nil {
		t.Fatal(err)
	}
}

// Start starts a stopped server; its databases are as they were.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	_ = s.alive.Close()
	if err := s.janitor.Wait(); err != nil {
		return fmt.Errorf("end the PostgreSQL cluster: %w", err)
	}
	// The folder's own folder may be closed to the unprivileged user.
	return os.RemoveAll(s.folder)
}

// DSN is the connection string of a role for a database.
func (s *Server) DSN(role, password, database string) string {
	account := url.User(role)
	if password != "" {
		account = url.UserPassword(role, password)
	}
	dsn := url.URL{Scheme: "postgres", User: account, Path: "/" + database, RawQuery: url.Values{"host": {s.folder}}.Encode()}
	return dsn.String()
}

// Database makes an empty database, and returns the superuser's connection string for it. It is dropped when the test
// ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(s.databases.Add(1), 10)
	admin := s.DSN(Superuser, "", "postgres")
	s.Psql(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.Psql(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return s.DSN(Superuser, "", name)
}

// Psql runs a script in psql, and fails the test where the script fails. The output is rows of values parted by |.
func (s *Server) Psql(t testing.TB, dsn, script string) string {
	t.Helper()
	output, err := s.TryPsql(dsn, script)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// TryPsql is Psql for scripts that may fail: the error says what psql said.
func (s *Server) TryPsql(dsn, script string) (string, error) {
	psql := exec.Command(filepath.Join(s.programs, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", "-")
	psql.Env = environment()
	psql.Stdin = strings.NewReader(script)
	var output, complaint bytes.Buffer
	psql.Stdout, psql.Stderr = &output, &complaint
	if err := psql.Run(); err != nil {
		return output.String(), fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSuffix(output.String(), "\n"), nil
}

func (s *Server) run(program string, args ...string) error {
	command := s.command(filepath.Join(s.programs, program), args...)
	// Into a file, not a pipe: pg_ctl's server would keep a pipe open, and Wait would wait for it.
	output, err := os.CreateTemp("", "pgtest")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(output.Name()); _ = output.Close() }()
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		said, _ := os.ReadFile(output.Name())
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("%s: %w\n%s%s", program, err, said, log)
	}
	return nil
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	command := exec.Command(program, args...)
	command.Dir = s.folder
	command.Env = environment()
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	return command
}

// environment leaves out what would point the programs somewhere else.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") && !strings.HasPrefix(variable, "LC_") {
			env = append(env, variable)
		}
	}
	return env
}

var errMissing = errors.New("PostgreSQL's server programs are missing: install the Debian package postgresql, or put initdb, pg_ctl, postgres and psql on PATH")
