package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/etcd-drill/etcd-drill/harness"
)

// tailLines is how much of its log an error about a node carries.
const tailLines = 20

// node is one container, made by the first start and kept for all others, so that its log spans them.
type node struct {
	site  *site
	spec  harness.NodeSpec
	image string // what its container is made of
	disk  mountable
	mu    sync.Mutex // held while the container is made or started
	box   testcontainers.Container
}

var _ harness.Node = (*node)(nil)

// Start makes the container if this is the first start, and starts it.
func (n *node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.site.enter(); err != nil {
		return fmt.Errorf("start node %s: %w", n.spec.Name, err)
	}
	defer n.site.life.RUnlock()
	if n.box == nil {
		created, err := n.site.create(ctx, box{
			name:    n.site.name(n.spec.Name),
			labels:  n.site.labels(map[string]string{labelNode: n.spec.Name}),
			mount:   n.disk.mount(),
			args:    n.spec.Args,
			image:   n.image,
			aliases: aliases(n.spec.Hostname),
		})
		if err != nil {
			return fmt.Errorf("start node %s: %w", n.spec.Name, err)
		}
		if err := n.placeFiles(ctx, created.GetContainerID()); err != nil { // a next start shall not find half of them
			return fmt.Errorf("start node %s: %w", n.spec.Name, errors.Join(err, created.Terminate(context.WithoutCancel(ctx))))
		}
		n.box = created
	}
	n.site.holdNames(ctx, n.spec.Hostname)
	if err := n.box.Start(ctx); err != nil {
		return fmt.Errorf("start node %s: %w%s", n.spec.Name, err, n.tail(ctx, n.box.GetContainerID()))
	}
	n.site.took(ctx, n.spec.Hostname)
	return nil
}

// Signal sends the signal through the engine. Thaw and Freeze return when the engine has done it.
func (n *node) Signal(ctx context.Context, s harness.Signal) error {
	id, err := n.id()
	if err == nil {
		err = n.deliver(ctx, id, s)
	}
	if errdefs.IsNotImplemented(err) {
		err = harness.Unsupported("the engine says: " + err.Error())
	}
	if err != nil {
		return fmt.Errorf("%s node %s: %w", s, n.spec.Name, err)
	}
	return nil
}

func (n *node) deliver(ctx context.Context, id string, s harness.Signal) error {
	engine := n.site.runtime.engine
	var err error
	switch s {
	case harness.Terminate:
		_, err = engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGTERM"})
	case harness.Kill:
		_, err = engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGKILL"})
		if errdefs.IsConflict(err) && n.thawed(ctx, id) { // engines that do not kill what is paused
			_, err = engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGKILL"})
		}
	case harness.Freeze:
		_, err = engine.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	case harness.Thaw:
		_, err = engine.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	default:
		err = harness.Unsupported("no such signal")
	}
	return err
}

func (n *node) thawed(ctx context.Context, id string) bool {
	_, err := n.site.runtime.engine.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	return err == nil
}

// Wait returns when the container is not running.
func (n *node) Wait(ctx context.Context) (harness.Exit, error) {
	id, err := n.id()
	if err != nil {
		return harness.Exit{}, fmt.Errorf("wait for node %s: %w", n.spec.Name, err)
	}
	waiting := n.site.runtime.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{
		Condition: container.WaitConditionNotRunning,
	})
	var ended container.WaitResponse
	select {
	case ended = <-waiting.Result:
	case err = <-waiting.Error:
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil && ended.Error != nil:
		err = errors.New(ended.Error.Message)
	}
	if err != nil {
		return harness.Exit{}, fmt.Errorf("wait for node %s: %w", n.spec.Name, err)
	}
	return n.exit(ctx, id, int(ended.StatusCode))
}

// exit completes an exit code by what only an inspection tells.
func (n *node) exit(ctx context.Context, id string, code int) (harness.Exit, error) {
	found, err := n.site.runtime.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return harness.Exit{}, fmt.Errorf("inspect exit of node %s: %w", n.spec.Name, err)
	}
	started, err := time.Parse(time.RFC3339Nano, found.Container.State.StartedAt)
	if err == nil && started.IsZero() { // the engine made the container and could not start it
		err = harness.ErrNeverStarted
	}
	if err != nil {
		return harness.Exit{}, fmt.Errorf("wait for node %s: %w", n.spec.Name, err)
	}
	at, err := time.Parse(time.RFC3339Nano, found.Container.State.FinishedAt)
	if err != nil {
		return harness.Exit{}, fmt.Errorf("read exit time of node %s: %w", n.spec.Name, err)
	}
	return harness.Exit{Code: code, OOM: found.Container.State.OOMKilled, At: at}, nil
}

// Endpoint asks the engine anew with every call.
func (n *node) Endpoint(ctx context.Context) (harness.Endpoint, error) {
	id, err := n.id()
	if err != nil {
		return harness.Endpoint{}, fmt.Errorf("find address of node %s: %w", n.spec.Name, err)
	}
	found, err := n.site.runtime.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return harness.Endpoint{}, fmt.Errorf("inspect node %s: %w", n.spec.Name, err)
	}
	endpoint, err := n.site.link.endpoint(found.Container, harness.ListenURLs(n.spec.Args))
	if err != nil {
		return harness.Endpoint{}, fmt.Errorf("find address of node %s: %w", n.spec.Name, err)
	}
	return endpoint, nil
}

// Logs returns standard output and standard error in one.
func (n *node) Logs(ctx context.Context) (io.ReadCloser, error) {
	id, err := n.id()
	if err != nil {
		return nil, fmt.Errorf("read log of node %s: %w", n.spec.Name, err)
	}
	logs, err := n.logs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return nil, fmt.Errorf("read log of node %s: %w", n.spec.Name, err)
	}
	return logs, nil
}

func (n *node) logs(ctx context.Context, id string, options client.ContainerLogsOptions) (io.ReadCloser, error) {
	raw, err := n.site.runtime.engine.ContainerLogs(ctx, id, options)
	if err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(writer, writer, raw)
		writer.CloseWithError(errors.Join(err, raw.Close())) // a nil error ends the stream with io.EOF
	}()
	return reader, nil
}

// tail returns the last lines of the log, to be put behind an error; nothing if there are none.
func (n *node) tail(ctx context.Context, id string) string {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(tailLines)}
	logs, err := n.logs(ctx, id, options)
	if err != nil {
		return ""
	}
	defer logs.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(logs)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; last log lines:\n" + strings.TrimSpace(string(text))
}

func (n *node) id() (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.box == nil {
		return "", harness.ErrNeverStarted
	}
	return n.box.GetContainerID(), nil
}
