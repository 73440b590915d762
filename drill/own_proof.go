package drill

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// verifyOwn gathers the evidence of a backup that was restored: it is read offline, and every member is read back. There is no
// ledger to hold it against, so it is its own witness.
func (d *Drill) verifyOwn(ctx context.Context, p Proof) (verify.Verdict, error) {
	plain := stored{
		Witness: verify.BySource, Members: len(p.Plan.Members), Canary: p.Reborn.Canary, Source: sourceOf(p.Plan),
		Identity: d.ownIdentity(p.Plan), Roster: rosterOf(p.Reborn.Cluster), Disarmed: p.Reborn.Disarmed,
	}
	if p.Watching != nil {
		plain.Watches = p.Watching.Seen
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		if d.own.contents, err = d.readSource(workCtx, p.Source, plain.Source); err == nil {
			plain.Manifest, plain.Freshness = d.heldAgainstManifest(), d.freshness()
		}
		return err
	})
	work.Go(func() error {
		plain.Living = d.hashesOfLiving(workCtx)
		return nil
	})
	work.Go(func() (err error) {
		plain.Reborn, err = d.readBack(workCtx, p.Reborn.Cluster, readAtOf(p.Plan))
		return err
	})
	if err := work.Wait(); err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	d.readStates(ctx, p.Reborn.Cluster, plain.Reborn, d.events.at(EventRestored))
	noteOrigins(plain.Reborn, p.Reborn)
	// Every reading of the file has compared its digest, so this only finds what happened after the last of them.
	if err := d.own.received.Unchanged(); err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	return d.judge(plain)
}

// heldAgainstManifest compares all that the manifest says; nil if there is none.
func (d *Drill) heldAgainstManifest() *verify.Manifest {
	m := d.own.manifest
	if m == nil {
		return nil
	}
	return &verify.Manifest{Path: d.spec.Own.Expect, Made: m.Made, Differences: m.Differences(d.own.source, &d.own.contents)}
}

// freshness is how old the backup is by what somebody wrote into it; nil if nobody asked.
func (d *Drill) freshness() *verify.Freshness {
	beat := d.own.contents.Beat
	if beat == nil {
		return nil
	}
	fresh := &verify.Freshness{Key: d.coverer()(ledger.Key(d.spec.Own.Canary)), At: beat.At, Fault: beat.Fault}
	if beat.Fault == "" {
		fresh.Age = d.own.began.Sub(beat.At)
	}
	return fresh
}

// ownIdentity is what is known of the old cluster, which is its members, and what the new one must be.
func (d *Drill) ownIdentity(plan recovery.Plan) verify.Identity {
	id := verify.Identity{
		Fresh: true, OldMembers: plan.Source.MemberIDs, PlannedCluster: plan.ClusterID,
		PlannedMembers: map[string]identity.MemberID{},
	}
	switch {
	case d.own.living != nil:
		id.OldCluster = d.own.living.from.Cluster
	case d.own.received.Log != nil:
		id.OldCluster = d.own.received.Log.ClusterID
	}
	for _, m := range plan.Members {
		id.PlannedMembers[m.Name] = m.MemberID
	}
	return id
}

// judgeBadSource makes a verdict of a backup that was proved bad: whether it would come back is known, then.
func (d *Drill) judgeBadSource(ctx context.Context, reason error) (verify.Verdict, error) {
	if d.own.received.Path != "" { // otherwise it could not even be unpacked
		size, sum, err := d.own.received.Digest(ctx)
		if err != nil {
			return verify.Verdict{}, errors.Join(reason, err)
		}
		d.own.source.SizeBytes, d.own.source.SHA256 = size, sum
	}
	return d.refuse(verify.BadSource, reason)
}

// refuse makes a verdict of a backup from which nothing is restored.
func (d *Drill) refuse(kind verify.Kind, reason error) (verify.Verdict, error) {
	verdict := verify.Refuse(kind, reason.Error())
	return verdict, errors.Join(writeJSON(d.folder.verdict(), verdict), d.events.emit(EventJudged, "%s", verdict.Outcome))
}
