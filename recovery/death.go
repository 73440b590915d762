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
	"time"
)

// ErrWorkerDied means that a worker ended without an answer.
var ErrWorkerDied = errors.New("worker died")

// DeathKind names how a worker died.
type DeathKind string

// The ways to die. The first three are deaths of what was read; the others prove nothing about it.
const (
	DeathPanic    DeathKind = "panic"          // Go's own, in whatever goroutine
	DeathFault    DeathKind = "memory-fault"   // SIGBUS or SIGSEGV: a file ends before a page that it is mapped for
	DeathStack    DeathKind = "stack-overflow" // a tree of pages that runs in circles
	DeathExit     DeathKind = "exit"           // it left by itself, with a code other than 0: a Fatal of etcd's logger, say
	DeathMute     DeathKind = "mute"           // it left by itself with code 0 and without an answer
	DeathKilled   DeathKind = "killed"         // somebody's signal
	DeathNoMemory DeathKind = "out-of-memory"  // it got none from the kernel, or was killed by the kernel for what it had
	DeathHang     DeathKind = "hang"           // it gave no answer in time, and was killed with all that it had started
)

// WorkerError tells how a worker died, or the etcdutl program that it ran.
type WorkerError struct {
	Verb     string    `json:"verb"` // what it was doing
	Kind     DeathKind `json:"kind"`
	ExitCode int       `json:"exitCode"`         // -1 if it was ended by a signal; 0 for a panic that it could catch itself
	Signal   string    `json:"signal,omitempty"` // for example "killed"; empty if it exited by itself
	// Last holds the end of what it printed; a line in which Go's runtime says why it gave up comes first.
	Last []string `json:"last,omitempty"`
	// After is how long it was waited for, if it hung.
	After time.Duration `json:"afterNanoseconds,omitempty"`
	// Cause is what ended the wait for a worker that hung: context.DeadlineExceeded, if that was the caller's.
	Cause error `json:"-"`
}

// Error names the kind of death, how the process ended, and its last words: the one in which Go's runtime says why it gave up,
// or else all that are known.
func (e *WorkerError) Error() string {
	how := fmt.Sprintf("exit code %d", e.ExitCode)
	switch {
	case e.Kind == DeathHang:
		how = "no answer within " + e.After.Round(time.Millisecond).String()
	case e.blamesFile() && e.ExitCode == 0 && e.Signal == "":
		how = "caught"
	case e.Signal != "":
		how = "signal: " + e.Signal
	}
	text := fmt.Sprintf("%s: %v: %s (%s)", e.Verb, ErrWorkerDied, e.Kind, how)
	words := e.Last
	if e.blamesFile() && len(words) > 1 {
		words = words[:1]
	}
	if len(words) > 0 {
		text += "; its last words: " + strings.Join(words, " | ")
	}
	return text
}

// Unwrap returns ErrWorkerDied and the cause.
func (e *WorkerError) Unwrap() []error { return []error{ErrWorkerDied, e.Cause} }

// blamesFile reports whether the death was caused by what the worker read.
func (e *WorkerError) blamesFile() bool {
	return e.Kind == DeathPanic || e.Kind == DeathFault || e.Kind == DeathStack
}

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

// caughtDeath makes of a panic that survive has caught what it would have been in any other goroutine. Other errors stay what
// they are.
func caughtDeath(verb string, err error) error {
	if !errors.Is(err, errPanicked) {
		return err
	}
	kind := DeathPanic
	if errors.Is(err, errFaulted) {
		kind = DeathFault
	}
	return &WorkerError{Verb: verb, Kind: kind, Last: []string{err.Error()}}
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
