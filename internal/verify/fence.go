package verify

import (
	"time"
)

// fenceObserved is how long an old member must have been watched beside the new cluster.
const fenceObserved = 2 * time.Second

// foreignID is the status with which etcd answers a peer of another cluster (server/etcdserver/api/rafthttp/http.go:
// checkClusterCompatibilityFromHeader).
const foreignID = 412

// checkFence demands that an old member was turned away by every new one, and that the very same request with the new
// cluster's ID was not: without that control, a refusal proves nothing.
func (j *judge) checkFence() {
	f := j.ev.Fence
	if f == nil {
		if j.ev.Identity.Fresh {
			j.notes.doubted(claimFence, Finding{Kind: NoEvidence}, "no old member was started beside the new cluster")
		}
		return
	}
	if f.Removed {
		j.checkExpelled(*f)
		return
	}
	if f.Observed < fenceObserved {
		j.notes.doubted(claimFence, Finding{Kind: TooLittle, Member: f.OldMember},
			"old member %s was watched for %s; less than %s proves nothing", f.OldMember, f.Observed, fenceObserved)
	}
	j.checkAlive(*f)
	if !f.SizeOne {
		j.checkOldMember(*f)
	}
	answered := make(map[string]bool)
	for _, a := range f.Answers {
		answered[a.Member] = true
		j.checkAnswer(f.OldMember, a)
	}
	for _, m := range j.ev.Reborn {
		if !f.SizeOne && !answered[m.Name] {
			j.notes.doubted(claimFence, Finding{Kind: NoEvidence, Member: m.Name},
				"member %s was not asked whether it refuses old member %s", m.Name, f.OldMember)
		}
	}
}

// checkExpelled demands that an old member that was removed was told so, and that nothing changed while it was there. That it
// ended counts only with its own word for it: a process that crashed proves nothing.
func (j *judge) checkExpelled(f Fence) {
	switch {
	case !f.OldEnded:
		j.notes.damaged(claimFence, Finding{Kind: Unfenced, Member: f.OldMember},
			"removed member %s still ran after %s beside the cluster whose ID it shares", f.OldMember, seconds(f.Observed))
	case f.OldSaid == "":
		j.notes.doubted(claimFence, Finding{Kind: NoEvidence, Member: f.OldMember},
			"removed member %s ended and did not say that it was told so: it may have crashed", f.OldMember)
	}
	looked := make(map[string]bool)
	for _, a := range f.Answers {
		looked[a.Member] = true
		if !a.Unchanged {
			j.notes.damaged(claimFence, Finding{Kind: Unfenced, Member: a.Member},
				"member %s changed while removed member %s ran beside it: %s", a.Member, f.OldMember, a.Change)
		}
	}
	for _, m := range j.ev.Reborn {
		if !looked[m.Name] {
			j.notes.doubted(claimFence, Finding{Kind: NoEvidence, Member: m.Name},
				"member %s was not looked at while removed member %s ran beside it", m.Name, f.OldMember)
		}
	}
}

// checkAlive demands that the old member lived under its old ID while it was watched: a process that crashed at once serves
// nobody either. An old cluster of one has its quorum in itself, so nothing can keep it from serving; that it does not pass
// for the new cluster is then all that can be demanded.
func (j *judge) checkAlive(f Fence) {
	old := j.ev.Identity.OldCluster
	if old == 0 {
		return // the identity claim says that the old IDs are not known
	}
	switch f.OldAnsweredAs {
	case old:
	case 0:
		j.notes.doubted(claimFence, Finding{Kind: NoEvidence, Member: f.OldMember},
			"old member %s never answered at any port, so that it served nobody proves nothing", f.OldMember)
	default:
		j.notes.damaged(claimFence, Finding{Kind: Unfenced, Member: f.OldMember},
			"old member %s answers under cluster ID %s; it belongs to %s", f.OldMember, f.OldAnsweredAs, old)
	}
}

func (j *judge) checkOldMember(f Fence) {
	if f.OldLed {
		j.notes.damaged(claimFence, Finding{Kind: Unfenced, Member: f.OldMember},
			"old member %s had a leader beside the new cluster", f.OldMember)
	}
	if f.OldServed {
		j.notes.damaged(claimFence, Finding{Kind: Unfenced, Member: f.OldMember},
			"old member %s served a client beside the new cluster, under cluster ID %s", f.OldMember, f.OldAnsweredAs)
	}
}

// checkAnswer judges one new member. A request that got no HTTP answer at all proves neither a fence nor its absence.
func (j *judge) checkAnswer(oldMember string, a FenceAnswer) {
	f := Finding{Member: a.Member}
	if a.ToNewID == 0 || a.ToNewID == foreignID {
		f.Kind = NoEvidence
		j.notes.doubted(claimFence, f,
			"member %s answered a peer request under its own cluster ID with status %d: the control failed, so a refusal proves nothing",
			a.Member, a.ToNewID)
	}
	switch a.ToOldID {
	case foreignID:
	case 0:
		f.Kind = NoEvidence
		j.notes.doubted(claimFence, f, "member %s gave no answer to a peer request under the old cluster ID", a.Member)
	default:
		f.Kind = Unfenced
		j.notes.damaged(claimFence, f, "member %s answered a peer request under the old cluster ID with status %d instead of %d",
			a.Member, a.ToOldID, foreignID)
	}
	if !a.Unchanged {
		f.Kind = Unfenced
		j.notes.damaged(claimFence, f, "member %s changed while old member %s ran beside it: %s", a.Member, oldMember, a.Change)
	}
}
