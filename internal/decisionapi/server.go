package decisionapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	answerTimeout = 20 * time.Second
	// patience is how long an answer is worked on: less than what is left to write it.
	patience        = 15 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeader       = 16 << 10
	// maxConnections are open at most; further ones wait. Each holds some tens of kilobytes.
	maxConnections = 4096
)

// ListenLoopback listens on an address of this machine's loopback interface and refuses every other: the API asks for no
// credentials, so whoever can reach it may ask what anybody's access is.
func ListenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("decision API: address %q: want host:port such as 127.0.0.1:8082: %w", address, err)
	}
	addresses, err := loopback(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("decision API: address %q: %w", address, err)
	}
	// The address that was checked is the one listened on: a name could mean another the next time it is looked up.
	var failed error
	for _, ip := range addresses {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(ip.String(), port))
		if err == nil {
			return limit(listener, maxConnections), nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, fmt.Errorf("decision API: listen on %q: %w", address, failed)
}

// loopback are the addresses of a host, if all of them are loopback addresses.
func loopback(ctx context.Context, host string) ([]net.IP, error) {
	const advice = "without credentials the decision API listens on a loopback address only; use 127.0.0.1"
	if host == "" {
		return nil, errors.New("an empty host means every address of the machine; " + advice)
	}
	if ip := net.ParseIP(host); ip != nil {
		if !ip.IsLoopback() {
			return nil, errors.New(advice)
		}
		return []net.IP{ip}, nil
	}
	found, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up host %q: %w", host, err)
	}
	for _, ip := range found {
		if !ip.IsLoopback() {
			return nil, fmt.Errorf("host %q is %s; %s", host, ip, advice)
		}
	}
	return found, nil
}

// Server serves a handler on a listener until its context ends. It is a Runnable of a controller-runtime manager, on
// every replica.
type Server struct {
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
	files    []*watched
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// NewServer takes over the listener.
func NewServer(listener net.Listener, handler http.Handler) *Server {
	return &Server{listener: listener, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// The handler asks for credentials, also with OPTIONS *.
		DisableGeneralOptionsHandler: true,
	}}
}

// NeedLeaderElection says that every replica answers, not the leader alone.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until ctx is done, and lets requests under way finish. It returns early only where serving fails.
func (s *Server) Start(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go s.watch(watching)
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("decision API: serve on %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("decision API: stop serving on %s: %w", s.listener.Addr(), err), s.http.Close())
	}
	return nil
}

// watch looks after the files that the server is configured by.
func (s *Server) watch(ctx context.Context) {
	if len(s.files) == 0 {
		return
	}
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, file := range s.files {
				file.look(s.log)
			}
		}
	}
}
