package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// pulse passes output through and writes a line of its own whenever there was none for a while.
type pulse struct {
	name  string
	out   io.Writer
	start time.Time
	end   chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	last    time.Time
	midLine bool
	doing   string
}

func startPulse(name string, out io.Writer) *pulse {
	p := &pulse{name: name, out: out, start: time.Now(), last: time.Now(), end: make(chan struct{})}
	p.ended.Go(p.watch)
	return p
}

func (p *pulse) stop() {
	close(p.end)
	p.ended.Wait()
}

// Write passes output through.
func (p *pulse) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	if len(b) > 0 {
		p.midLine = b[len(b)-1] != '\n'
	}
	return p.out.Write(b)
}

// say writes a line. An output that is gone is no reason to end a test run; the counts come from files.
func (p *pulse) say(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

// now says what the next sign of life is about.
func (p *pulse) now(doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = doing
}

func (p *pulse) watch() {
	ticker := time.NewTicker(silence / 4)
	defer ticker.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-ticker.C:
			p.sign()
		}
	}
}

func (p *pulse) sign() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.midLine || time.Since(p.last) < silence-silence/4 {
		return
	}
	p.last = time.Now()
	_, _ = fmt.Fprintf(p.out, "  … %s goes on since %s %s\n", p.name, time.Since(p.start).Round(time.Second), p.doing)
}
