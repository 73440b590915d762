package offline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestAWorkerDiesWithItsParent(t *testing.T) {
	ctx := recoverytest.Context(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(ctx, program, t.TempDir())
	parent.Env = append(parent.Environ(), workerEnv+"=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Wait() }() // it was killed
	worker := 0
	said := regexp.MustCompile(`hanging as (\d+)`)
	for lines := bufio.NewScanner(out); worker == 0 && lines.Scan(); {
		if match := said.FindStringSubmatch(lines.Text()); match != nil {
			worker, err = strconv.Atoi(match[1])
		}
	}
	if err := errors.Join(err, parent.Process.Kill()); err != nil || worker == 0 {
		t.Fatalf("worker %d: %v", worker, err)
	}
	err = await.Until(ctx, await.Condition{Name: "end of the worker", Within: 10 * time.Second}, func(context.Context) error {
		return isGone(worker)
	})
	if err != nil {
		t.Error(errors.Join(err, syscall.Kill(worker, syscall.SIGKILL)))
	}
}

// isGone returns an error as long as the process is there. A dead one that nobody has reaped yet still is, as a zombie.
func isGone(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && !regexp.MustCompile(`\) [ZX] `).Match(stat) {
		return fmt.Errorf("process %d runs on: %s", pid, stat)
	}
	return nil
}
