package serve

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestACoreIsMergedAndKeysStay(t *testing.T) {
	database := recoverytest.MakeDatabase(t, recoverytest.Content{
		"key": {"1": "one", "2": "two", "3": "three"}, "members": {"old": "m", "kept": "k"}, "gone": {"x": "y"}, "empty": {},
	}, 3, bolt.Options{NoFreelistSync: true})
	core := recoverytest.MakeDatabase(t, recoverytest.Content{
		"key": {"3": "three", "9": ""}, "members": {"new": "n", "kept": "changed"}, "meta": {"index": "7"}, "empty": {},
	}, 1, bolt.Options{})
	if err := mergeCore(core, database); err != nil {
		t.Fatal(err)
	}
	recoverytest.AssertSound(t, database)
	if err := blob.CheckPages(t.Context(), database); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(database)
	if err != nil {
		t.Fatal(err)
	}
	if used := blob.ImageBytes(database, info.Size()); info.Size() != used {
		t.Errorf("it is %d bytes large and has %d", info.Size(), used)
	}
	want := recoverytest.Content{
		"key": {"1": "one", "2": "two", "3": "three", "9": ""}, "members": {"new": "n", "kept": "changed"},
		"meta": {"index": "7"}, "empty": {},
	}
	if got := recoverytest.BucketsOf(t, database); fmt.Sprint(got) != fmt.Sprint(map[string]map[string]string(want)) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestACoreWithOtherRecordsIsNotMerged(t *testing.T) {
	for name, records := range map[string]map[string]string{
		"the last one is gone": {}, "the last one is another": {"3": "four"}, "two are added": {"3": "three", "4": "", "5": ""},
		"one was put before it": {"0": "", "3": "three"}, "only the new one is there": {"9": ""},
	} {
		database := recoverytest.MakeDatabase(t, recoverytest.Content{"key": {"1": "one", "3": "three"}}, 2, bolt.Options{NoFreelistSync: true})
		core := recoverytest.MakeDatabase(t, recoverytest.Content{"key": records}, 1, bolt.Options{})
		if err := mergeCore(core, database); !errors.Is(err, errOtherRecords) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := recoverytest.BucketsOf(t, database)["key"]; len(got) != 2 || got["3"] != "three" {
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
		source := recoverytest.MakeDatabase(t, recoverytest.Content{"key": keys, "lease": leases, "empty": {}}, 1, bolt.Options{})
		core := filepath.Join(t.TempDir(), "core")
		if err := makeCore(t.Context(), source, core); err != nil {
			t.Fatal(err)
		}
		got := recoverytest.BucketsOf(t, core)
		if len(got) != 3 || len(got["lease"]) != len(leases) || got["lease"]["049999"] != leases["049999"] {
			t.Errorf("%s: %d buckets, %d leases", name, len(got), len(got["lease"]))
		}
		if last := got["key"]; len(last) != min(1, len(keys)) || last["3"] != keys["3"] {
			t.Errorf("%s: the records are %v", name, last)
		}
	}
}

func TestDatabasesThatDifferAreToldApart(t *testing.T) {
	one := recoverytest.MakeDatabase(t, recoverytest.Content{"meta": {"a": "1"}, "empty": {}}, 1, bolt.Options{})
	for name, c := range map[string]struct {
		holds recoverytest.Content
		same  bool
	}{
		"the same":    {recoverytest.Content{"meta": {"a": "1"}, "empty": {}}, true},
		"a value":     {recoverytest.Content{"meta": {"a": "2"}, "empty": {}}, false},
		"a key more":  {recoverytest.Content{"meta": {"a": "1", "b": ""}, "empty": {}}, false},
		"a key less":  {recoverytest.Content{"meta": {}, "empty": {}}, false},
		"a bucket":    {recoverytest.Content{"meta": {"a": "1"}}, false},
		"more bucket": {recoverytest.Content{"meta": {"a": "1"}, "empty": {}, "more": {}}, false},
	} {
		if same, err := sameContent(one, recoverytest.MakeDatabase(t, c.holds, 2, bolt.Options{})); err != nil || same != c.same {
			t.Errorf("%s: %t, %v", name, same, err)
		}
	}
}

func TestACoreRefusesWhatNoDatabaseCanHold(t *testing.T) {
	path := recoverytest.MakeDatabase(t, recoverytest.Content{"key": {"1": "one"}, "members": {"k": "value of the key"}}, 1, bolt.Options{})
	data := recoverytest.ReadAll(t, path)
	at := bytes.LastIndex(data, []byte("kvalue of the key"))
	// In the leaf's entry the key has length 1; it is made 0, and the value one longer.
	header := bytes.LastIndex(data[:at], []byte{1, 0, 0, 0, byte(len("value of the key")), 0, 0, 0})
	data[header], data[header+4] = 0, data[header+4]+1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	err := makeCore(t.Context(), path, filepath.Join(t.TempDir(), "core"))
	if !errors.Is(err, recovery.ErrBadStructure) || !strings.Contains(fmt.Sprint(err), `bucket "members"`) {
		t.Errorf("got %v", err)
	}
}
