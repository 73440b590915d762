package harness

import (
	"slices"
	"strings"
	"testing"
)

func TestAMannerShowsInPlacesAndFlags(t *testing.T) {
	for name, c := range map[string]struct {
		manner       Manner
		scheme       string
		flags, never []string
	}{
		"plain":        {Manner{}, "http", nil, []string{"--wal-dir", "file", "cert"}},
		"separate WAL": {Manner{SeparateWAL: true}, "http", []string{"--wal-dir=m1.etcd/wal-apart"}, []string{"file", "cert"}},
		"TLS": {
			Manner{TLS: true}, "https",
			[]string{
				"--cert-file=/etc/etcd/member.pem", "--key-file=/etc/etcd/member-key.pem", "--trusted-ca-file=/etc/etcd/ca.pem",
				"--client-cert-auth=true", "--peer-cert-file=/etc/etcd/member.pem", "--peer-key-file=/etc/etcd/member-key.pem",
				"--peer-trusted-ca-file=/etc/etcd/ca.pem", "--peer-client-cert-auth=true",
			},
			[]string{"--wal-dir"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			places := c.manner.Places(HostPlaces{})
			layout, err := NewLayout(places, 1, "token")
			if err != nil {
				t.Fatal(err)
			}
			place, err := places.Place("m1")
			if err != nil {
				t.Fatal(err)
			}
			plain, err := HostPlaces{}.Place("m1")
			if err != nil {
				t.Fatal(err)
			}
			flags := Flags(layout, layout.Seats[0], place)
			for _, want := range append(c.flags,
				"--initial-cluster=m1="+c.scheme+"://m1:2380", "--initial-advertise-peer-urls="+c.scheme+"://m1:2380",
				"--listen-peer-urls="+c.scheme+"://0.0.0.0:2380", "--listen-client-urls="+c.scheme+"://0.0.0.0:2379",
				"--advertise-client-urls="+c.scheme+"://m1:2379",
			) {
				if !slices.Contains(flags, want) {
					t.Errorf("the flags lack %s: %v", want, flags)
				}
			}
			if more := len(flags) - len(Flags(layout, layout.Seats[0], plain)); more != len(c.flags) {
				t.Errorf("%d flags more than those of the plain manner, want %d: %v", more, len(c.flags), flags)
			}
			for _, never := range c.never {
				if slices.ContainsFunc(flags, func(flag string) bool { return strings.Contains(flag, never) }) {
					t.Errorf("the flags have %q: %v", never, flags)
				}
			}
		})
	}
}

func TestEtcdctlIsToldWhatTheMemberAsksFor(t *testing.T) {
	for manner, want := range map[Manner]string{
		{}: "--endpoints http://m1:2379",
		{TLS: true}: "--endpoints https://m1:2379 --cacert /etc/etcd/ca.pem --cert /etc/etcd/client.pem " +
			"--key /etc/etcd/client-key.pem",
	} {
		place, err := manner.Places(HostPlaces{}).Place("m1")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(CtlFlags(place), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheLastOfAFlagCounts(t *testing.T) {
	got := ListenURLs([]string{
		"--listen-client-urls=http://a:1", "-listen-peer-urls=http://b:2,http://c:3", "--listen-client-urls=https://d:4", "--name=m1",
	})
	if want := (Endpoint{Client: "https://d:4", Peer: "http://b:2"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestALayoutMustSpeakWhatItsMembersSpeak(t *testing.T) {
	security, err := NewSecurity("test")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		manner   Manner
		security *Security
		fits     bool
	}{
		{Manner{}, nil, true},
		{Manner{TLS: true}, security, true},
		{Manner{TLS: true}, nil, false},
		{Manner{}, security, false},
	} {
		layout, err := NewLayout(c.manner.Places(HostPlaces{}), 2, "token")
		if err != nil {
			t.Fatal(err)
		}
		err = Birth{Layout: layout, Security: c.security}.checkScheme()
		if (err == nil) != c.fits {
			t.Errorf("manner %+v, security %t: %v", c.manner, c.security != nil, err)
		}
	}
}
