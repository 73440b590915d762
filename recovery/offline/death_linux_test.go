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
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/child"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// die ends this process, a worker, in one of the ways in which damaged files and full machines end it.
func die(how string) {
	fmt.Fprintln(os.Stderr, "about to die of", how)
	switch how {
	case "panic":
		go func() { panic("in a goroutine that nobody can recover") }()
	case "fault":
		go touchWhatIsGone()
	case "fatal":
		zap.Must(zap.NewProduction()).Fatal("failed to do what a library must")
	case "overflow":
		debug.SetMaxStack(1 << 20)
		fmt.Fprintln(os.Stderr, deeper(0))
	case "starve":
		_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: 4 << 30, Max: 4 << 30})
		debug.SetGCPercent(-1)
		for held := [][]byte{}; ; {
			held = append(held, make([]byte, 256<<20))
		}
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "spin":
		for n := 0; ; n++ {
			_ = n
		}
	case "family":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), workerEnv+"=hang")
		_ = child.Start()
		fmt.Fprintln(os.Stderr, "its child is", child.Process.Pid)
	}
	select {}
}

//nolint:staticcheck // it never ends, that is the point
func deeper(n int) int { return deeper(n+1) + n }

// touchWhatIsGone reads a page of a mapped file that has since been cut off, as bbolt does with a file that is too short.
func touchWhatIsGone() {
	file, err := os.CreateTemp("", "etcd-drill-fault-*")
	if err != nil {
		return
	}
	_ = os.Remove(file.Name())
	_ = file.Truncate(1 << 16)
	page, err := unix.Mmap(int(file.Fd()), 0, 1<<16, unix.PROT_READ, unix.MAP_SHARED)
	_ = file.Truncate(0)
	fmt.Fprintln(os.Stderr, err, page[1<<15])
}

func TestEveryDeathOfAWorkerHasAName(t *testing.T) {
	ctx := recoverytest.Context(t)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string]struct {
		kind  recovery.DeathKind
		bad   bool // the file is to blame
		words string
	}{
		"panic":    {recovery.DeathPanic, true, "in a goroutine that nobody can recover"},
		"fault":    {recovery.DeathFault, true, "unexpected fault address"},
		"overflow": {recovery.DeathStack, true, "stack exceeds"},
		"fatal":    {recovery.DeathExit, false, "failed to do what a library must"},
		"mute":     {recovery.DeathMute, false, "nothing to say"},
		"killed":   {recovery.DeathKilled, false, "about to be killed"},
		"starve":   {recovery.DeathNoMemory, false, "memory"},
		"stop":     {recovery.DeathHang, false, "about to die of stop"},
		"spin":     {recovery.DeathHang, false, "about to die of spin"},
	} {
		t.Run(how, func(t *testing.T) {
			worker := testWorker(t, how)
			worker.Within = 20 * time.Second
			if want.kind == recovery.DeathHang {
				worker.Within = 300 * time.Millisecond
			}
			_, err := Check(ctx, worker, recovery.DBCopy, source)
			var death *recovery.WorkerError
			if !errors.Is(err, recovery.ErrWorkerDied) || !errors.As(err, &death) {
				t.Fatalf("got %v", err)
			}
			if death.Kind != want.kind || recovery.ProvedBad(err) != want.bad || errors.Is(err, recovery.ErrBadStructure) != want.bad {
				t.Errorf("got %s (proved bad: %t): %v", death.Kind, recovery.ProvedBad(err), err)
			}
			if text := err.Error(); !strings.Contains(text, want.words) || !strings.Contains(text, string(want.kind)) {
				t.Errorf("%q does not say %q", text, want.words)
			}
			var again recovery.WorkerError
			text, err := json.Marshal(death)
			if err := errors.Join(err, json.Unmarshal(text, &again)); err != nil || again.Error() != death.Error() {
				t.Errorf("%s is not %v, %v", text, death, err)
			}
			recoverytest.AssertEmpty(t, worker.Scratch)
		})
	}
}

// The kernel does not say whom it killed; that it killed at all in the meantime is what there is.
func TestAKilledWorkerOfAStarvedMachineIsCalledSo(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"=killed")
	_ = cmd.Run()
	for starved, want := range map[bool]recovery.DeathKind{true: recovery.DeathNoMemory, false: recovery.DeathKilled} {
		if got := child.NewWorkerError("test", child.Demise{State: cmd.ProcessState, Tail: &child.Tail{},
			Starved: starved}); got.Kind != want || got.BlamesFile() {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// A caller's own deadline stays what it is, and says what was waited for.
func TestADeadlineOfTheCallerIsAHang(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("the drill has taken too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, reason)
	defer cancel()
	_, err := Check(ctx, testWorker(t, "stop"), recovery.DBCopy, source)
	var death *recovery.WorkerError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, reason) || !errors.As(err, &death) ||
		death.Kind != recovery.DeathHang || death.After < 200*time.Millisecond {
		t.Errorf("got %v", err)
	}
}

func TestAWorkerThatHangsIsKilledWithItsChildren(t *testing.T) {
	ctx := recoverytest.Context(t)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker := testWorker(t, "family")
	worker.Within = time.Second
	_, err := Check(ctx, worker, recovery.DBCopy, source)
	match := regexp.MustCompile(`its child is (\d+)`).FindStringSubmatch(fmt.Sprint(err))
	if match == nil {
		t.Fatalf("%v names no child", err)
	}
	child, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	err = await.Until(ctx, await.Condition{Name: "end of the child", Within: 10 * time.Second}, func(context.Context) error {
		return isGone(child)
	})
	if err != nil {
		t.Error(errors.Join(err, syscall.Kill(child, syscall.SIGKILL)))
	}
}
