package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/harness"
)

const (
	clientPort = harness.ClientPort
	peerPort   = harness.PeerPort
)

// link is the one network of a site and how this machine reaches the nodes in it.
type link struct {
	id   string
	name string
	// published is set if nodes are reached through ports of the engine's machine: bindIP is where the engine listens, dialHost
	// is what this machine dials.
	published bool
	bindIP    netip.Addr
	dialHost  string
}

// openLink makes the site's network. An internal network keeps members off every other network and still has an address of
// the engine's machine; if that machine is not this one, the network is made again with published ports.
func (s *site) openLink(ctx context.Context) error {
	name := s.name("net")
	if err := s.run.Note("network", name); err != nil {
		return err
	}
	engineHost, remote := remoteHost(s.runtime.engine.DaemonHost())
	if s.runtime.cfg.Reach != ReachPublished && (!remote || s.runtime.cfg.Reach == ReachAddress) {
		id, err := s.createNetwork(ctx, name, true)
		if err != nil {
			return err
		}
		here, err := s.runtime.reaches(ctx, id)
		if err != nil {
			return err
		}
		if here || s.runtime.cfg.Reach == ReachAddress {
			s.link = link{id: id, name: name}
			return nil
		}
		s.runtime.cfg.Log.Info("container addresses are out of reach, publishing ports", "network", name)
		if _, err := s.runtime.engine.NetworkRemove(ctx, id, client.NetworkRemoveOptions{}); err != nil {
			return fmt.Errorf("remove network %s: %w", name, err)
		}
	}
	id, err := s.createNetwork(ctx, name, false)
	if err != nil {
		return err
	}
	s.link = link{id: id, name: name, published: true, bindIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), dialHost: "127.0.0.1"}
	if remote {
		s.link.bindIP, s.link.dialHost = netip.IPv4Unspecified(), engineHost
	}
	return nil
}

// Assumed says what this site could not make sure of, as harness.Assumer wants it.
func (s *site) Assumed() []string {
	if !s.link.published {
		return nil
	}
	return []string{"members send nothing out of their network: " +
		"its addresses cannot be reached from this machine, so it is not an internal one"}
}

func (s *site) createNetwork(ctx context.Context, name string, internal bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	whole, cancel := making(ctx)
	defer cancel()
	created, err := s.runtime.engine.NetworkCreate(whole, name, client.NetworkCreateOptions{
		Driver:   "bridge",
		Internal: internal,
		Labels:   s.labels(),
	})
	if err != nil {
		return "", fmt.Errorf("create network %s: %w", name, err)
	}
	return created.ID, ctx.Err()
}

// remoteHost returns the name of the engine's machine if the engine is dialled over a network to another machine.
func remoteHost(daemonHost string) (string, bool) {
	at, err := url.Parse(daemonHost)
	if err != nil || at.Scheme == "unix" || at.Scheme == "npipe" || at.Hostname() == "" {
		return "", false
	}
	if ip, err := netip.ParseAddr(at.Hostname()); at.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return "", false
	}
	return at.Hostname(), true
}

// reaches tells whether this machine has a leg in the network: the bridge that the engine made for it, carrying the
// network's gateway address. The address alone proves nothing, since a second engine hands out the same ones.
func (r *Runtime) reaches(ctx context.Context, id string) (bool, error) {
	found, err := r.engine.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	if err != nil {
		return false, fmt.Errorf("inspect network: %w", err)
	}
	bridge, err := net.InterfaceByName("br-" + id[:min(12, len(id))])
	if err != nil {
		return false, nil //nolint:nilerr // no such interface is the answer
	}
	addresses, err := bridge.Addrs()
	if err != nil {
		return false, fmt.Errorf("read addresses of %s: %w", bridge.Name, err)
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil {
			continue
		}
		for _, pool := range found.Network.IPAM.Config {
			if pool.Gateway == prefix.Addr() {
				return true, nil
			}
		}
	}
	return false, nil
}

// bindings are the ports that the engine publishes for a node: none where container addresses are used.
func (l link) bindings() network.PortMap {
	if !l.published {
		return nil
	}
	ports := network.PortMap{}
	for _, number := range []string{clientPort, peerPort} {
		if port, err := network.ParsePort(number + "/tcp"); err == nil {
			ports[port] = []network.PortBinding{{HostIP: l.bindIP}} // an empty port lets the engine choose
		}
	}
	return ports
}

// endpoint reads a running container's addresses from what the engine tells about it. What is spoken there, its flags say.
func (l link) endpoint(found container.InspectResponse, listens harness.Endpoint) (harness.Endpoint, error) {
	if found.State == nil || !found.State.Running {
		return harness.Endpoint{}, fmt.Errorf("it is not running")
	}
	if l.published {
		return l.publishedEndpoint(found, listens)
	}
	settings := found.NetworkSettings.Networks[l.name]
	if settings == nil || !settings.IPAddress.IsValid() {
		return harness.Endpoint{}, fmt.Errorf("it has no address in network %s", l.name)
	}
	ip := settings.IPAddress.String()
	return harness.Endpoint{
		Client: schemeOf(listens.Client) + net.JoinHostPort(ip, clientPort),
		Peer:   schemeOf(listens.Peer) + net.JoinHostPort(ip, peerPort),
	}, nil
}

func (l link) publishedEndpoint(found container.InspectResponse, listens harness.Endpoint) (harness.Endpoint, error) {
	hosts := map[string]string{}
	for port, bindings := range found.NetworkSettings.Ports {
		for _, binding := range bindings {
			hosts[port.Port()] = net.JoinHostPort(l.dialHost, binding.HostPort)
		}
	}
	if hosts[clientPort] == "" || hosts[peerPort] == "" {
		return harness.Endpoint{}, fmt.Errorf("the engine published no port for it")
	}
	return harness.Endpoint{
		Client: schemeOf(listens.Client) + hosts[clientPort], Peer: schemeOf(listens.Peer) + hosts[peerPort],
	}, nil
}

// schemeOf is a URL's, and that of plain text for what is no URL.
func schemeOf(listens string) string {
	scheme, _, found := strings.Cut(listens, "://")
	if !found {
		scheme = "http"
	}
	return scheme + "://"
}
