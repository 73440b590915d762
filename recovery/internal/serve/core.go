package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// A restore changes little of a database: it replaces the members, sets the index and the term, and may add one revision to count
// on from (etcdutl/snapshot/v3_snapshot.go). For that etcdutl copies the file, opens it three or four times, and each time walks
// all of its pages and notes them (bbolt, DB.freepages): time and memory that grow with the database. So it is given the core of
// the source, which is all that it may look at or change, and what it made of the core is merged into a copy of the source.

// coreBatchBytes bounds a transaction in which a core is written, and so its memory.
const coreBatchBytes = 1 << 20

// makeCore makes a database of all buckets of the source but that of the keys; of the keys it has the last record, because that is
// where etcdutl counts on from when it bumps the revision.
func makeCore(ctx context.Context, source, path string) error {
	return viewDatabase(source, func(tx *bolt.Tx) error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, NoSync: true})
		if err != nil {
			return err
		}
		err = tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			cursor := bucket.Cursor()
			if bytes.Equal(name, schema.Key.Name()) {
				return copyRest(ctx, db, name, cursor, cursor.Last)
			}
			return copyRest(ctx, db, name, cursor, cursor.First)
		})
		return errors.Join(err, db.Close())
	})
}

// copyRest copies a bucket from where begin puts the cursor to its end.
func copyRest(ctx context.Context, db *bolt.DB, name []byte, cursor *bolt.Cursor, begin func() (key, value []byte)) error {
	key, value := begin()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := db.Update(func(tx *bolt.Tx) error {
			into, err := tx.CreateBucketIfNotExists(name)
			for size := 0; err == nil && key != nil && size < coreBatchBytes; key, value = cursor.Next() {
				if value == nil {
					return fmt.Errorf("%w: bucket %q holds a bucket, and none of etcd's does", recovery.ErrBadStructure, name)
				}
				size += len(key) + len(value)
				err = into.Put(key, value)
			}
			return err
		})
		if err != nil || key == nil {
			return err
		}
	}
}

// sameContent tells whether two databases hold the same.
func sameContent(one, other string) (same bool, err error) {
	err = viewDatabase(one, func(a *bolt.Tx) error {
		return viewDatabase(other, func(b *bolt.Tx) error {
			same = holds(a, b) && holds(b, a)
			return nil
		})
	})
	return same, err
}

// holds tells whether all that is in b is in a as well.
func holds(a, b *bolt.Tx) bool {
	all := true
	_ = b.ForEach(func(name []byte, want *bolt.Bucket) error { // fails only if the function does
		have := a.Bucket(name)
		if have == nil {
			all = false
			return nil
		}
		return want.ForEach(func(key, value []byte) error {
			is := have.Get(key)
			all = all && is != nil && bytes.Equal(is, value)
			return nil
		})
	})
	return all
}

// errOtherRecords means that etcdutl did with keys what no etcdutl is known to do.
var errOtherRecords = errors.New("etcdutl changed the records of keys otherwise than by adding one at their end")

// mergeCore gives the database the content of a restored core, and leaves all records of keys where they are. It needs no memory
// for what it does not change.
func mergeCore(core, path string) error {
	if err := blob.LendFreeList(path); err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = viewDatabase(core, func(made *bolt.Tx) error { // around the other, which holds on to its values
		return db.Update(func(tx *bolt.Tx) error {
			if err := dropBuckets(tx, made); err != nil {
				return err
			}
			return made.ForEach(func(name []byte, bucket *bolt.Bucket) error {
				into, err := tx.CreateBucketIfNotExists(name)
				if err != nil {
					return err
				}
				if bytes.Equal(name, schema.Key.Name()) {
					return mergeLastRecord(into, bucket)
				}
				return mergeBucket(into, bucket)
			})
		})
	})
	return errors.Join(err, db.Close(), blob.CutToPages(path))
}

// dropBuckets removes the buckets that are not in the model.
func dropBuckets(tx, model *bolt.Tx) error {
	var gone [][]byte
	err := tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
		if model.Bucket(name) == nil {
			gone = append(gone, bytes.Clone(name))
		}
		return nil
	})
	for _, name := range gone {
		err = errors.Join(err, tx.DeleteBucket(name))
	}
	return err
}

// mergeBucket makes a bucket equal to the model.
func mergeBucket(into, model *bolt.Bucket) error {
	var gone [][]byte
	err := into.ForEach(func(key, _ []byte) error {
		if model.Get(key) == nil {
			gone = append(gone, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range gone {
		err = errors.Join(err, into.Delete(key))
	}
	if err != nil {
		return err
	}
	return model.ForEach(func(key, value []byte) error {
		if have := into.Get(key); have != nil && bytes.Equal(have, value) {
			return nil
		}
		return into.Put(key, value)
	})
}

// mergeLastRecord adds the record that a bump makes. The core had the last one of the source, and nothing else.
func mergeLastRecord(into, model *bolt.Bucket) error {
	cursor := model.Cursor()
	key, value := cursor.First()
	if last, is := into.Cursor().Last(); last != nil {
		if !bytes.Equal(key, last) || !bytes.Equal(value, is) {
			return errOtherRecords
		}
		key, value = cursor.Next()
	}
	if key == nil {
		return nil
	}
	if more, _ := cursor.Next(); more != nil {
		return errOtherRecords
	}
	return into.Put(key, value)
}
