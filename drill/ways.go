package drill

import (
	"cmp"
	"context"
	"fmt"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// way is a way back that may be tried.
type way struct {
	name   string
	text   string
	route  recovery.Route
	branch *branch // nil where it needs no source that was fetched before
	closed string
	plan   func(b *branch, down *Down, outage *Outage) (recovery.Plan, error)
}

// rescue fetches every source that there is, stops what still runs, and lists the ways back.
func (c *comparing) rescue(ctx context.Context, writing *Load) (ways []way, err error) {
	var rescued *branch
	if len(c.outage.Survivors) > 0 && c.outage.LostQuorum() {
		best, err := c.BestSurvivor(ctx, c.outage)
		if err != nil {
			return nil, err
		}
		c.best = best.Name()
		if rescued, err = c.newBranch("snapshot-after", recovery.RouteRestore); err != nil {
			return nil, err
		}
		if rescued.source, err = rescued.Rescue(ctx, c.outage); err != nil {
			return nil, err
		}
		rescued.spec.Backup = After
		rescued.fetched()
	}
	if c.book, err = writing.Stop(ctx); err != nil {
		return nil, err
	}
	if c.down, err = c.StopAll(ctx, c.outage); err != nil {
		return nil, err
	}
	copied, err := c.copyDatabase(ctx)
	if err != nil {
		return nil, err
	}
	return c.ways(rescued, copied), nil
}

// copyDatabase fetches the database of a member that is down; nil if none is left.
func (c *comparing) copyDatabase(ctx context.Context) (*branch, error) {
	if len(c.withData()) == 0 || !c.outage.LostQuorum() {
		return nil, nil
	}
	copied, err := c.newBranch("db", recovery.RouteRestore)
	if err != nil {
		return nil, err
	}
	copied.spec.Source, copied.spec.Backup = recovery.DBCopy, After
	if copied.source, err = copied.CopyDB(ctx, c.down, c.outage); err != nil {
		return nil, err
	}
	copied.fetched()
	if c.best == "" {
		c.best = copied.source.Member
	}
	return copied, nil
}

func (c *comparing) ways(rescued, copied *branch) []way {
	seedFrom := cmp.Or(rescued, c.rescued, c.early)
	ways := []way{
		{
			name: "restart", route: recovery.RouteRestart, text: recovery.RouteRestart.Text(),
			plan: func(b *branch, _ *Down, outage *Outage) (recovery.Plan, error) {
				names := c.withData()
				return b.planned(recovery.NewRestartPlan(outage.cluster.Layout(), names, nil, recovery.WithPlaces(b.places())))
			},
		},
		restoring("snapshot-after", "restore all from a snapshot saved from the survivor", rescued),
		restoring("db", "restore all from a copy of a database, hash check skipped", copied),
		{
			name: "seed", route: recovery.RouteSeed, text: recovery.RouteSeed.Text(),
			plan: func(b *branch, down *Down, _ *Outage) (recovery.Plan, error) {
				b.source, b.fetching = seedFrom.source, seedFrom.fetching
				b.spec.Backup = seedFrom.spec.Backup
				return b.PlanSeed(b.source, down, identity.FreshToken())
			},
		},
		{
			name: "force-new-cluster", route: recovery.RouteForce, text: recovery.RouteForce.Text(),
			plan: func(b *branch, down *Down, _ *Outage) (recovery.Plan, error) { return b.PlanForce(down, c.best) },
		},
		restoring("rescue", "restore all from a snapshot that a running member gave whose directory was deleted", c.rescued),
		{
			name: "replace", route: recovery.RouteReplace, text: recovery.RouteReplace.Text(),
			plan: func(b *branch, _ *Down, outage *Outage) (recovery.Plan, error) { return b.PlanReplace(outage) },
		},
		restoring("snapshot-before", "restore all from a snapshot saved before", c.early),
	}
	c.close(ways, rescued, copied)
	return ways
}

// restoring restores every member from the source that this branch has fetched; nil if there was none to fetch.
func restoring(name, text string, from *branch) way {
	return way{
		name: name, route: recovery.RouteRestore, text: text, branch: from,
		plan: func(b *branch, down *Down, _ *Outage) (recovery.Plan, error) {
			return b.Plan(b.source, down, identity.FreshToken())
		},
	}
}

// close says which ways this disaster leaves closed, and why.
func (c *comparing) close(ways []way, rescued, copied *branch) {
	for i := range ways {
		w := &ways[i]
		switch {
		case !c.outage.LostQuorum() && w.name != "replace" && (w.name != "restart" || len(c.withData()) < c.old.Size()):
			w.closed = "the quorum lives, and this would throw away what it has, or leaves the lost members away"
		case w.name == "replace" && c.outage.LostQuorum():
			w.closed = "no quorum to agree on who is a member"
		case w.name == "rescue" && c.rescued == nil:
			w.closed = "no member runs without its directory"
		case w.name == "restart" && len(c.withData()) < harness.QuorumOf(c.old.Size()):
			w.closed = fmt.Sprintf("%d of %d members have their data, fewer than a quorum", len(c.withData()), c.old.Size())
		case w.name == "snapshot-after" && rescued == nil:
			w.closed = "no survivor to save a snapshot from"
		case w.name == "db" && copied == nil, w.name == "force-new-cluster" && c.best == "":
			w.closed = "no member has its data"
		}
	}
}

// withData names the members whose data directories the disaster left.
func (c *comparing) withData() []string {
	switch {
	case c.deleted:
		return nil
	case c.outage.Destroyed():
		return c.outage.Survivors
	}
	return c.old.Layout().Names()
}
