package process

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// forker starts processes from one thread that does nothing else. A parent-death signal comes when the *thread* that forked
// ends (prctl(2), PR_SET_PDEATHSIG), and Go ends threads as it likes; this one stays until stop or the end of this process.
type forker struct{ jobs chan func() }

func newForker() *forker {
	f := &forker{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlocked: nobody else may end this thread
		for job := range f.jobs {
			job()
		}
	}()
	return f
}

// start starts the command in a process group of its own, bound to the life of this process.
func (f *forker) start(cmd *exec.Cmd) error {
	ownGroup(cmd)
	dieWithParent(cmd.SysProcAttr)
	started := make(chan error, 1)
	f.jobs <- func() { started <- cmd.Start() }
	return <-started
}

func (f *forker) stop() { close(f.jobs) }

// ownGroup gives the command a process group, which ends as a whole when the command's context does, and keeps a terminal's
// Ctrl-C away from it: the harness decides when members end.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return signalGroup(cmd.Process.Pid, syscall.SIGKILL) }
	}
}

// signalGroup reaches what a wrapper around etcd has started, too.
func signalGroup(pid int, signal syscall.Signal) error {
	err := syscall.Kill(-pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// environment is this process's without what would change an etcd: it takes every flag from a variable ETCD_… as well
// (pkg/flags/flag.go, SetFlagsFromEnv), and tells systemd about itself.
func environment() []string {
	kept := []string{}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ETCD") && !strings.HasPrefix(variable, "NOTIFY_SOCKET=") {
			kept = append(kept, variable)
		}
	}
	return kept
}
