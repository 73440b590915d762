package recoverytest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Fill makes a history with everything in it: puts, overwrites, deletes, transactions, leases, odd keys, a compaction.
func Fill(t *testing.T, ctx context.Context, client *clientv3.Client, keys int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lease, err := client.Grant(ctx, 3600)
	must(err)
	value := strings.Repeat("v", 300)
	for i := range keys {
		key := fmt.Sprintf("key/%05d", i)
		switch {
		case i%7 == 3:
			_, err = client.Put(ctx, key, value, clientv3.WithLease(lease.ID))
		case i%11 == 5:
			_, err = client.Txn(ctx).Then(clientv3.OpPut(key+"/a", value+key), clientv3.OpPut(key+"/b", value),
				clientv3.OpDelete(fmt.Sprintf("key/%05d", i-1))).Commit()
		case i%5 == 4:
			_, err = client.Delete(ctx, fmt.Sprintf("key/%05d", i-3))
		default:
			_, err = client.Put(ctx, key, value+key)
		}
		must(err)
		if i == keys/3 {
			got, err := client.Get(ctx, "x")
			must(err)
			_, err = client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical())
			must(err)
		}
	}
	for _, key := range []string{"\xff\x00binary", `\x41`, " space", "ключ"} {
		_, err = client.Put(ctx, key, "")
		must(err)
	}
	_, err = client.Put(ctx, "key/00000", "again")
	must(err)
	_, err = client.Delete(ctx, "key/00001") // the greatest record is a tombstone
	must(err)
}

// Backups are one history as both kinds of source, and what the server showed of it.
type Backups struct {
	Snapshot, DB string
	Member       identity.MemberID
	Live         View
}

// View is what a server shows of its keyspace.
type View struct {
	Revision  int64
	Compacted int64
	Hash      *clientv3.HashKVResponse
	History   []ledger.Record
	Keyspace  []ledger.Pair
}

// DigestKey keys the digests of values.
func DigestKey() []byte { return []byte("a key of the test") }

// MakeBackups fills a cluster of one with this many keys, and more, and takes both kinds of source from it as other tools would.
func MakeBackups(t *testing.T, ctx context.Context, keys int) Backups {
	t.Helper()
	server, layout := StartSingle(t, ctx)
	Fill(t, ctx, server.Client, keys)
	dir := t.TempDir()
	b := Backups{
		Snapshot: filepath.Join(dir, "saved snapshot.db"), DB: filepath.Join(dir, "copy.db"),
		Member: layout.MemberID(layout.Seats[0]),
	}
	SaveSnapshot(t, ctx, server.Client, b.Snapshot)
	b.Live = LookAt(t, ctx, server.Client)
	server.Stop()
	PutFile(t, filepath.Join(server.Dir, "member", "snap", "db"), b.DB)
	return b
}

// SaveSnapshot writes what the Snapshot RPC streams.
func SaveSnapshot(t *testing.T, ctx context.Context, client *clientv3.Client, path string) {
	t.Helper()
	response, err := client.SnapshotWithVersion(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Snapshot.Close() }() // a read end of a pipe: closing cannot lose anything
	data, err := io.ReadAll(response.Snapshot)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// LookAt reads everything through the API: a watch over the whole history, a range, the hash.
func LookAt(t *testing.T, ctx context.Context, client *clientv3.Client) View {
	t.Helper()
	got, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable())
	if err != nil {
		t.Fatal(err)
	}
	view := View{Revision: got.Header.Revision, Keyspace: PairsOf(got.Kvs)}
	digest := ledger.Digester(DigestKey())
	view.Hash, err = client.HashKV(ctx, client.Endpoints()[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	view.Compacted = max(view.Hash.CompactRevision, 0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(view.Compacted+1))
	sub := int64(0)
	for len(view.History) == 0 || view.History[len(view.History)-1].Rev < view.Revision {
		select {
		case <-ctx.Done():
			t.Fatal("the watch shows no end: ", ctx.Err())
		case batch := <-watch:
			if err := batch.Err(); err != nil {
				t.Fatal(err)
			}
			for _, event := range batch.Events {
				if n := len(view.History); n > 0 && view.History[n-1].Rev == event.Kv.ModRevision {
					sub++
				} else {
					sub = 0
				}
				record := ledger.Record{Rev: event.Kv.ModRevision, Sub: sub, Key: ledger.Key(event.Kv.Key)}
				if record.Delete = event.Type == clientv3.EventTypeDelete; !record.Delete {
					record.Digest, record.Create, record.Mod = digest(event.Kv.Value), event.Kv.CreateRevision, event.Kv.ModRevision
					record.Version, record.Lease = event.Kv.Version, event.Kv.Lease
				}
				view.History = append(view.History, record)
			}
		}
	}
	return view
}

// PairsOf is what ledger.ReadPairs yields of the same keys.
func PairsOf(kvs []*mvccpb.KeyValue) []ledger.Pair {
	digest := ledger.Digester(DigestKey())
	var pairs []ledger.Pair
	for _, kv := range kvs {
		pairs = append(pairs, ledger.Pair{
			Key: ledger.Key(kv.Key), Digest: digest(kv.Value), Create: kv.CreateRevision,
			Mod: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
		})
	}
	return pairs
}
