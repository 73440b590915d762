package runtimetest

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// files checks that a node finds its files, and that they are its own: not those of the node before it on the same disk, and
// nobody's once the site is closed.
func files(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	_, err := b.site.NewNode(b.ctx, harness.NodeSpec{
		Name: "odd", Disk: b.disk("odd"), Files: map[string][]byte{"../ca.pem": nil},
	})
	refused(t, "a file whose name is a path", err)

	first := b.secureCluster(secureBirth{size: 1})
	m := first.Members()[0]
	must(t, m.AwaitReady(b.ctx, first.ID(), patience))
	_, err = m.Stop(b.ctx, patience)
	must(t, err)
	must(t, m.Start(b.ctx)) // again with the same files
	must(t, m.AwaitReady(b.ctx, first.ID(), patience))
	kept, err := first.Keep(m.Name())
	must(t, err)
	_, err = m.Stop(b.ctx, patience)
	must(t, err)

	second := b.secureCluster(secureBirth{size: 1, layout: first.Layout(), kept: kept, generation: 2})
	must(t, second.Members()[0].AwaitReady(b.ctx, first.ID(), patience)) // a client of its own authority
	stranger, err := second.Members()[0].Endpoint(b.ctx)
	must(t, err)
	refused(t, "a client of the authority before", read(b.ctx, stranger.Client, first.Access().To(m.Name()), refusedWithin))

	must(t, b.site.Close(b.ctx, true))
	must(t, filepath.WalkDir(b.run.WorkDir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("PRIVATE KEY")) {
			t.Errorf("a key was kept: %s", path)
		}
		return err
	}))
}

// secure starts a cluster that speaks TLS to peers and clients, keeps its logs apart from its data, and takes nobody without a
// certificate of its authority. One of its members comes back elsewhere.
func secure(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	cluster := b.secureCluster(secureBirth{size: 2, separateWAL: true})
	must(t, cluster.AwaitReady(b.ctx, patience))
	prepared, err := rt.Prepare(b.ctx, "")
	must(t, err)
	bare, err := harness.NewSecurity("another")
	must(t, err)
	foreign, err := bare.Client("root")
	must(t, err)
	for _, m := range cluster.Members() {
		endpoint, err := m.Endpoint(b.ctx)
		must(t, err)
		own := cluster.Access()
		must(t, read(b.ctx, endpoint.Client, own.To(m.Name()), time.Second)) // the control for what is refused
		refused(t, "a client that takes the member for another", read(b.ctx, endpoint.Client, own.To("m9"), refusedWithin))
		own.TLS = foreign
		refused(t, "a client of another authority", read(b.ctx, endpoint.Client, own.To(m.Name()), refusedWithin))
		refused(t, "a client without TLS", read(b.ctx, "http"+endpoint.Client[len("https"):], harness.Access{}, refusedWithin))
		asked(b, m, prepared.Version, map[identity.ClusterID]int{
			cluster.ID(): http.StatusBadRequest, cluster.ID() + 1: http.StatusPreconditionFailed,
		})
		if err := m.Disk().Fetch(b.ctx, firstLog, &bytes.Buffer{}); err == nil {
			t.Error("a log lies with the data")
		}
	}
	last := cluster.Members()[1]
	for _, m := range cluster.Members() {
		_, err := m.Stop(b.ctx, patience)
		must(t, err)
	}
	if log := fetch(b.ctx, t, last.Disk(), harness.WALName+"/"+filepath.Base(firstLog)); len(log) == 0 {
		t.Error("the separate log is empty")
	}
	returned, err := last.Return(b.ctx, b.site, last.Disk())
	must(t, err)
	condition := await.Condition{Name: "the returned member at its peer port", Within: patience}
	must(t, await.Until(b.ctx, condition, func(ctx context.Context) error {
		answer, err := returned.AskAsPeer(ctx, cluster.ID(), prepared.Version)
		if err == nil && answer.As != cluster.ID() {
			t.Errorf("the returned member is of cluster %s, not of %s", answer.As, cluster.ID())
		}
		return err
	}))
	_, err = returned.Kill(b.ctx)
	must(t, err)
}

// asked holds what the member answers to peer requests under these cluster IDs against the HTTP status that it must give.
func asked(b *bench, m *harness.Member, version string, want map[identity.ClusterID]int) {
	b.t.Helper()
	for id, status := range want {
		answer, err := m.AskAsPeer(b.ctx, id, version)
		must(b.t, err)
		if answer.Status != status {
			b.t.Errorf("a peer of cluster %s is answered with %d, want %d", id, answer.Status, status)
		}
	}
}

// secureBirth says which cluster with TLS to make: a new one of this size, or one that goes on.
type secureBirth struct {
	size        int
	separateWAL bool
	layout      harness.Layout
	kept        *harness.Kept
	generation  int
}

// secureCluster starts a cluster that speaks TLS under an authority of its own.
func (b *bench) secureCluster(spec secureBirth) *harness.Cluster {
	b.t.Helper()
	security, err := harness.NewSecurity(b.run.ID())
	must(b.t, err)
	if spec.kept == nil {
		spec.layout, err = harness.NewLayout(harness.Manner{TLS: true}.Places(b.site), spec.size, identity.FreshToken())
		must(b.t, err)
	}
	cluster, err := harness.Prepare(b.ctx, b.site, harness.Birth{
		Layout: spec.layout, Kept: spec.kept, Generation: spec.generation, Args: quick(),
		Security: security, SeparateWAL: spec.separateWAL,
	})
	must(b.t, err)
	must(b.t, cluster.Start(b.ctx))
	return cluster
}

// refusedWithin is how long a client tries that must not succeed: gRPC takes a refused handshake for a reason to try again.
const refusedWithin = 300 * time.Millisecond

// read makes one linearizable read.
func read(ctx context.Context, url string, access harness.Access, within time.Duration) error {
	client, err := harness.Dial(url, access)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the call has been answered by then
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err = client.Get(ctx, "any")
	return err
}
