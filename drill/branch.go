package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// branch is one way back from a disaster that several are tried from: a drill of its own folder, on the parent's site and run.
type branch struct {
	*Drill
	source recovery.Source
	// fetching is how long it took to fetch and check the source, if that was after the disaster: a part of the recovery.
	fetching time.Duration
}

// newBranch opens a folder for this way below the drill's own.
func (d *Drill) newBranch(name string, route recovery.Route) (*branch, error) {
	spec := d.spec
	spec.Route = route
	opts := d.opts
	if d.opts.Notify != nil {
		opts.Notify = func(e Event) {
			e.Branch = name
			d.opts.Notify(e)
		}
	}
	child := &Drill{
		spec: spec, opts: opts, folder: folder(filepath.Join(string(d.folder), "routes", name)),
		run: d.run, site: d.site, prepared: d.prepared, versions: d.versions, parent: d,
	}
	if err := child.openFolder(); err != nil {
		return nil, fmt.Errorf("open branch %s: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.branches = append(d.branches, child)
	return &branch{Drill: child}, nil
}

// from copies the disaster for the branch: every data directory that it left, so that what the branch does harms no other.
// The ledger is the same for all. withData names the members that have a directory still.
func (b *branch) from(ctx context.Context, book Book, outage *Outage, withData []string) (*Outage, *Down, error) {
	if err := os.Link(book.Path, b.folder.ledger()); err != nil {
		return nil, nil, fmt.Errorf("copy disaster: %w", err)
	}
	kept, err := outage.cluster.CopyDisks(ctx, b.nextGeneration(), withData...)
	if err != nil {
		return nil, nil, fmt.Errorf("copy disaster: %w", err)
	}
	cluster, err := b.prepare(ctx, birthOf(outage.cluster, kept))
	if err != nil {
		return nil, nil, fmt.Errorf("copy disaster: %w", err)
	}
	if err := b.copyAside(ctx, cluster); err != nil {
		return nil, nil, fmt.Errorf("copy disaster: %w", err)
	}
	copied := &Outage{Outage: outage.Outage, cluster: cluster}
	return copied, &Down{Cluster: cluster}, nil
}

// copyAside copies the directory that was set aside before a wipe, if there is one: an old member may come back on it.
func (b *branch) copyAside(ctx context.Context, cluster *harness.Cluster) error {
	aside := b.parent.aside
	if aside == nil {
		return nil
	}
	member, err := cluster.Member(aside.member.Name())
	if err != nil {
		return err
	}
	disk, err := b.site.NewDisk(ctx, member.NodeName()+"-aside")
	if err != nil {
		return err
	}
	if err := aside.disk.CopyTo(ctx, disk); err != nil {
		return err
	}
	b.aside = &setAside{member: member, disk: disk}
	return nil
}

// wake starts the survivors of the copied disaster, for a way that needs them alive.
func (b *branch) wake(ctx context.Context, outage *Outage) error {
	for _, name := range outage.Survivors {
		m, err := outage.cluster.Member(name)
		if err == nil {
			err = m.Start(ctx)
		}
		if err != nil {
			return fmt.Errorf("wake survivor: %w", err)
		}
	}
	for _, name := range outage.Survivors {
		m, err := outage.cluster.Member(name)
		if err == nil {
			err = m.AwaitReady(ctx, outage.cluster.ID(), b.opts.ReadyWithin)
		}
		if err != nil {
			return fmt.Errorf("wake survivor: %w", err)
		}
	}
	return nil
}

// end ends what the branch has left running, keeps the logs, and gives the disks back.
func (b *branch) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	var failures []error
	for _, cluster := range b.clusters {
		for _, m := range cluster.Members() {
			if _, err := m.Endpoint(ctx); err == nil { // without an address it does not run
				_, err := m.Kill(ctx)
				failures = append(failures, err)
			}
		}
	}
	failures = append(failures, b.saveLogs(ctx), b.log.Close())
	if b.opts.Keep != KeepAll {
		if b.aside != nil {
			failures = append(failures, b.aside.disk.Erase(ctx))
		}
		for _, cluster := range b.clusters {
			for _, m := range cluster.Members() {
				failures = append(failures, m.Disk().Erase(ctx))
			}
		}
	}
	return errors.Join(failures...)
}

// fetched notes how long it took to fetch and check the source.
func (b *branch) fetched() { b.fetching = b.events.at(EventChecked).Sub(b.events.at(EventSaving)) }

// took is the time from the decision to this moment, with what it took to fetch the source; 0 if it never came.
func (b *branch) took(moment EventName) time.Duration {
	at, planned := b.events.at(moment), b.events.at(EventPlanned)
	if at.IsZero() || planned.IsZero() {
		return 0
	}
	return at.Sub(planned) + b.fetching
}
