package kernel

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A trial takes well under a second. Together these stay below what Try promises.
const (
	patience  = 10 * time.Second // for one trial
	pipeDelay = time.Second      // for pipes that a stray grandchild keeps open
	grace     = 3 * time.Second  // for a killed process to be gone; pipeDelay is part of it
)

// try runs one trial in a process of its own.
func (p Prober) try(ctx context.Context, name string) Trial {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it hung: no answer within %s", patience))
	defer cancel()
	done := make(chan Trial, 1)
	go func() {
		// The process is killed when the thread that started it ends, so the thread must stay until the process is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- p.tryHere(ctx, name)
	}()
	select {
	case trial := <-done:
		return trial
	case <-ctx.Done():
	}
	// A killed process is gone at once, unless it is stuck inside the kernel: then nobody can end it, and waiting on would
	// hang this process as well.
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case trial := <-done:
		return trial
	case <-timer.C:
		return untried(name, context.Cause(ctx).Error()+"; its process cannot be killed")
	}
}

func (p Prober) tryHere(ctx context.Context, name string) Trial {
	outside, err := ownNamespaces()
	if err != nil {
		return untried(name, err.Error())
	}
	req := request{Trial: name, Outside: outside, Mark: newMark()}
	question, err := json.Marshal(req)
	if err != nil {
		return untried(name, err.Error())
	}
	var answer, complaint opening
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append(cmd.Environ(), p.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &answer, &complaint
	cmd.WaitDelay = pipeDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if runsApart(name) {
		// The process namespace serves the end: when its first process dies, so does every other one.
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	}
	if err := cmd.Start(); err != nil {
		return notStarted(ctx, name, err)
	}
	err = cmd.Wait()
	if err == nil {
		return answered(name, answer.kept)
	}
	sweepCgroup(req.Mark) // it may have died between making and removing
	if ctx.Err() != nil {
		return untried(name, context.Cause(ctx).Error())
	}
	return untried(name, fmt.Sprintf("its process died (%v)%s", err, complaint.firstLine()))
}

// newMark names this process, so that whoever comes across a mark can tell whose it is.
func newMark() string { return markPrefix() + strings.ToLower(rand.Text()) }

func markPrefix() string { return fmt.Sprintf("etcd-drill-%d-", os.Getpid()) }

func killGroup(leader int) error {
	err := syscall.Kill(-leader, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// notStarted tells a refused namespace, which is an answer, from a program that cannot be run, which is none. The first
// shows in errors of clone(2) that execve(2) does not have for a file.
func notStarted(ctx context.Context, name string, err error) Trial {
	const what = "start a process in namespaces of its own: "
	switch {
	case ctx.Err() != nil:
		return untried(name, context.Cause(ctx).Error())
	case !runsApart(name):
	case errors.Is(err, syscall.EPERM):
		return Trial{Name: name, State: Denied, Text: what + "not permitted, needs root (CAP_SYS_ADMIN)"}
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.ENOSYS):
		return Trial{Name: name, State: Unable, Text: what + err.Error()}
	}
	return untried(name, "start its process: "+err.Error())
}

// answered reads what a process said that ended well. Another program than one that serves can say anything.
func answered(name string, answer []byte) Trial {
	var trial Trial
	if err := json.Unmarshal(answer, &trial); err != nil {
		return untried(name, "its process did not answer: "+err.Error())
	}
	if trial.Name != name || trial.Text == "" || !slices.Contains([]State{Able, Unable, Denied, Untried}, trial.State) {
		return untried(name, fmt.Sprintf("its process answered another question: %+v", trial))
	}
	return trial
}

// opening keeps the beginning of what is written to it, and never fails.
type opening struct{ kept []byte }

func (o *opening) Write(data []byte) (int, error) {
	room := maxMessageBytes - len(o.kept)
	o.kept = append(o.kept, data[:min(room, len(data))]...)
	return len(data), nil
}

// firstLine is where a Go program says why it gave up; empty if nothing was said.
func (o *opening) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(o.kept)), "\n")
	if line == "" {
		return ""
	}
	return ": " + line
}
