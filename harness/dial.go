package harness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Access says whose answers a client takes, and as whom it asks.
type Access struct {
	// Cluster is the one cluster whose answers are taken. etcd's own client looks at no ID: after a restore it goes on with
	// the new cluster at the old address without a word (etcd issue 1225).
	Cluster identity.ClusterID
	Login   Login
	// TLS holds the certificate that is shown and the authority that is trusted; nil for plain text. The addresses of members
	// change with every start, so it is their names that are held against their certificates, see To.
	TLS *tls.Config
}

// To returns the access to the member of this name: over TLS, a server whose certificate does not name it is refused.
func (a Access) To(member string) Access {
	if a.TLS != nil {
		a.TLS = a.TLS.Clone()
		a.TLS.ServerName = member
	}
	return a
}

// Login is a user of etcd with its password. The zero value is nobody. It may be given before authentication is switched on.
type Login struct{ User, Password string }

// AnyCluster as Access.Cluster is for callers that look at the headers themselves.
const AnyCluster identity.ClusterID = 0

// ErrForeignCluster marks an answer that came from another cluster than the one that was asked. What was asked may have been
// done there.
var ErrForeignCluster = errors.New("the answer is of another cluster")

// ErrNoLogin marks a login that etcd has refused or not answered. It reads and writes through raft to check a password
// (server/etcdserver/v3_server.go, Authenticate), and so answers nobody where the quorum is lost.
var ErrNoLogin = errors.New("no login")

// loginWithin bounds the login, which needs a quorum and has no limit of its own.
const loginWithin = 3 * time.Second

// Dial returns a client of the one server at this URL that never repeats a request by itself. It does not wait for the
// connection, unless there is a login. While the server is not there yet it tries again every fraction of a second: gRPC's
// own pause of a second and more would be measured as the server's.
//
// A login that failed is an error wrapping ErrNoLogin.
func Dial(clientURL string, access Access) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:       []string{clientURL},
		MaxUnaryRetries: 1,
		Username:        access.Login.User,
		Password:        access.Login.Password,
		DialTimeout:     loginWithin,
		TLS:             access.TLS,
		Logger:          zap.NewNop(),
		DialOptions: append(access.options(), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 250 * time.Millisecond},
			MinConnectTimeout: time.Second,
		})),
	})
	if err != nil && access.Login.Password != "" {
		if status.Code(err) == codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err) // the server noticed it first
		}
		return nil, fmt.Errorf("%w as %s: %w; a login with a password needs a quorum, a client certificate of that name does not",
			ErrNoLogin, access.Login.User, err)
	}
	return client, err
}

// windowBytes is how much a server may send before somebody takes it. gRPC begins with 64 KiB and widens that round trip by round trip,
// in which a member that streams its keys waits for this side; they come in messages of a megabyte and more.
const windowBytes = 4 << 20

// options are those of gRPC for this access.
func (a Access) options() []grpc.DialOption {
	options := append(a.interceptors(), grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes))
	if a.TLS != nil && a.TLS.ServerName != "" {
		// etcd's client hands gRPC every endpoint with its own host as the name to verify (client/v3/internal/resolver), which
		// takes the place of the one in the settings.
		options = append(options, grpc.WithAuthority(a.TLS.ServerName))
	}
	return options
}

// interceptors hold every answer against the cluster, below all that the client makes of it.
func (a Access) interceptors() []grpc.DialOption {
	if a.Cluster == AnyCluster {
		return nil
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(a.call), grpc.WithChainStreamInterceptor(a.open)}
}

// call is a grpc.UnaryClientInterceptor.
func (a Access) call(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if headless(method) {
		if _, err := a.whoIsThere(ctx, conn); err != nil {
			return err
		}
	}
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return err
	}
	return a.check(method, reply)
}

// open is a grpc.StreamClientInterceptor.
func (a Access) open(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	checked := &checkedStream{access: a, method: method}
	var err error
	if headless(method) {
		checked.ask = func() (identity.MemberID, error) { return a.whoIsThere(ctx, conn) }
		if checked.member, err = checked.ask(); err != nil {
			return nil, err
		}
	}
	checked.ClientStream, err = stream(ctx, desc, conn, method, opts...)
	return checked, err
}

// headless tells of methods whose responses etcd sends without a header (server/etcdserver/api/v3rpc/maintenance.go). Who
// answers them must be asked beside them.
func headless(method string) bool {
	switch method {
	case pb.Maintenance_Snapshot_FullMethodName, pb.Maintenance_Defragment_FullMethodName, pb.Maintenance_MoveLeader_FullMethodName:
		return true
	}
	return false
}

// whoIsThere asks the server for its IDs; its answer is checked like all others.
func (a Access) whoIsThere(ctx context.Context, conn *grpc.ClientConn) (identity.MemberID, error) {
	status, err := pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return 0, fmt.Errorf("ask who answers: %w", err)
	}
	return identity.MemberID(status.GetHeader().GetMemberId()), nil
}

// check holds the header of a response against the cluster. Responses of other services than etcd's own have none.
func (a Access) check(method string, response any) error {
	headed, ok := response.(interface{ GetHeader() *pb.ResponseHeader })
	if !ok || headless(method) {
		return nil
	}
	if got := identity.ClusterID(headed.GetHeader().GetClusterId()); got != a.Cluster {
		return fmt.Errorf("%w: %s was answered by member %s of cluster %s; cluster %s was asked", ErrForeignCluster, method,
			identity.MemberID(headed.GetHeader().GetMemberId()), got, a.Cluster)
	}
	return nil
}

// checkedStream checks what it receives. Where messages have no header, the same member must be there at the beginning and
// at the end.
type checkedStream struct {
	grpc.ClientStream
	access Access
	method string
	ask    func() (identity.MemberID, error) // nil where messages have a header
	member identity.MemberID                 // who was there at the beginning
}

// RecvMsg implements grpc.ClientStream.
func (s *checkedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	switch {
	case err == nil:
		return s.access.check(s.method, message)
	case s.ask == nil || !errors.Is(err, io.EOF):
		return err
	}
	member, askErr := s.ask()
	if askErr == nil && member != s.member {
		askErr = fmt.Errorf("member %s began to answer %s, and member %s was there at its end", s.member, s.method, member)
	}
	if askErr != nil {
		return askErr
	}
	return err
}
