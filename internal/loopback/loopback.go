// Package loopback gives addresses of this machine on which nobody else listens.
package loopback

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
)

// Any draws an address of 127.0.0.0/8 whose second byte is not one of those that resolvers and distributions use. Linux has them
// all; elsewhere as a rule only 127.0.0.1 can be listened on.
func Any() netip.Addr {
	var drawn [3]byte
	rand.Read(drawn[:])
	return netip.AddrFrom4([4]byte{127, 16 + drawn[0]%224, drawn[1], 1 + drawn[2]%254})
}

// FreeAddress returns an address and a port that was free a moment ago, and, where Any can be listened on, is nobody else's later
// either: a port that was let go on 127.0.0.1 is soon the next one's, and who wanted nobody there meets somebody's etcd.
func FreeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", netip.AddrPortFrom(Any(), 0).String())
	if err != nil {
		listener, err = config.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
