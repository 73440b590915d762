package harness

import (
	"cmp"
	"fmt"
	"regexp"
)

// HostPlaces places every member on a host of its own that is called like the member, at etcd's usual ports.
type HostPlaces struct {
	DataDir  string // where every member finds its data directory; "NAME.etcd", etcd's default, if empty
	FilesDir string // where every member finds its certificates; "/etc/etcd" if empty
}

// etcd's usual ports.
const (
	ClientPort = "2379"
	PeerPort   = "2380"
)

// hostName is what a network name, a container name and a file name can all be.
var hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// ValidName tells whether members, nodes and disks can have this name: letters, digits, "_", "." and "-", of which the last
// three not first, 63 characters at most.
func ValidName(name string) bool { return hostName.MatchString(name) }

// Place returns URLs on the member's own network name.
func (h HostPlaces) Place(name string) (Place, error) {
	if !ValidName(name) {
		return Place{}, fmt.Errorf("place member %q: the name has characters that a network name cannot have", name)
	}
	return Place{
		PeerURL:         "http://" + name + ":" + PeerPort,
		ClientURL:       "http://" + name + ":" + ClientPort,
		ListenPeerURL:   "http://0.0.0.0:" + PeerPort,
		ListenClientURL: "http://0.0.0.0:" + ClientPort,
		DataDir:         cmp.Or(h.DataDir, name+".etcd"),
		FilesDir:        cmp.Or(h.FilesDir, "/etc/etcd"),
	}, nil
}
