package dataset

import (
	"encoding/binary"
	"errors"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// origin is the cluster of one that a data set says it comes from.
type origin struct {
	Name, PeerURL, ClientURL string
	Token                    identity.Token
	Version                  string // of the cluster and of the storage, for example "3.7.0"
	// Index and Term are what the member had applied before the first write.
	Index, Term uint64
}

// originOf is that of a data set of this minor. Nobody runs it, and a restore replaces it.
func originOf(minor string) origin {
	return origin{
		Name: "dataset", PeerURL: "http://dataset.invalid:2380", ClientURL: "http://dataset.invalid:2379", Token: "dataset",
		Version: minor + ".0", Index: 4, Term: 2,
	}
}

func (o origin) memberID() types.ID {
	return types.ID(identity.ComputeMemberID([]string{o.PeerURL}, o.Token))
}

// write writes who the members are, and of which version.
func (o origin) write(tx *bolt.Tx) error {
	id := o.memberID()
	member := &membership.Member{
		ID:             id,
		RaftAttributes: membership.RaftAttributes{PeerURLs: []string{o.PeerURL}},
		Attributes:     membership.Attributes{Name: o.Name, ClientURLs: []string{o.ClientURL}},
	}
	meta, cluster := tx.Bucket(schema.Meta.Name()), tx.Bucket(schema.Cluster.Name())
	var storage error
	if o.Version != "3.5.0" { // which did not write it yet
		storage = meta.Put(schema.MetaStorageVersionName, []byte(o.Version))
	}
	return errors.Join(
		storage,
		putJSON(tx.Bucket(schema.Members.Name()), schema.BackendMemberKey(id), member),
		putJSON(meta, schema.MetaConfStateName, &raftpb.ConfState{Voters: []uint64{uint64(id)}, AutoLeave: new(bool)}),
		cluster.Put(schema.ClusterClusterVersionKeyName, []byte(o.Version)),
		tx.Bucket(schema.Auth.Name()).Put(schema.AuthRevisionKeyName, binary.BigEndian.AppendUint64(nil, 1)),
	)
}
