package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// maxMessageBytes bounds what the two sides say to each other, and what is kept of anything else that a process prints.
const maxMessageBytes = 64 << 10

// request is what Prober asks of the process that it started: one JSON value on its standard input.
type request struct {
	Trial string `json:"trial"`
	// Outside names the namespaces of the asking process. A trial that belongs in namespaces of its own refuses to run in
	// these, so that nobody who starts the program by hand loses the network or the mounts of the machine.
	Outside namespaces `json:"outside"`
	// Mark names whatever the trial makes, and is new each time.
	Mark string `json:"mark"`
}

// namespaces identifies the namespaces of one process by what their links below /proc say, for example "mnt:[4026531841]".
type namespaces struct {
	Mount   string `json:"mount"`
	Network string `json:"network"`
}

// Serve is the other side of Prober: it reads the name of one trial from in, runs it, and writes the Trial to out as JSON. The
// error says that there was no usable question or no way to answer; that an ability is lacking is an answer. A program
// that serves does nothing else and exits when Serve returns, because some of what a trial makes ends only with its process.
//
// A trial is not interrupted when the context ends, since it may be stuck in a system call; the parent kills the process.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var req request
	if err := json.NewDecoder(io.LimitReader(in, maxMessageBytes)).Decode(&req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if !slices.Contains(names(), req.Trial) {
		return fmt.Errorf("serve: there is no trial %q", req.Trial)
	}
	if req.Mark == "" {
		return fmt.Errorf("serve %s: the request holds no mark", req.Trial)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("serve %s: %w", req.Trial, context.Cause(ctx))
	}
	if err := json.NewEncoder(out).Encode(run(req)); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
