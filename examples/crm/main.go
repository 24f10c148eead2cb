// An example CRM: one table, one page of code (crm.go), and access declared in access.yaml. It starts what it needs on this
// machine: PostgreSQL in a temporary folder, the decision API from the manifests, the CRM.
//
//	go run ./examples/crm
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "address of the CRM")
	manifests := flag.String("access", "examples/crm/access.yaml", "who may do what")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *manifests, *listen, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example CRM:", err)
		os.Exit(1)
	}
}

// run serves the CRM until ctx ends.
func run(ctx context.Context, manifests, listen string, out io.Writer) (err error) {
	server, err := pgtest.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	db, err := pgxpool.New(ctx, server.DSN(pgtest.Superuser, "", "postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(ctx, schema); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	api, ended, err := serveDecisions(ctx, manifests)
	if err != nil {
		cancel()
		return err
	}
	defer func() { cancel(); <-ended }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	site := &http.Server{Handler: (&crm{db: db, api: api}).routes(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = site.Close() })
	fmt.Fprintf(out, "The CRM is at http://%s, the decision API at %s. Try, in another terminal:\n", listener.Addr(), api)
	fmt.Fprintf(out, "  curl 'http://%s/customers/c2?as=li-ting'\n", listener.Addr())
	if err := site.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveDecisions starts kubectl crmaccess serve, and returns where it answers and what is closed when it has ended.
func serveDecisions(ctx context.Context, manifests string) (api string, ended <-chan struct{}, err error) {
	out, written := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		command.Run(ctx, []string{"serve", "--manifests", manifests, "--listen", "127.0.0.1:0"}, command.Environment{
			Now: time.Now, Getenv: os.Getenv, In: strings.NewReader(""), Out: written, Err: os.Stderr,
		})
		_ = written.Close()
	}()
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		return "", nil, fmt.Errorf("the decision API did not start: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_, after, _ := strings.Cut(string(said[:n]), " at ")
	api, _, _ = strings.Cut(after, ";")
	return api, done, nil
}
