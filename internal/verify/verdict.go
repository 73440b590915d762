package verify

import (
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Outcome is a verdict in one word.
type Outcome string

// The outcomes. Nothing compared is Inconclusive, never Intact.
const (
	Intact       Outcome = "intact"
	Damaged      Outcome = "damaged"
	Inconclusive Outcome = "inconclusive"
)

// Kind classifies a Finding.
type Kind string

// The kinds of damage to data.
const (
	Missing   Kind = "missing"   // an acknowledged put at or below R is not there
	Changed   Kind = "changed"   // there, but not as it was written
	Undeleted Kind = "undeleted" // an acknowledged delete at or below R is not there
	Phantom   Kind = "phantom"   // nobody wrote it
	Torn      Kind = "torn"      // part of a transaction
	Lost      Kind = "lost"      // acknowledged, above R, on a route that must lose nothing
	Diverged  Kind = "diverged"  // a member shows other data than the source or another member
	Stray     Kind = "stray"     // a lease, user, role, alarm or listed member that must not be there
)

// The other kinds: identity, fence, life of the new cluster, and what makes a drill inconclusive.
const (
	StaleID     Kind = "stale-id"
	WrongID     Kind = "wrong-id"
	MixedSource Kind = "mixed-source"
	Unfenced    Kind = "unfenced"
	Rewound     Kind = "rewound"      // the new cluster begins at a revision that clients of the lost one have seen
	Uncompacted Kind = "uncompacted"  // a member answers for revisions that a bump took away
	BadSource   Kind = "bad-source"   // the source is damaged, so that nothing was restored from it
	OtherBackup Kind = "other-backup" // the source is not the one that its manifest describes
	Deaf        Kind = "deaf"         // a bump did not cancel a client's watch, so that it misses changes
	Dead        Kind = "dead"         // the recovered cluster does not take, or does not replicate, a write
	NoDisaster  Kind = "no-disaster"
	NoEvidence  Kind = "no-evidence"
	TooLittle   Kind = "too-little"
)

// Hazard is the kind of what the evidence proves to be dangerous without any disagreement. It changes no verdict.
const Hazard Kind = "hazard"

// Finding is one disagreement between what must be and what the evidence shows.
type Finding struct {
	Kind    Kind    `json:"kind"`
	Outcome Outcome `json:"outcome"` // what this finding makes of the verdict: Damaged or Inconclusive; Intact for a Hazard
	// Member is empty if the finding concerns the source or the whole cluster.
	Member   string     `json:"member,omitempty"`
	Key      ledger.Key `json:"key,omitempty"`
	Revision int64      `json:"revision,omitempty"`
	// Text is a sentence for people: what was expected, what was found.
	Text string `json:"text"`
}

// MaxFindings bounds Verdict.Findings; the others are only counted.
const MaxFindings = 1000

// Verdict is what the evidence proves.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Witness says what vouched for the source; empty for the ledger.
	Witness Witness `json:"witness,omitempty"`
	// Findings holds the first MaxFindings; FindingCount counts all of them.
	Findings     []Finding `json:"findings"`
	FindingCount int       `json:"findingCount"`
	RestorePoint int64     `json:"restorePoint"`
	Loss         Loss      `json:"loss"`
	Tally        Tally     `json:"tally"`
	Compared     Compared  `json:"compared"`
	// Freshness is nil where nobody asked how old the source is.
	Freshness *Freshness `json:"freshness,omitempty"`
	// Hazards are not among the findings.
	Hazards []Finding `json:"hazards,omitempty"`
	// Claims says, one line each, what was proved, sampled, assumed or disproved, or left out and why.
	Claims []Claim `json:"claims"`
}

// Loss is what the recovery cost. It stands beside every verdict.
type Loss struct {
	// Writes counts acknowledged entries that own a revision above R. Revisions is the greatest acknowledged revision minus R,
	// at least 0. Window is from the earliest return of a lost write to the signal that hit the first victim, at least 0.
	Writes    int64         `json:"writes"`
	Revisions int64         `json:"revisions"`
	Window    time.Duration `json:"windowNanoseconds"`
	// Resurrected counts keys that are present only because their delete was lost; ResurrectedKeys names the first 100.
	Resurrected     int64        `json:"resurrected"`
	ResurrectedKeys []ledger.Key `json:"resurrectedKeys,omitempty"`
}

// Tally counts the ledger's entries by outcome. UnknownSeen is how many of the unknown ones turned out to be in the source.
type Tally struct {
	Acknowledged int64 `json:"acknowledged"`
	Refused      int64 `json:"refused"`
	Unknown      int64 `json:"unknown"`
	UnknownSeen  int64 `json:"unknownSeen"`
}

// Compared counts what was held against what, so that a verdict over nothing can be seen.
type Compared struct {
	Revisions int64 `json:"revisions"` // of the source, explained by the ledger if there is one
	Keys      int64 `json:"keys"`      // of the source's keyspace
	Leases    int64 `json:"leases"`    // of the source, or of the first member
	Members   int   `json:"members"`   // whose keyspace and HashKV, and mostly history, were held against the source's
	// Hashed counts further members of which that was done with HashKV alone.
	Hashed int `json:"hashed,omitempty"`
}

// The states of a Claim.
const (
	Proved    = "proved"    // all of it was held against the evidence, and agrees
	Sampled   = "sampled"   // a part of it was, and agrees; the text says which
	Assumed   = "assumed"   // none of it was, and the verdict rests on it
	LeftOut   = "left out"  // it was not to be shown, or could not be; the text says why
	Disproved = "disproved" // something disagrees; the findings say what
)

// Claim is one line of the proof.
type Claim struct {
	// Name is "outage", "prefix", "source", "manifest", "living", "age", "members", "bump", "identity", "fence", "state", "watch" or "canary".
	Name  string `json:"name"`
	State string `json:"state"` // Proved, Sampled, Assumed, LeftOut or Disproved
	Text  string `json:"text"`
}
