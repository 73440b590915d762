package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority("a run")
	return must(t, a, err)
}

// meet has a client call a server over TLS, both of whom check the other, and returns how that ended for each.
func meet(t *testing.T, serving *tls.Config, calling *tls.Config) (server, client error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", serving)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nobody waits for it
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = errors.Join(conn.(*tls.Conn).Handshake(), conn.Close())
		}
		served <- err
	}()
	conn, client := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", listener.Addr().String(), calling)
	if client == nil {
		_ = conn.Close()
	}
	return <-served, client
}

func serverConfig(t *testing.T, trusts *Authority, pair Pair) *tls.Config {
	t.Helper()
	shown, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusts.Certificate()) {
		t.Fatal("the authority's certificate is no PEM")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{must(t, shown, err)}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, // in 1.3 a client does not wait for the server's word
	}
}

func TestMembersAndClientsKnowEachOther(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	member := func(a *Authority, hosts ...string) Pair {
		pair, err := a.Member("m1", hosts...)
		return must(t, pair, err)
	}
	client := func(a *Authority) Pair {
		pair, err := a.Client("root")
		return must(t, pair, err)
	}
	m1 := member(ours, "m1", "127.0.0.1")
	var unknown x509.UnknownAuthorityError
	var misnamed x509.HostnameError
	for _, c := range []struct {
		name           string
		serves         Pair
		shows          Pair
		trusts, calls  *Authority // whom the server and the client trust
		host           string
		server, client any // the kinds of errors; nil for none
	}{
		{"its name", m1, client(ours), ours, ours, "m1", nil, nil},
		{"its address", m1, client(ours), ours, ours, "127.0.0.1", nil, nil},
		{"a peer", m1, member(ours, "m2"), ours, ours, "m1", nil, nil},
		{"another name", m1, client(ours), ours, ours, "m2", errors.ErrUnsupported, &misnamed},
		{"another address", m1, client(ours), ours, ours, "127.0.0.2", errors.ErrUnsupported, &misnamed},
		{"a server of another run", member(theirs, "m1"), client(ours), ours, ours, "m1", errors.ErrUnsupported, &unknown},
		{"a client of another run", m1, client(theirs), ours, ours, "m1", &unknown, errors.ErrUnsupported},
		{"a client that serves", client(ours), client(ours), ours, ours, "root", errors.ErrUnsupported, errors.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			calling, err := c.calls.ClientConfig(c.shows)
			must(t, calling, err)
			calling.ServerName = c.host
			server, client := meet(t, serverConfig(t, c.trusts, c.serves), calling)
			for side, got := range map[string]struct {
				err  error
				want any
			}{"server": {server, c.server}, "client": {client, c.client}} {
				switch want := got.want.(type) {
				case nil:
					if got.err != nil {
						t.Errorf("the %s refused: %v", side, got.err)
					}
				case error: // any error will do
					if got.err == nil {
						t.Errorf("the %s refused nothing", side)
					}
				default:
					if !errors.As(got.err, want) {
						t.Errorf("the %s ended with %v, want a %T", side, got.err, want)
					}
				}
			}
		})
	}
}

// etcd takes a client's name from the certificate and, where the certificate names hosts, holds the address against them.
func TestAClientCertificateNamesAUserAndNoHost(t *testing.T) {
	a := newAuthority(t)
	pair, err := a.Client("root")
	shown, err := tls.X509KeyPair(must(t, pair, err).Certificate, pair.Key)
	leaf := must(t, shown, err).Leaf
	if leaf.Subject.CommonName != "root" || len(leaf.DNSNames)+len(leaf.IPAddresses) > 0 {
		t.Errorf("the certificate is of %q, for %v %v", leaf.Subject.CommonName, leaf.DNSNames, leaf.IPAddresses)
	}
	if _, err := a.Member("m1"); err == nil || !strings.Contains(err.Error(), "m1") {
		t.Errorf("a member without a host got a certificate: %v", err)
	}
}

func TestCertificatesAreGoodForARunAndNotForLong(t *testing.T) {
	a := newAuthority(t)
	pair, err := a.Client("someone")
	shown, err := tls.X509KeyPair(must(t, pair, err).Certificate, pair.Key)
	leaf := must(t, shown, err).Leaf
	now := time.Now()
	begun, lasts := leaf.NotBefore.Before(now.Add(-time.Minute)), leaf.NotAfter.Sub(now)
	if !begun || lasts < 24*time.Hour || lasts > 31*24*time.Hour {
		t.Errorf("the certificate is good from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	if _, err := a.ClientConfig(Pair{Certificate: pair.Certificate, Key: []byte("no key")}); err == nil {
		t.Error("a pair without a key was taken")
	}
}
