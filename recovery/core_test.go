package recovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// content is what a small database holds: buckets, and the pairs in them.
type content map[string]map[string]string

// makeDatabase commits as many transactions as are asked for, the content in the last of them, and leaves free pages behind.
func makeDatabase(t *testing.T, holds content, commits int, options bolt.Options) string {
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

// assertSound has bbolt check every page, and this package.
func assertSound(t *testing.T, path string) {
	t.Helper()
	err := viewDatabase(path, func(tx *bolt.Tx) error {
		var faults []error
		for fault := range tx.Check() {
			faults = append(faults, fault)
		}
		return errors.Join(faults...)
	})
	if err := errors.Join(err, checkPages(t.Context(), path)); err != nil {
		t.Error(err)
	}
}

func TestAListOfFreePagesIsLentAndGivenBack(t *testing.T) {
	small := content{"lease": {"a": "1"}, "key": {"b": "2"}}
	for _, pageSize := range []int{1024, 4096, 16384} {
		for commits := 3; commits <= 4; commits++ { // the newest meta page is the second one, and the first
			path := makeDatabase(t, small, commits, bolt.Options{PageSize: pageSize, NoFreelistSync: true})
			before, _ := metaOf(t, path)
			if err := lendFreeList(path); err != nil {
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
			assertSound(t, path)
			if got := bucketsOf(t, path); got["lease"]["a"] != "1" || got["key"]["b"] != "2" || got["key"]["c"] != "3" {
				t.Errorf("it holds %v", got)
			}
		}
	}
}

func TestADatabaseWithAListOfItsOwnIsLeftAlone(t *testing.T) {
	path := makeDatabase(t, content{"key": {"b": "2"}}, 3, bolt.Options{})
	before := digestOf(t, path)
	if err := lendFreeList(path); err != nil || digestOf(t, path) != before {
		t.Errorf("got %v, and a change: %t", err, digestOf(t, path) != before)
	}
}

func TestACoreIsMergedAndKeysStay(t *testing.T) {
	database := makeDatabase(t, content{
		"key": {"1": "one", "2": "two", "3": "three"}, "members": {"old": "m", "kept": "k"}, "gone": {"x": "y"}, "empty": {},
	}, 3, bolt.Options{NoFreelistSync: true})
	core := makeDatabase(t, content{
		"key": {"3": "three", "9": ""}, "members": {"new": "n", "kept": "changed"}, "meta": {"index": "7"}, "empty": {},
	}, 1, bolt.Options{})
	if err := mergeCore(core, database); err != nil {
		t.Fatal(err)
	}
	assertSound(t, database)
	if meta, size := metaOf(t, database); size != meta.imageBytes() {
		t.Errorf("it is %d bytes large and has %d", size, meta.imageBytes())
	}
	want := content{
		"key": {"1": "one", "2": "two", "3": "three", "9": ""}, "members": {"new": "n", "kept": "changed"},
		"meta": {"index": "7"}, "empty": {},
	}
	if got := bucketsOf(t, database); fmt.Sprint(got) != fmt.Sprint(map[string]map[string]string(want)) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestACoreWithOtherRecordsIsNotMerged(t *testing.T) {
	for name, records := range map[string]map[string]string{
		"the last one is gone": {}, "the last one is another": {"3": "four"}, "two are added": {"3": "three", "4": "", "5": ""},
		"one was put before it": {"0": "", "3": "three"}, "only the new one is there": {"9": ""},
	} {
		database := makeDatabase(t, content{"key": {"1": "one", "3": "three"}}, 2, bolt.Options{NoFreelistSync: true})
		core := makeDatabase(t, content{"key": records}, 1, bolt.Options{})
		if err := mergeCore(core, database); !errors.Is(err, errOtherRecords) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := bucketsOf(t, database)["key"]; len(got) != 2 || got["3"] != "three" {
			t.Errorf("%s: the keys are %v now", name, got)
		}
	}
}

func TestACoreHasTheLastRecordAndAllElse(t *testing.T) {
	leases := map[string]string{}
	for i := range 50_000 { // more than goes into one transaction
		leases[fmt.Sprintf("%06d", i)] = "a lease of some seconds, and more"
	}
	for name, keys := range map[string]map[string]string{"keys": {"1": "one", "2": "two", "3": "three"}, "none": {}} {
		source := makeDatabase(t, content{"key": keys, "lease": leases, "empty": {}}, 1, bolt.Options{})
		core := filepath.Join(t.TempDir(), "core")
		if err := makeCore(t.Context(), source, core); err != nil {
			t.Fatal(err)
		}
		got := bucketsOf(t, core)
		if len(got) != 3 || len(got["lease"]) != len(leases) || got["lease"]["049999"] != leases["049999"] {
			t.Errorf("%s: %d buckets, %d leases", name, len(got), len(got["lease"]))
		}
		if last := got["key"]; len(last) != min(1, len(keys)) || last["3"] != keys["3"] {
			t.Errorf("%s: the records are %v", name, last)
		}
	}
}

func TestDatabasesThatDifferAreToldApart(t *testing.T) {
	one := makeDatabase(t, content{"meta": {"a": "1"}, "empty": {}}, 1, bolt.Options{})
	for name, c := range map[string]struct {
		holds content
		same  bool
	}{
		"the same":    {content{"meta": {"a": "1"}, "empty": {}}, true},
		"a value":     {content{"meta": {"a": "2"}, "empty": {}}, false},
		"a key more":  {content{"meta": {"a": "1", "b": ""}, "empty": {}}, false},
		"a key less":  {content{"meta": {}, "empty": {}}, false},
		"a bucket":    {content{"meta": {"a": "1"}}, false},
		"more bucket": {content{"meta": {"a": "1"}, "empty": {}, "more": {}}, false},
	} {
		if same, err := sameContent(one, makeDatabase(t, c.holds, 2, bolt.Options{})); err != nil || same != c.same {
			t.Errorf("%s: %t, %v", name, same, err)
		}
	}
}
