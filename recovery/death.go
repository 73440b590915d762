package recovery

import (
	"errors"
	"fmt"
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
	case e.BlamesFile() && e.ExitCode == 0 && e.Signal == "":
		how = "caught"
	case e.Signal != "":
		how = "signal: " + e.Signal
	}
	text := fmt.Sprintf("%s: %v: %s (%s)", e.Verb, ErrWorkerDied, e.Kind, how)
	words := e.Last
	if e.BlamesFile() && len(words) > 1 {
		words = words[:1]
	}
	if len(words) > 0 {
		text += "; its last words: " + strings.Join(words, " | ")
	}
	return text
}

// Unwrap returns ErrWorkerDied and the cause.
func (e *WorkerError) Unwrap() []error { return []error{ErrWorkerDied, e.Cause} }

// BlamesFile reports whether the death was caused by what the worker read.
func (e *WorkerError) BlamesFile() bool {
	return e.Kind == DeathPanic || e.Kind == DeathFault || e.Kind == DeathStack
}
