package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

func byLease(a, b ledger.Lease) int { return cmp.Compare(a.ID, b.ID) }

// checkLeases compares the leases of a member with those that it must have. A restore starts a lease anew, with what was
// granted (server/lease/lessor.go, Promote), so that one may be gone only if the whole of it has passed since.
func (j *judge) checkLeases(want *side, m Member) error {
	wanted := read(inOrder(orEmpty(want.leases), byLease, "leases of "+want.name))
	shown := read(inOrder(orEmpty(m.Leases), byLease, "leases of member "+m.Name))
	defer wanted.stop()
	defer shown.stop()
	first := j.sides.members == 0
	for wanted.ok || shown.ok {
		var a, b *ledger.Lease
		order := cmp.Compare(wanted.head.ID, shown.head.ID)
		if wanted.ok && (!shown.ok || order <= 0) {
			head := wanted.head
			a = &head
		}
		if shown.ok && (!wanted.ok || order >= 0) {
			head := shown.head
			b = &head
		}
		if a != nil {
			wanted.advance()
			if first {
				j.sides.leases++
				j.sides.keys += int64(len(a.Keys))
			}
		}
		if b != nil {
			shown.advance()
		}
		j.checkLease(want, m, a, b)
	}
	return cmp.Or(wanted.err, shown.err)
}

// checkLease compares one lease; nil stands for the side that does not have it.
func (j *judge) checkLease(want *side, m Member, a, b *ledger.Lease) {
	note := j.noteState(m)
	switch {
	case a != nil && a.TTL == 0:
		j.checkOrphans(want, *a)
	case b == nil && mayHaveExpired(*a, m.Age):
		j.sides.expired++
	case b == nil:
		note(Missing, "does not have lease %s of %s, granted for %d s", leaseID(a.ID), want.name, a.TTL)
	case a == nil && want.member != "" && mayHaveExpired(*b, m.Age):
	case a == nil:
		note(Stray, "has lease %s, which %s does not have", leaseID(b.ID), want.name)
	case b.TTL != a.TTL:
		note(Changed, "has lease %s granted for %d s; %s has it for %d s", leaseID(a.ID), b.TTL, want.name, a.TTL)
	case b.Left > b.TTL:
		note(Changed, "says that lease %s, granted for %d s, goes on for %d s", leaseID(a.ID), b.TTL, b.Left)
	default:
		j.checkAttached(want, m, *a, *b)
	}
}

// checkOrphans reports keys whose lease the source does not hold, which a State tells by a lease without a TTL. etcd deletes
// a lease and its keys in one transaction (server/lease/lessor.go, Revoke), so there are none in sound data.
func (j *judge) checkOrphans(want *side, a ledger.Lease) {
	if len(a.Keys) == 0 {
		return
	}
	j.notes.damaged(claimState, Finding{Kind: Missing, Key: a.Keys[0]},
		"%s does not hold lease %s, to which %q and %d other keys are attached: nothing will expire them",
		want.name, leaseID(a.ID), a.Keys[0], len(a.Keys)-1)
}

func (j *judge) checkAttached(want *side, m Member, a, b ledger.Lease) {
	match(a.Keys, b.Keys, func(a, b ledger.Key) int { return cmp.Compare(a, b) }, func(left, right *ledger.Key) {
		switch {
		case right == nil:
			j.notes.damaged(claimState, Finding{Kind: Missing, Member: m.Name, Key: *left},
				"member %s does not have %q attached to lease %s, as %s has", m.Name, *left, leaseID(a.ID), want.name)
		case left == nil:
			j.notes.damaged(claimState, Finding{Kind: Stray, Member: m.Name, Key: *right},
				"member %s has %q attached to lease %s; %s has not", m.Name, *right, leaseID(a.ID), want.name)
		}
	})
}

// mayHaveExpired tells whether the whole of a lease, or what was checkpointed of it, fits into the time for which the member
// can have counted.
func mayHaveExpired(l ledger.Lease, age time.Duration) bool {
	counts := l.TTL
	if l.Left > 0 {
		counts = min(counts, l.Left)
	}
	return time.Duration(counts)*time.Second <= age
}

// checkGrants demands, where nothing that was acknowledged may be lost, that every lease of the ledger is there.
func (j *judge) checkGrants(want *side) error {
	if !j.ev.Demands.NoLoss || want.member == "" {
		return nil
	}
	at := slices.IndexFunc(j.ev.Reborn, func(m Member) bool { return m.Name == want.member })
	age := j.ev.Reborn[at].Age
	held := read(inOrder(orEmpty(want.leases), byLease, "leases of "+want.name))
	defer held.stop()
	for g, err := range orEmpty(j.book.grants) {
		if err != nil {
			return err
		}
		for held.ok && held.head.ID < g.Lease {
			held.advance()
		}
		there := held.ok && held.head.ID == g.Lease
		if !there && g.Acknowledged && !mayHaveExpired(ledger.Lease{TTL: g.TTL}, age) {
			j.notes.damaged(claimState, Finding{Kind: Missing, Member: want.member},
				"%s does not have lease %s, whose grant for %d s was acknowledged", want.name, leaseID(g.Lease), g.TTL)
		}
	}
	return held.err
}

// leaseID prints an ID as etcdctl does.
func leaseID(id int64) string { return fmt.Sprintf("%016x", uint64(id)) }
