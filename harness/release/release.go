// Package release makes etcd programs of a pinned version from etcd's own module source.
//
// Its one job is to turn a version, an operating system and an architecture into three static programs in a cache. It knows
// nothing of engines, images or members.
package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Default is the version that is built when nobody asks for another one.
const Default = "3.7.3"

// The reasons for which a build cannot be had. Each is wrapped in an error that says what to do about it.
var (
	ErrUnknownVersion = errors.New("version is not pinned")
	ErrNoGo           = errors.New("no go program in PATH")
	ErrOldGo          = errors.New("the go program is too old")
	ErrUnreachable    = errors.New("module source is out of reach")
	ErrNoSpace        = errors.New("no space left on the disk")
)

// Request says what to build and where to keep it.
type Request struct {
	// Version is one of Pinned, or the short form of one, see Full; Default if empty.
	Version string
	// OS and Arch are named as Go names them ("linux", "amd64"); those of this machine if empty.
	OS, Arch string
	// CacheDir holds one folder per version, OS and architecture. It is made if it is missing. Required.
	CacheDir string
	// Progress receives lines for a person, at least one every two seconds while something is under way; nil for none.
	// It is never called from two goroutines at once.
	Progress func(string)
}

// Binaries are the paths of the three programs of one release, static and without debug information.
type Binaries struct {
	Version                string
	Etcd, Etcdctl, Etcdutl string
	Took                   time.Duration // how long the build took; of a cached one, how long it took then
	Cached                 bool          // nothing was built by this call
}

// Origin tells in a few words how the programs came to be.
func (b Binaries) Origin() string {
	cached := ""
	if b.Cached {
		cached = " (cached)"
	}
	return "built from module source in " + b.Took.Round(time.Second).String() + cached
}

// Build returns the programs of a release, from the cache or freshly built by the go program of this machine. It needs the
// module source within reach of that program (its module cache, or what GOPROXY says), no C compiler and no checkout.
//
// Builds of the same programs wait for each other, also between processes. A build that fails or is cancelled ends the
// whole process group of the go program and leaves nothing in the cache but a lock file. Programs for this machine are
// run once to check that they print the version.
func Build(ctx context.Context, req Request) (Binaries, error) {
	req, err := complete(req)
	if err != nil {
		return Binaries{}, err
	}
	built, err := build(ctx, req)
	if err != nil {
		return Binaries{}, fmt.Errorf("build etcd %s for %s/%s: %w", req.Version, req.OS, req.Arch, err)
	}
	return built, nil
}

func complete(req Request) (Request, error) {
	if req.Version = Full(req.Version); req.Version == "" {
		req.Version = Default
	}
	if req.OS == "" {
		req.OS = runtime.GOOS
	}
	if req.Arch == "" {
		req.Arch = runtime.GOARCH
	}
	if req.Progress == nil {
		req.Progress = func(string) {}
	}
	if req.CacheDir == "" {
		return req, errors.New("build etcd: no cache folder was named")
	}
	dir, err := filepath.Abs(req.CacheDir) // the go program runs in another folder
	if err != nil {
		return req, fmt.Errorf("build etcd: find cache folder: %w", err)
	}
	req.CacheDir = dir
	return req, nil
}

func build(ctx context.Context, req Request) (_ Binaries, err error) {
	recipe, err := Recipe(req.Version)
	if err != nil {
		return Binaries{}, err
	}
	if err := os.MkdirAll(req.CacheDir, 0o700); err != nil {
		return Binaries{}, fmt.Errorf("make cache folder: %w", err)
	}
	store := shelf{dir: req.CacheDir, key: "etcd-" + req.Version + "-" + req.OS + "-" + req.Arch}
	if found, ok := store.look(req.Version, recipe); ok {
		return found, nil
	}
	unlock, err := Lock(ctx, filepath.Join(req.CacheDir, store.key+".lock"), req.Progress)
	if err != nil {
		return Binaries{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if found, ok := store.look(req.Version, recipe); ok { // built by whoever held the lock
		return found, nil
	}
	stage, err := store.open()
	if err != nil {
		return Binaries{}, err
	}
	defer func() { err = errors.Join(err, stage.remove(ctx)) }()

	start := time.Now()
	if err := compile(ctx, req, stage); err != nil {
		return Binaries{}, err
	}
	took := time.Since(start)
	if err := store.publish(stage, entry{Recipe: recipe, Took: took}); err != nil {
		return Binaries{}, err
	}
	return store.binaries(req.Version, took), nil
}
