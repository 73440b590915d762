package process

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHeldPortIsGivenToNobodyElse binds it as a program does that does not allow the reuse of its address, which is also the
// question that the kernel asks before it draws a port for somebody (inet_csk_find_open_port).
func TestHeldPortIsGivenToNobodyElse(t *testing.T) {
	held, release, err := hold(netip.MustParseAddr("127.0.0.1"))
	check(t, err)
	bind := func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		defer unix.Close(fd) //nolint:errcheck // nothing is lost by closing
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: held.Addr().As4(), Port: int(held.Port())})
	}
	if err := bind(); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the port could be had by somebody else: %v", err)
	}
	check(t, release())
	check(t, bind())
}
