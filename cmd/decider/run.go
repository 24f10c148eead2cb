package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
)

// run answers until the context ends, and a while longer: who sends callers here has to hear of it first.
func run(ctx context.Context, o options) error {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel}))
	log := logr.FromSlogHandler(logger.Handler())
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	local := clock.RealClock{}
	follower := follow.New(follow.Options{
		Tenants: o.tenants, MaxAge: o.maxAge, Clock: local, Log: log.WithName("follow"), Metrics: follow.NewMetrics(registry),
	})
	store := &attachment{options: o, follower: follower, clock: local, log: log}
	answers := decisionapi.Options{Facts: store}
	if o.logReads > 0 {
		answers.Log = decisionapi.NewDecisionLog(decisionapi.LogOptions{Facts: store, SampleReads: o.logReads, Log: log.WithName("decisions")})
	}
	decisions, err := o.serving.Open(ctx, follower, answers, logger)
	if err != nil {
		return err
	}
	probes := &probes{follower: follower}
	after, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	work, after := errgroup.WithContext(after)
	if err := serve(after, work, o.healthAddress, probes.handler()); err != nil {
		return err
	}
	if err := serve(after, work, o.metricsAddress, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})); err != nil {
		return err
	}
	attached, closeStore := context.WithCancel(context.WithoutCancel(ctx))
	work.Go(func() error { return answer(after, decisions, answers.Log, closeStore) })
	work.Go(func() error { return store.start(attached) })
	work.Go(func() error {
		select {
		case <-ctx.Done():
			drain(after, local, probes, o.drain)
			end()
		case <-after.Done(): // something failed
		}
		return nil
	})
	log.Info("Starting", "version", version, "decisions", decisions.Addr().String())
	return work.Wait()
}

// drain says that no more callers are wanted, and gives those who send them the time to hear of it.
func drain(ctx context.Context, c clock.Clock, p *probes, long time.Duration) {
	p.ending.Store(true)
	select {
	case <-c.After(long):
	case <-ctx.Done():
	}
}

// serve serves what is not for the CRM. An address of 0 serves nothing.
func serve(ctx context.Context, work *errgroup.Group, address string, handler http.Handler) error {
	if address == "0" {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	work.Go(func() error { return decisionapi.NewServer(listener, handler).Start(ctx) })
	return nil
}

// errEnding is why a replica that was told to end takes no more callers.
var errEnding = errors.New("this replica is about to end")

// probes answer what a kubelet asks.
type probes struct {
	follower *follow.Follower
	ending   atomic.Bool
}

func (p *probes) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	return mux
}

func (p *probes) ready() error {
	if p.ending.Load() {
		return errEnding
	}
	return p.follower.Ready()
}
