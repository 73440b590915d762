package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/process"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// world is a folder, and a drill in it whose members are processes.
type world struct {
	*drill.Drill
	dir    string
	worker offline.Worker
	cache  string
}

// openWorld makes a world. The caller closes it, whatever the error.
func openWorld(ctx context.Context, o options) (w *world, err error) {
	dir, err := os.MkdirTemp(o.dir, "etcd-drill-rates-*")
	if err != nil {
		return &world{}, err
	}
	w = &world{dir: dir}
	self, err := os.Executable()
	if err != nil {
		return w, err
	}
	w.worker = offline.Worker{Path: self, Args: []string{asWorker}, Scratch: dir}
	user, err := os.UserCacheDir()
	if err != nil {
		return w, err
	}
	w.cache = filepath.Join(user, "etcd-drill")
	state := filepath.Join(dir, "state")
	runtime, err := process.New(process.Config{CacheDir: w.cache, StateDir: state})
	if err != nil {
		return w, err
	}
	spec := drill.DefaultSpec()
	spec.Members, spec.Seed, spec.Backup = o.members, 1, drill.Before
	w.Drill, err = drill.Open(ctx, spec, drill.Options{
		Runtime: runtime, Worker: w.worker, Folder: filepath.Join(dir, "drill"), StateDir: state, RunID: harness.NewRunID(),
		Keep: drill.KeepNone, ReadyWithin: 10 * time.Minute, EtcdArgs: []string{fmt.Sprint("--quota-backend-bytes=", int64(32)<<30)},
	})
	return w, err
}

func (w *world) close(ctx context.Context) error {
	err := w.Drill.Close(ctx)
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}
