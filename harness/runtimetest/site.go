package runtimetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

// names checks what must be unique and what must stay the same.
func names(t *testing.T, rt harness.Runtime) {
	b, other := newBench(t, rt), newBench(t, rt)
	place, err := b.site.Place("m1")
	must(t, err)
	again, err := b.site.Place("m1")
	must(t, err)
	second, err := b.site.Place("m2")
	must(t, err)
	if place != again {
		t.Errorf("the place of m1 was %+v and is %+v", place, again)
	}
	if place.PeerURL == second.PeerURL || place.ClientURL == second.ClientURL {
		t.Errorf("m1 and m2 share addresses: %+v and %+v", place, second)
	}
	_, err = b.site.Place("../m1")
	refused(t, "a member name that is a path", err)

	taken := b.disk("d1")
	_, err = b.site.NewDisk(b.ctx, "d1")
	refused(t, "a second disk of the same name", err)
	_, err = b.site.NewDisk(b.ctx, "../d2")
	refused(t, "a disk name that is a path", err)
	_, err = b.site.NewNode(b.ctx, harness.NodeSpec{Name: "n1", Disk: taken})
	must(t, err)
	_, err = b.site.NewNode(b.ctx, harness.NodeSpec{Name: "n1", Disk: taken})
	if err == nil || !strings.Contains(err.Error(), "n1") {
		t.Errorf("a second node of the same name: %v", err)
	}
	_, err = b.site.NewNode(b.ctx, harness.NodeSpec{Name: "n2", Disk: other.disk("d1")})
	refused(t, "a node on a disk of another site", err)

	scratch := b.site.Scratch()
	if inside, err := filepath.Rel(b.run.WorkDir(), scratch); err != nil || strings.HasPrefix(inside, "..") {
		t.Errorf("the scratch folder %s is not below %s", scratch, b.run.WorkDir())
	}
	info, err := os.Stat(scratch)
	must(t, err)
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may enter the scratch folder: %s", info.Mode())
	}
}

// closes checks that nothing is left and that a second Close does no harm.
func closes(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	m := b.single()
	ended, cancel := context.WithCancel(b.ctx)
	cancel()
	must(t, b.site.Close(ended, false)) // as after an interrupt
	must(t, b.site.Close(b.ctx, false))
	removed, err := rt.Sweep(b.ctx, b.run.ID())
	must(t, err)
	if removed != 0 {
		t.Errorf("Close left %d things", removed)
	}
	_, err = m.Endpoint(b.ctx)
	refused(t, "asking a node of a closed site for its address", err)
	_, err = b.site.NewDisk(b.ctx, "late")
	refused(t, "a disk on a closed site", err)
	refused(t, "starting a node of a closed site", m.Start(b.ctx))
}

// keeps checks that a Close that keeps the data ends the nodes all the same, and that a later one removes the data too.
func keeps(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	m := b.single()
	must(t, b.site.Close(b.ctx, true))
	_, err := m.Endpoint(b.ctx)
	refused(t, "asking a node of a closed site for its address", err)
	must(t, b.site.Close(b.ctx, false))
	if err := m.disk.Fetch(b.ctx, backend, &bytes.Buffer{}); err == nil {
		t.Error("data outlived its site")
	}
}

// sweeps removes a run whose harness is gone and leaves another alone.
func sweeps(t *testing.T, rt harness.Runtime) {
	dead, alive := newBench(t, rt), newBench(t, rt)
	gone, stays := dead.single(), alive.single()
	stays.put("still", "here")
	removed, err := rt.Sweep(dead.ctx, dead.run.ID())
	must(t, err)
	if removed == 0 {
		t.Error("nothing was swept")
	}
	if _, err := gone.Endpoint(dead.ctx); err == nil {
		t.Error("a node of the swept run still runs")
	}
	removed, err = rt.Sweep(dead.ctx, dead.run.ID())
	must(t, err)
	if removed != 0 {
		t.Errorf("a second sweep removed %d things", removed)
	}
	stays.wants("still", "here")
	_, err = rt.Sweep(dead.ctx, "")
	refused(t, "sweeping a run without an ID", err)
}
