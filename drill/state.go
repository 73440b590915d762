package drill

import (
	"context"
	"sync"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// readStateWithin bounds the reading of all states, which needs a leader.
const readStateWithin = 2 * time.Minute

// readStates adds what each member holds beside its keys; since is when leases can have begun to run, at the earliest. Some of
// the questions go through raft, so they are asked when no old member is there any more that could be disturbed by them, or
// disturb.
func (d *Drill) readStates(ctx context.Context, cluster *harness.Cluster, shown []verify.Member, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readStateWithin)
	defer cancel()
	var reading sync.WaitGroup
	for i, m := range cluster.Members() {
		reading.Go(func() {
			state, err := d.readState(ctx, m, shown[i].ClusterID)
			if err != nil { // evidence, too: of a member that answers for itself and has no quorum
				shown[i].Unread = err.Error()
				return
			}
			shown[i].State, shown[i].Age = state, time.Since(since)
		})
	}
	reading.Wait()
}

// readState reads the member's state, of the cluster under whose ID it was read back before, be that the right one or not.
func (d *Drill) readState(ctx context.Context, m *harness.Member, cluster identity.ClusterID) (*ledger.State, error) {
	client, err := m.DialOf(ctx, cluster)
	if err != nil {
		return nil, err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	var state ledger.State
	cover := d.coverer()
	err = writeStream(d.folder.leasesOf(m.Name()), func(lease func(ledger.Lease) error) (err error) {
		state, err = load.ReadState(ctx, client, func(l ledger.Lease) error {
			if d.covers() {
				l = l.Cover(cover)
			}
			return lease(l)
		})
		return err
	})
	if d.covers() {
		state = state.Cover(cover)
	}
	return &state, err
}

// readSourceState reads what the worker found beside the keys of the source.
func (f folder) readSourceState() (*ledger.State, error) {
	var state ledger.State
	err := readJSON(f.state(sourceName), &state)
	return &state, err
}

// rosterOf is what the member list of the cluster must be.
func rosterOf(cluster *harness.Cluster) []ledger.MemberSeat {
	var roster []ledger.MemberSeat
	for _, m := range cluster.Members() {
		seat := m.Seat()
		roster = append(roster, ledger.MemberSeat{ID: m.ID(), Name: seat.Name, PeerURLs: []string{seat.PeerURL}})
	}
	return roster
}
