package harness

import (
	"path"
	"strings"
)

// Manner says how the members of a cluster are started where that differs from etcd's recovery page. It is decided once for a
// cluster and what is restored from it: the URLs are part of every identity, and a log that lies elsewhere than its member
// looks is replaced by an empty one without a word.
type Manner struct {
	TLS         bool // peers and clients speak TLS, and show certificates
	SeparateWAL bool // the write-ahead log lies apart from the data
}

// Places returns where members are that are started in this manner: at the same places, under other URLs.
func (m Manner) Places(places Placer) Placer { return mannered{places, m} }

type mannered struct {
	Placer
	manner Manner
}

// Place implements Placer.
func (m mannered) Place(name string) (Place, error) {
	place, err := m.Placer.Place(name)
	if m.manner.TLS {
		place = place.secured()
	}
	place.SeparateWAL = place.SeparateWAL || m.manner.SeparateWAL
	return place, err
}

const (
	plainScheme  = "http://"
	secureScheme = "https://"
)

// secured is the place with TLS.
func (p Place) secured() Place {
	for _, url := range []*string{&p.PeerURL, &p.ClientURL, &p.ListenPeerURL, &p.ListenClientURL} {
		if rest, plain := strings.CutPrefix(*url, plainScheme); plain {
			*url = secureScheme + rest
		}
	}
	return p
}

// tls tells whether a member at this place speaks TLS.
func (p Place) tls() bool { return strings.HasPrefix(p.ListenClientURL, secureScheme) }

// WALName is the folder in which a member keeps its write-ahead log if it keeps it apart. It lies in the data directory, so
// that it is kept, copied and lost with it; etcd knows it by its flag alone, wherever it lies.
const WALName = "wal-apart"

// WALDir is where a member at this place keeps its write-ahead log, if SeparateWAL is set.
func (p Place) WALDir() string { return path.Join(p.DataDir, WALName) }

// Flags returns the flags with which a member of this layout is started at this place: those of etcd's recovery page, the
// same for a new and for a restored member, because etcd ignores the bootstrap flags where a write-ahead log exists; and
// those of the manner that shows in the place.
func Flags(layout Layout, seat Seat, place Place) []string {
	flags := []string{
		"--name=" + seat.Name,
		"--data-dir=" + place.DataDir,
		"--listen-client-urls=" + place.ListenClientURL,
		"--advertise-client-urls=" + place.ClientURL,
		"--listen-peer-urls=" + place.ListenPeerURL,
		"--initial-advertise-peer-urls=" + seat.PeerURL,
		"--initial-cluster=" + layout.InitialCluster(),
		"--initial-cluster-token=" + string(layout.Token),
		"--initial-cluster-state=new",
	}
	if place.SeparateWAL {
		flags = append(flags, "--wal-dir="+place.WALDir())
	}
	if place.tls() {
		flags = append(flags, securityFlags(place.FilesDir)...)
	}
	return flags
}

// CtlFlags returns the flags with which etcdctl asks the member at this place.
func CtlFlags(place Place) []string {
	flags := []string{"--endpoints", place.ClientURL}
	if place.tls() {
		flags = append(flags, "--cacert", path.Join(place.FilesDir, authorityFile),
			"--cert", path.Join(place.FilesDir, "client.pem"), "--key", path.Join(place.FilesDir, "client-key.pem"))
	}
	return flags
}

// ListenURLs returns where a member with these flags listens for clients and for peers; empty where they do not say. Of a flag
// that is given twice etcd takes the last, and of several URLs this the first.
func ListenURLs(args []string) Endpoint {
	var listens Endpoint
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		first, _, _ := strings.Cut(value, ",")
		switch name {
		case "listen-client-urls":
			listens.Client = first
		case "listen-peer-urls":
			listens.Peer = first
		}
	}
	return listens
}
