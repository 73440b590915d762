package harness

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func certificateOf(t *testing.T, s *Security, seat Seat) *x509.Certificate {
	t.Helper()
	place, err := Manner{TLS: true}.Places(HostPlaces{}).Place("m1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.files(seat, place)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(files[certificateFile], files[keyFile])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(files[authorityFile])
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		t.Error(err)
	}
	return pair.Leaf
}

func TestACertificateNamesEveryAddressOfItsMember(t *testing.T) {
	s, err := NewSecurity("test")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := certificateOf(t, s, Seat{Name: "m2", PeerURL: "https://127.1.2.3:4444"})
	for _, host := range []string{"m1", "m2", "127.0.0.1", "127.1.2.3"} { // m1 is the host of its place
		if err := elsewhere.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if elsewhere.VerifyHostname("m3") == nil {
		t.Error("the certificate names another member")
	}
}

func TestAMemberKeepsItsCertificateUntilItGetsAnother(t *testing.T) {
	s, err := NewSecurity("test")
	if err != nil {
		t.Fatal(err)
	}
	seat := Seat{Name: "m1", PeerURL: "https://m1:2380"}
	first, again := certificateOf(t, s, seat), certificateOf(t, s, seat)
	if !first.Equal(again) {
		t.Error("the member has another certificate when it comes back")
	}
	if err := s.Certify("m1", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	moved := certificateOf(t, s, seat)
	if moved.VerifyHostname("elsewhere") != nil || moved.VerifyHostname("m1") == nil {
		t.Errorf("the certificate that was asked for is for %v", moved.DNSNames)
	}
	if err := s.Certify("m1"); err == nil {
		t.Error("a certificate for no host was issued")
	}
}

func TestAClientHoldsTheNameOfItsMemberAgainstTheCertificate(t *testing.T) {
	s, err := NewSecurity("test")
	if err != nil {
		t.Fatal(err)
	}
	for login, want := range map[Login]string{{}: caller, {User: "root"}: "root"} {
		access, err := s.access(Access{Login: login})
		if err != nil {
			t.Fatal(err)
		}
		if got := access.TLS.Certificates[0].Leaf.Subject.CommonName; got != want {
			t.Errorf("%+v shows a certificate of %q, want %q", login, got, want)
		}
		if got := access.To("m2").TLS.ServerName; got != "m2" || access.TLS.ServerName != "" {
			t.Errorf("the name is %q, and %q for all", got, access.TLS.ServerName)
		}
	}
	if plain, err := (*Security)(nil).access(Access{}); err != nil || plain.To("m1").TLS != nil {
		t.Errorf("without security: %+v, %v", plain, err)
	}
}
