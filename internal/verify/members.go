package verify

import (
	"fmt"
	"slices"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// keyView is one key as the reference and a member show it.
type keyView struct {
	known     *ledger.Record // the last record of the reference's history
	want, got *ledger.Pair
}

// checkMemberKey holds one key of a member's keyspace against the reference's.
func (j *judge) checkMemberKey(member string, key ledger.Key, v keyView) {
	f := Finding{Member: member, Key: key}
	switch {
	case v.want == nil && v.got == nil:
	case v.got == nil:
		f.Kind, f.Revision = Missing, v.want.Mod
		j.notes.damaged(claimMembers, f, "member %s does not have %q, which %s has since revision %d", member, key, j.ref.name(), v.want.Mod)
	case v.want != nil:
		if difference := differ(*v.want, *v.got); difference != "" {
			f.Kind, f.Revision = Changed, v.want.Mod
			j.notes.damaged(claimMembers, f, "member %s has %q otherwise than %s: %s", member, key, j.ref.name(), difference)
		}
	case v.known != nil && v.known.Delete:
		f.Kind, f.Revision = Undeleted, v.known.Rev
		j.notes.damaged(claimMembers, f, "member %s has %q, which revision %d deleted", member, key, v.known.Rev)
	default:
		f.Kind, f.Revision = Phantom, v.got.Mod
		j.notes.damaged(claimMembers, f, "member %s has %q, modified at revision %d; %s does not have it", member, key, v.got.Mod, j.ref.name())
	}
}

// checkHistories holds the history of every member against the reference's, in one walk over all of them.
func (j *judge) checkHistories() error {
	var names []string
	var cursors []*cursor[group]
	defer func() {
		for _, c := range cursors {
			c.stop()
		}
	}()
	for _, m := range j.ev.Reborn {
		if m.Name != j.ref.member && m.History != nil && !m.SameHistory {
			names = append(names, m.Name)
			cursors = append(cursors, read(groups(inOrder(m.History, byRevision, "history of member "+m.Name), j.ref.compacted)))
		}
	}
	if len(cursors) == 0 {
		return nil
	}
	for g, err := range groups(j.ref.history, j.ref.compacted) {
		if err != nil {
			return err
		}
		for i, c := range cursors {
			j.surplus(names[i], c, g.Rev)
			var shown group
			if c.ok && c.head.Rev == g.Rev {
				shown = c.take()
			}
			j.checkMemberRevision(names[i], g, shown)
		}
	}
	for i, c := range cursors {
		for c.ok {
			j.phantomsOf(names[i], c.take())
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// surplus reports what a member shows below a revision and the reference does not have.
func (j *judge) surplus(member string, c *cursor[group], end int64) {
	for c.ok && c.head.Rev < end {
		j.phantomsOf(member, c.take())
	}
}

func (j *judge) phantomsOf(member string, g group) {
	for _, r := range g.Records {
		j.phantomOf(member, r)
	}
}

func (j *judge) phantomOf(member string, r ledger.Record) {
	j.notes.damaged(claimMembers, Finding{Kind: Phantom, Member: member, Key: r.Key, Revision: r.Rev},
		"member %s shows a change of %q at revision %d, which %s does not have", member, r.Key, r.Rev, j.ref.name())
}

// checkMemberRevision compares one revision; shown is empty if the member does not have it.
func (j *judge) checkMemberRevision(member string, want, shown group) {
	if slices.Equal(want.Records, shown.Records) {
		return
	}
	wanted, got := sortedByKey(want.Records), sortedByKey(shown.Records)
	changes := asChanges(wanted)
	shared := overlap(changes, got)
	at := 0
	pair(changes, got, func(c *ledger.Change, r *ledger.Record) {
		if c == nil {
			j.phantomOf(member, *r)
			return
		}
		w := wanted[at]
		at++
		f := Finding{Kind: Missing, Member: member, Key: w.Key, Revision: w.Rev}
		switch {
		case r == nil && shared > 0:
			f.Kind = Torn
			j.notes.damaged(claimMembers, f, "member %s shows revision %d without its change of %q", member, w.Rev, w.Key)
		case r == nil && w.Delete:
			f.Kind = Undeleted
			j.notes.damaged(claimMembers, f, "member %s does not show the delete of %q at revision %d", member, w.Key, w.Rev)
		case r == nil:
			j.notes.damaged(claimMembers, f, "member %s does not show the put of %q at revision %d", member, w.Key, w.Rev)
		case w.Delete && !r.Delete:
			f.Kind = Undeleted
			j.notes.damaged(claimMembers, f, "member %s shows a put of %q at revision %d, which is a delete", member, w.Key, w.Rev)
		case !w.Delete && r.Delete:
			j.notes.damaged(claimMembers, f, "member %s shows a delete of %q at revision %d, which is a put", member, w.Key, w.Rev)
		case w != *r:
			f.Kind = Changed
			j.notes.damaged(claimMembers, f, "member %s shows %q at revision %d otherwise than %s: %s",
				member, w.Key, w.Rev, j.ref.name(), differRecord(w, *r))
		}
	})
}

func differRecord(want, got ledger.Record) string {
	if want.Mod == got.Mod {
		if difference := differ(pairOf(want), pairOf(got)); difference != "" {
			return difference
		}
		return fmt.Sprintf("position %d instead of %d in its transaction", got.Sub, want.Sub)
	}
	return fmt.Sprintf("mod revision %d instead of %d", got.Mod, want.Mod)
}

// checkMembers holds against the reference what a member says of itself: hash, revision, and the file it came from.
func (j *judge) checkMembers() {
	if len(j.ev.Reborn) != j.ev.Members || j.ev.Members == 0 {
		j.notes.doubted(claimMembers, Finding{Kind: NoEvidence},
			"%d of %d members of the recovered cluster show what they hold", len(j.ev.Reborn), j.ev.Members)
	}
	for _, m := range j.ev.Reborn {
		j.checkMemberEvidence(m)
		if m.HashKV != j.ref.hashKV {
			j.notes.damaged(claimMembers, Finding{Kind: Diverged, Member: m.Name, Revision: j.ref.shown},
				"member %s gives HashKV %d for revision %d; %s has %d", m.Name, m.HashKV, j.ref.shown, j.ref.name(), j.ref.hashKV)
		}
		// Nobody waits for members of a backup to come to rest: its leases expire meanwhile, each with a revision of its own.
		if first := j.ev.Reborn[0]; m.Revision != first.Revision && !j.bySource() {
			j.notes.damaged(claimMembers, Finding{Kind: Diverged, Member: m.Name, Revision: m.Revision},
				"member %s came to rest at revision %d, member %s at %d", m.Name, m.Revision, first.Name, first.Revision)
		}
		if m.Revision < j.ref.shown {
			j.notes.damaged(claimMembers, Finding{Kind: Diverged, Member: m.Name, Revision: m.Revision},
				"member %s is at revision %d, below the one that it must begin with, %d", m.Name, m.Revision, j.ref.shown)
		}
		j.checkOrigin(m)
	}
}

// checkMemberEvidence counts a member as compared if all of it could be.
func (j *judge) checkMemberEvidence(m Member) {
	f := Finding{Kind: NoEvidence, Member: m.Name}
	switch {
	case m.Extent == HashOnly && m.ReadAt == j.ref.shown:
		j.compared.Hashed++
	case m.History == nil && m.Extent == Everything && !j.ref.bumped():
		j.notes.doubted(claimMembers, f, "the history of member %s was not read", m.Name)
	case m.Keyspace == nil:
		j.notes.doubted(claimMembers, f, "the keyspace of member %s was not read", m.Name)
	case m.ReadAt != j.ref.shown:
		j.notes.doubted(claimMembers, f, "the keyspace of member %s was read at revision %d instead of %d, so it was not compared",
			m.Name, m.ReadAt, j.ref.shown)
	default:
		j.compared.Members++
	}
}

// checkOrigin demands that every member was restored from the same file: members of different ones diverge silently. One that
// joined got its data from the others.
func (j *judge) checkOrigin(m Member) {
	if j.ev.Source == nil || m.Joined {
		return
	}
	want := j.ev.Source.SHA256
	switch {
	case want == "" || m.SourceSHA256 == "":
		j.notes.doubted(claimMembers, Finding{Kind: NoEvidence, Member: m.Name},
			"it is not known whether member %s was restored from the source: a file's digest was not taken", m.Name)
	case m.SourceSHA256 != want:
		j.notes.damaged(claimMembers, Finding{Kind: MixedSource, Member: m.Name},
			"member %s was restored from a file with SHA-256 %s, not from the source with %s", m.Name, m.SourceSHA256, want)
	}
}
