package verify

import (
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// maxResurrectedKeys bounds Loss.ResurrectedKeys.
const maxResurrectedKeys = 100

// checkLoss measures what the recovery cost: acknowledged writes above the restore point. Resurrected keys are added when
// the keyspace is read.
func (j *judge) checkLoss() error {
	var earliest time.Time
	for e, err := range j.book.lost {
		if err != nil {
			return err
		}
		j.loss.Writes++
		if earliest.IsZero() || e.Return.Before(earliest) {
			earliest = e.Return // writes overlap: the lowest revision need not have returned first
		}
		if err := j.reportLost(e); err != nil {
			return err
		}
	}
	if j.loss.Writes > 0 {
		j.lostBy = earliest.UnixNano()
	}
	j.loss.Revisions = max(j.book.highest-j.ref.revision, 0)
	if j.loss.Writes > 0 && !j.ev.Outage.SignalAt.IsZero() {
		j.loss.Window = max(j.ev.Outage.SignalAt.Sub(earliest), 0)
	}
	if j.ev.Demands.LostWrites && j.loss.Writes == 0 {
		j.notes.doubted(claimNone, Finding{Kind: TooLittle, Revision: j.ref.revision},
			"no acknowledged write is above revision %d: the route loses writes and the drill demands that it did", j.ref.revision)
	}
	if j.ev.Demands.Unflushed && j.loss.Writes == 0 {
		j.notes.hazard("that no acknowledged write is lost is luck: %s is the database of a member that was killed, which lacks "+
			"what the member had not written to it yet, and this one had written everything", j.ref.name())
	}
	return nil
}

func (j *judge) reportLost(e ledger.Entry) error {
	if j.ev.Demands.NoLoss {
		f := Finding{Kind: Lost, Revision: e.Revision}
		if changes := effects(e.Changes); len(changes) > 0 {
			f.Key = changes[0].Key
		}
		j.notes.damaged(claimPrefix, f, "%s %d of worker %d was acknowledged at revision %d; %s ends at %d, and the route must lose nothing",
			e.Op, e.Seq, e.Worker, e.Revision, j.ref.name(), j.ref.revision)
	}
	if j.out.Lost == nil {
		return nil
	}
	return j.out.Lost(e)
}

// resurrected notes a key that is present because its delete was lost.
func (j *judge) resurrected(key ledger.Key) {
	j.loss.Resurrected++
	if len(j.loss.ResurrectedKeys) < maxResurrectedKeys {
		j.loss.ResurrectedKeys = append(j.loss.ResurrectedKeys, key)
	}
}
