package recovery

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"
)

// rawRecord is one record of the "key" bucket. Its key and value are valid during the visit only.
type rawRecord struct {
	rev       mvcc.Revision
	tombstone bool
	kv        *mvccpb.KeyValue
}

// recordsPerLook says after how many records a long walk looks whether it is still wanted.
const recordsPerLook = 4096

// forEachRecord visits every record of the "key" bucket in the order of revisions, which is the order of its keys.
func forEachRecord(ctx context.Context, tx *bolt.Tx, visit func(rawRecord) error) error {
	bucket := tx.Bucket(schema.Key.Name())
	if bucket == nil {
		return fmt.Errorf("%w: no bucket %q, so this is no backend of etcd", ErrBadStructure, schema.Key.Name())
	}
	seen := 0
	return bucket.ForEach(func(key, value []byte) error {
		if seen++; seen%recordsPerLook == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		record, err := decodeRecord(key, value)
		if err != nil {
			return err
		}
		return visit(record)
	})
}

func decodeRecord(key, value []byte) (rawRecord, error) {
	record := rawRecord{
		rev: mvcc.BytesToRev(key), tombstone: mvcc.IsTombstone(key), kv: &mvccpb.KeyValue{}, // panics on nonsense, see survive
	}
	if err := proto.Unmarshal(value, record.kv); err != nil {
		return rawRecord{}, fmt.Errorf("%w: record at revision %d/%d cannot be decoded: %w",
			ErrBadStructure, record.rev.Main, record.rev.Sub, err)
	}
	return record, nil
}
