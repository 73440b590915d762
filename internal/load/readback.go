package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ReadSpec says what to read from a member and where to put it.
type ReadSpec struct {
	// Revision is where the history ends and at which the keyspace is read and hashed; at least 1.
	Revision int64
	// Compacted is the compaction point: the history begins at the revision after it. 0 or less for none.
	Compacted int64
	// DigestKey is the key of the values' digests, see ledger.Digest.
	DigestKey []byte
	// History receives every record from Compacted+1 to Revision, tombstones included, sorted by Rev, then Sub. Keyspace
	// receives every key at Revision, sorted. An error of theirs ends the reading and is returned, wrapped. What has no receiver is
	// not read. A history is for small stores: etcd reads all that is left of it for every thousand revisions that it sends
	// (server/storage/mvcc/watchable_store.go, syncWatchers).
	History  func(ledger.Record) error
	Keyspace func(ledger.Pair) error
}

// Readback is what a member said beside its records and keys.
type Readback struct {
	Records   int64 // given to History
	Keys      int64 // given to Keyspace
	HashKV    uint32
	HashFrom  int64 // the compaction revision of the member, from which etcd's hash begins; -1 or 0 for none
	MemberID  identity.MemberID
	ClusterID identity.ClusterID
	// Disordered is set if a record came after one of a later revision, which no sound member shows: a record claims another
	// revision than the one it was written at. The history then has to be sorted before it can be compared.
	Disordered bool
	// Revision is the member's own when all was read; it is above ReadSpec.Revision if the member has moved on.
	Revision int64
}

// ReadBack reads one member: its history by a watch, its keys by serializable ranges at the revision, its HashKV at that
// same revision. None of it asks another member, so a member without leader can be read, and so can one that has diverged.
//
// The client must know exactly one endpoint. Every answer must come from the same member of the same cluster; another one
// at that address is an error. A member that has not reached the revision is an error wrapping ErrBehind, with its IDs and
// its revision in the Readback; one that has compacted what is asked for is an error too.
func ReadBack(ctx context.Context, client *clientv3.Client, spec ReadSpec) (Readback, error) {
	r := reading{client: client, spec: spec}
	if err := r.all(ctx); err != nil {
		return r.result, fmt.Errorf("read back at revision %d: %w", spec.Revision, err)
	}
	return r.result, nil
}

type reading struct {
	client *clientv3.Client
	spec   ReadSpec
	result Readback
}

func (r *reading) all(ctx context.Context) error {
	if n := len(r.client.Endpoints()); n != 1 {
		return fmt.Errorf("the client knows %d endpoints instead of one", n)
	}
	if r.spec.Revision < 1 {
		return errors.New("an etcd store has no revision below 1")
	}
	if err := r.present(ctx); err != nil {
		return err
	}
	if err := r.history(ctx); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := r.keyspace(ctx); err != nil {
		return fmt.Errorf("keyspace: %w", err)
	}
	if err := r.hash(ctx); err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	return nil
}

// ErrBehind marks a member that has not reached the revision at which it was to be read.
var ErrBehind = errors.New("the member has not reached the revision")

// present makes sure that there is something to read: a watch that begins in the member's future waits for it to come.
func (r *reading) present(ctx context.Context) error {
	resp, err := r.client.Get(ctx, "\x00", clientv3.WithSerializable(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("ask how far the member is: %w", err)
	}
	if err := r.sameMember(resp.Header); err != nil {
		return err
	}
	if r.result.Revision = resp.Header.GetRevision(); r.result.Revision < r.spec.Revision {
		return fmt.Errorf("%w: it is at %d", ErrBehind, r.result.Revision)
	}
	return nil
}

func (r *reading) hash(ctx context.Context) error {
	resp, err := r.client.HashKV(ctx, r.client.Endpoints()[0], r.spec.Revision)
	if err != nil {
		return err
	}
	if err := r.sameMember(resp.Header); err != nil {
		return err
	}
	r.result.HashKV, r.result.HashFrom = resp.Hash, resp.CompactRevision
	r.result.Revision = resp.Header.GetRevision()
	return nil
}

// sameMember keeps the IDs of the first answer and holds all others against them: an address of a stopped member can be
// given to another one.
func (r *reading) sameMember(header *pb.ResponseHeader) error {
	member, cluster := identity.MemberID(header.GetMemberId()), identity.ClusterID(header.GetClusterId())
	if r.result.MemberID == 0 {
		r.result.MemberID, r.result.ClusterID = member, cluster
	}
	if member != r.result.MemberID || cluster != r.result.ClusterID {
		return fmt.Errorf("member %s of cluster %s answers in the place of %s of %s",
			member, cluster, r.result.MemberID, r.result.ClusterID)
	}
	return nil
}
