package recovery

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// extract is the worker's part of Extract.
func (j *job) extract(ctx context.Context, task extractTask) (*Contents, error) {
	c, err := copySource(ctx, task.Source)
	if err != nil {
		return nil, err
	}
	path, err := c.asDatabase()
	if err != nil {
		return nil, err
	}
	contents := &Contents{}
	digest := ledger.Digester(task.DigestKey)
	err = viewDatabase(path, func(tx *bolt.Tx) error {
		live, err := writeHistory(ctx, tx, task, contents)
		if err != nil {
			return err
		}
		attached := map[int64][]ledger.Key{}
		census := objectCensus{}
		if task.Cover {
			census.cover = task.coverer()
		}
		if len(task.Beat) > 0 {
			contents.Beat = absentBeat()
		}
		contents.KeyNames = digestNames(live)
		err = writeLines(task.Keyspace, &contents.Keys, func(write func(ledger.Pair) error) error {
			return forEachLive(tx, live, task.coverer(), func(name ledger.Key, kv *mvccpb.KeyValue) error {
				if kv.Lease != 0 {
					attached[kv.Lease] = append(attached[kv.Lease], name)
				}
				census.take(string(kv.Key), kv.Value)
				if len(task.Beat) > 0 && string(kv.Key) == string(task.Beat) {
					contents.Beat = beatOf(kv.Value)
				}
				return write(ledger.Pair{
					Key: name, Digest: digest(kv.Value),
					Create: kv.CreateRevision, Mod: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
				})
			})
		})
		contents.Kubernetes = census.result()
		if err != nil || task.State == "" {
			return err
		}
		return writeState(tx, task, attached, contents)
	})
	if err == nil {
		err = survive(func() error { return j.hashKV(path, task, contents) })
	}
	if err != nil {
		return nil, blame(task.Source.Path, err)
	}
	return contents, nil
}

// writeHistory writes the records above the compaction point and returns the revision of every live key.
func writeHistory(ctx context.Context, tx *bolt.Tx, task extractTask, contents *Contents) (map[string]mvcc.Revision, error) {
	live := map[string]mvcc.Revision{}
	digest, cover := ledger.Digester(task.DigestKey), task.coverer()
	err := writeLines(task.History, &contents.Records, func(write func(ledger.Record) error) error {
		return forEachRecord(ctx, tx, func(r rawRecord) error {
			switch {
			case r.tombstone:
				delete(live, string(r.kv.Key))
			case len(r.kv.Key) > 0: // a record without a key is the placeholder of a bumped revision
				live[string(r.kv.Key)] = r.rev
			}
			if r.rev.Main <= task.Compacted {
				return nil
			}
			record := ledger.Record{Rev: r.rev.Main, Sub: r.rev.Sub, Key: cover(ledger.Key(r.kv.Key)), Delete: r.tombstone}
			if !r.tombstone {
				record.Digest = digest(r.kv.Value)
				record.Create, record.Mod = r.kv.CreateRevision, r.kv.ModRevision
				record.Version, record.Lease = r.kv.Version, r.kv.Lease
			}
			return write(record)
		})
	})
	return live, err
}

// forEachLive visits the live keys by the names under which they are written. No record lies above the restore point, so the last
// record of a key counts.
func forEachLive(
	tx *bolt.Tx, live map[string]mvcc.Revision, cover func(ledger.Key) ledger.Key, visit func(name ledger.Key, kv *mvccpb.KeyValue) error,
) error {
	type named struct {
		name ledger.Key
		at   mvcc.Revision
	}
	all := make([]named, 0, len(live))
	for key, at := range live {
		all = append(all, named{cover(ledger.Key(key)), at})
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	bucket := tx.Bucket(schema.Key.Name())
	for _, one := range all {
		at := mvcc.RevToBytes(one.at, mvcc.NewRevBytes())
		r, err := decodeRecord(at, bucket.Get(at))
		if err == nil {
			err = visit(one.name, r.kv)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// digestNames is the digest over the names of keys, see Contents.KeyNames.
func digestNames(live map[string]mvcc.Revision) string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(live)) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(key))))
		sum.Write([]byte(key))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// hashKV opens the copy as a server does, which writes to it: the last thing done with it. A lessor that knows no lease is
// enough, because leases have no part in the hash; without any, a leased key panics.
func (j *job) hashKV(path string, task extractTask, contents *Contents) error {
	rev := task.RestorePoint
	be := backend.NewDefaultBackend(j.lg, path)
	if task.BumpedTo > 0 {
		rev = task.BumpedTo
		bump(be, rev)
	}
	store := mvcc.NewStore(j.lg, be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	hash, current, err := mvcc.NewHashStorage(j.lg, store).HashByRev(rev)
	err = errors.Join(err, store.Close(), be.Close())
	if err != nil {
		return fmt.Errorf("compute HashKV at revision %d: %w", rev, err)
	}
	if current != rev {
		return fmt.Errorf("compute HashKV: etcd finds revision %d, not the expected %d", current, rev)
	}
	contents.HashKV, contents.CompactRevision = hash.Hash, hash.CompactRevision
	return nil
}

// bump does to the copy what etcdutl does to a member's database (etcdutl/snapshot/v3_snapshot.go, modifyLatestRevision): a
// placeholder without content at the new revision, and a compaction up to there that is still to be done.
func bump(be backend.Backend, to int64) {
	tx := be.BatchTx()
	tx.LockOutsideApply()
	tx.UnsafePut(schema.Key, mvcc.RevToBytes(mvcc.Revision{Main: to}, mvcc.NewRevBytes()), []byte{})
	mvcc.UnsafeSetScheduledCompact(tx, to)
	tx.Unlock()
}

// writeLines makes a new stream of evidence and counts its values.
func writeLines[T ledger.Record | ledger.Pair | ledger.Lease](path string, count *int64, produce func(write func(T) error) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	lines := ledger.NewLineWriter[T](file)
	err = produce(func(value T) error {
		*count++
		return lines.Append(value)
	})
	if err == nil {
		err = lines.End()
	}
	return errors.Join(err, file.Sync(), file.Close())
}
