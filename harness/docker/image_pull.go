package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

var errStalled = errors.New("the registry sent nothing")

// pulled asks the registries of the official image, one after the other: some networks reach only one of them.
func (s *imageSearch) pulled(ctx context.Context, engine engineFacts, tried *attempts) (foundImage, bool) {
	reached := false
	for _, ref := range s.official {
		err := s.pull(ctx, ref)
		if err != nil {
			reached = reached || !outOfReach(err)
			tried.note("registry", err)
			continue
		}
		reached = true
		id, err := s.identify(ctx, ref)
		if err == nil {
			err = s.confirm(ctx, engine, id)
		}
		if err == nil {
			return foundImage{ref: ref, version: s.want, origin: "pulled"}, true
		}
		tried.note("pulled image "+ref, err)
	}
	tried.registry = "registry out of reach; "
	if reached {
		tried.registry = "no image from the registries; "
	}
	return foundImage{}, false
}

// outOfReach tells a network that leads nowhere from a registry that said no. The engine passes on the words of Go's net
// and net/http packages, in an answer with status 500.
func outOfReach(err error) bool {
	if errors.Is(err, errStalled) {
		return true
	}
	if cerrdefs.IsNotFound(err) || cerrdefs.IsUnauthorized(err) || cerrdefs.IsPermissionDenied(err) {
		return false
	}
	for _, words := range []string{
		"dial tcp", "no such host", "i/o timeout", "TLS handshake", "Client.Timeout", "request canceled", "proxyconnect",
	} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// pull has the engine fetch an image. It gives up when nothing has come for the stall limit; a registry that cannot be
// resolved fails at once.
func (s *imageSearch) pull(ctx context.Context, ref string) error {
	watched, alive, done := withStallLimit(ctx, s.stall)
	defer done()
	state := &pullState{layers: map[string]jsonstream.Progress{}}
	stop := release.Tick(s.progress, func(elapsed time.Duration) string { return state.line(ref, elapsed) })
	defer stop()

	err := s.follow(watched, ref, func(m jsonstream.Message) {
		// The engine counts down aloud before it tries a layer again (moby's distribution/xfer/download.go); that is no news.
		if !strings.HasPrefix(m.Status, "Retrying in") {
			alive()
		}
		state.note(m)
	})
	if err == nil {
		return nil
	}
	if watched.Err() != nil {
		err = context.Cause(watched) // more telling than "context canceled"
	}
	return fmt.Errorf("pull %s: %w", ref, err)
}

func (s *imageSearch) follow(ctx context.Context, ref string, news func(jsonstream.Message)) error {
	stream, err := s.engine.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	// JSONMessages closes the stream.
	for message, err := range stream.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
		news(message)
	}
	return ctx.Err()
}

// withStallLimit returns a context that ends, with a cause that wraps errStalled, when alive was not called for the limit.
func withStallLimit(ctx context.Context, limit time.Duration) (watched context.Context, alive, done func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errStalled, limit)) })
	return watched, func() { timer.Reset(limit) }, func() {
		timer.Stop()
		cancel(nil)
	}
}

// pullState turns the engine's messages, one per layer and step, into one line.
type pullState struct {
	mu     sync.Mutex
	layers map[string]jsonstream.Progress
	ended  int
}

func (p *pullState) note(m jsonstream.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Status == "Pull complete" || m.Status == "Already exists":
		p.ended++
	case m.Status == "Downloading" && m.Progress != nil:
		p.layers[m.ID] = *m.Progress
	}
}

func (p *pullState) line(ref string, elapsed time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var got, total int64
	for _, layer := range p.layers {
		got, total = got+layer.Current, total+layer.Total
	}
	if total == 0 && p.ended == 0 {
		return fmt.Sprintf("pulling %s: waiting for the registry, %s", ref, elapsed)
	}
	return fmt.Sprintf("pulling %s: %.1f of %.1f MB, %d layers complete, %s",
		ref, float64(got)/1e6, float64(total)/1e6, p.ended, elapsed)
}
