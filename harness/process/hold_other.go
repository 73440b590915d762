//go:build !linux

package process

import (
	"net"
	"net/netip"
)

// hold finds a free port of the address. It cannot keep the port: elsewhere than on Linux a bound socket keeps members away,
// too. A member that finds its port taken fails with an error that says so.
func hold(address netip.Addr) (netip.AddrPort, func() error, error) {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(address, 0).String())
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	bound, err := netip.ParseAddrPort(listener.Addr().String())
	if closed := listener.Close(); err == nil {
		err = closed
	}
	return bound, func() error { return nil }, err
}
