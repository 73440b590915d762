package offline

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/serve"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// damage is a variant and what Check must say of it, nil for nothing: of a snapshot, of one whose hash is not looked at, and of
// a db copy.
type damage struct {
	variant                     string
	snapshot, skipped, database error
}

func damages() []damage {
	return []damage{
		{spoil.Intact, nil, nil, nil},
		{spoil.Empty, recovery.ErrEmpty, recovery.ErrEmpty, recovery.ErrEmpty},
		{spoil.Bytes20, recovery.ErrNoHash, recovery.ErrNotBolt, recovery.ErrNotBolt},
		{spoil.Bytes100, recovery.ErrNoHash, recovery.ErrTruncated, recovery.ErrTruncated},
		{spoil.Half, recovery.ErrNoHash, recovery.ErrTruncated, recovery.ErrTruncated},
		{spoil.HalfHashed, recovery.ErrBadHash, recovery.ErrTruncated, recovery.ErrTruncated},
		{spoil.NoTrailer, recovery.ErrNoHash, nil, recovery.ErrTruncated},
		{spoil.LastPageGone, recovery.ErrBadHash, recovery.ErrTruncated, recovery.ErrTruncated},
		{spoil.OneByteMore, recovery.ErrNoHash, recovery.ErrMisaligned, recovery.ErrMisaligned},
		{spoil.Bytes512More, recovery.ErrBadHash, recovery.ErrMisaligned, recovery.ErrMisaligned},
		{spoil.Zeros, recovery.ErrBadHash, recovery.ErrNotBolt, recovery.ErrNotBolt},
		{spoil.Random, recovery.ErrBadHash, recovery.ErrNotBolt, recovery.ErrNotBolt},
		{spoil.TrailerBit, recovery.ErrBadHash, nil, nil},
		{spoil.ValueByte, recovery.ErrBadHash, nil, nil},
		{spoil.OneMeta, recovery.ErrBadHash, nil, nil},
		{spoil.BothMetas, recovery.ErrBadHash, recovery.ErrNotBolt, recovery.ErrNotBolt},
		{spoil.PageZeroed, recovery.ErrBadHash, recovery.ErrBadStructure, recovery.ErrBadStructure},
		{spoil.PageMisleads, recovery.ErrBadHash, recovery.ErrBadStructure, recovery.ErrBadStructure},
		{spoil.KeyOffTheFile, recovery.ErrBadHash, recovery.ErrBadStructure, recovery.ErrBadStructure},
		{spoil.KeyOutOfOrder, recovery.ErrBadHash, recovery.ErrBadStructure, recovery.ErrBadStructure},
	}
}

func TestEveryVariantIsInTheTable(t *testing.T) {
	var listed, known []string
	for _, d := range damages() {
		listed = append(listed, d.variant)
	}
	for _, v := range spoil.Variants() {
		known = append(known, v.Name)
	}
	slices.Sort(listed)
	slices.Sort(known)
	if !slices.Equal(listed, known) {
		t.Errorf("the table has %q, the variants are %q", listed, known)
	}
}

func TestCheckNamesEveryDamage(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	for _, way := range []struct {
		name string
		kind recovery.Kind
		good string
		opts []CheckOption
		want func(damage) error
	}{
		{"snapshot", recovery.SavedSnapshot, b.Snapshot, nil, func(d damage) error { return d.snapshot }},
		{"snapshot, hash skipped", recovery.SavedSnapshot, b.Snapshot, []CheckOption{SkipHash()}, func(d damage) error { return d.skipped }},
		{"db", recovery.DBCopy, b.DB, nil, func(d damage) error { return d.database }},
	} {
		for _, damage := range damages() {
			t.Run(way.name+"/"+damage.variant, func(t *testing.T) {
				worker := testWorker(t, "serve")
				path := recoverytest.Spoiled(t, way.good, spoil.Of(damage.variant))
				before, want := recoverytest.DigestOf(t, path), way.want(damage)
				source, err := Check(ctx, worker, way.kind, path, way.opts...)
				if want == nil && err != nil || !errors.Is(err, want) || recovery.ProvedBad(err) != (want != nil) {
					t.Errorf("got %v (proved bad: %t), want %v", err, recovery.ProvedBad(err), want)
				}
				if err == nil && source.RestorePoint != b.Live.Revision {
					t.Errorf("restore point %d, want %d", source.RestorePoint, b.Live.Revision)
				}
				if blind := way.name != "snapshot"; err == nil && slices.Contains(source.Warnings, serve.UnseenChange) != blind {
					t.Errorf("warnings are %q", source.Warnings)
				}
				var bad *recovery.SourceError
				if want != nil && (!errors.As(err, &bad) || bad.Path != path) {
					t.Errorf("%v does not name the file", err)
				}
				if err != nil {
					t.Log(err)
				}
				if after := recoverytest.DigestOf(t, path); after != before {
					t.Error("the source was changed")
				}
				recoverytest.AssertEmpty(t, worker.Scratch)
			})
		}
	}
}

func TestCheckWarnsOfADamagedMetaPage(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 20)
	recoverytest.TouchByte(t, b.DB, 20)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.DBCopy, b.DB)
	if err != nil || len(source.Warnings) != 2 || !strings.Contains(source.Warnings[0], "meta page 0") {
		t.Errorf("got %v and warnings %q, want that of the page and that of the missing hash", err, source.Warnings)
	}
}

func TestCheckCannotReadWhatIsNotThere(t *testing.T) {
	worker := testWorker(t, "serve")
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir()} {
		_, err := Check(recoverytest.Context(t), worker, recovery.DBCopy, path)
		if !errors.Is(err, recovery.ErrUnreadable) || recovery.ProvedBad(err) {
			t.Errorf("%s: got %v, want ErrUnreadable", path, err)
		}
	}
	if _, err := Check(t.Context(), worker, "tape", "x"); err == nil {
		t.Error("an unknown kind was accepted")
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
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
	if _, err := Check(recoverytest.Context(t), testWorker(t, "serve"), recovery.DBCopy, path); !errors.Is(err, recovery.ErrBadStructure) {
		t.Errorf("got %v for another program's database", err)
	}
}

func TestAWorkerThatDiesOfTheFileBlamesTheFile(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	worker := testWorker(t, "panic")
	_, err := Check(ctx, worker, recovery.DBCopy, b.DB)
	var death *recovery.WorkerError
	if !errors.Is(err, recovery.ErrBadStructure) || !errors.As(err, &death) || death.ExitCode != 2 || len(death.Last) == 0 {
		t.Errorf("got %v, want a dead worker and ErrBadStructure", err)
	}
	t.Log(err)
	recoverytest.AssertEmpty(t, worker.Scratch)
}

// An unfinished compaction: the point that a server shows is the scheduled one, and it also lifts the revision.
func TestCheckCountsAScheduledCompaction(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 60)
	scheduled := b.Live.Revision + 5
	editMeta(t, b.DB, schema.ScheduledCompactKeyName, scheduled)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, recovery.DBCopy, b.DB)
	if err != nil {
		t.Fatal(err)
	}
	if source.RestorePoint != scheduled || source.Compacted != scheduled || source.Keys != int64(len(b.Live.Keyspace)) {
		t.Errorf("got %+v, want revision and compaction %d", source, scheduled)
	}
	hash := extractAndBoot(t, ctx, worker, source)
	t.Logf("HashKV %d at %d", hash, scheduled)
}

// A copy that was made while etcd wrote can be torn so that all its pages make sense.
func TestCheckWarnsOfARevisionWithoutARecord(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 60)
	worker := testWorker(t, "serve")
	warned := func() bool {
		source, err := Check(ctx, worker, recovery.DBCopy, b.DB)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(source.Warnings, func(w string) bool { return strings.Contains(w, "has no record") })
	}
	drop := func(offset int) { // the record of the nth revision from the end
		db, err := bolt.Open(b.DB, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			at := make([]byte, 17)
			binary.BigEndian.PutUint64(at, uint64(b.Live.Revision-int64(offset)))
			at[8] = '_'
			return tx.Bucket(schema.Key.Name()).Delete(at)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if warned() {
		t.Error("an untouched copy has a revision without a record")
	}
	if drop(1); !warned() { // the put before the last delete
		t.Error("a revision is gone, and nothing is said of it")
	}
	editMeta(t, b.DB, schema.FinishedCompactKeyName, b.Live.Revision-1)
	if warned() {
		t.Error("a compaction takes records away, which is no gap")
	}
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
