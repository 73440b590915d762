package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// manyKeys is more than two pages and two messages hold.
const manyKeys = 2*maxPageKeys + 1

func startFilled(t *testing.T) *member {
	ctx := testContext(t)
	m := startMember(t)
	client := m.dial(t)
	var writers sync.WaitGroup
	for w := range 32 {
		writers.Go(func() {
			for i := w; i < manyKeys; i += 32 {
				if _, err := client.Put(ctx, manyKey(i), "v"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	return m
}

func manyKey(i int) string { return fmt.Sprintf("k%05d\x00\xff", i) }

// answering is a client whose streamed ranges are answered otherwise than by its member.
func (m *member) answering(t *testing.T, answer func(grpc.ClientStream) (grpc.ClientStream, error)) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{m.url},
		DialOptions: []grpc.DialOption{grpc.WithChainStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			stream, err := open(ctx, desc, conn, method, opts...)
			if err != nil || method != pb.KV_RangeStream_FullMethodName {
				return stream, err
			}
			return answer(stream)
		})},
	})
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// unable answers as a member of etcd 3.6 does.
func unable(grpc.ClientStream) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unknown method RangeStream for service etcdserverpb.KV")
}

// cut ends a stream after its first message, with this error.
func cut(cause error) func(grpc.ClientStream) (grpc.ClientStream, error) {
	return func(stream grpc.ClientStream) (grpc.ClientStream, error) {
		return &cutStream{ClientStream: stream, cause: cause}, nil
	}
}

type cutStream struct {
	grpc.ClientStream
	cause error
	came  int
}

// RecvMsg implements grpc.ClientStream.
func (s *cutStream) RecvMsg(message any) error {
	if s.came++; s.came > 1 {
		return s.cause
	}
	return s.ClientStream.RecvMsg(message)
}

// TestReadBackLosesNoKey reads the same member as a stream and page by page.
func TestReadBackLosesNoKey(t *testing.T) {
	m := startFilled(t)
	for name, client := range map[string]*clientv3.Client{"stream": m.dial(t), "pages": m.answering(t, unable)} {
		t.Run(name, func(t *testing.T) {
			v, err := readBack(testContext(t), client, manyKeys+1, 0)
			check(t, err)
			for i, p := range v.pairs {
				if string(p.Key) != manyKey(i) {
					t.Fatalf("key %d is %q", i, p.Key)
				}
			}
			if v.Keys != manyKeys || v.Records != manyKeys || v.MemberID == 0 {
				t.Errorf("%d keys and %d records instead of %d, of member %s", v.Keys, v.Records, manyKeys, v.MemberID)
			}
		})
	}
}

// TestReadBackDemandsAllKeys has the answer end early, and the receiver fail in its midst.
func TestReadBackDemandsAllKeys(t *testing.T) {
	ctx, m := testContext(t), startFilled(t)
	gone := status.Error(codes.Internal, "gone")
	clients := map[string]*clientv3.Client{
		"before all keys": m.answering(t, cut(io.EOF)), "gone": m.answering(t, cut(gone)),
		"disk full": m.dial(t), "no space": m.answering(t, unable),
	}
	for _, client := range clients { // their connections stay
		_, err := client.Get(ctx, "x")
		check(t, err)
	}
	before := goleak.IgnoreCurrent()
	for want, client := range clients {
		kept := 0
		_, err := ReadBack(ctx, client, ReadSpec{Revision: manyKeys + 1, DigestKey: digestKey(), Keyspace: func(ledger.Pair) error {
			if kept++; kept > 20 { // while more is on its way
				return errors.New(want)
			}
			return nil
		}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	goleak.VerifyNone(t, before)
}
