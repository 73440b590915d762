package loopback

import (
	"net"
	"net/netip"
	"testing"
)

func TestAddressesAreOfThisMachineAndFree(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		address, err := FreeAddress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().IsLoopback() || at.Port() == 0 || seen[address] {
			t.Errorf("%s, %v; or it was given before", address, err)
		}
		seen[address] = true
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
