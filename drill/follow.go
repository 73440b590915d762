package drill

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Follow does a plan that leads over a living cluster, step by step, and returns the cluster with all its members. The load
// must have been stopped where the quorum is gone; where it lives, writes may go on, and the first write of the drill's own
// is left to Verify.
//
// An error that wraps ErrNotReborn says at which step the cluster stayed dead.
func (d *Drill) Follow(ctx context.Context, plan recovery.Plan, old *harness.Cluster) (*Reborn, error) {
	if len(plan.Steps) == 0 {
		return d.Restore(ctx, plan)
	}
	w := &walk{drill: d, plan: plan, old: old, reborn: &Reborn{Cluster: old}}
	if plan.Route == recovery.RouteRestore || plan.Route == recovery.RouteSeed {
		w.reborn.Cluster = nil // nothing lives before the restore
	}
	for i := 0; i < len(plan.Steps); i++ {
		done, err := w.do(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				err = fmt.Errorf("%w: %w", ErrNotReborn, err)
			}
			return w.reborn, fmt.Errorf("follow %s plan, step %d, %s %s: %w", plan.Route, i+1, plan.Steps[i].Do, plan.Steps[i].Member, err)
		}
		i += done - 1
	}
	return w.reborn, w.agree(ctx)
}

// walk is a plan that is being followed.
type walk struct {
	drill    *Drill
	plan     recovery.Plan
	old      *harness.Cluster
	restored offline.Restored
	reborn   *Reborn
}

// do carries out the step at this place, and those behind it that belong together: what starts on data starts at once. It
// returns how many it has done.
func (w *walk) do(ctx context.Context, at int) (int, error) {
	step := w.plan.Steps[at]
	switch step.Do {
	case recovery.DoRestore:
		return 1, w.restore(ctx)
	case recovery.DoForce:
		return 1, w.goOn(ctx, step.Member, "--force-new-cluster")
	case recovery.DoStart:
		return w.start(ctx, at)
	case recovery.DoStop:
		return 1, stopMember(ctx, w.reborn.Cluster, step.Member)
	case recovery.DoAwait:
		return 1, w.await(ctx, at)
	case recovery.DoRemove:
		cluster, err := w.reborn.Remove(ctx, step.Via, step.Member, w.drill.opts.ReadyWithin)
		return 1, w.become(cluster, err)
	case recovery.DoAdd:
		cluster, err := w.reborn.Add(ctx, harness.Addition{
			Seat: w.seat(step.Member), Via: step.Via, Generation: w.drill.nextGeneration(), Within: w.drill.opts.ReadyWithin,
		})
		return 1, w.become(cluster, err)
	case recovery.DoErase:
		// A member that joins gets a disk of its own here. The old directory stays, as the machine that may come back one day.
		return 1, nil
	}
	return 0, fmt.Errorf("unknown step %q", step.Do)
}

func (w *walk) become(cluster *harness.Cluster, err error) error {
	if err != nil {
		return err
	}
	w.reborn.Cluster = cluster
	w.drill.keep(cluster)
	return nil
}

func (w *walk) seat(name string) harness.Seat {
	for _, seat := range w.plan.Joining {
		if seat.Name == name {
			return seat
		}
	}
	return harness.Seat{}
}

// restore makes the directories of the plan's members, and the nodes that will run on them.
func (w *walk) restore(ctx context.Context) (err error) {
	if w.restored, err = w.drill.Rebuild(ctx, w.plan); err != nil {
		return err
	}
	w.reborn.Restored = w.restored
	if err := offline.Vet(ctx, w.drill.opts.Worker, w.restored); err != nil {
		return err
	}
	w.reborn.Cluster, err = w.drill.prepareRestored(ctx, w.restored)
	return err
}

// goOn starts a node for the member on the disk that it has, in a cluster that for now consists of it alone.
func (w *walk) goOn(ctx context.Context, name string, args ...string) error {
	kept, err := w.reborn.Keep(name)
	if err != nil {
		return err
	}
	layout := harness.Layout{Token: w.old.Layout().Token, Seats: []harness.Seat{kept.Members[name].Seat()}}
	cluster, err := w.drill.prepare(ctx, harness.Birth{Layout: layout, Kept: kept, Args: args})
	if err != nil {
		return err
	}
	w.reborn.Cluster = cluster
	return cluster.Start(ctx)
}

// start starts the member of this step, together with those of the steps right behind it.
func (w *walk) start(ctx context.Context, at int) (int, error) {
	if w.plan.Route == recovery.RouteForce && at > 0 && w.plan.Steps[at-1].Do == recovery.DoStop {
		if err := w.goOn(ctx, w.plan.Steps[at].Member); err != nil {
			return 1, err
		}
		return 1, w.drill.events.emit(EventStarted, "")
	}
	done := 0
	work, workCtx := errgroup.WithContext(ctx)
	for ; at+done < len(w.plan.Steps) && w.plan.Steps[at+done].Do == recovery.DoStart; done++ {
		m, err := w.reborn.Member(w.plan.Steps[at+done].Member)
		if err != nil {
			return done, err
		}
		work.Go(func() error { return m.Start(workCtx) })
	}
	if err := work.Wait(); err != nil {
		return done, err
	}
	if w.drill.events.at(EventStarted).IsZero() {
		return done, w.drill.events.emit(EventStarted, "")
	}
	return done, nil
}

// await waits until the member answers. Where the cluster has come back to life by it, that is the end of the outage, and the
// drill makes the first write.
func (w *walk) await(ctx context.Context, at int) error {
	m, err := w.reborn.Member(w.plan.Steps[at].Member)
	if err != nil {
		return err
	}
	goesOn := at+1 == len(w.plan.Steps) || w.plan.Steps[at+1].Do != recovery.DoStop
	if goesOn && !w.reborn.Canary.Acknowledged && w.plan.Route != recovery.RouteReplace {
		if w.reborn.Canary, err = w.drill.firstWrite(ctx, w.reborn.Cluster, nil); err != nil {
			return err
		}
	}
	if via := w.joinedVia(m.Name()); via != "" {
		if err := w.reborn.AwaitJoined(ctx, via, m.Name(), w.drill.opts.ReadyWithin); err != nil {
			return err
		}
		return w.drill.events.emit(EventCaughtUp, "%s", m.Name())
	}
	return m.AwaitReady(ctx, w.reborn.ID(), w.drill.opts.ReadyWithin)
}

// joinedVia names the member that was asked to add this one; empty for a member that did not join.
func (w *walk) joinedVia(name string) string {
	for _, step := range w.plan.Steps {
		if step.Do == recovery.DoAdd && step.Member == name {
			return step.Via
		}
	}
	return ""
}

// agree returns when every member shows the first write.
func (w *walk) agree(ctx context.Context) (err error) {
	if !w.reborn.Canary.Acknowledged {
		return w.drill.events.emit(EventReplaced, "%d members", w.reborn.Size())
	}
	if w.reborn.Canary, err = w.drill.agree(ctx, w.reborn.Cluster, w.reborn.Canary); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("follow %s plan: %w: %w", w.plan.Route, ErrNotReborn, err)
	}
	return err
}

// keep has the drill remember the cluster: its logs are saved and its members ended with the drill.
func (d *Drill) keep(cluster *harness.Cluster) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clusters = append(d.clusters, cluster)
}

// nextGeneration numbers the clusters of a site; branches share one.
func (d *Drill) nextGeneration() int {
	if d.parent != nil {
		return d.parent.nextGeneration()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.generation++
	return d.generation
}
