package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestMain lets this test program act as a harness that dies: a run whose process is gone cannot be had otherwise.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_RUN_AND_WAIT"); dir != "" {
		os.Exit(runAndWait(dir))
	}
	os.Exit(m.Run())
}

func runAndWait(dir string) int {
	run, err := NewRun(RunConfig{StateDir: filepath.Join(dir, "state"), WorkDir: filepath.Join(dir, "work")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := run.Note("container", "c-1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(run.ID())
	bufio.NewReader(os.Stdin).ReadByte() //nolint:errcheck // it waits to be killed
	return 0
}

// startRun starts another process with a run of its own below dir and returns its ID.
func startRun(t *testing.T, dir string) (id string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_RUN_AND_WAIT="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the other process told no ID: %v", cmd.Wait())
	}
	return lines.Text(), func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() //nolint:errcheck // it was killed
	}
}

func TestLivingRunIsNotDead(t *testing.T) {
	dir := t.TempDir()
	_, kill := startRun(t, dir)
	defer kill()
	dead, err := DeadRuns(filepath.Join(dir, "state"))
	if err != nil || len(dead) != 0 {
		t.Errorf("a living run was taken for dead: %v %v", dead, err)
	}
}

func TestKilledRunIsFoundAndBuried(t *testing.T) {
	dir := t.TempDir()
	id, kill := startRun(t, dir)
	kill()
	state, work := filepath.Join(dir, "state"), filepath.Join(dir, "work")
	dead, err := DeadRuns(state)
	if err != nil || len(dead) != 1 {
		t.Fatalf("found %v, %v; want the one that was killed", dead, err)
	}
	if dead[0].ID != id || dead[0].WorkDir != work || !slices.Equal(dead[0].Things, []string{"container c-1"}) {
		t.Errorf("found %+v, want run %s with work folder %s and its container", dead[0], id, work)
	}
	if again, err := DeadRuns(state); err != nil || len(again) != 0 {
		t.Errorf("a run that somebody is sweeping was handed out again: %v %v", again, err)
	}
	if err := dead[0].Bury(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(work); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the work folder is still there (%v)", err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("the record is still there: %v %v", left, err)
	}
}

func TestReleasedRunIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	_, kill := startRun(t, dir)
	kill()
	for range 2 {
		dead, err := DeadRuns(filepath.Join(dir, "state"))
		if err != nil || len(dead) != 1 {
			t.Fatalf("found %v, %v", dead, err)
		}
		if err := dead[0].Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosedRunLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	run, err := NewRun(RunConfig{StateDir: filepath.Join(dir, "state"), WorkDir: filepath.Join(dir, "work")})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Close(false); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"state", "work"} {
		left, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) != 0 {
			t.Errorf("%s still holds %v (%v)", sub, left, err)
		}
	}
}

func TestRunKeepsItsWorkFolderIfAsked(t *testing.T) {
	dir := t.TempDir()
	run, err := NewRun(RunConfig{StateDir: filepath.Join(dir, "state"), WorkDir: filepath.Join(dir, "work")})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "work")); err != nil {
		t.Errorf("the work folder went: %v", err)
	}
}

func TestForeignWorkFolderIsNeverRemoved(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeWorkDir(dir, "00000000"); err != nil {
		t.Errorf("a folder without a marker is simply left alone, got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, workMarker), []byte("11111111"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeWorkDir(dir, "00000000"); err == nil {
		t.Error("the folder of another run was removed without an error")
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that is not ours is gone: %v", err)
	}
}

func TestRunDoesNotTakeAnExistingWorkFolder(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if _, err := NewRun(RunConfig{StateDir: state, WorkDir: dir}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want an error that the folder exists", err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("the failed run left %v (%v)", left, err)
	}
}
