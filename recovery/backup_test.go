package recovery

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// fill makes a history with everything in it: puts, overwrites, deletes, transactions, leases, odd keys, a compaction.
func fill(t *testing.T, ctx context.Context, client *clientv3.Client, keys int) {
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

// backups are one history as both kinds of source, and what the server showed of it.
type backups struct {
	snapshot, db string
	member       identity.MemberID
	live         liveView
}

type liveView struct {
	revision  int64
	compacted int64
	hash      *clientv3.HashKVResponse
	history   []ledger.Record
	keyspace  []ledger.Pair
}

var testDigestKey = []byte("a key of the test")

func makeBackups(t *testing.T, ctx context.Context, keys int) backups {
	t.Helper()
	server, layout := startSingle(t, ctx)
	fill(t, ctx, server.client, keys)
	dir := t.TempDir()
	b := backups{
		snapshot: filepath.Join(dir, "saved snapshot.db"), db: filepath.Join(dir, "copy.db"),
		member: layout.MemberID(layout.Seats[0]),
	}
	var progress int64
	stored, err := Save(ctx, server.client, b.snapshot, WithProgress(func(n int64) { progress = n }))
	if err != nil {
		t.Fatal(err)
	}
	if stored.SizeBytes != progress || stored.SizeBytes == 0 || stored.ServerVersion == "" {
		t.Errorf("saved %+v, last progress %d", stored, progress)
	}
	b.live = lookAt(t, ctx, server.client)
	server.stop()
	copied, err := Copy(ctx, dirDisk{dir: server.dir}, b.db)
	if err != nil {
		t.Fatal(err)
	}
	if got := digestOf(t, b.db); got != copied.SHA256 {
		t.Errorf("copy has digest %s, Copy said %s", got, copied.SHA256)
	}
	if got := digestOf(t, b.snapshot); got != stored.SHA256 {
		t.Errorf("snapshot has digest %s, Save said %s", got, stored.SHA256)
	}
	return b
}

// lookAt reads everything through the API: a watch over the whole history, a range, the hash.
func lookAt(t *testing.T, ctx context.Context, client *clientv3.Client) liveView {
	t.Helper()
	got, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable())
	if err != nil {
		t.Fatal(err)
	}
	view := liveView{revision: got.Header.Revision, keyspace: pairsOf(got.Kvs)}
	digest := ledger.Digester(testDigestKey)
	view.hash, err = client.HashKV(ctx, client.Endpoints()[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	view.compacted = max(view.hash.CompactRevision, 0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(view.compacted+1))
	sub := int64(0)
	for len(view.history) == 0 || view.history[len(view.history)-1].Rev < view.revision {
		select {
		case <-ctx.Done():
			t.Fatal("the watch shows no end: ", ctx.Err())
		case batch := <-watch:
			if err := batch.Err(); err != nil {
				t.Fatal(err)
			}
			for _, event := range batch.Events {
				if n := len(view.history); n > 0 && view.history[n-1].Rev == event.Kv.ModRevision {
					sub++
				} else {
					sub = 0
				}
				record := ledger.Record{Rev: event.Kv.ModRevision, Sub: sub, Key: ledger.Key(event.Kv.Key)}
				if record.Delete = event.Type == clientv3.EventTypeDelete; !record.Delete {
					record.Digest, record.Create, record.Mod = digest(event.Kv.Value), event.Kv.CreateRevision, event.Kv.ModRevision
					record.Version, record.Lease = event.Kv.Version, event.Kv.Lease
				}
				view.history = append(view.history, record)
			}
		}
	}
	return view
}

func pairsOf(kvs []*mvccpb.KeyValue) []ledger.Pair {
	digest := ledger.Digester(testDigestKey)
	var pairs []ledger.Pair
	for _, kv := range kvs {
		pairs = append(pairs, ledger.Pair{
			Key: ledger.Key(kv.Key), Digest: digest(kv.Value), Create: kv.CreateRevision,
			Mod: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
		})
	}
	return pairs
}

func TestABackupHoldsWhatTheServerShowed(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 400)
	for kind, path := range map[Kind]string{SavedSnapshot: b.snapshot, DBCopy: b.db} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			before := digestOf(t, path)
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			if source.RestorePoint != b.live.revision || source.Compacted != b.live.compacted || source.Compacted == 0 {
				t.Errorf("restore point %d, compacted %d; the server says %d and %d",
					source.RestorePoint, source.Compacted, b.live.revision, b.live.compacted)
			}
			if source.Keys != int64(len(b.live.keyspace)) || source.Records <= int64(len(b.live.history)) {
				t.Errorf("%d keys in %d records; the server shows %d keys and %d events above the compaction",
					source.Keys, source.Records, len(b.live.keyspace), len(b.live.history))
			}
			if source.StorageVersion != "3.7.0" || !slices.Equal(source.MemberIDs, []identity.MemberID{b.member}) {
				t.Errorf("storage version %q, members %v; want 3.7.0 and %v", source.StorageVersion, source.MemberIDs, b.member)
			}
			x := Extraction{DigestKey: testDigestKey,
				History: filepath.Join(t.TempDir(), "history"), Keyspace: filepath.Join(t.TempDir(), "keyspace"),
				Leases: filepath.Join(t.TempDir(), "leases"), State: filepath.Join(t.TempDir(), "state")}
			contents, err := Extract(ctx, worker, source, x)
			if err != nil {
				t.Fatal(err)
			}
			if contents.HashKV != b.live.hash.Hash || contents.CompactRevision != b.live.hash.CompactRevision {
				t.Errorf("HashKV %d compacted at %d; the server says %d at %d", contents.HashKV, contents.CompactRevision,
					b.live.hash.Hash, b.live.hash.CompactRevision)
			}
			sameLines(t, readAllOf(t, ledger.ReadRecords(opener(x.History))), b.live.history)
			sameLines(t, readAllOf(t, ledger.ReadPairs(opener(x.Keyspace))), b.live.keyspace)
			if contents.Records != int64(len(b.live.history)) || contents.Keys != int64(len(b.live.keyspace)) {
				t.Errorf("counted %+v", contents)
			}
			if after := digestOf(t, path); after != before || after != source.SHA256 {
				t.Errorf("digest was %s, is %s, manifest says %s", before, after, source.SHA256)
			}
			assertEmpty(t, worker.Scratch)
		})
	}
}

func TestExtractRefusesAChangedSourceAndLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 20)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, DBCopy, b.db)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	x := Extraction{DigestKey: testDigestKey, History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s")}
	touchByte(t, b.db, -1)
	if _, err := Extract(ctx, worker, source, x); !errors.Is(err, ErrSourceChanged) {
		t.Errorf("got %v, want ErrSourceChanged", err)
	}
	assertEmpty(t, dir)
	assertEmpty(t, worker.Scratch)
	if err := os.WriteFile(x.Keyspace, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(ctx, worker, source, x); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v for an output that exists", err)
	}
	if mine, err := os.ReadFile(x.Keyspace); err != nil || string(mine) != "mine" {
		t.Errorf("the file that was there now holds %q, %v", mine, err)
	}
}

func TestSaveLeavesNothingBehindWhenItFails(t *testing.T) {
	ctx := testContext(t)
	server, _ := startSingle(t, ctx)
	dir := t.TempDir()
	path := filepath.Join(dir, "snapshot")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Save(ended, server.client, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from an ended context", err)
	}
	assertEmpty(t, dir)
	server.stop()
	gone, err := harness.Dial("http://"+freeAddress(t), harness.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gone.Close() }()
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := Save(soon, gone, path); err == nil {
		t.Error("a snapshot of nobody was saved")
	}
	assertEmpty(t, dir)
	gone.SetEndpoints("http://127.0.0.1:1", "http://127.0.0.1:2")
	if _, err := Save(ctx, gone, path); err == nil || !strings.Contains(err.Error(), "2 endpoints") {
		t.Errorf("got %v for two endpoints", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(ctx, server.client, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v for a path that is taken", err)
	}
}

func TestCopyLeavesNothingBehindWhenItFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := Copy(t.Context(), dirDisk{dir: t.TempDir()}, filepath.Join(dir, "db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a disk without a db", err)
	}
	assertEmpty(t, dir)
}

func TestTrailingHashDoesNotDependOnThePieces(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 64)
	sum := digestBytes(content)
	file := append(bytes.Clone(content), sum...)
	for _, piece := range []int{1, 7, 31, 32, 33, 500, len(file)} {
		body := newTrailingHash()
		for chunk := range slices.Chunk(file, piece) {
			if _, err := body.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if fault, why := body.fault(int64(len(file))); fault != nil {
			t.Errorf("pieces of %d: %v %s", piece, fault, why)
		}
		if whole := hex.EncodeToString(digestBytes(file)); body.whole() != whole {
			t.Errorf("pieces of %d: the digest of all is %s, not %s", piece, body.whole(), whole)
		}
	}
}

func readAllOf[T any](t *testing.T, stream ledger.Stream[T]) []T {
	t.Helper()
	var values []T
	for value, err := range stream {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	return values
}

func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

func sameLines[T comparable](t *testing.T, got, want []T) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d lines, want %d and more than none", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
