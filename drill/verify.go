package drill

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Proof is what the phases of a recovery returned, to be proved.
type Proof struct {
	Book   Book
	Source recovery.Source
	Outage *Outage
	Down   *Down
	Plan   recovery.Plan
	Reborn *Reborn
}

// Verify gathers the evidence of a recovery: the source is read offline, every member of the new cluster is read back, an
// old member is started beside it. All of it is written to the drill folder before it is judged.
func (d *Drill) Verify(ctx context.Context, p Proof) (verify.Verdict, error) {
	plain := stored{
		Outage: outageEvidence(p.Outage), Members: len(p.Plan.Members), Canary: p.Reborn.Canary,
		Identity: restoredIdentity(p), Demands: d.demands(p),
		Source: &verify.Source{
			Kind: string(p.Source.Kind), SHA256: p.Source.SHA256,
			RestorePoint: p.Source.RestorePoint, Compacted: p.Source.Compacted,
		},
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error {
		history, keyspace := d.folder.shows(sourceName)
		contents, err := recovery.Extract(workCtx, d.opts.Worker, p.Source,
			recovery.Extraction{DigestKey: d.opts.DigestKey, History: history, Keyspace: keyspace})
		plain.Source.HashKV = contents.HashKV
		return err
	})
	work.Go(func() (err error) {
		at := readAt{revision: p.Source.RestorePoint, compacted: p.Source.Compacted}
		plain.Reborn, err = d.readBack(workCtx, p.Reborn.Cluster, at)
		return err
	})
	// The members are read while the old one stands beside them: the fence only watches, and what it must not change is read
	// again after it.
	work.Go(func() (err error) {
		plain.Fence, err = d.fence(workCtx, p.Outage, p.Reborn)
		return err
	})
	if err := work.Wait(); err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	for i, restored := range p.Reborn.Restored.Members {
		plain.Reborn[i].SourceSHA256 = restored.SHA256
	}
	return d.judge(plain)
}

// Healed is what the phases of an outage that needs no restore returned.
type Healed struct {
	Book    Book
	Outage  *Outage
	Cluster *harness.Cluster
}

// VerifyHealed gathers the evidence of a cluster that survived, or came back by itself or by a plain restart. Nothing that
// was acknowledged may be lost, and the cluster must still be the old one.
func (d *Drill) VerifyHealed(ctx context.Context, h Healed) (verify.Verdict, error) {
	canary, err := d.awaken(ctx, h.Cluster)
	if err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	old := h.Cluster.Layout()
	plain := stored{
		Outage: outageEvidence(h.Outage), Members: h.Cluster.Size(), Canary: canary,
		Identity: verify.Identity{OldCluster: old.ClusterID(), OldMembers: memberIDs(old)},
		Demands:  verify.Demands{QuorumLoss: h.Outage.Target.CostsQuorum(h.Cluster.Size()), NoLoss: true},
	}
	// The revision before the canary is the last that the load can own.
	if plain.Reborn, err = d.readBack(ctx, h.Cluster, readAt{revision: canary.Revision - 1}); err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	return d.judge(plain)
}

func (d *Drill) judge(plain stored) (verify.Verdict, error) {
	if err := d.events.emit(EventReadBack, "%d members", len(plain.Reborn)); err != nil {
		return verify.Verdict{}, err
	}
	if err := writeJSON(d.folder.evidence(), plain); err != nil {
		return verify.Verdict{}, err
	}
	verdict, err := d.folder.judgeAndKeep()
	if err != nil {
		return verdict, err
	}
	d.mu.Lock()
	d.intact = verdict.Outcome == verify.Intact
	d.mu.Unlock()
	return verdict, d.events.emit(EventJudged, "%s", verdict.Outcome)
}

// demands says what this drill must have met to count: calls in flight when the disaster struck, and, where the backup
// cannot hold everything, at least one write that it does not hold.
func (d *Drill) demands(p Proof) verify.Demands {
	fromTheDead := p.Source.Kind == recovery.DBCopy
	for _, name := range p.Down.Flushed {
		fromTheDead = fromTheDead && name != p.Source.Member
	}
	return verify.Demands{
		QuorumLoss: true, UnknownEntries: true,
		LostWrites: fromTheDead || p.Source.Kind == recovery.SavedSnapshot && d.spec.Backup == Before,
	}
}

func outageEvidence(o *Outage) verify.Outage {
	return verify.Outage{
		Fault: o.Fault, Victims: o.Victims, Survivors: o.Survivors, SignalAt: o.SignalAt,
		QuorumLost: o.LostQuorum(), Observed: o.Proof.Observed(), Reason: o.Proof.Reason,
	}
}

func restoredIdentity(p Proof) verify.Identity {
	old := p.Down.Layout()
	planned := map[string]identity.MemberID{}
	for _, m := range p.Plan.Members {
		planned[m.Name] = m.MemberID
	}
	return verify.Identity{
		Fresh: true, OldCluster: old.ClusterID(), OldMembers: memberIDs(old),
		PlannedCluster: p.Plan.ClusterID, PlannedMembers: planned,
	}
}

func memberIDs(layout harness.Layout) []identity.MemberID {
	var ids []identity.MemberID
	for _, seat := range layout.Seats {
		ids = append(ids, layout.MemberID(seat))
	}
	return ids
}
