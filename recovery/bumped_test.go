package recovery

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

func TestABumpedClusterBeginsWhereThePlanSays(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 200)
	program := etcdutl(t, ctx, cmp.Or(os.Getenv("ETCD_DRILL_OTHER_VERSION"), release.Default))
	for name, from := range map[string]struct {
		kind          Kind
		path, program string
	}{
		"snapshot":               {SavedSnapshot, b.snapshot, ""},
		"snapshot, by a program": {SavedSnapshot, b.snapshot, program.Etcdutl},
		"db":                     {DBCopy, b.db, ""},
	} {
		t.Run(name, func(t *testing.T) {
			worker := testWorker(t, "serve")
			worker.Etcdutl = from.program
			source, err := Check(ctx, worker, from.kind, from.path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := NewPlan(source, testLayout(t, 3), identity.FreshToken(), WithBump(1000), WithMarkCompacted())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			read, err := Extract(ctx, worker, source, Extraction{
				DigestKey: testDigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"), BumpedTo: plan.Revision(),
			})
			if err != nil {
				t.Fatal(err)
			}
			restored, err := Restore(ctx, worker, plan, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) { checkBumped(t, ctx, client, b.live, read) })
		})
	}
}

// checkBumped holds a bumped member against what the lost one showed.
func checkBumped(t *testing.T, ctx context.Context, client *clientv3.Client, old liveView, read Contents) {
	t.Helper()
	to := old.revision + 1000
	got, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable(), clientv3.WithRev(to))
	if err != nil || got.Header.Revision != to {
		t.Fatalf("revision %d, want %d: %v", got.Header.GetRevision(), to, err)
	}
	sameLines(t, pairsOf(got.Kvs), old.keyspace)
	hash, err := client.HashKV(ctx, client.Endpoints()[0], to)
	if err != nil || hash.Hash != read.HashKV || hash.CompactRevision != to || read.CompactRevision != to {
		t.Errorf("HashKV %+v, offline %+v, %v", hash, read, err)
	}
	for _, rev := range []int64{old.revision, to - 1} {
		if _, err := client.Get(ctx, "x", clientv3.WithSerializable(), clientv3.WithRev(rev)); !errors.Is(err, rpctypes.ErrCompacted) {
			t.Errorf("read at %d: got %v, want ErrCompacted", rev, err)
		}
	}
	if at := watchRefusedAt(t, ctx, client, old.revision+1); at != to {
		t.Errorf("watch from %d was refused at %d, want %d", old.revision+1, at, to)
	}
	// What WithBump says of the last revision that may have been seen: a watch that resumes at the compaction point is let in.
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
