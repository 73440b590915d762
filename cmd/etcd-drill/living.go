package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

// envPassword holds the password of --user where it is not in the flag, which other users of the machine can read.
const envPassword = "ETCD_DRILL_PASSWORD"

// livingFlags name a living cluster to save a snapshot from. They are called as etcdctl calls them.
type livingFlags struct {
	endpoints         []string
	cacert, cert, key string
	user              string
	rate              byteSize
}

func (l *livingFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&l.endpoints, "endpoints", nil,
		"drill a snapshot that is saved from one of these members of a living cluster, which is only read")
	flags.StringVar(&l.cacert, "cacert", "", "with --endpoints: trust this authority (default: the system's)")
	flags.StringVar(&l.cert, "cert", "", "with --endpoints: show this certificate")
	flags.StringVar(&l.key, "key", "", "with --endpoints: the key of --cert")
	flags.StringVar(&l.user, "user", "", "with --endpoints: log in as NAME or NAME:PASSWORD; the password may be in $"+envPassword)
	flags.Var(&l.rate, "rate", "with --endpoints: take at most so many bytes of the snapshot in a second (default: no bound)")
}

// livingNames are the flags that say how to reach a living cluster.
func livingNames() []string { return []string{"cacert", "cert", "key", "user", "rate"} }

// living reads what the flags name.
func (l *livingFlags) living() (*fetch.Living, error) {
	cluster := &fetch.Living{RateBytes: int64(l.rate)}
	if l.rate != 0 && l.rate < fetch.MinRate {
		return nil, usage(fmt.Errorf("--rate %s: below %d KiB nobody could tell a slow snapshot from one that stalls; give more",
			&l.rate, fetch.MinRate>>10))
	}
	if (l.cert == "") != (l.key == "") {
		return nil, usage(errors.New("--cert and --key go together; give both or neither"))
	}
	secure := l.cacert != "" || l.cert != ""
	for _, endpoint := range l.endpoints {
		normal, err := normalEndpoint(endpoint, secure)
		if err != nil {
			return nil, err
		}
		cluster.Endpoints = append(cluster.Endpoints, normal)
	}
	name, password, given := strings.Cut(l.user, ":")
	if !given {
		password = os.Getenv(envPassword)
	}
	if name != "" && password == "" {
		return nil, usage(fmt.Errorf("--user %s has no password; write NAME:PASSWORD, or set $%s", name, envPassword))
	}
	if name != "" {
		cluster.Login = harness.Login{User: name, Password: password}
	}
	var err error
	if secure {
		cluster.TLS, err = l.config()
	}
	return cluster, err
}

// normalEndpoint completes an endpoint without a scheme, as etcdctl does.
func normalEndpoint(endpoint string, secure bool) (string, error) {
	if !strings.Contains(endpoint, "://") {
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		endpoint = scheme + endpoint
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" ||
		parsed.Host == "" || parsed.User != nil || parsed.Port() == "" {
		return "", usage(fmt.Errorf("--endpoints: %q is no client URL; write it like https://10.0.0.1:2379", endpoint))
	}
	return parsed.Scheme + "://" + parsed.Host, nil
}

// config reads the files.
func (l *livingFlags) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.cacert != "" {
		text, err := os.ReadFile(l.cacert)
		if err != nil {
			return nil, fmt.Errorf("read --cacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read --cacert: %s holds no certificate in PEM", l.cacert)
		}
	}
	if l.cert != "" {
		pair, err := tls.LoadX509KeyPair(l.cert, l.key)
		if err != nil {
			return nil, fmt.Errorf("read --cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
