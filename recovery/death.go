package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
)

// ErrWorkerDied means that a worker ended without an answer.
var ErrWorkerDied = errors.New("worker died")

// WorkerError tells how a worker died.
type WorkerError struct {
	Verb     string // what it was doing
	ExitCode int    // -1 if it was ended by a signal
	Signal   string // for example "killed"; empty if it exited by itself
	// Last holds the end of what it printed; a line in which Go's runtime says why it gave up comes first.
	Last []string
}

// Error names the exit code or the signal, and the last words.
func (e *WorkerError) Error() string {
	how := fmt.Sprintf("exit code %d", e.ExitCode)
	if e.Signal != "" {
		how = "signal: " + e.Signal
	}
	text := fmt.Sprintf("%s: %v (%s)", e.Verb, ErrWorkerDied, how)
	if len(e.Last) > 0 {
		text += "; its last words: " + strings.Join(e.Last, " | ")
	}
	return text
}

// Unwrap returns ErrWorkerDied.
func (e *WorkerError) Unwrap() error { return ErrWorkerDied }

// blamesFile reports whether the death was caused by what the worker read: a panic, a memory fault, a stack that a cyclic
// tree overflowed. Being killed, running out of memory, or an exit of unknown cause prove nothing. Only the text tells: all
// of these are printed by Go's runtime (runtime/panic.go, signal_unix.go, stack.go) and end with exit code 2.
func (e *WorkerError) blamesFile() bool {
	if slices.Contains([]string{"bus error", "segmentation fault"}, e.Signal) {
		return true
	}
	if e.ExitCode != 2 || len(e.Last) == 0 {
		return false
	}
	words := e.Last[0]
	return strings.HasPrefix(words, "panic: ") || strings.HasPrefix(words, "unexpected fault address") ||
		strings.HasPrefix(words, "fatal error: fault") || strings.HasPrefix(words, "runtime: goroutine stack exceeds")
}

func newWorkerError(verb string, state *os.ProcessState, tail *logTail) *WorkerError {
	err := &WorkerError{Verb: verb, ExitCode: state.ExitCode(), Signal: deathSignal(state)}
	if tail.epitaph != "" {
		err.Last = append(err.Last, tail.epitaph)
	}
	for _, line := range tail.last {
		if line != tail.epitaph {
			err.Last = append(err.Last, line)
		}
	}
	return err
}

// logTail splits what a worker prints into lines, hands them on, and keeps the last ones and the one that says why a Go
// program gave up.
type logTail struct {
	log     *slog.Logger
	partial []byte
	last    []string
	epitaph string
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
