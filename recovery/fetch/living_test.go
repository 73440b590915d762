package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/pki"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/offlinetest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestASnapshotIsTakenFromTheMemberThatItCostsLeast(t *testing.T) {
	leader := Vantage{Endpoint: "a", Name: "m1", Leader: true, Led: true, Applied: 50_000}
	follower := Vantage{Endpoint: "b", Name: "m2", Led: true, Applied: 49_900}
	ahead := Vantage{Endpoint: "c", Name: "m3", Led: true, Applied: 50_000}
	lagging := Vantage{Endpoint: "c", Name: "m3", Led: true, Applied: 10_000}
	learner := Vantage{Endpoint: "c", Name: "m3", Led: true, Learner: true, Applied: 50_000}
	ill := Vantage{Endpoint: "c", Name: "m3", Led: true, Errors: []string{"memberID:5 alarm:NOSPACE"}, Applied: 50_000}
	lost := Vantage{Endpoint: "c", Name: "m3", Applied: 49_000}
	mute := Vantage{Endpoint: "d", Fault: "ask d: no answer within 5s"}
	for name, c := range map[string]struct {
		all  []Vantage
		want string
		says string
	}{
		"a follower before the leader":      {[]Vantage{leader, follower}, "b", "m1 (a): the leader"},
		"the follower that has the most":    {[]Vantage{leader, follower, ahead}, "c", "m2 (b): as good"},
		"no follower that lags":             {[]Vantage{leader, lagging}, "a", "m3 (c): it lags by 40000 entries"},
		"no learner":                        {[]Vantage{leader, learner}, "a", "m3 (c): a learner"},
		"nobody with an alarm":              {[]Vantage{leader, ill}, "a", "NOSPACE"},
		"nobody who knows no leader":        {[]Vantage{leader, lost}, "a", "it knows no leader"},
		"whoever is left":                   {[]Vantage{lost, mute}, "c", "d: ask d: no answer within 5s"},
		"the most advanced of what is left": {[]Vantage{lost, ill}, "c", ""},
		"one alone":                         {[]Vantage{leader}, "a", "the leader: no follower that was named"},
	} {
		best, why, err := Choose(c.all)
		if err != nil || best.Endpoint != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s, because it is %q, %v", name, best.Endpoint, why, err)
		}
	}
	if _, _, err := Choose([]Vantage{mute}); !errors.Is(err, ErrNoVantage) {
		t.Error(err)
	}
}

func TestALivingMemberIsAskedAndSaved(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, layout := recoverytest.StartSingle(t, ctx)
	recoverytest.Fill(t, ctx, server.Client, 60)
	live := recoverytest.LookAt(t, ctx, server.Client)
	l := Living{Endpoints: server.Client.Endpoints(), RateBytes: 4 << 20}
	all, err := l.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	best, why, err := Choose(all)
	if err != nil || best.Name != layout.Seats[0].Name || !best.Leader || best.Revision != live.Revision ||
		!strings.HasPrefix(why, "the leader") {
		t.Errorf("%+v, %s, %v", best, why, err)
	}
	path := filepath.Join(t.TempDir(), "saved.db")
	if _, err := l.Save(ctx, best, path); err != nil {
		t.Fatal(err)
	}
	source, contents := offlinetest.SourceAndContents(t, path, recovery.SavedSnapshot)
	said := l.Hashes(ctx, all, source.RestorePoint)
	if len(said) != 1 || said[0].Fault != "" || said[0].HashKV != contents.HashKV || said[0].From != contents.CompactRevision {
		t.Errorf("%+v, offline %d above %d", said, contents.HashKV, contents.CompactRevision)
	}
	best.DBBytes, best.Cluster = hashLimit+1, 5
	said = l.Hashes(ctx, []Vantage{best, {Learner: true}, {Fault: "mute"}}, 5)
	if len(said) != 1 || !strings.Contains(said[0].Fault, "hold back writes") {
		t.Errorf("%+v", said)
	}
	if _, err := l.Save(ctx, best, path+".2"); !errors.Is(err, harness.ErrForeignCluster) {
		t.Errorf("a snapshot of another cluster than was looked at: %v", err)
	}
	recoverytest.AssertEmpty(t, t.TempDir())
}

func TestEndpointsOfTwoClustersAreRefused(t *testing.T) {
	ctx := recoverytest.Context(t)
	one, _ := recoverytest.StartSingle(t, ctx)
	other, _ := recoverytest.StartSingle(t, ctx)
	l := Living{Endpoints: append(one.Client.Endpoints(), other.Client.Endpoints()...)}
	if _, err := l.Survey(ctx); !errors.Is(err, recovery.ErrOtherCluster) {
		t.Error(err)
	}
	l.Endpoints = []string{one.Client.Endpoints()[0], "http://" + recoverytest.FreeAddress(t)}
	all, err := l.Survey(ctx)
	if err != nil || all[0].Fault != "" || !strings.Contains(all[1].Fault, ErrUnreachable.Error()) {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := (Living{}).Survey(ctx); !errors.Is(err, ErrNoVantage) {
		t.Error(err)
	}
}

// mute takes connections and never says a word.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String()
}

// guarded speaks TLS under this authority, and wants a certificate of a client.
func guarded(t *testing.T, authority *pki.Authority, hosts ...string) string {
	t.Helper()
	pair, err := authority.Member("m1", hosts...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.ClientConfig(pair)
	if err != nil {
		t.Fatal(err)
	}
	config.ClientCAs, config.ClientAuth, config.NextProtos = config.RootCAs, tls.RequireAndVerifyClientCert, []string{"h2"}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

func clientOf(t *testing.T, authority *pki.Authority) *tls.Config {
	t.Helper()
	pair, err := authority.Client("root")
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.ClientConfig(pair)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func newAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	authority, err := pki.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestWhatKeepsALivingClusterAwayIsSaidInOneLine(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, _ := recoverytest.StartSingle(t, ctx)
	plain := strings.TrimPrefix(server.Client.Endpoints()[0], "http://")
	ours, theirs := newAuthority(t), newAuthority(t)
	good, stranger := clientOf(t, ours), clientOf(t, theirs)
	mixed := good.Clone()
	mixed.Certificates = stranger.Certificates
	nobody := good.Clone()
	nobody.Certificates = nil
	here, elsewhere := guarded(t, ours, "127.0.0.1"), guarded(t, ours, "elsewhere")
	for name, c := range map[string]struct {
		endpoint string
		tls      *tls.Config
		want     error
		says     string
	}{
		"nobody there":                  {"http://" + recoverytest.FreeAddress(t), nil, ErrUnreachable, "see that the endpoint is right"},
		"nobody there, TLS":             {"https://" + recoverytest.FreeAddress(t), good, ErrUnreachable, "see that the endpoint is right"},
		"no word":                       {"http://" + mute(t), nil, ErrUnreachable, "within 5s"},
		"no word, TLS":                  {"https://" + mute(t), good, ErrUnreachable, "within 5s"},
		"another authority":             {"https://" + here, stranger, ErrUntrusted, "see that --cacert"},
		"no authority":                  {"https://" + here, nil, ErrUntrusted, "see that --cacert"},
		"another host":                  {"https://" + elsewhere, good, ErrUntrusted, "127.0.0.1"},
		"a client of another authority": {"https://" + here, mixed, ErrUnwelcome, "see that --cert and --key"},
		"a client without certificate":  {"https://" + here, nobody, ErrUnwelcome, "see that --cert and --key"},
		"TLS where there is none":       {"https://" + plain, good, ErrUnreachable, "write http:// instead"},
		"no TLS where there is":         {"http://" + here, nil, ErrUnreachable, "it speaks TLS; write https://"},
		"no host of this name":          {"https://nobody.invalid:2379", good, ErrUnreachable, "nobody.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Living{Endpoints: []string{c.endpoint}, TLS: c.tls}.Survey(ctx)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}

func TestWhomALivingClusterRefuses(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, _ := recoverytest.StartSingle(t, ctx)
	for _, user := range []string{"root", "reader"} {
		if _, err := server.Client.UserAdd(ctx, user, "secret-of-"+user); err != nil {
			t.Fatal(err)
		}
	}
	_, err := server.Client.UserGrantRole(ctx, "root", "root")
	if err == nil {
		_, err = server.Client.AuthEnable(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		login harness.Login
		want  error
		says  string
	}{
		"nobody":         {harness.Login{}, ErrLogin, "authentication is on; give --user"},
		"wrong password": {harness.Login{User: "root", Password: "secret-guess"}, ErrLogin, "the name or the password of root is wrong"},
		"wrong name":     {harness.Login{User: "toor", Password: "secret-guess"}, ErrLogin, "the name or the password of toor is wrong"},
		"not root":       {harness.Login{User: "reader", Password: "secret-of-reader"}, ErrLogin, "only a user with the role root"},
		"root":           {harness.Login{User: "root", Password: "secret-of-root"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := Living{Endpoints: server.Client.Endpoints(), Login: c.login}
			all, err := l.Survey(ctx)
			if err == nil {
				_, err = l.Save(ctx, all[0], filepath.Join(t.TempDir(), "saved.db"))
			}
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret-") {
				t.Errorf("the password is told: %v", err)
			}
			t.Log(err)
		})
	}
}

func TestAThrottledStreamIsTheSameAndEndsWithItsContext(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	got, err := io.ReadAll(throttled(ctx, bytes.NewReader(data), 1<<30))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	slow := throttled(ctx, bytes.NewReader(data), 1)
	if n, err := slow.Read(make([]byte, len(data))); err != nil || n > MinRate {
		t.Errorf("%d bytes at once, %v", n, err)
	}
	cancel()
	if _, err := io.ReadAll(slow); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
