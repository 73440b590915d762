package drill

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// readStateWithin bounds the reading of one member's side state, which needs a leader.
const readStateWithin = 2 * time.Minute

// readState adds what the member holds beside its keys. That it cannot be read is evidence, too: of a member that answers
// for itself and has no quorum.
func (d *Drill) readState(ctx context.Context, client *clientv3.Client, shown *verify.Member, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readStateWithin)
	defer cancel()
	var state ledger.State
	err := writeStream(d.folder.leasesOf(shown.Name), func(lease func(ledger.Lease) error) (err error) {
		state, err = load.ReadState(ctx, client, lease)
		return err
	})
	if err != nil {
		shown.Unread = err.Error()
		return
	}
	shown.State, shown.Age = &state, time.Since(since)
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
