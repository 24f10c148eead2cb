package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// canary stands wherever a connection string has room for a secret. No error may sing of it.
const canary = "canary"

func TestNoErrorHoldsAPartOfTheConnectionString(t *testing.T) {
	server := pgtest.Shared(t)
	folder := socketFolder(t, server)
	server.Psql(t, server.DSN(pgtest.Superuser, "", "postgres"), `CREATE ROLE canary_role LOGIN PASSWORD 'right'; CREATE DATABASE canary_db; REVOKE CONNECT ON DATABASE canary_db FROM public`)
	t.Cleanup(func() {
		server.Psql(t, server.DSN(pgtest.Superuser, "", "postgres"), `DROP DATABASE canary_db; DROP ROLE canary_role`)
	})
	refused := refusedAddress(t)
	garbage := garbageServer(t)
	cases := map[string]struct{ dsn, want string }{
		"a wrong password":              {server.DSN("canary_role", "canary-password", "postgres"), "28P01"},
		"an unknown role":               {server.DSN("canary-user", "canary-password", "postgres"), "28P01"},
		"a role without a password":     {server.DSN("canary_role", "", "postgres"), ""},
		"a database that is not there":  {server.DSN(pgtest.Superuser, "", "canary-database"), "3D000"},
		"a database that is closed":     {server.DSN("canary_role", "right", "canary_db"), "42501"},
		"a role that may make nothing":  {server.DSN("canary_role", "right", "postgres"), "42501"},
		"a setting that is unknown":     {server.DSN(pgtest.Superuser, "", "postgres") + "&canary_setting=canary-value", "42704"},
		"a setting that does not fit":   {server.DSN(pgtest.Superuser, "", "postgres") + "&statement_timeout=canary-value", "22023"},
		"a host that is not there":      {"postgres://canary-user:canary-password@canary-host.invalid:5432/canary-database?application_name=canary-app", "cannot be resolved"},
		"a port where nothing listens":  {"postgres://canary-user:canary-password@" + refused + "/canary-database", "nothing listens"},
		"a socket that is not there":    {"host=/canary-folder user=canary-user password=canary-password dbname=canary-database", "nothing listens"},
		"a server of another kind":      {"postgres://canary-user:canary-password@" + garbage + "/canary-database?sslmode=disable", ""},
		"a server without TLS":          {"postgres://canary-user:canary-password@" + garbage + "/canary-database?sslmode=require", ""},
		"several hosts":                 {"postgres://canary-user:canary-password@" + refused + ",canary-host.invalid:1/canary-database", ""},
		"a port that is no number":      {"postgres://canary-user:canary-password@canary-host:canary-port/canary-database", "connection string"},
		"an escape that is none":        {"postgres://canary-user:canary-password%zz@canary-host/canary-database", "connection string"},
		"a TLS mode that is none":       {"postgres://canary-user:canary-password@canary-host/canary-database?sslmode=canary-mode", "connection string"},
		"a certificate that's not":      {"postgres://canary-user:canary-password@canary-host/d?sslmode=verify-full&sslrootcert=/canary-folder/ca.pem", "connection string"},
		"a pool that is no number":      {"postgres://canary-user:canary-password@canary-host/d?pool_max_conns=canary-number", "connection string"},
		"a timeout that is none":        {"postgres://canary-user:canary-password@canary-host/d?connect_timeout=canary-time", "connection string"},
		"a service that is not there":   {"service=canary-service password=canary-password", "connection string"},
		"keywords without values":       {"host=canary-host password=canary password user", "connection string"},
		"an open quote":                 {"host=canary-host password='canary-password", "connection string"},
		"something else altogether":     {"canary-secret", "connection string"},
		"another scheme":                {"mysql://canary-user:canary-password@canary-host/canary-database", "connection string"},
		"a URL with a line break in it": {"postgres://canary-user:canary-password@canary-host/canary\n-database", ""},
		"an unknown password file":      {"host=" + folder + " user=canary_role passfile=/canary-file dbname=postgres", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), c.dsn)
			if err == nil {
				t.Fatal("opened")
			}
			if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrSchema) {
				t.Errorf("%v is of no kind", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
			whole := chain(err)
			for _, secret := range []string{canary, refused, garbage, folder, "right"} {
				if strings.Contains(whole, secret) {
					t.Errorf("%q is in the error: %s", secret, whole)
				}
			}
		})
	}
}

// chain is everything that can be got out of an error.
func chain(err error) string {
	text := ""
	for ; err != nil; err = errors.Unwrap(err) {
		text += fmt.Sprintf("%s %+v %#v\n", err, err, err)
	}
	return text
}

func TestNoRefusalHoldsARow(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	claimed, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	h.Forbid(t, "canary-user")
	rows := map[store.RowID]string{}
	for id, body := range grants(t, 0, schedule.Unbounded) {
		rows[id] = strings.ReplaceAll(body, "li-ting", "canary-user")
	}
	got, err := s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, rows)})
	if err != nil || len(got.Refused) != 1 {
		t.Fatalf("refused %v, %v", got.Refused, err)
	}
	for owner, err := range got.Refused {
		if text := chain(err); strings.Contains(text, canary) || !strings.Contains(text, "forbidden (23514)") {
			t.Errorf("%s: %s", owner, text)
		}
	}
}

func socketFolder(t *testing.T, server *pgtest.Server) string {
	t.Helper()
	dsn, err := url.Parse(server.DSN("u", "", "d"))
	if err != nil {
		t.Fatal(err)
	}
	return dsn.Query().Get("host")
}

// refusedAddress is one where nothing listens any more.
func refusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// garbageServer answers everything with a line of text.
func garbageServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "220 canary-server says hello\r\n")
			conn.Close()
		}
	}()
	return listener.Addr().String()
}
