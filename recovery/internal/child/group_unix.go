//go:build unix

package child

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// OwnGroup gives the worker a process group, which is killed as a whole when the command's context ends. It also keeps the
// terminal's Ctrl-C away from the worker: the parent decides.
func OwnGroup(cmd *exec.Cmd) {
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

// TieToParent has the kernel, where it can, kill the program of the command when the thread that started it ends.
func TieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
}

// DeathSignal names the signal that ended a process; empty if it exited.
func DeathSignal(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}
