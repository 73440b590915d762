package recovery

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"
)

// damage changes the bytes of a source; want is what Check must say, nil for nothing.
type damage struct {
	name         string
	do           func(t *testing.T, data []byte) []byte
	wantSnapshot error
	wantDB       error
}

func damages() []damage {
	return []damage{
		{"intact", func(_ *testing.T, d []byte) []byte { return d }, nil, nil},
		{"empty", func(*testing.T, []byte) []byte { return nil }, ErrEmpty, ErrEmpty},
		{"20 bytes", func(_ *testing.T, d []byte) []byte { return d[:20] }, ErrNoHash, ErrNotBolt},
		{"100 bytes", func(_ *testing.T, d []byte) []byte { return d[:100] }, ErrNoHash, ErrTruncated},
		{"half", func(_ *testing.T, d []byte) []byte { return d[:half(d)] }, ErrNoHash, ErrTruncated},
		{"half that looks hashed", func(_ *testing.T, d []byte) []byte { return d[:half(d)+32] }, ErrBadHash, ErrTruncated},
		{"last 32 bytes cut", func(_ *testing.T, d []byte) []byte { return d[:len(d)-32] }, ErrNoHash, ErrTruncated},
		{"1 byte appended", func(_ *testing.T, d []byte) []byte { return append(d, 0) }, ErrNoHash, ErrMisaligned},
		{"512 bytes appended", func(_ *testing.T, d []byte) []byte { return append(d, make([]byte, 512)...) }, ErrBadHash, ErrMisaligned},
		{"zeros", func(_ *testing.T, d []byte) []byte { return make([]byte, len(d)) }, ErrBadHash, ErrNotBolt},
		{"random", randomBytes, ErrBadHash, ErrNotBolt},
		{"last bit flipped", func(_ *testing.T, d []byte) []byte { d[len(d)-1] ^= 1; return d }, ErrBadHash, nil},
		{"value byte flipped", flipValue, ErrBadHash, nil},
		{"one meta damaged", func(_ *testing.T, d []byte) []byte { d[20] ^= 1; return d }, ErrBadHash, nil},
		{"both metas damaged", func(_ *testing.T, d []byte) []byte { d[20] ^= 1; d[4096+20] ^= 1; return d }, ErrBadHash, ErrNotBolt},
		{"inner page zeroed", zeroInnerPage, ErrBadHash, ErrBadStructure},
		{"inner page points nowhere", misleadInnerPage, ErrBadHash, ErrBadStructure},
	}
}

func TestCheckNamesEveryDamage(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 300)
	for kind, good := range map[Kind]string{SavedSnapshot: b.snapshot, DBCopy: b.db} {
		for _, damage := range damages() {
			t.Run(string(kind)+"/"+damage.name, func(t *testing.T) {
				worker := testWorker(t, "serve")
				path := filepath.Join(t.TempDir(), "source")
				if err := os.WriteFile(path, damage.do(t, readAll(t, good)), 0o400); err != nil {
					t.Fatal(err)
				}
				before, want := digestOf(t, path), damage.wantDB
				if kind == SavedSnapshot {
					want = damage.wantSnapshot
				}
				source, err := Check(ctx, worker, kind, path)
				if want == nil && err != nil || !errors.Is(err, want) || ProvedBad(err) != (want != nil) {
					t.Errorf("got %v (proved bad: %t), want %v", err, ProvedBad(err), want)
				}
				if err == nil && source.RestorePoint != b.live.revision {
					t.Errorf("restore point %d, want %d", source.RestorePoint, b.live.revision)
				}
				var bad *SourceError
				if want != nil && (!errors.As(err, &bad) || bad.Path != path) {
					t.Errorf("%v does not name the file", err)
				}
				if err != nil {
					t.Log(err)
				}
				if after := digestOf(t, path); after != before {
					t.Error("the source was changed")
				}
				assertEmpty(t, worker.Scratch)
			})
		}
	}
}

func TestCheckWarnsOfADamagedMetaPage(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 20)
	touchByte(t, b.db, 20)
	source, err := Check(ctx, testWorker(t, "serve"), DBCopy, b.db)
	if err != nil || len(source.Warnings) != 1 {
		t.Errorf("got %v and warnings %q, want one", err, source.Warnings)
	}
}

func TestCheckCannotReadWhatIsNotThere(t *testing.T) {
	worker := testWorker(t, "serve")
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir()} {
		_, err := Check(testContext(t), worker, DBCopy, path)
		if !errors.Is(err, ErrUnreadable) || ProvedBad(err) {
			t.Errorf("%s: got %v, want ErrUnreadable", path, err)
		}
	}
	if _, err := Check(t.Context(), worker, "tape", "x"); err == nil {
		t.Error("an unknown kind was accepted")
	}
	assertEmpty(t, worker.Scratch)
}

func TestCheckWantsABackendOfEtcd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(testContext(t), testWorker(t, "serve"), DBCopy, path); !errors.Is(err, ErrBadStructure) {
		t.Errorf("got %v for another program's database", err)
	}
}

func TestAWorkerThatDiesOfTheFileBlamesTheFile(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 300)
	data := readAll(t, b.db)
	// A leaf whose first key lies far outside the mapping: a goroutine of bbolt gives up, which ends the process.
	binary.LittleEndian.PutUint32(leafPage(t, data)[16+4:], 0x7ffffff0)
	if err := os.WriteFile(b.db, data, 0o600); err != nil {
		t.Fatal(err)
	}
	worker := testWorker(t, "serve")
	_, err := Check(ctx, worker, DBCopy, b.db)
	var death *WorkerError
	if !errors.Is(err, ErrBadStructure) || !errors.As(err, &death) || death.ExitCode != 2 || len(death.Last) == 0 {
		t.Errorf("got %v, want a dead worker and ErrBadStructure", err)
	}
	t.Log(err)
	assertEmpty(t, worker.Scratch)
}

// An unfinished compaction: the point that a server shows is the scheduled one, and it also lifts the revision.
func TestCheckCountsAScheduledCompaction(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 60)
	scheduled := b.live.revision + 5
	editMeta(t, b.db, schema.ScheduledCompactKeyName, scheduled)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, DBCopy, b.db)
	if err != nil {
		t.Fatal(err)
	}
	if source.RestorePoint != scheduled || source.Compacted != scheduled || source.Keys != int64(len(b.live.keyspace)) {
		t.Errorf("got %+v, want revision and compaction %d", source, scheduled)
	}
	hash := extractAndBoot(t, ctx, worker, source)
	t.Logf("HashKV %d at %d", hash, scheduled)
}

func editMeta(t *testing.T, path string, key []byte, rev int64) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := make([]byte, 17)
	binary.BigEndian.PutUint64(stored, uint64(rev))
	stored[8] = '_'
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(schema.Meta.Name()).Put(key, stored) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func half(d []byte) int { return len(d) / 1024 * 512 }

func randomBytes(_ *testing.T, d []byte) []byte {
	_, _ = rand.Read(d) // never fails
	return d
}

// flipValue changes a byte in the middle of a reachable value, which no structure check can see.
func flipValue(t *testing.T, d []byte) []byte {
	t.Helper()
	leaf := leafPage(t, d)
	at := bytes.Index(leaf, bytes.Repeat([]byte("v"), 300))
	if at < 0 {
		t.Fatal("no value found")
	}
	leaf[at+150] ^= 0x20
	return d
}

// zeroInnerPage clears the header of the branch page of the "key" bucket.
func zeroInnerPage(t *testing.T, d []byte) []byte {
	t.Helper()
	clear(branchPage(t, d)[:16])
	return d
}

// misleadInnerPage makes a branch page point behind the end of the database.
func misleadInnerPage(t *testing.T, d []byte) []byte {
	t.Helper()
	binary.LittleEndian.PutUint64(branchPage(t, d)[16+8:], 1<<30)
	return d
}

func branchPage(t *testing.T, d []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "look.db")
	if err := os.WriteFile(path, d[:len(d)/4096*4096], 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var root uint64
	err = db.View(func(tx *bolt.Tx) error {
		root = uint64(tx.Bucket(schema.Key.Name()).RootPage())
		return nil
	})
	page := d[root*4096 : root*4096+4096]
	if err != nil || binary.LittleEndian.Uint16(page[8:]) != 1 {
		t.Fatalf("page %d is no branch page: %v", root, err)
	}
	return page
}

// leafPage is the first leaf below branchPage.
func leafPage(t *testing.T, d []byte) []byte {
	t.Helper()
	start := binary.LittleEndian.Uint64(branchPage(t, d)[16+8:]) * 4096
	page := d[start : start+4096]
	if binary.LittleEndian.Uint16(page[8:]) != 2 {
		t.Fatalf("page %d is no leaf", start/4096)
	}
	return page
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func touchByte(t *testing.T, path string, at int) {
	t.Helper()
	data := readAll(t, path)
	data[(at+len(data))%len(data)] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func digestOf(t *testing.T, path string) string {
	t.Helper()
	return hex.EncodeToString(digestBytes(readAll(t, path)))
}

func digestBytes(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
