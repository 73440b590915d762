// Package recoverytest has a real etcd in this process, backups of it, and what there is to compare them with. Only tests import it.
package recoverytest

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

// Context ends with the test, and after two minutes at the latest.
func Context(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Server is one etcd of this process.
type Server struct {
	Dir    string
	Client *clientv3.Client
	etcd   *embed.Etcd
	closed bool
}

// Start starts an etcd. A name and a peer URL of a restored layout may be given; then initial is its cluster.
func Start(t *testing.T, dir string, seat harness.Seat, initial string) *Server {
	t.Helper()
	return StartWith(t, dir, seat, initial, func(*ServerConfig) {})
}

// ServerConfig is etcd's own.
type ServerConfig = embed.Config

// StartWith is Start with changed settings.
func StartWith(t *testing.T, dir string, seat harness.Seat, initial string, change func(*ServerConfig)) *Server {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.Name, config.LogLevel, config.UnsafeNoFsync = dir, seat.Name, "fatal", true
	peer := testURL(t, seat.PeerURL)
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	client := testURL(t, "http://"+FreeAddress(t))
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.InitialCluster = initial
	if apart := filepath.Join(dir, harness.WALName); Exists(apart) {
		config.WalDir = apart
	}
	change(config)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Dir: dir, etcd: etcd}
	t.Cleanup(server.Stop)
	server.Client, err = harness.Dial(client.String(), harness.Access{})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Exists tells whether there is something at a path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// AwaitReady waits until it serves.
func (s *Server) AwaitReady(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-ctx.Done():
		t.Fatal("etcd is not ready: ", ctx.Err())
	}
}

// Stop ends it. It may be called again.
func (s *Server) Stop() {
	if s.closed {
		return
	}
	s.closed = true
	if s.Client != nil {
		_ = s.Client.Close()
	}
	s.etcd.Close()
}

// StartSingle starts a cluster of one and returns it with its layout.
func StartSingle(t *testing.T, ctx context.Context) (*Server, harness.Layout) {
	t.Helper()
	layout := Layout(t, 1)
	server := Start(t, t.TempDir(), layout.Seats[0], layout.InitialCluster())
	server.AwaitReady(t, ctx)
	return server, layout
}

// Layout has this many members, on addresses that are free.
func Layout(t *testing.T, size int) harness.Layout {
	t.Helper()
	layout := harness.Layout{Token: "etcd-cluster"}
	for i := range size {
		seat := harness.Seat{Name: fmt.Sprintf("m%d", i+1), PeerURL: "http://" + FreeAddress(t)}
		layout.Seats = append(layout.Seats, seat)
	}
	return layout
}

// FreeAddress is one of this machine that nobody listens on.
func FreeAddress(t *testing.T) string {
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

// Disk is the harness.Disk of a data directory of this machine; fetch.Copy needs no more than Fetch.
type Disk struct {
	harness.Disk
	Dir string
}

// Fetch implements harness.Disk.
func (d Disk) Fetch(_ context.Context, path string, w io.Writer) error {
	file, err := os.Open(filepath.Join(d.Dir, path))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(w, file)
	return err
}
