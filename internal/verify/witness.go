package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Witness says what vouches for the data that members are held against.
type Witness string

const (
	// ByLedger is the ordinary drill: every write was written down beside the cluster.
	ByLedger Witness = ""
	// BySource is the drill of a backup of which nothing is known but itself. It can be proved that the members hold what it holds,
	// and that it does not contradict itself; not which writes its cluster had acknowledged. There was no disaster and there is no
	// old member to be fenced.
	BySource Witness = "source"
)

// Manifest tells how a backup was held against what was written down of it when it was made.
type Manifest struct {
	Path string    `json:"path"`
	Made time.Time `json:"made"`
	// Differences says, a sentence each, where the backup is not the one that the manifest describes.
	Differences []string `json:"differences,omitempty"`
}

// Freshness is a time that somebody writes under a key of the cluster again and again, as the backup holds it.
type Freshness struct {
	Key ledger.Key `json:"key"`
	At  time.Time  `json:"at,omitzero"`
	// Age is from At to the beginning of the drill: what would be lost if the disaster were now.
	Age time.Duration `json:"ageNanoseconds"`
	// Fault says why At is not known; empty if it is.
	Fault string `json:"fault,omitempty"`
}

// Said is the HashKV that one member of a living cluster gave for the restore point of a snapshot of that cluster.
type Said struct {
	Member string `json:"member"`
	HashKV uint32 `json:"hashKV"`
	From   int64  `json:"from"`            // the compaction revision above which it was computed; 0 or less for none
	Fault  string `json:"fault,omitempty"` // why there is none
}

// Refuse is the verdict on a backup that was not restored, for this reason: BadSource or OtherBackup.
func Refuse(kind Kind, reason string) Verdict {
	disproved := claimSource
	if kind == OtherBackup {
		disproved = claimManifest
	}
	return Verdict{
		Outcome: Damaged, Witness: BySource, FindingCount: 1,
		Findings: []Finding{{Kind: kind, Outcome: Damaged, Text: reason}},
		Claims: []Claim{
			{Name: disproved, State: Disproved, Text: reason},
			{Name: claimMembers, State: LeftOut, Text: "nothing was restored"},
		},
	}
}

func (j *judge) bySource() bool { return j.ev.Witness == BySource }

// checkSource demands that the source does not contradict itself: every revision above the compaction point is there, and the
// records of each are numbered without gaps. That its keys are what its history comes to is checked with the keyspaces.
func (j *judge) checkSource() error {
	j.history = ledger.NewSorter(byKeyAndRevision, j.out.Scratch)
	due := j.ref.first()
	for g, err := range groups(j.ref.history, j.ref.compacted) {
		if err != nil {
			return err
		}
		for _, r := range g.Records {
			if err := j.history.Add(r); err != nil {
				return err
			}
		}
		j.unclaimed(due, min(g.Rev, j.ref.revision+1))
		due = max(due, g.Rev+1)
		switch {
		case g.Rev > j.ref.revision:
			j.phantoms(g.Rev, g.Records, "which is above the restore point %d", j.ref.revision)
		case hasGap(g.Records):
			j.notes.damaged(claimPrefix, Finding{Kind: Torn, Key: g.Records[0].Key, Revision: g.Rev},
				"the records of revision %d of %s are not numbered from 0 without gaps: one is not there any more", g.Rev, j.ref.name())
		default:
			j.compared.Revisions++
		}
	}
	j.unclaimed(due, j.ref.revision+1)
	var err error
	j.byKey, err = j.history.Sorted()
	return err
}

// checkManifest weighs what differs from the manifest. A file of the same digest can differ only if one of the two was not made by
// the tool that is trusted with both.
func (j *judge) checkManifest() {
	if m := j.ev.Manifest; m != nil && len(m.Differences) > 0 {
		j.notes.damaged(claimManifest, Finding{Kind: OtherBackup}, "the backup is not the one that manifest %s describes: %s",
			m.Path, strings.Join(m.Differences, "; "))
	}
}

// checkLiving demands that the members of the living cluster hold what the snapshot of one of them holds. Hashes above different
// compaction points cannot be compared.
func (j *judge) checkLiving() (agreeing int) {
	if j.ref == nil || j.ref.bumped() {
		return 0
	}
	for _, s := range j.ev.Living {
		switch {
		case s.Fault != "" || max(s.From, 0) != max(j.ev.Source.HashFrom, 0):
		case s.HashKV != j.ref.hashKV:
			j.notes.damaged(claimLiving, Finding{Kind: Diverged, Member: s.Member, Revision: j.ref.revision},
				"member %s of the living cluster gives HashKV %d for revision %d, the snapshot has %d: "+
					"the members of that cluster do not hold the same",
				s.Member, s.HashKV, j.ref.revision, j.ref.hashKV)
		default:
			agreeing++
		}
	}
	return agreeing
}

func (j *judge) livingClaim() Claim {
	text := fmt.Sprintf("%d/%d members of the living cluster give the HashKV of the snapshot", j.agreeing, len(j.ev.Living))
	for _, s := range j.ev.Living {
		switch {
		case s.Fault != "":
			text += fmt.Sprintf("; %s gives none: %s", s.Member, s.Fault)
		case max(s.From, 0) != max(j.ev.Source.HashFrom, 0):
			text += fmt.Sprintf("; that of %s is above another compaction point, %d, and cannot be compared", s.Member, s.From)
		}
	}
	c := j.notes.claim(claimLiving, text)
	switch {
	case c.State != Proved || j.agreeing > 0:
	case j.ref != nil && j.ref.bumped():
		c.State, c.Text = LeftOut, "the hash of the source is of a bumped revision, which no member of the living cluster has"
	default:
		c.State = LeftOut
	}
	return c
}

// checkFreshness makes a drill that was asked how old its backup is, and could not tell, inconclusive.
func (j *judge) checkFreshness() {
	f := j.ev.Freshness
	switch {
	case f == nil:
	case f.Fault != "":
		j.notes.doubted(claimFreshness, Finding{Kind: NoEvidence, Key: f.Key},
			"how old the backup is could not be told from %q: %s", f.Key, f.Fault)
	case f.Age < -clockTolerance:
		j.notes.doubted(claimFreshness, Finding{Kind: NoEvidence, Key: f.Key},
			"%q of the backup holds %s, which is %s from now: the clocks do not agree", f.Key, f.At.Format(time.RFC3339), -f.Age)
	}
}

// clockTolerance is how far the clock of whoever writes the time may be ahead of this machine's.
const clockTolerance = time.Minute

// checkSourceSubstance makes a verdict over nothing inconclusive where there is no ledger.
func (j *judge) checkSourceSubstance() {
	if j.compared.Keys == 0 {
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence},
			"the keyspace of the backup is empty: there is no key whose return could be proved")
	}
	if j.compared.Members == 0 {
		j.notes.doubted(claimMembers, Finding{Kind: NoEvidence}, "no member of the restored cluster was compared")
	}
}

// sourceClaims are those of a drill without a ledger, up to the members'.
func (j *judge) sourceClaims() []Claim {
	claims := []Claim{
		{Name: claimOutage, State: LeftOut, Text: "no cluster was lost: the backup alone is drilled"},
		{
			Name: claimPrefix, State: LeftOut,
			Text: "which writes its cluster had acknowledged nobody wrote down; what was written after the backup is not known",
		},
		j.sourceClaim(),
	}
	if m := j.ev.Manifest; m != nil {
		claims = append(claims, j.notes.claim(claimManifest,
			fmt.Sprintf("the backup is the one of which manifest %s was made at %s", m.Path, m.Made.Format(time.RFC3339))))
	}
	if j.ev.Living != nil {
		claims = append(claims, j.livingClaim())
	}
	if f := j.ev.Freshness; f != nil {
		age := max(f.Age, 0).Round(time.Second)
		claims = append(claims, j.notes.claim(claimFreshness,
			fmt.Sprintf("%q of the backup was written at %s, %s before the drill", f.Key, f.At.Format(time.RFC3339), age)))
	}
	return claims
}

func (j *judge) sourceClaim() Claim {
	text := fmt.Sprintf("%d keys, and %d revisions without a gap", j.compared.Keys, j.compared.Revisions)
	if j.ref != nil && j.ref.compacted > 0 {
		text += fmt.Sprintf(" above the compaction point %d", j.ref.compacted)
	}
	c := j.notes.claim(claimPrefix, text+"; the keys are what the history comes to")
	if c.State == Disproved {
		c.Text = "the backup contradicts itself: see the findings"
	}
	c.Name = claimSource
	return c
}
