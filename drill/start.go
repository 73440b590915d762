package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Start starts the cluster that will be lost and returns when every member answers.
func (d *Drill) Start(ctx context.Context) (*harness.Cluster, error) {
	if err := d.events.emit(EventStarting, "%d members", d.spec.Members); err != nil {
		return nil, err
	}
	layout, err := harness.NewLayout(d.places(), d.spec.Members, identity.FreshToken())
	if err != nil {
		return nil, err
	}
	cluster, err := d.prepare(ctx, harness.Birth{Layout: layout})
	if err != nil {
		return nil, err
	}
	if err := cluster.Start(ctx); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if err := cluster.AwaitReady(ctx, d.opts.ReadyWithin); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if d.spec.Auth {
		if err := d.switchAuthOn(ctx, cluster); err != nil {
			return nil, fmt.Errorf("start cluster: %w", err)
		}
	}
	return cluster, d.events.emit(EventReady, "cluster %s", cluster.ID())
}

// prepare makes the next generation of nodes and disks on the drill's site.
func (d *Drill) prepare(ctx context.Context, birth harness.Birth) (*harness.Cluster, error) {
	birth.Generation, birth.Args = d.nextGeneration(), append(slices.Clone(d.opts.EtcdArgs), birth.Args...)
	birth.Login = d.login()
	birth.Scrub = d.scrub()
	birth.Security, birth.SeparateWAL = d.security, d.spec.SeparateWAL
	birth.Version = cmp.Or(birth.Version, d.prepared.Version)
	cluster, err := harness.Prepare(ctx, d.site, birth)
	if err != nil {
		return nil, err
	}
	d.keep(cluster)
	return cluster, nil
}

// birthOf is how the cluster goes on with what was kept of it.
func birthOf(cluster *harness.Cluster, kept *harness.Kept) harness.Birth {
	return harness.Birth{Layout: cluster.Layout(), Kept: kept}
}

// Down is a cluster of which no member runs any more.
type Down struct {
	Cluster *harness.Cluster
	// Flushed names the members that ended on SIGTERM and so flushed their backends; the others died.
	Flushed []string
}

// Layout returns the layout of the cluster that is down.
func (down *Down) Layout() harness.Layout { return down.Cluster.Layout() }

// stopPatience is how long a survivor may take to end after SIGTERM.
const stopPatience = 30 * time.Second

// StopAll stops every survivor of the outage with SIGTERM, so that their files hold all that they applied, and ends what the
// outage froze. Stop the load before: a read that is still pending holds a stopping member for seconds.
func (d *Drill) StopAll(ctx context.Context, outage *Outage) (*Down, error) {
	if err := d.events.emit(EventStopping, "%d survivors", len(outage.Survivors)); err != nil {
		return nil, err
	}
	down := &Down{Cluster: outage.cluster}
	if outage.Fault == "stop" {
		down.Flushed = append(down.Flushed, outage.Victims...)
	}
	var failures []error
	results := make(chan error, outage.cluster.Size())
	for _, name := range outage.Survivors {
		down.Flushed = append(down.Flushed, name)
		go func() { results <- stopMember(ctx, outage.cluster, name) }()
	}
	for _, name := range outage.Victims {
		go func() { results <- endVictim(ctx, outage.cluster, name) }()
	}
	for range outage.cluster.Size() {
		failures = append(failures, <-results)
	}
	if err := errors.Join(failures...); err != nil {
		return nil, fmt.Errorf("stop old cluster: %w", err)
	}
	return down, d.events.emit(EventAllDown, "")
}

func stopMember(ctx context.Context, cluster *harness.Cluster, name string) error {
	m, err := cluster.Member(name)
	if err != nil {
		return err
	}
	_, err = m.Stop(ctx, stopPatience)
	return err
}

// endVictim kills a victim that is frozen; one that is dead has no address and is left alone.
func endVictim(ctx context.Context, cluster *harness.Cluster, name string) error {
	m, err := cluster.Member(name)
	if err != nil {
		return err
	}
	if _, err := m.Endpoint(ctx); err != nil {
		return nil //nolint:nilerr // without an address it does not run
	}
	_, err = m.Kill(ctx)
	return err
}

// saveLogs keeps what every member of every generation printed.
func (d *Drill) saveLogs(ctx context.Context) error {
	var failures []error
	saved := map[string]bool{} // a cluster that members joined or left is remembered more than once
	for _, cluster := range d.clusters {
		for _, m := range cluster.Members() {
			if !saved[m.NodeName()] {
				failures = append(failures, d.saveLog(ctx, m))
			}
			saved[m.NodeName()] = true
		}
	}
	return errors.Join(failures...)
}

func (d *Drill) saveLog(ctx context.Context, m *harness.Member) (err error) {
	name := m.NodeName()
	logs, err := m.Logs(ctx)
	if errors.Is(err, harness.ErrNeverStarted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	defer logs.Close() //nolint:errcheck // reading is all that was wanted
	file, err := create(d.folder.etcdLog(name))
	if err != nil {
		return fmt.Errorf("keep log of %s: %w", name, err)
	}
	_, err = io.Copy(file, logs)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("keep log of %s: %w", name, err)
	}
	return nil
}
