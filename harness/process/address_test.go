package process

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

func TestSeatsAreApartAndTheirPortsStayTaken(t *testing.T) {
	one, two := taken(t), taken(t)
	addresses := map[string]bool{}
	for _, at := range []netip.AddrPort{one.client, one.peer, two.client, two.peer} {
		if !at.Addr().IsLoopback() || at.Port() == 0 {
			t.Errorf("%s is no port of a loopback address", at)
		}
		addresses[at.String()] = true
	}
	if len(addresses) != 4 {
		t.Errorf("two seats share a port: %v", addresses)
	}
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere than on Linux a port cannot be kept for a member")
	}
	if one.client.Addr() == two.client.Addr() {
		t.Errorf("both seats are at %s", one.client.Addr())
	}
	if conn, err := net.Dial("tcp", one.client.String()); err == nil {
		t.Errorf("somebody answers at an empty seat: %v", conn.Close())
	}
	// A member may come and go on it, as often as it likes.
	for range 2 {
		listener, err := net.Listen("tcp", one.client.String())
		check(t, err)
		check(t, listener.Close())
	}
}

func taken(t *testing.T) seat {
	t.Helper()
	taken, err := takeSeat(t.Context())
	check(t, err)
	t.Cleanup(func() { check(t, taken.release()) })
	return taken
}

func TestTakenPortIsNamedWithItsFlag(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close() //nolint:errcheck // nothing is lost by closing
	at := listener.Addr().String()
	err = requireFree(t.Context(), harness.Endpoint{Client: "nonsense", Peer: "https://" + at})
	if err == nil || !strings.Contains(err.Error(), "--listen-peer-urls") || !strings.Contains(err.Error(), at) {
		t.Errorf("got %v", err)
	}
	check(t, listener.Close())
	check(t, requireFree(t.Context(), harness.Endpoint{Client: "nonsense", Peer: "https://" + at}))
}

func TestSomebodyAtASeatIsNoticed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close() //nolint:errcheck // nothing is lost by closing
	at, err := netip.ParseAddrPort(listener.Addr().String())
	check(t, err)
	if err := reaches(t.Context(), at); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("got %v", err)
	}
	if _, _, err := hold(netip.MustParseAddr("192.0.2.1")); err == nil || errors.Is(err, ErrNoLoopback) {
		t.Errorf("an address of nobody could be held: %v", err)
	}
}
