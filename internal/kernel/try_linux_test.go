package kernel

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

func TestTryLeavesNothingBehind(t *testing.T) {
	usual := byName(t, testProber(t, "serve").Try(t.Context()))
	for _, kind := range []string{"serve", "midway"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			before := qdiscsOnLo(t)
			for _, trial := range byName(t, testProber(t, kind).Try(t.Context())) {
				dead := trial.State == Untried && strings.Contains(trial.Text, "midway at")
				if kind == "midway" && usual[trial.Name].State == Able && !dead {
					t.Errorf("its process should have died on the way: %+v", trial)
				}
			}
			for _, left := range leftBehind(t, dir) {
				t.Error("left behind: ", left)
			}
			if after := qdiscsOnLo(t); after != before {
				t.Errorf("lo had %q and has %q", before, after)
			}
		})
	}
}

// leftBehind looks at everything that a trial touches, by the name that whatever it makes carries.
func leftBehind(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	lines, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		if strings.Contains(line, dir) || strings.Contains(line, markPrefix()) {
			found = append(found, "mount "+line)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		found = append(found, "file "+entry.Name())
	}
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range devices {
		if file, err := os.ReadFile(device); err == nil && strings.Contains(string(file), markPrefix()) {
			found = append(found, device+" "+string(file))
		}
	}
	return append(append(found, cgroupsOfTrials(t)...), tablesOfTrials()...)
}

func cgroupsOfTrials(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), markPrefix()) {
			found = append(found, "cgroup "+path)
		}
		return nil // others may make and remove cgroups meanwhile
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func tablesOfTrials() []string {
	conn, err := nftables.New()
	if err != nil {
		return nil
	}
	var found []string
	tables, _ := conn.ListTables() // a kernel without nftables has none, and other users than root have none here
	for _, table := range tables {
		if strings.HasPrefix(table.Name, markPrefix()) {
			found = append(found, "table "+table.Name)
		}
	}
	return found
}

func qdiscsOnLo(t *testing.T) string {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	qdiscs, err := netlink.QdiscList(lo)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, qdisc := range qdiscs {
		kinds = append(kinds, qdisc.Type())
	}
	return strings.Join(kinds, " ")
}

func TestMountsOfATrialDoNotShowOutside(t *testing.T) {
	needsRoot(t)
	tried(t, runAs(t, "shared", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}))
}

func TestATrialRefusesToRunOutsideOfNamespacesOfItsOwn(t *testing.T) {
	needsRoot(t)
	for _, name := range []string{Namespaces, Nftables, Netem, TBF, FUSE, Tmpfs} {
		// It is in namespaces of its own, lest the machine suffers from a failure of this test, but believes to share them.
		cmd := runAs(t, "inside", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}, name)
		var trial Trial
		if out, err := cmd.Output(); err != nil || json.Unmarshal(out, &trial) != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		if trial.State != Untried || !strings.Contains(trial.Text, "no namespaces of its own") {
			t.Errorf("%s ran in the namespaces of the asking process: %+v", name, trial)
		}
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process that is different")
	}
}

// runAs prepares another process of this program.
func runAs(t *testing.T, kind string, attr *syscall.SysProcAttr, args ...string) *exec.Cmd {
	t.Helper()
	prober := testProber(t, kind)
	cmd := exec.CommandContext(t.Context(), prober.Path, args...)
	cmd.Env, cmd.SysProcAttr, cmd.Stderr = append(cmd.Environ(), prober.Env...), attr, t.Output()
	return cmd
}
