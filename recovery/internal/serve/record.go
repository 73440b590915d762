package serve

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// rawRecord is one record of the "key" bucket. What it points to is valid during the visit only.
type rawRecord struct {
	rev       mvcc.Revision
	tombstone bool
	kv        rawKV
	at, bytes []byte // the key and the value of the bucket, as they are stored
}

// rawKV are the fields of an mvccpb.KeyValue, without a copy of the value, which can be a megabyte.
type rawKV struct {
	Key, Value                  []byte
	CreateRevision, ModRevision int64
	Version, Lease              int64
}

// recordsPerLook says after how many records a long walk looks whether it is still wanted.
const recordsPerLook = 4096

// forEachRecord visits every record of the "key" bucket in the order of revisions, which is the order of its keys.
func forEachRecord(ctx context.Context, tx *bolt.Tx, visit func(rawRecord) error) error {
	bucket := tx.Bucket(schema.Key.Name())
	if bucket == nil {
		return fmt.Errorf("%w: no bucket %q, so this is no backend of etcd", recovery.ErrBadStructure, schema.Key.Name())
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

// readRecords is forEachRecord on a database that is not opened for it, see blob.ReadPages. Everything else that is met goes to rest; no
// rest is wanted if that is nil.
func readRecords(ctx context.Context, path string, rest *core, visit func(rawRecord) error) error {
	var key, value []byte
	visitor := blob.Visitor{Bucket: func([]byte) error { return nil }}
	if rest != nil {
		visitor.Bucket = rest.bucket
	}
	visitor.Entry = func(e blob.Entry) (err error) {
		if !isKeys(e.Bucket) {
			if rest == nil {
				return nil
			}
			return rest.entry(e)
		}
		if value, err = e.AppendValue(value[:0]); err != nil {
			return err
		}
		key = append(key[:0], e.Key...)
		record, err := decodeRecord(key, value)
		if err != nil {
			return err
		}
		return visit(record)
	}
	return blob.ReadPages(ctx, path, visitor)
}

func decodeRecord(key, value []byte) (rawRecord, error) {
	record := rawRecord{rev: mvcc.BytesToRev(key), tombstone: mvcc.IsTombstone(key), at: key, bytes: value} // panics on nonsense, see survive
	var err error
	if record.kv, err = decodeKV(value); err != nil {
		return rawRecord{}, fmt.Errorf("%w: record at revision %d/%d cannot be decoded: %w",
			recovery.ErrBadStructure, record.rev.Main, record.rev.Sub, err)
	}
	return record, nil
}

var errNoKV = errors.New("it is no mvccpb.KeyValue")

// decodeKV reads the wire format of mvccpb.KeyValue (api/mvccpb/kv.proto). As in every such message a field that is there twice
// counts as it is there last, and one that is not known is passed over.
func decodeKV(message []byte) (kv rawKV, err error) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return rawKV{}, errNoKV
		}
		message = message[n:]
		switch {
		case kind == protowire.BytesType && (field == 1 || field == 5):
			var text []byte
			if text, n = protowire.ConsumeBytes(message); field == 1 {
				kv.Key = text
			} else {
				kv.Value = text
			}
		case kind == protowire.VarintType:
			var number uint64
			number, n = protowire.ConsumeVarint(message)
			kv.set(field, int64(number))
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return rawKV{}, errNoKV
		}
		message = message[n:]
	}
	return kv, nil
}

func (kv *rawKV) set(field protowire.Number, number int64) {
	switch field {
	case 2:
		kv.CreateRevision = number
	case 3:
		kv.ModRevision = number
	case 4:
		kv.Version = number
	case 6:
		kv.Lease = number
	}
}
