package offline

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
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

func TestARestoredClusterShowsWhatTheOldOneDid(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 200)
	for kind, path := range map[recovery.Kind]string{recovery.SavedSnapshot: b.Snapshot, recovery.DBCopy: b.DB} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 3), identity.FreshToken())
			if err != nil {
				t.Fatal(err)
			}
			scratch := t.TempDir()
			var spent []recovery.Effort
			worker.Spent = func(e recovery.Effort) { spent = append(spent, e) }
			restored, err := Restore(ctx, worker, plan, scratch)
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range restored.Members {
				if member.SHA256 != source.SHA256 || member.PeakRSSBytes == 0 {
					t.Errorf("%+v, source is %s", member, source.SHA256)
				}
			}
			if len(spent) != 1 || spent[0].Task != recovery.TaskRestore || spent[0].CPU <= 0 || spent[0].OwnBytes <= 0 ||
				spent[0].Took > restored.Took {
				t.Errorf("workers spent %+v", spent)
			}
			var laps []recovery.LapName
			for _, lap := range restored.Laps {
				laps = append(laps, lap.Name)
			}
			for _, lap := range []recovery.LapName{recovery.LapCopy, recovery.LapHash, recovery.LapCore, recovery.LapRewrite,
				recovery.LapLog, recovery.LapIndex, recovery.LapMerge, recovery.LapTwins, recovery.LapSync, recovery.LapRename} {
				if !slices.Contains(laps, lap) {
					t.Errorf("laps are %q, without %s", laps, lap)
				}
			}
			if entries, err := os.ReadDir(scratch); err != nil || len(entries) != 3 {
				t.Errorf("scratch holds %v, %v", entries, err)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) {
				view := recoverytest.LookAt(t, ctx, client)
				if view.Revision != b.Live.Revision || view.Hash.Hash != b.Live.Hash.Hash {
					t.Errorf("revision %d, HashKV %d; the old cluster had %d, %d",
						view.Revision, view.Hash.Hash, b.Live.Revision, b.Live.Hash.Hash)
				}
				recoverytest.SameLines(t, view.History, b.Live.History)
				recoverytest.SameLines(t, view.Keyspace, b.Live.Keyspace)
			})
		})
	}
}

// boot starts all members on their prepared directories, checks their IDs against the plan and looks at each.
func boot(t *testing.T, ctx context.Context, plan recovery.Plan, dirs map[string]string, look func(*clientv3.Client)) {
	t.Helper()
	var servers []*recoverytest.Server
	for _, seat := range plan.Layout.Seats {
		server := recoverytest.Start(t, dirs[seat.Name], seat, plan.Layout.InitialCluster())
		defer server.Stop()
		servers = append(servers, server)
	}
	for i, server := range servers {
		server.AwaitReady(t, ctx)
		got, err := server.Client.Get(ctx, "any")
		if err != nil {
			t.Fatal(err)
		}
		cluster, member := identity.ClusterID(got.Header.ClusterId), identity.MemberID(got.Header.MemberId)
		if cluster != plan.ClusterID || member != plan.Members[i].MemberID {
			t.Errorf("member %s of cluster %s, planned %s of %s", member, cluster, plan.Members[i].MemberID, plan.ClusterID)
		}
		look(server.Client)
	}
}

// extractAndBoot restores one member from the source and returns the HashKV that both agree on.
func extractAndBoot(t *testing.T, ctx context.Context, worker Worker, source recovery.Source) uint32 {
	t.Helper()
	dir := t.TempDir()
	contents, err := Extract(ctx, worker, source,
		Extraction{
			DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
			Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
		})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken())
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
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 20)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 3), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, worker string
		spoil        func(t *testing.T, p *recovery.Plan)
		want         error
	}{
		{"source changed", "serve", func(t *testing.T, p *recovery.Plan) {
			p.Source.Path = filepath.Join(t.TempDir(), "changed")
			if err := os.WriteFile(p.Source.Path, recoverytest.ReadAll(t, b.Snapshot), 0o600); err != nil {
				t.Fatal(err)
			}
			recoverytest.TouchByte(t, p.Source.Path, 5000)
		}, recovery.ErrSourceChanged},
		{"source gone", "serve", func(t *testing.T, p *recovery.Plan) { p.Source.Path = filepath.Join(t.TempDir(), "gone") },
			recovery.ErrUnreadable},
		{"worker killed", "killed", func(*testing.T, *recovery.Plan) {}, recovery.ErrWorkerDied},
		{"worker mute", "mute", func(*testing.T, *recovery.Plan) {}, recovery.ErrWorkerDied},
		{"revision not as planned", "serve", func(_ *testing.T, p *recovery.Plan) { p.Source.RestorePoint++ }, ErrWrongRevision},
		{"compaction not as planned", "serve", func(_ *testing.T, p *recovery.Plan) { p.Source.Compacted++ }, ErrWrongRevision},
		{"identity not as planned", "serve", func(_ *testing.T, p *recovery.Plan) { p.ClusterID++ }, ErrWrongIdentity},
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
			recoverytest.AssertEmpty(t, scratch)
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
	if recoverytest.DigestOf(t, b.Snapshot) != source.SHA256 {
		t.Error("the source was changed")
	}
}

func TestMembersWithDifferentSourcesAreRefused(t *testing.T) {
	run := restoreRun{
		plan: recovery.Plan{Source: recovery.Source{SHA256: "aa"}, Members: []recovery.MemberPlan{{Name: "m1"}, {Name: "m2"}}},
		parts: []restorePart{
			{digest: "aa"}, {digest: "bb", err: &wire.ChangedError{Path: "x", Want: "aa", Found: "bb"}},
		},
	}
	if err := run.judge(); !errors.Is(err, ErrMixedSources) || !errors.Is(err, recovery.ErrSourceChanged) {
		t.Errorf("got %v", err)
	}
	run.parts[1] = restorePart{digest: "bb"}
	if err := run.judge(); !errors.Is(err, ErrMixedSources) {
		t.Errorf("got %v from workers that noticed nothing", err)
	}
	run.parts[0].digest = "bb"
	if err := run.judge(); !errors.Is(err, recovery.ErrSourceChanged) {
		t.Errorf("got %v from workers that agree on another file", err)
	}
}

func TestRestoreCutShortLeavesNothing(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 20)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 3), identity.FreshToken())
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
	recoverytest.AssertEmpty(t, scratch)
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
	ctx := recoverytest.Context(t)
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte("whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker := testWorker(t, "killed")
	_, err := Check(ctx, worker, recovery.DBCopy, path)
	var death *recovery.WorkerError
	if !errors.As(err, &death) || death.Signal != "killed" || death.ExitCode != -1 || recovery.ProvedBad(err) {
		t.Errorf("got %v, want a worker killed by a signal and nothing proved", err)
	}
	if !strings.Contains(fmt.Sprint(err), "about to be killed") {
		t.Errorf("%v does not hold the last words", err)
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
	if _, err := Check(ctx, Worker{Path: "/nonexistent/worker", Scratch: worker.Scratch}, recovery.DBCopy, path); err == nil ||
		recovery.ProvedBad(err) || errors.Is(err, recovery.ErrWorkerDied) {
		t.Errorf("got %v for a worker that does not exist", err)
	}
}
