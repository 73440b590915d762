package verify

import (
	"fmt"
	"strings"
)

// claims puts the proof into one line per claim.
func (j *judge) claims() []Claim {
	claims := []Claim{j.outageClaim(), j.prefixClaim()}
	if j.bySource() {
		claims = j.sourceClaims()
	}
	claims = append(claims, j.membersClaim())
	if j.ref != nil && j.ref.bumped() {
		claims = append(claims, j.bumpClaim())
	}
	claims = append(claims, j.identityClaim(), j.fenceClaim(), j.stateClaim())
	if len(j.ev.Watches) > 0 {
		claims = append(claims, j.watchClaim())
	}
	return append(claims, j.canaryClaim())
}

func (j *judge) outageClaim() Claim {
	o := j.ev.Outage
	if !j.ev.Demands.QuorumLoss && !o.QuorumLost {
		return Claim{Name: claimOutage, State: LeftOut, Text: "the drill does not demand a loss of quorum"}
	}
	text := fmt.Sprintf("%s: %s hit, no survivor; every exit was seen", o.Fault, strings.Join(o.Victims, " "))
	if len(o.Survivors) > 0 {
		text = fmt.Sprintf("%s: %s hit; %s without leader, proved for %s",
			o.Fault, strings.Join(o.Victims, " "), strings.Join(o.Survivors, " "), seconds(o.Observed))
	}
	return j.notes.claim(claimOutage, text)
}

func (j *judge) prefixClaim() Claim {
	text := fmt.Sprintf("%d revisions explained: %d by acknowledged writes, %d by unknown ones, %d by expired leases; %d phantom, %d torn",
		j.compared.Revisions, j.by.acknowledged, j.by.unknown, j.by.expired, j.kind(claimPrefix, Phantom), j.kind(claimPrefix, Torn))
	if others := j.notes.damage[claimPrefix] - j.kind(claimPrefix, Phantom) - j.kind(claimPrefix, Torn); others > 0 {
		text += fmt.Sprintf(", %d missing, %d changed, %d undeleted, %d lost", j.kind(claimPrefix, Missing),
			j.kind(claimPrefix, Changed), j.kind(claimPrefix, Undeleted), j.kind(claimPrefix, Lost))
	}
	if j.book.earlier > 0 {
		text += fmt.Sprintf("; %d acknowledged writes at or below the compaction point %d checked by their keys only",
			j.book.earlier, j.ref.compacted)
	}
	if !j.book.usable() { // what was found rests on sand
		return Claim{Name: claimPrefix, State: LeftOut, Text: j.notes.doubt[claimPrefix]}
	}
	return j.notes.claim(claimPrefix, text)
}

func (j *judge) membersClaim() Claim {
	agree := 0
	for _, m := range j.ev.Reborn {
		if _, against := j.notes.against[m.Name]; !against {
			agree++
		}
	}
	if j.ref != nil && j.ref.bumped() {
		return j.notes.claim(claimMembers, fmt.Sprintf("%d/%d members: %d keys and HashKV at revision %d as %s has them; "+
			"what lies below is compacted, so no member can show its history", agree, j.ev.Members, j.compared.Keys, j.ref.shown, j.ref.name()))
	}
	text := fmt.Sprintf("%d/%d members: %d revisions explained, %d phantom, %d torn, ",
		agree, j.ev.Members, j.compared.Revisions, j.kind(claimPrefix, Phantom)+j.kind(claimMembers, Phantom),
		j.kind(claimPrefix, Torn)+j.kind(claimMembers, Torn))
	if j.bySource() {
		text = j.membersOfSource(agree)
	}
	if j.kind(claimMembers, Diverged) == 0 {
		text += "HashKV equal"
	} else {
		text += "HashKV or revision not equal"
	}
	return j.notes.claim(claimMembers, text)
}

// membersOfSource says how much of which members was held against a source that nobody else vouches for.
func (j *judge) membersOfSource(agree int) string {
	keys := 0
	for _, m := range j.ev.Reborn {
		if m.Extent == KeysOnly {
			keys++
		}
	}
	text := fmt.Sprintf("%d/%d members: %d keys and %d revisions as %s has them, ", agree, j.ev.Members,
		j.compared.Keys, j.compared.Revisions, j.ref.name())
	if keys > 0 {
		text = fmt.Sprintf("%d/%d members: %d keys of %d as %s has them, the history by HashKV alone, ", agree, j.ev.Members,
			j.compared.Keys, j.compared.Members, j.ref.name())
	}
	if n := j.compared.Hashed; n > 0 {
		j.notes.sampledOnly(claimMembers)
		text += fmt.Sprintf("of %d others HashKV alone, ", n)
	}
	return text
}

func (j *judge) identityClaim() Claim {
	id := j.ev.Identity
	var text string
	switch {
	case len(j.ev.Reborn) == 0:
	case !id.Fresh:
		text = fmt.Sprintf("cluster %s, the one that was lost, as this route keeps it", j.ev.Reborn[0].ClusterID)
	case j.notes.damage[claimIdentity] > 0:
		text = fmt.Sprintf("cluster %s; planned was %s, old was %s", j.ev.Reborn[0].ClusterID, id.PlannedCluster, id.OldCluster)
	case j.bySource() && len(id.OldMembers) == 0:
		return Claim{Name: claimIdentity, State: Assumed, Text: fmt.Sprintf(
			"new cluster %s, as planned; the backup names no member, so that none of its IDs is an old one rests on its token, which was drawn anew",
			j.ev.Reborn[0].ClusterID)}
	case id.OldCluster == 0:
		text = fmt.Sprintf("new cluster %s, as planned; no member has the ID of one of the %d that the backup names",
			j.ev.Reborn[0].ClusterID, len(id.OldMembers))
	default:
		text = fmt.Sprintf("new cluster %s, as planned; old was %s", j.ev.Reborn[0].ClusterID, id.OldCluster)
	}
	return j.notes.claim(claimIdentity, text)
}

func (j *judge) fenceClaim() Claim {
	f := j.ev.Fence
	if j.bySource() {
		return Claim{Name: claimFence, State: LeftOut, Text: "no old member is here that could come back"}
	}
	if f == nil {
		if j.ev.Identity.Fresh {
			return j.notes.claim(claimFence, "")
		}
		text := "this route keeps the old cluster, so there is nothing to fence"
		if len(j.ev.Identity.PlannedMembers) > 0 {
			text = "no directory of a removed member is left that could come back"
		}
		return Claim{Name: claimFence, State: LeftOut, Text: text}
	}
	if f.Removed {
		return j.notes.claim(claimFence, fmt.Sprintf("old %s came back under the same cluster ID and was told after %s that it is removed",
			f.OldMember, seconds(f.Observed)))
	}
	var text string
	if f.SizeOne {
		text = fmt.Sprintf("old %s came up alone and answers only under the old cluster ID; not fenced from clients", f.OldMember)
	} else {
		refused := 0
		for _, a := range f.Answers {
			if a.ToOldID == foreignID {
				refused++
			}
		}
		text = fmt.Sprintf("old %s refused by %d/%d for %s", f.OldMember, refused, j.ev.Members, seconds(f.Observed))
	}
	if f.SetAside {
		text += "; on a copy of its directory set aside before the wipe"
	}
	return j.notes.claim(claimFence, text)
}

func (j *judge) canaryClaim() Claim {
	c := j.ev.Canary
	return j.notes.claim(claimCanary, fmt.Sprintf("first write acknowledged at revision %d, seen by %d/%d members",
		c.Revision, len(c.SeenBy), j.ev.Members))
}

func (j *judge) kind(claim string, kind Kind) int { return j.notes.kinds[kindOfClaim{claim, kind}] }

func seconds(d interface{ Seconds() float64 }) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
