package runtimetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// quick makes elections short and spares the disk. Skipping fsync is safe here: no machine crashes, only processes do.
func quick() []string {
	return []string{"--heartbeat-interval=50", "--election-timeout=500", "--unsafe-no-fsync"}
}

// member is one etcd under test.
type member struct {
	*bench
	harness.Node
	name string
	disk harness.Disk
}

// birth says which member to make.
type birth struct {
	layout harness.Layout
	seat   harness.Seat
	node   string // name of the node and, if disk is nil, of its new disk
	disk   harness.Disk
	// version is the one to run; the runtime's default if empty.
	version string
}

func (b *bench) layout(size int) harness.Layout {
	b.t.Helper()
	layout, err := harness.NewLayout(b.site, size, identity.FreshToken())
	must(b.t, err)
	return layout
}

func (b *bench) member(spec birth) *member {
	b.t.Helper()
	if spec.node == "" {
		spec.node = spec.seat.Name
	}
	if spec.disk == nil {
		spec.disk = b.disk(spec.node)
	}
	place, err := b.site.Place(spec.seat.Name)
	must(b.t, err)
	args := append([]string{
		"--name=" + spec.seat.Name,
		"--data-dir=" + place.DataDir,
		"--listen-client-urls=" + place.ListenClientURL,
		"--advertise-client-urls=" + place.ClientURL,
		"--listen-peer-urls=" + place.ListenPeerURL,
		"--initial-advertise-peer-urls=" + spec.seat.PeerURL,
		"--initial-cluster=" + spec.layout.InitialCluster(),
		"--initial-cluster-token=" + string(spec.layout.Token),
		"--initial-cluster-state=new",
	}, quick()...)
	node, err := b.site.NewNode(b.ctx, harness.NodeSpec{
		Name: spec.node, Hostname: spec.seat.Name, Disk: spec.disk, Args: args, Version: spec.version,
	})
	must(b.t, err)
	return &member{bench: b, Node: node, name: spec.node, disk: spec.disk}
}

// single starts a cluster of one and waits until it answers.
func (b *bench) single() *member {
	b.t.Helper()
	layout := b.layout(1)
	m := b.member(birth{layout: layout, seat: layout.Seats[0]})
	must(b.t, m.Start(b.ctx))
	m.mustAnswer()
	return m
}

// inParallel calls do for every member at once, as a cluster's start needs it, and joins the errors.
func inParallel(members []*member, do func(*member) error) error {
	errs := make([]error, len(members))
	var work sync.WaitGroup
	for i, m := range members {
		work.Go(func() { errs[i] = do(m) })
	}
	work.Wait()
	return errors.Join(errs...)
}

// do calls use with a fresh client of the running member.
func (m *member) do(ctx context.Context, use func(context.Context, *clientv3.Client) error) error {
	endpoint, err := m.Endpoint(ctx)
	if err != nil {
		return err
	}
	if endpoint.Client == "" || endpoint.Peer == "" {
		return await.Hopeless(fmt.Errorf("the endpoint of %s is not whole: %+v", m.name, endpoint))
	}
	client, err := harness.Dial(endpoint.Client, harness.Access{})
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the call has been answered by then
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return use(ctx, client)
}

// mustAnswer waits for a linearizable read over gRPC; the member's log explains a failure.
func (m *member) mustAnswer() {
	m.t.Helper()
	condition := await.Condition{Name: m.name + " answers", Within: 30 * time.Second}
	err := await.Until(m.ctx, condition, func(ctx context.Context) error {
		return m.do(ctx, func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.Get(ctx, "any")
			return err
		})
	})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.log())
	}
}

func (m *member) put(key, value string) {
	m.t.Helper()
	must(m.t, m.do(m.ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, key, value)
		return err
	}))
}

// get returns the value that a linearizable read shows; empty if there is none.
func (m *member) get(key string) (value string) {
	m.t.Helper()
	must(m.t, m.do(m.ctx, func(ctx context.Context, c *clientv3.Client) error {
		response, err := c.Get(ctx, key)
		if err == nil && len(response.Kvs) > 0 {
			value = string(response.Kvs[0].Value)
		}
		return err
	}))
	return value
}

func (m *member) wants(key, value string) {
	m.t.Helper()
	if got := m.get(key); got != value {
		m.t.Errorf("%s: %s is %q, want %q", m.name, key, got, value)
	}
}

// end sends the signal and waits for the exit.
func (m *member) end(s harness.Signal) harness.Exit {
	m.t.Helper()
	must(m.t, m.Signal(m.ctx, s))
	exit, err := m.Wait(m.ctx)
	must(m.t, err)
	return exit
}

func (m *member) log() string {
	m.t.Helper()
	logs, err := m.Logs(m.ctx)
	must(m.t, err)
	defer logs.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(logs)
	must(m.t, err)
	return string(text)
}

// fetch returns a file of the disk, which must be there.
func fetch(ctx context.Context, t *testing.T, disk harness.Disk, path string) []byte {
	t.Helper()
	var content bytes.Buffer
	must(t, disk.Fetch(ctx, path, &content))
	return content.Bytes()
}
