package offline

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestABumpedClusterBeginsWhereThePlanSays(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 200)
	program := etcdutl(t, ctx, cmp.Or(os.Getenv("ETCD_DRILL_OTHER_VERSION"), release.Default))
	for name, from := range map[string]struct {
		kind          recovery.Kind
		path, program string
	}{
		"snapshot":               {recovery.SavedSnapshot, b.Snapshot, ""},
		"snapshot, by a program": {recovery.SavedSnapshot, b.Snapshot, program.Etcdutl},
		"db":                     {recovery.DBCopy, b.DB, ""},
	} {
		t.Run(name, func(t *testing.T) {
			worker := testWorker(t, "serve")
			worker.Etcdutl = from.program
			source, err := Check(ctx, worker, from.kind, from.path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 3), identity.FreshToken(), recovery.WithBump(1000),
				recovery.WithMarkCompacted())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			read, err := Extract(ctx, worker, source, Extraction{
				DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"), BumpedTo: plan.Revision(),
			})
			if err != nil {
				t.Fatal(err)
			}
			restored, err := Restore(ctx, worker, plan, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) { checkBumped(t, ctx, client, b.Live, read) })
		})
	}
}

// checkBumped holds a bumped member against what the lost one showed.
func checkBumped(t *testing.T, ctx context.Context, client *clientv3.Client, old recoverytest.View, read recovery.Contents) {
	t.Helper()
	to := old.Revision + 1000
	got, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable(), clientv3.WithRev(to))
	if err != nil || got.Header.Revision != to {
		t.Fatalf("revision %d, want %d: %v", got.Header.GetRevision(), to, err)
	}
	recoverytest.SameLines(t, recoverytest.PairsOf(got.Kvs), old.Keyspace)
	hash, err := client.HashKV(ctx, client.Endpoints()[0], to)
	if err != nil || hash.Hash != read.HashKV || hash.CompactRevision != to || read.CompactRevision != to {
		t.Errorf("HashKV %+v, offline %+v, %v", hash, read, err)
	}
	for _, rev := range []int64{old.Revision, to - 1} {
		if _, err := client.Get(ctx, "x", clientv3.WithSerializable(), clientv3.WithRev(rev)); !errors.Is(err, rpctypes.ErrCompacted) {
			t.Errorf("read at %d: got %v, want ErrCompacted", rev, err)
		}
	}
	if at := watchRefusedAt(t, ctx, client, old.Revision+1); at != to {
		t.Errorf("watch from %d was refused at %d, want %d", old.Revision+1, at, to)
	}
	// What recovery.WithBump says of the last revision that may have been seen: a watch that resumes at the compaction point is let in.
	if at := watchRefusedAt(t, ctx, client, to); at != 0 {
		t.Errorf("watch from %d was refused at %d", to, at)
	}
}

// watchRefusedAt returns the compaction point with which a watch is cancelled; 0 if it caught up.
func watchRefusedAt(t *testing.T, ctx context.Context, client *clientv3.Client, from int64) int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher := clientv3.NewWatcher(client)
	defer func() { _ = watcher.Close() }()
	events := watcher.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(from), clientv3.WithCreatedNotify())
	ticker := time.NewTicker(50 * time.Millisecond) // a watch that has not caught up yet does not answer
	defer ticker.Stop()
	for {
		select {
		case batch, open := <-events:
			if !open {
				t.Fatal("the watch ended without a reason: ", ctx.Err())
			}
			if batch.CompactRevision != 0 || batch.IsProgressNotify() {
				return batch.CompactRevision
			}
		case <-ticker.C:
			if err := watcher.RequestProgress(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}
