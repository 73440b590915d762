package serve

import (
	"bytes"
	"context"
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// A restore changes little of a database: it replaces the members, sets the index and the term, and may add one revision to count
// on from (etcdutl/snapshot/v3_snapshot.go). For that etcdutl copies the file, opens it three or four times, and each time walks
// all of its pages and notes them (bbolt, DB.freepages): time and memory that grow with the database. So it is given the core of
// the source, which is all that it may look at or change, and what it made of the core is merged into a copy of the source.

// coreBatchBytes bounds a transaction in which a core is written, and so its memory.
const coreBatchBytes = 1 << 20

// makeCore makes a database of all buckets of the source but that of the keys; of the keys it has the last record, because that is
// where etcdutl counts on from when it bumps the revision. It looks at all pages of the source, as etcdutl has bbolt do.
func makeCore(ctx context.Context, source, path string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	core, err := newCore(path)
	if err != nil {
		return err
	}
	var lastKey []byte
	var last blob.Entry
	err = blob.ReadPages(ctx, source, blob.Visitor{Bucket: core.bucket, Entry: func(e blob.Entry) error {
		if !isKeys(e.Bucket) {
			return core.entry(e)
		}
		lastKey, last = append(lastKey[:0], e.Key...), e.In(in)
		return nil
	}})
	if err == nil && lastKey != nil {
		last.Bucket, last.Key = schema.Key.Name(), lastKey
		err = core.entry(last)
	}
	return errors.Join(err, core.close(err == nil))
}

func isKeys(bucket []byte) bool { return bytes.Equal(bucket, schema.Key.Name()) }

// core is a small database that is being written.
type core struct {
	db    *bolt.DB
	batch []func(*bolt.Tx) error
	bytes int
}

func newCore(path string) (*core, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, NoSync: true})
	return &core{db: db}, err
}

func (c *core) bucket(name []byte) error {
	return c.add(len(name), func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(name)
		return err
	})
}

func (c *core) entry(e blob.Entry) error {
	value, err := e.AppendValue(nil)
	if err != nil {
		return err
	}
	name, key := bytes.Clone(e.Bucket), bytes.Clone(e.Key)
	return c.add(len(key)+len(value), func(tx *bolt.Tx) error {
		if err := tx.Bucket(name).Put(key, value); err != nil { // an empty key, or one that is too long
			return undecodable(name, err)
		}
		return nil
	})
}

func (c *core) add(bytes int, write func(*bolt.Tx) error) error {
	c.batch, c.bytes = append(c.batch, write), c.bytes+bytes
	if c.bytes < coreBatchBytes {
		return nil
	}
	return c.flush()
}

func (c *core) flush() error {
	err := c.db.Update(func(tx *bolt.Tx) error {
		for _, write := range c.batch {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.batch, c.bytes = c.batch[:0], 0
	return err
}

// close writes what is left, if the core is to be complete.
func (c *core) close(complete bool) (err error) {
	if complete {
		err = c.flush()
	}
	return errors.Join(err, c.db.Close())
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
				if isKeys(name) {
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
