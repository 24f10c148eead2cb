package decisionapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The load of the benchmarks: kept-alive connections, and requests on each of them in a turn.
const (
	connections = 32
	perTurn     = 100
)

// BenchmarkHTTP measures evaluations against an empty handler that reads the body: the same server, TLS, bearer token and
// connections. The turns alternate, and of their ratios the middle one counts, so that what else the machine does meets
// both sides. The processor's time a request is that of the quickest quarter of the turns, client and server together. What answers
// with the headers and a body as an evaluation has them, and does nothing for it, says how much of the rest net/http takes.
func BenchmarkHTTP(b *testing.B) {
	source := office{policy: officePolicy(10_000)}
	one := newLoad(b, source, "/access/v1/evaluation", officeQuestion)
	batch := newLoad(b, source, "/access/v1/evaluations", func(i int) string { return officeBatch(i, 100) })
	var ofEmpty, ofSingle, perSecond, emptyWork, signedWork, singleWork []float64
	for b.Loop() {
		empty := one.turn(b, "/empty", perTurn)
		signed := one.turn(b, "/signed", perTurn)
		single := one.turn(b, one.path, perTurn)
		items := batch.turn(b, batch.path, perTurn/10).took * 10 / 100
		ofEmpty = append(ofEmpty, empty.took.Seconds()/single.took.Seconds())
		ofSingle = append(ofSingle, items.Seconds()/single.took.Seconds())
		perSecond = append(perSecond, connections*perTurn/single.took.Seconds())
		emptyWork, signedWork, singleWork = append(emptyWork, empty.work()), append(signedWork, signed.work()), append(singleWork, single.work())
	}
	b.ReportMetric(middle(ofEmpty), "of-empty")
	b.ReportMetric(middle(ofSingle), "item/single")
	b.ReportMetric(middle(perSecond), "req/s")
	b.ReportMetric(quarter(emptyWork), "cpu-µs/empty")
	b.ReportMetric(quarter(signedWork), "cpu-µs/signed")
	b.ReportMetric(quarter(singleWork), "cpu-µs/single")
	b.ReportMetric(0, "ns/op")
}

func middle(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func quarter(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/4]
}

// load is a server and the connections to it.
type load struct {
	path    string
	clients []*client
	body    func(int) string
}

type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func newLoad(b *testing.B, source Source, path string, body func(int) string) *load {
	b.Helper()
	folder := b.TempDir()
	sum := sha256.Sum256([]byte("t0ken"))
	file := in(folder, "credentials.yaml")
	if err := os.WriteFile(file, []byte("crm: {tokens: ["+hex.EncodeToString(sum[:])+"], tenants: [office]}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	credentials, err := ReadCredentials(file)
	if err != nil {
		b.Fatal(err)
	}
	api := New(source, Options{Credentials: credentials})
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/empty" && r.URL.Path != "/signed" {
			api.ServeHTTP(w, r)
			return
		}
		if _, err := credentials.identify(r); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/signed" {
			answerSigned(w)
		}
	})
	authority, cert, key := newAuthority(b), in(folder, "tls.crt"), in(folder, "tls.key")
	authority.server(b, cert, key)
	keys, err := readKeyPair(cert, key, "")
	if err != nil {
		b.Fatal(err)
	}
	inner, err := ListenLoopback(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	listener := keys.listener(inner)
	ctx, stop := context.WithCancel(b.Context())
	var served sync.WaitGroup
	served.Go(func() { _ = NewServer(listener, mux).Start(ctx) })
	b.Cleanup(func() { stop(); served.Wait() })
	l := &load{path: path, body: body}
	for range connections {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: authority.pool(), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		l.clients = append(l.clients, &client{conn, bufio.NewReader(conn)})
	}
	return l
}

// answerSigned answers as an evaluation does, whatever was asked.
func answerSigned(w http.ResponseWriter) {
	header := w.Header()
	header["Cache-Control"], header["Content-Type"] = noStore, applicationJSON
	all := []string{"1.42", "ABCDEFGHIJKLMNOPQRSTUVWXYZ-1234567", "1", "2027-01-15T08:00:00Z"}
	header[revisionKey], header[decisionIDKey], header[ageKey], header[timeKey] = all[0:1:1], all[1:2:2], all[2:3:3], all[3:4:4]
	_, _ = io.WriteString(w, `{"decision":false}`+"\n")
}

// turned is what a turn took, on the clock and of the processors.
type turned struct {
	requests       int
	took, occupied time.Duration
}

// work is the processors' time a request, in microseconds.
func (t turned) work() float64 { return float64(t.occupied.Microseconds()) / float64(t.requests) }

// turn asks on every connection at the same time.
func (l *load) turn(b *testing.B, path string, requests int) turned {
	b.Helper()
	var all sync.WaitGroup
	start, before := time.Now(), occupied(b)
	for i, c := range l.clients {
		all.Go(func() {
			for j := range requests {
				if err := c.ask(path, l.body(i*requests+j)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return turned{connections * requests, time.Since(start), occupied(b) - before}
}

// occupied is how long this process has occupied processors.
func occupied(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (c *client) ask(path, body string) error {
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: decide\r\nAuthorization: Bearer t0ken\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	if _, err := c.conn.Write(request.Bytes()); err != nil {
		return err
	}
	status, err := c.in.ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		return fmt.Errorf("%s answers %q: %w", path, status, err)
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(line) <= 2 {
			break
		}
	}
	_, err = c.in.Discard(length)
	return err
}

// office is a source with one tenant.
type office struct{ policy *access.Policy }

func (office) Tenants() []string { return []string{"office"} }

func (o office) Snapshot(string) (Snapshot, bool) {
	return Snapshot{
		Policy: o.policy, Revision: "1.42", Now: func() (schedule.Instant, error) { return 1_800_000_000, nil },
		Age: func() time.Duration { return time.Second },
	}, true
}

// officePolicy has users in departments of a hundred, each with the roles of a salesperson.
func officePolicy(users int) *access.Policy {
	d := access.Declarations{ObjectTypes: []*access.ObjectType{{
		Name: "customer", OwnerField: "owner", DepartmentField: "department", Actions: []string{"create", "read", "update", "export", "transfer"},
		Fields: []access.Field{{Name: "owner", Class: access.ClassPublic}, {Name: "department", Class: access.ClassPublic}, {Name: "phone", Class: access.ClassConfidential}, {Name: "region", Class: access.ClassPublic}},
	}}}
	for r := range 20 {
		d.Roles = append(d.Roles, &access.Role{Name: fmt.Sprintf("role-%d", r), Grants: []access.Grant{
			{Object: "customer", Actions: []string{"read", "update"}, Records: access.Records{Scopes: access.ScopeOwn}},
			{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeDepartmentAndBelow}, Where: []access.Condition{{Field: "region", Operator: access.OperatorIn, Values: []string{"east", fmt.Sprintf("r%d", r)}}}},
		}})
	}
	for i := range users {
		if i%100 == 0 {
			d.Departments = append(d.Departments, &access.Department{Name: fmt.Sprintf("dept-%d", i/100)})
		}
		user := &access.User{Name: fmt.Sprintf("user-%d", i), Type: access.UserEmployee, State: access.StateActive, Departments: []string{fmt.Sprintf("dept-%d", i/100)}}
		if i%100 > 0 {
			user.Manager = fmt.Sprintf("user-%d", i-i%100)
		}
		d.Users = append(d.Users, user)
		for r := range 3 {
			d.UserBindings = append(d.UserBindings, &access.UserBinding{Name: fmt.Sprintf("b-%d-%d", i, r), Subjects: []access.Subject{{User: user.Name}}, Roles: []string{fmt.Sprintf("role-%d", (i+7*r)%20)}})
		}
	}
	return access.NewPolicy(access.Resolve(d).Facts)
}

func officeResource(i int) string {
	return fmt.Sprintf(`{"type":"customer","id":"c-%d","properties":{"owner":"user-%d","department":"dept-%d","region":"east"}}`, i, i*31%10_000, i*31%10_000/100)
}

func officeQuestion(i int) string {
	return fmt.Sprintf(`{"subject":{"type":"user","id":"user-%d"},"action":{"name":"read"},"resource":%s,"context":{"channel":"web"}}`, i*17%10_000, officeResource(i))
}

func officeBatch(i, items int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"subject":{"type":"user","id":"user-%d"},"action":{"name":"read"},"context":{"channel":"web"},"evaluations":[`, i*17%10_000)
	for j := range items {
		if j > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"resource":%s}`, officeResource(i*items+j))
	}
	b.WriteString("]}")
	return b.String()
}

// BenchmarkHandler is what the API itself costs of a request.
func BenchmarkHandler(b *testing.B) {
	api := New(office{policy: officePolicy(10_000)}, Options{})
	for name, body := range map[string]string{"evaluation": officeQuestion(1), "evaluations": officeBatch(1, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &nowhere{header: make(http.Header)}
			for b.Loop() {
				r := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": applicationJSON}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
				r.URL = &url.URL{Path: "/access/v1/" + name}
				api.ServeHTTP(w, r)
			}
		})
	}
}

// nowhere is where answers go that nobody waits for.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header       { return n.header }
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (*nowhere) WriteHeader(int)             {}
