package harness

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/etcd-drill/etcd-drill/harness/pki"
)

// The names of a member's files.
const (
	authorityFile   = "ca.pem"
	certificateFile = "member.pem"
	keyFile         = "member-key.pem"
)

// loopback is among the hosts of every certificate: processes call each other from there, and published ports are dialled there.
const loopback = "127.0.0.1"

// Security makes the members of one run speak TLS, to their peers and to clients, and ask both for a certificate. Its
// authority and the keys of clients are in this process alone; members are given theirs as files of their nodes. It is safe for
// concurrent use.
type Security struct {
	authority *pki.Authority

	mu     sync.Mutex
	issued map[string]pki.Pair // by member
}

// NewSecurity makes the authority of a run.
func NewSecurity(runID string) (*Security, error) {
	authority, err := pki.NewAuthority("etcd-drill " + runID)
	if err != nil {
		return nil, err
	}
	return &Security{authority: authority, issued: map[string]pki.Pair{}}, nil
}

// Certify gives the member of this name a certificate for these hosts, names or IP addresses, instead of one for the hosts of
// its place. Members that are prepared afterwards get it.
func (s *Security) Certify(member string, hosts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair, err := s.authority.Member(member, hosts...)
	if err == nil {
		s.issued[member] = pair
	}
	return err
}

// Client returns the settings of a client whose certificate has this common name, which is the user that etcd takes it for
// where authentication is on.
func (s *Security) Client(commonName string) (*tls.Config, error) {
	pair, err := s.authority.Client(commonName)
	if err != nil {
		return nil, err
	}
	return s.authority.ClientConfig(pair)
}

// ClientFiles returns what a program needs to be a client with this common name, as PEM: the authority to trust, the certificate to
// show, and its key.
func (s *Security) ClientFiles(commonName string) (authority, certificate, key []byte, err error) {
	pair, err := s.authority.Client(commonName)
	return s.authority.Certificate(), pair.Certificate, pair.Key, err
}

// caller is the common name of a client that is nobody.
const caller = "etcd-drill"

// access completes an access to members by what their security asks for.
func (s *Security) access(a Access) (_ Access, err error) {
	if s != nil {
		a.TLS, err = s.Client(cmp.Or(a.Login.User, caller))
	}
	return a, err
}

// files returns what the member of this seat needs to speak TLS. A member keeps its certificate for the life of the run,
// as a machine does: one that comes back as another has the same.
func (s *Security) files(seat Seat, place Place) (map[string][]byte, error) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	_, known := s.issued[seat.Name]
	s.mu.Unlock()
	if !known {
		hosts, err := hostsOf(seat.Name, loopback, seat.PeerURL, place.PeerURL, place.ClientURL)
		if err == nil {
			err = s.Certify(seat.Name, hosts...)
		}
		if err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pair := s.issued[seat.Name]
	return map[string][]byte{
		authorityFile: s.authority.Certificate(), certificateFile: pair.Certificate, keyFile: pair.Key,
	}, nil
}

// hostsOf returns these hosts, and those of these URLs, each once.
func hostsOf(hosts ...string) ([]string, error) {
	var all []string
	for _, host := range hosts {
		if strings.Contains(host, "://") {
			parsed, err := url.Parse(host)
			if err != nil {
				return nil, fmt.Errorf("find hosts of a certificate: %w", err)
			}
			host = parsed.Hostname()
		}
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all, nil
}

// securityFlags are those of etcd's page on transport security, for clients and for peers. Both sides show a certificate.
func securityFlags(filesDir string) []string {
	ca, certificate, key := path.Join(filesDir, authorityFile), path.Join(filesDir, certificateFile), path.Join(filesDir, keyFile)
	return []string{
		"--cert-file=" + certificate, "--key-file=" + key, "--trusted-ca-file=" + ca, "--client-cert-auth=true",
		"--peer-cert-file=" + certificate, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + ca, "--peer-client-cert-auth=true",
	}
}

// checkScheme refuses a layout whose URLs say otherwise than the members will speak: they would never find each other.
func (b Birth) checkScheme() error {
	for _, seat := range b.Layout.Seats {
		if strings.HasPrefix(seat.PeerURL, secureScheme) != (b.Security != nil) {
			return fmt.Errorf("peer URL of member %s is %s, and TLS is wanted: %t", seat.Name, seat.PeerURL, b.Security != nil)
		}
	}
	return nil
}
