package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// forest makes a database with branches, pages that overflow, buckets in buckets, inline and not, and free pages; with a list of
// these or without one.
func forest(t *testing.T, listed bool) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoFreelistSync: !listed, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(tx *bolt.Tx, name string, keys, valueBytes int) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(name))
		for i := range keys {
			err = errors.Join(err, bucket.Put(fmt.Appendf(nil, "%s-%05d", name, i), make([]byte, valueBytes)))
		}
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		nested, err := tx.CreateBucket([]byte("nest"))
		if err != nil {
			return err
		}
		inline, err := nested.CreateBucket([]byte("inline"))
		if err != nil {
			return err
		}
		return errors.Join(inline.Put([]byte("a"), []byte("b")), fill(tx, "many", 3000, 20), fill(tx, "large", 5, 5000), fill(tx,
			"gone", 500, 20))
	})
	err = errors.Join(err, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("gone")) }))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	recoverytest.AssertSound(t, path)
	if err := CheckPages(t.Context(), path); err != nil {
		t.Error(err)
	}
	return recoverytest.ReadAll(t, path)
}

// branchIn returns where a branch of the bucket "many" lies that has leaves below it.
func branchIn(data []byte) int {
	for at := 2048; at < len(data); at += 1024 {
		if binary.LittleEndian.Uint16(data[at+8:]) != boltBranchPage || binary.LittleEndian.Uint64(data[at:]) != uint64(at/1024) {
			continue
		}
		key := at + 16 + int(binary.LittleEndian.Uint32(data[at+16:]))
		below := int(binary.LittleEndian.Uint64(data[at+16+8:])) * 1024
		if strings.HasPrefix(string(data[key:]), "many") && binary.LittleEndian.Uint16(data[below+8:]) == boltLeafPage {
			return at
		}
	}
	panic("no branch has leaves")
}

func TestEveryFaultOfAPageIsNamed(t *testing.T) {
	put16 := func(d []byte, at int, v uint16) { binary.LittleEndian.PutUint16(d[at:], v) }
	put32 := func(d []byte, at int, v uint32) { binary.LittleEndian.PutUint32(d[at:], v) }
	put64 := func(d []byte, at int, v uint64) { binary.LittleEndian.PutUint64(d[at:], v) }
	child := func(d []byte, branch, i int) uint64 { return binary.LittleEndian.Uint64(d[branch+16+16*i+8:]) }
	for name, c := range map[string]struct {
		listed bool
		spoil  func(d []byte)
		want   string
	}{
		"another number":       {false, func(d []byte) { put64(d, int(child(d, branchIn(d), 0))*1024, 7) }, "says that it is page 7"},
		"no kind":              {false, func(d []byte) { put16(d, branchIn(d)+8, 0) }, "neither a branch nor a leaf"},
		"too many entries":     {false, func(d []byte) { put16(d, branchIn(d)+10, 0xFFFF) }, "no room for its 65535 entries"},
		"overflow":             {false, func(d []byte) { put32(d, int(child(d, branchIn(d), 0))*1024+12, 1<<30) }, "lies behind the end"},
		"behind the end":       {false, func(d []byte) { put64(d, branchIn(d)+16+8, 1<<40) }, "lies behind the end"},
		"two places":           {false, func(d []byte) { put64(d, branchIn(d)+16+16+8, child(d, branchIn(d), 0)) }, "more than one place"},
		"itself":               {false, func(d []byte) { put64(d, branchIn(d)+16+8, uint64(branchIn(d)/1024)) }, "more than one place"},
		"a key outside":        {false, func(d []byte) { put32(d, int(child(d, branchIn(d), 0))*1024+16+4, 1<<31) }, "entry 0 lies outside"},
		"a key before its low": {false, func(d []byte) { moveKey(d, int(child(d, branchIn(d), 1))*1024, 0, "a") }, "out of order"},
		"a key from its high":  {false, func(d []byte) { moveKey(d, int(child(d, branchIn(d), 0))*1024, -1, "z") }, "out of order"},
		"lost": {true, func(d []byte) { put16(d, listIn(d)+10, binary.LittleEndian.Uint16(d[listIn(d)+10:])-1) },
			"neither in use nor free"},
		"free and in use": {true, func(d []byte) { put64(d, listIn(d)+16, child(d, branchIn(d), 0)) }, "more than one place"},
		"no list":         {true, func(d []byte) { put16(d, listIn(d)+8, boltLeafPage) }, "no list of free pages"},
		"a list too long": {true, func(d []byte) { put16(d, listIn(d)+10, 5000) }, "no room for a list"},
	} {
		data := forest(t, c.listed)
		c.spoil(data)
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckPages(t.Context(), path); !errors.Is(err, recovery.ErrBadStructure) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// listIn returns where the list of free pages lies.
func listIn(data []byte) int {
	newest, list := uint64(0), 0
	for _, meta := range []int{0, 1024} {
		if txid := binary.LittleEndian.Uint64(data[meta+16+48:]); txid >= newest {
			newest, list = txid, int(binary.LittleEndian.Uint64(data[meta+16+32:]))*1024
		}
	}
	return list
}

// moveKey changes the first letter of a key in a leaf; -1 is the last entry.
func moveKey(data []byte, leaf, entry int, first string) {
	if entry < 0 {
		entry += int(binary.LittleEndian.Uint16(data[leaf+10:]))
	}
	at := leaf + 16 + 16*entry
	copy(data[at+int(binary.LittleEndian.Uint32(data[at+4:])):], first)
}

// TestWhatPassesCanBeRead changes bytes of databases at random: whatever becomes of them, the look at their pages ends and says so, or
// bbolt can read every key.
func TestWhatPassesCanBeRead(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the seed is printed, so that a failure can be had again
	refused, passed := 0, 0
	for _, listed := range []bool{true, false} {
		data := forest(t, listed)
		path := filepath.Join(t.TempDir(), "db")
		for range 1500 {
			page := random.IntN(len(data)/1024) * 1024
			at := page + random.IntN(80) // where numbers stand
			before := data[at]
			data[at] ^= byte(1 << random.IntN(8))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			switch err := CheckPages(t.Context(), path); {
			case errors.Is(err, recovery.ErrBadStructure):
				refused++
			case err != nil:
				t.Fatalf("seed %d, byte %d: %v", seed, at, err)
			default:
				passed++
				if err := readWhole(path); err != nil {
					t.Fatalf("seed %d, byte %d passes, and %v", seed, at, err)
				}
			}
			data[at] = before
		}
	}
	t.Logf("%d were refused, %d passed", refused, passed)
	if refused == 0 || passed == 0 {
		t.Errorf("%d were refused, %d passed: nothing was tried", refused, passed)
	}
}

// readWhole has bbolt read every key; a panic of it is an error, as is a fault of memory.
func readWhole(path string) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(db.View(walkAll), db.Close())
}

func walkAll(tx *bolt.Tx) error {
	var walk func(*bolt.Bucket) error
	walk = func(b *bolt.Bucket) error {
		return b.ForEach(func(key, value []byte) error {
			if value == nil && b.Bucket(key) != nil {
				return walk(b.Bucket(key))
			}
			return nil
		})
	}
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return walk(b) })
}
