package verify

import (
	"fmt"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Output is where Judge puts what is too much for a Verdict, and where it may keep what is too much for memory.
type Output struct {
	// Lost is called for each lost write, in the order of their revisions; nil if nobody wants them.
	Lost func(ledger.Entry) error
	// Scratch makes the files for external sorting; whoever supplies it removes them after Judge returned.
	Scratch ledger.Scratch
}

// Judge weighs the evidence of a drill. The error tells only of evidence that could not be read and of scratch space or an
// output that failed; every disagreement is a Finding.
//
// What the findings make of the verdict: a ledger that is empty or was not ended makes it Inconclusive whatever else was
// found, because every finding on data rests on the ledger. Otherwise one damaging finding makes it Damaged, also where
// the drill tested too little or its disaster was not observed: damage that was seen stays damage. Otherwise one finding
// that something could not be judged makes it Inconclusive. Only then it is Intact.
//
// Memory does not grow with the drill: streams are merged, and sorted outside of memory where they have to be.
func Judge(ev Evidence, out Output) (Verdict, error) {
	j := &judge{ev: ev, out: out, ref: referenceOf(ev), notes: newNotes()}
	book, err := openBook(j.ev.Ledger, j.ref, out.Scratch)
	if err != nil {
		return Verdict{}, fmt.Errorf("judge: %w", err)
	}
	j.book = book
	if !j.bySource() {
		j.checkLedger()
		j.checkOutage()
		j.checkFence()
	}
	j.checkIdentity()
	j.checkManifest()
	j.agreeing = j.checkLiving()
	j.checkFreshness()
	j.checkCanary()
	for _, step := range j.dataSteps() {
		if err := step(); err != nil {
			return Verdict{}, fmt.Errorf("judge: %w", err)
		}
	}
	j.checkMembers()
	j.checkBump()
	j.checkWatches()
	if err := j.checkState(); err != nil {
		return Verdict{}, fmt.Errorf("judge: %w", err)
	}
	j.checkSubstance()
	return j.verdict(), nil
}

// dataSteps returns the checks that read streams, in their order, as far as there is something to read.
func (j *judge) dataSteps() []func() error {
	switch {
	case j.ref == nil:
		return nil
	case !j.ref.complete:
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence, Member: j.ref.member},
			"history or keyspace of %s was not read: there is nothing to hold against the ledger", j.ref.name())
		return []func() error{j.checkLoss}
	case j.bySource() && j.ref.bumped():
		return []func() error{j.checkSource, j.checkKeyspaces}
	case j.bySource():
		return []func() error{j.checkSource, j.checkKeyspaces, j.checkHistories}
	case j.ref.bumped():
		return []func() error{j.checkLoss, j.checkPrefix, j.explainRest, j.checkKeyspaces}
	default:
		return []func() error{j.checkLoss, j.checkPrefix, j.explainRest, j.checkKeyspaces, j.checkHistories}
	}
}

// judge is the state of one judgement.
type judge struct {
	ev    Evidence
	out   Output
	ref   *reference
	book  *book
	notes *notes

	history  *ledger.Sorter[ledger.Record] // the reference's history by key
	byKey    ledger.Stream[ledger.Record]  // what history sorted
	rest     *rest                         // revisions that no acknowledged write explains
	loss     Loss
	lostBy   int64 // when the first lost write returned, in nanoseconds since 1970; 0 if none
	compared Compared
	by       explained
	agreeing int // members of a living cluster whose hash is that of the source
	sides    sideCount
}

// explained counts the revisions of the reference by what explained them.
type explained struct{ acknowledged, unknown, expired int64 }

// reference is what the ledger and all members are held against: the source, or the first member on a route without one.
type reference struct {
	member    string // the member that is the reference; empty for a source
	revision  int64  // R
	shown     int64  // at which members are read: R, or what it was bumped to
	compacted int64  // at least 0
	hashKV    uint32
	complete  bool // history and keyspace were read
	history   ledger.Stream[ledger.Record]
	keyspace  ledger.Stream[ledger.Pair]
}

// name is how sentences speak of the reference.
func (r *reference) name() string {
	if r.member == "" {
		return "the source"
	}
	return "member " + r.member
}

// first is the least revision that the history must hold: etcd's store begins with revision 1, which no write owns.
func (r *reference) first() int64 { return max(r.compacted, 1) + 1 }

// bumped tells whether members begin beyond R, so that they cannot show the history up to it.
func (r *reference) bumped() bool { return r.shown > r.revision }

// referenceOf returns nil if there is neither a source nor a member.
func referenceOf(ev Evidence) *reference {
	var r reference
	switch {
	case ev.Source != nil:
		s := ev.Source
		r = reference{
			revision: s.RestorePoint, shown: max(s.RestorePoint, s.BumpedTo), compacted: max(s.Compacted, 0), hashKV: s.HashKV,
			history: s.History, keyspace: s.Keyspace,
		}
	case len(ev.Reborn) > 0:
		m := ev.Reborn[0]
		r = reference{
			member: m.Name, revision: m.ReadAt, shown: m.ReadAt, hashKV: m.HashKV, history: m.History, keyspace: m.Keyspace,
		}
	default:
		return nil
	}
	r.complete = r.history != nil && r.keyspace != nil
	r.history = inOrder(orEmpty(r.history), byRevision, "history of "+r.name())
	r.keyspace = inOrder(orEmpty(r.keyspace), byKey, "keyspace of "+r.name())
	return &r
}

func orEmpty[T any](stream ledger.Stream[T]) ledger.Stream[T] {
	if stream == nil {
		return func(func(T, error) bool) {}
	}
	return stream
}

// checkLedger holds the ledger's own state against the demands.
func (j *judge) checkLedger() {
	if j.book.unended {
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence},
			"the ledger was not ended cleanly: what it lacks is not known, so nothing can be held against it")
	}
	if j.book.entries == 0 {
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence}, "the ledger is empty: there is nothing to hold anything against")
	}
	if j.ev.Demands.UnknownEntries && j.book.tally.Unknown == 0 {
		j.notes.doubted(claimNone, Finding{Kind: TooLittle},
			"no write was in flight when the disaster struck: the ledger holds no unknown outcome, which the drill demands")
	}
}

// checkSubstance makes a verdict over nothing inconclusive.
func (j *judge) checkSubstance() {
	if j.bySource() {
		j.checkSourceSubstance()
		return
	}
	if j.compared.Revisions == 0 {
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence}, "no revision was explained by the ledger: nothing was compared")
	}
	if j.compared.Keys == 0 {
		j.notes.doubted(claimPrefix, Finding{Kind: NoEvidence}, "no key was compared: the keyspace is empty")
	}
	if j.compared.Members == 0 {
		j.notes.doubted(claimMembers, Finding{Kind: NoEvidence}, "no member of the recovered cluster was compared")
	}
}

func (j *judge) verdict() Verdict {
	v := Verdict{
		Outcome:      j.outcome(),
		Witness:      j.ev.Witness,
		Freshness:    j.ev.Freshness,
		Findings:     j.notes.findings,
		FindingCount: j.notes.count,
		Loss:         j.loss,
		Tally:        j.book.tally,
		Compared:     j.compared,
		Hazards:      j.notes.hazards,
		Claims:       j.claims(),
	}
	v.Tally.UnknownSeen, v.Compared.Leases = j.by.unknown, j.sides.leases
	if j.ref != nil {
		v.RestorePoint = j.ref.revision
	}
	return v
}

// outcome applies the rule that Judge documents.
func (j *judge) outcome() Outcome {
	switch {
	case !j.bySource() && !j.book.usable():
		return Inconclusive
	case j.notes.has(Damaged):
		return Damaged
	case j.notes.has(Inconclusive):
		return Inconclusive
	default:
		return Intact
	}
}
