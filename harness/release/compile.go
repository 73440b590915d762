package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// needBytes is what a build takes in the cache folder at its peak: the compiler's working files and the programs.
const needBytes = 400 << 20

// buildFlags decide what the programs are like; they are part of the recipe. etcd's own build stamps a Git commit into the
// programs; module source has none, so etcd prints "Not provided" for it, which is true.
func buildFlags() []string {
	return []string{"-mod=readonly", "-trimpath", "-ldflags=-s -w"}
}

// compile leaves the three programs in the staging folder, checked as far as this machine can run them.
func compile(ctx context.Context, req Request, stage staging) error {
	if err := checkSpace(req.CacheDir); err != nil {
		return err
	}
	if err := writePins(stage, req.Version); err != nil {
		return err
	}
	// The go program is run as a program because its builder is no library: compiling Go from Go has no other interface.
	program, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("%w: install Go 1.26 or later, or give an image with --image: %w", ErrNoGo, err)
	}
	t := toolchain{program: program, req: req, stage: stage}
	if err := t.build(ctx); err != nil {
		return err
	}
	for _, pkg := range packages() {
		if err := t.rename(pkg); err != nil {
			return err
		}
	}
	if req.OS != runtime.GOOS || req.Arch != runtime.GOARCH {
		return nil // it cannot run here; whoever runs it checks it
	}
	return checkVersion(ctx, filepath.Join(stage.bin(), "etcd"), req.Version)
}

func writePins(stage staging, version string) error {
	pinned, err := pinsOf(version)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"go.mod": pinned.mod, "go.sum": pinned.sum} {
		if err := os.WriteFile(filepath.Join(stage.module(), name), content, 0o600); err != nil {
			return fmt.Errorf("write pins: %w", err)
		}
	}
	return nil
}

func packages() []string {
	var list []string
	for pkg := range programs() {
		list = append(list, pkg)
	}
	slices.Sort(list)
	return list
}

func checkSpace(dir string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < needBytes {
		return fmt.Errorf("%w: %s has %d MB free, the build needs %d MB; free some or use another cache folder",
			ErrNoSpace, dir, free>>20, needBytes>>20)
	}
	return nil
}

// toolchain runs the go program on the module in the staging folder.
type toolchain struct {
	program string
	req     Request
	stage   staging
}

// build first lists the packages, which fetches their source and tells how many there are, and then compiles all of them in
// one run, so that the programs share their work.
func (t toolchain) build(ctx context.Context) error {
	count := &counter{}
	stop := Tick(t.req.Progress, func(elapsed time.Duration) string {
		return fmt.Sprintf("fetching module source of etcd %s: %d modules downloaded, %s", t.req.Version, count.get(), elapsed)
	})
	list, err := t.list(ctx, count)
	stop()
	if err != nil {
		return fmt.Errorf("fetch module source: %w", err)
	}

	total := len(list)
	count = &counter{}
	line := func(elapsed time.Duration) string {
		return fmt.Sprintf("building etcd %s from module source: %d of %d packages, %s",
			t.req.Version, min(count.get(), total), total, elapsed)
	}
	stop = Tick(t.req.Progress, line)
	args := append([]string{"build", "-v", "-o", t.stage.bin() + string(filepath.Separator)}, buildFlags()...)
	start := time.Now()
	_, err = t.run(ctx, &output{count: count}, append(args, packages()...))
	stop()
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	t.req.Progress(fmt.Sprintf("built etcd %s from module source: %d packages, %s",
		t.req.Version, total, time.Since(start).Round(time.Second)))
	return nil
}

// list returns the paths of all packages that go into the programs, and counts the modules that had to be downloaded.
func (t toolchain) list(ctx context.Context, downloads *counter) ([]string, error) {
	args := append([]string{"list", "-mod=readonly", "-deps"}, packages()...)
	printed, err := t.run(ctx, &output{count: downloads, prefix: "go: downloading "}, args)
	return strings.Fields(string(printed)), err
}

// run runs the go program in a process group of its own, because ending the go program alone would leave its compilers at
// work. It returns what was printed to stdout.
func (t toolchain) run(ctx context.Context, stderr *output, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.program, args...)
	cmd.Dir = t.stage.module()
	cmd.Env = append(cmd.Environ(), t.environment()...)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // a grandchild may hold the pipes for a moment longer
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, explain(err, stderr.last())
	}
	return stdout.Bytes(), nil
}

// environment overrides what would change the result or look outside the staging folder. The choice of GOPROXY,
// GOTOOLCHAIN, GOMODCACHE and GOCACHE stays the user's.
func (t toolchain) environment() []string {
	return []string{
		"CGO_ENABLED=0",
		"GOOS=" + t.req.OS,
		"GOARCH=" + t.req.Arch,
		"GOAMD64=v1", // the cache key names no finer level
		"GOARM64=v8.0",
		"GO111MODULE=on",
		"GOWORK=off",
		// Not empty: for an empty value the go program falls back to what `go env -w` saved, which may hold -mod=vendor.
		"GOFLAGS=-buildvcs=false",
		"GOTMPDIR=" + t.stage.temp(),
	}
}

// rename gives a program its name. The go program named it after the last element of the package path that is no version.
func (t toolchain) rename(pkg string) error {
	made := filepath.Base(strings.TrimSuffix(pkg, "/v3"))
	if t.req.OS == "windows" {
		made += ".exe"
	}
	want := programs()[pkg]
	if err := os.Rename(filepath.Join(t.stage.bin(), made), filepath.Join(t.stage.bin(), want)); err != nil {
		return fmt.Errorf("name program %s: %w", want, err)
	}
	return nil
}

// versionLine is printed by `etcd --version` (etcd's server/etcdmain/config.go).
var versionLine = regexp.MustCompile(`(?m)^etcd Version: (\S+)$`)

// ParseVersion finds the version in what `etcd --version` prints.
func ParseVersion(printed string) (string, error) {
	match := versionLine.FindStringSubmatch(strings.ReplaceAll(printed, "\r", ""))
	if match == nil {
		return "", fmt.Errorf("find version of etcd: no line \"etcd Version: …\" in %q", truncate(printed, 200))
	}
	return match[1], nil
}

func checkVersion(ctx context.Context, program, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	printed, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the built etcd: %w: %s", errors.Join(err, ctx.Err()), truncate(string(printed), 200))
	}
	got, err := ParseVersion(string(printed))
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("check the built etcd: it says %s, not %s", got, want)
	}
	return nil
}

func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
