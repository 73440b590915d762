package dataset

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"
)

// commitBytes and commitRecords are how much goes into one transaction: about what etcd commits together under load, by count or
// by time (server/storage/backend/backend.go, defaultBatchLimit and defaultBatchInterval). They also bound the memory.
const (
	commitBytes   = 8 << 20
	commitRecords = 10_000
)

// writing is a database that comes into being.
type writing struct {
	spec     Spec
	origin   origin
	db       *bolt.DB
	keys     int64
	values   *rand.ChaCha8
	progress func(done, of int64)
	fileSize int64 // as large as etcd would have made the file
}

// write makes a database of the Spec in a new file, as a member leaves it that was stopped. It is on disk when it returns.
func write(ctx context.Context, spec Spec, from origin, path string, progress func(done, of int64)) (err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		// The array makes the same file every time; the map, which servers use, places pages at random. Neither is stored.
		FreelistType: bolt.FreelistArrayType, NoFreelistSync: true, NoSync: true, NoGrowSync: true, PageSize: pageBytes,
		InitialMmapSize: int(spec.SizeBytes/4*5) + 64<<20,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], spec.Seed)
	w := &writing{spec: spec, origin: from, db: db, keys: spec.Keys(), values: rand.NewChaCha8(seed), progress: progress}
	if err := w.all(ctx); err != nil {
		return err
	}
	if err := os.Truncate(path, w.fileSize); err != nil {
		return err
	}
	return db.Sync()
}

func (w *writing) all(ctx context.Context) error {
	if err := w.update(w.writeBuckets); err != nil {
		return err
	}
	records := w.spec.Records()
	for done := int64(0); done < records; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.update(func(tx *bolt.Tx) (err error) {
			done, err = w.writeRecords(tx, done, records)
			return err
		}); err != nil {
			return err
		}
		w.progress(done, records)
	}
	return nil
}

// update does a transaction and sees to the size of the file: etcd has it grow by 16 MiB beyond what it needs
// (bbolt's db.go, growSize).
func (w *writing) update(do func(*bolt.Tx) error) error {
	if err := w.db.Update(do); err != nil {
		return err
	}
	return w.db.View(func(tx *bolt.Tx) error {
		if tx.Size() > w.fileSize {
			w.fileSize = tx.Size() + int64(w.db.AllocSize)
		}
		return nil
	})
}

// writeRecords writes records from the first on, as many as one transaction takes, and returns the next.
func (w *writing) writeRecords(tx *bolt.Tx, first, end int64) (int64, error) {
	bucket := tx.Bucket(schema.Key.Name())
	bucket.FillPercent = fillPercent
	bytes, next := 0, first
	for ; next < end && next-first < commitRecords && bytes < commitBytes; next++ {
		kv := w.spec.record(next, w.keys)
		kv.Value = make([]byte, w.spec.ValueBytes)
		w.values.Read(kv.Value) //nolint:errcheck // it never fails
		value, err := proto.Marshal(kv)
		if err != nil {
			return 0, err
		}
		revision := mvcc.RevToBytes(mvcc.Revision{Main: kv.ModRevision}, mvcc.NewRevBytes())
		if err := bucket.Put(revision, value); err != nil {
			return 0, err
		}
		bytes += len(revision) + len(value)
	}
	return next, w.writeIndex(tx, uint64(next))
}

// writeIndex says how far the member has applied its log: what it began with, the grants of leases, and the writes.
func (w *writing) writeIndex(tx *bolt.Tx, writes uint64) error {
	meta := tx.Bucket(schema.Meta.Name())
	index := w.origin.Index + uint64(w.spec.Leases) + writes
	return errors.Join(
		meta.Put(schema.MetaConsistentIndexKeyName, binary.BigEndian.AppendUint64(nil, index)),
		meta.Put(schema.MetaTermKeyName, binary.BigEndian.AppendUint64(nil, w.origin.Term)),
	)
}

// writeBuckets writes all that is there beside the records.
func (w *writing) writeBuckets(tx *bolt.Tx) error {
	for _, bucket := range schema.AllBuckets {
		if _, err := tx.CreateBucket(bucket.Name()); err != nil {
			return fmt.Errorf("make bucket %s: %w", bucket, err)
		}
	}
	if err := w.origin.write(tx); err != nil {
		return err
	}
	leases := tx.Bucket(schema.Lease.Name())
	for n := range int64(w.spec.Leases) {
		value, err := proto.Marshal(&leasepb.Lease{ID: leaseID(n), TTL: leaseTTL})
		if err != nil {
			return err
		}
		if err := leases.Put(binary.BigEndian.AppendUint64(nil, uint64(leaseID(n))), value); err != nil {
			return err
		}
	}
	return w.writeIndex(tx, 0)
}

func putJSON(bucket *bolt.Bucket, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.Put(key, text)
}
