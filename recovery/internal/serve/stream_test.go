package serve

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// play fills a database with a random history. Where cut is set, the last compaction is scheduled and not done.
func play(t *testing.T, path string, random *rand.Rand, cut bool) {
	t.Helper()
	be := openQuickly(path)
	store := mvcc.NewStore(zap.NewNop(), be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	key := func() []byte { return fmt.Appendf(nil, "/registry/k%02d", random.IntN(12)) }
	for range 20 + random.IntN(150) {
		switch n := random.IntN(20); {
		case n < 10:
			store.Put(key(), fmt.Append(nil, random.Uint64()), lease.LeaseID(random.IntN(3)))
		case n < 14:
			store.DeleteRange(key(), nil)
		case n < 15:
			store.DeleteRange([]byte("/registry/k"), fmt.Appendf(nil, "/registry/k%02d", random.IntN(12)))
		case n < 18:
			tx := store.Write(traceutil.TODO())
			for range 1 + random.IntN(4) {
				tx.Put(key(), fmt.Append(nil, random.Uint64()), lease.NoLease)
			}
			tx.DeleteRange([]byte("/registry/k00"), nil)
			tx.End()
		case n < 19 && store.Rev() > 2:
			if done, err := store.Compact(traceutil.TODO(), 1+random.Int64N(store.Rev())); err == nil {
				<-done
			}
		}
	}
	if random.IntN(6) == 0 { // nothing is left
		store.DeleteRange([]byte("/"), []byte("0"))
		if done, err := store.Compact(traceutil.TODO(), store.Rev()); err == nil && random.IntN(2) == 0 {
			<-done
		}
	}
	rev := store.Rev()
	store.Commit()
	_ = store.Close() // its context ends; nothing else can fail
	tx := be.BatchTx()
	tx.LockOutsideApply()
	if random.IntN(4) == 0 { // what an earlier restore with a bump has left
		rev += 1000
		tx.UnsafePut(schema.Key, mvcc.RevToBytes(mvcc.Revision{Main: rev}, mvcc.NewRevBytes()), []byte{})
		if cut {
			mvcc.UnsafeSetScheduledCompact(tx, rev)
		}
	} else if cut {
		to := 1 + random.Int64N(rev)
		mvcc.UnsafeSetScheduledCompact(tx, to)
		compactInPart(t, tx, random, to)
	}
	tx.Unlock()
	if err := be.Close(); err != nil {
		t.Fatal(err)
	}
}

// compactInPart takes away some of what a compaction would take: records that a later one, up to the revision, has replaced.
func compactInPart(t *testing.T, tx backend.BatchTx, random *rand.Rand, to int64) {
	t.Helper()
	last := map[string]string{}
	var replaced []string
	err := tx.UnsafeForEach(schema.Key, func(at, value []byte) error {
		kv, err := decodeKV(value)
		if err != nil || mvcc.BytesToRev(at).Main > to {
			return err
		}
		if before, ok := last[string(kv.Key)]; ok {
			replaced = append(replaced, before)
		}
		last[string(kv.Key)] = string(at)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range replaced {
		if random.IntN(2) == 0 {
			tx.UnsafeDelete(schema.Key, []byte(at))
		}
	}
}

// openQuickly opens a database that need not outlive this machine.
func openQuickly(path string) backend.Backend {
	config := backend.DefaultBackendConfig(zap.NewNop())
	config.Path, config.MmapSize, config.UnsafeNoFsync = path, 1<<20, true
	return backend.New(config)
}

// asEtcd is what etcd itself makes of a database, by its index, which holds all keys in memory.
type asEtcd struct {
	hash    mvcc.KeyValueHash
	current int64
	keys    int
}

func readAsEtcd(t *testing.T, path string, bumpTo int64) asEtcd {
	t.Helper()
	recoverytest.PutFile(t, path, path+".etcd")
	be := openQuickly(path + ".etcd")
	if bumpTo > 0 {
		tx := be.BatchTx()
		tx.LockOutsideApply()
		tx.UnsafePut(schema.Key, mvcc.RevToBytes(mvcc.Revision{Main: bumpTo}, mvcc.NewRevBytes()), []byte{})
		mvcc.UnsafeSetScheduledCompact(tx, bumpTo)
		tx.Unlock()
	}
	store := mvcc.NewStore(zap.NewNop(), be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	var seen asEtcd
	var err error
	if seen.hash, seen.current, err = mvcc.NewHashStorage(zap.NewNop(), store).HashByRev(store.Rev()); err != nil {
		t.Fatal(err)
	}
	all, err := store.Range(t.Context(), []byte("\x00"), []byte{}, mvcc.RangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen.keys = len(all.KVs)
	_ = store.Close()
	if err := be.Close(); err != nil {
		t.Fatal(err)
	}
	return seen
}

// The worker computes in one walk, without an index, what etcd computes with one.
func TestWhatIsReadInOneWalkIsWhatEtcdMakesOfIt(t *testing.T) {
	ctx := recoverytest.Context(t)
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		path := filepath.Join(dir, "db")
		play(t, path, random, seed%3 == 0)
		j := &job{lg: zap.NewNop()}
		source, err := j.check(ctx, wire.CheckTask{Source: wire.CopyTask{Kind: recovery.DBCopy, Path: path, Copy: filepath.Join(dir, "check")}})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, bumpTo := range []int64{0, source.LastRecord + 50_000} {
			work := filepath.Join(dir, fmt.Sprint(bumpTo))
			contents, err := j.extract(ctx, wire.ExtractTask{
				Source: wire.CopyTask{Kind: recovery.DBCopy, Path: path}, Scratch: made(t, work),
				History: filepath.Join(work, "history"), Keyspace: filepath.Join(work, "keyspace"), DigestKey: recoverytest.DigestKey(),
				RestorePoint: source.RestorePoint, Compacted: source.Compacted, BumpedTo: bumpTo, Cover: seed%5 == 0,
			})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			want := readAsEtcd(t, path, bumpTo)
			if contents.HashKV != want.hash.Hash || contents.CompactRevision != want.hash.CompactRevision {
				t.Errorf("seed %d, bump to %d: hash %d above %d, etcd has %d above %d", seed, bumpTo,
					contents.HashKV, contents.CompactRevision, want.hash.Hash, want.hash.CompactRevision)
			}
			if int(contents.Keys) != want.keys || int(source.Keys) != want.keys {
				t.Errorf("seed %d: %d keys, %d by Check; etcd has %d", seed, contents.Keys, source.Keys, want.keys)
			}
			if bumpTo == 0 && source.RestorePoint != want.current {
				t.Errorf("seed %d: restore point %d, etcd has %d", seed, source.RestorePoint, want.current)
			}
		}
	}
}

func TestRecordsAreDecodedAsEtcdDoes(t *testing.T) {
	for _, kv := range []*mvccpb.KeyValue{
		{}, {Key: []byte("a")}, {Key: []byte("a"), Value: []byte("b"), CreateRevision: 1, ModRevision: 2, Version: 3, Lease: 4},
		{Lease: -1, Version: 1 << 62}, {Value: make([]byte, 100_000)},
	} {
		text, err := proto.Marshal(kv)
		if err != nil {
			t.Fatal(err)
		}
		// A field of a later version, and one that is there twice.
		text = append(append([]byte{0x48, 0x05, 0x52, 0x01, 'x'}, text...), 0x20, 0x07)
		got, err := decodeKV(text)
		want := &mvccpb.KeyValue{}
		if err := proto.Unmarshal(text, want); err != nil {
			t.Fatal(err)
		}
		if err != nil || string(got.Key) != string(want.Key) || string(got.Value) != string(want.Value) ||
			got.CreateRevision != want.CreateRevision ||
			got.ModRevision != want.ModRevision || got.Version != want.Version || got.Lease != want.Lease || got.Version != 7 {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	for _, bad := range []string{"\x0a\x05abc", "\xff", "\x0a", "\x10", "\x07", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := decodeKV([]byte(bad)); err == nil {
			t.Errorf("%q was decoded", bad)
		}
		if proto.Unmarshal([]byte(bad), &mvccpb.KeyValue{}) == nil {
			t.Errorf("%q is sound for etcd", bad)
		}
	}
}

func made(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
