package process

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// hold takes a free port of the address and keeps it from being given to anybody else, while a member comes and goes on it.
// The socket is bound and never listens: the kernel then gives its port to nobody who does not ask for it, refuses
// connections to it, and still lets a listener have it that allows the reuse of its address, as every Go program does
// (net/ipv4/inet_connection_sock.c, inet_csk_bind_conflict).
func hold(address netip.Addr) (netip.AddrPort, func() error, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.AddrPort{}, nil, fmt.Errorf("make socket: %w", err)
	}
	release := func() error { return unix.Close(fd) }
	port, err := bind(fd, address)
	if err != nil {
		return netip.AddrPort{}, nil, errors.Join(fmt.Errorf("bind %s: %w", address, err), release())
	}
	return netip.AddrPortFrom(address, port), release, nil
}

func bind(fd int, address netip.Addr) (port uint16, err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: address.As4()}); err != nil {
		return 0, err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	inet, ok := bound.(*unix.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("the socket has an address of another family: %T", bound)
	}
	return uint16(inet.Port), nil
}
