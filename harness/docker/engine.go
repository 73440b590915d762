package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// ErrNoEngine marks that nothing answers where the engine should be.
var ErrNoEngine = errors.New("no container engine answers")

// ErrNotPermitted marks that an engine is there but not for this user.
var ErrNotPermitted = errors.New("this user may not use the container engine")

// ConnectError says why no engine could be used.
type ConnectError struct {
	Host  string // where the engine was looked for
	Kind  error  // ErrNoEngine or ErrNotPermitted; nil for any other reason
	Cause error
	Hint  string // what a person can do; empty if Kind is nil
}

// Error tells all of it.
func (e *ConnectError) Error() string {
	if e.Kind == nil {
		return fmt.Sprintf("connect to engine at %s: %v", e.Host, e.Cause)
	}
	return fmt.Sprintf("connect to engine at %s: %v: %v (%s)", e.Host, e.Kind, e.Cause, e.Hint)
}

// Unwrap returns the kind and the cause.
func (e *ConnectError) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Cause}
	}
	return []error{e.Kind, e.Cause}
}

const connectPatience = 20 * time.Second

// connect returns a client of an engine that answered. An address that DOCKER_HOST names is the only one tried, because a
// drill on another engine than the one asked for is worse than none.
func connect(ctx context.Context) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	named, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("read DOCKER_HOST: %w", err)
	}
	if named.DaemonHost() == client.DefaultDockerHost {
		// testcontainers also knows docker contexts and the sockets of rootless engines.
		if found, err := testcontainers.NewDockerClientWithOpts(ctx); err == nil && ping(ctx, found.Client) == nil {
			return found.Client, named.Close()
		}
	}
	if err := ping(ctx, named); err != nil {
		return nil, errors.Join(explain(ctx, named.DaemonHost(), err), named.Close())
	}
	return named, nil
}

func ping(ctx context.Context, engine *client.Client) error {
	_, err := engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	return err
}

// explain turns the reason why an engine did not answer into one that a person can act on. The client keeps only the text
// of a permission error (moby/client request.go: doRequest), so the socket is asked once more.
func explain(ctx context.Context, host string, cause error) error {
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			cause = errors.Join(cause, conn.Close())
		}
		if errors.Is(err, fs.ErrPermission) {
			return &ConnectError{Host: host, Kind: ErrNotPermitted, Cause: err,
				Hint: "join the group docker and log in again, use sudo, or set DOCKER_HOST to an engine of your own"}
		}
	}
	if !client.IsErrConnectionFailed(cause) && !errors.Is(cause, context.DeadlineExceeded) {
		return &ConnectError{Host: host, Cause: cause}
	}
	return &ConnectError{Host: host, Kind: ErrNoEngine, Cause: cause, Hint: "start the engine, or set DOCKER_HOST to where it listens"}
}

// guarded is the client that testcontainers is given. It keeps testcontainers from two things that nobody asked for.
type guarded struct{ *client.Client }

// ImagePull refuses: the image was prepared before, with a progress report and a stall limit. The error is one that
// testcontainers does not retry.
func (guarded) ImagePull(_ context.Context, ref string, _ client.ImagePullOptions) (client.ImagePullResponse, error) {
	return nil, fmt.Errorf("use image %s: it is not on the engine (removed since it was prepared, or renamed by the "+
		"setting hub.image.name.prefix of testcontainers): %w", ref, errdefs.ErrNotFound)
}

// NetworkList shows the default network that testcontainers looks for before every first container. Where it finds none it
// makes one that outlives the run, and attaches every container to it (testcontainers docker.go: ensureDefaultNetwork).
func (guarded) NetworkList(context.Context, client.NetworkListOptions) (client.NetworkListResult, error) {
	return client.NetworkListResult{
		Items: []network.Summary{{Network: network.Network{Name: testcontainers.Bridge}}},
	}, nil
}

// has tells whether the engine runs with this security option, for example "rootless".
func (r *Runtime) has(option string) bool {
	return slices.ContainsFunc(r.info.SecurityOptions, func(s string) bool {
		name, _, _ := strings.Cut(s, ",")
		return name == "name="+option
	})
}
