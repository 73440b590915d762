package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// When the harness itself dies, nobody cleans up behind it. What it leaves has no member's name, so that nothing can be
// started on it, and does not stand in the way.
func TestAHarnessThatIsKilledLeavesNoMember(t *testing.T) {
	ctx := recoverytest.Context(t)
	plan, _ := goodPlan(t)
	for _, step := range steps() {
		t.Run(step, func(t *testing.T) {
			scratch := t.TempDir()
			task, err := json.Marshal(orphaned{plan, step, scratch})
			if err != nil {
				t.Fatal(err)
			}
			parent := exec.CommandContext(ctx, os.Args[0])
			parent.Env = append(os.Environ(), harnessEnv+"="+string(task))
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			// The worker has come to its step when it no longer does anything.
			err = await.Until(ctx, await.Condition{Name: "frozen worker", Within: 20 * time.Second}, func(context.Context) error {
				return workersStopped(parent.Process.Pid, 1)
			})
			if err := errors.Join(err, parent.Process.Kill()); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait() // it was killed
			for _, member := range plan.Members {
				if _, err := os.Lstat(filepath.Join(scratch, member.Name)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("member %s is there: %v", member.Name, err)
				}
			}
			checkAgain(t, plan, scratch)
		})
	}
}

// workersStopped returns an error until so many children of the process have been frozen.
func workersStopped(parent, want int) error {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	stopped := 0
	frozen := regexp.MustCompile(fmt.Sprintf(`\) T %d `, parent))
	for _, path := range stats {
		if stat, err := os.ReadFile(path); err == nil && frozen.Match(stat) {
			stopped++
		}
	}
	if stopped < want {
		return fmt.Errorf("%d of %d", stopped, want)
	}
	return nil
}
