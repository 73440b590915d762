package docker

import (
	"cmp"
	"context"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
)

// box says what container to make.
type box struct {
	name   string
	labels map[string]string
	mount  mount.Mount
	args   []string
	// idle boxes never start: they are handles on their mount.
	idle bool
	// aliases are the box's network names.
	aliases []string
	// program is what runs instead of etcd; empty for etcd.
	program string
	// image is another one than the site's; empty for the site's.
	image string
}

// create makes a container that is not running. It is never attached to a network that the request does not name.
func (s *site) create(ctx context.Context, b box) (testcontainers.Container, error) {
	if err := s.run.Note("container", b.name); err != nil {
		return nil, err
	}
	var host *container.HostConfig
	request := testcontainers.ContainerRequest{
		Image:      cmp.Or(b.image, s.image),
		Name:       b.name,
		Entrypoint: []string{cmp.Or(b.program, "etcd")},
		Cmd:        b.args,
		Labels:     b.labels,
		// The ports are named so that testcontainers does not publish those that the image names on every address.
		ExposedPorts: []string{clientPort + "/tcp", peerPort + "/tcp"},
		ConfigModifier: func(c *container.Config) {
			c.User = s.store.user()
			c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		},
		HostConfigModifier: func(h *container.HostConfig) {
			host = h
			s.confine(h, b)
		},
		EndpointSettingsModifier: func(settings map[string]*network.EndpointSettings) {
			if !b.idle {
				settings[s.link.name] = b.endpoint(s.link.id)
			}
		},
		// testcontainers publishes every named port; its own hook has run when this one does.
		LifecycleHooks: []testcontainers.ContainerLifecycleHooks{{
			PreCreates: []testcontainers.ContainerRequestHook{
				func(context.Context, testcontainers.ContainerRequest) error {
					host.PortBindings = nil
					if !b.idle {
						host.PortBindings = s.link.bindings()
					}
					return nil
				},
			},
		}},
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	whole, cancel := making(ctx)
	defer cancel()
	created, err := s.runtime.provider.CreateContainer(whole, request)
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", b.name, err)
	}
	return created, ctx.Err()
}

// confine sets what the engine grants to the box: one mount, one network, a log that is kept whole, no restart.
func (s *site) confine(h *container.HostConfig, b box) {
	if b.mount.Target != "" {
		h.Mounts = []mount.Mount{b.mount}
	}
	h.LogConfig = container.LogConfig{Type: "json-file"}
	h.NetworkMode = "none"
	if !b.idle {
		h.NetworkMode = container.NetworkMode(s.link.name)
	}
	// An engine with SELinux hides folders that do not carry its label, and relabelling them is not ours to do.
	if b.mount.Type == mount.TypeBind && s.runtime.has("selinux") {
		h.SecurityOpt = []string{"label=disable"}
	}
}

func (b box) endpoint(networkID string) *network.EndpointSettings {
	return &network.EndpointSettings{NetworkID: networkID, Aliases: b.aliases}
}
