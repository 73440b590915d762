package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// recorder keeps progress lines with their times.
type recorder struct {
	mu    sync.Mutex
	lines []string
	gap   time.Duration
	last  time.Time
}

func (r *recorder) progress(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.last.IsZero() {
		r.gap = max(r.gap, now.Sub(r.last))
	}
	r.last = now
	r.lines = append(r.lines, line)
}

func (r *recorder) mentions(words string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(line string) bool { return strings.Contains(line, words) })
}

func TestBuildMakesProgramsOnceAndKeepsThem(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles etcd")
	}
	seen := &recorder{}
	req := Request{CacheDir: t.TempDir(), Progress: seen.progress}
	built, err := Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if built.Cached || built.Version != Default || built.Took <= 0 {
		t.Errorf("first build: %+v", built)
	}
	for _, program := range []string{built.Etcd, built.Etcdctl, built.Etcdutl} {
		if info, err := os.Stat(program); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("%s is no program: %v", program, err)
		}
	}
	if err := checkVersion(t.Context(), built.Etcd, Default); err != nil {
		t.Error(err)
	}
	if seen.gap > 2*time.Second {
		t.Errorf("silent for %s", seen.gap)
	}
	if !seen.mentions("building etcd "+Default+" from module source: ") || !seen.mentions("built etcd ") {
		t.Errorf("progress said %q", seen.lines)
	}
	t.Logf("took %s; progress ended with %q", built.Took, seen.lines[len(seen.lines)-1])

	lines := len(seen.lines)
	again, err := Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := built
	want.Cached = true
	if again != want {
		t.Errorf("second build: got %+v, want %+v", again, want)
	}
	if len(seen.lines) != lines {
		t.Errorf("a cached build reported %q", seen.lines[lines:])
	}
	leftOnly(t, req.CacheDir, "etcd-"+Default+"-"+runtime.GOOS+"-"+runtime.GOARCH)
}

// Compiling every version would take minutes; listing its packages needs every module that compiling needs, at the pinned
// version and with the pinned sum.
func TestPinsOfEveryVersionAreComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches module source")
	}
	program, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range Pinned() {
		for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
			req := Request{Version: version, CacheDir: t.TempDir()}
			req.OS, req.Arch, _ = strings.Cut(platform, "/")
			stage, err := shelf{dir: req.CacheDir, key: version}.open()
			if err != nil {
				t.Fatal(err)
			}
			if err := writePins(stage, version); err != nil {
				t.Fatal(err)
			}
			list, err := (toolchain{program: program, req: req, stage: stage}).list(t.Context(), &counter{})
			if err != nil {
				t.Errorf("%s for %s: %v", version, platform, err)
			}
			for _, pkg := range packages() {
				if !slices.Contains(list, pkg) {
					t.Errorf("%s for %s: %s is not listed", version, platform, pkg)
				}
			}
		}
	}
}

func TestBuildsOfTheSameProgramsWaitForEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles etcd")
	}
	dir := t.TempDir()
	var group sync.WaitGroup
	seen, results := &recorder{}, make([]Binaries, 2)
	for i := range results {
		group.Go(func() {
			built, err := Build(t.Context(), Request{CacheDir: dir, Progress: seen.progress})
			if err != nil {
				t.Error(err)
			}
			results[i] = built
		})
	}
	group.Wait()
	if results[0].Cached == results[1].Cached {
		t.Errorf("want one build and one reuse, got %+v", results)
	}
	if !seen.mentions("waiting for another run that holds") {
		t.Errorf("nobody said that it waited: %q", seen.lines)
	}
}

func TestCancelledBuildLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles etcd")
	}
	t.Setenv("GOCACHE", filepath.Join(t.TempDir(), "gocache")) // a cold cache, so that there is something to interrupt
	dir := t.TempDir()
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	start := time.Now()
	var cancelled time.Time
	_, err := Build(ctx, Request{CacheDir: dir, Progress: func(line string) {
		if strings.HasPrefix(line, "building") && !strings.Contains(line, ": 0 of") && cancelled.IsZero() {
			cancelled = time.Now()
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) {
		t.Fatalf("after %s: got %v", time.Since(start), err)
	}
	if took := time.Since(cancelled); took > 3*time.Second {
		t.Errorf("returned %s after the cancellation", took)
	}
	leftOnly(t, dir, "")
	// A compiler that lives on is known by its working folder, which lies below the cache folder.
	gone := await.Condition{Name: "the end of the compilers", Within: 2 * time.Second}
	if err := await.Until(t.Context(), gone, func(context.Context) error {
		if left := processesBelow(t, dir); len(left) > 0 {
			return fmt.Errorf("still running: %s", left)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// leftOnly checks that the cache folder holds this entry and lock files, and nothing else.
func leftOnly(t *testing.T, dir, key string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != key && !strings.HasSuffix(e.Name(), ".lock") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// processesBelow finds processes by their command lines. Where there is no /proc it finds none.
func processesBelow(t *testing.T, dir string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), dir) {
			found = append(found, strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return found
}

func TestBuildNamesWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T)
		version string
		want    error
		says    []string
	}{
		"unknown version": {
			version: "3.9.9", want: ErrUnknownVersion,
			says: []string{"3.9.9", strings.Join(Pinned(), ", "), "--image"},
		},
		"version that is a path": {version: "../../x", want: ErrUnknownVersion, says: []string{"--image"}},
		"no go program": {
			prepare: func(t *testing.T) { t.Setenv("PATH", t.TempDir()) },
			want:    ErrNoGo, says: []string{"install Go", "--image"},
		},
		"module source out of reach": {
			prepare: func(t *testing.T) {
				t.Setenv("GOMODCACHE", t.TempDir())
				t.Setenv("GOPROXY", "http://127.0.0.1:1")
				t.Setenv("GONOSUMDB", "*")
			},
			want: ErrUnreachable, says: []string{"GOPROXY", "--image", "connection refused"},
		},
		"no proxy allowed": {
			prepare: func(t *testing.T) {
				t.Setenv("GOMODCACHE", t.TempDir())
				t.Setenv("GOPROXY", "off")
			},
			want: ErrUnreachable, says: []string{"GOPROXY=off", "--image"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.prepare != nil {
				c.prepare(t)
			}
			dir := t.TempDir()
			_, err := Build(t.Context(), Request{Version: c.version, CacheDir: dir})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
			leftOnly(t, dir, "")
		})
	}
}

func TestExplainKnowsTheWordsOfTheGoProgram(t *testing.T) {
	cause := errors.New("exit status 1")
	for said, want := range map[string]error{
		"# internal/abi\nwrite /x/_pkg_.a: no space left on device":               ErrNoSpace,
		"go: go.mod requires go >= 1.26.0 (running go 1.22.1; GOTOOLCHAIN=local)": ErrOldGo,
		"go: download go1.26.0 for linux/amd64: toolchain not available":          ErrOldGo,
		`go: cannot find "go1.26.0" in PATH`:                                      ErrOldGo,
		"a@v1: Get \"https://p/a\": dial tcp: lookup p: no such host":             ErrUnreachable,
		"verifying module: checksum mismatch":                                     cause,
	} {
		err := explain(cause, said)
		if !errors.Is(err, want) || !errors.Is(err, cause) || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: got %v", said, err)
		}
	}
}
