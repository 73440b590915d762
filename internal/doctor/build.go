package doctor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/process"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

// build is whether etcd can be built here.
type build struct {
	version           string
	cached            bool
	toolchain, source Finding
	room              error // why there is too little for a build; nil if there is enough
}

func (b build) possible() bool {
	return b.toolchain.State == Yes && b.source.State == Yes && b.room == nil
}

// reachWithin bounds the look for module source, which a silent proxy would hold for minutes.
const reachWithin = 30 * time.Second

func examineBuild(ctx context.Context, cfg host.Config) build {
	b := build{version: cmp.Or(cfg.Version, release.Default)}
	_, b.cached = release.Cached(release.Request{Version: b.version, CacheDir: cfg.CacheDir})
	b.toolchain = Finding{What: "Go toolchain", State: Yes, Means: "etcd can be built from its module source"}
	version, err := release.Toolchain(ctx)
	b.toolchain.Seen = "go " + version
	if err != nil {
		b.toolchain.State, b.toolchain.Seen = No, oneLine(err)
		b.toolchain.Means = "etcd cannot be built; an image, a program or what was built before is needed"
		b.toolchain.Do = "install Go " + release.OldestGo + " or newer"
		b.source = Finding{What: "module source", State: Unknown, Seen: "only the go program fetches it", Means: "see the Go toolchain"}
		return b
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reachWithin, fmt.Errorf("no answer within %s", reachWithin))
	defer cancel()
	b.source = Finding{What: "module source", State: Yes, Seen: "etcd " + b.version + " is within reach", Means: "etcd can be built from it"}
	if err := release.Reach(ctx, b.version); err != nil {
		b.source.State, b.source.Seen = No, oneLine(err)
		b.source.Means = "etcd cannot be built; an image, a program or what was built before is needed"
		b.source.Do = "check the network and GOPROXY"
	}
	b.room = roomToBuild(cfg.CacheDir)
	return b
}

// roomToBuild measures the cache folder, which it makes as a build would.
func roomToBuild(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < release.NeedBytes {
		return fmt.Errorf("%s has %s free, a build takes %s", dir, mebibytes(free), mebibytes(release.NeedBytes))
	}
	return nil
}

// etcdFinding tells where the etcd of a default drill would come from.
func etcdFinding(ctx context.Context, cfg host.Config, e engine, b build) Finding {
	f := Finding{What: "etcd " + b.version, State: Yes, Means: "members have a program to run"}
	switch {
	case cfg.Program != "":
		return givenFinding(ctx, cfg, f)
	case e.runtime == host.Docker && e.present != nil:
		f.What, f.Seen = "etcd "+e.present.Version, "image "+e.present.Origin+" is on the engine"
	case b.cached:
		f.Seen = "built before, in " + cfg.CacheDir
	case b.possible():
		f.Seen = "not here yet; the first drill builds it from module source, in about a minute"
	default:
		f.State, f.Fatal = No, true
		f.Seen, f.Means = "not here, and it cannot be built", "no drill can run"
		f.Do = "see the Go toolchain and the module source, or name an etcd program with --binary"
		if b.room != nil {
			f.Seen, f.Do = b.room.Error(), "free some, or name another cache folder with ETCD_DRILL_CACHE_DIR"
		}
		if e.runtime == host.Docker {
			f.State = Unknown // a registry was not asked
			f.Do += ", or load an image into the engine"
		}
	}
	return f
}

// givenFinding asks the program that somebody named.
func givenFinding(ctx context.Context, cfg host.Config, f Finding) Finding {
	rt, err := process.New(process.Config{Program: cfg.Program, Version: cfg.Version, StateDir: cfg.StateDir})
	if err == nil {
		prepared, failure := rt.Prepare(ctx, "")
		f.What, f.Seen, err = "etcd "+prepared.Version, "program "+cfg.Program, failure
	}
	if err != nil {
		f.What, f.State, f.Seen, f.Means, f.Fatal = "etcd", No, oneLine(err), "no drill can run", true
		f.Do = "name another program with --binary, or leave it away to have one built"
	}
	return f
}
