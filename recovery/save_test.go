package recovery

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/harness"
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
		{"whole", [][]byte{page, digestBytes(page)}, orderly, nil},
		{"without its hash", [][]byte{page}, orderly, ErrNoHash},
		{"with a page missing", [][]byte{page, digestBytes(append(page, page...))}, orderly, ErrBadHash},
		{"begun twice", [][]byte{page, page, digestBytes(page)}, orderly, ErrBadHash},
		{"nothing", [][]byte{nil}, orderly, ErrEmpty},
		{"broken off", [][]byte{page, digestBytes(page)}, func(context.Context) error { return broken }, broken},
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
			var opts []FetchOption
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
			assertEmpty(t, dir)
		})
	}
}
