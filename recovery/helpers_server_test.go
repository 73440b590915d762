package recovery

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/loopback"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// testServer is one etcd of this process.
type testServer struct {
	dir    string
	client *clientv3.Client
	etcd   *embed.Etcd
	closed bool
}

// startServer starts an etcd. A name and a peer URL of a restored layout may be given; then initial is its cluster.
func startServer(t *testing.T, dir string, seat harness.Seat, initial string) *testServer {
	t.Helper()
	return startServerWith(t, dir, seat, initial, func(*serverConfig) {})
}

// serverConfig is etcd's own.
type serverConfig = embed.Config

func startServerWith(t *testing.T, dir string, seat harness.Seat, initial string, change func(*serverConfig)) *testServer {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.Name, config.LogLevel, config.UnsafeNoFsync = dir, seat.Name, "fatal", true
	peer := testURL(t, seat.PeerURL)
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	client := testURL(t, "http://"+freeAddress(t))
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.InitialCluster = initial
	if apart := filepath.Join(dir, harness.WALName); exists(apart) {
		config.WalDir = apart
	}
	change(config)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	server := &testServer{dir: dir, etcd: etcd}
	t.Cleanup(server.stop)
	server.client, err = harness.Dial(client.String(), harness.Access{})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *testServer) awaitReady(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-ctx.Done():
		t.Fatal("etcd is not ready: ", ctx.Err())
	}
}

func (s *testServer) stop() {
	if s.closed {
		return
	}
	s.closed = true
	if s.client != nil {
		_ = s.client.Close()
	}
	s.etcd.Close()
}

// startSingle starts a cluster of one and returns it with its layout.
func startSingle(t *testing.T, ctx context.Context) (*testServer, harness.Layout) {
	t.Helper()
	layout := testLayout(t, 1)
	server := startServer(t, t.TempDir(), layout.Seats[0], layout.InitialCluster())
	server.awaitReady(t, ctx)
	return server, layout
}

func testLayout(t *testing.T, size int) harness.Layout {
	t.Helper()
	layout := harness.Layout{Token: "etcd-cluster"}
	for i := range size {
		seat := harness.Seat{Name: fmt.Sprintf("m%d", i+1), PeerURL: "http://" + freeAddress(t)}
		layout.Seats = append(layout.Seats, seat)
	}
	return layout
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func testURL(t *testing.T, text string) url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return *parsed
}

// dirDisk is the harness.Disk of a data directory of this machine; Copy needs no more than Fetch.
type dirDisk struct {
	harness.Disk
	dir string
}

func (d dirDisk) Fetch(_ context.Context, path string, w io.Writer) error {
	file, err := os.Open(filepath.Join(d.dir, path))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(w, file)
	return err
}
