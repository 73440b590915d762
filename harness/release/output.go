package release

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// counter counts lines of interest while a ticker reads it.
type counter struct{ n atomic.Int64 }

func (c *counter) get() int { return int(c.n.Load()) }

// keepLines is how much of the go program's last words an error quotes.
const keepLines = 8

// output is the go program's stderr: it counts the lines that begin with prefix and keeps the last ones for an error.
type output struct {
	count  *counter
	prefix string

	mu   sync.Mutex
	rest []byte
	tail []string
}

// Write takes any cut of the stream.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	for {
		line, rest, found := bytes.Cut(o.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.rest = rest
		o.line(string(line))
	}
}

func (o *output) line(line string) {
	if strings.HasPrefix(line, o.prefix) {
		o.count.n.Add(1)
	}
	if o.tail = append(o.tail, line); len(o.tail) > keepLines {
		o.tail = o.tail[1:]
	}
}

func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	tail := o.tail
	if len(o.rest) > 0 {
		tail = append(tail[:len(tail):len(tail)], string(o.rest))
	}
	return strings.Join(tail, "\n")
}

// explain names the reason that the go program gave on its last lines. It has no error codes, so its words are matched:
// each list names where they come from.
func explain(err error, said string) error {
	kind := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(said, word) {
				return true
			}
		}
		return false
	}
	switch {
	case kind("no space left on device", "disk quota exceeded"): // ENOSPC and EDQUOT as Go's syscall package prints them
		return fmt.Errorf("%w: free some, or move the caches (GOCACHE, GOMODCACHE, the cache folder): %w; go said:\n%s",
			ErrNoSpace, err, said)
	case kind("(running go ", "toolchain not available", `cannot find "go1.`): // cmd/go internal/gover, internal/toolchain
		return fmt.Errorf("%w: install Go 1.26 or later or let the go program fetch one (GOTOOLCHAIN=auto), "+
			"or give an image with --image: %w; go said:\n%s", ErrOldGo, err, said)
	case kind("dial tcp", "proxyconnect", "TLS handshake", "i/o timeout", "x509:", // net, net/http and crypto/tls
		"module lookup disabled by GOPROXY=off", "404 Not Found", "410 Gone", "403 Forbidden", "502 Bad Gateway",
		"503 Service Unavailable"): // cmd/go internal/modfetch and internal/web
		return fmt.Errorf("%w: check the network and GOPROXY, or give an image with --image: %w; go said:\n%s",
			ErrUnreachable, err, said)
	}
	return fmt.Errorf("run the go program: %w; it said:\n%s", err, said)
}
