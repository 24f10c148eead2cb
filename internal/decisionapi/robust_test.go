package decisionapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func request(ctx context.Context, path string, length int64, body io.Reader) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, body)
	r.ContentLength = length
	r.Header.Set("Content-Type", "application/json")
	return r
}

// endless is a body that goes on and on, and counts what is taken of it.
type endless struct{ taken int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.taken += len(p)
	return len(p), nil
}

func TestOfALargeBodyNoMoreIsReadThanIsAllowed(t *testing.T) {
	handler := New(newBranch(), Options{})
	for name, c := range map[string]struct {
		length int64
		most   int
	}{
		"one that says how large it is": {10 << 20, 0},
		"one that does not":             {-1, MaxBody + 64<<10},
	} {
		body := &endless{}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(t.Context(), "/access/v1/evaluation", c.length, io.LimitReader(body, 10<<20)))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "larger than 1 MiB") || body.taken > c.most {
			t.Errorf("%s: answers %d %s after %d bytes", name, w.Code, w.Body, body.taken)
		}
	}
}

func TestHowDeepABodyIsDoesNotMatter(t *testing.T) {
	handler := New(newBranch(), Options{})
	for _, body := range []string{
		strings.Repeat("[", 500_000), `{"a":` + strings.Repeat("[", 500_000), `{"context":` + strings.Repeat(`{"a":`, 150_000),
		`{"resource":{"properties":` + strings.Repeat(`{"a":`, 100_000),
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(t.Context(), "/access/v1/evaluation", int64(len(body)), strings.NewReader(body)))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%.20s… answers %d %s", body, w.Code, w.Body)
		}
	}
}

func TestABatchIsAnsweredOrRefusedWhole(t *testing.T) {
	handler := New(newBranch(), Options{})
	ask := func(defaults, item string) *httptest.ResponseRecorder {
		body := `{` + defaults + `"evaluations":[` + strings.Repeat(item+",", 9_999) + item + `]}`
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(t.Context(), "/access/v1/evaluations", int64(len(body)), strings.NewReader(body)))
		return w
	}
	w := ask(ownCustomer[1:len(ownCustomer)-1]+",", `{}`)
	if want := `{"evaluations":[` + strings.Repeat(`{"decision":true},`, 9_999) + `{"decision":true}]}` + "\n"; w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("10,000 evaluations of the defaults answer %d, %d bytes", w.Code, w.Body.Len())
	}
	w = ask("", `{"subject":{"type":"user","id":"anna"},"x":1}`)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "more than 20000 values: ask a smaller question") {
		t.Errorf("10,000 evaluations with five values each answer %d %s", w.Code, w.Body)
	}
}

// stalled is a body of which a part arrives, and the rest only when it is let go.
type stalled struct {
	part    string
	waiting func()
	rest    <-chan string
	last    *strings.Reader
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.part != "" {
		n := copy(p, s.part)
		s.part = s.part[n:]
		return n, nil
	}
	if s.last == nil {
		s.waiting()
		s.last = strings.NewReader(<-s.rest)
	}
	return s.last.Read(p)
}

func TestWhoSendsSlowlyKeepsNoSmallQuestionWaiting(t *testing.T) {
	h := New(newBranch(), Options{}).(*handler)
	first := ownCustomer[:len(ownCustomer)-1] + `,"x":"` + strings.Repeat("x", 2*smallBody)
	release := make(chan string)
	var stuck, done sync.WaitGroup
	codes := make([]int, maxLarge)
	stuck.Add(maxLarge)
	for i := range maxLarge {
		done.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(t.Context(), "/access/v1/evaluation", -1, &stalled{part: first, waiting: stuck.Done, rest: release}))
			codes[i] = w.Code
		})
	}
	stuck.Wait()
	if len(h.large) != maxLarge {
		t.Fatalf("%d large bodies have a place, want %d", len(h.large), maxLarge)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(t.Context(), "/access/v1/evaluation", int64(len(ownCustomer)), strings.NewReader(ownCustomer)))
	if w.Code != http.StatusOK {
		t.Errorf("a small question answers %d %s", w.Code, w.Body)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	w = httptest.NewRecorder()
	h.ServeHTTP(w, request(gone, "/access/v1/evaluation", -1, strings.NewReader(first+`"}`)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("a large question that gives up waiting answers %d %s", w.Code, w.Body)
	}
	for range maxLarge {
		release <- `"}`
	}
	done.Wait()
	for _, code := range codes {
		if code != http.StatusOK {
			t.Errorf("a slow question answers %d in the end", code)
		}
	}
	if len(h.large) != 0 {
		t.Errorf("%d places are still taken", len(h.large))
	}
}

func TestConnectionsThatSayNothingKeepNobodyWaiting(t *testing.T) {
	server := serve(t, Serving{Address: "127.0.0.1:0"})
	for i := range 300 {
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: decide\r\nContent-Le"[:i%60]); err != nil {
			t.Fatal(err)
		}
	}
	if status, err := server.ask(nil, ""); status != http.StatusOK || err != nil {
		t.Errorf("answers %d, %v", status, err)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	server := serve(t, Serving{Address: "127.0.0.1:0"})
	for name, c := range map[string]struct{ text, want string }{
		"headers without end": {"POST / HTTP/1.1\r\nHost: decide\r\nX-Request-ID: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "431"},
		"two lengths":         {"POST /access/v1/evaluation HTTP/1.1\r\nHost: decide\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "400"},
		"not HTTP":            {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "400"},
		"a body that ends early, of a client that stops": {"POST /access/v1/evaluation HTTP/1.1\r\nHost: decide\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, c.text); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 "+c.want) {
				t.Errorf("answers %.200q, want %s", answer, c.want)
			}
		})
	}
}
