package decisionapi

import (
	"net"
	"net/netip"
	"sync"
)

// fair is a listener that has at most so many connections of one client open at a time. Further ones are closed at once: they
// keep nobody else waiting.
type fair struct {
	net.Listener
	most int

	guard sync.Mutex
	open  map[netip.Prefix]int
}

func newFair(listener net.Listener, most int) net.Listener {
	if most == 0 {
		return listener
	}
	return &fair{Listener: listener, most: most, open: make(map[netip.Prefix]int)}
}

// Accept implements net.Listener.
func (f *fair) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(conn.RemoteAddr())
		if f.enter(client) {
			return &placedConn{Conn: conn, leave: sync.OnceFunc(func() { f.leave(client) })}, nil
		}
		_ = conn.Close() // there is nobody to tell
	}
}

func (f *fair) enter(client netip.Prefix) bool {
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.open[client] >= f.most {
		return false
	}
	f.open[client]++
	return true
}

func (f *fair) leave(client netip.Prefix) {
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.open[client]--; f.open[client] == 0 {
		delete(f.open, client)
	}
}

// clientOf is who counts as one client: an address of IPv4, or the /64 network that a host has of IPv6.
func clientOf(address net.Addr) netip.Prefix {
	from, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{} // all that cannot be told apart are one
	}
	bits := 64
	ip := from.Addr().Unmap().WithZone("")
	if ip.Is4() {
		bits = 32
	}
	client, _ := ip.Prefix(bits) // no address is shorter
	return client
}
