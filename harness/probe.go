package harness

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Consistency says which guarantee a read asks for.
type Consistency bool

const (
	// Linearizable reads need a quorum.
	Linearizable Consistency = true
	// Serializable reads are answered by the member alone, from what it has applied.
	Serializable Consistency = false
)

// Probe asks one member how it is. It never touches the keyspace and never repeats a request.
type Probe struct {
	client *clientv3.Client
}

// Reading is what a member answered.
type Reading struct {
	Cluster  identity.ClusterID
	Member   identity.MemberID
	Revision int64
}

// Health is what a member says about its raft group.
type Health struct {
	Leader   identity.MemberID // 0 for none
	Member   identity.MemberID
	Cluster  identity.ClusterID
	Revision int64
	Version  string
	DBBytes  int64
}

// Probe returns a probe of the running member, bound to its present start. The caller closes it.
func (m *Member) Probe(ctx context.Context) (*Probe, error) {
	client, err := m.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &Probe{client: client}, nil
}

// Close ends the probe's connection; a nil probe is no error.
func (p *Probe) Close() {
	if p != nil {
		p.client.Close() //nolint:errcheck // a probe holds nothing that closing could lose
	}
}

// Client returns the connection for requests that a probe does not know.
func (p *Probe) Client() *clientv3.Client { return p.client }

// Read asks for a key that need not exist and returns what the answer's header says.
func (p *Probe) Read(ctx context.Context, c Consistency) (Reading, error) {
	opts := []clientv3.OpOption{clientv3.WithCountOnly()}
	if c == Serializable {
		opts = append(opts, clientv3.WithSerializable())
	}
	resp, err := p.client.Get(ctx, "etcd-drill-probe", opts...)
	if err != nil {
		return Reading{}, fmt.Errorf("read: %w", err)
	}
	return Reading{
		Cluster:  identity.ClusterID(resp.Header.ClusterId),
		Member:   identity.MemberID(resp.Header.MemberId),
		Revision: resp.Header.Revision,
	}, nil
}

// Health asks for the member's status. It is answered without a quorum.
func (p *Probe) Health(ctx context.Context) (Health, error) {
	resp, err := p.client.Status(ctx, p.client.Endpoints()[0])
	if err != nil {
		return Health{}, fmt.Errorf("read status: %w", err)
	}
	return Health{
		Leader:   identity.MemberID(resp.Leader),
		Member:   identity.MemberID(resp.Header.MemberId),
		Cluster:  identity.ClusterID(resp.Header.ClusterId),
		Revision: resp.Header.Revision,
		Version:  resp.Version,
		DBBytes:  resp.DbSize,
	}, nil
}

// HashKV asks for the hash of the key-value history at this revision, with the compaction point that it was computed
// above. A learner refuses.
func (p *Probe) HashKV(ctx context.Context, revision int64) (hash uint32, compacted int64, err error) {
	resp, err := p.client.HashKV(ctx, p.client.Endpoints()[0], revision)
	if err != nil {
		return 0, 0, fmt.Errorf("read HashKV at revision %d: %w", revision, err)
	}
	return resp.Hash, resp.CompactRevision, nil
}
