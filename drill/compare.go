package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Comparison is what Compare tells.
type Comparison = report.Comparison

// Compare makes one disaster, as the spec says, and tries every way back that it leaves open, each on a copy of all data
// directories, one after the other: the seconds are part of the result. Every way is judged against the same ledger. Source,
// Backup and Route of the spec are not looked at. It writes comparison.json to the drill folder, and the evidence of every way
// to routes/WAY in it.
//
// The disaster must cost the quorum: with a quorum alive there is nothing to choose.
func Compare(ctx context.Context, spec Spec, opts Options) (out Comparison, err error) {
	if err := spec.CheckComparable(); err != nil {
		return Comparison{}, err
	}
	title, deleted := spec.comparisonTitle(), spec.Fault == faults.NameUnlink
	if spec = spec.comparable(); deleted {
		// A member without a directory ends when it writes its next raft snapshot.
		opts.EtcdArgs = append(slices.Clone(opts.EtcdArgs), "--snapshot-count=1000000")
	}
	d, err := Open(ctx, spec, opts)
	if d == nil {
		return Comparison{}, err
	}
	c := &comparing{Drill: d, deleted: deleted, out: report.Comparison{
		Title:         title,
		SchemaVersion: report.SchemaVersion, ToolVersion: opts.Tool, Seed: spec.Seed, Folder: string(d.folder), Ways: []report.Way{},
	}}
	if err == nil {
		err = c.run(ctx)
	}
	c.describe()
	err = errors.Join(err, d.Close(ctx))
	if err != nil {
		c.out.Failure = err.Error()
	}
	c.out.Recommend()
	if d.folder.exists() {
		err = errors.Join(err, writeJSON(d.folder.comparison(), c.out))
	}
	return c.out, err
}

// comparable is the spec with what a comparison does not look at. Directories that are deleted under running members are lost
// when the members end.
func (s Spec) comparable() Spec {
	s.Route, s.Source, s.Backup = recovery.RouteRestore, recovery.SavedSnapshot, Before
	if s.Fault == faults.NameUnlink {
		s.Fault = "kill"
	}
	return s
}

// CheckComparable returns an error wrapping ErrUsage, with the reason and the way out, if no comparison can follow the spec.
func (s Spec) CheckComparable() error {
	if err := s.comparable().Check(); err != nil {
		return err
	}
	if s.Fault == faults.NameUnlink && s.Lose != faults.All {
		return fmt.Errorf("%w: where some members have kept their directories, nothing is special about the others; "+
			"use --lose all, or --fault wipe", ErrUsage)
	}
	if s.Fault == "pause" {
		return fmt.Errorf("%w: frozen members come back by themselves; use --fault kill, stop or wipe", ErrUsage)
	}
	return nil
}

func (s Spec) comparisonTitle() string {
	return fmt.Sprintf("a cluster of %d, %s hit by %s", s.Members, s.Lose, s.Fault)
}

// comparing is a comparison in progress.
type comparing struct {
	*Drill
	out    report.Comparison
	old    *harness.Cluster
	outage *Outage
	down   *Down
	book   Book
	best   string // the survivor that holds the most, or who died last; empty if no data is left
	early  *branch
	// deleted is set if the data directories were deleted under the running members; rescued is the snapshot that one of them
	// still gave.
	deleted bool
	rescued *branch
}

func (c *comparing) run(ctx context.Context) (err error) {
	if c.old, err = c.Start(ctx); err != nil {
		return err
	}
	writing, err := c.StartLoad(ctx, c.old, load.Mixed)
	if err != nil {
		return err
	}
	if err := writing.AwaitFilled(ctx); err != nil {
		return err
	}
	if c.early, err = c.newBranch("snapshot-before", recovery.RouteRestore); err != nil {
		return err
	}
	if c.early.source, err = c.early.Backup(ctx, c.old); err != nil {
		return err
	}
	if err := writing.AwaitMore(ctx, moreWrites); err != nil {
		return err
	}
	if c.deleted {
		if err := c.deleteDirectories(ctx, writing); err != nil {
			return err
		}
	}
	fault, err := c.spec.fault()
	if err != nil {
		return err
	}
	if c.outage, err = c.Strike(ctx, c.old, fault); err != nil {
		return err
	}
	ways, err := c.rescue(ctx, writing)
	if err != nil {
		return err
	}
	for _, w := range ways {
		if err := c.try(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// deleteDirectories deletes every data directory under the running members, and saves a snapshot from one of them in time.
func (c *comparing) deleteDirectories(ctx context.Context, writing *Load) (err error) {
	if _, err := c.Strike(ctx, c.old, faults.Unlink(faults.All)); err != nil {
		return err
	}
	if c.rescued, err = c.newBranch("rescue", recovery.RouteRestore); err != nil {
		return err
	}
	c.rescued.spec.Backup = After
	if c.rescued.source, err = c.rescued.Backup(ctx, c.old); err != nil {
		return err
	}
	c.rescued.fetched()
	return writing.AwaitMore(ctx, moreWrites)
}

// try takes one way back on a copy of the disaster. That it fails is a result, unless the whole comparison is to end.
func (c *comparing) try(ctx context.Context, w way) (err error) {
	row := report.Way{Name: w.name, Route: string(w.route), Text: w.text, Closed: w.closed}
	if w.closed != "" {
		c.out.Ways = append(c.out.Ways, row)
		return nil
	}
	b := w.branch
	if b == nil {
		if b, err = c.newBranch(w.name, w.route); err != nil {
			return err
		}
	}
	plan, reborn, verdict, failure := c.goBack(ctx, w, b)
	if failure != nil {
		row.Failure = failure.Error()
	}
	row.Verdict, row.Commands = verdict, plan.Commands()
	row.FirstWrite, row.Agreed = b.took(EventWritten), b.took(EventAgreed)
	if w.route == recovery.RouteReplace { // writes never stopped; that the copies did is only because they are copies
		row.FirstWrite, row.Agreed = 0, b.took(EventReplaced)
	}
	if reborn != nil && reborn.Cluster != nil {
		row.Cluster, row.Kept = reborn.ID(), reborn.ID() == c.old.ID()
	}
	c.out.Ways = append(c.out.Ways, row)
	return errors.Join(context.Cause(ctx), b.end(ctx))
}

func (c *comparing) goBack(ctx context.Context, w way, b *branch) (plan recovery.Plan, reborn *Reborn, verdict verify.Verdict, err error) {
	if err := b.makeBackupFolder(); err != nil { // where the source is read to, also one that another branch has fetched
		return plan, nil, verdict, err
	}
	outage, down, err := b.from(ctx, c.book, c.outage, c.withData())
	if err != nil {
		return plan, nil, verdict, err
	}
	down.Flushed = c.down.Flushed
	if w.route == recovery.RouteReplace {
		if err := b.wake(ctx, outage); err != nil {
			return plan, nil, verdict, err
		}
	}
	if plan, err = w.plan(b, down, outage); err != nil {
		return plan, nil, verdict, err
	}
	if reborn, err = b.Follow(ctx, plan, down.Cluster); err != nil {
		return plan, reborn, verdict, err
	}
	proof := Proof{Book: c.book, Source: b.source, Outage: outage, Down: down, Plan: plan, Reborn: reborn}
	if plan.Route.KeepsCluster() {
		verdict, err = b.VerifyHealed(ctx, proof.Healed())
	} else {
		verdict, err = b.Verify(ctx, proof)
	}
	return plan, reborn, verdict, err
}

// describe says what the comparison was about, as far as it got.
func (c *comparing) describe() {
	c.out.Runtime = report.Runtime{
		Name: c.opts.Runtime.Name(), Chosen: c.opts.Chosen, Engine: c.prepared.Engine,
		EtcdVersion: c.prepared.Version, EtcdOrigin: c.prepared.Origin,
	}
	if c.Drill.run != nil {
		c.out.RunID = c.RunID()
	}
	if c.old != nil {
		c.out.OldCluster = c.old.ID()
	}
	if c.outage != nil {
		seen := outageEvidence(c.outage)
		c.out.Outage = &seen
	}
}
