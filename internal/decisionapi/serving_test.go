package decisionapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// branch is a small tenant: anna owns customers.
type branch struct{ policy *access.Policy }

func newBranch() branch {
	return branch{access.NewPolicy(access.Resolve(access.Declarations{
		ObjectTypes:  []*access.ObjectType{{Name: "customer", Actions: []string{"read"}}},
		Users:        []*access.User{{Name: "anna", Type: access.UserEmployee, State: access.StateActive}},
		Roles:        []*access.Role{{Name: "rep", Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeOwn}}}}},
		UserBindings: []*access.UserBinding{{Name: "reps", Subjects: []access.Subject{{User: "anna"}}, Roles: []string{"rep"}}},
	}).Facts)}
}

func (branch) Tenants() []string { return []string{"branch"} }

func (b branch) Snapshot(tenant string) (Snapshot, bool) {
	return Snapshot{Policy: b.policy, Revision: "1.1", Now: func() (schedule.Instant, error) { return 1_800_000_000, nil }}, tenant == "branch"
}

const ownCustomer = `{"subject":{"type":"user","id":"anna"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"anna"}}}`

// running is a server that has started.
type running struct {
	*Server
	log  *bytes.Buffer
	stop func() error
}

func serve(t *testing.T, s Serving) *running {
	t.Helper()
	var log bytes.Buffer
	server, err := s.Open(t.Context(), newBranch(), Options{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return &running{server, &log, stop}
}

// ask asks over a connection of its own.
func (s *running) ask(config *tls.Config, token string) (status int, err error) {
	scheme := "http"
	if config != nil {
		scheme = "https"
		config = config.Clone()
		config.ServerName = "localhost"
	}
	request, err := http.NewRequest(http.MethodPost, scheme+"://"+s.Addr().String()+"/access/v1/evaluation", strings.NewReader(ownCustomer))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Body.Close()
}

func TestClientCertificatesNameTheApplication(t *testing.T) {
	ours, theirs, folder := newAuthority(t), newAuthority(t), t.TempDir()
	ours.server(t, in(folder, "tls.crt"), in(folder, "tls.key"))
	write(t, in(folder, "ca.crt"), ours.pem)
	sum := sha256.Sum256([]byte("t0ken"))
	write(t, in(folder, "credentials.yaml"), []byte(`
crm: {certificates: [crm], tokens: [`+hex.EncodeToString(sum[:])+`], tenants: [branch]}
gateway: {certificates: ["spiffe://acme/gateway"], tenants: ["*"]}
elsewhere: {certificates: [elsewhere], tenants: [other]}
`))
	server := serve(t, Serving{Address: "127.0.0.1:0", TLSCert: in(folder, "tls.crt"), TLSKey: in(folder, "tls.key"), ClientCA: in(folder, "ca.crt"), Credentials: in(folder, "credentials.yaml")})
	gateway, _ := url.Parse("spiffe://acme/gateway")
	stranger, _ := url.Parse("spiffe://acme/anybody-else")
	none := tls.Certificate{}
	for name, c := range map[string]struct {
		certificate tls.Certificate
		token       string
		status      int // 0: the connection is refused
	}{
		"by its common name":                      {ours.client(t, "crm"), "", 200},
		"by its URI":                              {ours.client(t, "anything", gateway), "", 200},
		"by its URI, with another's common name":  {ours.client(t, "elsewhere", gateway), "", 200},
		"a URI that names nobody, and our name":   {ours.client(t, "crm", stranger), "", 401},
		"a certificate that names nobody":         {ours.client(t, "stranger"), "", 401},
		"a certificate without a name":            {ours.client(t, ""), "", 401},
		"a certificate of another tenant":         {ours.client(t, "elsewhere"), "", 404},
		"the right name by another authority":     {theirs.client(t, "crm"), "", 0},
		"a token, without a certificate":          {none, "t0ken", 200},
		"a wrong token, with a right certificate": {ours.client(t, "crm"), "guess", 401},
		"neither": {none, "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{RootCAs: ours.pool(), MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.certificate, nil }}
			status, err := server.ask(config, c.token)
			if status != c.status || (err != nil) != (c.status == 0) {
				t.Errorf("answers %d (%v), want %d", status, err, c.status)
			}
		})
	}
	if status, _ := server.ask(nil, "t0ken"); status != http.StatusBadRequest {
		t.Errorf("a token in the clear is answered %d", status)
	}
	if _, err := server.ask(&tls.Config{RootCAs: ours.pool(), MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, "t0ken"); err == nil {
		t.Error("speaks TLS 1.1")
	}
	if err := server.stop(); err != nil {
		t.Errorf("stops with %v", err)
	}
}

// keptOpen asks again and again over the connections that it keeps.
type keptOpen struct {
	server    *running
	transport *http.Transport
	reused    bool
}

func (k *keptOpen) ask(t *testing.T) (status int, closes bool) {
	t.Helper()
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { k.reused = i.Reused }})
	request, err := http.NewRequestWithContext(trace, http.MethodPost, "https://"+k.server.Addr().String()+"/access/v1/evaluation", strings.NewReader(ownCustomer))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := k.transport.RoundTrip(request)
	if err != nil {
		return 0, true
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode, response.Close
}

func TestACertificateCountsOnAConnectionAsLongAsOnANewOne(t *testing.T) {
	ours, theirs, folder := newAuthority(t), newAuthority(t), t.TempDir()
	ours.server(t, in(folder, "tls.crt"), in(folder, "tls.key"))
	ca := in(folder, "ca.crt")
	write(t, ca, ours.pem)
	write(t, in(folder, "credentials.yaml"), []byte("crm: {certificates: [crm], tenants: [branch]}\n"))
	server := serve(t, Serving{Address: "127.0.0.1:0", TLSCert: in(folder, "tls.crt"), TLSKey: in(folder, "tls.key"), ClientCA: ca, Credentials: in(folder, "credentials.yaml")})
	kept := &keptOpen{server: server, transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: ours.pool(), ServerName: "localhost", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ours.client(t, "crm")},
	}}}
	defer kept.transport.CloseIdleConnections()
	look := func() {
		for _, file := range server.files {
			file.look(server.Server.log)
		}
	}
	if status, _ := kept.ask(t); status != http.StatusOK {
		t.Fatalf("the first question: %d", status)
	}
	write(t, ca, append(slices.Clone(theirs.pem), ours.pem...)) // another authority beside it changes nothing
	look()
	if status, closes := kept.ask(t); status != http.StatusOK || closes || !kept.reused {
		t.Errorf("with another authority beside its own: %d, closed %t, reused %t", status, closes, kept.reused)
	}
	write(t, ca, theirs.pem)
	look()
	if status, closes := kept.ask(t); status != http.StatusUnauthorized || !closes || !kept.reused {
		t.Errorf("once its authority is taken out: %d, closed %t, reused %t", status, closes, kept.reused)
	}
	if status, _ := kept.ask(t); status != 0 {
		t.Errorf("a new connection of an authority that was taken out: %d", status)
	}
}

func TestACertificateThatHasExpiredDoesNotCount(t *testing.T) {
	ours, folder := newAuthority(t), t.TempDir()
	ours.server(t, in(folder, "tls.crt"), in(folder, "tls.key"))
	write(t, in(folder, "ca.crt"), ours.pem)
	keys, err := readKeyPair(in(folder, "tls.crt"), in(folder, "tls.key"), in(folder, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	leaf := ours.client(t, "crm").Leaf
	chains := [][]*x509.Certificate{{leaf, ours.certificate}}
	for name, c := range map[string]struct {
		now  time.Time
		want bool
	}{"in time": {leaf.NotAfter, true}, "expired meanwhile": {leaf.NotAfter.Add(time.Second), false}} {
		keys.now = func() time.Time { return c.now }
		ours.certificate.NotAfter = leaf.NotAfter.Add(time.Hour)
		if got := keys.believe(chains); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	keys.now = func() time.Time { return leaf.NotAfter }
	if ours.certificate.NotAfter = leaf.NotBefore; keys.believe(chains) {
		t.Error("a certificate counts whose authority's has expired")
	}
	if keys.believe(nil) || (*keyPair)(nil).believe(chains) {
		t.Error("counts without a chain, or without an authority")
	}
}

// TestWhoeverHasNoCredentialsHoldsNoConnection also asks what net/http answers by itself.
func TestWhoeverHasNoCredentialsHoldsNoConnection(t *testing.T) {
	folder := t.TempDir()
	sum := sha256.Sum256([]byte("t0ken"))
	write(t, in(folder, "credentials.yaml"), []byte("crm: {tokens: ["+hex.EncodeToString(sum[:])+"], tenants: [branch]}\n"))
	server := serve(t, Serving{Address: "127.0.0.1:0", Credentials: in(folder, "credentials.yaml")})
	for asked, want := range map[string]struct {
		status int
		closes bool
	}{
		"GET /v1/me HTTP/1.1\r\n": {401, true}, "OPTIONS * HTTP/1.1\r\n": {401, true}, "GET /nowhere HTTP/1.1\r\nAuthorization: Bearer guess\r\n": {401, true},
		"GET /nowhere HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n": {404, false},
	} {
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, asked+"Host: decide\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want.status || response.Close != want.closes {
			t.Errorf("%q: %d, closed %t", asked, response.StatusCode, response.Close)
		}
		_ = conn.Close()
	}
}

func TestCertificatesChangeWithTheirFiles(t *testing.T) {
	before, after, folder := newAuthority(t), newAuthority(t), t.TempDir()
	cert, key := in(folder, "tls.crt"), in(folder, "tls.key")
	before.server(t, cert, key)
	server := serve(t, Serving{Address: "127.0.0.1:0", TLSCert: cert, TLSKey: key})
	trusts := func(a *authority) bool {
		status, err := server.ask(&tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS12}, "")
		return status == http.StatusOK && err == nil
	}
	look := func() { server.files[0].look(server.Server.log) }
	if !trusts(before) || trusts(after) {
		t.Fatal("does not show the certificate that it was started with")
	}
	after.server(t, cert, in(folder, "other.key"))
	look() // half of the change has arrived
	look()
	if !trusts(before) || strings.Count(server.log.String(), "Keep the decision API's certificates") != 1 {
		t.Errorf("a certificate without its key ends the old one, or is not told once: %s", server.log)
	}
	after.server(t, cert, key)
	look()
	if trusts(before) || !trusts(after) {
		t.Error("does not show the new certificate")
	}
}

func TestServingChecksItsFlags(t *testing.T) {
	for want, s := range map[string]Serving{
		"want host:port":                {Address: "127.0.0.1"},
		"without --decision-credential": {Address: "0.0.0.0:8082"},
		"tokens travel over TLS only":   {Address: ":8082", Credentials: "f"},
		"give both or none":             {Address: "127.0.0.1:1", TLSCert: "c"},
		"shown over TLS only":           {Address: "127.0.0.1:1", ClientCA: "c"},
		"which application":             {Address: "127.0.0.1:1", TLSCert: "c", TLSKey: "k", ClientCA: "c"},
		"want zero or more":             {Address: "127.0.0.1:1", PerClient: -1},
		"--decision-url":                {Address: "127.0.0.1:1", URL: "https://decide.example/?x=1"},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	for _, s := range []Serving{
		{Address: "0"}, {Address: "127.0.0.1:1"}, {Address: "[::1]:1", Credentials: "f"},
		{Address: ":8443", Credentials: "f", TLSCert: "c", TLSKey: "k", ClientCA: "a", URL: "https://decide.example/pdp"},
	} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Serving{
		{Address: "127.0.0.1:0", Credentials: "/nowhere"}, {Address: "127.0.0.1:0", TLSCert: "/nowhere", TLSKey: "/nowhere"}, {Address: "192.0.2.1:0"},
	} {
		if server, err := s.Open(t.Context(), newBranch(), Options{}, slog.Default()); err == nil {
			_ = server.listener.Close()
			t.Errorf("%+v is served", s)
		}
	}
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := limit(inner, 2)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	var open []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	open = append(open, <-accepted, <-accepted)
	select {
	case <-accepted:
		t.Fatal("a third connection is accepted")
	default:
	}
	_ = open[0].Close()
	_ = open[0].Close() // closing twice gives one place back
	third := <-accepted
	if len(listener.places) != 2 {
		t.Errorf("%d connections are counted, want 2", len(listener.places))
	}
	_ = listener.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener says %v", err)
	}
	_, _ = open[1].Close(), third.Close()
}
