// Package child knows how processes are started that may not outlive this one, and tells how they died.
package child

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// Demise is how a process ended, and what else is known of its end.
type Demise struct {
	State *os.ProcessState
	Tail  *Tail
	// Starved is set if the kernel has killed a process for its memory in the meantime, which need not be this one.
	Starved bool
}

// NewWorkerError tells how the process died that did this.
func NewWorkerError(verb string, d Demise) *recovery.WorkerError {
	err := &recovery.WorkerError{Verb: verb, ExitCode: d.State.ExitCode(), Signal: DeathSignal(d.State), Last: d.Tail.Words()}
	err.Kind = kindOfDeath(err, d.Tail.epitaph, d.Starved)
	return err
}

// kindOfDeath tells by the signal, or by what Go's runtime prints before it exits with code 2 (runtime/panic.go,
// signal_unix.go, stack.go, mem_linux.go).
func kindOfDeath(e *recovery.WorkerError, epitaph string, starved bool) recovery.DeathKind {
	says := func(openings ...string) bool {
		return slices.ContainsFunc(openings, func(opening string) bool { return strings.HasPrefix(epitaph, opening) })
	}
	switch {
	case e.Signal == "bus error" || e.Signal == "segmentation fault":
		return recovery.DeathFault
	case e.Signal == "killed" && starved:
		return recovery.DeathNoMemory
	case e.Signal != "":
		return recovery.DeathKilled
	case e.ExitCode == 0:
		return recovery.DeathMute
	case e.ExitCode != 2:
		return recovery.DeathExit
	case says("panic: "):
		return recovery.DeathPanic
	case says("unexpected fault address", "fatal error: fault"):
		return recovery.DeathFault
	case says("runtime: goroutine stack exceeds", "fatal error: stack overflow"):
		return recovery.DeathStack
	case says("runtime: out of memory", "fatal error: out of memory", "fatal error: runtime: out of memory",
		"fatal error: runtime: cannot allocate memory"):
		return recovery.DeathNoMemory
	}
	return recovery.DeathExit
}

// Tail splits what a worker prints into lines, hands them on, and keeps the last ones and the one that says why a Go
// program gave up.
type Tail struct {
	Log     *slog.Logger
	partial []byte
	Last    []string
	epitaph string
}

// Words are the epitaph, if there is one, and the last lines.
func (t *Tail) Words() []string {
	var words []string
	if t.epitaph != "" {
		words = append(words, t.epitaph)
	}
	return append(words, slices.DeleteFunc(slices.Clone(t.Last), func(line string) bool { return line == t.epitaph })...)
}

const (
	tailLines    = 6
	maxLineBytes = 4 << 10
)

// Write implements io.Writer and never fails.
func (t *Tail) Write(data []byte) (int, error) {
	t.partial = append(t.partial, data...)
	for {
		line, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found && len(t.partial) < maxLineBytes {
			return len(data), nil
		}
		t.partial = append([]byte(nil), rest...)
		t.keep(string(line))
	}
}

// Flush takes what is there of a last line for all of it.
func (t *Tail) Flush() {
	if len(t.partial) > 0 {
		t.keep(string(t.partial))
		t.partial = nil
	}
}

func (t *Tail) keep(line string) {
	t.Log.LogAttrs(context.Background(), slog.LevelDebug, line)
	for _, opening := range []string{"panic: ", "fatal error: ", "unexpected fault address", "runtime: "} {
		if t.epitaph == "" && strings.HasPrefix(line, opening) {
			t.epitaph = line
		}
	}
	if t.epitaph != "" || strings.TrimSpace(line) == "" {
		return // stack traces follow; the log has them
	}
	if t.Last = append(t.Last, line); len(t.Last) > tailLines {
		t.Last = t.Last[1:]
	}
}
