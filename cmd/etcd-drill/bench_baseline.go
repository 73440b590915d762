package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/internal/bench"
)

// baseline is a folder with one run for every class of hosts.
type baseline struct {
	dir    string
	accept bool
}

// against returns the baseline for hosts like that of this run. There may be none yet, which is an error wrapping
// bench.ErrNoBaseline with what to do.
func (b baseline) against(run bench.Series) (bench.Series, error) {
	path, err := b.path(run)
	if err != nil {
		return bench.Series{}, err
	}
	old, err := readSeries(path)
	if errors.Is(err, fs.ErrNotExist) {
		return old, fmt.Errorf("%w in %s for hosts like this one, %s; make this run it, with --accept",
			bench.ErrNoBaseline, b.dir, filepath.Base(path))
	}
	if errors.Is(err, bench.ErrSchema) || errors.Is(err, bench.ErrNoRun) {
		return old, fmt.Errorf("%w; --accept replaces it", err)
	}
	return old, err
}

func (b baseline) path(run bench.Series) (string, error) {
	name, err := run.BaselineName()
	return filepath.Join(b.dir, name), err
}

// store makes the file of this run the baseline. Who reads at the same time finds the old one or the new one.
func (b baseline) store(file string, run bench.Series) (err error) {
	if err := run.CheckBaseline(); err != nil {
		return err
	}
	path, err := b.path(run)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil { //nolint:gosec // it is for everybody of the project, and in its repository
		return err
	}
	fresh, err := os.CreateTemp(b.dir, ".accepting-*")
	if err != nil {
		return err
	}
	_, err = fresh.Write(text)
	err = errors.Join(err, fresh.Chmod(0o644), fresh.Sync(), fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store baseline: %w", err), os.Remove(fresh.Name()))
	}
	fmt.Fprintln(os.Stderr, "the baseline for hosts like this one is now", path)
	return nil
}
