package harness

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// server is an etcd of this process, of a cluster of its own.
type server struct {
	url     string
	cluster identity.ClusterID
}

func startServer(t *testing.T, token string) *server {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync, config.InitialClusterToken = t.TempDir(), "fatal", true, token
	anyPort, advertised := url.URL{Scheme: "http", Host: "127.0.0.1:0"}, url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{anyPort}, []url.URL{anyPort}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = []url.URL{advertised}, []url.URL{advertised}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	return &server{
		url: "http://" + etcd.Clients[0].Addr().String(), cluster: identity.ClusterID(etcd.Server.Cluster().ID()),
	}
}

func dial(t *testing.T, clientURL string, access Access) *clientv3.Client {
	t.Helper()
	client, err := Dial(clientURL, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// calls are one call of every kind that a drill makes, streams included. Each returns what became of it.
func calls() map[string]func(context.Context, *clientv3.Client) error {
	return map[string]func(context.Context, *clientv3.Client) error{
		"get":     func(ctx context.Context, c *clientv3.Client) error { return second(c.Get(ctx, "k")) },
		"put":     func(ctx context.Context, c *clientv3.Client) error { return second(c.Put(ctx, "k", "v")) },
		"txn":     func(ctx context.Context, c *clientv3.Client) error { return second(c.Txn(ctx).Commit()) },
		"grant":   func(ctx context.Context, c *clientv3.Client) error { return second(c.Grant(ctx, 60)) },
		"leases":  func(ctx context.Context, c *clientv3.Client) error { return second(c.Leases(ctx)) },
		"members": func(ctx context.Context, c *clientv3.Client) error { return second(c.MemberList(ctx)) },
		"alarms":  func(ctx context.Context, c *clientv3.Client) error { return second(c.AlarmList(ctx)) },
		"auth":    func(ctx context.Context, c *clientv3.Client) error { return second(c.AuthStatus(ctx)) },
		"status":  func(ctx context.Context, c *clientv3.Client) error { return second(c.Status(ctx, c.Endpoints()[0])) },
		"hash":    func(ctx context.Context, c *clientv3.Client) error { return second(c.HashKV(ctx, c.Endpoints()[0], 0)) },
		"defragment": func(ctx context.Context, c *clientv3.Client) error {
			return second(c.Defragment(ctx, c.Endpoints()[0]))
		},
		"raw grant": func(ctx context.Context, c *clientv3.Client) error {
			return second(pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60}))
		},
		"watch": func(ctx context.Context, c *clientv3.Client) error {
			resp := <-c.Watch(ctx, "k", clientv3.WithCreatedNotify())
			return resp.Err()
		},
		"snapshot": func(ctx context.Context, c *clientv3.Client) error {
			stream, err := c.Snapshot(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = stream.Close() }()
			_, err = io.Copy(io.Discard, stream)
			return err
		},
	}
}

func second[T any](_ T, err error) error { return err }

func TestNoAnswerOfAnotherClusterIsTaken(t *testing.T) {
	old := startServer(t, "old")
	for name, call := range calls() {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := call(ctx, dial(t, old.url, Access{Cluster: old.cluster})); err != nil {
				t.Errorf("of the cluster that was asked: %v", err)
			}
			if err := call(ctx, dial(t, old.url, Access{})); err != nil {
				t.Errorf("of any cluster: %v", err)
			}
			if err := call(ctx, dial(t, old.url, Access{Cluster: old.cluster + 1})); !errors.Is(err, ErrForeignCluster) {
				t.Errorf("got %v of another cluster", err)
			}
		})
	}
}

// etcd's own client goes on with whoever comes up at the old address.
func TestANewClusterAtTheOldAddressIsNotTakenForTheOldOne(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	old, reborn := startServer(t, "old"), startServer(t, "new")
	street := newStreet(t)
	street.move(old)
	client, naive := dial(t, street.url(), Access{Cluster: old.cluster}), dial(t, street.url(), Access{})
	watching := client.Watch(ctx, "k", clientv3.WithCreatedNotify())
	if resp := <-watching; !resp.Created || resp.Err() != nil {
		t.Fatalf("the watch was not created: %+v", resp)
	}
	street.move(reborn)

	if resp := <-watching; !errors.Is(resp.Err(), ErrForeignCluster) {
		t.Errorf("the watch got %+v, %v", resp, resp.Err())
	}
	if _, err := client.Put(ctx, "k", "v"); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("got %v for a put", err)
	}
	answer, err := naive.Get(ctx, "k")
	if err != nil || identity.ClusterID(answer.Header.ClusterId) != reborn.cluster {
		t.Errorf("the control got %v, %v", answer, err)
	}
}

// A snapshot does not say whose it is. The server changes here between the question who is there and the snapshot.
func TestASnapshotOfAnotherClusterIsNotTaken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	old, reborn := startServer(t, "old"), startServer(t, "new")
	street := newStreet(t)
	street.move(old)
	moves := 0
	move := func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		street.move(reborn)
		conn.WaitForStateChange(ctx, connectivity.Ready) // a stream that begins on the old connection would be repeated
		moves++
		return open(ctx, desc, conn, method, append(opts, grpc.WaitForReady(true))...)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{street.url()}, Logger: zap.NewNop(),
		DialOptions: append(Access{Cluster: old.cluster}.interceptors(), grpc.WithChainStreamInterceptor(move)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := calls()["snapshot"](ctx, client); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("got %v", err)
	}
	if moves != 1 {
		t.Errorf("the snapshot was begun %d times", moves)
	}
}

// street is an address at which now one server lives and then another.
type street struct {
	listener net.Listener
	mu       sync.Mutex
	resident string
	open     []net.Conn
}

func newStreet(t *testing.T) *street {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &street{listener: listener}
	t.Cleanup(func() {
		_ = listener.Close()
		s.move(&server{})
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.connect(conn)
		}
	}()
	return s
}

func (s *street) url() string { return "http://" + s.listener.Addr().String() }

// move ends all connections and sends later ones to that server.
func (s *street) move(to *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resident = strings.TrimPrefix(to.url, "http://")
	for _, conn := range s.open {
		_ = conn.Close()
	}
	s.open = nil
}

func (s *street) connect(from net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to, err := net.Dial("tcp", s.resident)
	if err != nil {
		_ = from.Close()
		return
	}
	s.open = append(s.open, from, to)
	go func() { _, _ = io.Copy(to, from) }()
	go func() { _, _ = io.Copy(from, to) }()
}

// lateAuth is an etcd whose own clock ends a login a moment before the client's does.
type lateAuth struct{ pb.UnimplementedAuthServer }

func (lateAuth) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded")
}

func TestALoginThatGetsNoAnswerEndsAtADeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterAuthServer(server, lateAuth{})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	defer server.Stop()
	client, err := Dial("http://"+listener.Addr().String(), Access{Login: Login{User: "root", Password: "secret"}})
	if client != nil || !errors.Is(err, ErrNoLogin) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", client, err)
	}
	if err == nil || !strings.Contains(err.Error(), "as root") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error does not say who, or says too much: %v", err)
	}
}
