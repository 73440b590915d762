package recovery

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
)

// demise is how a process ended, and what else is known of its end.
type demise struct {
	state *os.ProcessState
	tail  *logTail
	// starved is set if the kernel has killed a process for its memory in the meantime, which need not be this one.
	starved bool
}

func newWorkerError(verb string, d demise) *WorkerError {
	err := &WorkerError{Verb: verb, ExitCode: d.state.ExitCode(), Signal: deathSignal(d.state), Last: d.tail.words()}
	err.Kind = kindOfDeath(err, d.tail.epitaph, d.starved)
	return err
}

// kindOfDeath tells by the signal, or by what Go's runtime prints before it exits with code 2 (runtime/panic.go,
// signal_unix.go, stack.go, mem_linux.go).
func kindOfDeath(e *WorkerError, epitaph string, starved bool) DeathKind {
	says := func(openings ...string) bool {
		return slices.ContainsFunc(openings, func(opening string) bool { return strings.HasPrefix(epitaph, opening) })
	}
	switch {
	case e.Signal == "bus error" || e.Signal == "segmentation fault":
		return DeathFault
	case e.Signal == "killed" && starved:
		return DeathNoMemory
	case e.Signal != "":
		return DeathKilled
	case e.ExitCode == 0:
		return DeathMute
	case e.ExitCode != 2:
		return DeathExit
	case says("panic: "):
		return DeathPanic
	case says("unexpected fault address", "fatal error: fault"):
		return DeathFault
	case says("runtime: goroutine stack exceeds", "fatal error: stack overflow"):
		return DeathStack
	case says("runtime: out of memory", "fatal error: out of memory", "fatal error: runtime: out of memory",
		"fatal error: runtime: cannot allocate memory"):
		return DeathNoMemory
	}
	return DeathExit
}

// logTail splits what a worker prints into lines, hands them on, and keeps the last ones and the one that says why a Go
// program gave up.
type logTail struct {
	log     *slog.Logger
	partial []byte
	last    []string
	epitaph string
}

// words are the epitaph, if there is one, and the last lines.
func (t *logTail) words() []string {
	var words []string
	if t.epitaph != "" {
		words = append(words, t.epitaph)
	}
	return append(words, slices.DeleteFunc(slices.Clone(t.last), func(line string) bool { return line == t.epitaph })...)
}

const (
	tailLines    = 6
	maxLineBytes = 4 << 10
)

// Write implements io.Writer and never fails.
func (t *logTail) Write(data []byte) (int, error) {
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

func (t *logTail) flush() {
	if len(t.partial) > 0 {
		t.keep(string(t.partial))
		t.partial = nil
	}
}

func (t *logTail) keep(line string) {
	t.log.LogAttrs(context.Background(), slog.LevelDebug, line)
	for _, opening := range []string{"panic: ", "fatal error: ", "unexpected fault address", "runtime: "} {
		if t.epitaph == "" && strings.HasPrefix(line, opening) {
			t.epitaph = line
		}
	}
	if t.epitaph != "" || strings.TrimSpace(line) == "" {
		return // stack traces follow; the log has them
	}
	if t.last = append(t.last, line); len(t.last) > tailLines {
		t.last = t.last[1:]
	}
}
