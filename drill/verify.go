package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Proof is what the phases of a recovery returned, to be proved.
type Proof struct {
	Book   Book
	Source recovery.Source
	Outage *Outage
	Down   *Down
	Plan   recovery.Plan
	Reborn *Reborn
	// Watching are the clients that watched through the disaster; nil for none.
	Watching *Watching
}

// Verify gathers the evidence of a recovery: the source is read offline, every member of the new cluster is read back, an
// old member is started beside it. All of it is written to the drill folder before it is judged.
func (d *Drill) Verify(ctx context.Context, p Proof) (verify.Verdict, error) {
	plain := stored{
		Outage: outageEvidence(p.Outage), Members: len(p.Plan.Members) + len(p.Plan.Joining), Canary: p.Reborn.Canary,
		Identity: restoredIdentity(p), Demands: d.demands(p), Roster: rosterOf(p.Reborn.Cluster), Disarmed: p.Reborn.Disarmed,
		Source: sourceOf(p.Plan),
	}
	if p.Watching != nil {
		if plain.Watches = p.Watching.Seen; len(plain.Watches) == 0 {
			return verify.Verdict{}, errors.New("gather evidence: nobody asked the watching clients what they were told; call Prove before")
		}
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error {
		_, err := d.readSource(workCtx, p.Source, plain.Source)
		return err
	})
	work.Go(func() (err error) {
		plain.Reborn, err = d.readBack(workCtx, p.Reborn.Cluster, readAtOf(p.Plan))
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
	d.readStates(ctx, p.Reborn.Cluster, plain.Reborn, d.events.at(EventRestored))
	noteOrigins(plain.Reborn, p.Reborn)
	return d.judge(plain)
}

// sourceOf is what a plan says of its source.
func sourceOf(plan recovery.Plan) *verify.Source {
	s := plan.Source
	source := &verify.Source{Kind: string(s.Kind), SHA256: s.SHA256, RestorePoint: s.RestorePoint, Compacted: s.Compacted}
	if plan.BumpRevision > 0 {
		source.BumpedTo = plan.Revision()
	}
	return source
}

// readSource reads the source offline into the drill folder, and completes what is known of it.
func (d *Drill) readSource(ctx context.Context, src recovery.Source, into *verify.Source) (recovery.Contents, error) {
	history, keyspace := d.folder.shows(sourceName)
	contents, err := offline.Extract(ctx, d.opts.Worker, src, offline.Extraction{
		DigestKey: d.opts.DigestKey, History: history, Keyspace: keyspace, BumpedTo: into.BumpedTo,
		Leases: d.folder.leasesOf(sourceName), State: d.folder.state(sourceName), Beat: d.beat(), Cover: d.covers(),
	})
	if err != nil {
		return contents, err
	}
	into.HashKV, into.HashFrom = contents.HashKV, contents.CompactRevision
	into.State, err = d.folder.readSourceState()
	return contents, err
}

// beat is the key of a backup of somebody's own under which its time is expected; empty for none.
func (d *Drill) beat() string {
	if d.spec.Own == nil {
		return ""
	}
	return d.spec.Own.Canary
}

// noteOrigins notes of every member from which file it was restored, or that it joined with nothing.
func noteOrigins(shown []verify.Member, reborn *Reborn) {
	for i, m := range reborn.Members() {
		at := slices.IndexFunc(reborn.Restored.Members, func(r offline.RestoredMember) bool { return r.Name == m.Name() })
		if shown[i].Joined = at < 0; at >= 0 {
			shown[i].SourceSHA256 = reborn.Restored.Members[at].SHA256
		}
	}
}

// Healed is what the phases of an outage returned whose route keeps the cluster.
type Healed struct {
	Book   Book
	Outage *Outage
	// Cluster is the living one, with all its members.
	Cluster *harness.Cluster
	// Route is how it came back; RouteRestart if empty.
	Route recovery.Route
	// Canary is the first write to it, if the drill has made one already.
	Canary verify.Canary
}

// VerifyHealed gathers the evidence of a cluster that survived, or came back under its old ID. Where the route must lose
// nothing, nothing that was acknowledged may be lost; an old member that was removed must not come back unnoticed.
func (d *Drill) VerifyHealed(ctx context.Context, h Healed) (verify.Verdict, error) {
	route := cmp.Or(h.Route, recovery.RouteRestart)
	if !h.Canary.Acknowledged {
		canary, err := d.awaken(ctx, h.Cluster, nil)
		if err != nil {
			return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
		}
		h.Canary = canary
	}
	old := h.Outage.cluster
	plain := stored{
		Outage: outageEvidence(h.Outage), Members: h.Cluster.Size(), Canary: h.Canary,
		Identity: keptIdentity(old, h.Cluster), Roster: rosterOf(h.Cluster),
		Demands: verify.Demands{
			QuorumLoss: h.Outage.Target.CostsQuorum(old.Size()), NoLoss: route.LosesNothing(),
		},
	}
	var err error
	if len(plain.Identity.PlannedMembers) > 0 {
		if plain.Fence, err = d.expel(ctx, h.Outage, &Reborn{Cluster: h.Cluster}); err != nil {
			return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
		}
	}
	// The revision before the canary is the last that the load can own.
	if plain.Reborn, err = d.readBack(ctx, h.Cluster, readAt{revision: h.Canary.Revision - 1}); err != nil {
		return verify.Verdict{}, fmt.Errorf("gather evidence: %w", err)
	}
	d.readStates(ctx, h.Cluster, plain.Reborn, d.events.at(EventOpened))
	for i, m := range h.Cluster.Members() {
		_, plain.Reborn[i].Joined = plain.Identity.PlannedMembers[m.Name()]
	}
	return d.judge(plain)
}

// keptIdentity names, of a cluster that goes on, the members that it had and those that were added to it since.
func keptIdentity(old, now *harness.Cluster) verify.Identity {
	id := verify.Identity{OldCluster: old.ID(), OldMembers: memberIDs(old)}
	for _, m := range now.Members() {
		if !slices.Contains(id.OldMembers, m.ID()) {
			if id.PlannedMembers == nil {
				id.PlannedMembers = map[string]identity.MemberID{}
			}
			id.PlannedMembers[m.Name()] = m.ID()
		}
	}
	return id
}

func (d *Drill) judge(plain stored) (verify.Verdict, error) {
	if err := d.events.emit(EventReadBack, "%d members", len(plain.Reborn)); err != nil {
		return verify.Verdict{}, err
	}
	if err := writeJSON(d.folder.evidence(), plain); err != nil {
		return verify.Verdict{}, err
	}
	verdict, err := d.folder.judgeAndKeep(d.run.WorkDir())
	if err != nil {
		return verdict, err
	}
	d.mu.Lock()
	d.intact = verdict.Outcome == verify.Intact
	d.mu.Unlock()
	return verdict, d.events.emit(EventJudged, "%s", verdict.Outcome)
}

// demands says what this drill must have met to count: calls in flight when the disaster struck, and, where the backup was made before
// that, at least one write that it does not hold.
func (d *Drill) demands(p Proof) verify.Demands {
	fromTheDead := p.Source.Kind == recovery.DBCopy
	for _, name := range p.Down.Flushed {
		fromTheDead = fromTheDead && name != p.Source.Member
	}
	return verify.Demands{
		QuorumLoss: true, UnknownEntries: d.loadWasHit(p.Outage), Unflushed: fromTheDead,
		LostWrites: p.Source.Kind == recovery.SavedSnapshot && d.spec.Backup == Before,
	}
}

// loadWasHit tells whether writes went on when the disaster struck. Who stops the load before has none in flight, on purpose.
func (d *Drill) loadWasHit(outage *Outage) bool {
	stopped := d.events.at(EventLoadStopped)
	if d.parent != nil {
		stopped = d.parent.events.at(EventLoadStopped)
	}
	return stopped.IsZero() || !stopped.Before(outage.SignalAt)
}

func outageEvidence(o *Outage) verify.Outage {
	return verify.Outage{
		Fault: o.Fault, Victims: o.Victims, Survivors: o.Survivors, SignalAt: o.SignalAt,
		QuorumLost: o.LostQuorum(), Observed: o.Proof.Observed(), Reason: o.Proof.Reason,
	}
}

func restoredIdentity(p Proof) verify.Identity {
	planned := map[string]identity.MemberID{}
	for _, m := range p.Plan.Members {
		planned[m.Name] = m.MemberID
	}
	for _, seat := range p.Plan.Joining { // etcd drew their IDs when they were added
		if m, err := p.Reborn.Member(seat.Name); err == nil {
			planned[seat.Name] = m.ID()
		}
	}
	return verify.Identity{
		Fresh: true, OldCluster: p.Down.Cluster.ID(), OldMembers: memberIDs(p.Down.Cluster),
		PlannedCluster: p.Plan.ClusterID, PlannedMembers: planned,
	}
}

func memberIDs(cluster *harness.Cluster) []identity.MemberID {
	var ids []identity.MemberID
	for _, m := range cluster.Members() {
		ids = append(ids, m.ID())
	}
	return ids
}
