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
			return fmt.Errorf("connect to engine at %s: %w: %w (join the group docker and log in again, use sudo, or set "+
				"DOCKER_HOST to an engine of your own)", host, ErrNotPermitted, err)
		}
	}
	if !client.IsErrConnectionFailed(cause) && !errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("connect to engine at %s: %w", host, cause)
	}
	return fmt.Errorf("connect to engine at %s: %w: %w (start the engine, or set DOCKER_HOST to where it listens)",
		host, ErrNoEngine, cause)
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
