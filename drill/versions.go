package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/semver"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// versions are the etcds of a drill: one for the cluster that will be lost, one for the cluster that is restored, and what
// restores it.
type versions struct {
	restoring harness.Prepared
	// etcdutl is the program that restores in place of the linked library; empty for the library.
	etcdutl string
	// assumed says why the library restores for a version that is not its own; empty if it does not.
	assumed string
}

// prepareVersions makes every etcd of the drill available, before the clock of any phase: to build one takes minutes.
func (d *Drill) prepareVersions(ctx context.Context) (err error) {
	if d.prepared, err = d.opts.Runtime.Prepare(ctx, d.spec.EtcdVersion); err != nil {
		return fmt.Errorf("%w: %w", ErrNoEtcd, err)
	}
	if err := d.events.emit(EventPrepared, "etcd %s %s", d.prepared.Version, d.prepared.Origin); err != nil {
		return err
	}
	d.versions.restoring = d.prepared
	if d.spec.RestoreVersion != "" {
		if d.versions.restoring, err = d.opts.Runtime.Prepare(ctx, d.spec.RestoreVersion); err != nil {
			return fmt.Errorf("%w to restore on: %w", ErrNoEtcd, err)
		}
	}
	if d.versions.restoring.Version != d.prepared.Version {
		err := d.events.emit(EventPrepared, "etcd %s to restore on, %s", d.versions.restoring.Version, d.versions.restoring.Origin)
		if err != nil {
			return err
		}
	}
	return d.findTool(ctx)
}

// errNoTools is why a drill has no etcdutl of another version than the library's.
var errNoTools = errors.New("nobody said where to find one")

// findTool looks for the etcdutl of the version to restore on. Where there is none the library does its work, which the report
// says: the files that every minor writes can be read by the others, and restore looks at no version.
func (d *Drill) findTool(ctx context.Context) (err error) {
	version := d.versions.restoring.Version
	if !recovery.NeedsOwnTool(version) {
		return nil
	}
	err = errNoTools
	if d.opts.Etcdutl != nil {
		d.versions.etcdutl, err = d.opts.Etcdutl(ctx, version)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		d.versions.etcdutl = ""
		d.versions.assumed = fmt.Sprintf("what etcdutl %s restores is what that of etcd %s would have restored; there is none: %v",
			recovery.LinkedVersion(), version, err)
	}
	return nil
}

// RestorePrepared returns what the runtime said about the etcd of the restored cluster.
func (d *Drill) RestorePrepared() harness.Prepared { return d.versions.restoring }

// restorer is the worker of restores: with the etcdutl of the plan's version, if that is the one that the drill prepared for.
func (d *Drill) restorer(plan recovery.Plan) offline.Worker {
	worker := d.opts.Worker
	if plan.Version == d.versions.restoring.Version {
		worker.Etcdutl = d.versions.etcdutl
	}
	return worker
}

// restoredVersion is the version that the members of a restored plan run.
func (d *Drill) restoredVersion(plan recovery.Plan) string {
	return cmp.Or(plan.Version, d.versions.restoring.Version)
}

// checkVersions refuses, before anything is started, what would be refused when the old cluster is gone. A server of 3.6 and
// later writes its own minor into its storage.
func (d *Drill) checkVersions() error {
	if !d.spec.way().NeedsSource() {
		return nil
	}
	_, err := recovery.CheckVersion(storageOf(d.prepared.Version), d.versions.restoring.Version)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return nil
}

// storageOf is the storage version that a cluster of this version writes; empty before 3.6.
func storageOf(version string) string {
	minor := semver.MajorMinor("v" + version)
	if minor == "" || semver.Compare(minor, "v3.6") < 0 {
		return ""
	}
	return minor[1:] + ".0"
}

func (s Spec) checkVersions() error {
	for _, version := range []string{s.EtcdVersion, s.RestoreVersion} {
		if version != "" && !semver.IsValid("v"+version) {
			return fmt.Errorf("unknown version %q: write it like 3.6.16, or 3.6 for the one of that minor that is pinned", version)
		}
	}
	if s.RestoreVersion != "" && s.RestoreVersion != s.EtcdVersion && !s.way().NeedsSource() {
		return fmt.Errorf("route %s goes on with the members' own data and so on their own version; "+
			"leave --restore-version away, or use --route restore", s.way())
	}
	return nil
}
