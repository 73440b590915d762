package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"
)

func smallSpec() Spec { return Spec{SizeBytes: 2 << 20, ValueBytes: 1000, Revisions: 1, Seed: 1} }

func TestADataSetHasAboutTheSizeThatWasAskedFor(t *testing.T) {
	for _, spec := range []Spec{
		{SizeBytes: 16 << 20, ValueBytes: 1024, Revisions: 1},
		{SizeBytes: 16 << 20, ValueBytes: 100, Revisions: 4, Leases: 10},
		{SizeBytes: 16 << 20, ValueBytes: 3000, Revisions: 2},
		{SizeBytes: 16 << 20, ValueBytes: 100_000, Revisions: 1},
		{SizeBytes: 4 << 20, ValueBytes: 0, Revisions: 1},
	} {
		set, err := Cache{Dir: t.TempDir()}.Get(t.Context(), spec, Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Abs(float64(set.SizeBytes)/float64(spec.SizeBytes) - 1); off > 0.03 {
			t.Errorf("%+v: the snapshot has %d bytes, %.1f %% off", spec, set.SizeBytes, 100*off)
		}
		if got := len(valuesOf(t, set.Path)); int64(got) != set.Records || set.Records != set.Keys*int64(spec.Revisions) {
			t.Errorf("%+v: %d records, %+v", spec, got, set)
		}
	}
}

func TestTheSameSpecMakesTheSameFile(t *testing.T) {
	for _, form := range []Form{Snapshot, Database} {
		sums := map[string]bool{}
		for range 2 {
			set, err := Cache{Dir: t.TempDir()}.Get(t.Context(), smallSpec(), form)
			if err != nil {
				t.Fatal(err)
			}
			sums[set.SHA256] = true
		}
		other := smallSpec()
		other.Seed++
		set, err := Cache{Dir: t.TempDir()}.Get(t.Context(), other, form)
		if err != nil {
			t.Fatal(err)
		}
		if len(sums) != 1 || sums[set.SHA256] {
			t.Errorf("%s: digests of the same are %v, of another seed %s", form, sums, set.SHA256)
		}
	}
}

func TestASnapshotEndsWithItsHash(t *testing.T) {
	set, err := Cache{Dir: t.TempDir()}.Get(t.Context(), smallSpec(), Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(set.Path)
	if err != nil {
		t.Fatal(err)
	}
	body, trailer := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if sum := sha256.Sum256(body); string(sum[:]) != string(trailer) || len(body)%pageBytes != 0 {
		t.Errorf("%d bytes, their hash is %x, behind them is %x", len(body), sum, trailer)
	}
}

func TestWhatIsDamagedInTheCacheIsMadeAgain(t *testing.T) {
	var told []string
	cache := Cache{Dir: t.TempDir(), Progress: func(line string) { told = append(told, line) }}
	first, err := cache.Get(t.Context(), smallSpec(), Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"nothing":   func() error { return nil },
		"a bit":     func() error { return edit(first.Path, func(data []byte) []byte { data[9000] ^= 1; return data }) },
		"the end":   func() error { return edit(first.Path, func(data []byte) []byte { return data[:len(data)-pageBytes] }) },
		"the file":  func() error { return os.Remove(first.Path) },
		"manifest":  func() error { return edit(manifestOf(first.Path), func([]byte) []byte { return []byte("{") }) },
		"other":     func() error { return edit(manifestOf(first.Path), replace(`"seed": "1"`, `"seed": "2"`)) },
		"builder":   func() error { return edit(manifestOf(first.Path), replace(`"builder": 2`, `"builder": 0`)) },
		"left over": func() error { return os.Mkdir(filepath.Join(cache.Dir, ".making-dead"), 0o700) },
	} {
		told = nil
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		again, err := cache.Get(t.Context(), smallSpec(), Snapshot)
		if err != nil || again != first {
			t.Errorf("%s: got %+v, %v; it was %+v", name, again, err, first)
		}
		_, sum, err := digest(t.Context(), again.Path)
		if err != nil || sum != first.SHA256 {
			t.Errorf("%s: the file has the digest %s, %v", name, sum, err)
		}
		silent := name == "nothing" || name == "left over"
		if silent != (len(told) == 0) {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

func TestAMakingThatIsCutShortLeavesNoDataSet(t *testing.T) {
	reason := errors.New("somebody pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cache := Cache{Dir: t.TempDir(), Progress: func(string) { cancel(reason) }}
	spec := smallSpec()
	spec.SizeBytes = 20 << 20
	if _, err := cache.Get(ctx, spec, Snapshot); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(cache.Dir)
	if err != nil || len(left) != 1 || left[0].Name() != "lock" {
		t.Errorf("the cache holds %v, %v", left, err)
	}
}

func TestImpossibleDataSetsAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Spec){
		"size in bytes":      func(s *Spec) { s.SizeBytes = 4096 },
		"bytes of a value":   func(s *Spec) { s.ValueBytes = 2 << 20 },
		"revisions of a key": func(s *Spec) { s.Revisions = 0 },
		"leases":             func(s *Spec) { s.Leases = -1 },
		"of etcd 3.4":        func(s *Spec) { s.Minor = "3.4" },
	} {
		spec := smallSpec()
		spoil(&spec)
		_, err := Cache{Dir: t.TempDir()}.Get(t.Context(), spec, Snapshot)
		if !errors.Is(err, ErrBadSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := (Cache{Dir: t.TempDir()}).Get(t.Context(), smallSpec(), "tape"); !errors.Is(err, ErrBadSpec) {
		t.Errorf("got %v for an unknown form", err)
	}
}

func edit(path string, change func([]byte) []byte) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, change(data), 0o600)
}

func replace(old, with string) func([]byte) []byte {
	return func(data []byte) []byte { return []byte(strings.Replace(string(data), old, with, 1)) }
}

// valuesOf returns the values of all records in the order of their revisions.
func valuesOf(t *testing.T, path string) []string {
	t.Helper()
	var values []string
	view(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket(schema.Key.Name()).ForEach(func(_, value []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(value, &kv); err != nil {
				return err
			}
			values = append(values, string(kv.Value))
			return nil
		})
	})
	return values
}
