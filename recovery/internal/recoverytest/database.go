package recoverytest

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Content is what a small database holds: buckets, and the pairs in them.
type Content map[string]map[string]string

// MakeDatabase commits as many transactions as are asked for, the content in the last of them, and leaves free pages behind.
func MakeDatabase(t *testing.T, holds Content, commits int, options bolt.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range commits {
		err = errors.Join(err, db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("filler"))
			if err != nil {
				return err
			}
			return bucket.Put([]byte("key"), fmt.Append(nil, make([]byte, 10000), i))
		}))
	}
	err = errors.Join(err, db.Update(func(tx *bolt.Tx) error {
		err := tx.DeleteBucket([]byte("filler"))
		for name, pairs := range holds {
			bucket, failed := tx.CreateBucket([]byte(name))
			err = errors.Join(err, failed)
			for key, value := range pairs {
				err = errors.Join(err, bucket.Put([]byte(key), []byte(value)))
			}
		}
		return err
	}))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// AssertSound has bbolt check every page.
func AssertSound(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var faults []error
	err = db.View(func(tx *bolt.Tx) error {
		for fault := range tx.Check() {
			faults = append(faults, fault)
		}
		return nil
	})
	if err := errors.Join(err, db.Close(), errors.Join(faults...)); err != nil {
		t.Error(err)
	}
}

// BucketsOf reads a whole database: the pairs of every bucket by its name.
func BucketsOf(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			all[string(name)] = map[string]string{}
			return bucket.ForEach(func(key, value []byte) error {
				all[string(name)][string(key)] = string(value)
				return nil
			})
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}
