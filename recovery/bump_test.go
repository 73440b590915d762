package recovery

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

func TestABumpIsBounded(t *testing.T) {
	plain := goodSource(SavedSnapshot, "/s") // restore point 7
	high := Source{Kind: DBCopy, Path: "/d", SHA256: "00ff", RestorePoint: MaxRevision, LastRecord: MaxRevision}
	compacted := Source{Kind: DBCopy, Path: "/d", SHA256: "00ff", RestorePoint: 12, LastRecord: 7, Compacted: 12}
	cases := []struct {
		name  string
		src   Source
		opts  []PlanOption
		start int64 // the revision that is predicted; 0 for ErrBadBump
	}{
		{"none", plain, nil, 7},
		{"0", plain, []PlanOption{WithBump(0)}, 0},
		{"0, marked", plain, []PlanOption{WithBump(0), WithMarkCompacted()}, 0},
		{"1, not marked", plain, []PlanOption{WithBump(1)}, 0},
		{"marked alone", plain, []PlanOption{WithMarkCompacted()}, 0},
		{"1", plain, []PlanOption{WithBump(1), WithMarkCompacted()}, 8},
		{"1e9", plain, []PlanOption{WithBump(1e9), WithMarkCompacted()}, 1_000_000_007},
		{"to the bound", plain, []PlanOption{WithBump(uint64(MaxRevision - 7)), WithMarkCompacted()}, MaxRevision},
		{"one beyond the bound", plain, []PlanOption{WithBump(uint64(MaxRevision - 6)), WithMarkCompacted()}, 0},
		{"over the end of an int64", plain, []PlanOption{WithBump(math.MaxInt64 - 3), WithMarkCompacted()}, 0},
		{"to the end of an int64", plain, []PlanOption{WithBump(math.MaxInt64 - 7), WithMarkCompacted()}, 0},
		{"2^64-1", plain, []PlanOption{WithBump(math.MaxUint64), WithMarkCompacted()}, 0},
		{"from the bound", high, []PlanOption{WithBump(1), WithMarkCompacted()}, 0},
		{"up to what is compacted already", compacted, []PlanOption{WithBump(5), WithMarkCompacted()}, 0},
		{"beyond what is compacted already", compacted, []PlanOption{WithBump(6), WithMarkCompacted()}, 13},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plan, err := NewPlan(c.src, oldLayout(), "fresh", c.opts...)
			if c.start == 0 {
				if !errors.Is(err, ErrBadBump) {
					t.Fatalf("got %v, want ErrBadBump", err)
				}
				t.Log(err)
				return
			}
			if err != nil || plan.Revision() != c.start {
				t.Errorf("got revision %d, %v; want %d", plan.Revision(), err, c.start)
			}
			if len(c.opts) > 0 && plan.Compacted() != c.start {
				t.Errorf("compacted at %d, want %d", plan.Compacted(), c.start)
			}
		})
	}
}

// What no source can make possible is refused before there is one.
func TestABumpIsCheckedWithoutASource(t *testing.T) {
	for _, ask := range []struct {
		revisions uint64
		mark      bool
		possible  bool
	}{
		{0, false, true}, {1, true, true}, {1e9, true, true}, {uint64(MaxRevision), true, true},
		{0, true, false}, {1, false, false}, {uint64(MaxRevision) + 1, true, false}, {math.MaxInt64, true, false}, {math.MaxUint64, true, false},
	} {
		if err := CheckBump(ask.revisions, ask.mark); (err == nil) != ask.possible || err != nil && !errors.Is(err, ErrBadBump) {
			t.Errorf("%+v: got %v", ask, err)
		}
	}
}

// A plan is a value that anybody can change, and etcdutl does what it is told.
func TestRestoreRefusesABumpThatNoPlanHas(t *testing.T) {
	plan, err := NewPlan(goodSource(SavedSnapshot, "/s"), oldLayout(), "fresh")
	if err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*Plan){
		func(p *Plan) { p.BumpRevision, p.MarkCompacted = math.MaxUint64, true },
		func(p *Plan) { p.BumpRevision = 5 },
		func(p *Plan) { p.MarkCompacted = true },
	} {
		spoiled, scratch := plan, t.TempDir()
		spoil(&spoiled)
		if _, err := Restore(testContext(t), testWorker(t, "serve"), spoiled, scratch); !errors.Is(err, ErrBadBump) {
			t.Errorf("got %v, want ErrBadBump", err)
		}
		assertEmpty(t, scratch)
	}
}

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
			offline, err := Extract(ctx, worker, source, Extraction{
				DigestKey: testDigestKey, History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"), BumpedTo: plan.Revision(),
			})
			if err != nil {
				t.Fatal(err)
			}
			restored, err := Restore(ctx, worker, plan, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) { checkBumped(t, ctx, client, b.live, offline) })
		})
	}
}

// checkBumped holds a bumped member against what the lost one showed.
func checkBumped(t *testing.T, ctx context.Context, client *clientv3.Client, old liveView, offline Contents) {
	t.Helper()
	to := old.revision + 1000
	got, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable(), clientv3.WithRev(to))
	if err != nil || got.Header.Revision != to {
		t.Fatalf("revision %d, want %d: %v", got.Header.GetRevision(), to, err)
	}
	sameLines(t, pairsOf(got.Kvs), old.keyspace)
	hash, err := client.HashKV(ctx, client.Endpoints()[0], to)
	if err != nil || hash.Hash != offline.HashKV || hash.CompactRevision != to || offline.CompactRevision != to {
		t.Errorf("HashKV %+v, offline %+v, %v", hash, offline, err)
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
