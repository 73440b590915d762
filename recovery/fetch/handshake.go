package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// dial makes a client of one endpoint. It knocks first: the client would try again and again, and only say that the connection
// failed.
func (l Living) dial(ctx context.Context, endpoint string, cluster identity.ClusterID) (*clientv3.Client, error) {
	if err := knock(ctx, endpoint, l.settings(endpoint)); err != nil {
		return nil, err
	}
	return harness.Dial(endpoint, harness.Access{Cluster: cluster, Login: l.Login, TLS: l.settings(endpoint)})
}

// settings are those of TLS for an endpoint: none for plain text, and the system's authorities where nobody named one.
func (l Living) settings(endpoint string) *tls.Config {
	switch {
	case !strings.HasPrefix(endpoint, secureScheme):
		return nil
	case l.TLS == nil:
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return l.TLS.Clone()
}

const secureScheme = "https://"

// alertWithin is how long an endpoint may take to refuse a certificate after the handshake, which TLS 1.3 has it do. One that has
// nothing against it speaks first, too: HTTP/2 opens with the settings of the server.
const alertWithin = time.Second

// errNoTLS means that the other side ended a handshake without a word of TLS.
var errNoTLS = errors.New("it speaks no TLS")

// knock connects, and shakes hands where there are settings for it.
func knock(ctx context.Context, endpoint string, config *tls.Config) error {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	if config == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", parsed.Host)
		if err == nil {
			_ = conn.Close() // nothing was sent
		}
		return err
	}
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", parsed.Host)
	if errors.Is(err, io.EOF) || errors.As(err, new(tls.RecordHeaderError)) {
		return errNoTLS
	}
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	if err := conn.SetReadDeadline(time.Now().Add(alertWithin)); err != nil {
		return err
	}
	var first [1]byte
	_, err = conn.Read(first[:])
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Op == remoteAlert {
		return err
	}
	return nil
}

// remoteAlert is how crypto/tls marks an alert of the other side (conn.go, readRecordOrCCS); it has no exported type.
const remoteAlert = "remote error"

// explain puts into one line what a person can do something about.
func (l Living) explain(ctx context.Context, endpoint string, err error) error {
	err = asEtcds(err)
	var verification *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &verification):
		return fmt.Errorf("%w: %w; see that --cacert is the authority of the cluster, and that the endpoint is a name in the certificate",
			ErrUntrusted, verification.Err)
	case errors.Is(err, errNoTLS):
		return fmt.Errorf("%w: %w; write http:// instead of https://", ErrUnreachable, errNoTLS)
	case errors.As(err, &op) && op.Op == remoteAlert:
		return fmt.Errorf("%w: %w; see that --cert and --key are of a client that the cluster trusts", ErrUnwelcome, op.Err)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: etcd says that the name or the password of %s is wrong", ErrLogin, l.Login.User)
	case errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrInvalidAuthToken):
		return fmt.Errorf("%w: authentication is on; give --user, or the certificate of a client whose common name is a user", ErrLogin)
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserNotFound), errors.Is(err, rpctypes.ErrRoleNotFound):
		return fmt.Errorf("%w: only a user with the role root may save a snapshot: %w", ErrLogin, err)
	case !strings.HasPrefix(endpoint, secureScheme) && speaksTLS(ctx, endpoint):
		return fmt.Errorf("%w: it speaks TLS; write https:// instead of http://, and give --cacert", ErrUnreachable)
	case errors.Is(context.Cause(ctx), ErrUnreachable):
		return fmt.Errorf("%w; see that it is the URL for clients and not the one for peers, and that its member is not frozen",
			context.Cause(ctx))
	case errors.As(err, &op):
		return fmt.Errorf("%w: %w; see that the endpoint is right and can be reached from here", ErrUnreachable, op)
	case status.Code(err) == codes.Unavailable:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// speaksTLS tells whether the endpoint of plain text answers a handshake, whoever it is. The context of the question may have ended.
func speaksTLS(ctx context.Context, endpoint string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), alertWithin)
	defer cancel()
	//nolint:gosec // nothing is said or believed
	err := knock(ctx, endpoint, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	var refused *net.OpError
	return err == nil || errors.As(err, &refused) && refused.Op == remoteAlert
}

// asEtcds makes errors.Is know etcd's own errors, which the client leaves as they are where they end a stream.
func asEtcds(err error) error {
	var remote interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &remote) {
		return err
	}
	plain := remote.GRPCStatus().Err()
	if known := rpctypes.Error(plain); known != plain { //nolint:errorlint // whether it is the very same
		return fmt.Errorf("%w: %w", known, err)
	}
	return err
}
