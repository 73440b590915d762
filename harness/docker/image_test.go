package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/harness/release"
)

const (
	gcr  = "gcr.io/etcd-development/etcd:v3.7.3"
	quay = "quay.io/coreos/etcd:v3.7.3"
	ours = "etcd-drill/etcd:3.7.3"
)

// fakeBuild makes files in place of programs; the fake engine takes the server's content for what it prints.
func fakeBuild(t *testing.T, prints string) func(context.Context, release.Request) (release.Binaries, error) {
	dir := t.TempDir()
	return func(_ context.Context, req release.Request) (release.Binaries, error) {
		if req.OS != "linux" || req.Arch != "arm64" {
			t.Errorf("built for %s/%s, which is not the engine's", req.OS, req.Arch)
		}
		for _, name := range []string{"etcd", "etcdctl", "etcdutl"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(prints), 0o600); err != nil {
				return release.Binaries{}, err
			}
		}
		return release.Binaries{
			Version: req.Version, Took: 112 * time.Second,
			Etcd: filepath.Join(dir, "etcd"), Etcdctl: filepath.Join(dir, "etcdctl"), Etcdutl: filepath.Join(dir, "etcdutl"),
		}, nil
	}
}

func noBuild(context.Context, release.Request) (release.Binaries, error) {
	return release.Binaries{}, release.ErrNoGo
}

//nolint:funlen // one table: the order is what is tested
func TestImageIsTakenInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		wish    imageWish
		prepare func(e *imageEngine)
		prints  string // what a built etcd prints; empty if nothing can be built

		ref, version, origin string
		says                 []string // of the error, if ref is empty
		calls                []string
	}{
		"an image with our label needs no registry": {
			prepare: func(e *imageEngine) {
				e.has("mine", "3.7.3")
				e.labelled = []string{"sha256:mine"}
				e.has(gcr, "3.7.3")
			},
			ref: "sha256:mine", version: "3.7.3", origin: "found on the engine", calls: []string{"run sha256:mine"},
		},
		"an official tag counts": {
			prepare: func(e *imageEngine) { e.has(quay, "3.7.3"); e.has("quay.io/coreos/etcd:latest", "3.7.3") },
			ref:     quay, version: "3.7.3", origin: "found on the engine",
			calls: []string{"run sha256:quay.io-coreos-etcd-v3.7.3"},
		},
		"an official tag on something else does not": {
			prepare: func(e *imageEngine) { e.has(quay, "3.5.0"); e.registry[gcr] = serves(gcr, "3.7.3") },
			ref:     gcr, version: "3.7.3", origin: "pulled",
			calls: []string{
				"run sha256:quay.io-coreos-etcd-v3.7.3", "pull " + gcr, "run sha256:gcr.io-etcd-development-etcd-v3.7.3",
			},
		},
		"the second registry is asked when the first stalls": {
			prepare: func(e *imageEngine) { e.registry[gcr] = hangs; e.registry[quay] = serves(quay, "3.7.3") },
			ref:     quay, version: "3.7.3", origin: "pulled",
			calls: []string{"pull " + gcr, "pull " + quay, "run sha256:quay.io-coreos-etcd-v3.7.3"},
		},
		"without registries it is built": {
			prints: "3.7.3", ref: ours, version: "3.7.3", origin: "registry out of reach; built from module source in 1m52s",
			calls: []string{"pull " + gcr, "pull " + quay, "import " + ours, "run sha256:etcd-drill-etcd-3.7.3"},
		},
		"a registry that answers is not out of reach": {
			prepare: func(e *imageEngine) { e.registry[quay] = denied },
			prints:  "3.7.3", ref: ours, version: "3.7.3", origin: "no image from the registries; built from module source in 1m52s",
			calls: []string{"pull " + gcr, "pull " + quay, "import " + ours, "run sha256:etcd-drill-etcd-3.7.3"},
		},
		"a built image that says something else is removed": {
			prints: "3.7.2", says: []string{"it holds etcd 3.7.2", "no such host", "--image"},
			calls: []string{"pull " + gcr, "pull " + quay, "import " + ours, "run sha256:etcd-drill-etcd-3.7.3", "remove " + ours},
		},
		"nothing works": {
			prepare: func(e *imageEngine) { e.registry[gcr] = hangs; e.registry[quay] = denied },
			says:    []string{"3.7.3", "neither", "sent nothing for 200ms", "manifest unknown", release.ErrNoGo.Error(), "--image"},
			calls:   []string{"pull " + gcr, "pull " + quay},
		},
		"a given image is the only one": {
			wish:    imageWish{image: "own/etcd:x"},
			prepare: func(e *imageEngine) { e.has("own/etcd:x", "3.6.1"); e.has(gcr, "3.7.3") },
			ref:     "own/etcd:x", version: "3.6.1", origin: "found on the engine", calls: []string{"run sha256:own-etcd-x"},
		},
		"a given image is pulled": {
			wish:    imageWish{image: "r.example/etcd:x", version: "3.6.1"},
			prepare: func(e *imageEngine) { e.registry["r.example/etcd:x"] = serves("r.example/etcd:x", "3.6.1") },
			ref:     "r.example/etcd:x", version: "3.6.1", origin: "pulled",
			calls: []string{"pull r.example/etcd:x", "run sha256:r.example-etcd-x"},
		},
		"a given image of another version": {
			wish:    imageWish{image: "own/etcd:x", version: "3.7.3"},
			prepare: func(e *imageEngine) { e.has("own/etcd:x", "3.6.1") },
			says:    []string{"own/etcd:x holds etcd 3.6.1", "--image"}, calls: []string{"run sha256:own-etcd-x"},
		},
		"a given image that is nowhere": {
			wish: imageWish{image: "r.example/etcd:x"}, prints: "3.7.3",
			says: []string{"r.example/etcd:x", "not on the engine", "no such host", "--image"}, calls: []string{"pull r.example/etcd:x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			engine, api := newImageEngine(t)
			if c.prepare != nil {
				c.prepare(engine)
			}
			c.wish.cacheDir = t.TempDir()
			s := newImageSearch(api, c.wish)
			s.stall, s.build = 200*time.Millisecond, noBuild
			if c.prints != "" {
				s.build = fakeBuild(t, c.prints)
			}
			ref, prepared, err := s.run(t.Context())
			if ref != c.ref || prepared.Version != c.version || prepared.Origin != c.origin {
				t.Errorf("got %q, %+v", ref, prepared)
			}
			if c.ref != "" && (err != nil || prepared.Engine != "docker 20.10.24") {
				t.Errorf("got %+v, %v", prepared, err)
			}
			if c.ref == "" && !errors.Is(err, ErrNoImage) {
				t.Errorf("got error %v", err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
			if got := engine.did(); !slices.Equal(got, c.calls) {
				t.Errorf("the engine was asked to %q, want %q", got, c.calls)
			}
			if len(engine.containers) != 0 {
				t.Errorf("containers stay: %v", engine.containers)
			}
		})
	}
}

func TestImageIsAskedForItsVersionOnce(t *testing.T) {
	engine, api := newImageEngine(t)
	engine.has(gcr, "3.7.3")
	base := t.TempDir()
	for _, c := range []struct {
		cacheDir string
		runs     int
	}{{"a", 1}, {"a", 1}, {"b", 2}, {"", 3}, {"", 4}} {
		wish := imageWish{}
		if c.cacheDir != "" {
			wish.cacheDir = filepath.Join(base, c.cacheDir)
		}
		if _, _, err := newImageSearch(api, wish).run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(engine.did()); got != c.runs {
			t.Errorf("cache folder %q: asked %d times, want %d", c.cacheDir, got, c.runs)
		}
	}
}

func TestCancelledPullEndsTheSearch(t *testing.T) {
	engine, api := newImageEngine(t)
	engine.registry[gcr] = hangs
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := newImageSearch(api, imageWish{cacheDir: t.TempDir(), progress: func(line string) {
		if strings.Contains(line, "0.0 of 0.0 MB") { // the one message of the registry has arrived
			cancel(stop)
		}
	}})
	start := time.Now()
	_, _, err := s.run(ctx)
	if !errors.Is(err, stop) || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: got %v", time.Since(start), err)
	}
	if got := engine.did(); !slices.Equal(got, []string{"pull " + gcr}) {
		t.Errorf("the search went on: %q", got)
	}
}

func TestBuiltImageWorksForEveryUser(t *testing.T) {
	engine, api := newImageEngine(t)
	s := newImageSearch(api, imageWish{cacheDir: t.TempDir()})
	s.build = fakeBuild(t, "3.7.3")
	if _, _, err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "etcdctl", "etcdutl"} {
		program, link := engine.imported["usr/local/bin/"+name], engine.imported[name]
		if program.Mode != 0o755 || program.Size != int64(len("3.7.3")) {
			t.Errorf("%s: got %+v", name, program)
		}
		if link.Linkname != "/usr/local/bin/"+name {
			t.Errorf("/%s leads to %q", name, link.Linkname)
		}
	}
	if tmp := engine.imported["tmp/"]; tmp.Mode != 0o1777 {
		t.Errorf("/tmp has mode %o", tmp.Mode)
	}
	for _, change := range []string{
		`LABEL io.etcd-drill.etcd="3.7.3"`, `LABEL io.etcd-drill.recipe="` + s.recipe + `"`,
	} {
		if !slices.Contains(engine.changes, change) {
			t.Errorf("%q lacks %q", engine.changes, change)
		}
	}
}

func TestStallLimitCountsFromTheLastSignOfLife(t *testing.T) {
	const limit = 200 * time.Millisecond
	ctx, alive, done := withStallLimit(t.Context(), limit)
	defer done()
	ticker := time.NewTicker(limit / 4)
	defer ticker.Stop()
	for range 8 { // twice the limit
		<-ticker.C
		if ctx.Err() != nil {
			t.Fatalf("given up although it was alive: %v", context.Cause(ctx))
		}
		alive()
	}
	start := time.Now()
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), errStalled) || time.Since(start) < limit/2 {
		t.Errorf("after %s: %v", time.Since(start), context.Cause(ctx))
	}
}

// realEngine returns a search on the engine of this machine whose images nobody else finds or uses.
func realEngine(t *testing.T, cacheDir string) *imageSearch {
	t.Helper()
	engine, err := connect(t.Context())
	NeedEngine(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	s := newImageSearch(engine, imageWish{cacheDir: cacheDir})
	mark := strings.ToLower(rand.Text())
	s.recipe, s.repository = "test-"+mark, "etcd-drill/test-"+mark
	s.official = []string{"127.0.0.1:1/etcd:" + mark}
	t.Cleanup(func() {
		if err := s.discard(context.Background(), s.repository+":"+s.want); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFromNothingToARunnableImage(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles etcd")
	}
	s := realEngine(t, t.TempDir())
	var lines []string
	var mu sync.Mutex
	s.progress = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}
	start := time.Now()
	ref, prepared, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %+v after %s", ref, prepared, time.Since(start))
	const origin = "registry out of reach; built from module source in "
	if prepared.Version != release.Default || !strings.HasPrefix(prepared.Origin, origin) {
		t.Errorf("got %+v", prepared)
	}
	id, err := s.identify(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s.build, lines, start = noBuild, nil, time.Now()
	again, prepared, err := s.run(t.Context())
	if err != nil || again != ref || prepared.Origin != "found on the engine" {
		t.Errorf("second run: got %q, %+v, %v", again, prepared, err)
	}
	if took := time.Since(start); took > time.Second || len(lines) != 0 {
		t.Errorf("second run took %s and said %q", took, lines)
	}
	left, err := s.engine.ContainerList(t.Context(), client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("ancestor", id),
	})
	if err != nil || len(left.Items) != 0 {
		t.Errorf("containers stay: %+v, %v", left.Items, err)
	}
}

func TestImageThatCannotRunIsNotKept(t *testing.T) {
	s := realEngine(t, t.TempDir())
	s.build = func(_ context.Context, req release.Request) (release.Binaries, error) {
		path := filepath.Join(t.TempDir(), "etcd")
		err := os.WriteFile(path, []byte("not a program"), 0o600)
		return release.Binaries{Version: req.Version, Etcd: path, Etcdctl: path, Etcdutl: path}, err
	}
	_, _, err := s.run(t.Context())
	if !errors.Is(err, ErrNoImage) || !strings.Contains(err.Error(), "run etcd --version in it") {
		t.Errorf("got %v", err)
	}
	if _, err := s.identify(t.Context(), s.repository+":"+s.want); !isAbsent(err) {
		t.Errorf("the image is still there: %v", err)
	}
}
