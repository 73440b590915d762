package runtimetest

import (
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

// unlink deletes a data directory under a running member, which must go on, and find nothing when it is started again.
func unlink(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	m := b.single()
	disk, able := m.disk.(harness.Unlinker)
	if !able {
		t.Skip("disks of this runtime are left alone while a node runs")
	}
	m.put("key", "before")
	must(t, disk.Unlink(b.ctx))
	if err := m.disk.Fetch(b.ctx, backend, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("fetching the database of a deleted directory: %v, want fs.ErrNotExist", err)
	}
	m.wants("key", "before")
	m.put("key", "after")
	m.wants("key", "after")
	m.end(harness.Kill)
	must(t, disk.Unlink(b.ctx))
	must(t, m.Start(b.ctx))
	m.mustAnswer()
	m.wants("key", "")
}
