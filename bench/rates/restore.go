package main

import (
	"context"
	"os"
	"path/filepath"
	"sort"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// restore has the world's member restored from a data set of so many keys.
func (w *world) restore(ctx context.Context, keys int64, o options) (*reading, error) {
	cache := dataset.Cache{Dir: filepath.Join(w.dir, "sets")}
	set, err := cache.Get(ctx, specOf(keys, o.valueBytes), dataset.Snapshot)
	if err != nil {
		return nil, err
	}
	source, err := offline.Check(ctx, w.worker, recovery.SavedSnapshot, set.Path)
	if err != nil {
		return nil, err
	}
	plan, err := w.planFor(ctx, source)
	if err != nil {
		return nil, err
	}
	reborn, err := w.Restore(ctx, plan)
	if err != nil {
		return nil, err
	}
	r := &reading{dir: w.dir, keys: set.Keys, at: plan.Revision(), page: o.page, source: filepath.Join(w.dir, "source-keyspace.jsonl")}
	history := filepath.Join(w.dir, "source-history.jsonl")
	_, err = offline.Extract(ctx, w.worker, source,
		offline.Extraction{DigestKey: digestKey(), History: history, Keyspace: r.source})
	if err != nil {
		return nil, err
	}
	if err := os.Remove(history); err != nil {
		return nil, err
	}
	r.client, err = reborn.Members()[0].DialAny(ctx)
	return r, err
}

// planFor loses a member without data and plans to have it restored.
func (w *world) planFor(ctx context.Context, source recovery.Source) (recovery.Plan, error) {
	old, err := w.Start(ctx)
	if err != nil {
		return recovery.Plan{}, err
	}
	outage, err := w.Strike(ctx, old, faults.Kill(faults.All))
	if err != nil {
		return recovery.Plan{}, err
	}
	down, err := w.StopAll(ctx, outage)
	if err != nil {
		return recovery.Plan{}, err
	}
	return w.Plan(source, down, identity.FreshToken())
}

// specOf is the smallest data set of at least so many keys.
func specOf(keys int64, valueBytes int) dataset.Spec {
	of := func(sizeBytes int64) dataset.Spec {
		return dataset.Spec{SizeBytes: sizeBytes, ValueBytes: valueBytes, Revisions: 1, Seed: 1}
	}
	const step = 64 << 10
	steps := sort.Search((dataset.MaxSizeBytes-dataset.MinSizeBytes)/step, func(n int) bool {
		return of(dataset.MinSizeBytes+int64(n)*step).Keys() >= keys
	})
	return of(dataset.MinSizeBytes + int64(steps)*step)
}
