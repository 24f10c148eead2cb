package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// TestWhatTheManagerDecidesIsInTheLogOnceItHasEnded asks a manager's API, ends it and reads the store.
func TestWhatTheManagerDecidesIsInTheLogOnceItHasEnded(t *testing.T) {
	for logReads, want := range map[int]int{1: 1, 100: 1, 0: 0} {
		stores := drivers{t.TempDir()}
		owner := store.Owner{Cluster: "c", Namespace: "n"}
		writer, err := stores.Open(t.Context(), "sqlite", "crm.db")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = writer.Close() }()
		if _, err := writer.Claim(t.Context(), "acme", owner, ""); err != nil {
			t.Fatal(err)
		}
		d := newDecider(follow.Options{MaxAge: 10 * time.Second, Clock: clock.RealClock{}, Log: logr.Discard(), Metrics: follow.NewMetrics(prometheus.NewRegistry())}, stores)
		answering, err := openDecisions(t.Context(), &decisionapi.Serving{Address: "127.0.0.1:0"}, logReads, d, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- answering.Start(ctx) }()
		if err := d.Follow(t.Context(), "acme", owner, "sqlite", "crm.db"); err != nil {
			t.Fatal(err)
		}
		if err := askUntilAnswered(t.Context(), answering.server.Addr().String()); err != nil {
			t.Error(err)
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("ends with %v", err)
		}
		logged, err := writer.Logged(t.Context(), "acme", "nobody", 0, 10)
		if err != nil || len(logged) != want {
			t.Errorf("--log-reads %d: logged %v, %v", logReads, logged, err)
		}
	}
}

// askUntilAnswered asks about somebody who is not there: a deny, which is never sampled.
func askUntilAnswered(ctx context.Context, address string) error {
	const question = `{"subject":{"type":"user","id":"nobody"},"action":{"name":"read"},"resource":{"type":"customer","id":"c-1"}}`
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(within, http.MethodPost, "http://"+address+"/acme/access/v1/evaluation", strings.NewReader(question))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return err
		}
		switch response.StatusCode {
		case http.StatusOK:
			if !bytes.Contains(body, []byte(`"decision":false`)) {
				return fmt.Errorf("answers %s", body)
			}
			return nil
		case http.StatusServiceUnavailable, http.StatusNotFound: // not read yet
		default:
			return fmt.Errorf("answers %d %s", response.StatusCode, body)
		}
		select {
		case <-again.C:
		case <-within.Done():
			return fmt.Errorf("not answered in time: %s", body)
		}
	}
}
