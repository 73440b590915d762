package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// askWithin is the deadline of one question to a member that may not be up yet.
const askWithin = 3 * time.Second

// AwaitReady returns when the member answers a linearizable read over gRPC, under its own ID and this cluster's. It fails
// early, with the last lines of its log, when the member's process ends; so do the other waits for a member.
func (m *Member) AwaitReady(ctx context.Context, cluster identity.ClusterID, within time.Duration) error {
	probe, err := m.await(ctx, "ready", within, func(ctx context.Context, probe *Probe) error {
		// A linearizable read that comes before the leader is repeated by the server only every half second
		// (etcdserver/v3_server.go, readIndexRetryTime).
		if err := led(ctx, m, probe); err != nil {
			return err
		}
		read, err := probe.Read(ctx, Linearizable)
		if err != nil {
			return err
		}
		if read.Cluster != cluster || read.Member != m.id {
			return await.Hopeless(fmt.Errorf("%s answers as member %s of cluster %s, not as %s of %s",
				m.Name(), read.Member, read.Cluster, m.id, cluster))
		}
		return nil
	})
	probe.Close()
	return err
}

// AwaitLed returns when the member knows a leader, with the probe that learned of it. The caller closes the probe.
func (m *Member) AwaitLed(ctx context.Context, within time.Duration) (*Probe, error) {
	return m.await(ctx, "led", within, func(ctx context.Context, probe *Probe) error { return led(ctx, m, probe) })
}

func led(ctx context.Context, m *Member, probe *Probe) error {
	health, err := probe.Health(ctx)
	if err == nil && health.Leader == 0 {
		err = fmt.Errorf("%s knows no leader", m.Name())
	}
	return err
}

// AwaitKey returns when a serializable read on the member shows that the key was last written at this revision.
func (m *Member) AwaitKey(ctx context.Context, key string, revision int64, within time.Duration) error {
	probe, err := m.await(ctx, "showing "+key, within, func(ctx context.Context, probe *Probe) error {
		response, err := probe.Client().Get(ctx, key, clientv3.WithSerializable())
		if err != nil {
			return err
		}
		if len(response.Kvs) != 1 || response.Kvs[0].ModRevision != revision {
			return fmt.Errorf("%s does not show %s of revision %d", m.Name(), key, revision)
		}
		return nil
	})
	probe.Close()
	return err
}

// await asks the member until the answer is nil. The probe is returned if the wait was fulfilled.
func (m *Member) await(ctx context.Context, what string, within time.Duration, ask func(context.Context, *Probe) error) (*Probe, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go m.watchExit(ctx, cancel)
	var probe *Probe
	err := await.Until(ctx, await.Condition{Name: m.Name() + " " + what, Every: 20 * time.Millisecond, Within: within},
		func(ctx context.Context) (err error) {
			if probe == nil {
				if probe, err = m.Probe(ctx); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(ctx, askWithin)
			defer cancel()
			if err = ask(ctx, probe); errors.Is(err, ErrForeignCluster) {
				return await.Hopeless(err) // whoever answers there is not waited for
			}
			return err
		})
	if err != nil {
		probe.Close()
		return nil, err
	}
	return probe, nil
}

// watchExit ends the wait for a member whose process has ended: nothing will answer any more.
func (m *Member) watchExit(ctx context.Context, cancel context.CancelCauseFunc) {
	exit, err := m.Wait(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		cancel(err)
		return
	}
	cancel(fmt.Errorf("%s ended with code %d; it printed last:\n%s", m.Name(), exit.Code, m.LastLines(ctx, 5)))
}

// LastLines returns the end of the member's log for an error message, without the traces that follow a panic; if it cannot be
// read it says why.
func (m *Member) LastLines(ctx context.Context, n int) string {
	logs, err := m.Logs(ctx)
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	defer logs.Close() //nolint:errcheck // reading is all that was wanted
	text, err := io.ReadAll(logs)
	if err != nil {
		return fmt.Sprintf("(read log: %v)", err)
	}
	lines := beforeTrace(strings.Split(strings.TrimRight(string(text), "\n"), "\n"))
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Said returns the first line of the member's log that contains the text; empty if none does.
func (m *Member) Said(ctx context.Context, text string) (string, error) {
	logs, err := m.Logs(ctx)
	if err != nil {
		return "", err
	}
	defer logs.Close() //nolint:errcheck // reading is all that was wanted
	all, err := io.ReadAll(logs)
	if err != nil {
		return "", m.wrap("read log of", err)
	}
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", nil
}

// beforeTrace cuts the lines off behind the last one with which a Go program gives up (runtime/panic.go, printpanics and
// fatal): what follows are the traces of its goroutines. Where etcd logs again behind it, another start has been since.
func beforeTrace(lines []string) []string {
	for i, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "{") {
			return lines
		}
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return lines[:i+1]
		}
	}
	return lines
}
