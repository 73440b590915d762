package verify

import (
	"cmp"
	"slices"
	"time"
)

// outageObserved is how long survivors must have been without a leader: killing only the leader of three makes
// linearizable reads fail for up to 1.5 s, so a shorter window proves nothing.
const outageObserved = 3 * time.Second

// checkOutage demands that the disaster was observed. Where nobody survives there is nothing to watch over time: then the
// exits were seen.
func (j *judge) checkOutage() {
	if !j.ev.Demands.QuorumLoss {
		return
	}
	o := j.ev.Outage
	switch {
	case !o.QuorumLost:
		j.notes.doubted(claimOutage, Finding{Kind: NoDisaster}, "the loss of quorum was not proved: %s", cmp.Or(o.Reason, "no reason was given"))
	case len(o.Survivors) > 0 && o.Observed < outageObserved:
		j.notes.doubted(claimOutage, Finding{Kind: NoDisaster},
			"the loss of quorum was watched for %s only; less than %s may be a mere election", o.Observed, outageObserved)
	}
}

// checkCanary demands that the recovered cluster lives: it took a write above the restore point and every member has it.
func (j *judge) checkCanary() {
	c := j.ev.Canary
	f := Finding{Kind: Dead, Key: c.Key, Revision: c.Revision}
	if !c.Acknowledged {
		j.notes.damaged(claimCanary, f, "the recovered cluster did not acknowledge a write of %q", c.Key)
		return
	}
	if j.ref != nil && c.Revision <= j.ref.revision {
		j.notes.damaged(claimCanary, f, "the recovered cluster gave a new write the revision %d, which is not above the restore point %d",
			c.Revision, j.ref.revision)
	}
	for _, m := range j.ev.Reborn {
		if !slices.Contains(c.SeenBy, m.Name) {
			f.Member = m.Name
			j.notes.damaged(claimCanary, f, "member %s does not show the new write of %q", m.Name, c.Key)
		}
	}
	if f.Member == "" && len(c.SeenBy) < j.ev.Members {
		j.notes.damaged(claimCanary, f, "%d of %d members show the new write of %q", len(c.SeenBy), j.ev.Members, c.Key)
	}
}
