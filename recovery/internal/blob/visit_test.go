package blob

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// shownIn is what a visitor is shown, and whether every bucket's keys came in their order.
func shownIn(t *testing.T, path string) (map[string]map[string]string, error) {
	t.Helper()
	shown, last := map[string]map[string]string{}, ""
	err := ReadPages(t.Context(), path, Visitor{
		Bucket: func(name []byte) error {
			shown[string(name)], last = map[string]string{}, ""
			return nil
		},
		Entry: func(e Entry) error {
			value, err := e.AppendValue([]byte("value:"))
			if string(e.Key) <= last {
				t.Errorf("%q comes after %q", e.Key, last)
			}
			last = string(e.Key)
			shown[string(e.Bucket)][last] = strings.TrimPrefix(string(value), "value:")
			return err
		},
	})
	return shown, err
}

func TestAVisitorIsShownWhatBboltReads(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the seed is printed, so that a failure can be had again
	passed := 0
	for range 10 {
		content := recoverytest.Content{}
		for bucket := range 1 + random.IntN(4) {
			pairs := map[string]string{}
			for range random.IntN(1 + 1000*bucket) {
				pairs[fmt.Sprint("key", random.IntN(100_000))] = strings.Repeat("v", random.IntN(1+random.IntN(1+random.IntN(9000))))
			}
			content[fmt.Sprint("bucket", bucket)] = pairs
		}
		path := recoverytest.MakeDatabase(t, content, 1+random.IntN(3), bolt.Options{
			NoFreelistSync: random.IntN(2) == 0, PageSize: 1024 << random.IntN(3), NoSync: true,
		})
		if shown, err := shownIn(t, path); err != nil || !reflect.DeepEqual(shown, map[string]map[string]string(content)) {
			t.Fatalf("seed %d: it holds %d buckets, %d are shown, or other keys; %v", seed, len(content), len(shown), err)
		}
		data := recoverytest.ReadAll(t, path)
		for range 30 { // what was changed and passes is shown as it is now
			at := random.IntN(len(data))
			changed := slices.Clone(data)
			changed[at] ^= byte(1 << random.IntN(8))
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			shown, err := shownIn(t, path)
			if errors.Is(err, recovery.ErrBadStructure) {
				continue
			}
			if passed++; err != nil || !reflect.DeepEqual(shown, recoverytest.BucketsOf(t, path)) {
				t.Fatalf("seed %d, byte %d: another content is shown than bbolt reads; %v", seed, at, err)
			}
		}
	}
	if passed == 0 {
		t.Error("whatever was changed was refused")
	}
}

func TestAValueCanBeReadAfterTheVisit(t *testing.T) {
	path := recoverytest.MakeDatabase(t, recoverytest.Content{"b": {"k1": "small", "k2": strings.Repeat("large", 3000)}}, 1, bolt.Options{})
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var kept []Entry
	err = ReadPages(t.Context(), path, Visitor{Bucket: func([]byte) error { return nil }, Entry: func(e Entry) error {
		kept = append(kept, e.In(file))
		return nil
	}})
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	for i, want := range []string{"small", strings.Repeat("large", 3000)} {
		if got, err := kept[i].AppendValue(nil); err != nil || string(got) != want {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
		}
	}
}

func TestAVisitorIsToldOfBucketsInBuckets(t *testing.T) {
	path := t.TempDir() + "/db"
	if err := os.WriteFile(path, forest(t, false), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := shownIn(t, path); !errors.Is(err, recovery.ErrBadStructure) || !strings.Contains(fmt.Sprint(err), `"nest" holds a bucket`) {
		t.Errorf("got %v", err)
	}
}

func TestAVisitorEndsTheVisit(t *testing.T) {
	path := recoverytest.MakeDatabase(t, recoverytest.Content{"a": {"k": "v"}, "b": {"k": "v"}}, 1, bolt.Options{})
	enough := errors.New("enough")
	for name, visitor := range map[string]Visitor{
		"bucket": {Bucket: func([]byte) error { return enough }, Entry: func(Entry) error { return nil }},
		"entry":  {Bucket: func([]byte) error { return nil }, Entry: func(Entry) error { return enough }},
	} {
		if err := ReadPages(t.Context(), path, visitor); !errors.Is(err, enough) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
