// The quick start: a local API server, the operator on its embedded store, the sample organisation, an approval, and
// temporary grants that end before your eyes. `make run` builds what it needs and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const namespace = "huayue"

var programs string

func main() {
	once := flag.Bool("once", false, "stop after the demonstration instead of waiting for Ctrl-C")
	keep := flag.String("dir", filepath.Join("bin", "quickstart"), "folder for the kubeconfig, the store and the logs")
	flag.StringVar(&programs, "programs", "bin", "folder with manager and kubectl-crmaccess, as make build makes them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *keep, *once); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "quick start:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, once bool) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear the last quick start: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	started := time.Now()
	say("Starting an API server (%s) …", filepath.Base(assets()))
	cluster, err := startCluster(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()

	say("Applying what ships: admission policies, custom resource definitions, RBAC")
	if err := cluster.install(ctx); err != nil {
		return err
	}
	say("Applying the sample organisation: kubectl apply -k config/samples/huayue")
	if err := cluster.kubectl(ctx, "apply", "--server-side", "-k", filepath.Join("config", "samples", "huayue")); err != nil {
		return err
	}
	if err := cluster.letApprove(ctx); err != nil {
		return err
	}
	operator, err := startOperator(ctx, cluster, dir)
	if err != nil {
		return err
	}
	demo := demonstration{cluster: cluster, operator: operator, dir: dir}
	defer func() { demo.operator.stop() }() // the one that runs by then
	if err := cluster.approveSample(ctx); err != nil {
		return err
	}
	if err := cluster.waitReady(ctx, 2*time.Minute); err != nil {
		return errors.Join(err, operator.failure())
	}
	say("Everything is Ready, %.0f s after the start.", time.Since(started).Seconds())

	if err := demo.show(ctx); err != nil {
		return errors.Join(err, demo.operator.failure())
	}
	if once {
		return nil
	}
	demo.invite()
	<-ctx.Done()
	return nil
}

func say(format string, args ...any) { fmt.Printf("\n▸ "+format+"\n", args...) }
