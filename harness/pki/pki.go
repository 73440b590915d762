// Package pki makes the certificates of one run: an authority of its own, what members show to their peers and to clients, and
// what clients show to members.
//
// Keys exist in memory only; whoever needs one as a file writes it, keeps it private and removes it. The package must not know
// what the certificates are for.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Certificates are good for longer than any run, and not for much longer. They begin in the past, because the clock of an
// engine's machine may lag behind.
const (
	validBefore = time.Hour
	validFor    = 7 * 24 * time.Hour
)

// Authority issues the certificates of one run. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Pair is a certificate and its private key, both in PEM.
type Pair struct{ Certificate, Key []byte }

// NewAuthority makes an authority of this name, with a key that never leaves the process.
func NewAuthority(name string) (*Authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	a := &Authority{key: key}
	template := newTemplate(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if a.certificate, err = a.sign(template, template, key.Public()); err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return a, nil
}

// Certificate returns the authority's own certificate in PEM: what those trust who trust it.
func (a *Authority) Certificate() []byte { return encode("CERTIFICATE", a.certificate.Raw) }

// Member issues a certificate with which a member serves clients and peers and calls its peers, good for these hosts: names
// and IP addresses. At least one is needed: without any, whoever calls the member refuses it.
func (a *Authority) Member(name string, hosts ...string) (Pair, error) {
	if len(hosts) == 0 {
		return Pair{}, fmt.Errorf("issue certificate of member %s: it has no host", name)
	}
	template := newTemplate(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

// Client issues a certificate with which a client calls members, and nobody can serve. etcd takes its common name for the
// name of the user who asks (server/auth/store.go, AuthInfoFromTLS). It names no host, so that etcd does not hold the caller's
// address against it (client/pkg/transport/listener_tls.go, checkCertSAN).
func (a *Authority) Client(commonName string) (Pair, error) {
	template := newTemplate(commonName)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(template)
}

// ClientConfig returns the settings of a client that shows this pair and trusts this authority alone. Whom it calls must be
// set as ServerName, unless the address says it.
func (a *Authority) ClientConfig(shown Pair) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(shown.Certificate, shown.Key)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

func (a *Authority) issue(template *x509.Certificate) (Pair, error) {
	name := template.Subject.CommonName
	key, err := newKey()
	if err != nil {
		return Pair{}, fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	certificate, err := a.sign(template, a.certificate, key.Public())
	if err != nil {
		return Pair{}, fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	return Pair{Certificate: encode("CERTIFICATE", certificate.Raw), Key: encode("PRIVATE KEY", der)}, nil
}

func (a *Authority) sign(template, parent *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // never 0, which is none
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newTemplate(commonName string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-validBefore), NotAfter: now.Add(validFor),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
