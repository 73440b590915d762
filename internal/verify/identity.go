package verify

import (
	"slices"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// checkIdentity demands the planned IDs, none of them old, of a cluster that must be new, and the old ones of a cluster
// that must not be.
func (j *judge) checkIdentity() {
	id := j.ev.Identity
	if !j.bySource() && (id.OldCluster == 0 || len(id.OldMembers) == 0) {
		j.notes.doubted(claimIdentity, Finding{Kind: NoEvidence},
			"the IDs of the cluster that was lost are not known, so nothing tells old from new")
	}
	if len(j.ev.Reborn) == 0 {
		j.notes.doubted(claimIdentity, Finding{Kind: NoEvidence}, "no member of the recovered cluster shows its IDs")
	}
	bearers := make(map[identity.MemberID]string)
	for _, m := range j.ev.Reborn {
		if other, taken := bearers[m.ID]; taken {
			j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name}, "members %s and %s have the same ID %s", other, m.Name, m.ID)
		}
		bearers[m.ID] = m.Name
		if id.Fresh {
			j.checkFresh(m)
		} else {
			j.checkKept(m)
		}
	}
}

// checkFresh reports an old ID as stale, whatever was planned: a plan that predicts the old cluster is the mistake itself.
func (j *judge) checkFresh(m Member) {
	id := j.ev.Identity
	switch {
	case m.ClusterID == id.OldCluster && id.OldCluster != 0:
		j.notes.damaged(claimIdentity, Finding{Kind: StaleID, Member: m.Name},
			"member %s runs under cluster ID %s, which is the old cluster's: an old member would be taken for one of its own", m.Name, m.ClusterID)
	case m.ClusterID != id.PlannedCluster:
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name},
			"member %s runs under cluster ID %s; planned was %s", m.Name, m.ClusterID, id.PlannedCluster)
	}
	planned, known := id.PlannedMembers[m.Name]
	switch {
	case slices.Contains(id.OldMembers, m.ID):
		j.notes.damaged(claimIdentity, Finding{Kind: StaleID, Member: m.Name}, "member %s has the ID %s of an old member", m.Name, m.ID)
	case !known:
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name}, "member %s, with ID %s, was not planned", m.Name, m.ID)
	case m.ID != planned:
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name}, "member %s has ID %s; planned was %s", m.Name, m.ID, planned)
	}
}

func (j *judge) checkKept(m Member) {
	id := j.ev.Identity
	if m.ClusterID != id.OldCluster {
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name},
			"member %s runs under cluster ID %s; the route keeps the old cluster, which is %s", m.Name, m.ClusterID, id.OldCluster)
	}
	added, isNew := id.PlannedMembers[m.Name]
	switch {
	case isNew && slices.Contains(id.OldMembers, m.ID):
		j.notes.damaged(claimIdentity, Finding{Kind: StaleID, Member: m.Name},
			"member %s was added anew and has the ID %s of an old member", m.Name, m.ID)
	case isNew && m.ID != added:
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name},
			"member %s has ID %s; it was added as %s", m.Name, m.ID, added)
	case !isNew && !slices.Contains(id.OldMembers, m.ID):
		j.notes.damaged(claimIdentity, Finding{Kind: WrongID, Member: m.Name},
			"member %s has ID %s, which no old member had; the route keeps the old members", m.Name, m.ID)
	}
}
