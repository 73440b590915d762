package recovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"time"
)

// Worker says how to start the processes in which sources are opened: a program that calls Serve when it is started with
// these arguments. The CLI names itself with a hidden command, a test binary itself with a variable in Env.
type Worker struct {
	Path string
	Args []string
	Env  []string // added to the environment of this process
	// Scratch is the folder in which Check and Extract make their copies of the source, each the size of the file; the
	// folder of the source if empty.
	Scratch string
	// Etcdutl is a program that Restore has the workers run in place of the library that they are linked with: the etcdutl of
	// the plan's version, see NeedsOwnTool. The library restores if it is empty.
	Etcdutl string
	// Log receives what workers print; nothing if nil.
	Log *slog.Logger
}

// run starts one worker, hands it the request and waits for its end. When the context ends, the worker's whole
// process group is killed. An error of the task itself is in the response.
func (w Worker) run(ctx context.Context, verb string, req request) (response, error) {
	if w.Path == "" {
		return response{}, fmt.Errorf("%s: no worker program was given", verb)
	}
	type outcome struct {
		resp response
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

func (w Worker) runHere(ctx context.Context, verb string, req request) (response, error) {
	question, err := json.Marshal(req)
	if err != nil {
		return response{}, err
	}
	log := w.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var answer bytes.Buffer
	tail := &logTail{log: log.With("worker", verb)}
	cmd := exec.CommandContext(ctx, w.Path, w.Args...)
	cmd.Env = append(append(cmd.Environ(), w.Env...), verifyEnv(req))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &answer, tail
	cmd.WaitDelay = 5 * time.Second // for pipes that a stray grandchild keeps open
	ownGroup(cmd)
	err = cmd.Run()
	tail.flush() //nolint:contextcheck // what the worker said is kept although its context ended
	if ctx.Err() != nil {
		return response{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return response{}, fmt.Errorf("start worker: %w", err)
	}
	var resp response
	if decodeErr := decodeMessage(&answer, &resp); err != nil || decodeErr != nil {
		return response{}, newWorkerError(verb, cmd.ProcessState, tail)
	}
	return resp, nil
}

// verifyEnv switches etcd's own verification on for a restore, where it checks what was made. For everything else it is
// switched off, whatever the caller's environment says: it would make a panic of data that a server accepts
// (verify.Verify in server/storage/mvcc/kvstore.go), and a worker must judge a source as a server would. A restore whose log
// lies apart would fail by it, see verifyApart.
func verifyEnv(req request) string {
	if req.Restore != nil && req.Restore.WALDir == "" {
		return "ETCD_VERIFY=all"
	}
	return "ETCD_VERIFY="
}
