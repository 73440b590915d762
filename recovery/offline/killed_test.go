package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// killedAt makes this test binary a worker that kills itself when the log of its restore comes to a line: behind this stand
// how often it must come and how it begins. "stop:" before that has it freeze instead.
const killedAt = "killed at "

// killer is the standard error of such a worker.
type killer struct {
	mark string
	seen bytes.Buffer
}

// Write implements io.Writer.
func (k *killer) Write(data []byte) (int, error) {
	k.seen.Write(data)
	mark, signal := k.mark, syscall.SIGKILL
	if rest, stop := strings.CutPrefix(mark, "stop:"); stop {
		mark, signal = rest, syscall.SIGSTOP
	}
	count, line, _ := strings.Cut(mark, " ")
	if times, err := strconv.Atoi(count); err == nil && strings.Count(k.seen.String(), line) >= times {
		_ = syscall.Kill(os.Getpid(), signal)
		select {}
	}
	return os.Stderr.Write(data)
}

// steps are lines of the log of a restore: before the source is copied, before the old members are removed, before the bump,
// before the new members are added and the log is made, before the index is reset, and when all is done.
func steps() []string {
	return []string{
		"1 restoring snapshot", "1 Opening db file", "2 Opening db file", "3 Opening db file", "4 Opening db file", "1 restored snapshot",
	}
}

func goodPlan(t *testing.T) (plan recovery.Plan, snapshot string) {
	t.Helper()
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 60)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err = recovery.NewPlan(source, recoverytest.Layout(t, 2), identity.FreshToken(), recovery.WithBump(100),
		recovery.WithMarkCompacted())
	if err != nil {
		t.Fatal(err)
	}
	return plan, b.Snapshot
}

func TestARestoreThatIsKilledAtAnyStepIsDoneAgain(t *testing.T) {
	ctx := recoverytest.Context(t)
	plan, snapshot := goodPlan(t)
	for _, step := range steps() {
		t.Run(step, func(t *testing.T) {
			scratch := t.TempDir()
			_, err := Restore(ctx, testWorker(t, killedAt+step), plan, scratch)
			var death *recovery.WorkerError
			if !errors.As(err, &death) || death.Kind != recovery.DeathKilled {
				t.Fatalf("got %v", err)
			}
			recoverytest.AssertEmpty(t, scratch)
			checkAgain(t, plan, scratch)
			if recoverytest.DigestOf(t, snapshot) != plan.Source.SHA256 {
				t.Error("the source was changed")
			}
		})
	}
}

// checkAgain does the restore that failed before, in the very same place.
func checkAgain(t *testing.T, plan recovery.Plan, scratch string) {
	t.Helper()
	restored, err := Restore(recoverytest.Context(t), testWorker(t, "serve"), plan, scratch)
	if err != nil {
		t.Error("again: ", err)
	}
	for name, dir := range restored.Dirs() {
		if _, err := os.Stat(filepath.Join(dir, blob.DBFile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// harnessEnv names a plan and a folder: this test binary then restores with workers that freeze at a step.
const harnessEnv = "ETCD_DRILL_TEST_RESTORE"

type orphaned struct {
	Plan          recovery.Plan
	Step, Scratch string
}

func restoreAsHarness(text string) error {
	var task orphaned
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return err
	}
	worker := Worker{Path: os.Args[0], Env: []string{harnessEnv + "=", workerEnv + "=" + killedAt + "stop:" + task.Step}}
	run := &restoreRun{worker: worker, plan: task.Plan, scratch: task.Scratch}
	_, err := run.do(context.Background())
	return fmt.Errorf("it was not killed: %w", err)
}
