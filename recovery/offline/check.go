package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// Check examines a backup in a worker, on a copy that is removed afterwards, and returns its manifest. It verifies the hash
// of a recovery.SavedSnapshot, that the file is complete, every page of the bbolt structure, and that every record can be decoded.
//
// The error is a *recovery.SourceError if the source is at fault: it wraps one of the sentinels, and recovery.ProvedBad tells whether
// damage was proved. A worker that dies of what it reads is recovery.ErrBadStructure with a *recovery.WorkerError; one that is killed or
// runs out of memory is a *recovery.WorkerError alone.
func Check(ctx context.Context, w Worker, kind recovery.Kind, path string, opts ...CheckOption) (recovery.Source, error) {
	var options checkOptions
	for _, opt := range opts {
		opt(&options)
	}
	if !kind.Known() {
		return recovery.Source{}, fmt.Errorf("check source %s: unknown kind %q; it is %q or %q", path, kind, recovery.SavedSnapshot,
			recovery.DBCopy)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return recovery.Source{}, fmt.Errorf("check source: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return recovery.Source{}, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	var resp wire.Response
	err = w.withCopy(path, func(copyPath string) (err error) {
		task := wire.CheckTask{Source: wire.CopyTask{Kind: kind, Path: path, Copy: copyPath, SkipHashCheck: options.skipHash}}
		if resp, err = w.run(ctx, "check "+path, wire.Request{Check: &task}); err == nil {
			err = resp.Failure.Err()
		}
		if err == nil && options.keep != "" {
			err = keepCopy(copyPath, options.keep)
		}
		return err
	})
	if err != nil {
		return recovery.Source{}, sourceFault(path, err)
	}
	if resp.Source == nil {
		return recovery.Source{}, fmt.Errorf("check source %s: the worker answered without a manifest", path)
	}
	return *resp.Source, nil
}

// CheckOption changes what Check demands.
type CheckOption func(*checkOptions)

type checkOptions struct {
	skipHash bool
	keep     string
}

// SkipHash accepts a recovery.SavedSnapshot whose hash is missing or wrong, for people who have nothing better. Everything else is
// checked all the same, so that a file which is cut off, or whose pages make no sense, is still refused; but a value that was
// changed is not seen, and the manifest says so.
func SkipHash() CheckOption { return func(o *checkOptions) { o.skipHash = true } }

// KeepCopy leaves the copy that was examined at this path, with mode 0600, for FromCopy. The path is on the file system of Worker.Scratch,
// and nothing may be there. After an error of Check nothing is.
func KeepCopy(path string) CheckOption { return func(o *checkOptions) { o.keep = path } }

func keepCopy(from, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep copy at %s: %w", to, errors.Join(err, fs.ErrExist))
	}
	return os.Rename(from, to)
}

// withCopy lends a path for a private copy of the source in a folder of its own, and removes the folder.
func (w Worker) withCopy(source string, use func(copyPath string) error) error {
	return w.withScratch(source, func(dir string) error { return use(filepath.Join(dir, "copy")) })
}

// withScratch lends a folder to a worker, and removes it.
func (w Worker) withScratch(source string, use func(dir string) error) (err error) {
	scratch := w.Scratch
	if scratch == "" {
		scratch = filepath.Dir(source)
	}
	dir, err := os.MkdirTemp(scratch, ".etcd-drill-work-*")
	if err != nil {
		return fmt.Errorf("make room for a worker (see Worker.Scratch): %w", err)
	}
	defer func() { err = blob.JoinCleanup(err, os.RemoveAll(dir)) }()
	return use(dir)
}

// sourceFault blames the source for a worker that died of it, and says for everything else what was tried.
func sourceFault(path string, err error) error {
	var bad *recovery.SourceError
	if errors.As(err, &bad) {
		return err
	}
	var death *recovery.WorkerError
	if errors.As(err, &death) && death.BlamesFile() {
		return &recovery.SourceError{Path: path, Fault: recovery.ErrBadStructure, Why: "it ended the process that read it", Cause: death}
	}
	return fmt.Errorf("examine source %s: %w", path, err)
}
