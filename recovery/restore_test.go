package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

func TestARestoredClusterShowsWhatTheOldOneDid(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 200)
	for kind, path := range map[Kind]string{SavedSnapshot: b.snapshot, DBCopy: b.db} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := NewPlan(source, testLayout(t, 3), identity.FreshToken())
			if err != nil {
				t.Fatal(err)
			}
			scratch := t.TempDir()
			var spent []Effort
			worker.Spent = func(e Effort) { spent = append(spent, e) }
			restored, err := Restore(ctx, worker, plan, scratch)
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range restored.Members {
				if member.SHA256 != source.SHA256 || member.PeakRSSBytes == 0 {
					t.Errorf("%+v, source is %s", member, source.SHA256)
				}
			}
			if len(spent) != 1 || spent[0].Task != TaskRestore || spent[0].CPU <= 0 || spent[0].OwnBytes <= 0 || spent[0].Took > restored.Took {
				t.Errorf("workers spent %+v", spent)
			}
			var laps []LapName
			for _, lap := range restored.Laps {
				laps = append(laps, lap.Name)
			}
			for _, lap := range []LapName{LapCopy, LapHash, LapCore, LapRewrite, LapLog, LapIndex, LapMerge, LapTwins, LapSync, LapRename} {
				if !slices.Contains(laps, lap) {
					t.Errorf("laps are %q, without %s", laps, lap)
				}
			}
			if entries, err := os.ReadDir(scratch); err != nil || len(entries) != 3 {
				t.Errorf("scratch holds %v, %v", entries, err)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) {
				view := lookAt(t, ctx, client)
				if view.revision != b.live.revision || view.hash.Hash != b.live.hash.Hash {
					t.Errorf("revision %d, HashKV %d; the old cluster had %d, %d",
						view.revision, view.hash.Hash, b.live.revision, b.live.hash.Hash)
				}
				sameLines(t, view.history, b.live.history)
				sameLines(t, view.keyspace, b.live.keyspace)
			})
		})
	}
}

// boot starts all members on their prepared directories, checks their IDs against the plan and looks at each.
func boot(t *testing.T, ctx context.Context, plan Plan, dirs map[string]string, look func(*clientv3.Client)) {
	t.Helper()
	var servers []*testServer
	for _, seat := range plan.Layout.Seats {
		server := startServer(t, dirs[seat.Name], seat, plan.Layout.InitialCluster())
		defer server.stop()
		servers = append(servers, server)
	}
	for i, server := range servers {
		server.awaitReady(t, ctx)
		got, err := server.client.Get(ctx, "any")
		if err != nil {
			t.Fatal(err)
		}
		cluster, member := identity.ClusterID(got.Header.ClusterId), identity.MemberID(got.Header.MemberId)
		if cluster != plan.ClusterID || member != plan.Members[i].MemberID {
			t.Errorf("member %s of cluster %s, planned %s of %s", member, cluster, plan.Members[i].MemberID, plan.ClusterID)
		}
		look(server.client)
	}
}

// extractAndBoot restores one member from the source and returns the HashKV that both agree on.
func extractAndBoot(t *testing.T, ctx context.Context, worker Worker, source Source) uint32 {
	t.Helper()
	dir := t.TempDir()
	contents, err := Extract(ctx, worker, source,
		Extraction{
			DigestKey: testDigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
			Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
		})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(source, testLayout(t, 1), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(ctx, worker, plan, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) {
		hash, err := client.HashKV(ctx, client.Endpoints()[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		if hash.HashRevision != source.RestorePoint || hash.Hash != contents.HashKV || hash.CompactRevision != source.Compacted {
			t.Errorf("the server says %+v, offline it is %+v of %+v", hash, contents, source)
		}
	})
	return contents.HashKV
}

func TestRestoreRefusesAndLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 20)
	source, err := Check(ctx, testWorker(t, "serve"), SavedSnapshot, b.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(source, testLayout(t, 3), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, worker string
		spoil        func(t *testing.T, p *Plan)
		want         error
	}{
		{"source changed", "serve", func(t *testing.T, p *Plan) {
			p.Source.Path = filepath.Join(t.TempDir(), "changed")
			if err := os.WriteFile(p.Source.Path, readAll(t, b.snapshot), 0o600); err != nil {
				t.Fatal(err)
			}
			touchByte(t, p.Source.Path, 5000)
		}, ErrSourceChanged},
		{"source gone", "serve", func(t *testing.T, p *Plan) { p.Source.Path = filepath.Join(t.TempDir(), "gone") }, ErrUnreadable},
		{"worker killed", "killed", func(*testing.T, *Plan) {}, ErrWorkerDied},
		{"worker mute", "mute", func(*testing.T, *Plan) {}, ErrWorkerDied},
		{"revision not as planned", "serve", func(_ *testing.T, p *Plan) { p.Source.RestorePoint++ }, ErrWrongRevision},
		{"compaction not as planned", "serve", func(_ *testing.T, p *Plan) { p.Source.Compacted++ }, ErrWrongRevision},
		{"identity not as planned", "serve", func(_ *testing.T, p *Plan) { p.ClusterID++ }, ErrWrongIdentity},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spoiled, scratch := plan, t.TempDir()
			c.spoil(t, &spoiled)
			_, err := Restore(ctx, testWorker(t, c.worker), spoiled, scratch)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			t.Log(err)
			assertEmpty(t, scratch)
		})
	}
	t.Run("target exists", func(t *testing.T) {
		scratch := t.TempDir()
		if err := os.Mkdir(filepath.Join(scratch, "m2"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(ctx, Worker{Path: "/nonexistent"}, plan, scratch); !errors.Is(err, ErrTargetTaken) || !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v", err)
		}
		if entries, err := os.ReadDir(scratch); err != nil || len(entries) != 1 {
			t.Errorf("scratch holds %v, %v", entries, err)
		}
	})
	if digestOf(t, b.snapshot) != source.SHA256 {
		t.Error("the source was changed")
	}
}

func TestMembersWithDifferentSourcesAreRefused(t *testing.T) {
	run := restoreRun{
		plan: Plan{Source: Source{SHA256: "aa"}, Members: []MemberPlan{{Name: "m1"}, {Name: "m2"}}},
		parts: []restorePart{
			{digest: "aa"}, {digest: "bb", err: &changedError{path: "x", want: "aa", found: "bb"}},
		},
	}
	if err := run.judge(); !errors.Is(err, ErrMixedSources) || !errors.Is(err, ErrSourceChanged) {
		t.Errorf("got %v", err)
	}
	run.parts[1] = restorePart{digest: "bb"}
	if err := run.judge(); !errors.Is(err, ErrMixedSources) {
		t.Errorf("got %v from workers that noticed nothing", err)
	}
	run.parts[0].digest = "bb"
	if err := run.judge(); !errors.Is(err, ErrSourceChanged) {
		t.Errorf("got %v from workers that agree on another file", err)
	}
}

func TestRestoreCutShortLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 20)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, SavedSnapshot, b.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(source, testLayout(t, 3), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	reason := errors.New("somebody pressed Ctrl-C")
	worker.Log = slog.New(onLine{func(line string) {
		if strings.Contains(line, "restoring snapshot") {
			cancel(reason)
		}
	}})
	scratch := t.TempDir()
	if _, err := Restore(ctx, worker, plan, scratch); !errors.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
	assertEmpty(t, scratch)
}

// onLine is a slog.Handler that calls a function for every message.
type onLine struct{ call func(line string) }

func (onLine) Enabled(context.Context, slog.Level) bool { return true }
func (h onLine) Handle(_ context.Context, r slog.Record) error {
	h.call(r.Message)
	return nil
}
func (h onLine) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h onLine) WithGroup(string) slog.Handler      { return h }

func TestAWorkerThatWasKilledProvesNothing(t *testing.T) {
	ctx := testContext(t)
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte("whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker := testWorker(t, "killed")
	_, err := Check(ctx, worker, DBCopy, path)
	var death *WorkerError
	if !errors.As(err, &death) || death.Signal != "killed" || death.ExitCode != -1 || ProvedBad(err) {
		t.Errorf("got %v, want a worker killed by a signal and nothing proved", err)
	}
	if !strings.Contains(fmt.Sprint(err), "about to be killed") {
		t.Errorf("%v does not hold the last words", err)
	}
	assertEmpty(t, worker.Scratch)
	if _, err := Check(ctx, Worker{Path: "/nonexistent/worker", Scratch: worker.Scratch}, DBCopy, path); err == nil ||
		ProvedBad(err) || errors.Is(err, ErrWorkerDied) {
		t.Errorf("got %v for a worker that does not exist", err)
	}
}
