package release

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// OldestGo is the first version of the go program that builds every pinned release.
const OldestGo = "1.26"

// NeedBytes is the room that a build takes in the cache folder at its peak.
const NeedBytes = needBytes

// Cached returns the programs of a release if they were built before, and builds nothing.
func Cached(req Request) (Binaries, bool) {
	req, err := complete(req)
	if err != nil {
		return Binaries{}, false
	}
	recipe, err := Recipe(req.Version)
	if err != nil {
		return Binaries{}, false
	}
	return shelf{dir: req.CacheDir, key: "etcd-" + req.Version + "-" + req.OS + "-" + req.Arch}.look(req.Version, recipe)
}

// Toolchain returns the version of the go program, for example "1.26.8". It returns an error wrapping ErrNoGo or ErrOldGo
// where that is why no release can be built.
func Toolchain(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	path, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoGo, err)
	}
	printed, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
	if err != nil {
		return "", fmt.Errorf("ask go program for its version: %w", err)
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(printed)), "go")
	if number, _, _ := strings.Cut(version, " "); semver.Compare("v"+number, "v"+OldestGo) < 0 {
		return version, fmt.Errorf("%w: it is %s, a build needs %s", ErrOldGo, version, OldestGo)
	}
	return version, nil
}

// Reach fetches the source of etcd's server module of this version, as a build does first: from the module cache, or from
// where GOPROXY says. It returns an error wrapping ErrUnreachable where that fails.
func Reach(ctx context.Context, version string) (err error) {
	folder, err := os.MkdirTemp("", "etcd-drill-")
	if err != nil {
		return fmt.Errorf("reach module source: %w", err)
	}
	defer func() {
		if failure := os.RemoveAll(folder); err == nil {
			err = failure
		}
	}()
	stage := staging{dir: folder}
	for _, dir := range []string{stage.module(), stage.temp()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("reach module source: %w", err)
		}
	}
	if err := writePins(stage, version); err != nil {
		return err
	}
	program, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoGo, err)
	}
	t := toolchain{program: filepath.Clean(program), stage: stage}
	_, err = t.run(ctx, &output{count: &counter{}}, []string{"mod", "download", "go.etcd.io/etcd/server/v3@v" + version})
	if err != nil {
		return fmt.Errorf("reach module source: %w", err)
	}
	return nil
}
