package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/release"
)

// ErrNoProgram says that no etcd program could be had. The error that wraps it says why, and what to do.
var ErrNoProgram = errors.New("no etcd program")

// program is an etcd that has said its version.
type program struct{ path, version, origin string }

// find takes the program that was asked for and no other, or builds one from etcd's module source.
func (r *Runtime) find(ctx context.Context) (program, error) {
	if r.cfg.Program != "" {
		return r.given(ctx)
	}
	return r.built(ctx, r.cfg.Version)
}

// built builds one, or takes what was built before. A program that somebody named stands for its own version only.
func (r *Runtime) built(ctx context.Context, version string) (program, error) {
	wayOut := "or name an etcd program of this machine with --binary"
	if r.cfg.Program != "" {
		wayOut = "--binary stands for its own version only; run all members on it, or choose a version that can be built"
	}
	if r.cfg.CacheDir == "" {
		return program{}, fmt.Errorf("%w of version %s: no folder to build one in was named; %s", ErrNoProgram, version, wayOut)
	}
	built, err := release.Build(ctx, release.Request{Version: version, CacheDir: r.cfg.CacheDir, Progress: r.cfg.Progress})
	if ctx.Err() != nil {
		return program{}, errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		return program{}, fmt.Errorf("%w: %w; %s", ErrNoProgram, err, wayOut)
	}
	return program{path: built.Etcd, version: built.Version, origin: built.Origin()}, nil
}

// given insists on the program that was asked for.
func (r *Runtime) given(ctx context.Context) (program, error) {
	refuse := func(err error) (program, error) {
		return program{}, fmt.Errorf("%w: %s: %w; name another one with --binary, or leave it away to have one built",
			ErrNoProgram, r.cfg.Program, err)
	}
	path, err := exec.LookPath(r.cfg.Program)
	if err == nil {
		path, err = filepath.Abs(path) // members start in folders of their own
	}
	if err != nil {
		return refuse(err)
	}
	version, err := askVersion(ctx, path)
	if ctx.Err() != nil {
		return program{}, context.Cause(ctx)
	}
	if err != nil {
		return refuse(err)
	}
	if r.cfg.Version != "" && version != r.cfg.Version {
		return refuse(fmt.Errorf("it is etcd %s, not %s as asked", version, r.cfg.Version))
	}
	return program{path: path, version: version, origin: path}, nil
}

// answerWithin is how long a program may take to print its version. An etcd does so in milliseconds.
const answerWithin = 10 * time.Second

// askVersion has the program print its version. What is no etcd may do anything instead: it gets no input, an empty folder
// and a deadline, and its whole process group ends with it.
func askVersion(ctx context.Context, path string) (version string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	folder, err := os.MkdirTemp("", "etcd-drill-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var printed limited
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Dir, cmd.Env = folder, environment()
	cmd.Stdout, cmd.Stderr = &printed, &printed
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("run it with --version: %w", context.Cause(ctx))
	}
	if err != nil {
		return "", fmt.Errorf("run it with --version: %w: %q", err, printed.text)
	}
	return release.ParseVersion(string(printed.text))
}

// limited keeps the beginning of what a program prints.
type limited struct{ text []byte }

const keepBytes = 4 << 10

func (l *limited) Write(p []byte) (int, error) {
	l.text = append(l.text, p[:min(len(p), keepBytes-len(l.text))]...)
	return len(p), nil
}
