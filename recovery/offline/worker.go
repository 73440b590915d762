// Package offline asks about backups and data directories that lie on this machine, and makes data directories of them: Check, Inspect,
// Extract, Restore, Vet.
//
// Everything that opens a backup as a database happens in a worker process (see Worker and Serve) and on a copy, because bbolt and etcd
// end the process on damaged files in ways that Go cannot catch, and because some of etcd's own tools write to the file that they
// inspect. The package never starts a member.
package offline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/child"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// Worker says how to start the processes in which sources are opened: a program that calls Serve when it is started with
// these arguments. The CLI names itself with a hidden command, a test binary itself with a variable in Env.
type Worker struct {
	Path string
	Args []string
	Env  []string // added to the environment of this process
	// Scratch is the folder in which Check and Inspect make their copies of a source, each the size of the file, and Extract sorts what
	// it reads; the folder of the source if empty.
	Scratch string
	// Etcdutl is a program that Restore has the workers run in place of the library that they are linked with: the etcdutl of
	// the plan's version, see recovery.NeedsOwnTool. The library restores if it is empty.
	Etcdutl string
	// Within is how long a worker may take for a task before it is given up as one that hangs, and killed with all that it has
	// started; an hour if zero. The context's deadline holds as well.
	Within time.Duration
	// Mute leaves out of errors what a worker printed last: it may name keys.
	Mute bool
	// Log receives what workers print; nothing if nil.
	Log *slog.Logger
	// Spent is told what every worker took that has answered; nil if nobody wants to know. Workers may end at the same time.
	Spent func(recovery.Effort)
}

// taskWithin is how long a task may take at most if nobody says otherwise: no file is so large.
const taskWithin = time.Hour

// run starts one worker, hands it the request and waits for its end. When the context ends, or the time that a task may take,
// the worker's whole process group is killed. An error of the task itself is in the response.
func (w Worker) run(ctx context.Context, verb string, req wire.Request) (wire.Response, error) {
	if w.Path == "" {
		return wire.Response{}, fmt.Errorf("%s: no worker program was given", verb)
	}
	type outcome struct {
		resp wire.Response
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		// On Linux the worker is killed when the thread that started it ends, not only when the process does, so the thread
		// must stay until the worker is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		resp, err := w.runHere(ctx, verb, req)
		done <- outcome{resp, err}
	}()
	got := <-done
	return got.resp, got.err
}

func (w Worker) runHere(ctx context.Context, verb string, req wire.Request) (wire.Response, error) {
	question, err := json.Marshal(req)
	if err != nil {
		return wire.Response{}, err
	}
	log := w.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	within := cmp.Or(w.Within, taskWithin)
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("a worker may take %s", within))
	defer cancel()
	start, starving := time.Now(), child.KernelKills()
	var answer bytes.Buffer
	tail := &child.Tail{Log: log.With("worker", verb)}
	cmd := exec.CommandContext(ctx, w.Path, w.Args...)
	cmd.Env = append(append(cmd.Environ(), w.Env...), noVerify)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &answer, tail
	cmd.WaitDelay = 5 * time.Second // for pipes that a stray grandchild keeps open
	child.OwnGroup(cmd)
	err = cmd.Run()
	tail.Flush() //nolint:contextcheck // what the worker said is kept although its context ended
	switch {
	case errors.Is(outer.Err(), context.Canceled):
		return wire.Response{}, context.Cause(outer)
	case ctx.Err() != nil:
		return wire.Response{}, &recovery.WorkerError{
			Verb: verb, Kind: recovery.DeathHang, ExitCode: -1, Signal: "killed", Last: tail.Words(), After: time.Since(start),
			Cause: hangCause(outer, ctx),
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return wire.Response{}, fmt.Errorf("start worker: %w", err)
	}
	var resp wire.Response
	if decodeErr := wire.Decode(&answer, &resp); err != nil || decodeErr != nil {
		death := child.NewWorkerError(verb, child.Demise{State: cmd.ProcessState, Tail: tail, Starved: child.KernelKills() > starving})
		if w.Mute {
			death.Last = nil
		}
		return wire.Response{}, death
	}
	if w.Spent != nil {
		w.Spent(effortOf(req, resp, cmd.ProcessState, time.Since(start)))
	}
	return resp, nil
}

// hangCause is a caller's own deadline, which stays recognizable, or else the time that a task may take.
func hangCause(outer, inner context.Context) error {
	if err := outer.Err(); err != nil {
		return errors.Join(err, context.Cause(outer))
	}
	return context.Cause(inner)
}

// noVerify switches etcd's own verification off, whatever the caller's environment says: it would make a panic of data that a
// server accepts (verify.Verify in server/storage/mvcc/kvstore.go), and a worker must judge a source as a server would. After a
// restore it would walk the whole database once more; the worker compares the same.
const noVerify = "ETCD_VERIFY="

func effortOf(req wire.Request, resp wire.Response, state *os.ProcessState, took time.Duration) recovery.Effort {
	return recovery.Effort{
		Task: req.Task(), Took: took, CPU: state.UserTime() + state.SystemTime(), PeakRSSBytes: resp.PeakRSSBytes, OwnBytes: resp.OwnBytes,
	}
}
