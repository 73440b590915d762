// Package doctor examines a machine: can drills run here, on what, and what is missing for more.
//
// Every finding was seen: an engine was asked, a folder shared, a kernel's ability tried. It must not know what a drill does;
// what one needs is told to it.
package doctor

import (
	"context"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/internal/kernel"
)

// State is what was found.
type State string

// The states. Only No says that something is missing; what it is missing for stands beside it.
const (
	Yes     State = "yes"
	No      State = "no"
	Unknown State = "unknown"
)

// Finding is one line of a Diagnosis.
type Finding struct {
	What  string `json:"what"`
	State State  `json:"state"`
	Seen  string `json:"seen"`            // what was found, or why not
	Means string `json:"meansForDrills"`  // what follows for drills
	Do    string `json:"do,omitempty"`    // what to do about it; empty if nothing
	Fatal bool   `json:"fatal,omitempty"` // no default drill can run while this is so
}

// Diagnosis is all that was found.
type Diagnosis struct {
	SchemaVersion int       `json:"schemaVersion"`
	CanRun        bool      `json:"canRun"`  // whether a default drill can run
	Runtime       string    `json:"runtime"` // on which runtime it would; empty if on none
	Findings      []Finding `json:"findings"`
}

// Room is what a default drill takes and what there is.
type Room struct {
	Dir                              string // where drills go
	DiskFreeBytes, DiskNeedBytes     uint64
	MemoryFreeBytes, MemoryNeedBytes uint64
}

// Patient says what to examine.
type Patient struct {
	Host   host.Config
	Kernel kernel.Prober
	Room   Room
	Dead   []string // the runs whose harness is gone and that nobody has cleaned up after
}

// Examine looks at everything, one after the other, and changes nothing but what it takes away again.
func Examine(ctx context.Context, p Patient) (Diagnosis, error) {
	engine, err := examineEngine(ctx, p)
	if err != nil {
		return Diagnosis{}, err
	}
	build := examineBuild(ctx, p.Host)
	d := Diagnosis{SchemaVersion: 1}
	etcd := etcdFinding(ctx, p.Host, engine, build)
	d.Findings = append(d.Findings, engine.finding, etcd, build.toolchain, build.source, engine.sharing)
	d.Findings = append(d.Findings, roomFindings(p.Room, engine.runtime == host.Process)...)
	d.Findings = append(d.Findings, kernelFindings(p.Kernel.Try(ctx))...)
	d.Findings = append(d.Findings, deadFinding(p.Dead))
	d.CanRun, d.Runtime = true, string(engine.runtime)
	for _, finding := range d.Findings {
		if finding.Fatal {
			d.CanRun, d.Runtime = false, ""
		}
	}
	return d, ctx.Err()
}

// withRun calls do with a run of its own, in a folder beside those of drills, and removes both.
func withRun(p Patient, do func(*harness.Run) error) (err error) {
	if err := os.MkdirAll(p.Room.Dir, 0o700); err != nil {
		return err
	}
	defer os.Remove(p.Room.Dir) //nolint:errcheck // it stays if something is in it, or was before
	id := harness.NewRunID()
	run, err := harness.NewRun(harness.RunConfig{
		ID: id, StateDir: p.Host.StateDir, WorkDir: filepath.Join(p.Room.Dir, id), Runtime: string(host.Docker),
	})
	if err != nil {
		return err
	}
	defer func() {
		if closed := run.Close(false); err == nil {
			err = closed
		}
	}()
	return do(run)
}
