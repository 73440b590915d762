package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/loopback"
)

// ErrNoLoopback says that this machine has no loopback address for members to listen on.
var ErrNoLoopback = errors.New("no IPv4 loopback address can be used")

// seat is where one member listens: an address, and two ports on it that the system chose.
type seat struct {
	client, peer netip.AddrPort
	release      func() error // gives the ports back
}

// takeSeat takes a random address of 127.0.0.0/8 where the system has them all, and 127.0.0.1 elsewhere.
func takeSeat(ctx context.Context) (seat, error) {
	var reasons []error
	for _, address := range []netip.Addr{loopback.Any(), netip.AddrFrom4([4]byte{127, 0, 0, 1})} {
		taken, err := takePorts(address)
		if err == nil {
			if err = reaches(ctx, taken.client); err == nil {
				return taken, nil
			}
			err = errors.Join(err, taken.release())
		}
		reasons = append(reasons, err)
	}
	return seat{}, fmt.Errorf("%w: %w (bring the loopback interface up, or use a container engine)",
		ErrNoLoopback, errors.Join(reasons...))
}

func takePorts(address netip.Addr) (seat, error) {
	client, releaseClient, err := hold(address)
	if err != nil {
		return seat{}, err
	}
	peer, releasePeer, err := hold(address)
	if err != nil {
		return seat{}, errors.Join(err, releaseClient())
	}
	return seat{
		client: client, peer: peer,
		release: func() error { return errors.Join(releaseClient(), releasePeer()) },
	}, nil
}

// reaches returns nil if connections arrive at the address, at whose port nobody listens yet: a refusal is what is hoped for.
// An address can be bound although its interface is down, and then nothing ever arrives there.
func reaches(ctx context.Context, at netip.AddrPort) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", at.String())
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("somebody listens at %s, where a port was free", at), conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return err
}

// requireFree returns an error if somebody listens where a member is about to. etcd would say so itself, in its log.
func requireFree(ctx context.Context, listens harness.Endpoint) error {
	for flag, url := range map[string]string{"listen-client-urls": listens.Client, "listen-peer-urls": listens.Peer} {
		_, address, found := strings.Cut(url, "://")
		if !found {
			continue // etcd refuses it, with its own words
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			return fmt.Errorf("another program has the port of --%s: %w", flag, err)
		}
	}
	return nil
}
