package drill

import (
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// The names under which other modules reach what a drill takes and returns. The packages that define them are internal.
type (
	// Profile names a mixture of writes; see StartLoad.
	Profile = load.Profile
	// Verdict is what the evidence of a drill proves.
	Verdict = verify.Verdict
	// Outcome is a verdict in one word.
	Outcome = verify.Outcome
	// Finding is one disagreement between what must be and what the evidence shows.
	Finding = verify.Finding
	// FindingKind classifies a Finding.
	FindingKind = verify.Kind
	// Claim is one line of the proof.
	Claim = verify.Claim
	// Goals are what is demanded of a recovery.
	Goals = report.Goals
	// Report is what Rehearse tells about a drill.
	Report = report.Report
	// Benchmark is what Bench measured.
	Benchmark = bench.Run
	// BenchData says what the databases of a benchmark hold.
	BenchData = bench.Data
)

// The profiles of a load.
const (
	Mixed = load.Mixed // puts, overwrites, deletes, transactions, leases
	Puts  = load.Puts  // only puts of keys that were never put before
)

// The outcomes of a verdict.
const (
	Intact       = verify.Intact
	Damaged      = verify.Damaged
	Inconclusive = verify.Inconclusive
)

// The kinds of findings: of data, of identity and life, and of the drill itself.
const (
	Missing   = verify.Missing
	Changed   = verify.Changed
	Undeleted = verify.Undeleted
	Phantom   = verify.Phantom
	Torn      = verify.Torn
	Lost      = verify.Lost
	Diverged  = verify.Diverged
	Stray     = verify.Stray

	StaleID     = verify.StaleID
	WrongID     = verify.WrongID
	MixedSource = verify.MixedSource
	Unfenced    = verify.Unfenced
	Rewound     = verify.Rewound
	Uncompacted = verify.Uncompacted
	Deaf        = verify.Deaf
	Dead        = verify.Dead

	BadSource   = verify.BadSource
	OtherBackup = verify.OtherBackup

	NoDisaster = verify.NoDisaster
	NoEvidence = verify.NoEvidence
	TooLittle  = verify.TooLittle
)

// Hazard is the kind of what is dangerous and no disagreement; it is in a verdict's Hazards only.
const Hazard = verify.Hazard
