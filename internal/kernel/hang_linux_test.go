package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAProcessThatDoesNotAnswerProvesNothing(t *testing.T) {
	missing := testProber(t, "serve")
	missing.Path += ".missing"
	for name, c := range map[string]struct {
		prober Prober
		want   string
	}{
		"no path":    {Prober{}, "start its process: "},
		"no program": {missing, "no such file or directory"},
		"garbage":    {testProber(t, "garbage"), "did not answer: invalid character 'o'"},
		"no text":    {testProber(t, "no text"), "answered another question"},
		"odd name":   {testProber(t, "odd name"), "answered another question"},
		"odd state":  {testProber(t, "odd state"), "answered another question"},
		"dead":       {testProber(t, "dead"), "its process died (exit status 3): out of luck"},
		"endless":    {testProber(t, "endless"), "time is up"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if name == "endless" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, time.Second, errors.New("time is up"))
				defer cancel()
			}
			assertUntried(t, c.prober.Try(ctx), c.want)
		})
	}
}

// assertUntried excepts what this user may not even start.
func assertUntried(t *testing.T, trials []Trial, want string) {
	t.Helper()
	for name, trial := range byName(t, trials) {
		denied := trial.State == Denied && os.Geteuid() != 0 && runsApart(name)
		if !denied && (trial.State != Untried || !strings.Contains(trial.Text, want)) {
			t.Errorf("%s is %s: %q, want untried: %q", name, trial.State, trial.Text, want)
		}
	}
}

func TestAProcessThatHangsIsKilledWithItsChildren(t *testing.T) {
	for kind, each := range map[string]int{"hang": 1, "hang with child": 2} {
		t.Run(kind, func(t *testing.T) {
			count := each * startable(t)
			pipe := openPipe(t)
			prober := testProber(t, kind)
			prober.Env = append(prober.Env, pipe.env())
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				pipe.awaitWriters(t, count)
				cancel(errors.New("they hang"))
			}()
			assertUntried(t, prober.Try(ctx), "they hang")
			if ctx.Err() == nil {
				t.Fatal("returned before its context ended")
			}
			pipe.assertNoWriters(t)
		})
	}
}

func TestProcessesDieWithTheOneThatAsks(t *testing.T) {
	count := startable(t)
	pipe := openPipe(t)
	parent := runAs(t, "parent", nil)
	parent.Env = append(parent.Env, pipe.env())
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pipe.awaitWriters(t, count)
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // it was killed
	pipe.assertNoWriters(t)
}

// startable counts the trials whose processes can be started here.
func startable(t *testing.T) int {
	t.Helper()
	apart := byName(t, testProber(t, "serve").Try(t.Context()))[Namespaces].State == Able
	count := 0
	for _, name := range names() {
		if apart || !runsApart(name) {
			count++
		}
	}
	return count
}

// testPipe tells how many processes have opened it and whether any of them lives on: its end is only read when none does.
type testPipe struct {
	path  string
	read  *os.File
	write *os.File // keeps the end away until all have opened it
}

const pipePatience = 30 * time.Second

func openPipe(t *testing.T) *testPipe {
	t.Helper()
	pipe := &testPipe{path: filepath.Join(t.TempDir(), "pipe")}
	if err := unix.Mkfifo(pipe.path, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if pipe.read, err = os.OpenFile(pipe.path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.read.Close() })
	if pipe.write, err = os.OpenFile(pipe.path, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.write.Close() })
	return pipe
}

func (p *testPipe) env() string { return pipeEnv + "=" + p.path }

func (p *testPipe) awaitWriters(t *testing.T, count int) {
	err := p.read.SetReadDeadline(time.Now().Add(pipePatience))
	if err == nil {
		_, err = io.ReadFull(p.read, make([]byte, count))
	}
	if err = errors.Join(err, p.write.Close()); err != nil {
		t.Errorf("await %d processes: %v", count, err)
	}
}

func (p *testPipe) assertNoWriters(t *testing.T) {
	t.Helper()
	err := p.read.SetReadDeadline(time.Now().Add(pipePatience))
	if err == nil {
		_, err = io.Copy(io.Discard, p.read)
	}
	if err != nil {
		t.Errorf("a process was left behind: %v", err)
	}
}

// A process that is frozen by version 1 of the freezer is as deaf to signals as one that is stuck in the kernel. Where that
// is missing, it merely hangs.
func TestTryReturnsWhateverTheKernelDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as Try may take")
	}
	pipe := openPipe(t)
	prober, want := testProber(t, "hang"), "it hung"
	freezer := filepath.Join(cgroupRoot, "freezer", fmt.Sprintf("kernel-test-%d", os.Getpid()))
	if os.Mkdir(freezer, 0o755) == nil {
		defer func() { thaw(t, freezer) }()
		if err := os.WriteFile(filepath.Join(freezer, "freezer.state"), []byte("FROZEN"), 0); err != nil {
			t.Fatal(err)
		}
		prober, want = testProber(t, "frozen"), "cannot be killed"
		prober.Env = append(prober.Env, freezerEnv+"="+freezer)
	}
	prober.Env = append(prober.Env, pipe.env())
	start := time.Now()
	assertUntried(t, prober.Try(t.Context()), want)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
}

// thaw lets the frozen processes die of the signal that waits for them, and removes their cgroup.
func thaw(t *testing.T, freezer string) {
	t.Helper()
	procs, err := os.ReadFile(filepath.Join(freezer, "cgroup.procs"))
	if err != nil {
		t.Error(err)
	}
	var ends []unix.PollFd
	for text := range strings.FieldsSeq(string(procs)) {
		var pid int
		if _, err := fmt.Sscan(text, &pid); err != nil {
			t.Error(err)
		}
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			ends = append(ends, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	if err := os.WriteFile(filepath.Join(freezer, "freezer.state"), []byte("THAWED"), 0); err != nil {
		t.Error(err)
	}
	for i := range ends {
		if n, err := unix.Poll(ends[i:i+1], 10_000); n != 1 || err != nil {
			t.Errorf("a process outlives its thaw: %v", err)
		}
		_ = unix.Close(int(ends[i].Fd))
	}
	if err := os.Remove(freezer); err != nil {
		t.Error(err)
	}
}
