// Package runtimetest is the conformance suite that every harness.Runtime must pass. It runs real etcd through the runtime
// and knows nothing about how the runtime does it. Only tests import it.
package runtimetest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
)

// patience bounds everything that the suite waits for. It is generous, since a passing test never uses it up.
const patience = 60 * time.Second

// Suite is a set of checks for one kind of runtime.
type Suite struct {
	// Open returns the runtime to check, and closes it with the test. It is called once; all checks share the runtime.
	Open func(t *testing.T) harness.Runtime
	// Sizes are the sizes of the clusters that are started; 1 to 4 if empty.
	Sizes []int
	// Other is a version of etcd beside the runtime's default; its checks are skipped if it is empty, because making an etcd
	// available can take minutes.
	Other string
}

// Run runs the whole suite against the runtime that open returns.
func Run(t *testing.T, open func(t *testing.T) harness.Runtime) { Suite{Open: open}.Run(t) }

// Run runs all groups of checks, in parallel.
func (s Suite) Run(t *testing.T) {
	rt := s.Open(t)
	groups := map[string]func(*testing.T, harness.Runtime){
		"prepares":  prepares,
		"names":     names,
		"node":      nodeLife,
		"frozen":    frozen,
		"broken":    broken,
		"disk":      disk,
		"adopt":     adopt,
		"symlink":   symlink,
		"unlink":    unlink,
		"takeover":  takeover,
		"files":     files,
		"close":     closes,
		"sweep":     sweeps,
		"keep data": keeps,
	}
	for name, check := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, rt)
		})
	}
	t.Run("version", func(t *testing.T) {
		t.Parallel()
		versions(t, rt, s.Other)
	})
	s.clusters(t, rt)
}

// RunClusters runs only the part that starts clusters, which is what differs between ways to reach a member.
func (s Suite) RunClusters(t *testing.T) { s.clusters(t, s.Open(t)) }

func (s Suite) clusters(t *testing.T, rt harness.Runtime) {
	sizes := s.Sizes
	if len(sizes) == 0 {
		sizes = []int{1, 2, 3, 4}
	}
	for _, size := range sizes {
		t.Run("cluster of "+string(rune('0'+size)), func(t *testing.T) {
			t.Parallel()
			clusterLife(t, rt, size)
		})
	}
	t.Run("secure", func(t *testing.T) {
		t.Parallel()
		secure(t, rt)
	})
}

func prepares(t *testing.T, rt harness.Runtime) {
	ctx := bounded(t)
	if rt.Name() == "" {
		t.Error("the runtime has no name")
	}
	type answer struct {
		prepared harness.Prepared
		err      error
	}
	answers := make(chan answer, 3)
	for range cap(answers) {
		go func() {
			prepared, err := rt.Prepare(ctx, "")
			answers <- answer{prepared, err}
		}()
	}
	first := <-answers
	must(t, first.err)
	if first.prepared.Version == "" || first.prepared.Origin == "" || first.prepared.Engine == "" {
		t.Errorf("Prepare leaves fields empty: %+v", first.prepared)
	}
	for range cap(answers) - 1 {
		if other := <-answers; other.err != nil || other.prepared.Version != first.prepared.Version {
			t.Errorf("a second Prepare found %+v, %v; the first %+v", other.prepared, other.err, first.prepared)
		}
	}
	abilities, err := rt.Abilities(ctx)
	must(t, err)
	if abilities.Freeze != nil && !errors.Is(abilities.Freeze, harness.ErrUnsupported) {
		t.Errorf("the reason not to freeze does not wrap ErrUnsupported: %v", abilities.Freeze)
	}
}

// bench is one run with its site, both closed with the test.
type bench struct {
	t       *testing.T
	ctx     context.Context
	runtime harness.Runtime
	run     *harness.Run
	site    harness.Site
}

func newBench(t *testing.T, rt harness.Runtime) *bench {
	t.Helper()
	b := &bench{t: t, ctx: bounded(t), runtime: rt}
	var err error
	b.run, err = harness.NewRun(harness.RunConfig{StateDir: t.TempDir(), WorkDir: filepath.Join(t.TempDir(), "work")})
	must(t, err)
	t.Cleanup(func() { must(t, b.run.Close(false)) })
	b.site, err = rt.Open(b.ctx, b.run)
	must(t, err)
	t.Cleanup(func() { must(t, b.site.Close(context.Background(), false)) })
	return b
}

func (b *bench) disk(name string) harness.Disk {
	b.t.Helper()
	disk, err := b.site.NewDisk(b.ctx, name)
	must(b.t, err)
	return disk
}

// bounded returns a context that ends with the test or when patience does.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s was not refused", what)
	}
}
