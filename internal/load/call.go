package load

import (
	"context"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// answer is what a response says about a write.
type answer struct {
	header *pb.ResponseHeader
	// owns tells whether the write consumed the header's revision. The store moves on only if something was written: see
	// server/storage/mvcc/kvstore_txn.go (storeTxnWrite.End) and server/etcdserver/txn/txn.go (txn).
	owns bool
	// removed holds, for every edit, how many keys its delete found.
	removed []int64
}

// impossibleVersion is more than any key reaches in a drill.
const impossibleVersion = 1 << 40

// changes tells the ledger what the operation does if it is carried out.
func (o operation) changes(digest func(string) string) []ledger.Change {
	var changes []ledger.Change
	for _, e := range o.edits {
		change := ledger.Change{Key: ledger.Key(e.key), Delete: e.remove, Lease: e.lease}
		if !e.remove {
			change.Digest = digest(e.value)
		}
		changes = append(changes, change)
	}
	return changes
}

// send makes the call, once.
func (o operation) send(ctx context.Context, client *clientv3.Client) (answer, error) {
	switch o.op {
	case ledger.OpGrant:
		return o.sendGrant(ctx, client)
	case ledger.OpTxn:
		return o.sendTxn(ctx, client)
	case ledger.OpDelete:
		resp, err := client.Delete(ctx, o.edits[0].key)
		if err != nil {
			return answer{}, err
		}
		return answer{header: resp.Header, owns: resp.Deleted > 0, removed: []int64{resp.Deleted}}, nil
	default:
		e := o.edits[0]
		resp, err := client.Put(ctx, e.key, e.value, e.options()...)
		if err != nil {
			return answer{}, err
		}
		return answer{header: resp.Header, owns: true, removed: []int64{0}}, nil
	}
}

// options are those of a put.
func (e edit) options() []clientv3.OpOption {
	if e.lease == 0 {
		return nil
	}
	return []clientv3.OpOption{clientv3.WithLease(clientv3.LeaseID(e.lease))}
}

// sendGrant speaks the protocol itself: the client's Grant lets etcd choose the ID.
func (o operation) sendGrant(ctx context.Context, client *clientv3.Client) (answer, error) {
	resp, err := pb.NewLeaseClient(client.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: o.lease, TTL: o.ttl})
	if err != nil {
		return answer{}, clientv3.ContextError(ctx, err)
	}
	return answer{header: resp.Header}, nil
}

func (o operation) sendTxn(ctx context.Context, client *clientv3.Client) (answer, error) {
	var then []clientv3.Op
	for _, e := range o.edits {
		if e.remove {
			then = append(then, clientv3.OpDelete(e.key))
		} else {
			then = append(then, clientv3.OpPut(e.key, e.value, e.options()...))
		}
	}
	resp, err := client.Txn(ctx).If(o.guard.compares()...).Then(then...).Commit()
	if err != nil {
		return answer{}, err
	}
	a := answer{header: resp.Header, removed: make([]int64, len(o.edits))}
	if !resp.Succeeded {
		return a, nil
	}
	for i, r := range resp.Responses {
		a.removed[i] = r.GetResponseDeleteRange().GetDeleted()
		a.owns = a.owns || r.GetResponsePut() != nil || a.removed[i] > 0
	}
	return a, nil
}

func (g guard) compares() []clientv3.Cmp {
	switch g.kind {
	case ifAbsent:
		return []clientv3.Cmp{clientv3.Compare(clientv3.Version(g.key), "=", 0)}
	case ifPresent:
		return []clientv3.Cmp{clientv3.Compare(clientv3.Version(g.key), ">", 0)}
	case neverHolds:
		return []clientv3.Cmp{clientv3.Compare(clientv3.Version(g.key), ">", impossibleVersion)}
	default:
		return nil
	}
}
