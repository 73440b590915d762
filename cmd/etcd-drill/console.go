package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/etcd-drill/etcd-drill/drill"
)

// console shows progress on standard error: one refreshing line on a terminal, plain lines elsewhere. Nothing is silent for
// longer than quietFor.
type console struct {
	out      *os.File
	terminal bool
	stop     chan struct{}
	stopped  chan struct{}

	mu    sync.Mutex
	head  string
	text  string
	live  func() string
	since time.Time // of the phase
	last  time.Time // when something was shown
}

// quietFor is how long a phase may go on without a sign of life.
const quietFor = 1500 * time.Millisecond

func newConsole(out *os.File) *console {
	c := &console{
		out: out, terminal: term.IsTerminal(int(out.Fd())) && os.Getenv("CI") == "",
		stop: make(chan struct{}), stopped: make(chan struct{}), since: time.Now(), last: time.Now(),
	}
	go c.tick()
	return c
}

func (c *console) tick() {
	defer close(c.stopped)
	every := 500 * time.Millisecond
	if c.terminal {
		every = 100 * time.Millisecond
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
			c.mu.Lock()
			if c.text != "" && (c.terminal || time.Since(c.last) >= quietFor) {
				c.show()
			}
			c.mu.Unlock()
		}
	}
}

// begin names the drill that the next lines are about.
func (c *console) begin(at place, title string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head = fmt.Sprintf("drill %d/%d", at.number, at.of)
	c.change(title)
}

// event shows a moment of the drill.
func (c *console) event(e drill.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := string(e.Name)
	if e.Text != "" {
		text += " " + e.Text
	}
	c.change(text)
}

// progress shows long work in words.
func (c *console) progress(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.change(text)
}

// watch gives the console something to ask while a phase goes on.
func (c *console) watch(live func() string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = live
}

func (c *console) change(text string) {
	c.text, c.since = text, time.Now()
	c.show()
}

// show writes the line; the lock is held.
func (c *console) show() {
	c.last = time.Now()
	line := c.head
	if line != "" {
		line += "  "
	}
	line += c.text
	if waited := time.Since(c.since); waited >= time.Second {
		line += fmt.Sprintf("  %.0fs", waited.Seconds())
		if c.live != nil {
			if live := c.live(); live != "" {
				line += "  " + live
			}
		}
	}
	line = strings.Map(plain, line)
	if c.terminal {
		fmt.Fprintf(c.out, "\r\x1b[K%s", c.fit(line))
		return
	}
	fmt.Fprintln(c.out, line)
}

// plain makes a space of what would break the line or control the terminal: errors of etcd and of the engine come along here.
func plain(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// fit cuts the line to the terminal's width, which may change at any time: a line that wraps could not be taken back.
func (c *console) fit(line string) string {
	width, _, err := term.GetSize(int(c.out.Fd()))
	runes := []rune(line)
	if err != nil || width < 2 || len(runes) < width {
		return line
	}
	return string(runes[:width-2]) + "…"
}

// pause takes the refreshing line away, so that a result can be written.
func (c *console) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminal {
		io.WriteString(c.out, "\r\x1b[K") //nolint:errcheck // there is nobody to tell
	}
	c.text = ""
}

func (c *console) close() {
	close(c.stop)
	<-c.stopped
	c.pause()
}

// colored tells whether the file takes colors: a terminal whose user has not asked for none.
func colored(out *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(out.Fd()))
}
