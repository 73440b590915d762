package recovery

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

func TestABackupHoldsWhatTheServerShowed(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 400)
	for kind, path := range map[Kind]string{SavedSnapshot: b.snapshot, DBCopy: b.db} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			before := digestOf(t, path)
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			if source.RestorePoint != b.live.revision || source.Compacted != b.live.compacted || source.Compacted == 0 {
				t.Errorf("restore point %d, compacted %d; the server says %d and %d",
					source.RestorePoint, source.Compacted, b.live.revision, b.live.compacted)
			}
			if source.Keys != int64(len(b.live.keyspace)) || source.Records <= int64(len(b.live.history)) {
				t.Errorf("%d keys in %d records; the server shows %d keys and %d events above the compaction",
					source.Keys, source.Records, len(b.live.keyspace), len(b.live.history))
			}
			if source.StorageVersion != "3.7.0" || !slices.Equal(source.MemberIDs, []identity.MemberID{b.member}) {
				t.Errorf("storage version %q, members %v; want 3.7.0 and %v", source.StorageVersion, source.MemberIDs, b.member)
			}
			x := Extraction{DigestKey: testDigestKey(),
				History: filepath.Join(t.TempDir(), "history"), Keyspace: filepath.Join(t.TempDir(), "keyspace"),
				Leases: filepath.Join(t.TempDir(), "leases"), State: filepath.Join(t.TempDir(), "state")}
			contents, err := Extract(ctx, worker, source, x)
			if err != nil {
				t.Fatal(err)
			}
			if contents.HashKV != b.live.hash.Hash || contents.CompactRevision != b.live.hash.CompactRevision {
				t.Errorf("HashKV %d compacted at %d; the server says %d at %d", contents.HashKV, contents.CompactRevision,
					b.live.hash.Hash, b.live.hash.CompactRevision)
			}
			sameLines(t, readAllOf(t, ledger.ReadRecords(opener(x.History))), b.live.history)
			sameLines(t, readAllOf(t, ledger.ReadPairs(opener(x.Keyspace))), b.live.keyspace)
			if contents.Records != int64(len(b.live.history)) || contents.Keys != int64(len(b.live.keyspace)) {
				t.Errorf("counted %+v", contents)
			}
			if after := digestOf(t, path); after != before || after != source.SHA256 {
				t.Errorf("digest was %s, is %s, manifest says %s", before, after, source.SHA256)
			}
			assertEmpty(t, worker.Scratch)
		})
	}
}

func TestExtractRefusesAChangedSourceAndLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 20)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, DBCopy, b.db)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	x := Extraction{DigestKey: testDigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s")}
	touchByte(t, b.db, -1)
	if _, err := Extract(ctx, worker, source, x); !errors.Is(err, ErrSourceChanged) {
		t.Errorf("got %v, want ErrSourceChanged", err)
	}
	assertEmpty(t, dir)
	assertEmpty(t, worker.Scratch)
	if err := os.WriteFile(x.Keyspace, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(ctx, worker, source, x); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v for an output that exists", err)
	}
	if mine, err := os.ReadFile(x.Keyspace); err != nil || string(mine) != "mine" {
		t.Errorf("the file that was there now holds %q, %v", mine, err)
	}
}

func TestASnapshotOfARealAPIServerIsRecognised(t *testing.T) {
	ctx, worker, dir := testContext(t), testWorker(t, "serve"), t.TempDir()
	source, err := Check(ctx, worker, SavedSnapshot, kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := Extract(ctx, worker, source, Extraction{
		DigestKey: testDigestKey(), History: filepath.Join(dir, "history"), Keyspace: filepath.Join(dir, "keyspace"),
	})
	if err != nil || contents.Kubernetes == nil {
		t.Fatal(contents, err)
	}
	counts, sum := map[string]int64{}, int64(0)
	for _, r := range contents.Kubernetes.Resources {
		counts[r.Name] = r.Objects
		sum += r.Objects
	}
	if sum != contents.Kubernetes.Objects || sum != source.Keys || counts["configmaps"] != 206 || counts["secrets"] != 80 ||
		counts["services"] != 1 || counts["apiservices.apiregistration.k8s.io"] != 21 {
		t.Errorf("%d objects of %d keys: %v", sum, source.Keys, counts)
	}
}
