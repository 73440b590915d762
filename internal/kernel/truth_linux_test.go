package kernel

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The programs that administrators use must find what the trials found.
func TestOtherProgramsAgree(t *testing.T) {
	needsRoot(t)
	trials := byName(t, testProber(t, "serve").Try(t.Context()))
	for name, c := range map[string]struct {
		tools  string
		script string
	}{
		Namespaces: {"unshare", "true"},
		Nftables:   {"unshare nft", "nft add table ip drill && nft list table ip drill"},
		Netem:      {"unshare tc", "tc qdisc replace dev lo root netem delay 1ms"},
		TBF:        {"unshare tc", "tc qdisc replace dev lo root tbf rate 8mbit burst 64kb limit 128kb"},
		Tmpfs:      {"unshare mount dd", "mount -t tmpfs -o size=1m none /mnt && ! dd if=/dev/zero of=/mnt/file bs=1M count=2"},
		FUSE:       {"unshare mount", "mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /mnt 3<>/dev/fuse"},
		Loop: {"unshare losetup truncate", `truncate -s 1M "$TMPDIR/file" && device=$(losetup -f --show "$TMPDIR/file") &&
			losetup -d "$device"`},
	} {
		t.Run(name, func(t *testing.T) {
			for tool := range strings.FieldsSeq(c.tools) {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skip(err)
				}
			}
			t.Setenv("TMPDIR", t.TempDir())
			script := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", c.script)
			out, err := script.CombinedOutput()
			if found := trials[name].State == Able; found != (err == nil) {
				t.Errorf("%s is %s (%s), but: %v: %s", name, trials[name].State, trials[name].Text, err, out)
			}
		})
	}
	t.Run(Cgroup, func(t *testing.T) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		one, two := strings.Contains(string(mounts), " - cgroup "), strings.Contains(string(mounts), " - cgroup2 ")
		want := map[[2]bool]string{{true, false}: "version 1: ", {false, true}: "version 2: ", {true, true}: "hybrid: "}[[2]bool{one, two}]
		if !strings.HasPrefix(trials[Cgroup].Text, want) {
			t.Errorf("%+v, but want %q", trials[Cgroup], want)
		}
	})
}

func TestWhatNeedsRootIsDeniedToOthers(t *testing.T) {
	needsRoot(t)
	const nobody = 65534
	cmd := runAs(t, "try", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}})
	cmd.Path = copyForEverybody(t, cmd.Path)
	cmd.Args[0], cmd.Dir = cmd.Path, "/"
	trials := tried(t, cmd)
	for _, name := range []string{Namespaces, Nftables, Netem, TBF, FUSE, Tmpfs} {
		if trial := trials[name]; trial.State != Denied || !strings.Contains(trial.Text, "needs root") {
			t.Errorf("got %+v, want denied: needs root", trial)
		}
	}
	for path, name := range map[string]string{"/dev/loop-control": Loop, cgroupRoot: Cgroup} {
		want := Denied
		if _, err := os.Stat(path); err != nil {
			want = Unable
		}
		if trial := trials[name]; trial.State != want {
			t.Errorf("got %+v, want %s", trial, want)
		}
	}
}

// copyForEverybody copies this program to where any user can run it; the go command keeps it in a private folder.
func copyForEverybody(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kernel-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	for _, err := range []error{os.Chmod(dir, 0o755), os.WriteFile(path, data, 0o755), os.Chmod(path, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestWhatAMachineLacksIsUnable(t *testing.T) {
	needsRoot(t)
	usual := byName(t, testProber(t, "serve").Try(t.Context()))
	if usual[Namespaces].State != Able {
		t.Skip("needs a mount namespace to hide things in")
	}
	bare := tried(t, runAs(t, "bare", &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}))
	for _, name := range names() {
		want := usual[name].State
		if name == FUSE || name == Cgroup || name == Loop {
			want = Unable
		}
		if bare[name].State != want {
			t.Errorf("got %+v, want %s", bare[name], want)
		}
	}
}

func tried(t *testing.T, cmd *exec.Cmd) map[string]Trial {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var trials []Trial
	if err := json.Unmarshal(out, &trials); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return byName(t, trials)
}
