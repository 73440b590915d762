package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// AddLearner adds a member of this name without a vote to a living cluster, starts it, and returns when it shows all that the
// first member shows now. The returned cluster is the given one with it. etcd wants 5 s of connectivity of all voters before
// (server/etcdserver/server.go, HealthInterval), which is waited for.
func (d *Drill) AddLearner(ctx context.Context, cluster *harness.Cluster, name string) (*harness.Cluster, error) {
	place, err := d.site.Place(name)
	if err != nil {
		return nil, fmt.Errorf("add learner: %w", err)
	}
	first := cluster.Members()[0]
	grown, err := cluster.Add(ctx, harness.Addition{
		Seat: harness.Seat{Name: name, PeerURL: place.PeerURL}, Via: first.Name(), Learner: true,
		Generation: d.nextGeneration(), Within: d.opts.ReadyWithin,
	})
	if err != nil {
		return nil, fmt.Errorf("add learner: %w", err)
	}
	d.keep(grown)
	learner, err := grown.Member(name)
	if err != nil {
		return nil, fmt.Errorf("add learner: %w", err)
	}
	if err := learner.Start(ctx); err != nil {
		return nil, fmt.Errorf("add learner: %w", err)
	}
	if err := d.awaitCaughtUp(ctx, first, learner); err != nil {
		return nil, fmt.Errorf("add learner: %w", err)
	}
	return grown, d.events.emit(EventJoined, "learner %s", name)
}

// awaitCaughtUp returns when the member shows the revision at which the other one is when it begins. A learner answers
// serializable reads only.
func (d *Drill) awaitCaughtUp(ctx context.Context, other, m *harness.Member) error {
	goal, err := appliedRevision(ctx, other)
	if err != nil {
		return err
	}
	return await.Until(ctx, await.Condition{
		Name: fmt.Sprintf("%s at revision %d", m.Name(), goal), Every: 20 * time.Millisecond, Within: d.opts.ReadyWithin,
	}, func(ctx context.Context) error {
		revision, err := appliedRevision(ctx, m)
		if err == nil && revision < goal {
			err = fmt.Errorf("it is at %d", revision)
		}
		return err
	})
}

// Promote gives the learner a vote.
func (d *Drill) Promote(ctx context.Context, cluster *harness.Cluster, name string) error {
	if err := cluster.Promote(ctx, cluster.Members()[0].Name(), name, d.opts.ReadyWithin); err != nil {
		return err
	}
	return d.events.emit(EventJoined, "%s has a vote", name)
}
