package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// frozen returns nil when all threads of the child have stopped. The signal's delivery says nothing about that: on a busy
// machine a member answers for milliseconds more. It asks without taking the news away from whoever waits for the child.
func frozen(pid int) error {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, nil)
	if err == nil && info.Signo == 0 {
		err = errors.New("some of its threads still run")
	}
	return err
}
