//go:build unix

package recovery

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup gives the worker a process group, which is killed as a whole when the command's context ends. It also keeps the
// terminal's Ctrl-C away from the worker: the parent decides.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// tieToParent has the kernel, where it can, kill the program of the command when the thread that started it ends.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
}

// deathSignal names the signal that ended a process; empty if it exited.
func deathSignal(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}
