package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// ErrNotReborn marks a restore that went through and yielded a cluster that does not live: no leader, no write, or a member
// that does not answer.
var ErrNotReborn = errors.New("the restored cluster does not live")

// Reborn is the new logical cluster, alive on the restored directories.
type Reborn struct {
	*harness.Cluster
	Restored offline.Restored
	// Disarmed are the alarms that Disarm ended on it.
	Disarmed []ledger.Alarm
	// Canary is the first write that it acknowledged.
	Canary verify.Canary
}

// Restore follows the plan: it restores every member's directory and boots the new cluster on them.
func (d *Drill) Restore(ctx context.Context, plan recovery.Plan, opts ...BootOption) (*Reborn, error) {
	restored, err := d.Rebuild(ctx, plan)
	if err != nil {
		return nil, err
	}
	return d.Boot(ctx, restored, opts...)
}

// Rebuild restores every member's directory, and starts nothing. A plan that leads back to a cluster of this drill is
// refused with recovery.ErrTokenReused, wherever it comes from: a Plan is a value that anybody can change.
func (d *Drill) Rebuild(ctx context.Context, plan recovery.Plan) (offline.Restored, error) {
	for _, cluster := range d.clusters {
		if plan.Layout.Token == cluster.Layout().Token || plan.Layout.ClusterID() == cluster.ID() {
			return offline.Restored{}, fmt.Errorf("rebuild members: %w: the plan leads back to cluster %s", recovery.ErrTokenReused, cluster.ID())
		}
	}
	restored, err := offline.Restore(ctx, d.restorer(plan), plan, d.site.Scratch(), d.how...)
	if err != nil {
		return offline.Restored{}, err
	}
	return restored, d.events.emit(EventRestored, "%d members", len(restored.Members))
}

// Boot starts the new cluster on the restored directories, on the old peer URLs, and returns when it has taken a write that
// every member shows. An error that wraps ErrNotReborn says at which step it stayed dead; once its processes ran, what there
// is of the cluster is returned beside it and can be verified.
//
// It starts nothing on directories that offline.Vet refuses.
func (d *Drill) Boot(ctx context.Context, restored offline.Restored, opts ...BootOption) (*Reborn, error) {
	if err := offline.Vet(ctx, d.opts.Worker, restored); err != nil {
		return nil, fmt.Errorf("boot restored cluster: %w", err)
	}
	return d.BootUnvetted(ctx, restored, opts...)
}

// BootUnvetted is Boot without its guard, for those who must see what it guards against.
func (d *Drill) BootUnvetted(ctx context.Context, restored offline.Restored, opts ...BootOption) (*Reborn, error) {
	var options bootOptions
	for _, opt := range opts {
		opt(&options)
	}
	cluster, err := d.prepareRestored(ctx, restored, options.args...)
	if err != nil {
		return nil, err
	}
	if err := cluster.Start(ctx); err != nil {
		return nil, fmt.Errorf("boot restored cluster: %w: %w", ErrNotReborn, err)
	}
	if err := d.events.emit(EventStarted, ""); err != nil {
		return nil, err
	}
	reborn := &Reborn{Cluster: cluster, Restored: restored}
	reborn.Canary, err = d.awaken(ctx, cluster, func(ctx context.Context) error {
		if options.beforeWrite == nil {
			return nil
		}
		return options.beforeWrite(ctx, reborn)
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("boot restored cluster: %w: %w", ErrNotReborn, err)
	}
	return reborn, err
}

// prepareRestored makes nodes that will run on the restored directories.
func (d *Drill) prepareRestored(ctx context.Context, restored offline.Restored, args ...string) (*harness.Cluster, error) {
	cluster, err := d.prepare(ctx, harness.Birth{
		Layout: restored.Plan.Layout, Dirs: restored.Dirs(), Version: d.restoredVersion(restored.Plan), Args: args,
	})
	if err != nil {
		return nil, err
	}
	return cluster, d.events.emit(EventPlaced, "")
}

// awaken takes a cluster from running processes to a write that all members show, and marks every step. before is called
// when the cluster answers and nothing was written yet; nil for nothing.
func (d *Drill) awaken(ctx context.Context, cluster *harness.Cluster, before func(context.Context) error) (verify.Canary, error) {
	canary, err := d.firstWrite(ctx, cluster, before)
	if err != nil {
		return canary, err
	}
	return d.agree(ctx, cluster, canary)
}

// firstWrite takes a cluster from running processes to an acknowledged write.
func (d *Drill) firstWrite(ctx context.Context, cluster *harness.Cluster, before func(context.Context) error) (verify.Canary, error) {
	first, err := firstLed(ctx, cluster, d.opts.ReadyWithin)
	if err != nil {
		return verify.Canary{}, err
	}
	defer first.Close()
	if err := d.events.emit(EventElected, ""); err != nil {
		return verify.Canary{}, err
	}
	err = await.Until(ctx, await.Condition{Name: "first linearizable read", Every: 10 * time.Millisecond, Within: d.opts.ReadyWithin},
		func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := first.Read(ctx, harness.Linearizable)
			return err
		})
	if err != nil {
		return verify.Canary{}, err
	}
	if err := d.events.emit(EventRead, ""); err != nil {
		return verify.Canary{}, err
	}
	if before != nil {
		if err := before(ctx); err != nil {
			return verify.Canary{}, err
		}
	}
	canary, err := writeCanary(ctx, first, d.run.ID())
	if err != nil {
		return canary, err
	}
	return canary, d.events.emit(EventWritten, "revision %d", canary.Revision)
}

// agree returns when all members show the write, with the names of those that do.
func (d *Drill) agree(ctx context.Context, cluster *harness.Cluster, canary verify.Canary) (verify.Canary, error) {
	var err error
	if canary.SeenBy, err = awaitCanary(ctx, cluster, canary, d.opts.ReadyWithin); err != nil {
		return canary, err
	}
	return canary, d.events.emit(EventAgreed, "%d members", cluster.Size())
}

// firstLed returns a probe of the first member that knows a leader.
func firstLed(ctx context.Context, cluster *harness.Cluster, within time.Duration) (*harness.Probe, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		probe *harness.Probe
		err   error
	}
	results := make(chan result, cluster.Size())
	for _, m := range cluster.Members() {
		go func() {
			probe, err := m.AwaitLed(ctx, within)
			results <- result{probe, err}
		}()
	}
	var first *harness.Probe
	var failures []error
	for range cluster.Size() {
		got := <-results
		switch {
		case got.err != nil:
			failures = append(failures, got.err)
		case first == nil:
			first = got.probe
			cancel() // the others need not go on
		default:
			got.probe.Close()
		}
	}
	cancel()
	if first == nil {
		return nil, errors.Join(failures...)
	}
	return first, nil
}

func writeCanary(ctx context.Context, probe *harness.Probe, runID string) (verify.Canary, error) {
	canary := verify.Canary{Key: ledger.Key("etcd-drill/canary/" + runID)}
	err := await.Until(ctx, await.Condition{Name: "first acknowledged write", Every: 10 * time.Millisecond, Within: time.Minute},
		func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			response, err := probe.Client().Put(ctx, string(canary.Key), runID)
			if errors.Is(err, rpctypes.ErrNoSpace) || errors.Is(err, rpctypes.ErrCorrupt) {
				return await.Hopeless(fmt.Errorf("%w: the source carried an alarm, which a restore keeps; end its cause and disarm it", err))
			}
			if err != nil {
				return err
			}
			canary.Acknowledged, canary.Revision = true, response.Header.Revision
			return nil
		})
	return canary, err
}

// awaitCanary returns when a serializable read on every member shows the write, with the names of those that do. Where some
// do not, the error says why, and the names are of the others.
func awaitCanary(ctx context.Context, cluster *harness.Cluster, canary verify.Canary, within time.Duration) ([]string, error) {
	members := cluster.Members()
	results := make([]error, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { results[i] = m.AwaitKey(ctx, string(canary.Key), canary.Revision, within) })
	}
	asking.Wait()
	var seenBy []string
	for i, m := range members {
		if results[i] == nil {
			seenBy = append(seenBy, m.Name())
		}
	}
	return seenBy, errors.Join(results...)
}
