package decisionapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

func TestListeningWithoutCredentialsIsForTheLoopbackInterface(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0", "[2001:db8::1]:0"} {
		if listener, err := ListenLoopback(t.Context(), address); err == nil {
			_ = listener.Close()
			t.Errorf("listens on %s", address)
		} else if !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v does not say what to do", address, err)
		}
	}
	if _, err := ListenLoopback(t.Context(), "127.0.0.1"); err == nil {
		t.Error("listens on an address without a port")
	}
	for _, address := range []string{"127.0.0.1:0", "127.1.2.3:0", "localhost:0"} {
		listener, err := ListenLoopback(t.Context(), address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
}

func TestAServerFinishesWhatIsUnderWay(t *testing.T) {
	listener, err := ListenLoopback(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, finish := make(chan struct{}), make(chan struct{})
	server := NewServer(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-finish
		w.WriteHeader(http.StatusNoContent)
	}))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	answered := make(chan int, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	<-arrived
	stop()
	close(finish)
	if status := <-answered; status != http.StatusNoContent {
		t.Errorf("the request under way got %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("stops with %v", err)
	}
}

func TestAServerWhoseListenerIsGoneSaysSo(t *testing.T) {
	listener, err := ListenLoopback(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := NewServer(listener, http.NotFoundHandler()).Start(t.Context()); err == nil {
		t.Error("serves on a closed listener")
	}
}
