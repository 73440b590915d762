package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// TestFrozenMeansEveryThread freezes a program that is busy on many threads, more than there are processors.
func TestFrozenMeansEveryThread(t *testing.T) {
	spinner := exec.Command(os.Args[0])
	spinner.Env = append(os.Environ(), asSpinner+"=1", "GOMAXPROCS=8")
	ownGroup(spinner)
	check(t, spinner.Start())
	pid := spinner.Process.Pid
	defer func() {
		_ = signalGroup(pid, syscall.SIGKILL)
		_ = spinner.Wait() // it was killed
	}()
	until := func(name string, do func() error) {
		condition := await.Condition{Name: name, Every: time.Millisecond, Within: 10 * time.Second}
		check(t, await.Until(t.Context(), condition, func(context.Context) error { return do() }))
	}
	until("eight threads at work", func() error {
		if running := runningThreads(t, pid); len(running) < 3 {
			return fmt.Errorf("%d threads run", len(running))
		}
		return nil
	})
	for range 20 {
		check(t, signalGroup(pid, syscall.SIGSTOP))
		until("the stop", func() error { return frozen(pid) })
		if running := runningThreads(t, pid); len(running) > 0 {
			t.Errorf("frozen, and threads %q run", running)
		}
		check(t, signalGroup(pid, syscall.SIGCONT))
		if err := frozen(pid); err == nil {
			t.Error("a thawed process is said to be frozen")
		}
	}
}

// runningThreads names those that are not stopped.
func runningThreads(t *testing.T, pid int) []string {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	check(t, err)
	var running []string
	for _, path := range stats {
		text, err := os.ReadFile(path)
		check(t, err)
		if !bytes.Contains(text, []byte(") T ")) {
			running = append(running, filepath.Base(filepath.Dir(path)))
		}
	}
	return running
}
