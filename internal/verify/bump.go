package verify

import "fmt"

// checkBump holds a bump against its promise: revisions never go back, and whoever asks for one that was never written is
// told.
func (j *judge) checkBump() {
	if j.ref == nil || !j.ref.bumped() {
		return
	}
	j.checkMonotonic()
	for _, m := range j.ev.Reborn {
		j.checkGap(m)
	}
}

// checkMonotonic demands that a watch which resumes behind the last revision that a client may have seen is refused. etcd
// refuses one below the compaction point, and not one that begins there (server/storage/mvcc/watcher_group.go, chooseAll).
func (j *judge) checkMonotonic() {
	seen := j.book.highest
	f := Finding{Kind: Rewound, Revision: seen}
	switch {
	case seen >= j.ref.shown:
		j.notes.damaged(claimBump, f, "revision %d was acknowledged by the lost cluster; the members begin at %d and give it a second time: "+
			"the bump is too small", seen, j.ref.shown)
	case seen+1 == j.ref.shown:
		j.notes.damaged(claimBump, f, "revision %d was acknowledged by the lost cluster; a watch that resumes at %d is not refused, because "+
			"the members begin there: the bump is too small by one", seen, seen+1)
	}
}

func (j *judge) checkGap(m Member) {
	f := Finding{Kind: Uncompacted, Member: m.Name}
	if m.Gap == nil || len(m.Gap.Asked) == 0 || m.Gap.WatchFrom == 0 {
		f.Kind = NoEvidence
		j.notes.doubted(claimBump, f, "member %s was not asked for what lies below revision %d", m.Name, j.ref.shown)
		return
	}
	for _, rev := range m.Gap.Answered {
		f.Revision = rev
		j.notes.damaged(claimBump, f, "member %s answers a read at revision %d, which must be compacted up to %d", m.Name, rev, j.ref.shown)
	}
	if m.Gap.WatchCompacted != j.ref.shown {
		f.Revision = m.Gap.WatchFrom
		j.notes.damaged(claimBump, f, "member %s cancels a watch from revision %d with the compaction point %d (0 if not at all) instead of %d",
			m.Name, m.Gap.WatchFrom, m.Gap.WatchCompacted, j.ref.shown)
	}
}

func (j *judge) bumpClaim() Claim {
	refusing := 0
	var asked []int64
	for _, m := range j.ev.Reborn {
		if m.Gap != nil && len(m.Gap.Answered) == 0 && m.Gap.WatchCompacted == j.ref.shown {
			refusing++
			asked = m.Gap.Asked
		}
	}
	last := fmt.Sprintf("the last acknowledged one was %d", j.book.highest)
	if j.bySource() {
		last = "which revision its clients saw last is not known"
	}
	return j.notes.claim(claimBump, fmt.Sprintf("begins at revision %d, %d beyond the source; %s; "+
		"%d/%d members refuse reads at %v and cancel a watch there as compacted", j.ref.shown, j.ref.shown-j.ref.revision,
		last, refusing, j.ev.Members, asked))
}
