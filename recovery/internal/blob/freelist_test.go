package blob

import (
	"errors"
	"os"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func metaOf(t *testing.T, path string) (meta boltMeta, sizeBytes int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // read only
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	meta, missing, err := readMeta(file, info.Size())
	if err != nil || missing >= 0 {
		t.Fatalf("meta page %d is bad: %v", missing, err)
	}
	return meta, info.Size()
}

func TestAListOfFreePagesIsLentAndGivenBack(t *testing.T) {
	small := recoverytest.Content{"lease": {"a": "1"}, "key": {"b": "2"}}
	for _, pageSize := range []int{1024, 4096, 16384} {
		for commits := 3; commits <= 4; commits++ { // the newest meta page is the second one, and the first
			path := recoverytest.MakeDatabase(t, small, commits, bolt.Options{PageSize: pageSize, NoFreelistSync: true})
			before, _ := metaOf(t, path)
			if err := LendFreeList(path); err != nil {
				t.Fatal(err)
			}
			lent, _ := metaOf(t, path)
			if before.freeList != boltNoFreeList || lent.freeList != uint64(before.highWater) || lent.txid != before.txid+1 {
				t.Errorf("the list is page %d of commit %d, after %d of %d", lent.freeList, lent.txid, before.freeList, before.txid)
			}
			db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			if free := db.Stats().FreePageN; free != 0 {
				t.Errorf("bbolt found %d free pages, so it walked", free)
			}
			err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("key")).Put([]byte("c"), []byte("3")) })
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			if after, _ := metaOf(t, path); after.freeList != boltNoFreeList {
				t.Errorf("a list stays behind, as page %d", after.freeList)
			}
			recoverytest.AssertSound(t, path)
			if err := CheckPages(t.Context(), path); err != nil {
				t.Error(err)
			}
			if got := recoverytest.BucketsOf(t, path); got["lease"]["a"] != "1" || got["key"]["b"] != "2" || got["key"]["c"] != "3" {
				t.Errorf("it holds %v", got)
			}
		}
	}
}

func TestADatabaseWithAListOfItsOwnIsLeftAlone(t *testing.T) {
	path := recoverytest.MakeDatabase(t, recoverytest.Content{"key": {"b": "2"}}, 3, bolt.Options{})
	before := recoverytest.DigestOf(t, path)
	if err := LendFreeList(path); err != nil || recoverytest.DigestOf(t, path) != before {
		t.Errorf("got %v, and a change: %t", err, recoverytest.DigestOf(t, path) != before)
	}
}
