package fetch

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// badServer streams a snapshot of its own making. No real server can be made to lie in these ways at will.
type badServer struct {
	pb.UnimplementedMaintenanceServer
	blobs [][]byte
	end   func(context.Context) error
}

func (s *badServer) Snapshot(_ *pb.SnapshotRequest, stream grpc.ServerStreamingServer[pb.SnapshotResponse]) error {
	for _, blob := range s.blobs {
		if err := stream.Send(&pb.SnapshotResponse{Blob: blob}); err != nil {
			return err
		}
	}
	return s.end(stream.Context())
}

func TestSaveTrustsNoStream(t *testing.T) {
	page := bytes.Repeat([]byte("x"), 4096)
	orderly := func(context.Context) error { return nil }
	broken := status.Error(codes.DataLoss, "broken")
	frozen := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	cases := []struct {
		name  string
		blobs [][]byte
		end   func(context.Context) error
		want  error
	}{
		{"whole", [][]byte{page, recoverytest.DigestBytes(page)}, orderly, nil},
		{"without its hash", [][]byte{page}, orderly, recovery.ErrNoHash},
		{"with a page missing", [][]byte{page, recoverytest.DigestBytes(append(page, page...))}, orderly, recovery.ErrBadHash},
		{"begun twice", [][]byte{page, page, recoverytest.DigestBytes(page)}, orderly, recovery.ErrBadHash},
		{"nothing", [][]byte{nil}, orderly, recovery.ErrEmpty},
		{"broken off", [][]byte{page, recoverytest.DigestBytes(page)}, func(context.Context) error { return broken }, broken},
		{"frozen", [][]byte{page}, frozen, context.DeadlineExceeded},
		{"frozen for longer than the stall limit", [][]byte{page, page}, frozen, ErrStalled},
		{"frozen from the start", nil, frozen, ErrStalled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			pb.RegisterMaintenanceServer(server, &badServer{blobs: c.blobs, end: c.end})
			go func() { _ = server.Serve(listener) }() // ends with Stop
			defer server.Stop()
			client, err := harness.Dial("http://"+listener.Addr().String(), harness.Access{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			dir := t.TempDir()
			var opts []Option
			if c.want == ErrStalled { //nolint:errorlint // one of the table's own
				opts = append(opts, WithStallLimit(100*time.Millisecond))
			}
			_, err = Save(ctx, client, filepath.Join(dir, "snapshot"), opts...)
			if c.want == nil {
				if err != nil {
					t.Errorf("got %v for a good stream", err)
				}
				return
			}
			//nolint:errorlint // c.want is one of the table's own
			if !errors.Is(err, c.want) && (c.want != broken || status.Code(err) != codes.DataLoss) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			recoverytest.AssertEmpty(t, dir)
		})
	}
}

func TestSaveLeavesNothingBehindWhenItFails(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, _ := recoverytest.StartSingle(t, ctx)
	dir := t.TempDir()
	path := filepath.Join(dir, "snapshot")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Save(ended, server.Client, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from an ended context", err)
	}
	recoverytest.AssertEmpty(t, dir)
	server.Stop()
	gone, err := harness.Dial("http://"+recoverytest.FreeAddress(t), harness.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gone.Close() }()
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := Save(soon, gone, path); err == nil {
		t.Error("a snapshot of nobody was saved")
	}
	recoverytest.AssertEmpty(t, dir)
	gone.SetEndpoints("http://127.0.0.1:1", "http://127.0.0.1:2")
	if _, err := Save(ctx, gone, path); err == nil || !strings.Contains(err.Error(), "2 endpoints") {
		t.Errorf("got %v for two endpoints", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(ctx, server.Client, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v for a path that is taken", err)
	}
}

func TestCopyLeavesNothingBehindWhenItFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := Copy(t.Context(), recoverytest.Disk{Dir: t.TempDir()}, filepath.Join(dir, "db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a disk without a db", err)
	}
	recoverytest.AssertEmpty(t, dir)
}

func TestWhatIsStoredIsWhatTheMemberHas(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, _ := recoverytest.StartSingle(t, ctx)
	recoverytest.Fill(t, ctx, server.Client, 60)
	saved, copied := filepath.Join(t.TempDir(), "saved snapshot.db"), filepath.Join(t.TempDir(), "copy.db")
	var progress int64
	stored, err := Save(ctx, server.Client, saved, WithProgress(func(n int64) { progress = n }))
	if err != nil {
		t.Fatal(err)
	}
	if stored.SizeBytes != progress || stored.SizeBytes == 0 || stored.ServerVersion == "" ||
		stored.SHA256 != recoverytest.DigestOf(t, saved) {
		t.Errorf("saved %+v, last progress %d, the file has digest %s", stored, progress, recoverytest.DigestOf(t, saved))
	}
	server.Stop()
	stored, err = Copy(ctx, recoverytest.Disk{Dir: server.Dir}, copied)
	if err != nil {
		t.Fatal(err)
	}
	if own := recoverytest.DigestOf(t, filepath.Join(server.Dir, blob.DBFile)); stored.SHA256 != own || recoverytest.DigestOf(t,
		copied) != own {
		t.Errorf("copied %+v, the member's database has digest %s, the copy %s", stored, own, recoverytest.DigestOf(t, copied))
	}
}
