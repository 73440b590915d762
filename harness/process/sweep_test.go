package process

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bystander starts a process that has nothing to do with any run, under this name, and returns what tells it from others.
func bystander(t *testing.T, name string) sighting {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Args[0] = name
	ownGroup(cmd)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been swept
		_ = cmd.Wait()
	})
	started, err := startOf(cmd.Process.Pid)
	check(t, err)
	seen := sighting{PID: cmd.Process.Pid, Started: started, Name: name}
	if !seen.alive() {
		t.Fatalf("%+v is not recognised", seen)
	}
	return seen
}

func TestSweepEndsOnlyWhatItsRecordKnows(t *testing.T) {
	const run = "0badcafe"
	rt := newRuntime(t)
	ours := bystander(t, processName(run, "m1"))
	otherStart, otherName := bystander(t, processName(run, "m2")), bystander(t, processName("feedbeef", "m3"))
	notNoted := bystander(t, processName(run, "m4"))

	noted := []sighting{ours, otherStart, otherName, {PID: 1, Started: time.Now(), Name: processName(run, "m5")}}
	noted[1].Started = otherStart.Started.Add(-time.Hour)   // the number was given to another process since
	noted[2].Name = processName(run, "m3")                  // the same, and so soon that only the name tells
	write(t, rt.recordPath(run), append(noted, sighting{})) // the last line was cut short by a crash

	removed, err := rt.Sweep(t.Context(), run)
	check(t, err)
	if removed != 1 || ours.alive() {
		t.Errorf("the sweep ended %d processes; the noted one is alive: %t", removed, ours.alive())
	}
	for _, other := range []sighting{otherStart, otherName, notNoted} {
		if !other.alive() {
			t.Errorf("the sweep ended %+v, which is another process", other)
		}
	}
	if _, err := os.Stat(rt.recordPath(run)); !os.IsNotExist(err) {
		t.Errorf("the record is still there: %v", err)
	}
	left, err := rt.Left(t.Context(), run)
	check(t, err)
	if len(left) != 2 || !strings.Contains(strings.Join(left, " "), "-m4") {
		t.Errorf("what carries the run's name and was not noted is not seen: %q", left)
	}
	for _, odd := range []string{"", "../0badcafe", "a=b"} {
		if _, err := rt.Sweep(t.Context(), odd); err == nil {
			t.Errorf("%q is taken for a run", odd)
		}
	}
}

// write writes a record whose last line is torn.
func write(t *testing.T, path string, noted []sighting) {
	t.Helper()
	var text []byte
	for _, one := range noted {
		line, err := json.Marshal(one)
		check(t, err)
		text = append(append(text, line...), '\n')
	}
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, text[:len(text)-20], 0o600))
}

func newRuntime(t *testing.T) *Runtime {
	t.Helper()
	rt, err := New(Config{Program: "etcd", StateDir: t.TempDir()})
	check(t, err)
	return rt
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
