package offline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestABackupHoldsWhatTheServerShowed(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 400)
	for kind, path := range map[recovery.Kind]string{recovery.SavedSnapshot: b.Snapshot, recovery.DBCopy: b.DB} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			before := recoverytest.DigestOf(t, path)
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			if source.RestorePoint != b.Live.Revision || source.Compacted != b.Live.Compacted || source.Compacted == 0 {
				t.Errorf("restore point %d, compacted %d; the server says %d and %d",
					source.RestorePoint, source.Compacted, b.Live.Revision, b.Live.Compacted)
			}
			if source.Keys != int64(len(b.Live.Keyspace)) || source.Records <= int64(len(b.Live.History)) {
				t.Errorf("%d keys in %d records; the server shows %d keys and %d events above the compaction",
					source.Keys, source.Records, len(b.Live.Keyspace), len(b.Live.History))
			}
			if source.StorageVersion != "3.7.0" || !slices.Equal(source.MemberIDs, []identity.MemberID{b.Member}) {
				t.Errorf("storage version %q, members %v; want 3.7.0 and %v", source.StorageVersion, source.MemberIDs, b.Member)
			}
			x := Extraction{DigestKey: recoverytest.DigestKey(),
				History: filepath.Join(t.TempDir(), "history"), Keyspace: filepath.Join(t.TempDir(), "keyspace"),
				Leases: filepath.Join(t.TempDir(), "leases"), State: filepath.Join(t.TempDir(), "state")}
			contents, err := Extract(ctx, worker, source, x)
			if err != nil {
				t.Fatal(err)
			}
			if contents.HashKV != b.Live.Hash.Hash || contents.CompactRevision != b.Live.Hash.CompactRevision {
				t.Errorf("HashKV %d compacted at %d; the server says %d at %d", contents.HashKV, contents.CompactRevision,
					b.Live.Hash.Hash, b.Live.Hash.CompactRevision)
			}
			recoverytest.SameLines(t, recoverytest.Collect(t, ledger.ReadRecords(recoverytest.Opener(x.History))), b.Live.History)
			recoverytest.SameLines(t, recoverytest.Collect(t, ledger.ReadPairs(recoverytest.Opener(x.Keyspace))), b.Live.Keyspace)
			if contents.Records != int64(len(b.Live.History)) || contents.Keys != int64(len(b.Live.Keyspace)) {
				t.Errorf("counted %+v", contents)
			}
			if after := recoverytest.DigestOf(t, path); after != before || after != source.SHA256 {
				t.Errorf("digest was %s, is %s, manifest says %s", before, after, source.SHA256)
			}
			recoverytest.AssertEmpty(t, worker.Scratch)
		})
	}
}

func TestExtractRefusesAChangedSourceAndLeavesNothing(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 20)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, recovery.DBCopy, b.DB)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	x := Extraction{DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s")}
	recoverytest.TouchByte(t, b.DB, -1)
	if _, err := Extract(ctx, worker, source, x); !errors.Is(err, recovery.ErrSourceChanged) {
		t.Errorf("got %v, want ErrSourceChanged", err)
	}
	recoverytest.AssertEmpty(t, dir)
	recoverytest.AssertEmpty(t, worker.Scratch)
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
	ctx, worker, dir := recoverytest.Context(t), testWorker(t, "serve"), t.TempDir()
	source, err := Check(ctx, worker, recovery.SavedSnapshot, recoverytest.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := Extract(ctx, worker, source, Extraction{
		DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "history"), Keyspace: filepath.Join(dir, "keyspace"),
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
