package decisionapi

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// callers is a listener whose connections come from these addresses, one after the other.
type callers struct {
	net.Listener
	from []string
	// closed are the addresses whose connections were closed.
	closed []string
}

type call struct {
	net.Conn
	from string
	of   *callers
}

func (c *callers) Accept() (net.Conn, error) {
	if len(c.from) == 0 {
		return nil, net.ErrClosed
	}
	next := c.from[0]
	c.from = c.from[1:]
	return &call{from: next, of: c}, nil
}

func (c *call) RemoteAddr() net.Addr {
	address, err := net.ResolveTCPAddr("tcp", c.from)
	if err != nil {
		panic(err)
	}
	return address
}

func (c *call) Close() error {
	c.of.closed = append(c.of.closed, c.from)
	return nil
}

func TestOneClientHasSoManyConnectionsAndOthersHaveTheirs(t *testing.T) {
	inner := &callers{from: []string{
		"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "[::ffff:192.0.2.1]:4", "192.0.2.2:1",
		"[2001:db8:0:1::1]:1", "[2001:db8:0:1::2]:1", "[2001:db8:0:1::3]:1", "[2001:db8:0:2::1]:1",
	}}
	listener := newFair(inner, 2)
	var open []net.Conn
	var accepted []string
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		open, accepted = append(open, conn), append(accepted, conn.RemoteAddr().String())
	}
	if got, want := strings.Join(accepted, " "), "192.0.2.1:1 192.0.2.1:2 192.0.2.2:1 [2001:db8:0:1::1]:1 [2001:db8:0:1::2]:1 [2001:db8:0:2::1]:1"; got != want {
		t.Errorf("accepts %s, want %s", got, want)
	}
	if got, want := strings.Join(inner.closed, " "), "192.0.2.1:3 [::ffff:192.0.2.1]:4 [2001:db8:0:1::3]:1"; got != want {
		t.Errorf("closes %s, want %s", got, want)
	}
	_ = open[0].Close()
	_ = open[0].Close() // once more frees no second place
	inner.from = []string{"192.0.2.1:5", "192.0.2.1:6"}
	if conn, err := listener.Accept(); err != nil || conn.RemoteAddr().String() != "192.0.2.1:5" {
		t.Errorf("the place that became free is given to %v, %v", conn, err)
	}
	if conn, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a place that is not free is given to %v, %v", conn, err)
	}
	for _, conn := range open[1:] {
		_ = conn.Close()
	}
	if counted := listener.(*fair).open; len(counted) != 1 {
		t.Errorf("clients that have gone are counted: %v", counted)
	}
}

func TestAConnectionTooManyIsClosedAndTheOthersGoOn(t *testing.T) {
	server := serve(t, Serving{Address: "127.0.0.1:0", PerClient: 2})
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn, bufio.NewReader(conn)
	}
	asks := func(conn net.Conn, in *bufio.Reader) error {
		if _, err := io.WriteString(conn, "GET /nowhere HTTP/1.1\r\nHost: decide\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		return errors.Join(err, response.Body.Close())
	}
	first, fromFirst := dial()
	second, fromSecond := dial()
	if err := errors.Join(asks(first, fromFirst), asks(second, fromSecond)); err != nil {
		t.Fatal(err)
	}
	if err := asks(dial()); err == nil {
		t.Error("a third connection is answered")
	}
	if err := asks(first, fromFirst); err != nil {
		t.Errorf("the first connection: %v", err)
	}
	_ = second.Close()
	for asks(dial()) != nil { // until the server has seen that one is gone
	}
}
